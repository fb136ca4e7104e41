"""``snnbench claims``: the ledger of all papers' claims, from stored tables alone."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from benchmarks.files import atomic_write_bytes
from benchmarks.harness.commands.common import AsJson, Reports, Results, console, print_json


def claims_command(results: Results = Path("results"), reports: Reports = Path("reports"), as_json: AsJson = False) -> None:
    """Every claim of every paper with the best evidence at hand; also written to reports/README.md.

    Examples: snnbench claims | snnbench claims --json
    """
    from benchmarks.harness.ledger import ledger, page  # matplotlib takes a second to import

    entries = ledger(results)
    atomic_write_bytes(reports / "README.md", page(entries).encode())
    if as_json:
        print_json(
            [
                {"paper": entry.paper, "claim": entry.name, "measured in": entry.measured_in} | vars(entry.best)
                for entry in entries
            ]
        )
        return
    table = Table("claim", "verdict", "measured in", "what the paper says", title="Claims", title_justify="left")
    for entry in entries:
        table.add_row(entry.name, entry.best.status, entry.measured_in, entry.said["statement"])
    console.print(table)
    console.print(f"{reports / 'README.md'}", soft_wrap=True)
