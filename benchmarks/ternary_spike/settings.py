"""What a profile says about this room, ``[papers.ternary_spike]``, checked before anything is run."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt
from pydantic.dataclasses import dataclass

from benchmarks.checked import CONFIG, Checked, Count, Seeds, Text, known
from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models.spiking_resnet import LAYOUTS, residual_layout
from benchmarks.profiles import Profile
from benchmarks.tables.settings import LIMITS, Check, is_text, list_of, networks_of, read_section, whole, wholes
from benchmarks.training import recipe

PAPER = "ternary_spike"
METHODS: dict[str, Check] = {
    "timesteps": whole(1),
    "seeds": wholes(0),
    "most_timesteps": whole(1),
    "added": list_of(is_text, "paths package.module:Class"),
    "long": LIMITS,
}
SECTIONS: dict[str, dict[str, Check]] = {"networks": {}, "methods": METHODS}


def _printed(architecture: str) -> None:
    if architecture not in LAYOUTS:
        raise CannotRun(f"unknown architecture {architecture!r}; known: {', '.join(LAYOUTS)}")


@dataclass(frozen=True, config=CONFIG)
class Choice(Checked):
    """What is trained where the paper names a data set and a network.

    ``validation`` and ``training``: images of the training set to validate on and to train on (all others by default).
    ``test_every_epoch``: measure on the test set after every epoch too, for the column ``best_on_test`` alone.
    """

    paper_dataset: Text
    architecture: Annotated[str, known(_printed)]
    dataset: Annotated[str, known(dataset_spec)]
    layout: Annotated[str, known(residual_layout)]
    recipe: Annotated[str, known(recipe)]
    seeds: Seeds
    validation: Count
    training: Annotated[StrictInt, Field(ge=2)] | None = None
    test_every_epoch: StrictBool = False

    @property
    def stand_in(self) -> bool:
        """Whether data set, layout or the number of training images is not the paper's."""
        same = dataset_spec(self.dataset).paper_name == self.paper_dataset and self.layout == self.architecture
        return not same or self.training is not None


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ternary_spike.networks]]``. CannotRun for an entry that is wrong."""
    return networks_of(profile, PAPER, SECTIONS, Choice)


def choice(profile: Profile, dataset: str, architecture: str) -> Choice:
    """The network that stands for one of the paper. NotAvailable where the profile has none."""
    for each in choices(profile):
        if (each.paper_dataset, each.architecture) == (dataset, architecture):
            return each
    raise NotAvailable(f"profile {profile.name} names no network for {architecture} on {dataset}")


def settings(profile: Profile) -> dict[str, Any]:
    """The entries of ``[papers.ternary_spike.methods]``; empty where the profile has no such section."""
    return read_section(profile, PAPER, "methods", SECTIONS, optional=("most_timesteps", "added", "long"))
