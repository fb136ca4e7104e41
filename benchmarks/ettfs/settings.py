"""What a profile says about this room, ``[papers.ettfs]``, checked before anything is run."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from benchmarks.checked import CONFIG, Checked, Count, Seeds, Text, known
from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import DIRECT_METHODS, direct_method
from benchmarks.models.layouts import parse_layout
from benchmarks.profiles import Profile
from benchmarks.tables import settings as kit
from benchmarks.tables.settings import NETWORK, NETWORKS, TEXT, Check, list_of, whole, wholes
from benchmarks.training import recipe

PAPER = "ettfs"
INITIALIZATIONS = {"kaiming": "no init", "ettfs": "both"}
"""Name -> variant of Table III."""
VARIANTS: dict[str, dict[str, str]] = {
    "both": {},
    "no init": {"initialization": "kaiming"},
    "no average pooling": {"pooling": "max"},
    "neither": {"initialization": "kaiming", "pooling": "max"},
}
"""Name -> options of Table III's ablation, its last row first."""


def variant_of(row: int) -> str:
    """The variant in a row of Table III."""
    return list(VARIANTS)[-row]


def _is_method(name: str) -> None:
    if name not in DIRECT_METHODS:
        direct_method(name)


def _with_timesteps(name: str) -> None:
    if not isinstance(recipe(name).options.get("timesteps"), int):
        raise CannotRun(f"recipe {name} has no timesteps: it is not for spiking networks")


@dataclass(frozen=True, config=CONFIG)
class Choice(Checked):
    """What is trained where the paper names a data set and a network (SMLP or SCNN).

    ``recipes``: method -> recipe. ``seeds``: method -> seeds, with ``default`` for those not named. ``validation`` and
    ``training``: images of the training set to validate on and to train on. ``layouts``: method -> layout, for those whose
    own papers have another one.
    """

    paper_dataset: Text
    network: Text
    dataset: Annotated[str, known(dataset_spec)]
    layout: Text
    recipes: dict[Annotated[str, known(_is_method)], Annotated[str, known(_with_timesteps)]]
    seeds: dict[str, Seeds]
    validation: Count
    training: Count | None = None
    layouts: dict[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "default" not in self.seeds:
            raise CannotRun("seeds lacks the entry 'default'")
        if unknown := {*self.layouts, *self.seeds} - {"default", *self.recipes}:
            raise CannotRun(f"layouts and seeds are of methods with a recipe, not of {', '.join(sorted(unknown))}")
        spec = dataset_spec(self.dataset)
        for layout in (self.layout, *self.layouts.values()):
            parse_layout(layout, (spec.channels, *spec.size), spec.classes)

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


def _is_decoder(value: Any) -> bool:
    from snncore.decoding import weights

    try:
        return len(weights(value, 2)) == 2
    except (ValueError, TypeError):
        return False


def _names(*known: str) -> Check:
    return list_of(lambda value: isinstance(value, str) and value in known, f"names out of {', '.join(known)}")


COUNT, DECODERS = whole(1), list_of(_is_decoder, "decoders, e.g. exponential-2, linear, uniform, first-spike")
SECTIONS: dict[str, dict[str, Check]] = {
    "table3": {"network": NETWORK, "variants": _names(*VARIANTS)},
    "decoders": {"networks": NETWORKS, "decoders": DECODERS, "seeds": wholes(0)},
    "forced": {"networks": NETWORKS},
    # Random inputs (one spike per input, at a random step) cannot be trained on.
    "initial": {"dataset": TEXT, "layout": TEXT, "timesteps": whole(2), "images": COUNT}
    | {"encodings": _names("direct", "latency", "random")},
    "figure4": {"network": NETWORK, "encodings": _names("direct", "latency")},
    "stacks": {"width": COUNT, "depth": COUNT, "timesteps": wholes(2), "draws": COUNT},
    "networks": {},  # see Choice
}


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ettfs.networks]]``. CannotRun for an entry that is wrong, and for two of the same name."""
    found = kit.networks_of(profile, PAPER, SECTIONS, Choice)
    names = [f"{each.paper_dataset} {each.network}" for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CannotRun(f"profile {profile.name}, [[papers.{PAPER}.networks]] names {twice[0]} twice")
    return found


def choice(profile: Profile, dataset: str, network: str) -> Choice:
    """The network that stands for a data set and a kind of network of the paper. NotAvailable where there is none."""
    for each in choices(profile):
        if (each.paper_dataset, each.network) == (dataset, network):
            return each
    raise NotAvailable(f"profile {profile.name} names no network for {dataset} {network}")


def settings(profile: Profile, name: str) -> dict[str, Any]:
    """The entries of ``[papers.ettfs.<name>]``; empty lists without that section. CannotRun for a wrong entry."""
    return kit.read_section(profile, PAPER, name, SECTIONS) or {entry: [] for entry in SECTIONS[name]}
