"""``snnbench data``: what a profile needs, what was found where, and how to get the rest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.data import Located, locate, open_images
from benchmarks.harness.commands.common import AsJson, Offline, ProfileName, Weights, console, make_lab, print_json
from benchmarks.measurements.lab import TORCHVISION
from benchmarks.models.imagenet import torchvision_weights
from benchmarks.models.weights import find_checkpoint
from benchmarks.profiles import profile_names
from benchmarks.tables.artifacts import datasets_of


def data_command(
    profile: ProfileName = "",
    fingerprint: Annotated[bool, typer.Option("--fingerprint", help="Decode the images and print their fingerprints.")] = False,
    weights: Weights = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Show data and weights of a profile: found where, with which fingerprint, or how to get them.

    Examples: snnbench data | snnbench data --profile workstation --fingerprint
    """
    found = {name: _needs(name, weights, offline, fingerprint) for name in ([profile] if profile else profile_names())}
    if as_json:
        print_json(found)
        return
    for name, needs in found.items():
        table = Table("needs", "found", "where, or how to get it", *(["fingerprint"] if fingerprint else []), title=name)
        for need in needs:
            cells = [need["need"], "yes" if need["found"] else "[red]no[/red]", need["where"] or need["how_to_get"]]
            table.add_row(*cells, *([need["fingerprint"]] if fingerprint else []))
        console.print(table)


def _needs(profile: str, weights: list[str] | None, offline: bool, fingerprint: bool) -> list[dict[str, Any]]:
    lab = make_lab(profile, weights, offline)
    needs: list[dict[str, Any]] = []
    for dataset in datasets_of(lab.profile):
        for split in ("train", "test"):
            located = locate(dataset, split)
            digest = open_images(dataset, split, offline).fingerprint if fingerprint and located.found else ""
            needs.append({"need": f"{dataset} {split}", **asdict(located), "fingerprint": digest})
    explicit = {name: Path(path) for name, path in lab.weights}
    for choice in lab.profile.networks:
        if choice.weights is None:
            continue
        if choice.weights.startswith(TORCHVISION):
            weights_file = torchvision_weights(choice.architecture, choice.weights.removeprefix(TORCHVISION))[1]
            path = weights_file if weights_file.exists() else None
            how = "torchvision downloads it when it is first run"
        else:
            path = find_checkpoint(choice.weights, explicit)
            how = f"--weights {choice.weights}=FILE, or SNNBENCH_WEIGHTS/{choice.weights}.safetensors"
        recipe = f"; else trained by recipe {choice.recipe}" if choice.recipe else ""
        located = Located(path is not None, str(path or ""), how + recipe)
        needs.append({"need": f"weights {choice.weights}", **asdict(located), "fingerprint": ""})
    return needs
