"""``snnbench list``: what there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from benchmarks.data import DATASETS
from benchmarks.errors import CannotRun
from benchmarks.harness.commands.common import AsJson, console, print_json
from benchmarks.methods import DIRECT_METHODS, METHODS, direct_method, method
from benchmarks.methods.base import THRESHOLD_RULES
from benchmarks.models import MODELS
from benchmarks.profiles import load_profile, profile_names
from benchmarks.tables.artifacts import PAPERS, artifacts_of

Entries = list[tuple[str, str]]


def entries() -> dict[str, Entries]:
    """Names and one line each, by kind."""
    return {
        "papers": [(paper, f"{len(artifacts_of(paper))} artifacts") for paper in PAPERS],
        "artifacts": [(f"{paper} {a.name}", a.title) for paper in PAPERS for a in artifacts_of(paper).values()],
        "profiles": [(name, load_profile(name).title) for name in profile_names()],
        "methods": [
            *((m.name, f"conversion, {m.coding} coding; {m.reference}") for m in map(method, METHODS)),
            *((m.name, f"direct training; {m.reference}") for m in map(direct_method, DIRECT_METHODS)),
        ],
        "calibrations": [(name, repr(rule)) for name, rule in THRESHOLD_RULES.items()],
        "networks": [(m.name, m.definition) for m in MODELS.values()],
        "datasets": [(d.name, f"{d.paper_name}, {d.classes} classes, {d.licence}") for d in DATASETS.values()],
    }


def list_command(
    kind: Annotated[str, typer.Argument(help="papers, artifacts, profiles, methods, calibrations, networks or datasets.")] = "",
    as_json: AsJson = False,
) -> None:
    """List papers, artifacts, profiles, methods, calibrations, networks and datasets.

    Examples: snnbench list | snnbench list methods
    """
    known = entries()
    if kind and kind not in known:
        raise CannotRun(f"nothing of kind {kind!r} to list; known: {', '.join(known)}")
    chosen = {name: known[name] for name in known if kind in ("", name)}
    if as_json:
        print_json({name: dict(listed) for name, listed in chosen.items()})
        return
    for name, listed in chosen.items():
        table = Table(title=name, title_justify="left", show_header=False)
        for first, second in listed:
            table.add_row(first, second)
        console.print(table)
