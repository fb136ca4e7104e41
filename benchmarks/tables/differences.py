"""Differences of two kinds of training runs, paired over their seeds: same batches, weights from the same random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from benchmarks.tables.markdown import interval
from benchmarks.tables.statistics import Interval, paired_difference


class Difference(NamedTuple):
    """One kind minus the other in a setting: its first row, common seeds, their mean in points with its interval, and p."""

    row: pd.Series
    seeds: int
    points: Interval
    p: float

    @property
    def gain(self) -> str:
        """``+1.05 [0.80, 1.30]``; without an interval for a single seed."""
        return interval(self.points.estimate, self.points.low, self.points.high, sign=True)


def differences(
    runs: pd.DataFrame, column: str, one: str, other: str, by: Sequence[str], value: str = "snn_metric"
) -> list[Difference]:
    """Of runs with ``one`` and with ``other`` in a column, in each setting ``by`` that has common seeds."""
    first, second = (runs[runs[column] == name] for name in (one, other))
    pairs = first.merge(second, on=[*by, "seed"], suffixes=("", "_other"))
    found = []
    for _, part in pairs.groupby(list(by), sort=False):
        part = part.sort_values("seed")
        points, p = paired_difference(part[value].to_numpy("float64"), part[f"{value}_other"].to_numpy("float64"))
        found.append(Difference(part.iloc[0], len(part), points, p))
    return found
