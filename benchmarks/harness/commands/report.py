"""``snnbench report``: render reports from stored tables alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.commands.common import AsJson, Paper, ProfileName, Reports, Results, console, print_json
from benchmarks.profiles import load_profile
from benchmarks.tables.artifacts import artifacts_of


def report_command(
    paper: Paper,
    profile: ProfileName = "embedded",
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    as_json: AsJson = False,
) -> None:
    """Render the report of a paper from its stored tables; no network is run.

    Examples: snnbench report tmn --profile workstation
    """
    from benchmarks.harness.report import render  # matplotlib takes a second to import

    artifacts_of(paper)
    written = render(paper, load_profile(profile), results, reports)
    if as_json:
        print_json([str(path) for path in written])
    else:
        for path in written:
            console.print(f"{path}", soft_wrap=True)
