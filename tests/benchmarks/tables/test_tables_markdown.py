"""Markdown: cells that keep their text, and numbers in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tables import markdown


def cells(line: str) -> list[str]:
    """Cells of a row as GitHub splits it."""
    return [cell.strip() for cell in re.findall(r"\|((?:\\.|[^|\\])*)(?=\|)", line.strip())]


def test_a_markdown_table_of_uneven_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        markdown.table(["a", "b"], [["1"]])


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["C"])), min_size=1, max_size=4))
def test_any_text_stays_in_its_cell(row: list[str]) -> None:
    text = markdown.table(["h"] * len(row), [[markdown.plain(cell) for cell in row]])
    assert {len(cells(line)) for line in text.split("\n")} == {len(row)}


def test_numbers_have_fixed_decimals_and_no_negative_zero() -> None:
    assert markdown.number(-0.001) == "0.00"
    assert markdown.number(0.0, sign=True) == "0.00"
    assert markdown.number(0.126, sign=True) == "+0.13"
    assert markdown.number(float("nan")) == markdown.DASH


def test_an_interval_that_is_missing_is_left_out() -> None:
    assert markdown.interval(0.126, -0.1, 0.5, sign=True) == "+0.13 [-0.10, 0.50]"
    assert markdown.interval(0.126, float("nan"), float("nan")) == "0.13"


@given(st.sets(st.integers(min_value=0, max_value=60), min_size=1))
def test_ranges_name_exactly_the_given_numbers(numbers: set[int]) -> None:
    named: set[int] = set()
    for part in markdown.ranges(numbers).split(", "):
        low, _, high = part.partition("-")
        named |= set(range(int(low), int(high or low) + 1))
    assert named == numbers


def test_a_sentence_begins_with_a_capital_and_ends_with_a_stop() -> None:
    assert markdown.sentence("row 7: loss 0.1", "row 8: not run") == "Row 7: loss 0.1; row 8: not run."
    assert markdown.sentence("β = 2") == "Β = 2."
