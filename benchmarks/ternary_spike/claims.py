"""The paper's claims that are more than bounds (``benchmarks/tables/bounds.py``): differences of methods, paired over seeds."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import marked
from benchmarks.tables.differences import Difference, differences
from benchmarks.tables.markdown import count, interval
from benchmarks.tables.statistics import Interval

SETTING = ["dataset", "architecture", "timesteps"]
TERNARY, BINARY, TRAINABLE = "Ternary spike", "Binary spike", "Trainable ternary spike"
LEAST = 2.0
"""Points that ternary spikes must gain."""


def text(found: Difference) -> str:
    """A difference in words."""
    points = interval(found.points.estimate, found.points.low, found.points.high)
    return f"{marked(found.row)}, T = {found.row['timesteps']}, {count(found.seeds, 'seed')}: {points}"


def _check(method: str, other: str, held: Callable[[Interval], bool], resolved: Callable[[Interval], bool]) -> Check:
    @claim
    def check(tables: Tables) -> Verdict:
        runs = table_of(tables, "runs")
        found = differences(runs, "method", method, other, SETTING)
        if not found:
            raise NotTested(f"`runs` has no seed of both {method} and {other}.")
        evidence = "; ".join(text(each) for each in found)
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
