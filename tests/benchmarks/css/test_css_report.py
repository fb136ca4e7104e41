"""The CSS report: the numbers that its sections show, and that it copes with what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.css import views
from benchmarks.css.artifacts import ARTIFACTS
from benchmarks.harness import report
from benchmarks.harness.results import write_table
from benchmarks.profiles import load_profile

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]
Text = Callable[[str, Tables], str]
SCHEMAS = {artifact.name: artifact.schema for artifact in ARTIFACTS}
TITLES = {
    "table2": "Table 2", "controls": "Why a method", "figure1": "Figure 1", "figure2": "Figure 2", "residual": "Temporal coupling",
    "beta": "The amplification factor", "comparison": "TSA and TMN", "encoding": "Input coding", "pipeline": "Latency as measured",
    "memory": "Memory of the pipelined", "analytic": "Analytic claims",
}  # fmt: skip
BLANK = {"nan", "<NA>", "None", "nan,", "inf"}


@pytest.fixture
def tables(css_tables: Make) -> Tables:
    return css_tables()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tables], str]:
    """The page of these tables, whose figures are drawn elsewhere."""
    monkeypatch.setattr(report, "svg", lambda draw: b"<svg/>\n")

    def made(tables: Tables) -> str:
        for name, table in tables.items():
            write_table(tmp_path / "results" / "embedded" / "css" / f"{name}.csv", table, SCHEMAS[name])
        path, *_ = report.render("css", load_profile("embedded"), tmp_path / "results", tmp_path / "reports")
        return path.read_text(encoding="utf-8")

    return made


@pytest.fixture
def text(page: Callable[[Tables], str]) -> Text:
    """The section of a table, with the tables that it shows alone."""

    def section(name: str, tables: Tables) -> str:
        shown = {other: tables[other] for other in ({"controls", "table2"} if name == "controls" else {name})}
        return parts(page(shown))[name]

    return section


def parts(page: str) -> dict[str, str]:
    """Sections by the first table that they show."""
    found = re.split(r"^## ", page, flags=re.MULTILINE)
    return {name: next(part for part in found if part.startswith(title)) for name, title in TITLES.items()}


def with_line(body: str, start: str) -> str:
    (line,) = [line for line in body.splitlines() if line.startswith(start)]
    return line


def skipped(table: pd.DataFrame, name: str, rows: pd.Series) -> pd.DataFrame:
    """A table whose rows were not run."""
    measures = [column.name for column in SCHEMAS[name].measures if column.name != "status"]
    table = table.copy()
    table.loc[rows, measures], table.loc[rows, "status"] = None, "not run: too slow"
    return table


def blanks(body: str) -> set[str]:
    return BLANK & set(re.sub(r"[|\[]", " ", body).split())


@pytest.mark.parametrize("stand_in", [False, True])
def test_sections_have_no_empty_number_and_mark_stand_ins(
    css_tables: Make, page: Callable[[Tables], str], stand_in: bool
) -> None:
    for name, body in parts(page(css_tables(stand_in=stand_in))).items():
        assert len(body.splitlines()) > 2 and not blanks(body), name
        assert ("†" in body) == (stand_in and name != "analytic"), name


@pytest.mark.parametrize("keep", [slice(None, None, 2), slice(1, None, 2), slice(0, 1)])
def test_sections_survive_rows_that_were_not_run(tables: Tables, page: Callable[[Tables], str], keep: slice) -> None:
    part = {"analytic": tables.pop("analytic")}  # always run
    for name, table in tables.items():
        gone = ~table["status"].str.startswith("not run")
        gone.iloc[keep] = False
        part[name] = skipped(table, name, gone)
    for name, body in parts(page(part)).items():
        assert len(body.splitlines()) > 2 and not blanks(body), name


def test_table_2_shows_printed_and_measured_accuracies(tables: Tables, text: Text) -> None:
    body = text("table2", tables)
    line = with_line(body, "| 8 |")
    assert (
        "| **TSA** | ResNet-20 | 12 | 32 | 32 | 92.10 → 92.06 | 0.04 | 92.00 → 91.90 | 0.10 [-0.02, 0.22] | **consistent** |"
        in line
    )
    assert with_line(body, "| 13 |").endswith("| 73.49 → 72.78 | 0.71 | – | – | not run: method not available yet |")
    assert "Rows that ran on fewer test images, for time: 2 on the first 1,000; 19-21 on the first 10,000." in body


@pytest.mark.parametrize(("loss", "said"), [(0.15, "consistent"), (0.17, "larger loss"), (-0.09, "smaller loss")])
def test_the_verdict_of_a_row_is_that_of_the_printed_loss_in_the_interval(
    tables: Tables, text: Text, loss: float, said: str
) -> None:
    rows = tables["table2"].copy()
    rows.loc[rows["row"] == 8, ["loss", "loss_ci95_low", "loss_ci95_high"]] = [loss, loss - 0.12, loss + 0.12]
    assert with_line(text("table2", tables | {"table2": rows}), "| 8 |").endswith(f"| **{said}** |")


def test_stand_ins_of_table_2_are_named(css_tables: Make, text: Text) -> None:
    body = text("table2", css_tables(stand_in=True))
    assert "*resnet20-thin on sklearn/digits* for ResNet-50 on ImageNet" in body
    assert "*stand-in: consistent*" in with_line(body, "| 8 |")


def test_a_row_stands_beside_its_controls(tables: Tables, text: Text) -> None:
    assert (
        "row 2 (ResNet-18 on CIFAR-10, T = 128, 1,000 images) 0.50 [0.38, 0.62], with *TTRBR, centred* 0.30 [0.18, 0.42] and"
        in text("controls", tables)
    )
    assert "RMP-SNN" not in text("controls", tables)  # not measured


def test_figure_1_has_a_column_per_silent_period_and_says_what_was_adjusted(tables: Tables, text: Text) -> None:
    body = text("figure1", tables)
    assert "0.10 [-0.02, 0.22] (latency 32)" in with_line(body, "| 12 |")
    assert "5 of 5 | 4 | 1.3 |" in with_line(body, "| ResNet-20 on CIFAR-10 | no silent period |")
    assert "Test images: 10,000." in body


def test_figure_2_names_the_best_and_the_layers_that_did_not_settle(tables: Tables, text: Text) -> None:
    body = text("figure2", tables)
    assert "91.95 at T = 16" in with_line(body, "| yes | 1 |") and "32 (T = 12)" in with_line(body, "| yes | 1 |")
    assert "76 (T = 16)" in with_line(body, "| no | 3 |") and with_line(body, "| no | 2 |").endswith("| – |")
    line = with_line(body, "| ResNet-20 on CIFAR-10 | without negative spikes, no silent period |")
    assert line.endswith("| 2 of 3 | 3 | 1.2 | T = 12: 2 layers |")


def test_a_row_that_did_not_settle_is_marked_and_rounds_are_a_range(tables: Tables, text: Text) -> None:
    rows = tables["figure1"].copy()
    rows.loc[(rows["silent_steps"] == 0) & (rows["timesteps"] == 24), "unsettled"] = 1
    rows.loc[(rows["silent_steps"] == 0) & (rows["timesteps"] == 4), "adjusted_in"] = 7
    body = text("figure1", tables | {"figure1": rows})
    assert "0.10 [-0.02, 0.22]‡ (latency 24)" in with_line(body, "| 24 |") and "‡" not in with_line(body, "| 12 |")
    assert "| 4 of 5 | 4 to 7 | 1.3 | T = 24: 1 layer |" in with_line(body, "| ResNet-20 on CIFAR-10 | no silent period |")


def test_residuals_are_put_side_by_side_with_their_ratio(tables: Tables, text: Text) -> None:
    assert with_line(text("residual", tables), "| ResNet-20 on CIFAR-10 | 0 | 12 |").endswith("| 20.0 |")
    zero = tables["residual"].assign(
        share_above=[0.0 if kind == "yes" else 0.1 for kind in tables["residual"]["negative_spikes"]]
    )
    assert with_line(text("residual", tables | {"residual": zero}), "| ResNet-20 on CIFAR-10 | 0 |").endswith("| ∞ |")


def test_best_betas_stand_beside_those_of_both_papers(tables: Tables, text: Text) -> None:
    body = text("beta", tables)
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 0 | 6 |").endswith("| 1.5 | 91.80 | 91.80 | 91.55 |")
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 1 | 8 |").endswith("| 2 | 91.80 | 91.55 | 91.80 |")


def test_the_pipeline_says_when_its_output_is_final(tables: Tables, text: Text) -> None:
    body = text("pipeline", tables)
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 1 | 12 |").endswith("| 32 | 20 | 31 | 28 | 91.96 |")  # 0.12 is near 0.04
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 0 | 12 |").endswith("| 12 | 1 | 12 | 9 | 91.96 |")


def test_an_output_that_leaves_its_last_accuracy_again_is_not_final_before(tables: Tables, text: Text) -> None:
    rows = tables["pipeline"].copy()
    rows.loc[(rows["silent_steps"] == 0) & (rows["step"] == 11), "snn_metric"] = 80.0
    rows.loc[(rows["silent_steps"] == 0) & (rows["step"] < 11), "snn_metric"] = 91.96
    assert "| 12 | 12 | 91.96 |" in with_line(text("pipeline", tables | {"pipeline": rows}), "| ResNet-20 on CIFAR-10 | 0 |")


def test_memory_is_a_line_per_way_of_running(tables: Tables, text: Text) -> None:
    body = text("memory", tables)
    assert with_line(body, "| pipelined, all layers at once |").endswith("| 700 | 700 |")
    assert with_line(body, "| layer by layer, all steps at once |").endswith("| 1200 | 4800 |")


def test_input_codes_stand_side_by_side(tables: Tables, text: Text) -> None:
    assert with_line(text("encoding", tables), "| 12 |") == "| 12 | 0.11 [-0.01, 0.23] | 0.01 [-0.11, 0.13] |"


def test_comparison_lists_both_methods_in_microjoule(tables: Tables, text: Text) -> None:
    body = text("comparison", tables)
    assert with_line(body, "| TMN | 7 |").startswith("| TMN | 7 | 27 | 0.16 [") and with_line(body, "| TMN | 7 |").endswith(
        "| 7 | 5.6 |"
    )
    assert len([line for line in body.splitlines() if line.startswith("| TSA |")]) == 6


def test_lemma_1_has_a_line_per_case(tables: Tables, text: Text) -> None:
    body = text("analytic", tables)
    assert with_line(body, "| epsilon=0.5, T=4 |").endswith("| 20 | 0 |")
    assert with_line(body, "| S12 |").endswith("| 21 cases | 0 to 0 |")


# ---- headlines and the page -------------------------------------------------------------------------------------------


def headlines(page: str) -> str:
    return "\n".join(line for line in page.partition("\n## ")[0].splitlines() if line.startswith("- "))


def test_headlines_hold_the_main_numbers(tables: Tables, page: Callable[[Tables], str]) -> None:
    lines = headlines(page(tables))
    said = "TSA on ResNet-20 on CIFAR-10, T = 12, latency 32: 92.00 → 91.90 %, loss 0.10 [-0.02, 0.22] points (printed 0.04)."
    assert said in lines
    assert "TMN T = 7 (latency 27, 7 µJ) and TSA T = 12 (latency 32, 12 µJ)." in lines
    losses = [9.0 if name == "TSA" else 0.1 for name in tables["comparison"]["method"]]
    never = page(tables | {"comparison": tables["comparison"].assign(loss=losses)})
    assert headlines(never).endswith("TMN T = 5 (latency 25, 5 µJ) and TSA none up to T = 12.")


@pytest.mark.parametrize(("name", "left"), [("table2", "- Fewest steps"), ("comparison", "- TSA on")])
def test_headlines_do_without_any_table(tables: Tables, page: Callable[[Tables], str], name: str, left: str) -> None:
    two = {other: tables[other] for other in ("table2", "comparison") if other != name}
    fewer = headlines(page(two))
    assert fewer and all(line.startswith(left) for line in fewer.splitlines())
    rows = ~tables[name]["status"].str.startswith("not run")
    assert headlines(page(two | {name: skipped(tables[name], name, rows)})) == fewer


def test_fewest_steps_of_a_method_that_was_not_run(tables: Tables) -> None:
    rows = tables["comparison"]
    assert views.fewest(rows[rows["method"] == "TSA"]).startswith("TMN not run and TSA T = 12")


@pytest.mark.parametrize("stand_in", [False, True])
def test_stored_tables_make_a_page_with_its_figures(css_tables: Make, tmp_path: Path, stand_in: bool) -> None:
    profile = load_profile("embedded")
    for name, table in css_tables(stand_in=stand_in).items():
        if name not in ("memory", "residual"):
            write_table(tmp_path / "results" / "embedded" / "css" / f"{name}.csv", table, SCHEMAS[name])
    page, *drawn = report.render("css", profile, tmp_path / "results", tmp_path / "reports")
    body = page.read_text(encoding="utf-8")
    assert len(drawn) == 5 and all(f"(css/{path.name})" in body and b"<svg" in path.read_bytes() for path in drawn)
    assert "Not run yet: `snnbench run css memory --profile embedded`." in body and "**S12**" in body
    assert body.count("stand-in: reproduced") == (10 + 1 if stand_in else 0)  # all but S02 and S03, and in their count
    assert f"thresholds from the `{profile.calibration}`" in body
    assert not stand_in or "| `resnet20-thin` | *ResNet-20 on CIFAR-10* †" in body
