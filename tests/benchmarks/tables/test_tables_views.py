"""Views and grids: what a cell shows where a value, a row or a column is missing."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.views import View, grid

SCHEMA = TableSchema(
    "t", 1, (Column("name", "text", label="Network"), Column("timesteps", "int")),
    (Column("loss", "float", decimals=3), Column("latency", "int"), Column("status", "text")),
)  # fmt: skip
VIEW = View(SCHEMA, "name", ("T", "timesteps"), ("Loss", "loss"), ("Twice", lambda row: f"{2 * row['latency']}"), ours=2)


def rows(**changes: Any) -> pd.DataFrame:
    line = {"name": "a", "timesteps": 4, "loss": 0.1234, "latency": 7, "status": "measured"}
    return pd.DataFrame([line | changes]).astype({"timesteps": "Int64", "latency": "Int64"})


def last(text: str) -> str:
    return text.splitlines()[-1]


def test_headings_decimals_and_alignment_are_those_of_the_columns() -> None:
    assert VIEW(rows()).splitlines() == ["| Network | T | Loss | Twice |", "| --- | --: | --: | --: |", "| a | 4 | 0.123 | 14 |"]
    assert VIEW(row for _, row in rows().iterrows()) == VIEW(rows())


def test_alignment_can_be_given() -> None:
    assert View(SCHEMA, ("", str, "l"), ("T", "timesteps", "c"))(rows()[:0]).splitlines()[1] == "| --- | :-: |"


def test_a_missing_value_is_a_dash() -> None:
    assert last(VIEW(rows(timesteps=None, loss=None))) == "| a | – | – | 14 |"


def test_what_was_measured_on_a_stand_in_is_in_italics_the_first_with_a_dagger() -> None:
    assert last(VIEW(rows(status="stand-in"))) == "| a | 4 | *0.123* † | *14* |"


def test_a_row_that_was_not_run_says_why_without_the_advice() -> None:
    assert last(VIEW(rows(status="not run: no weights (get them)", loss=None))) == "| a | 4 | – | not run: no weights |"


def test_a_view_that_shows_nothing_of_ours_marks_nothing() -> None:
    view = View(SCHEMA, "name", "timesteps")
    assert {last(view(rows(status=status))) for status in ("measured", "stand-in", "not run: x")} == {"| a | 4 |"}


@pytest.mark.parametrize("column", ["los", ("Loss", "los"), ("Loss", "los", "l")])
def test_an_unknown_column_is_refused_with_the_known(column: Any) -> None:
    with pytest.raises(ValueError, match="table t has no column 'los'; it has name, timesteps, loss"):
        View(SCHEMA, column)


PLACES = pd.DataFrame({"t": [8, 4, 4], "kind": ["b", "b", "a"], "other": [0, 0, 1], "value": ["x", "y", "z"]})


def cell(row: pd.Series) -> str:
    return str(row["value"])


def test_a_grid_has_a_dash_where_there_is_no_row() -> None:
    assert grid(PLACES, "t", "kind", cell, ["T"]).splitlines() == [
        "| T | b | a |", "| --: | --: | --: |", "| 4 | y | z |", "| 8 | x | – |",
    ]  # fmt: skip


def test_lines_of_a_grid_keep_their_order_and_have_the_names_given() -> None:
    lines = grid(PLACES, ["kind", "other"], "t", cell, ["Kind", "n"], left=lambda kind, n: (kind.upper(), f"{n}"),
                 top="T = {}".format, sort=False, align="lr").splitlines()  # fmt: skip
    assert lines == ["| Kind | n | T = 8 | T = 4 |", "| --- | --: | --: | --: |", "| B | 0 | x | y |", "| A | 1 | – | z |"]
