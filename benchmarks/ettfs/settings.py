"""What a profile says about this room, ``[papers.ettfs]``, checked before anything is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import direct_method
from benchmarks.models.layouts import parse_layout
from benchmarks.profiles import Profile
from benchmarks.tables.settings import (
    NETWORK,
    NETWORKS,
    SEE,
    TABLE,
    TEXT,
    Check,
    check_table,
    list_of,
    read_section,
    sections_of,
    whole,
    wholes,
)
from benchmarks.training import recipe
from snncore.decoding import weights

PAPER = "ettfs"


@dataclass(frozen=True)
class Choice:
    """What is trained where the paper names a data set and a network (SMLP or SCNN).

    ``recipes``: method -> recipe. ``seeds``: method -> seeds, with ``default`` for those not named. ``validation`` and
    ``training``: images of the training set to validate on and to train on. ``layouts``: method -> layout, for those whose
    own papers have another one.
    """

    paper_dataset: str
    network: str
    dataset: str
    layout: str
    recipes: dict[str, str]
    seeds: dict[str, list[int]]
    validation: int
    training: int | None = None
    layouts: dict[str, str] = field(default_factory=dict)

    @property
    def stand_in(self) -> bool:
        """Whether the data set is not the paper's, or only a part of it is trained on. The paper prints no layout to compare."""
        return dataset_spec(self.dataset).paper_name != self.paper_dataset or self.training is not None

    def seeds_of(self, method: str) -> list[int]:
        """Training seeds of a method."""
        return self.seeds.get(method, self.seeds["default"])

    def of(self, method: str) -> Choice:
        """This choice with the layout of a method."""
        return replace(self, layout=self.layouts.get(method, self.layout))


VARIANTS: dict[str, dict[str, str]] = {
    "both": {},
    "no init": {"initialization": "kaiming"},
    "no average pooling": {"pooling": "max"},
    "neither": {"initialization": "kaiming", "pooling": "max"},
}
"""Name -> options; the variants of Table III's ablation."""
VARIANT_OF = {("yes", "yes"): "both", ("no", "yes"): "no init", ("yes", "no"): "no average pooling", ("no", "no"): "neither"}
"""Columns initialization and average_pooling of Table III -> name."""
ENCODINGS = ("direct", "latency", "random")
"""Of the inputs; random ones (one spike per input, at a random step) cannot be trained on."""


def _is_decoder(value: Any) -> bool:
    try:
        weights(value, 2)
    except (ValueError, TypeError):
        return False
    return True


def _is_variant(value: Any) -> bool:
    return isinstance(value, str) and value in VARIANTS


SEEDS, COUNT = wholes(0), whole(1)
SECTIONS: dict[str, dict[str, Check]] = {
    "table3": {"network": NETWORK, "variants": list_of(_is_variant, f"variants of {', '.join(VARIANTS)}")},
    "decoders": {
        "networks": NETWORKS,
        "decoders": list_of(_is_decoder, "decoders, e.g. exponential-2, linear, uniform, first-spike"),
        "seeds": SEEDS,
    },
    "forced": {"networks": NETWORKS},
    "initial": {
        "dataset": TEXT,
        "layout": TEXT,
        "timesteps": whole(2),
        "images": COUNT,
        "encodings": list_of(lambda value: value in ENCODINGS, f"encodings of {', '.join(ENCODINGS)}"),
    },
    "figure4": {
        "network": NETWORK,
        "encodings": list_of(lambda value: value in ENCODINGS[:2], f"encodings of {', '.join(ENCODINGS[:2])}"),
    },
    "stacks": {"width": COUNT, "depth": COUNT, "timesteps": wholes(2), "draws": COUNT},
}
ENTRIES: dict[str, Check] = {
    "paper_dataset": TEXT,
    "network": TEXT,
    "dataset": TEXT,
    "layout": TEXT,
    "recipes": TABLE,
    "seeds": TABLE,
    "validation": COUNT,
    "training": COUNT,
    "layouts": TABLE,
}
"""Of one of [[papers.ettfs.networks]]; see ``Choice``."""
KNOWN: dict[str, dict[str, Check]] = SECTIONS | {"networks": ENTRIES}


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ettfs.networks]]``.

    Raises:
        CannotRun: an entry that lacks, is unknown or of another type; an unknown data set, method, recipe or layout.
    """
    section = sections_of(profile, PAPER, KNOWN)
    where = f"profile {profile.name}, [[papers.{PAPER}.networks]]"
    found = [_choice(entry, where) for entry in section.get("networks", [])]
    names = [(each.paper_dataset, each.network) for each in found]
    for name in names:
        if names.count(name) > 1:
            raise CannotRun(f"{where} names {' '.join(name)} twice")
    return found


def choice(profile: Profile, dataset: str, network: str) -> Choice:
    """The network that stands for a data set and a kind of network of the paper. NotAvailable where there is none."""
    for each in choices(profile):
        if (each.paper_dataset, each.network) == (dataset, network):
            return each
    raise NotAvailable(f"profile {profile.name} names no network for {dataset} {network}")


def settings(profile: Profile, name: str) -> dict[str, Any]:
    """The entries of ``[papers.ettfs.<name>]``; empty where the profile has no such section. CannotRun for a wrong entry."""
    return read_section(profile, PAPER, name, KNOWN)


def _choice(entry: Any, where: str) -> Choice:
    check_table(entry, ENTRIES, where, optional=("training", "layouts"))
    made = Choice(**entry)
    spec = dataset_spec(made.dataset)
    for layout in (made.layout, *made.layouts.values()):
        parse_layout(layout, (spec.channels, *spec.size), spec.classes)
    if "default" not in made.seeds:
        raise CannotRun(f"{where}: seeds lacks 'default'; {SEE}")
    for name, known in (("seeds", ("default", *made.recipes)), ("layouts", tuple(made.recipes))):
        for method in getattr(made, name):
            if method not in known:
                raise CannotRun(f"{where}: {name} of {method}, which has no recipe; known: {', '.join(known)}")
    for method, seeds in made.seeds.items():
        if wanted := SEEDS(seeds):
            raise CannotRun(f"{where}: the seeds of {method} must be {wanted}, got {seeds!r}")
    for method, name in made.recipes.items():
        if not isinstance(name, str) or not isinstance(recipe(name).options.get("timesteps"), int):
            raise CannotRun(f"{where}: the recipe of {method} must be one for spiking networks, with timesteps, got {name!r}")
        try:
            direct_method(method)
        except NotAvailable as error:
            raise CannotRun(f"{where}: {error}") from error
    return made
