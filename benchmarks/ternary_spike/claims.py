"""The paper's claims that are more than bounds (``benchmarks/tables/bounds.py``): differences of methods, paired over seeds."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from benchmarks.tables.bounds import bounded, chosen_rows, paired_rows, printed_claims, rows_of
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import marked
from benchmarks.tables.differences import Difference, differences
from benchmarks.tables.markdown import count, interval, number
from benchmarks.tables.statistics import Interval

SETTING = ["dataset", "architecture", "timesteps"]
TERNARY, BINARY, TRAINABLE = "Ternary spike", "Binary spike", "Trainable ternary spike"
CONTROL = "Ternary spike, scalars on shortcuts and logits"
LEAST = 2.0
"""Points that ternary spikes must gain, and that two methods may be apart that are to be equal."""
EPOCHS = 100
"""Below these, accuracies and firing rates are those of a training that has just begun."""
SHOWN, SPREAD = 4, 1.5
"""Layers of Figure 2, and how many times the least deviation of their potentials the largest must be."""


def text(found: Difference) -> str:
    """A difference in words."""
    points = interval(found.points.estimate, found.points.low, found.points.high)
    return f"{marked(found.row)}, T = {found.row['timesteps']}, {count(found.seeds, 'seed')}: {points}"


def _check(method: str, other: str, held: Callable[[Interval], bool], resolved: Callable[[Interval], bool], *names: str) -> Check:
    @claim
    def check(tables: Tables) -> Verdict:
        runs = pd.concat([table_of(tables, name) for name in names])
        found = differences(runs, "method", method, other, SETTING)
        if not found:
            raise NotTested(f"`{names[0]}` has no seed of both {method} and {other}.")
        evidence = "; ".join(text(each) for each in found)
        evidence = f"Points, mean over seeds with its 95 % interval: {evidence}."
        clear = [each.points for each in found if resolved(each.points)]
        if not clear:
            raise NotTested(f"Not resolved by these seeds. {evidence}")
        return judge(map(held, clear), is_stand_in(runs), evidence, complete=len(clear) == len(found))

    return check


def _equal(points: Interval) -> bool:
    return bool(-LEAST <= points.low <= points.high <= LEAST)


def _sided(points: Interval) -> bool:
    """Whether an interval lies on one side of 0."""
    return bool(points.low > 0 or points.high < 0)


def _after_training(name: str) -> Check:
    """The bounds of a claim; not judged after a short training, nor a printed accuracy on a stand-in."""
    said = printed_claims("ternary_spike")[name]
    table, numbers = rows_of(said)

    @claim
    def check(tables: Tables) -> Verdict:
        rows = chosen_rows(tables, table, numbers)[0] if numbers else paired_rows(tables, said["rows"])[0]
        verdict = bounded("ternary_spike", name)(tables)
        if (epochs := rows["epochs"].min()) < EPOCHS:
            raise NotTested(f"Not judged: {count(int(epochs), 'epoch')}. {verdict.evidence}")
        if numbers and is_stand_in(rows):
            raise NotTested(f"Not judged on a stand-in. {verdict.evidence}")
        return verdict

    return check


@claim
def _spread(tables: Tables) -> Verdict:
    rows = table_of(tables, "figure2")
    shown = rows[rows["layer"] <= SHOWN]
    ratios = shown.groupby(["method", "timesteps"], sort=False)["std"].agg(lambda each: each.max() / each.min())
    listed = [f"{row['method']}, T = {row['timesteps']}: {number(row['std'])}" for _, row in ratios.reset_index().iterrows()]
    evidence = f"Largest over least deviation in layers 1 to {SHOWN}, {marked(rows.iloc[0])}, "
    evidence += f"{count(int(rows['epochs'].min()), 'epoch')}: {'; '.join(listed)}."
    return judge(ratios >= SPREAD, is_stand_in(rows), evidence)


CLAIMS: dict[str, Check] = {
    "N03": _check(TERNARY, BINARY, lambda points: points.low > LEAST, lambda points: points.low == points.low, "runs"),
    "N04": _check(TRAINABLE, TERNARY, lambda points: points.low > 0, _sided, "runs"),
    **{name: _after_training(name) for name in ("N05", "N06", "N07", "N08", "N10")},
    "N12": _spread,
    "X03": _check(CONTROL, TRAINABLE, _equal, lambda points: _equal(points) or _sided(points), "controls", "runs"),
}
