"""The regression check: sees one altered image and every real change, and forgives float noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import CannotRun
from benchmarks.harness.compare import Comparison, Difference, compare_tables, noise_limit
from benchmarks.harness.results import correctness_key, row_key
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.statistics import accuracy_columns

PERCENT = {"minimum": 0, "maximum": 100}
SCHEMA = TableSchema(
    "table1",
    1,
    keys=(Column("method", "text", nullable=False), Column("timesteps", "int")),
    measures=(
        Column("ann_metric", "float", **PERCENT),  # type: ignore[arg-type]
        Column("snn_metric", "float", **PERCENT),  # type: ignore[arg-type]
        Column("loss", "float"),
        Column("n_test", "int"),
        Column("ci95_low", "float"),
        Column("ci95_high", "float"),
        Column("mse", "sci", decimals=4),
        Column("energy", "float", rtol=0.05),
        Column("residual", "sci", atol=1e-6),
        Column("analytic", "float", decimals=4, rtol=0),
        Column("latency", "int"),
        Column("dataset_used", "text"),
        Column("status", "text"),
    ),
    optional=("ann_metric", "loss"),
)
N = 10_000


class Table:
    """A table with its correctness, of rows that a test may alter one by one."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.correct: dict[str, np.ndarray] = {}

    def add(self, method: str, timesteps: int, ann: np.ndarray | None, snn: np.ndarray) -> Table:
        key = row_key([method, str(timesteps)])
        self.rows[key] = {
            "method": method, "timesteps": timesteps, "mse": 1.2345e-4, "energy": 5.0, "residual": 0.0,
            "analytic": 0.25, "latency": 9, "dataset_used": "ylecun/mnist", "status": "measured",
            **accuracy_columns(ann, snn),
        }  # fmt: skip
        self.correct[correctness_key(key, "snn")] = snn
        if ann is not None:
            self.correct[correctness_key(key, "ann")] = ann
        return self

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame([{name: row.get(name) for name in SCHEMA.names} for row in self.rows.values()], dtype=object)


def sample(seed: int, n: int = N, accuracy: float = 0.9) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < accuracy


def turned(correct: np.ndarray, lost: int, won: int) -> np.ndarray:
    """``lost`` samples no longer right and ``won`` newly right."""
    changed = correct.copy()
    changed[np.flatnonzero(correct)[:lost]] = False
    changed[np.flatnonzero(~correct)[:won]] = True
    return changed


def table(snn: np.ndarray | None = None) -> Table:
    second = sample(2) if snn is None else snn
    return Table().add("TMN", 8, sample(0), sample(1)).add("QCFS", 8, sample(0), second)


def check(stored: Table, fresh: Table) -> Comparison:
    return compare_tables(stored.frame(), fresh.frame(), SCHEMA, stored.correct, fresh.correct)


def only(comparison: Comparison) -> Difference:
    (difference,) = comparison.differences
    return difference


def test_equal_tables_have_no_difference() -> None:
    assert check(table(), table()) == Comparison([], [])


def test_digits_that_are_not_printed_do_not_count() -> None:
    fresh = table()
    fresh.rows["TMN,8"]["mse"] += 1e-13
    fresh.rows["TMN,8"]["analytic"] += 1e-7
    assert check(table(), fresh) == Comparison([], [])


@pytest.mark.parametrize("column", ["ann_metric", "snn_metric", "loss", "ci95_low", "ci95_high"])
@pytest.mark.parametrize("step", [0.01, -0.01])
def test_one_image_altered_by_hand_in_the_stored_table(column: str, step: float) -> None:
    stored = table()
    due = stored.rows["QCFS,8"][column]
    stored.rows["QCFS,8"][column] = due + step
    found = only(check(stored, table()))
    assert (found.row, found.column) == ("QCFS,8", column)
    assert (found.stored, found.fresh) == (f"{due + step:.2f}", f"{due:.2f}")
    assert "stored value must be what its per-sample correctness gives" in found.reason


def test_a_consistent_lie_in_one_cell_and_its_correctness_is_seen_by_the_rest() -> None:
    stored = table()
    stored.correct["TMN,8#snn"] = turned(stored.correct["TMN,8#snn"], 1, 0)
    columns = {it.column for it in check(stored, table()).differences}
    assert {"snn_metric", "loss"} <= columns


def test_a_fresh_table_that_contradicts_its_correctness() -> None:
    fresh = table()
    fresh.rows["TMN,8"]["ci95_low"] -= 1
    found = only(check(table(), fresh))
    assert (found.row, found.column) == ("TMN,8", "ci95_low")
    assert "fresh value must be" in found.reason


@pytest.mark.parametrize(("lost", "won"), [(1, 0), (0, 1), (5, 0), (0, 5), (7, 3), (10, 10), (14, 5)])
def test_float_noise_is_a_note(lost: int, won: int) -> None:
    result = check(table(), table(turned(sample(2), lost, won)))
    assert result.differences == []
    (note,) = result.notes
    assert (note.row, note.column) == ("QCFS,8", "snn_metric")
    assert f"{lost} are no longer right and {won} newly are" in note.reason
    assert note.reason.startswith("float noise")


@pytest.mark.parametrize(("lost", "won"), [(6, 0), (0, 6), (13, 4), (11, 10), (0, 300), (200, 200)])
def test_a_real_change_is_a_difference_with_its_evidence(lost: int, won: int) -> None:
    snn = turned(sample(2), lost, won)
    found = only(check(table(), table(snn)))
    assert (found.row, found.column) == ("QCFS,8", "snn_metric")
    assert (found.stored, found.fresh) == (f"{100 * sample(2).mean():.2f}", f"{100 * snn.mean():.2f}")
    assert f"of {N} samples {lost} are no longer right and {won} newly are, p = " in found.reason
    assert "(tolerance: p >= 0.05 and at most 20 changed)" in found.reason


def test_a_changed_ann_is_named_as_such() -> None:
    fresh = table()
    fresh.add("TMN", 8, turned(sample(0), 40, 0), sample(1))
    assert {(it.row, it.column) for it in check(table(), fresh).differences} == {("TMN,8", "ann_metric")}


@pytest.mark.parametrize(("n", "limit"), [(100, 2), (360, 2), (1499, 2), (1500, 3), (10_000, 20), (50_000, 100)])
def test_how_many_samples_may_change(n: int, limit: int) -> None:
    assert noise_limit(n) == limit
    correct = sample(1, n, 0.5)

    def result(changed: int) -> Comparison:
        won = changed // 2
        fresh = turned(correct, changed - won, won)
        return check(Table().add("TMN", 8, None, correct), Table().add("TMN", 8, None, fresh))

    assert result(limit).differences == []
    assert len(result(limit + 1).differences) == 1


def test_other_samples() -> None:
    stored, fresh = Table().add("TMN", 8, None, sample(0)), Table().add("TMN", 8, None, sample(0)[:-1])
    found = {it.column: it for it in check(stored, fresh).differences}
    assert set(found) == {"n_test", "snn_metric"}
    assert found["n_test"].reason == "must be equal"
    assert "10000 stored and 9999 fresh samples" in found["snn_metric"].reason


@pytest.mark.parametrize("side", ["stored", "fresh"])
def test_missing_evidence_is_a_difference(side: str) -> None:
    tables = {"stored": table(), "fresh": table()}
    del tables[side].correct["TMN,8#snn"], tables[side].correct["TMN,8#ann"]
    differences = check(**tables).differences
    assert {(it.row, it.column) for it in differences} == {("TMN,8", "ann_metric"), ("TMN,8", "snn_metric")}
    assert all(f"there is no {side} per-sample correctness" in it.reason for it in differences)


def test_evidence_for_one_network_only_does_not_back_the_other() -> None:
    stored, fresh = table(), table()
    for it in (stored, fresh):
        del it.correct["TMN,8#ann"]
    assert {(it.row, it.column) for it in check(stored, fresh).differences} == {("TMN,8", "ann_metric"), ("TMN,8", "loss")}


def test_evidence_that_belongs_to_no_row_or_cannot_be_used() -> None:
    stored = table()
    stored.correct["TMN,9#snn"] = sample(0)
    found = only(check(stored, table()))
    assert (found.row, found.column) == ("TMN,9#snn", "correctness")
    assert "stored per-sample correctness belongs to no row" in found.reason
    stored = table()
    stored.correct["TMN,8#ann"] = sample(0)[:5]
    reasons = [it.reason for it in check(stored, table()).differences]
    assert any("cannot be used: correctness of different samples" in reason for reason in reasons)


def test_accuracies_without_any_correctness_go_by_their_tolerance() -> None:
    stored, fresh = table(), table()
    stored.correct, fresh.correct = {}, {}
    fresh.rows["TMN,8"]["snn_metric"] *= 1.005
    result = check(stored, fresh)
    assert result.differences == []
    assert [note.column for note in result.notes] == ["snn_metric"]
    fresh.rows["TMN,8"]["snn_metric"] *= 0.9
    assert only(check(stored, fresh)).column == "snn_metric"


def test_rows_that_are_missing_added_or_moved() -> None:
    one = Table().add("TMN", 8, sample(0), sample(1))
    lost, added = only(check(table(), one)), only(check(one, table()))
    assert (lost.row, lost.column, lost.fresh) == ("QCFS,8", "rows", "absent")
    assert (added.row, added.column, added.stored) == ("QCFS,8", "rows", "absent")
    moved = table()
    moved.rows = dict(reversed(moved.rows.items()))
    found = only(check(table(), moved))
    assert (found.row, found.column, found.stored, found.fresh) == ("TMN,8", "rows", "TMN,8", "QCFS,8")


@pytest.mark.parametrize(
    ("column", "value"),
    [("latency", 10), ("dataset_used", "other"), ("status", "stand-in"), ("analytic", 0.2501)],
)
def test_exact_columns(column: str, value: object) -> None:
    fresh = table()
    fresh.rows["TMN,8"][column] = value
    found = only(check(table(), fresh))
    assert (found.row, found.column, found.fresh) == ("TMN,8", column, str(value))
    assert found.reason == "must be equal"


@pytest.mark.parametrize(
    ("column", "value", "within"),
    [
        ("mse", 1.2345e-4 * 1.009, True),
        ("mse", 1.2345e-4 * 0.991, True),
        ("mse", 1.2469e-4, True),  # 0.994 % of the larger, 1.004 % of the smaller
        ("mse", 1.2345e-4 * 1.02, False),
        ("mse", -1.2345e-4, False),
        ("mse", 0.0, False),
        ("energy", 5.25, True),
        ("energy", 5.3, False),
        ("residual", 1e-6, True),
        ("residual", 1.02e-6, False),
    ],
)
def test_columns_with_a_tolerance(column: str, value: float, within: bool) -> None:
    fresh = table()
    fresh.rows["TMN,8"][column] = value
    result = check(table(), fresh)
    (found,) = result.notes if within else result.differences
    assert not (result.differences if within else result.notes)
    assert (found.row, found.column) == ("TMN,8", column)
    assert "rtol" in found.reason


def not_run(key: str, reason: str = "needs a GPU") -> Table:
    it = table()
    method, timesteps = key.split(",")
    it.rows[key] = {"method": method, "timesteps": int(timesteps), "status": f"not run: {reason}"}
    del it.correct[f"{key}#ann"], it.correct[f"{key}#snn"]
    return it


def test_a_row_that_ran_in_one_table_only_differs_in_its_status_alone() -> None:
    for stored, fresh in ((table(), not_run("TMN,8")), (not_run("TMN,8"), table())):
        found = only(check(stored, fresh))
        assert (found.row, found.column) == ("TMN,8", "status")


def test_rows_that_ran_in_neither_are_equal_if_the_reason_is() -> None:
    assert check(not_run("TMN,8"), not_run("TMN,8")) == Comparison([], [])
    assert only(check(not_run("TMN,8"), not_run("TMN,8", "no data"))).column == "status"


def test_an_empty_cell_is_not_within_any_tolerance() -> None:
    schema = TableSchema("t", 1, (Column("k", "text"),), (Column("x", "float", rtol=1),))
    empty, full = pd.DataFrame({"k": ["a"], "x": [np.nan]}), pd.DataFrame({"k": ["a"], "x": [1.0]})
    assert only(compare_tables(empty, full, schema, {}, {})).reason == "is empty in one of the tables"
    assert only(compare_tables(full, empty, schema, {}, {})).stored == "1.00"


def test_a_table_that_breaks_the_schema_is_named() -> None:
    fresh = table()
    fresh.rows["QCFS,8"]["mse"] = "small"
    with pytest.raises(CannotRun, match="fresh table table1: line 3, column 'mse': 'small' is not a number"):
        check(table(), fresh)


def test_a_difference_prints_on_one_line() -> None:
    text = str(Difference("TMN,8", "snn_metric", "90.00", "91.00", "why"))
    assert text == "TMN,8 | snn_metric: stored '90.00', fresh '91.00': why"
