"""Sections of the CSS report: the numbers that they show, and that they cope with what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchmarks.css import report
from benchmarks.harness.report import render
from benchmarks.harness.results import write_table
from benchmarks.profiles import Profile, load_profile
from benchmarks.tables.sections import Drawing, Section

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]
SECTIONS = {section.artifacts[0]: section for section in report.SECTIONS}


@pytest.fixture
def tables(css_tables: Make) -> Tables:
    return css_tables()


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("embedded")


def text(name: str, tables: Tables, profile: Profile) -> str:
    section: Section = SECTIONS[name]
    parts = section.build({artifact: tables[artifact] for artifact in section.artifacts}, profile)
    return "\n\n".join(part for part in parts if isinstance(part, str))


def with_line(body: str, start: str) -> str:
    (line,) = [line for line in body.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("stand_in", [False, True])
def test_every_section_has_no_empty_number(css_tables: Make, profile: Profile, name: str, stand_in: bool) -> None:
    body = text(name, css_tables(stand_in=stand_in), profile)
    assert body and not {"nan", "<NA>", "None", "nan,", "inf"} & set(body.replace("|", " ").replace("[", " ").split())
    assert ("†" in body) == (stand_in and name != "analytic")


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("keep", [slice(None, None, 2), slice(1, None, 2), slice(0, 1)])
def test_a_section_survives_rows_that_were_not_run(tables: Tables, profile: Profile, name: str, keep: slice) -> None:
    part = {}
    for artifact, table in tables.items():
        skipped = pd.Series("not run: too slow", index=table.index)
        skipped.iloc[keep] = table["status"].iloc[keep]
        part[artifact] = table.assign(status=skipped)
    body = text(name, part, profile)
    assert body and not {"nan", "<NA>", "nan,"} & set(body.replace("|", " ").split())


def test_sections_use_every_artifact_and_name_each_drawing_once(tables: Tables, profile: Profile) -> None:
    assert {artifact for section in report.SECTIONS for artifact in section.artifacts} == set(tables)
    drawings = [
        part
        for section in report.SECTIONS
        for part in section.build({name: tables[name] for name in section.artifacts}, profile)
        if isinstance(part, Drawing)
    ]
    assert len({drawing.name for drawing in drawings}) == len(drawings) == 5
    for drawing in drawings:
        drawing.draw().canvas.draw()


def test_table_2_shows_printed_and_measured_accuracies(tables: Tables, profile: Profile) -> None:
    body = text("table2", tables, profile)
    line = with_line(body, "| 8 |")
    assert (
        "| **TSA** | ResNet-20 | 12 | 32 | 32 | 92.10 → 92.06 | 0.04 | 92.00 → 91.90 | 0.10 [-0.02, 0.22] | **consistent** |"
        in line
    )
    assert "**smaller loss**" in with_line(body, "| 9 |").replace("consistent", "smaller loss")
    assert "method not available yet: RMP-SNN" in with_line(body, "| 13 |")
    assert "Rows that ran on fewer test images, for time: 2 on the first 1,000." in body


@pytest.mark.parametrize(("loss", "said"), [(0.15, "consistent"), (0.17, "larger loss"), (-0.09, "smaller loss")])
def test_the_verdict_of_a_row_is_that_of_the_printed_loss_in_the_interval(
    tables: Tables, profile: Profile, loss: float, said: str
) -> None:
    rows = tables["table2"].copy()
    rows.loc[rows["row"] == 8, ["loss", "loss_ci95_low", "loss_ci95_high"]] = [loss, loss - 0.12, loss + 0.12]
    assert with_line(text("table2", tables | {"table2": rows}, profile), "| 8 |").endswith(f"| **{said}** |")


def test_stand_ins_of_table_2_are_named(css_tables: Make, profile: Profile) -> None:
    body = text("table2", css_tables(stand_in=True), profile)
    assert "*resnet20-thin on sklearn/digits* for ResNet-50 on ImageNet" in body
    assert "*stand-in: consistent*" in with_line(body, "| 8 |")


def test_a_row_stands_beside_its_controls(tables: Tables, profile: Profile) -> None:
    assert (
        "row 2 (ResNet-18 on CIFAR-10, T = 128, 1,000 images) 0.50 [0.38, 0.62], with *TTRBR, centred* 0.30 [0.18, 0.42] and"
        in text("controls", tables, profile)
    )
    assert "RMP-SNN" not in text("controls", tables, profile)  # not measured


def test_figure_1_has_a_column_per_silent_period_and_says_what_was_adjusted(tables: Tables, profile: Profile) -> None:
    body = text("figure1", tables, profile)
    assert "0.10 [-0.02, 0.22] (latency 32)" in with_line(body, "| 12 |")
    assert "5 of 5 | 4 | 1.3 |" in with_line(body, "| ResNet-20 on CIFAR-10 | no silent period |")
    assert "Test images: 10,000." in body


def test_figure_2_names_the_best_and_the_layers_that_did_not_settle(tables: Tables, profile: Profile) -> None:
    body = text("figure2", tables, profile)
    assert "91.95 at T = 16" in with_line(body, "| yes | 1 |") and "32 (T = 12)" in with_line(body, "| yes | 1 |")
    assert "76 (T = 16)" in with_line(body, "| no | 3 |") and with_line(body, "| no | 2 |").endswith("| – |")
    line = with_line(body, "| ResNet-20 on CIFAR-10 | without negative spikes, no silent period |")
    assert line.endswith("| 2 of 3 | 3 | 1.2 | T = 12: 2 layers |")


def test_a_row_that_did_not_settle_is_marked_and_rounds_are_a_range(tables: Tables, profile: Profile) -> None:
    rows = tables["figure1"].copy()
    rows.loc[(rows["silent_steps"] == 0) & (rows["timesteps"] == 24), "unsettled"] = 1
    rows.loc[(rows["silent_steps"] == 0) & (rows["timesteps"] == 4), "adjusted_in"] = 7
    body = text("figure1", tables | {"figure1": rows}, profile)
    assert "0.10 [-0.02, 0.22]‡ (latency 24)" in with_line(body, "| 24 |") and "‡" not in with_line(body, "| 12 |")
    assert "| 4 of 5 | 4 to 7 | 1.3 | T = 24: 1 layer |" in with_line(body, "| ResNet-20 on CIFAR-10 | no silent period |")


def test_residuals_are_put_side_by_side_with_their_ratio(tables: Tables, profile: Profile) -> None:
    assert with_line(text("residual", tables, profile), "| ResNet-20 on CIFAR-10 | 0 | 12 |").endswith("| 20.0 |")
    zero = tables["residual"].assign(
        share_above=[0.0 if kind == "yes" else 0.1 for kind in tables["residual"]["negative_spikes"]]
    )
    assert with_line(text("residual", tables | {"residual": zero}, profile), "| ResNet-20 on CIFAR-10 | 0 |").endswith("| ∞ |")


def test_best_betas_stand_beside_those_of_both_papers(tables: Tables, profile: Profile) -> None:
    body = text("beta", tables, profile)
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 0 | 6 |").endswith("| 1.5 | 91.80 | 91.80 | 91.55 |")
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 1 | 8 |").endswith("| 2 | 91.80 | 91.55 | 91.80 |")


def test_the_pipeline_says_when_its_output_is_final(tables: Tables, profile: Profile) -> None:
    body = text("pipeline", tables, profile)
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 1 | 12 |").endswith("| 32 | 20 | 31 | 28 | 91.96 |")  # 0.12 is near 0.04
    assert with_line(body, "| ResNet-20 on CIFAR-10 | 0 | 12 |").endswith("| 12 | 1 | 12 | 9 | 91.96 |")


def test_an_output_that_leaves_its_last_accuracy_again_is_not_final_before(tables: Tables, profile: Profile) -> None:
    rows = tables["pipeline"].copy()
    rows.loc[(rows["silent_steps"] == 0) & (rows["step"] == 11), "snn_metric"] = 80.0
    rows.loc[(rows["silent_steps"] == 0) & (rows["step"] < 11), "snn_metric"] = 91.96
    assert "| 12 | 12 | 91.96 |" in with_line(
        text("pipeline", tables | {"pipeline": rows}, profile), "| ResNet-20 on CIFAR-10 | 0 |"
    )


def test_memory_is_a_line_per_way_of_running(tables: Tables, profile: Profile) -> None:
    body = text("memory", tables, profile)
    assert with_line(body, "| pipelined, all layers at once |").endswith("| 700 | 700 |")
    assert with_line(body, "| layer by layer, all steps at once |").endswith("| 1200 | 4800 |")


def test_input_codes_stand_side_by_side(tables: Tables, profile: Profile) -> None:
    assert with_line(text("encoding", tables, profile), "| 12 |") == "| 12 | 0.11 [-0.01, 0.23] | 0.01 [-0.11, 0.13] |"


def test_comparison_lists_both_methods_in_microjoule(tables: Tables, profile: Profile) -> None:
    body = text("comparison", tables, profile)
    assert with_line(body, "| TMN | 7 |").startswith("| TMN | 7 | 27 | 0.16 [") and with_line(body, "| TMN | 7 |").endswith(
        "| 7 | 5.6 |"
    )
    assert len([line for line in body.splitlines() if line.startswith("| TSA |")]) == 6


def test_lemma_1_has_a_line_per_case(tables: Tables, profile: Profile) -> None:
    body = text("analytic", tables, profile)
    assert with_line(body, "| epsilon=0.5, T=4 |").endswith("| 20 | 0 |")
    assert with_line(body, "| S12 |").endswith("| 21 cases | 0 to 0 |")


# ---- headlines and the page -------------------------------------------------------------------------------------------


def test_headlines_hold_the_main_numbers(tables: Tables, profile: Profile) -> None:
    lines = "\n".join(report.headlines(tables, profile))
    assert (
        "TSA on ResNet-20 on CIFAR-10, T = 12, latency 32: 92.00 → 91.90 %, loss 0.10 [-0.02, 0.22] points (printed 0.04)."
        in lines
    )
    assert "TMN T = 7 (latency 27, 7 µJ) and TSA T = 12 (latency 32, 12 µJ)." in lines
    never = tables | {
        "comparison": tables["comparison"].assign(loss=[9.0 if m == "TSA" else 0.1 for m in tables["comparison"]["method"]])
    }
    assert report.headlines(never, profile)[-1].endswith("TMN T = 5 (latency 25, 5 µJ) and TSA none up to T = 12.")


@pytest.mark.parametrize("name", ["table2", "comparison"])
def test_headlines_do_without_any_table(tables: Tables, profile: Profile, name: str) -> None:
    fewer: dict[str, Any] = {other: table for other, table in tables.items() if other != name}
    assert len(report.headlines(fewer, profile)) < len(report.headlines(tables, profile))
    not_run = tables | {name: tables[name].assign(status="not run: too slow")}
    assert report.headlines(not_run, profile) == report.headlines(fewer, profile)
    assert report.headlines({}, profile) == []


def test_networks_name_what_they_stand_for(profile: Profile) -> None:
    assert ("sklearn/digits", "resnet20-thin", "*ResNet-20 on CIFAR-10* †") in report.networks(profile)
    assert ("uoft-cs/cifar10", "resnet20", "ResNet-20 on CIFAR-10") in report.networks(load_profile("paper"))
    assert profile.calibration in report.setup(profile)[0]


@pytest.mark.parametrize("stand_in", [False, True])
def test_stored_tables_make_a_page_with_its_figures(css_tables: Make, profile: Profile, tmp_path: Any, stand_in: bool) -> None:
    from benchmarks.css.artifacts import ARTIFACTS

    made = css_tables(stand_in=stand_in)
    for artifact in ARTIFACTS:
        if artifact.name not in ("memory", "residual"):
            write_table(tmp_path / "results" / "embedded" / "css" / f"{artifact.name}.csv", made[artifact.name], artifact.schema)
    page, *drawn = render("css", profile, tmp_path / "results", tmp_path / "reports")
    body = page.read_text(encoding="utf-8")
    assert len(drawn) == 5 and all(f"(css/{path.name})" in body for path in drawn)
    assert "Not run yet: `snnbench run css memory --profile embedded`." in body and "**S12**" in body
    assert body.count("stand-in: reproduced") == (10 + 1 if stand_in else 0)  # all but S02 and S03, and in their count
