"""``snnbench run``: measure, write the tables, render the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.markup import escape
from rich.table import Table as Printed

from benchmarks.errors import CannotRun
from benchmarks.harness.commands import common
from benchmarks.harness.commands.common import console, print_json
from benchmarks.harness.results import format_rows
from benchmarks.harness.run import Run, Table, check_writable, write
from benchmarks.tables.artifacts import select_artifacts
from benchmarks.tables.markdown import count


def run_command(
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
    reports: common.Reports = Path("reports"),
    no_report: Annotated[bool, typer.Option("--no-report", help="Write the tables only.")] = False,
    as_json: common.AsJson = False,
) -> None:
    """Measure artifacts of a paper, write their tables and render the report; a killed run resumes.

    Ctrl-C writes the rows that are finished.

    Examples: snnbench run tmn | snnbench run tmn table2 --profile workstation --rows 7,15 | snnbench run tmn --profile gpu
    --device cuda --jobs 4
    """
    numbers = common.parse_rows(rows)
    chosen = select_artifacts(paper, artifacts or [])
    if numbers is not None and len(chosen) != 1:
        raise CannotRun("--rows selects rows of one artifact; name it, e.g. snnbench run tmn table2 --rows 7")
    if not no_report:
        from benchmarks.tables.pages import check_page  # matplotlib takes a second to import

        check_page(paper)
    lab = common.make_lab(profile, weights, offline, device)
    folder = results / lab.profile.name / paper
    with common.progress(common.parallel(jobs, device), backend, as_json) as execution:
        run = Run(lab, chosen, execution, numbers)
        if not artifacts:
            _check_any(run, paper)
        check_writable(folder)
        try:
            tables = list(run.tables())
        except KeyboardInterrupt:
            for table in run.finished_tables():
                _write_finished(table, run, folder)
            raise
    changed = {table.artifact.name: write(table, run, folder, partial=numbers is not None) for table in tables}
    if not no_report:
        from benchmarks.harness.report import render  # matplotlib takes a second to import

        render(paper, lab.profile, results, reports)
    if as_json:
        print_json([_record(table, changed[table.artifact.name]) for table in tables])
    else:
        for table in tables:
            _print(table, changed[table.artifact.name], folder)
        if not no_report:
            console.print(f"report: {reports / lab.profile.name / f'{paper}.md'}")
    if numbers is not None and all(table.frame["status"].str.startswith("not run").all() for table in tables):
        reason = tables[0].frame["status"].iloc[0]
        raise CannotRun(f"none of the rows {rows} could be run: {reason.removeprefix('not run: ')}")


def _check_any(run: Run, paper: str) -> None:
    rows = [row for plan in run.plans.values() for row in plan]
    if not any(row.measurements for row in rows):
        reason = next((f" ({row.reason})" for row in rows if row.reason), "")
        name = run.lab.profile.name
        raise CannotRun(f"profile {name} has nothing to measure for paper {paper}{reason}; use another, e.g. embedded")


def _write_finished(table: Table, run: Run, folder: Path) -> None:
    """Write what an interrupted run has of a table; a stored one that is damaged is left to the next run."""
    rows = count(len(run.plans[table.artifact.name]), "finished row")
    try:
        write(table, run, folder, partial=True)
        said = f"{rows} in {folder / table.artifact.name}.csv"
    except CannotRun as error:
        said = f"{rows} not written: {error}"
    common.errors.print(said, highlight=False, markup=False, soft_wrap=True)


def _record(table: Table, changed: bool) -> dict[str, Any]:
    names = table.artifact.schema.names
    lines = format_rows(table.frame, table.artifact.schema, table.artifact.name)
    rows = [dict(zip(names, line, strict=True)) for line in lines]
    return {"artifact": table.artifact.name, "changed": changed, "rows": rows}


DETAILS = re.compile(
    r".*ci95.*|.*_used|seeds|n_test|latency.*|presimulation_steps|provenance|reference|source|coding|printed_method|no_quant|no_cal|"
    r"quantizer|validation|epochs|training_images|silent_percent|acs.*|macs.*|signs|energy_\w+_mj"
)
"""Columns that the terminal does not show; the files have all of them."""
MOST_LINES = 64


def _print(table: Table, changed: bool, folder: Path) -> None:
    schema = table.artifact.schema
    path = folder / f"{table.artifact.name}.csv"
    lines = format_rows(table.frame, schema, table.artifact.name)
    title = f"{table.artifact.title}: {len(lines)} lines, {'new or changed' if changed else 'unchanged'} in {path}"
    console.print(escape(title), soft_wrap=True)
    if len(lines) > MOST_LINES:
        return
    printed = Printed(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = [i for i, name in enumerate(schema.names) if not DETAILS.fullmatch(name) and any(line[i] for line in lines)]
    for i in shown:
        column, reason = schema.columns[i], schema.names[i] == "status"  # a reason may be long: it alone gives way
        heading = column.name.replace("_", "\n")
        widest = max(map(len, [*heading.split("\n"), *(line[i] for line in lines)]))
        side: Literal["left", "right"] = "left" if column.kind == "text" else "right"  # last digits under each other
        printed.add_column(heading, no_wrap=not reason, min_width=None if reason else widest, justify=side)
    for line in lines:
        printed.add_row(*(escape(line[i]) for i in shown))
    console.print(printed)
