"""``snnbench data``: what a profile needs, what was found where, and how to get the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from benchmarks.data import locate, open_images
from benchmarks.harness.commands.common import AsJson, Offline, ProfileName, Weights, console, make_lab, print_json
from benchmarks.measurements.lab import TORCHVISION
from benchmarks.models.weights import find_checkpoint
from benchmarks.profiles import NetworkChoice, profile_names
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
            needs.append(
                {
                    "need": f"{dataset} {split}",
                    "found": located.found,
                    "where": located.where,
                    "how_to_get": located.how_to_get,
                    "fingerprint": digest,
                }
            )
    explicit = {name: Path(path) for name, path in lab.weights}
    for choice in lab.profile.networks:
        if choice.weights is None:
            continue
        if choice.weights.startswith(TORCHVISION):
            path, how = _torchvision_file(choice), "torchvision downloads it when it is first run"
        else:
            path = find_checkpoint(choice.weights, explicit)
            how = f"--weights {choice.weights}=FILE, or SNNBENCH_WEIGHTS/{choice.weights}.safetensors"
        recipe = f"; else trained by recipe {choice.recipe}" if choice.recipe else ""
        needs.append(
            {
                "need": f"weights {choice.weights}",
                "found": path is not None,
                "where": str(path or ""),
                "how_to_get": how + recipe,
                "fingerprint": "",
            }
        )
    return needs


def _torchvision_file(choice: NetworkChoice) -> Path | None:
    """Where torchvision keeps the weights of a choice, None if they are not there yet."""
    from torchvision.models import get_model_weights

    entry = get_model_weights(choice.architecture.removeprefix("torchvision/"))[str(choice.weights).removeprefix(TORCHVISION)]
    path = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[1]
    return path if path.exists() else None
