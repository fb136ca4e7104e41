"""Schemas of result tables: columns with their kinds, bounds and tolerances; keys first.

A column named ``status`` says what stands behind a row:

- ``measured``: measured in the setting of the published row;
- ``stand-in``: measured, with another dataset or network in place of the published one;
- ``not run: <reason>``: not measured.

The measures of a row are filled where it was measured and empty where it was not. ``TableSchema.always``
names measures that are exempt from this, ``TableSchema.optional`` those that may be empty in a measured row
too (the ANN's accuracy of a directly trained SNN).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks.published import read_published, typed

Kind = Literal["text", "int", "float", "sci"]

DTYPE: dict[str, Any] = {
    "text": pd.StringDtype(na_value=np.nan),
    "int": pd.Int64Dtype(),
    "float": np.dtype("float64"),
    "sci": np.dtype("float64"),
}
# Control characters and line separators would break "one line per row"; lone surrogates have no UTF-8 form.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: as in the header.
        kind: ``text``, ``int``, ``float`` (fixed point) or ``sci`` (scientific notation).
        decimals: digits after the point, for ``float`` and ``sci``.
        nullable: whether a cell may be empty. In a table with a status, that decides for the measures
            instead, except for those in ``TableSchema.always``.
        minimum, maximum: bounds of the printed value, themselves allowed.
        choices: the only values allowed.
        doc: what the column holds, with its unit.
        label: its heading in reports; the name unless given.
        rtol, atol: how far a re-run may be off in a ``float`` or ``sci`` column; both 0 for an exact value.
    """

    name: str
    kind: Kind
    decimals: int = 2
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str | int, ...] | None = None
    doc: str = ""
    rtol: float = 1e-2
    atol: float = 0.0
    label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in DTYPE:
            raise ValueError(f"column {self.name!r}: kind must be one of {', '.join(DTYPE)}, got {self.kind!r}")
        if not self.name or UNPRINTABLE.search(self.name):
            raise ValueError(f"column {self.name!r}: a name must be printable and not empty")
        if min(self.decimals, self.rtol, self.atol) < 0:
            raise ValueError(f"column {self.name!r}: decimals, rtol and atol must not be negative")


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, keys first; no two rows have the same keys.

    Args:
        name: of the table.
        version: to be raised when the columns change.
        keys: what names a row (the columns of the published table).
        measures: what was measured, and how.
        always: measures that may be filled, or empty, whatever the status.
        optional: measures that may be empty in a measured row.
    """

    name: str
    version: int
    keys: tuple[Column, ...]
    measures: tuple[Column, ...]
    always: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"table {self.name!r}: two columns have the same name")
        unknown = {*self.always, *self.optional} - {column.name for column in self.measures}
        if unknown:
            raise ValueError(f"table {self.name!r}: no such measure: {', '.join(sorted(unknown))}")

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the order of the file."""
        return self.keys + self.measures

    @property
    def names(self) -> list[str]:
        """The header."""
        return [column.name for column in self.columns]


def published_keys(paper: str, table: str, filled: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns of a table as printed, with their kinds and decimals; those named ``filled`` are never empty."""
    text = read_published(paper, table, as_text=True)
    return tuple(_printed_column(name, text[name], name in filled) for name in map(str, text))


def _printed_column(name: str, cells: pd.Series, filled: bool) -> Column:
    kinds: dict[str, Kind] = {"Int64": "int", "float64": "float"}
    kind = kinds.get(str(typed(cells).dtype), "text")
    decimals = max(2, *(len(cell.partition(".")[2]) for cell in cells)) if kind == "float" else 2
    choices = ("yes", "no") if set(cells) <= {"yes", "no"} else None
    return Column(name, kind, decimals, nullable=not filled, minimum=1 if kind == "int" else None, choices=choices)
