"""Result tables: CSV files with a schema, and the per-sample correctness beside them.

A table is UTF-8 text, comma-separated, one line per row, ``\\n`` at the end of each line, columns in the
order of its schema, numbers with fixed decimals; each table therefore has just one form in bytes, and
reading rejects every other. An empty cell is a missing value; an empty text and a missing one are the same.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from benchmarks.errors import CannotRun
from benchmarks.files import atomic_write_bytes, pack_arrays, read_written, unpack_arrays
from benchmarks.tables.schema import DTYPE, UNPRINTABLE, Column, TableSchema

STATUS = "status"

_DUE = {"text": "a text", "int": "a whole number", "float": "a number", "sci": "a number in scientific notation"}
_ROW_STATUS = re.compile(r"measured|stand-in|(not run): \S.*")


def write_table(path: Path, frame: pd.DataFrame, schema: TableSchema) -> bool:
    """Write a table, whose frame has the columns of the schema in any order; whether the bytes of the file changed.

    CannotRun where a value breaks the schema (named by line and column, as `read_table` does), or the file cannot be written.
    """
    rows = format_rows(frame, schema, f"{path}: not written")
    return atomic_write_bytes(path, _render([schema.names, *rows]).encode())


def read_table(path: Path, schema: TableSchema) -> pd.DataFrame:
    """Read a table that `write_table` wrote: typed columns in the schema's order, as `DTYPE` has them.

    CannotRun where there is no such file, or it is not in the form of `write_table` or breaks the schema: line, column.
    """
    data = read_written(path, "table")
    try:
        return _parse(_split(data, schema), schema)
    except _BadCell as bad:
        raise CannotRun(f"{path}: {bad}; restore the file or write it anew with `snnbench run`") from bad


def format_rows(frame: pd.DataFrame, schema: TableSchema, where: str) -> list[list[str]]:
    """The cells of a table as they are printed, in the order of rows and of the schema's columns.

    CannotRun, saying ``where``, for a value that breaks the schema.
    """
    try:
        _check_names(list(frame.columns), schema, ordered=False)
        values = [frame[name].tolist() for name in schema.names]
        rows = [
            [_cell(value, column, line) for value, column in zip(row, schema.columns, strict=True)]
            for line, row in enumerate(zip(*values, strict=True), start=2)
        ]
        _parse(rows, schema)
    except _BadCell as bad:
        raise CannotRun(f"{where}: {bad}; fix the code that produced the value") from bad
    return rows


def format_cell(value: Any, column: Column) -> str:
    """One value as it is printed; None, NaN and pandas' NA are empty. ValueError where it is not of the column's kind."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float | np.floating) and math.isnan(value):
        return ""
    if column.kind == "text" and isinstance(value, str):
        return value
    if column.kind != "text" and not isinstance(value, bool):
        if isinstance(value, int | np.integer):
            return str(int(value)) if column.kind == "int" else _digits(int(value), column)
        if isinstance(value, float | np.floating):
            if column.kind != "int":
                return _digits(float(value), column)
            if float(value).is_integer():  # pandas turns a column of int with a missing cell into float
                return str(int(value))
    raise ValueError(f"{value!r} is not {_DUE[column.kind]}")


def row_keys(frame: pd.DataFrame, schema: TableSchema) -> list[str]:
    """One text for each row that names it: its key cells as in the CSV, such as ``TMN,uoft-cs/cifar10,8``."""
    count = len(schema.keys)
    return [row_key(row[:count]) for row in format_rows(frame, schema, f"table {schema.name}")]


def row_key(cells: Sequence[str]) -> str:
    """The name of a row, from its printed key cells."""
    return _line(cells)


class _BadCell(Exception):
    def __init__(self, line: int, column: str, why: str) -> None:
        super().__init__(f"line {line}, column {column!r}: {why}")


def _cell(value: Any, column: Column, line: int) -> str:
    try:
        return format_cell(value, column)
    except ValueError as error:
        raise _BadCell(line, column.name, str(error)) from error


def _digits(number: int | float, column: Column) -> str:
    text = f"{number:.{column.decimals}{'e' if column.kind == 'sci' else 'f'}}"
    return text.removeprefix("-") if float(text) == 0 else text  # no negative zero


def _parse(rows: Sequence[Sequence[str]], schema: TableSchema) -> pd.DataFrame:
    """Printed cells as typed columns: the one place where a table is validated, written or read."""
    values = [
        [_value(cell, column, line) for cell, column in zip(row, schema.columns, strict=True)]
        for line, row in enumerate(rows, start=2)
    ]
    frame = pd.DataFrame(
        {column.name: pd.Series([row[i] for row in values], dtype=DTYPE[column.kind]) for i, column in enumerate(schema.columns)}
    )
    _validate(frame, schema)
    _check_status(frame, schema)
    return frame


def _value(cell: str, column: Column, line: int) -> str | int | float | None:
    if cell == "":
        return None
    if column.kind == "text":
        if UNPRINTABLE.search(cell):
            raise _BadCell(line, column.name, f"{cell!r} holds a line break or another unprintable character")
        return cell
    try:
        value = int(cell) if column.kind == "int" else float(cell)
    except ValueError as error:
        raise _BadCell(line, column.name, f"{cell!r} is not {_DUE[column.kind]}") from error
    if not math.isfinite(value):
        raise _BadCell(line, column.name, f"{cell!r} is not finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _BadCell(line, column.name, f"{cell!r} does not fit into 64 bits")
    printed = str(value) if isinstance(value, int) else _digits(value, column)
    if printed != cell:
        raise _BadCell(line, column.name, f"{cell!r} is not in the column's format, that would be {printed!r}")
    return value


def _validate(frame: pd.DataFrame, schema: TableSchema) -> None:
    measured = {column.name for column in schema.measures} - set(schema.always)
    by_status = measured if STATUS in schema.names else set()
    checks = {
        column.name: pa.Column(DTYPE[column.kind], _checks(column), nullable=column.nullable or column.name in by_status)
        for column in schema.columns
    }
    unique = [column.name for column in schema.keys] or None
    model = pa.DataFrameSchema(checks, unique=unique, report_duplicates="exclude_first")
    try:
        model.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        order = {name: i for i, name in enumerate(schema.names)}
        failures = errors.failure_cases.to_dict("records")
        first = min(failures, key=lambda failure: (failure["index"], order[failure["column"]]))
        why = {
            "not_nullable": "is empty, and must not be",
            "multiple_fields_uniqueness": "has the same keys as an earlier line",
        }.get(first["check"], f"{first['failure_case']!r} {first['check']}")
        raise _BadCell(int(first["index"]) + 2, first["column"], why) from errors


def _checks(column: Column) -> list[pa.Check]:
    checks = []
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"is below the minimum {column.minimum}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"is above the maximum {column.maximum}"))
    if column.choices is not None:
        checks.append(pa.Check.isin(column.choices, error=f"is not one of {', '.join(map(str, column.choices))}"))
    return checks


def _check_status(frame: pd.DataFrame, schema: TableSchema) -> None:
    if STATUS not in schema.names:
        return
    measures = [column.name for column in schema.measures if column.name not in {STATUS, *schema.always}]
    empty = {name: frame[name].isna().tolist() for name in measures}
    for i, status in enumerate(frame[STATUS].tolist()):
        match = _ROW_STATUS.fullmatch(status) if isinstance(status, str) else None
        if match is None:
            raise _BadCell(i + 2, STATUS, f"{status!r} is not 'measured', 'stand-in' or 'not run: <reason>'")
        for name in measures:
            if match[1] and not empty[name][i]:
                raise _BadCell(i + 2, name, f"must be empty where the status is {status!r}")
            if not match[1] and empty[name][i] and name not in schema.optional:
                raise _BadCell(i + 2, name, f"is empty though the status is {status!r}")


def _render(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _line(cells: Sequence[str]) -> str:
    return _render([cells]).removesuffix("\n")


def _split(data: bytes, schema: TableSchema) -> list[list[str]]:
    """The cells of a file below its header, once it is sure that `_render` would give the same bytes."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().split("\n")
        raise _BadCell(len(before), _column_at(before[-1], schema), "is not UTF-8 text") from error
    if text.startswith("\ufeff"):
        raise _BadCell(1, schema.names[0], "a byte-order mark comes before the header; save as UTF-8 without it")
    *lines, rest = text.split("\n")
    if rest or not lines:
        raise _BadCell(len(lines) + 1, _column_at(rest, schema), "the line is cut off (no line end)")
    rows = [_cells(line) for line in lines]
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        if line.endswith("\r"):
            raise _BadCell(number, schema.names[-1], "ends in '\\r\\n'; save with '\\n' line ends")
        if number == 1:
            _check_names(row, schema, ordered=True)
        if line != _line(row):
            raise _BadCell(number, _deviating_column(line, row, schema), "is not quoted as it would be written")
        if len(row) != len(schema.names):
            column = schema.names[min(len(row), len(schema.names) - 1)]
            raise _BadCell(number, column, f"the line has {len(row)} cells for {len(schema.names)} columns")
    return rows[1:]


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a carriage return outside quotes
        return []


def _column_at(beginning: str, schema: TableSchema) -> str:
    """The column in which the beginning of a line ends."""
    return schema.names[min(max(len(_cells(beginning)), 1), len(schema.names)) - 1]


def _deviating_column(line: str, row: Sequence[str], schema: TableSchema) -> str:
    for i, name in enumerate(schema.names):
        if not f"{line},".startswith(_line([*row[: i + 1], ""])):
            return name
    return schema.names[-1]


def _check_names(names: Sequence[Any], schema: TableSchema, ordered: bool) -> None:
    for name in schema.names:
        if name not in names:
            raise _BadCell(1, name, "the column is missing")
    for i, name in enumerate(names):
        if name not in schema.names:
            raise _BadCell(1, str(name), "the table has no such column")
        if name in names[:i]:
            raise _BadCell(1, name, "the column is there twice")
        if ordered and name != schema.names[i]:
            raise _BadCell(1, name, f"the column is out of order, {schema.names[i]!r} is due here")


def write_correctness(path: Path, correct: Mapping[str, NDArray[np.bool_]]) -> bool:
    """Write which samples were classified rightly, bool[N] by `correctness_key`; whether the content changed.

    One bit for each sample, equal vectors once, compressed. The same content is left alone, also where another build of zlib
    would compress it to other bytes. ValueError where an array is not bool[N], CannotRun where the file cannot be written.
    """
    names = sorted(correct)
    for name in names:
        if correct[name].dtype != np.bool_ or correct[name].ndim != 1:
            raise ValueError(f"{name}: must be bool[N], got {correct[name].dtype}{list(correct[name].shape)}")
    if path.exists() and _holds(path, correct):
        return False
    starts: dict[bytes, int] = {}
    where = []
    for name in names:
        bits = np.packbits(correct[name]).tobytes()
        where.append((starts.setdefault(bits, sum(map(len, starts))), len(correct[name])))
    arrays: dict[str, NDArray[Any]] = {
        "names": np.frombuffer(json.dumps(names).encode(), dtype=np.uint8),
        "places": np.array(where, dtype=np.int64).reshape(-1, 2),  # first byte in bits, number of samples
        "bits": np.frombuffer(b"".join(starts), dtype=np.uint8),
    }
    return atomic_write_bytes(path, pack_arrays(arrays))


def read_correctness(path: Path) -> dict[str, NDArray[np.bool_]]:
    """Read what `write_correctness` wrote, sorted by name; CannotRun where there is no such file, or it is damaged."""
    data = read_written(path)
    try:
        arrays = unpack_arrays(data)
        names, places, bits = json.loads(arrays["names"].tobytes()), arrays["places"], arrays["bits"]
        return {name: _bits(bits, start, length) for name, (start, length) in zip(names, places.tolist(), strict=True)}
    except (ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise CannotRun(f"{path}: is damaged ({why}); restore it or write it anew with `snnbench run`") from error


def correctness_key(row: str, network: Literal["ann", "snn"]) -> str:
    """The name under which a row's correctness is stored, from the row's name (`row_keys`)."""
    return f"{row}#{network}"


def _bits(bits: NDArray[np.uint8], start: int, length: int) -> NDArray[np.bool_]:
    end = start + (length + 7) // 8
    if not 0 <= start <= end <= len(bits):
        raise ValueError("a vector reaches beyond the stored bits")
    return np.unpackbits(bits[start:end], count=length).astype(np.bool_)


def _holds(path: Path, correct: Mapping[str, NDArray[np.bool_]]) -> bool:
    try:
        stored = read_correctness(path)
    except CannotRun:  # damaged: it is about to be replaced
        return False
    return stored.keys() == correct.keys() and all(np.array_equal(stored[name], correct[name]) for name in correct)
