"""Views: how rows of a table are shown, a heading and a cell for each column, and grids of one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from benchmarks.tables import markdown
from benchmarks.tables.claims import brief
from benchmarks.tables.markdown import DASH, number, plain
from benchmarks.tables.schema import TableSchema
from benchmarks.tables.status import NOT_RUN

Cell = str | Callable[[pd.Series], str]
"""A column of the table, or a function of its row."""


class View:
    """Rows of a table as a Markdown table: ``view(rows)``.

    Args:
        schema: of the table.
        columns: heading, cell and alignment of each column: ``("T", "timesteps")`` shows a column as its kind asks for, texts to
            the left and numbers to the right; ``("Steps", steps)`` what a function makes of the row, to the right;
            ``("Network", network, "l")`` to the left. A name alone has the column's label as its heading.
        ours: how many columns, the last ones, hold what we measured. Of a row that was not run they say why, of a stand-in they
            are in italics, the first with a †.

    Raises:
        ValueError: a column that the table does not have.
    """

    def __init__(self, schema: TableSchema, *columns: str | tuple[str, Cell] | tuple[str, Cell, str], ours: int = 0) -> None:
        self.ours, self.headings, self.cells = ours, [], []
        known = {column.name: column for column in schema.columns}
        aligned = []
        for column in columns:
            heading, cell, *align = (column, column) if isinstance(column, str) else column
            if isinstance(cell, str):
                if cell not in known:
                    raise ValueError(f"table {schema.name} has no column {cell!r}; it has {', '.join(known)}")
                heading = known[cell].label or cell if isinstance(column, str) else heading
                align = align or ["l" if known[cell].kind == "text" else "r"]
                decimals = known[cell].decimals
                cell = _of_column(cell, decimals)
            self.headings.append(heading)
            self.cells.append(cell)
            aligned += align or ["r"]
        self.aligned = "".join(aligned)

    def __call__(self, rows: pd.DataFrame | Iterable[pd.Series]) -> str:
        """The table of these rows."""
        each = (row for _, row in rows.iterrows()) if isinstance(rows, pd.DataFrame) else rows
        return markdown.table(self.headings, map(self._line, each), self.aligned)

    def _line(self, row: pd.Series) -> list[str]:
        known = len(self.cells) - self.ours
        line = [cell(row) for cell in self.cells[:known]]
        if self.ours and row["status"].startswith(NOT_RUN):
            return [*line, *[DASH] * (self.ours - 1), why(row)]
        found = [cell(row) for cell in self.cells[known:]]
        if found and row["status"] == "stand-in":
            found = [f"*{found[0]}* †", *(f"*{cell}*" for cell in found[1:])]
        return line + found


def why(row: pd.Series) -> str:
    """Why a row was not run, in short."""
    return plain(brief(row["status"]).removesuffix(f": {row.get('method')}"))


def _of_column(name: str, decimals: int) -> Callable[[pd.Series], str]:
    return lambda row: shown(row[name], decimals)


def shown(value: Any, decimals: int = 2) -> str:
    """A value as tables show it: a dash where it is missing."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return DASH
    return number(value, decimals) if isinstance(value, float) else str(value)


def grid(
    rows: pd.DataFrame,
    down: str | Sequence[str],
    across: str | Sequence[str],
    cell: Callable[[pd.Series], str],
    headings: Sequence[str],
    *,
    left: Callable[..., str | Sequence[str]] = str,
    top: Callable[..., str] = str,
    sort: bool = True,
    align: str = "r",
) -> str:
    """One value of rows over two groups of columns; a dash where there is no row.

    Args:
        rows: at most one for each cell.
        down, across: columns that tell lines and columns apart, across in the order of the rows.
        cell: the value of a row.
        headings: above the names of lines.
        left, top: names of a line and of a column, from the values in ``down`` and ``across``.
        sort: whether lines are sorted by their values, or in the order of the rows.
        align: of the names of lines, a letter for each.
    """
    lines: dict[Any, dict[Any, str]] = {}
    tops: dict[Any, str] = {}
    for _, row in rows.iterrows():
        place, column = _values(row, down), _values(row, across)
        tops.setdefault(column, top(*column))
        lines.setdefault(place, {})[column] = cell(row)
    made = []
    for place in sorted(lines) if sort else lines:
        names = left(*place)
        made.append([*([names] if isinstance(names, str) else names), *(lines[place].get(column, DASH) for column in tops)])
    return markdown.table([*headings, *tops.values()], made, align + "r" * len(tops))


def least_in_bold(
    cells: pd.DataFrame, headings: Sequence[str], name: Callable[..., str], show: Callable[[float], str], align: str = "r"
) -> str:
    """A table of numbers, the least of each column in bold."""
    texts = cells.map(show).mask(cells.eq(cells.min()), "**" + cells.map(show) + "**")
    lines = [[name(place), *line] for place, line in texts.iterrows()]
    return markdown.table(headings, lines, align + "r" * len(cells.columns))


def _values(row: pd.Series, columns: str | Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ([columns] if isinstance(columns, str) else columns))
