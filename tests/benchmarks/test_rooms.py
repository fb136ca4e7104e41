"""What every paper's room keeps: published files alike, claims that are checked, and rows that make valid tables."""

import csv
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.harness.report import compose
from benchmarks.harness.results import format_rows, read_table
from benchmarks.profiles import load_profile, profile_names
from benchmarks.published import published_papers, published_tables, read_published
from benchmarks.tables.artifacts import artifacts_of, select_artifacts
from benchmarks.tables.bounds import bounds, checks_of, conditions_of, printed_claims, rows_of, tolerance
from benchmarks.tables.claims import NOT_TESTED

PAPERS = published_papers()
FIGURES = ["figure", "panel", "shows", "qualitative_claim", "values_printed"]
CLAIMS = ["id", "kind", "statement", "metric", "printed", "where", "tolerance"]
BOUNDS = ["rows", "measure", "least", "most"]
UNCHECKED = {"tmn": {"T20", "T22"}}  # about a detector and a text Transformer, which no artifact holds
MEASURED_KEYS = {("ettfs", "figure2")}  # a measurement fills keys of its own
ARTIFACTS = [(paper, name) for paper in PAPERS for name in artifacts_of(paper)]
RESULTS = Path(__file__).parents[2] / "results"
STORED = sorted(path.relative_to(RESULTS).as_posix() for path in RESULTS.glob("*/*/*.csv"))
WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from benchmarks.harness.cli import main
main()
"""
each_paper = pytest.mark.parametrize("paper", PAPERS)
each_artifact = pytest.mark.parametrize(("paper", "name"), ARTIFACTS)


def raw(paper: str, table: str) -> list[dict[str, str]]:
    """The rows of one file as strings."""
    return list(csv.DictReader(text(paper, f"{table}.csv").splitlines(), strict=True))


def text(paper: str, name: str) -> str:
    return (files("benchmarks") / paper / "published" / name).read_text(encoding="utf-8")


# ---- published files --------------------------------------------------------------------------------------------------


@each_paper
def test_the_readme_lists_every_file_with_its_number_of_rows(paper: str) -> None:
    listed = dict(re.findall(r"^\| `(\w+)\.csv` \| (\d+) \|", text(paper, "README.md"), flags=re.MULTILINE))
    assert {name: str(len(read_published(paper, name))) for name in published_tables(paper)} == listed
    assert {"claims", "figures"} < set(listed)


@each_paper
def test_rows_of_printed_tables_are_numbered(paper: str) -> None:
    for table in set(published_tables(paper)) - {"claims", "figures"}:
        assert [line["row"] for line in raw(paper, table)] == [str(n + 1) for n in range(len(raw(paper, table)))], table


@each_paper
def test_figures_are_described_and_none_twice(paper: str) -> None:
    rows = raw(paper, "figures")
    assert list(rows[0]) == FIGURES
    assert len({(row["figure"], row["panel"]) for row in rows}) == len(rows)
    assert all(cell for row in rows for name, cell in row.items() if name != "panel")


# ---- claims -----------------------------------------------------------------------------------------------------------


@each_paper
def test_claims_are_complete(paper: str) -> None:
    rows = raw(paper, "claims")
    assert list(rows[0]) in (CLAIMS, CLAIMS + BOUNDS)
    assert len({row["id"] for row in rows}) == len(rows)
    others = {row["id"] for other in PAPERS if other != paper for row in raw(other, "claims")}
    assert not others.intersection(row["id"] for row in rows)  # the ledger has them all
    assert {row["kind"] for row in rows} <= {"analytic", "qualitative", "quantitative"}
    assert all(row[name] for row in rows for name in CLAIMS if name != "tolerance")
    assert all(tolerance(said) for said in printed_claims(paper).values())


@each_paper
def test_every_claim_is_checked_in_the_order_of_print(paper: str) -> None:
    assert list(checks_of(paper)) == [row["id"] for row in raw(paper, "claims") if row["id"] not in UNCHECKED.get(paper, ())]


@each_paper
def test_bounds_are_those_of_rows_and_columns_that_exist(paper: str) -> None:
    for said in printed_claims(paper).values():
        if not said["rows"]:
            assert not any(said[name] for name in BOUNDS)
            continue
        table, numbers = rows_of(said)
        names, parts = set(artifacts_of(paper)[table].schema.names), numbers or [0]
        if numbers:
            assert set(numbers) <= set(read_published(paper, table)["row"])
        elif found := re.fullmatch(r"\w+: (\w+) = .+ by ([^;]+)(.*)", said["rows"]):  # pairs
            column, by, chosen = found.groups()
            assert {column, *by.split(", "), *re.findall(r"; (\w+) =", chosen)} <= names
            names |= {f"other_{name}" for name in names}
        else:
            parts = conditions_of(said)[1]
            assert all(pd.DataFrame(columns=list(names), dtype=str).query(part, engine="python").empty for part in parts)
        assert set(re.findall(r"[a-z_]\w*", said["measure"])) <= names
        assert len(bounds(said, parts)) and (said["least"] or said["most"])


@each_paper
def test_without_tables_no_claim_is_tested(paper: str) -> None:
    for check in checks_of(paper).values():
        assert check({}).status == NOT_TESTED and "not run yet" in check({}).evidence


@each_paper
def test_claims_point_to_figures_and_tables_that_are_here(paper: str) -> None:
    figures, tables = {row["figure"] for row in raw(paper, "figures")}, set(published_tables(paper))
    for row in raw(paper, "claims"):
        for kind, listed in re.findall(r"(Figure|Table)s? ((?:\d|I+)\b(?:(?: and |, )(?:\d|I+)\b)*)", row["where"]):
            for number in re.findall(r"\d|I+", listed):
                known = figures if kind == "Figure" else tables
                assert (f"Figure {number}" if kind == "Figure" else f"table{number.count('I') or number}") in known, row


# ---- artifacts --------------------------------------------------------------------------------------------------------


@each_paper
def test_artifacts_by_name(paper: str) -> None:
    known = artifacts_of(paper)
    assert all(artifact.schema.name == name for name, artifact in known.items())
    first, *_, last = known
    assert [artifact.name for artifact in select_artifacts(paper, [last, first])] == [first, last]


@pytest.mark.parametrize("profile", profile_names())
@each_artifact
def test_rows_are_numbered_and_each_can_be_run_or_says_why_not(profile: str, paper: str, name: str) -> None:
    """A table of them is valid also where none is run: no two share their keys, which are in their format."""
    schema, rows = artifacts_of(paper)[name].schema, artifacts_of(paper)[name].rows(load_profile(profile))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        assert bool(row.reason) != (row.fill is not None)
        assert not set(row.key) & set(row.unmeasured) and "\n" not in row.reason
    keys = {column.name for column in schema.keys}
    if (paper, name) not in MEASURED_KEYS:
        assert all(set(row.key) | set(row.unmeasured) == keys for row in rows)
        lines = [row.key | row.unmeasured | {"status": "not run: a test"} for row in rows]
        assert len(format_rows(pd.DataFrame(lines, columns=schema.names), schema, name)) == len(lines)


@pytest.mark.parametrize("folder", sorted({stored.rsplit("/", 1)[0] for stored in STORED}))
def test_stored_reports_say_what_tables_texts_and_recipes_say(folder: str) -> None:
    profile, paper = folder.split("/")
    text, figures = compose(paper, load_profile(profile), RESULTS)
    reports = RESULTS.parent / "reports"
    again = f"render it again: snnbench report {paper} --profile {profile}"
    assert text == (reports / f"{folder}.md").read_text(encoding="utf-8"), again
    assert set(figures) == {path.stem for path in (reports / folder).glob("*.svg")}, again


def test_a_report_is_rendered_without_torch(tmp_path: Path) -> None:
    asked = ["report", "css", "--results", RESULTS, "--reports", tmp_path]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "embedded/css.md").read_text() == (RESULTS.parent / "reports/embedded/css.md").read_text()


@pytest.mark.parametrize("stored", STORED)
def test_stored_tables_obey_their_schemas(stored: str) -> None:
    _, paper, name = stored.removesuffix(".csv").split("/")
    assert len(read_table(RESULTS / stored, artifacts_of(paper)[name].schema))
