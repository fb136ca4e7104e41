"""The ledger of claims: the best evidence first, from stored tables alone."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.harness.cli import app
from benchmarks.harness.ledger import PROFILES, Entry, ledger, page
from benchmarks.tables.bounds import printed_claims
from benchmarks.tables.claims import NOT_TESTED, STAND_IN, Verdict

ROOT = Path(__file__).parents[3]


def only(tmp_path: Path, *profiles: str) -> dict[str, Entry]:
    """The claims of CSS, with the stored tables of some profiles."""
    for name in profiles:
        shutil.copytree(ROOT / "results" / name / "css", tmp_path / name / "css")
    return {entry.name: entry for entry in ledger(tmp_path) if entry.paper == "css"}


def test_the_stored_page_is_what_the_tables_say() -> None:
    text = page(ledger(ROOT / "results"))
    assert text == (ROOT / "reports" / "README.md").read_text(encoding="utf-8"), "write it again: snnbench claims"
    for entry in ledger(ROOT / "results"):
        assert f"| **{entry.name}** |" in text
        assert all((ROOT / "reports" / name / f"{entry.paper}.md").exists() for name in entry.verdicts)


def test_the_paper_s_own_setting_is_better_evidence_than_a_stand_in(tmp_path: Path) -> None:
    small = only(tmp_path / "small", "embedded")["S08"]
    assert small.best.status == f"{STAND_IN}reproduced" and not small.own and small.measured_in == "embedded"
    both = only(tmp_path / "both", "embedded", "workstation")["S08"]
    assert both.best.status == "reproduced" and both.own and list(both.verdicts) == ["workstation", "embedded"]


def test_what_was_tested_comes_before_what_was_not_and_then_the_larger_profile() -> None:
    for entry in ledger(ROOT / "results"):
        worth = [(v.status == NOT_TESTED, v.status.startswith(STAND_IN), PROFILES.index(p)) for p, v in entry.verdicts.items()]
        assert worth == sorted(worth)


def test_a_profile_of_one_s_own_counts_too(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results/embedded/css", tmp_path / "mine/css")
    assert {entry.measured_in for entry in ledger(tmp_path) if entry.paper == "css"} == {"mine"}
    assert {entry.best.status for entry in ledger(tmp_path) if entry.paper == "ettfs"} == {NOT_TESTED}


def test_a_claim_without_tables_is_not_tested() -> None:
    entry = Entry("css", "S02", printed_claims("css")["S02"], {})
    assert (entry.kind, entry.measured_in, entry.own) == (NOT_TESTED, "", False)
    refused = Entry("css", "S02", printed_claims("css")["S02"], {"mine": Verdict(NOT_TESTED, "no")})
    assert (refused.kind, refused.measured_in, refused.own) == (NOT_TESTED, "", False)


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    given = ["claims", "--results", str(ROOT / "results"), "--reports", str(tmp_path)]
    printed = CliRunner().invoke(app, [*given, "--json"])
    listed = json.loads(printed.stdout)
    assert {"paper": "css", "claim": "S08", "measured in": "workstation"}.items() <= listed[6].items()
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "reports/README.md").read_bytes()
    assert "S08" in CliRunner().invoke(app, given).stdout


@pytest.mark.parametrize("there", [True, False])
def test_without_tables_the_command_says_how_to_get_some(tmp_path: Path, there: bool) -> None:
    (tmp_path / "results").mkdir() if there else None
    failed = CliRunner().invoke(app, ["claims", "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "out")])
    assert "snnbench run PAPER" in str(failed.exception) and not (tmp_path / "out").exists()
