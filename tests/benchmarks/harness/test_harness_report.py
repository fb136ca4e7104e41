"""Reports: complete, well-formed, the same bytes each time, and honest about what was not run or not on the paper's setting."""

import json
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks.errors import CannotRun
from benchmarks.harness import report
from benchmarks.harness.provenance import collect
from benchmarks.harness.results import write_table
from benchmarks.profiles import load_profile
from benchmarks.tables.artifacts import artifacts_of

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]
ARTIFACTS = artifacts_of("tmn")


def store(tables: Tables, root: Path, profile: str, provenance: bool = True) -> None:
    for name, table in tables.items():
        path = root / profile / "tmn" / f"{name}.csv"
        write_table(path, table, ARTIFACTS[name].schema)
        if provenance:
            path.with_suffix(".json").write_text(
                json.dumps(record(path, profile, ARTIFACTS[name].schema.version)), encoding="utf-8"
            )


def record(path: Path, profile: str, version: int) -> dict[str, Any]:
    return collect(
        schema_version=version,
        seeds=[0],
        profile_hash=load_profile(profile).digest,
        datasets={"uoft-cs/cifar10 test": "0123456789abcdef0123456789abcdef"},
        checkpoints={"resnet20 on uoft-cs/cifar10 (cifar10_resnet20.safetensors)": "fedcba9876543210"},
        wall_time_s=4000.0,
        table=path,
    )


def page_of(root: Path, profile: str) -> str:
    return (root / "reports" / profile / "tmn.md").read_text(encoding="utf-8")


def rerender(root: Path, profile: str = "workstation") -> str:
    report.render("tmn", load_profile(profile), root, root / "reports")
    return page_of(root, profile)


def cells(line: str) -> list[str]:
    """Cells of a row as GitHub splits it: a bar behind a backslash separates nothing, unless that is itself escaped."""
    return [cell.strip() for cell in re.findall(r"\|((?:\\.|[^|\\])*)(?=\|)", line.strip())]


def tables_in(page: str) -> list[list[list[str]]]:
    """All Markdown tables as rows of cells, header first."""
    found: list[list[list[str]]] = []
    previous = ""
    for line in page.splitlines():
        if line.startswith("|"):
            if not previous.startswith("|"):
                found.append([])
            found[-1].append(cells(line))
        previous = line
    return found


def section(page: str, title: str) -> str:
    """A section by the beginning of its heading."""
    return next(part for part in re.split(r"^## ", page, flags=re.MULTILINE) if part.startswith(title))


@pytest.fixture(scope="module")
def rendered(tmn_tables: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports on full tables: ``workstation`` in the paper's setting, ``embedded`` all on stand-ins and with its figures."""
    root = tmp_path_factory.mktemp("rendered")
    for profile, stand_in in (("workstation", False), ("embedded", True)):
        store(tmn_tables(stand_in=stand_in), root, profile)
    rerender(root, "embedded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "svg", stub)
        rerender(root, "workstation")
    return root


def stub(draw: object) -> bytes:
    """Drawing takes seconds and is tested elsewhere."""
    return b"<svg/>\n"


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "svg", stub)


@pytest.fixture
def root(tmn_tables: Make, tmp_path: Path, no_figures: None) -> Path:
    """Some of the tables, which is faster than all."""
    tables = tmn_tables()
    some = ("table2", "table3", "figure1d", "figure4b", "timesteps")
    store({name: tables[name] for name in some}, tmp_path, "workstation")
    return tmp_path


# --- whole pages ---------------------------------------------------------------------------------


def test_two_renders_give_the_same_bytes_and_touch_nothing(
    rendered: Path, tmn_tables: Make, tmp_path: Path, no_figures: None
) -> None:
    store(tmn_tables(), tmp_path, "workstation")
    written = report.render("tmn", load_profile("workstation"), tmp_path, tmp_path / "reports")
    for path in written:
        assert path.read_bytes() == (rendered / path.relative_to(tmp_path)).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in written}
    assert report.render("tmn", load_profile("workstation"), tmp_path, tmp_path / "reports") == written
    assert {path: path.stat().st_mtime_ns for path in written} == before


@pytest.mark.parametrize("profile", ["workstation", "embedded"])
def test_every_table_row_has_as_many_cells_as_its_header(rendered: Path, profile: str) -> None:
    tables = tables_in(page_of(rendered, profile))
    assert len(tables) > 10
    for rows in tables:
        assert {len(row) for row in rows} == {len(rows[0])}, rows[0]


@pytest.mark.parametrize("profile", ["workstation", "embedded"])
def test_every_figure_is_there_and_linked_by_a_relative_path(rendered: Path, profile: str) -> None:
    folder = rendered / "reports" / profile
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page_of(rendered, profile))
    assert len(links) == 8
    assert sorted(folder / link for link in links) == sorted((folder / "tmn").iterdir())


@pytest.mark.parametrize("profile", ["workstation", "embedded"])
def test_nothing_says_on_whose_machine_it_was_made(rendered: Path, profile: str) -> None:
    for path in (rendered / "reports" / profile).rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert str(rendered) not in text
        assert not platform.node() or platform.node() not in text
        assert not re.search(r"(?<![\w.])/(home|root|tmp|Users|work)/", text)


def test_a_page_has_no_blank_value(rendered: Path) -> None:
    page = page_of(rendered, "workstation")
    assert not re.findall(r"\b(?:nan|NaN|None|inf)\b|<NA>", page.replace("None of them failed", ""))


def test_rendering_runs_no_network(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a network was run")

    monkeypatch.setattr(torch.nn.Module, "__call__", forbidden)
    assert "# TMN" in rerender(root)


def test_a_page_tells_how_to_run_it_again(root: Path) -> None:
    again = section(rerender(root), "How to run it again")
    assert "snnbench run tmn --profile workstation" in again
    assert "snnbench check tmn --profile workstation" in again
    assert "SNNBENCH_DATA" in again


# --- what was run on what ------------------------------------------------------------------------


def test_networks_are_shown_with_data_fingerprint_accuracy_and_weights(root: Path) -> None:
    rows = tables_in(section(rerender(root), "Provenance"))[0]
    cifar10 = next(row for row in rows if "uoft-cs/cifar10`" in row[2])
    assert cifar10[0] == "`resnet20`"
    assert "all 10,000 test images" in cifar10[2]
    assert cifar10[3:] == ["`0123456789ab`", "92.60 %", "cifar10_resnet20.safetensors (`fedcba987654`)"]


def test_versions_and_hardware_come_from_the_provenance(root: Path) -> None:
    page = rerender(root)
    assert f"Python {platform.python_version()}" in page
    assert "1 h 7 min" not in page and "67 min" in page


def test_a_table_changed_by_hand_is_named(root: Path, tmn_tables: Make) -> None:
    assert "**Note:**" not in rerender(root)
    table = tmn_tables()["figure1d"].iloc[:-1]
    write_table(root / "workstation" / "tmn" / "figure1d.csv", table, ARTIFACTS["figure1d"].schema)
    assert "**Note:** Changed after the run that the provenance describes: `figure1d`." in rerender(root)


COMMITS = [{"commit": letter * 40, "dirty": dirty} for letter, dirty in (("a", True), ("a", False), ("b", False), ("c", True))]
MACHINE = {"cpu": {"model": "Old", "cores": 4, "capability": "AVX2"}, "gpu": ["Card"], "system": "Linux x86_64"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"git": COMMITS[0]}, "commit `aaaaaaaaaa` with uncommitted changes (`table2`)"),
        (
            {"git": COMMITS[1] | {"earlier": COMMITS[2:]}},
            "commit `aaaaaaaaaa`, earlier rows `cccccccccc` with uncommitted changes and `bbbbbbbbbb` (`table2`)",
        ),
        ({"earlier_machines": [MACHINE]}, ", earlier rows Old, 4 cores, AVX2, Card, Linux x86_64 (`table2`)"),
    ],
)
def test_commits_and_machines_are_told_apart(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "workstation" / "tmn" / "table2.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    assert said in rerender(root)


def test_missing_provenance_is_said(root: Path) -> None:
    (root / "workstation" / "tmn" / "table2.json").unlink()
    assert "No provenance is stored for `table2`" in rerender(root)


# --- stand-ins -----------------------------------------------------------------------------------


def test_stand_ins_are_marked_in_every_row_and_verdict(rendered: Path) -> None:
    page = page_of(rendered, "embedded")
    assert "**† Stand-ins.**" in page
    rows = [row for table in tables_in(section(page, "Table 2"))[:3] for row in table[2:]]
    filled = [row for row in rows if "not run" not in row[-1]]
    assert len(filled) == 4
    for row in filled:
        assert "†" in row[7]
        assert row[-1].startswith("*stand-in: ")
    assert "resnet20-thin on sklearn/digits" in section(page, "Table 2")


def test_a_page_on_stand_ins_claims_nothing_plainly_but_identities(rendered: Path) -> None:
    verdicts = {row[0]: row[2] for row in tables_in(section(page_of(rendered, "embedded"), "Claims"))[0][2:]}
    plain = {name for name, verdict in verdicts.items() if "**reproduced**" in verdict}
    assert plain == {"**T01**", "**T23**"}
    assert len(verdicts) == 21


def test_no_stand_in_mark_where_there_is_none(rendered: Path) -> None:
    page = page_of(rendered, "workstation")
    measured = page.replace(section(page, "Provenance"), "")  # names all that a network of the profile stands for
    assert "†" not in measured
    marked = [line for line in measured.splitlines() if "stand-in:" in line]
    assert [line[:7] for line in marked[1:]] == ["| **T08", "| **T21"]  # whatever network they have
    assert "2 stand-in: reproduced" in marked[0]


def test_table2_says_how_the_printed_loss_lies_to_our_interval(rendered: Path) -> None:
    rows = [row for table in tables_in(section(page_of(rendered, "workstation"), "Table 2"))[:3] for row in table[2:]]
    by_row = {row[0]: row for row in rows}
    assert len(rows) == 35
    assert by_row["7"][3:7] == ["7 + 1", "27", "93.83 → 93.73", "0.10"]
    assert by_row["7"][7:] == ["92.60 → 92.46", "0.14 [0.02, 0.26]", "+0.04", "**consistent**"]
    assert by_row["1"][-1] == "**larger loss**"
    assert by_row["2"][-1] == "not run: method not available yet"


def test_a_larger_loss_than_printed_is_explained_by_its_control(tmn_tables: Make, tmp_path: Path, no_figures: None) -> None:
    tables = tmn_tables()
    values = tables["table2"].loc[14].to_dict() | {
        "row": 16,
        "method": "TSC",
        "ann_metric_paper": 68.72,
        "snn_metric_paper": 67.81,
    }
    values |= {"snn_metric": 66.83, "loss": 2.0, "loss_ci95_low": 1.5, "loss_ci95_high": 2.5, "timesteps": 1024}
    lost = pd.DataFrame([values if row["row"] == 16 else row for row in tables["table2"].to_dict("records")])
    store(tables | {"table2": lost[tables["table2"].columns]}, tmp_path, "workstation")
    text = section(rerender(tmp_path), "Why a method loses more")
    assert "**TSC.**" in text and "2.00 [1.50, 2.50], with *TSC, spread* 0.30 [" in text and "LC-TTFS" not in text


# --- what was not run ----------------------------------------------------------------------------


def test_without_a_table_its_section_gives_the_command(root: Path) -> None:
    (root / "workstation" / "tmn" / "figure4b.csv").unlink()
    page = rerender(root)
    assert "Not run yet: `snnbench run tmn figure4b --profile workstation`." in section(page, "Figure 4(b)")
    assert "snnbench run tmn figure4b" in section(page, "What was not run")
    assert not (root / "reports" / "workstation" / "tmn" / "figure4b.svg").exists()
    assert "**not tested**" in next(line for line in page.splitlines() if line.startswith("| **T03**"))


def test_a_figure_that_is_no_longer_shown_is_removed(root: Path) -> None:
    rerender(root)
    old = root / "reports" / "workstation" / "tmn" / "figure4b.svg"
    assert old.exists()
    (root / "workstation" / "tmn" / "figure4b.csv").unlink()
    rerender(root)
    assert not old.exists()


def test_reasons_are_grouped(root: Path) -> None:
    rows = tables_in(section(rerender(root), "What was not run"))[0]
    reasons = {row[0]: row[1] for row in rows[2:]}
    assert reasons["no weights"] == "Table 2, rows 8-9, 21, 28-30; Table 3, rows 5-8"
    assert reasons["quantised networks not available yet"] == "Table 2, rows 14, 24, 35"
    assert sum(reason.startswith("method not available yet: FS-Conversion, SNN Calibration") for reason in reasons) == 1


def test_a_page_where_nothing_could_be_run(tmn_tables: Make, tmp_path: Path, no_figures: None) -> None:
    empty = {}
    for name, table in tmn_tables().items():
        measures = [column.name for column in ARTIFACTS[name].schema.measures]
        table = table.drop_duplicates("ratio") if name == "figure4c_density" else table
        empty[name] = table.assign(**dict.fromkeys(measures, None)).assign(status="not run: no data")
    store(empty, tmp_path, "workstation")
    page = rerender(tmp_path)
    assert "21 claims: 21 not tested" in page
    assert section(page, "Figure 4(a)").split("\n\n")[1] == "Not run: no data."
    assert "![" not in page


@pytest.mark.parametrize("keep", [slice(0, 1), slice(0, 3), slice(5, 9)])
def test_tables_of_which_only_some_rows_were_run(tmn_tables: Make, tmp_path: Path, no_figures: None, keep: slice) -> None:
    store({name: table.iloc[keep] for name, table in tmn_tables().items()}, tmp_path, "workstation")
    for rows in tables_in(rerender(tmp_path)):
        assert {len(row) for row in rows} == {len(rows[0])}


def test_a_table_edited_into_nonsense_is_an_error_and_leaves_the_old_page(root: Path) -> None:
    before = rerender(root)
    path = root / "workstation" / "tmn" / "timesteps.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",92.60,", ",92.6o,", 1), encoding="utf-8")
    with pytest.raises(CannotRun, match="ann_metric"):
        rerender(root)
    assert page_of(root, "workstation") == before
