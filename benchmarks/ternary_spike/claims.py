"""The paper's claims that are more than bounds (``benchmarks/tables/bounds.py``): differences of methods, paired over seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import marked
from benchmarks.tables.markdown import count, interval
from benchmarks.tables.statistics import Interval, paired_difference

SETTING = ["dataset", "architecture", "timesteps"]
TERNARY, BINARY, TRAINABLE = "Ternary spike", "Binary spike", "Trainable ternary spike"
LEAST = 2.0
"""Points that ternary spikes must gain."""


class Difference(NamedTuple):
    """Accuracy of one method minus that of another on the same seeds: where, how many seeds, points."""

    row: pd.Series
    seeds: int
    points: Interval

    def text(self) -> str:
        """The difference in words."""
        shown = interval(self.points.estimate, self.points.low, self.points.high)
        return f"{marked(self.row)}, T = {self.row['timesteps']}, {count(self.seeds, 'seed')}: {shown}"


def differences(runs: pd.DataFrame, method: str, other: str) -> list[Difference]:
    """Of two methods, in each setting that both were trained in."""
    sides = (runs[runs["method"] == name] for name in (method, other))
    first, second = sides
    pairs = first.merge(second, on=[*SETTING, "seed"], suffixes=("", "_other"))
    found = []
    for _, part in pairs.groupby(SETTING, sort=False):
        points, _ = paired_difference(part["snn_metric"].to_numpy("float64"), part["snn_metric_other"].to_numpy("float64"))
        found.append(Difference(part.iloc[0], len(part), points))
    return found


def _check(method: str, other: str, held: Callable[[Interval], bool], resolved: Callable[[Interval], bool]) -> Check:
    @claim
    def check(tables: Tables) -> Verdict:
        runs = table_of(tables, "runs")
        found = differences(runs, method, other)
        if not found:
            raise NotTested(f"`runs` has no seed of both {method} and {other}.")
        evidence = "; ".join(each.text() for each in found)
        evidence = f"Points, mean over seeds with its 95 % interval: {evidence}."
        clear = [each.points for each in found if resolved(each.points)]
        if not clear:
            raise NotTested(f"Not resolved by these seeds. {evidence}")
        return judge(map(held, clear), is_stand_in(runs), evidence, complete=len(clear) == len(found))

    return check


CLAIMS: dict[str, Check] = {
    "N03": _check(TERNARY, BINARY, lambda points: points.low > LEAST, lambda points: points.low == points.low),
    "N04": _check(TRAINABLE, TERNARY, lambda points: points.low > 0, lambda points: points.low > 0 or points.high < 0),
}
