"""Sections of the ETTFS report: the numbers that they show, and that they cope with what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.ettfs import report
from benchmarks.profiles import Profile, load_profile
from benchmarks.tables.sections import Drawing, Section

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]
SECTIONS = {section.title: section for section in report.SECTIONS}


@pytest.fixture
def tables(ettfs_tables: Make) -> Tables:
    return ettfs_tables()


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("embedded")


def text(section: Section, tables: Tables, profile: Profile) -> str:
    parts = section.build({name: tables[name] for name in section.artifacts}, profile)
    return "\n\n".join(part for part in parts if isinstance(part, str))


def titled(start: str) -> Section:
    (found,) = (section for title, section in SECTIONS.items() if title.startswith(start))
    return found


@pytest.mark.parametrize("title", SECTIONS)
@pytest.mark.parametrize("stand_in", [False, True])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3, 4)])
def test_every_section_has_no_empty_number(
    ettfs_tables: Make, profile: Profile, title: str, stand_in: bool, seeds: tuple[int, ...]
) -> None:
    body = text(SECTIONS[title], ettfs_tables(stand_in=stand_in, seeds=seeds), profile)
    words = body.replace("|", " ").replace("[", " ").split()
    assert not {"nan", "<NA>", "None", "nan,"} & set(words)
    assert ("†" in body) == (stand_in and title != "Analytic claims") or title == "How it was trained"


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_survives_rows_that_were_not_run(tables: Tables, profile: Profile, title: str) -> None:
    section = SECTIONS[title]
    half = {}
    for name, table in tables.items():
        skipped = table.assign(status=["not run: too slow" if i % 2 else s for i, s in enumerate(table["status"])])
        half[name] = skipped
    assert text(section, half, profile)


def test_sections_use_every_artifact_and_every_drawing_once(tables: Tables, profile: Profile) -> None:
    assert {name for section in report.SECTIONS for name in section.artifacts} == set(tables)
    names = [
        part.name
        for section in report.SECTIONS
        for part in section.build({name: tables[name] for name in section.artifacts}, profile)
        if isinstance(part, Drawing)
    ]
    assert len(names) == len(set(names)) >= 9


def test_tables_show_printed_and_measured_accuracies(tables: Tables, profile: Profile) -> None:
    body = text(titled("Table I:"), tables, profile)
    assert "| 4 | TQ-TTFS | SMLP | 98.60 | – |" in body and "no recipe for TQ-TTFS" in body
    assert "| 5 | ETTFS | SMLP | – | 98.90 [" in body and "55,000, 30" in body
    body = text(titled("Table III"), tables, profile)
    assert "| 4 | ETTFS | average | 91.61 | 91.60 [" in body


def test_table_3_lists_four_paired_effects(tables: Tables, profile: Profile) -> None:
    body = text(titled("Table III"), tables, profile)
    assert [body.count(f"| {rows} |") for rows in ("3 against 1", "4 against 2", "2 against 1", "4 against 3")] == [1] * 4
    assert "+1.05 |" in body and "+1.26 |" in body


def test_one_seed_has_gains_without_p(ettfs_tables: Make, profile: Profile) -> None:
    body = text(titled("Table III"), ettfs_tables(seeds=(0,)), profile)
    assert "| 3 against 1 | +" in body and "| – | 1 |" in body


def test_other_methods_are_compared_with_ettfs(tables: Tables, profile: Profile) -> None:
    own = tables["table1"][tables["table1"]["method"] == "ETTFS"].iloc[0]
    rows = tables["table1"].copy()
    rows.loc[0, list(rows.columns[9:])] = own[list(rows.columns[9:])]
    rows.loc[0, "snn_metric"] = 97.3
    assert "| +1.60 |" in text(titled("Table I:"), tables | {"table1": rows}, profile)
    assert any("S4NN 97.30 % (+1.60 for ETTFS)" in line for line in report.headlines(tables | {"table1": rows}, profile))


def test_dead_layers_are_called_infinite(tables: Tables, profile: Profile) -> None:
    assert "∞" in text(titled("Figure 5"), tables, profile)
    dead = tables | {"figure5": tables["figure5"].assign(median=0.0)}
    assert "∞" not in text(titled("Figure 5"), dead, profile)


def test_the_training_section_names_what_is_ours(tables: Tables, profile: Profile) -> None:
    body = text(titled("How"), tables, profile)
    assert "our choices" in body and "highest membrane potential at its spike" in body
    assert body.count("| ETTFS |") == 4


def test_runs_link_to_their_table_and_name_failures(tables: Tables, profile: Profile) -> None:
    rows = tables["runs"].copy()
    rows.loc[0, "status"] = "not run: training failed: loss is NaN"
    body = text(titled("Every training run"), tables | {"runs": rows}, profile)
    assert "(../../results/embedded/ettfs/runs.csv)" in body
    assert "Not run: training failed: loss is NaN." in body


def test_learning_curves_say_what_the_last_epochs_added(tables: Tables, profile: Profile) -> None:
    assert "| 10 | 95.26 | +0.36 since epoch 9 |" in text(titled("Learning"), tables, profile)


# ---- headlines --------------------------------------------------------------------------------------------------------


def test_headlines_hold_the_main_numbers(tables: Tables, profile: Profile) -> None:
    lines = "\n".join(report.headlines(tables, profile))
    for number in ("98.90", "89.50", "91.60", "(printed 91.61)", "points with", "at step 1.50 of 8"):
        assert number in lines


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "runs", "cost"])
def test_headlines_do_without_any_table(tables: Tables, profile: Profile, name: str) -> None:
    fewer: dict[str, Any] = {other: table for other, table in tables.items() if other != name}
    assert len(report.headlines(fewer, profile)) < len(report.headlines(tables, profile))
    not_run = tables | {name: tables[name].assign(status="not run: too slow")}
    assert report.headlines(not_run, profile) == report.headlines(fewer, profile)
    assert report.headlines({}, profile) == []


def test_a_diverged_run_shows_as_missing_and_does_not_stop_the_page(tables: Tables, profile: Profile, tmp_path: Path) -> None:
    gone = tables | {"figure4": tables["figure4"].assign(train_loss=np.nan)}
    for part in titled("Figure 4").build(gone, profile):
        if isinstance(part, Drawing):
            part.draw().canvas.draw()
