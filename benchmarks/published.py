"""The papers' tables as printed, read from ``benchmarks/<paper>/published/<table>.csv``."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import pandas as pd

from benchmarks.errors import CannotRun

_INTEGER = r"[+-]?\d+"
_NUMBER = r"[+-]?\d+(\.\d+)?"


def published_papers() -> list[str]:
    """Names of the papers that have published tables, sorted."""
    return sorted(room.name for room in files("benchmarks").iterdir() if (room / "published").is_dir())


def published_tables(paper: str) -> list[str]:
    """Names of the tables of ``paper``, sorted; ``CannotRun`` when there is no such paper."""
    return sorted(entry.name.removesuffix(".csv") for entry in _folder(paper).iterdir() if entry.name.endswith(".csv"))


def read_published(paper: str, table: str, as_text: bool = False) -> pd.DataFrame:
    """One published table, rows and columns in print order.

    A column whose filled cells are all whole numbers is ``Int64``, all numbers ``float64``; any other column is text,
    digits and units as printed. An empty cell is missing in a numeric column and ``""`` in a text column. ``as_text``: all
    columns are text.

    Raises ``CannotRun``, with the names that exist, when there is no such paper or no such table.
    """
    tables = published_tables(paper)
    if table not in tables:
        raise CannotRun(f"no published table {table!r} for {paper!r}: choose one of {', '.join(tables)}")
    with (_folder(paper) / f"{table}.csv").open("rb") as stream:
        read = pd.read_csv(stream, dtype="str", keep_default_na=False)
    return read if as_text else read.apply(typed)


def _folder(paper: str) -> Traversable:
    papers = published_papers()
    if paper not in papers:
        raise CannotRun(f"no published tables for paper {paper!r}: choose one of {', '.join(papers)}")
    return files("benchmarks") / paper / "published"


def typed(column: pd.Series) -> pd.Series:
    """A column of texts as whole numbers or numbers where all its filled cells are; see ``read_published``."""
    empty = column == ""
    filled = column[~empty]
    if filled.empty or not filled.str.fullmatch(_NUMBER).all():
        return column
    numbers = pd.to_numeric(column.mask(empty))
    return numbers.astype("Int64" if filled.str.fullmatch(_INTEGER).all() else "float64")
