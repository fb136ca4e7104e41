"""Tables of numbers that need no data: one case a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from benchmarks.measurements import Arrays
from benchmarks.tables.artifacts import Row, Values
from benchmarks.tables.claims import NotTested, Tables, table_of
from benchmarks.tables.schema import Column, TableSchema


@dataclass(frozen=True)
class Case:
    """One number: the claim it belongs to, what it is, for which parameters, and how to compute it."""

    claim: str
    quantity: str
    case: str
    compute: Callable[[], float]


def analytic_schema(value: Column) -> TableSchema:
    """The table of cases, whose numbers are printed as ``value`` says."""
    keys = (Column(name, "text", nullable=False) for name in ("claim", "quantity", "case"))
    return TableSchema("analytic", 1, tuple(keys), (value, Column("status", "text", nullable=False)))


ANALYTIC = analytic_schema(Column("value", "sci", decimals=6, doc="see quantity", rtol=1e-6))


def analytic_rows(cases: Iterable[Case]) -> list[Row]:
    """A row for each case."""
    return [
        Row(number, {"claim": case.claim, "quantity": case.quantity, "case": case.case}, partial(_value, case))
        for number, case in enumerate(cases, start=1)
    ]


def _value(case: Case, _: list[Arrays]) -> list[Values]:
    return [{"value": case.compute(), "status": "measured"}]


def analytic(tables: Tables, claim: str, quantity: str = "") -> pd.DataFrame:
    """The rows of a claim, of quantities that begin so. Raises NotTested where there are none."""
    rows = table_of(tables, "analytic")
    rows = rows[(rows["claim"] == claim) & rows["quantity"].str.startswith(quantity)].reset_index(drop=True)
    if rows.empty:
        raise NotTested(f"`analytic` has no {quantity or 'row'} of {claim}.")
    return rows


def parameters(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of cases with a column for each number that they name, as ``T = 4`` and ``layer 2``."""
    found = rows["case"].str.extractall(r"(?P<name>\w+) (?:= )?(?P<number>\d+(?:\.\d+)?)").droplevel("match")
    return rows.join(found.pivot(columns="name", values="number").astype("float64"))
