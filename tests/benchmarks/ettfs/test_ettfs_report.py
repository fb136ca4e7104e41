"""The ETTFS report: the numbers that its sections show, and that they cope with what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.ettfs import views
from benchmarks.ettfs.artifacts import ARTIFACTS
from benchmarks.harness import report
from benchmarks.harness.results import write_table
from benchmarks.profiles import load_profile

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]
Write = Callable[[Tables], dict[str, str]]
SCHEMAS = {artifact.name: artifact.schema for artifact in ARTIFACTS}
OWN = ("How it was", "Table", "What decides", "Figure", "Temporal", "The forced", "Spikes", "Every", "Learning", "Analytic")


@pytest.fixture
def tables(ettfs_tables: Make) -> Tables:
    return ettfs_tables()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Parts of the page that shows tables, by their titles, its head as ``""``; figures are not drawn."""
    monkeypatch.setattr(report, "svg", lambda draw: b"<svg/>")
    return lambda tables: sections(rendered(tables, tmp_path)[0].read_text(encoding="utf-8"))


def rendered(tables: Tables, folder: Path) -> list[Path]:
    stored = folder / "results" / "embedded" / "ettfs"
    stored.mkdir(parents=True, exist_ok=True)
    for name, schema in SCHEMAS.items():
        (stored / f"{name}.csv").unlink(missing_ok=True)
        if name in tables:
            write_table(stored / f"{name}.csv", tables[name], schema)
    return report.render("ettfs", load_profile("embedded"), folder / "results", folder / "reports")


def sections(page: str) -> dict[str, str]:
    head, *parts = page.split("\n## ")
    return {"": head} | {title: body for title, _, body in (part.partition("\n") for part in parts)}


def shown(page: dict[str, str], start: str) -> str:
    (body,) = (body for title, body in page.items() if title.startswith(start))
    return body


def own(page: dict[str, str]) -> dict[str, str]:
    return {title: body for title, body in page.items() if title.startswith(OWN)}


def skipped(table: pd.DataFrame, name: str, every: int = 1, why: str = "too slow") -> pd.DataFrame:
    """A table of which every so manieth row was not run."""
    made = table.copy()
    lines = np.arange(len(made)) % every == every - 1
    for column in SCHEMAS[name].measures:
        made.loc[lines, column.name] = f"not run: {why}" if column.name == "status" else np.nan
    return made


@pytest.mark.parametrize("stand_in", [False, True])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3, 4)])
def test_no_section_has_an_empty_number(ettfs_tables: Make, write: Write, stand_in: bool, seeds: tuple[int, ...]) -> None:
    page = own(write(ettfs_tables(stand_in=stand_in, seeds=seeds)))
    assert len(page) == 17
    for title, body in page.items():
        assert not {"nan", "<NA>", "None", "nan,"} & set(body.replace("|", " ").replace("[", " ").split()), title
        assert ("†" in body) == (stand_in and title != "Analytic claims") or title == "How it was trained", title


def test_sections_survive_rows_that_were_not_run(tables: Tables, write: Write) -> None:
    page = own(write({name: skipped(table, name, 2) if name != "analytic" else table for name, table in tables.items()}))
    assert len(page) == 17 and all(body.strip() for body in page.values())


def test_without_a_measured_row_a_section_says_why(tables: Tables, write: Write) -> None:
    page = own(write({name: skipped(table, name) if name != "analytic" else table for name, table in tables.items()}))
    others = {title for title, body in page.items() if body.strip() != "Not run: too slow."}
    assert others == {"How it was trained", "Table I: MNIST", "Table II: Fashion-MNIST", "Analytic claims"}


def test_every_artifact_and_every_drawing_is_used_once(tables: Tables, tmp_path: Path) -> None:
    page, *drawn = rendered(tables, tmp_path)
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(ettfs/(\w+)\.svg\)", text)
    assert len(links) == len(set(links)) == len(drawn) == 10
    assert all(path.read_bytes().startswith(b"<?xml") for path in drawn)
    template = Path(views.__file__).with_name("report.md.j2").read_text(encoding="utf-8")
    used = re.findall(r'call section\("[^"]*", ((?:"\w+"(?:, )?)+)', template)
    assert set(re.findall(r'"(\w+)"', " ".join(used))) == set(tables)


def test_tables_show_printed_and_measured_accuracies(tables: Tables, write: Write) -> None:
    page = write(tables)
    body = shown(page, "Table I:")
    assert "| 4 | TQ-TTFS | SMLP | 98.60 | – |" in body and "no recipe for TQ-TTFS" in body
    assert "| 5 | ETTFS | SMLP | – | 98.90 [" in body and "55,000, 30" in body
    assert "| 4 | ETTFS | average | 91.61 | 91.60 [" in shown(page, "Table III")


def test_table_3_lists_four_paired_effects(tables: Tables, write: Write) -> None:
    body = shown(write(tables), "Table III")
    assert [body.count(f"| {rows} |") for rows in ("3 against 1", "4 against 2", "2 against 1", "4 against 3")] == [1] * 4
    assert "+1.05 |" in body and "+1.26 |" in body


def test_one_seed_has_gains_without_p(ettfs_tables: Make, write: Write) -> None:
    body = shown(write(ettfs_tables(seeds=(0,))), "Table III")
    assert "| 3 against 1 | +" in body and "| – | 1 |" in body


def test_other_methods_are_compared_with_ettfs(tables: Tables, write: Write) -> None:
    ours = tables["table1"][tables["table1"]["method"] == "ETTFS"].iloc[0]
    rows = tables["table1"].copy()
    rows.loc[0, list(rows.columns[9:])] = ours[list(rows.columns[9:])]
    rows.loc[0, "snn_metric"] = 97.3
    page = write(tables | {"table1": rows})
    assert "| +1.60 |" in shown(page, "Table I:")
    assert "; measured beside it: S4NN 97.30 % (+1.60 for ETTFS)." in page[""]
    rows.loc[0, "epochs"] = 3
    assert "; measured beside it after 3 epochs: S4NN 97.30 % (+1.60 for ETTFS)." in write(tables | {"table1": rows})[""]
    assert "measured beside it" not in write(tables)[""]


def test_dead_layers_are_called_infinite(tables: Tables, write: Write) -> None:
    assert "∞" in shown(write(tables), "Figure 5")
    assert "∞" not in shown(write(tables | {"figure5": tables["figure5"].assign(median=0.0)}), "Figure 5")
    one = tables["figure5"].query("initialization == 'ettfs'")
    assert "lacks one of the initialisations" in shown(write(tables | {"figure5": one}), "Figure 5")


def test_the_training_section_names_what_is_ours(tables: Tables, write: Write) -> None:
    body = shown(write(tables), "How it was trained")
    assert "our choices" in body and "highest membrane potential at its spike" in body
    assert body.count("| ETTFS |") == 4


def test_runs_link_to_their_table_and_name_failures(tables: Tables, write: Write) -> None:
    rows = tables["runs"].copy()
    rows.iloc[:1] = skipped(rows.iloc[:1], "runs", why="training failed: loss is NaN")
    body = shown(write(tables | {"runs": rows}), "Every training run")
    assert "(../../results/embedded/ettfs/runs.csv)" in body
    assert "Not run: training failed: loss is NaN." in body


def test_learning_curves_say_what_the_last_epochs_added(tables: Tables, write: Write) -> None:
    assert "| 10 | 95.26 | +0.36 since epoch 9 |" in shown(write(tables), "Learning")


# ---- headlines --------------------------------------------------------------------------------------------------------


def headlines(page: dict[str, str]) -> list[str]:
    return [line for line in page[""].splitlines() if line.startswith("- ")]


def test_headlines_hold_the_main_numbers(tables: Tables, write: Write) -> None:
    lines = "\n".join(headlines(write(tables)))
    for number in ("98.90", "89.50", "91.60", "(printed 91.61)", "points with", "at step 1.50 of 8"):
        assert number in lines


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "runs", "cost"])
def test_headlines_do_without_any_table(tables: Tables, write: Write, name: str) -> None:
    fewer = headlines(write({other: table for other, table in tables.items() if other != name}))
    assert len(fewer) < len(headlines(write(tables)))
    assert headlines(write(tables | {name: skipped(tables[name], name)})) == fewer


def test_there_may_be_no_headline(tables: Tables, write: Write) -> None:
    assert headlines(write({"analytic": tables["analytic"]})) == []


def test_a_diverged_run_shows_as_missing_and_does_not_stop_the_page(tables: Tables, tmp_path: Path) -> None:
    gone = tables["figure4"].assign(train_loss=np.nan)
    assert [path.name for path in rendered({"figure4": gone}, tmp_path)] == ["ettfs.md", "figure4.svg"]
