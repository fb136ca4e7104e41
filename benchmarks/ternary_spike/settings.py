"""What a profile says about this room, ``[papers.ternary_spike]``, checked before anything is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import StrictBool

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models.spiking_resnet import LAYOUTS, residual_layout
from benchmarks.profiles import Profile
from benchmarks.tables.settings import TEXT, Check, check_table, is_text, list_of, of, read_section, sections_of, whole, wholes
from benchmarks.training import recipe

PAPER = "ternary_spike"
ENTRIES: dict[str, Check] = {
    "paper_dataset": TEXT,
    "architecture": TEXT,
    "dataset": TEXT,
    "layout": TEXT,
    "recipe": TEXT,
    "seeds": wholes(0),
    "validation": whole(1),
    "training": whole(2),
    "test_every_epoch": of(StrictBool, "true or false"),
}
"""Of one of [[papers.ternary_spike.networks]]; see ``Choice``."""
METHODS: dict[str, Check] = {"timesteps": whole(1), "seeds": wholes(0), "added": list_of(is_text, "paths package.module:Class")}
SECTIONS: dict[str, dict[str, Check]] = {"networks": ENTRIES, "methods": METHODS}


@dataclass(frozen=True)
class Choice:
    """What is trained where the paper names a data set and a network.

    ``validation`` and ``training``: images of the training set to validate on and to train on (all others by default).
    ``test_every_epoch``: measure on the test set after every epoch too, for the column ``best_on_test`` alone.
    """

    paper_dataset: str
    architecture: str
    dataset: str
    layout: str
    recipe: str
    seeds: list[int] = field(hash=False)
    validation: int
    training: int | None = None
    test_every_epoch: bool = False

    @property
    def stand_in(self) -> bool:
        """Whether data set, layout or the number of training images is not the paper's."""
        same = dataset_spec(self.dataset).paper_name == self.paper_dataset and self.layout == self.architecture
        return not same or self.training is not None


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ternary_spike.networks]]``. CannotRun for an entry that lacks, is unknown or wrong."""
    section = sections_of(profile, PAPER, SECTIONS)
    where, found = f"profile {profile.name}, [[papers.{PAPER}.networks]]", []
    for entry in section.get("networks", []):
        check_table(entry, ENTRIES, where, optional=("training", "test_every_epoch"))
        made = Choice(**entry)
        dataset_spec(made.dataset)
        residual_layout(made.layout)
        if made.architecture not in LAYOUTS:
            raise CannotRun(f"{where}: unknown architecture {made.architecture!r}; known: {', '.join(LAYOUTS)}")
        recipe(made.recipe)
        found.append(made)
    return found


def choice(profile: Profile, dataset: str, architecture: str) -> Choice:
    """The network that stands for one of the paper. NotAvailable where the profile has none."""
    for each in choices(profile):
        if (each.paper_dataset, each.architecture) == (dataset, architecture):
            return each
    raise NotAvailable(f"profile {profile.name} names no network for {architecture} on {dataset}")


def settings(profile: Profile) -> dict[str, Any]:
    """The entries of ``[papers.ternary_spike.methods]``; empty where the profile has no such section."""
    return read_section(profile, PAPER, "methods", SECTIONS, optional=("added",))
