"""``snnbench check``: does a re-run give the stored tables?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from benchmarks.errors import CannotRun
from benchmarks.harness.commands import common
from benchmarks.harness.commands.common import console, print_json
from benchmarks.harness.compare import Comparison, Difference, compare_tables
from benchmarks.harness.provenance import read_provenance
from benchmarks.harness.results import read_correctness, read_table, row_keys
from benchmarks.harness.run import Run, Table
from benchmarks.tables.artifacts import Artifact, select_artifacts


def check_command(
    paper: common.Paper,
    artifacts: common.Artifacts = None,
    profile: common.ProfileName = "embedded",
    rows: common.Rows = "",
    weights: common.Weights = None,
    jobs: common.Jobs = 0,
    device: common.Device = "cpu",
    backend: common.Backend = "loky",
    offline: common.Offline = False,
    results: common.Results = Path("results"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not list changes within tolerance.")] = False,
    as_json: common.AsJson = False,
) -> None:
    """Run again and compare with the stored tables; exit 1 and list the differences where they differ.

    Examples: snnbench check tmn | snnbench check tmn table2 --profile workstation --rows 7
    """
    numbers = common.parse_rows(rows)
    chosen = select_artifacts(paper, artifacts or [])
    if numbers is not None and len(chosen) != 1:
        raise CannotRun("--rows selects rows of one artifact; name it, e.g. snnbench check tmn table2 --rows 7")
    lab = common.make_lab(profile, weights, offline, device)
    folder = results / lab.profile.name / paper
    stored = {artifact.name: read_table(folder / f"{artifact.name}.csv", artifact.schema) for artifact in chosen}
    with common.progress(common.parallel(jobs, device), backend, as_json) as execution:
        run = Run(lab, chosen, execution, numbers)
        tables = list(run.tables())
    partial = numbers is not None
    compared = {table.artifact.name: _compare(table, stored[table.artifact.name], folder, partial) for table in tables}
    for table in tables:
        compared[table.artifact.name].differences.extend(_provenance(table.artifact, run, folder, partial))
    failed = sum(len(c.differences) for c in compared.values())
    if as_json:
        print_json({name: asdict(comparison) for name, comparison in compared.items()})
    else:
        for name, comparison in compared.items():
            _print(name, comparison, quiet)
        lines = sum(len(table.frame) for table in tables)
        console.print(f"{len(tables)} tables, {lines} lines{f': {failed} differences' if failed else ' agree'}")
    if failed:
        raise typer.Exit(1)


def _compare(table: Table, stored, folder: Path, partial: bool) -> Comparison:  # type: ignore[no-untyped-def]
    schema = table.artifact.schema
    path = folder / f"{table.artifact.name}.npz"
    correct = read_correctness(path) if path.exists() else {}
    if partial:
        fresh = set(row_keys(table.frame, schema))
        stored = stored[[name in fresh for name in row_keys(stored, schema)]].reset_index(drop=True)
        correct = {name: value for name, value in correct.items() if name.rpartition("#")[0] in fresh}
    return compare_tables(stored, table.frame, schema, correct, table.correct)


def _provenance(artifact: Artifact, run: Run, folder: Path, partial: bool) -> list[Difference]:
    """Where the stored record is of another table (as a whole), or of other data than were used now."""
    path = folder / f"{artifact.name}.csv"
    record, now = read_provenance(path.with_suffix(".json")), run.provenance(artifact, path)
    pairs = [] if partial else [("table_sha256", record.get("table_sha256", ""), now["table_sha256"])]
    pairs += [(name, record.get("datasets", {}).get(name, ""), digest) for name, digest in now["datasets"].items()]
    return [Difference("provenance", name, old, new, "is of something else") for name, old, new in pairs if old != new]


def _print(name: str, comparison: Comparison, quiet: bool) -> None:
    listed = [("differs", d) for d in comparison.differences] + [("note", d) for d in ([] if quiet else comparison.notes)]
    for kind, difference in listed:
        # One line each, however narrow the terminal is: a log can then be searched.
        console.print(escape(f"{name} {kind}: {difference}"), soft_wrap=True)
