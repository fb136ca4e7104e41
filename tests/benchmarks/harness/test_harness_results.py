"""Tables: one form in bytes, the same frame back, and no nonsense in or out."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.errors import CannotRun
from benchmarks.harness.results import (
    correctness_key,
    format_cell,
    read_correctness,
    read_table,
    row_keys,
    write_correctness,
    write_table,
)
from benchmarks.tables.schema import Column, TableSchema

SCHEMA = TableSchema(
    "table1",
    1,
    keys=(Column("method", "text", nullable=False), Column("timesteps", "int", minimum=1)),
    measures=(
        Column("snn_metric", "float", minimum=0, maximum=100),
        Column("mse", "sci", decimals=3, minimum=0),
        Column("ann_metric", "float", minimum=0, maximum=100),
        Column("code", "text", choices=("rate", "TTFS")),
        Column("status", "text"),
    ),
    always=("code",),
    optional=("ann_metric",),
)
FREE = TableSchema(
    "free",
    1,
    keys=(Column("name", "text"), Column("number", "int")),
    measures=(Column("x", "float", decimals=3), Column("y", "sci", decimals=4), Column("note", "text")),
)
ROWS: list[tuple[object, ...]] = [
    ("TMN", 8, 91.234, 1.5e-4, 92.0, "TTFS", "measured"),
    ("TMN", None, 90.0, 0.0, None, None, "stand-in"),
    ('OPI, "late"', 8, None, None, None, "rate", "not run: needs 3 GPUs"),
]
TEXT = '''\
method,timesteps,snn_metric,mse,ann_metric,code,status
TMN,8,91.23,1.500e-04,92.00,TTFS,measured
TMN,,90.00,0.000e+00,,,stand-in
"OPI, ""late""",8,,,,rate,not run: needs 3 GPUs
'''


def frame_of(rows: list[tuple[object, ...]], schema: TableSchema = SCHEMA) -> pd.DataFrame:
    return pd.DataFrame({name: [row[i] for row in rows] for i, name in enumerate(schema.names)}, dtype=object)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table1.csv"


def test_the_bytes_of_a_table(path: Path) -> None:
    assert write_table(path, frame_of(ROWS), SCHEMA)
    assert path.read_bytes().decode() == TEXT


def test_reading_gives_typed_columns_in_order(path: Path) -> None:
    path.write_text(TEXT, encoding="utf-8")
    frame = read_table(path, SCHEMA)
    assert list(frame.columns) == SCHEMA.names
    assert [str(kind) for kind in frame.dtypes] == ["str", "Int64", "float64", "float64", "float64", "str", "str"]
    assert frame["timesteps"].tolist() == [8, pd.NA, 8]
    assert frame["snn_metric"].fillna(-1).tolist() == [91.23, 90.0, -1]
    assert frame["code"].isna().tolist() == [False, True, False]


def test_writing_what_was_read_changes_nothing(path: Path) -> None:
    path.write_text(TEXT, encoding="utf-8")
    os.utime(path, (1, 1))
    assert not write_table(path, read_table(path, SCHEMA), SCHEMA)
    assert path.stat().st_mtime == 1
    assert write_table(path, read_table(path, SCHEMA).iloc[:2], SCHEMA)


def test_column_order_of_the_frame_and_empty_tables(path: Path) -> None:
    write_table(path, frame_of(ROWS)[SCHEMA.names[::-1]], SCHEMA)
    assert path.read_text(encoding="utf-8") == TEXT
    write_table(path, frame_of([]), SCHEMA)
    assert path.read_text(encoding="utf-8") == TEXT.splitlines(keepends=True)[0]
    assert len(read_table(path, SCHEMA)) == 0


def test_numpy_and_pandas_values_print_alike() -> None:
    whole, real = Column("n", "int"), Column("x", "float")
    assert {format_cell(v, whole) for v in (3, 3.0, np.int64(3), np.float32(3))} == {"3"}
    assert {format_cell(v, real) for v in (0.5, np.float32(0.5), np.float64(0.5))} == {"0.50"}
    assert {format_cell(v, real) for v in (None, np.nan, pd.NA, pd.NaT, np.float32("nan"))} == {""}
    assert format_cell(2**53 + 1, whole) == "9007199254740993"


def test_no_negative_zero() -> None:
    assert format_cell(-0.001, Column("x", "float")) == "0.00"
    assert format_cell(-0.0, Column("x", "sci")) == "0.00e+00"
    assert format_cell(-0.006, Column("x", "float")) == "-0.01"
    assert format_cell(-1e-300, Column("x", "sci")) == "-1.00e-300"


printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
finite = st.floats(-1e300, 1e300)
row = st.tuples(
    st.one_of(st.none(), printable, st.sampled_from(['"', ",", "NA", "nan", "null", " x ", "#"])),
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), finite, st.floats(-1000, 1000)),
    st.one_of(st.none(), finite),
    st.one_of(st.none(), printable),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(row, max_size=8, unique_by=lambda r: (r[0] or None, r[1])))
def test_a_frame_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    path = tmp_path_factory.mktemp("round") / "free.csv"
    write_table(path, frame_of(rows, FREE), FREE)
    back = read_table(path, FREE)
    assert len(back) == len(rows)
    for (name, number, x, y, note), read in zip(rows, back.to_dict("records"), strict=True):
        assert (None if pd.isna(read["name"]) else read["name"]) == (name or None)
        assert (None if pd.isna(read["number"]) else int(read["number"])) == number
        assert (None if pd.isna(read["note"]) else read["note"]) == (note or None)
        assert np.isnan(read["x"]) if x is None else read["x"] == pytest.approx(x, abs=5.1e-4, rel=1e-15)
        assert np.isnan(read["y"]) if y is None else read["y"] == pytest.approx(y, rel=5.1e-5, abs=1e-322)
    assert not write_table(path, back, FREE)  # one form in bytes: what was read is written alike
    text = path.read_bytes().decode()
    assert text.count("\n") == len(rows) + 1
    assert "-0.000," not in text
    assert len(set(row_keys(back, FREE))) == len(rows)


BAD_FILES = {
    "column missing": (TEXT.replace(",mse", ""), 1, "mse", "missing"),
    "column added": (TEXT.replace("status\n", "status,extra\n"), 1, "extra", "no such column"),
    "column twice": (TEXT.replace("code,status", "code,status,code"), 1, "code", "twice"),
    "columns reordered": (TEXT.replace("mse,ann_metric", "ann_metric,mse"), 1, "ann_metric", "'mse' is due"),
    "no header": (TEXT.partition("\n")[2], 1, "method", "missing"),
    "empty file": ("", 1, "method", "cut off"),
    "text for a number": (TEXT.replace("91.23", "good"), 2, "snn_metric", "'good' is not a number"),
    "text for an int": (TEXT.replace("TMN,8", "TMN,eight"), 2, "timesteps", "whole number"),
    "a float for an int": (TEXT.replace("TMN,8", "TMN,8.0"), 2, "timesteps", "whole number"),
    "an int too large": (TEXT.replace("TMN,8", f"TMN,{2**63}"), 2, "timesteps", "64 bits"),
    "out of range": (TEXT.replace("92.00", "192.00"), 2, "ann_metric", "above the maximum 100"),
    "below the range": (TEXT.replace("TMN,8", "TMN,0"), 2, "timesteps", "below the minimum 1"),
    "not a choice": (TEXT.replace("TTFS", "TTFSS"), 2, "code", "not one of rate, TTFS"),
    "not a number": (TEXT.replace("91.23", "nan"), 2, "snn_metric", "not finite"),
    "infinite": (TEXT.replace("91.23", "1e999"), 2, "snn_metric", "not finite"),
    "a required key empty": (TEXT.replace("TMN,,", ",,"), 3, "method", "is empty"),
    "duplicate keys": (TEXT.replace("TMN,,", "TMN,8,"), 3, "method", "same keys"),
    "too few decimals": (TEXT.replace("91.23", "91.2"), 2, "snn_metric", "'91.20'"),
    "too many decimals": (TEXT.replace("91.23", "91.234"), 2, "snn_metric", "'91.23'"),
    "wrong notation": (TEXT.replace("1.500e-04", "0.00015"), 2, "mse", "'1.500e-04'"),
    "a decimal comma": (TEXT.replace("91.23", '"91,23"'), 2, "snn_metric", "not a number"),
    "negative zero": (TEXT.replace("90.00", "-0.00"), 3, "snn_metric", "'0.00'"),
    "underscores": (TEXT.replace("91.23", "9_1.23"), 2, "snn_metric", "'91.23'"),
    "spaces": (TEXT.replace("TMN,8", "TMN, 8"), 2, "timesteps", "'8'"),
    "quote not closed": (TEXT.replace(",TTFS,", ',"TTFS,'), 2, "code", "is not quoted as it would be written"),
    "text after a quote": (TEXT.replace(",TTFS,", ',"TT"FS,'), 2, "code", "is not quoted as it would be written"),
    "quote lost": (TEXT.replace('"OPI, ""late"""', 'OPI "late"'), 4, "method", "quoted"),
    "needless quotes": (TEXT.replace(",TTFS,", ',"TTFS",'), 2, "code", "quoted"),
    "needless quotes in the header": (TEXT.replace(",mse,", ',"mse",'), 1, "mse", "quoted"),
    "cell missing": (TEXT.replace("TTFS,measured", "measured"), 2, "status", "6 cells for 7"),
    "cell added": (TEXT.replace("TTFS,measured", "TTFS,measured,"), 2, "status", "8 cells for 7"),
    "empty line": (TEXT.replace("TMN,,", "\nTMN,,"), 3, "method", "the line has 0 cells for 7 columns"),
    "cut off": (TEXT[:-5], 4, "status", "cut off"),
    "windows line ends": (TEXT.replace("\n", "\r\n"), 1, "status", "line ends"),
    "byte-order mark": ("\ufeff" + TEXT, 1, "method", "byte-order mark"),
    "control character": (TEXT.replace("needs 3", "needs\t3"), 4, "status", "unprintable"),
    "measured and empty": (TEXT.replace("91.23", ""), 2, "snn_metric", "empty though the status is 'measured'"),
    "not run and filled": (TEXT.replace(",8,,,,", ",8,1.00,,,"), 4, "snn_metric", "must be empty"),
    "not run, optional filled": (TEXT.replace(",8,,,,", ",8,,,1.00,"), 4, "ann_metric", "must be empty"),
    "unknown status": (TEXT.replace("stand-in", "guessed"), 3, "status", "'guessed' is not 'measured'"),
    "no reason": (TEXT.replace("not run: needs 3 GPUs", "not run: "), 4, "status", "not run: <reason>"),
    "no status": (TEXT.replace("stand-in", ""), 3, "status", "nan is not 'measured'"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_edited_into_nonsense(path: Path, case: str) -> None:
    text, line, column, why = BAD_FILES[case]
    assert text != TEXT
    path.write_bytes(text.encode())
    with pytest.raises(CannotRun) as caught:
        read_table(path, SCHEMA)
    message = str(caught.value)
    assert message.startswith(f"{path}: line {line}, column {column!r}: ")
    assert why in message
    assert "\n" not in message


def test_needless_quotes_after_an_empty_cell(path: Path) -> None:
    path.write_text('name,number,x,y,note\n,1,"0.500",,\n', encoding="utf-8")
    with pytest.raises(CannotRun, match="line 2, column 'x': is not quoted"):
        read_table(path, FREE)


def test_a_file_in_another_encoding(path: Path) -> None:
    path.write_bytes(TEXT.replace("needs 3 GPUs", "ben\u00f6tigt").encode("latin-1"))
    with pytest.raises(CannotRun, match="line 4, column 'status': is not UTF-8"):
        read_table(path, SCHEMA)
    path.write_bytes(TEXT.encode("utf-16"))
    with pytest.raises(CannotRun, match="line 1, column 'method': is not UTF-8"):
        read_table(path, SCHEMA)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_edit_is_read_as_the_same_table_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A file that reads at all has the one form that would be written, whatever was done to it."""
    path = tmp_path_factory.mktemp("edit") / "table1.csv"
    content = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.one_of(st.binary(max_size=2), st.sampled_from([b",", b'"', b"\n", b"0", b"-", b".", b"9"]))
        )
    path.write_bytes(content)
    try:
        frame = read_table(path, SCHEMA)
    except CannotRun as error:
        assert "\n" not in str(error)
        assert "line" in str(error)
        return
    assert not write_table(path, frame, SCHEMA)


@pytest.mark.parametrize(
    ("row", "column", "value", "why"),
    [
        (0, "snn_metric", "91.23", "not a number"),
        (0, "snn_metric", True, "not a number"),
        (0, "snn_metric", float("inf"), "not finite"),
        (0, "snn_metric", 101.0, "above the maximum"),
        (0, "snn_metric", None, "is empty though"),
        (2, "snn_metric", 1.0, "must be empty"),
        (0, "timesteps", 8.5, "not a whole number"),
        (0, "timesteps", float("inf"), "not a whole number"),
        (0, "timesteps", 2**70, "64 bits"),
        (0, "method", 5, "not a text"),
        (0, "method", "a\nb", "unprintable"),
        (0, "method", "\ud800", "unprintable"),
        (0, "method", "", "is empty"),
        (1, "timesteps", 8, "same keys"),
        (0, "code", "burst", "not one of"),
        (0, "status", "fine", "is not 'measured'"),
    ],
)
def test_a_bad_frame_is_not_written(path: Path, row: int, column: str, value: Any, why: str) -> None:
    path.write_text("old", encoding="utf-8")
    frame = frame_of(ROWS)
    frame.loc[row, column] = value
    with pytest.raises(CannotRun) as caught:
        write_table(path, frame, SCHEMA)
    message = str(caught.value)
    assert f"line {row + 2}, column " in message
    assert why in message
    assert "\n" not in message
    assert path.read_text(encoding="utf-8") == "old"


def test_a_frame_with_other_columns_is_not_written(path: Path) -> None:
    for frame, why in (
        (frame_of(ROWS).drop(columns="mse"), "'mse': the column is missing"),
        (frame_of(ROWS).assign(extra=1), "'extra': the table has no such column"),
    ):
        with pytest.raises(CannotRun, match=why):
            write_table(path, frame, SCHEMA)
    assert not path.exists()


def test_a_bound_is_on_the_printed_value(path: Path) -> None:
    frame = frame_of(ROWS)
    frame.loc[0, "ann_metric"] = 100.0000001
    assert write_table(path, frame, SCHEMA)
    assert ",100.00," in path.read_text(encoding="utf-8")


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"none\.csv: there is no such table; write it with"):
        read_table(tmp_path / "none.csv", SCHEMA)
    with pytest.raises(CannotRun, match="cannot be read"):
        read_table(tmp_path, SCHEMA)


def test_required_measures_are_filled_where_a_row_was_run_and_always_columns_anyway(path: Path) -> None:
    key, columns = (Column("k", "text"),), (Column("n", "int", nullable=False), Column("status", "text"))
    path.write_text("k,n\na,\n", encoding="utf-8")
    with pytest.raises(CannotRun, match="line 2, column 'n': is empty"):
        read_table(path, TableSchema("t", 1, key, columns[:1]))
    path.write_text("k,n,status\na,3,not run: x\nb,,not run: x\n", encoding="utf-8")
    with pytest.raises(CannotRun, match="line 3, column 'n': is empty"):
        read_table(path, TableSchema("t", 1, key, columns, always=("n",)))
    path.write_text("k,n,status\na,,not run: x\n", encoding="utf-8")
    assert read_table(path, TableSchema("t", 1, key, columns))["n"].isna().all()


def test_a_table_of_one_column(path: Path) -> None:
    schema = TableSchema("t", 1, (Column("k", "text"),), ())
    write_table(path, pd.DataFrame({"k": [None, "a"]}), schema)
    assert path.read_text(encoding="utf-8") == 'k\n""\na\n'
    assert read_table(path, schema)["k"].fillna("-").tolist() == ["-", "a"]


def test_row_keys_are_the_key_cells_of_the_file() -> None:
    assert row_keys(frame_of(ROWS), SCHEMA) == ["TMN,8", "TMN,", '"OPI, ""late""",8']
    assert correctness_key("TMN,8", "snn") == "TMN,8#snn"


def test_nonsense_in_a_schema() -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        Column("x", "number")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="printable"):
        Column("a\nb", "text")
    with pytest.raises(ValueError, match="negative"):
        Column("x", "float", decimals=-1)
    with pytest.raises(ValueError, match="same name"):
        TableSchema("t", 1, (Column("x", "text"),), (Column("x", "float"),))
    with pytest.raises(ValueError, match="no such measure: y"):
        TableSchema("t", 1, (Column("x", "text"),), (), always=("y",))


vectors = st.dictionaries(st.text(max_size=8), st.lists(st.booleans(), max_size=40).map(lambda v: np.array(v, bool)))


@settings(deadline=None, max_examples=60)
@given(vectors)
def test_correctness_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, correct: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("npz") / "table1.npz"
    assert write_correctness(path, correct)
    back = read_correctness(path)
    assert list(back) == sorted(correct)
    assert all(array.dtype == np.bool_ and np.array_equal(array, correct[name]) for name, array in back.items())
    first = path.read_bytes()
    path.unlink()
    write_correctness(path, dict(reversed(correct.items())))
    assert path.read_bytes() == first


def test_correctness_of_one_network_in_many_rows_is_stored_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ann, path = rng.random(10_000) < 0.9, tmp_path / "table1.npz"
    write_correctness(path, {f"row {i}#ann": ann for i in range(50)})
    assert path.stat().st_size < 10_000 / 8 + 1500
    write_correctness(path, {f"row {i}#snn": rng.random(10_000) < 0.9 for i in range(50)})
    assert path.stat().st_size < 50 * 10_000 / 8  # less than one bit for each sample


def test_one_changed_sample_changes_the_file_and_none_does_not(tmp_path: Path) -> None:
    path, correct = tmp_path / "table1.npz", {"a": np.ones(9, bool)}
    write_correctness(path, correct)
    os.utime(path, (1, 1))
    assert not write_correctness(path, correct)
    assert path.stat().st_mtime == 1
    assert write_correctness(path, {"a": np.arange(9) < 8})
    assert read_correctness(path)["a"].tolist() == [True] * 8 + [False]
    assert write_correctness(path, {"a": np.ones(10, bool)})


def test_the_same_content_in_other_bytes_is_left_alone(tmp_path: Path) -> None:
    path, correct = tmp_path / "table1.npz", {"a": np.ones(9, bool)}
    write_correctness(path, correct)
    with np.load(path) as members:
        np.savez(path, **members)  # as another zlib would: same arrays, other bytes
    before = path.read_bytes()
    assert not write_correctness(path, correct)
    assert path.read_bytes() == before


def test_damaged_correctness(tmp_path: Path) -> None:
    path = tmp_path / "table1.npz"
    with pytest.raises(CannotRun, match="there is no such file"):
        read_correctness(path)
    write_correctness(path, {"a": np.ones(900, bool)})
    whole = path.read_bytes()
    short = dict(np.load(path))
    for content in (whole[:-30], b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(CannotRun, match="is damaged") as caught:
            read_correctness(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    for broken in ({**short, "bits": short["bits"][:5]}, {"bits": short["bits"]}, {**short, "places": short["bits"]}):
        np.savez(path, **broken)
        with pytest.raises(CannotRun, match="is damaged"):
            read_correctness(path)
    assert write_correctness(path, {"a": np.ones(900, bool)})
    assert path.read_bytes() == whole


def test_correctness_must_be_vectors_of_bool(tmp_path: Path) -> None:
    bad: list[Any] = [np.ones(3), np.ones((2, 2), bool)]
    for array in bad:
        with pytest.raises(ValueError, match=r"a: must be bool\[N\]"):
            write_correctness(tmp_path / "x.npz", {"a": array})
