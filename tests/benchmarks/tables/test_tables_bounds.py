"""Claims that are bounds: edges, rows with bounds of their own, rows that are missing, and their words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from benchmarks.tables import bounds
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN, Verdict

BLANK = dict.fromkeys(("id", "statement", "tolerance", "rows", "measure", "least", "most"), "")


def said(**cells: str) -> dict[str, str]:
    return BLANK | {"rows": "t: 1, 2", "measure": "loss"} | cells


def table(*losses: float | str) -> dict[str, pd.DataFrame]:
    """Rows with these losses, or not run for these reasons."""
    known: dict[str, Any] = {"method": "M", "architecture": "A", "dataset": "D", "timesteps": 4, "n_test": 1000}
    known |= {"architecture_used": "a", "dataset_used": "d", "ann_metric_paper": 90.0, "snn_metric_paper": 89.5}
    lines = []
    for number, loss in enumerate(losses, start=1):
        run = isinstance(loss, float)
        value = loss if isinstance(loss, float) else float("nan")
        found = {"loss": value, "loss_ci95_low": value - 0.1, "loss_ci95_high": value + 0.1}
        lines.append(known | {"row": number} | found | {"status": "measured" if run else f"not run: {loss}"})
    return {"t": pd.DataFrame(lines)}


def verdict(monkeypatch: pytest.MonkeyPatch, tables: dict[str, pd.DataFrame], **cells: str) -> Verdict:
    monkeypatch.setattr(bounds, "printed_claims", lambda paper: {"C1": said(**cells)})
    return bounds.bounded("paper", "C1")(tables)


@pytest.mark.parametrize(
    ("loss", "status"), [(0.3, REPRODUCED), (0.31, PARTLY), (-0.2, REPRODUCED), (-0.21, PARTLY), (0.1 + 0.2, REPRODUCED)]
)
def test_a_bound_includes_its_edge(monkeypatch: pytest.MonkeyPatch, loss: float, status: str) -> None:
    assert verdict(monkeypatch, table(0.0, loss), least="-0.2", most="0.3").status == status


@pytest.mark.parametrize(
    ("losses", "status"), [((0.3, 0.5), REPRODUCED), ((0.4, 0.5), PARTLY), ((0.3, 0.6), PARTLY), ((0.5, 0.6), NOT_REPRODUCED)]
)
def test_each_row_may_have_its_own_bound_and_an_empty_one_is_open(
    monkeypatch: pytest.MonkeyPatch, losses: tuple[float, float], status: str
) -> None:
    assert verdict(monkeypatch, table(*losses), most="0.3; 0.5").status == status
    assert verdict(monkeypatch, table(-99.0, -99.0), most="0.3; 0.5").status == REPRODUCED


def test_bounds_must_be_one_or_as_many_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        verdict(monkeypatch, table(0.0, 0.0), most="0.3; 0.5; 0.7")


def test_a_measure_may_be_an_expression_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = "loss - ann_metric_paper + snn_metric_paper"  # half a point is printed
    assert verdict(monkeypatch, table(0.4, 0.5), measure=measure, most="0").status == REPRODUCED
    assert verdict(monkeypatch, table(0.4, 0.6), measure=measure, most="0").status == PARTLY


def test_missing_rows_leave_a_claim_partly_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, table(0.0, "no weights (get them)"), most="0.3")
    assert found.status == PARTLY and found.evidence == (
        "Row 1 (M, A on D, T = 4, 1,000 images): loss 0.00 [-0.10, 0.10] points, printed 0.50; row 2: no weights."
    )
    assert verdict(monkeypatch, table(0.0), most="0.3").evidence.endswith("; row 2: not run yet.")
    assert verdict(monkeypatch, table(0.9, "no weights"), most="0.3").status == NOT_REPRODUCED


def test_without_any_row_a_claim_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, table("no weights", "no data"), most="0.3")
    assert found == Verdict(NOT_TESTED, "`t`, row 1: no weights; row 2: no data.")
    assert verdict(monkeypatch, {}, most="0.3") == Verdict(NOT_TESTED, "`t` was not run yet.")


def test_a_stand_in_marks_the_verdict_and_is_named_with_a_dagger(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = table(0.0, 0.0)
    tables["t"].loc[1, "status"] = "stand-in"
    found = verdict(monkeypatch, tables, most="0.3")
    assert found.status == STAND_IN + REPRODUCED and "row 2 (M, *a on d* †, T = 4" in found.evidence


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"least": "-0.2", "most": "0.2"}, "within 0.2 of zero"),
        ({"most": "0.3"}, "at most 0.3"),
        ({"least": "1"}, "at least 1"),
        ({"least": "above 1"}, "above 1"),
        ({"rows": "t: method == 'M'", "least": "1", "tolerance": "one"}, "one"),
        ({"least": "1", "most": "2"}, "at least 1 and at most 2"),
        ({"most": "0.3; 0.5; 1.6", "tolerance": "twice"}, "at most 0.3, 0.5 and 1.6 (twice)"),
        ({"rows": "", "tolerance": "exact"}, "exact"),
    ],
)
def test_tolerances_in_words(cells: dict[str, str], words: str) -> None:
    assert bounds.tolerance(said(**cells)) == words


def test_pairs_are_named_one_by_one_and_a_bound_may_leave_out_its_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {"rows": "t: row = 1 / 2, 3 by timesteps", "measure": "loss / other_loss", "least": "above 1", "most": "2"}
    found = verdict(monkeypatch, table(2.0, 1.0, 2.0), **pairs)
    assert (found.status, found.evidence) == (PARTLY, "Timesteps 4, against 2: 2.00; timesteps 4, against 3: 1.00.")
    assert bounds.tolerance(said(**pairs)) == "above 1 and at most 2"
    assert verdict(monkeypatch, table(2.0), **pairs).evidence == "`t` has no pair of row = 1 and 2, 3."


# ---- conditions -------------------------------------------------------------------------------------------------------


def test_conditions_name_rows_with_bounds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "t: row == 1; row > 1"
    tables = {"t": table(0.1, 0.2, 0.4)["t"].assign(status="stand-in")}
    found = verdict(monkeypatch, tables, rows=rows, most="0.1; 0.4")
    assert found == Verdict(STAND_IN + REPRODUCED, "`loss` (*a on d* †): 0.1; `loss` (*a on d* †): 0.2 to 0.4.")
    assert verdict(monkeypatch, tables, rows=rows, most="0.1; 0.3").status == STAND_IN + PARTLY
    assert verdict(monkeypatch, {"t": tables["t"].head(1)}, rows=rows, most="1").evidence == "`t` has no row with row > 1."
    assert verdict(monkeypatch, table("no data"), rows=rows, most="1") == Verdict(NOT_TESTED, "`t` was not run: no data.")


def test_cases_bound_what_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [("C1", "variance", f"T = {t}, layer {layer}", 2 / t) for t in (4, 8) for layer in (1, 2)] + [("C2", "variance", "", 9.0)]
    cases = pd.DataFrame(lines, columns=["claim", "quantity", "case", "value"]).assign(status="measured")
    of = {"id": "C1", "rows": "analytic: quantity == 'variance' and layer <= 2", "measure": "value * T / 2", "least": "1", "most": "1"}
    assert verdict(monkeypatch, {"analytic": cases}, **of) == Verdict(REPRODUCED, "Variance, `value * T / 2` (T = 4, layer 1; T = 4, layer 2; T = 8, layer 1; T = 8, layer 2): 1.")
    first = of | {"rows": "analytic: layer == 1 and T == 8", "measure": "value", "most": ""}
    assert verdict(monkeypatch, {"analytic": cases}, **first) == Verdict(NOT_REPRODUCED, "Variance (T = 8, layer 1): 0.25.")
