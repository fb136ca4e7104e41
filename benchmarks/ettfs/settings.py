"""What a profile says about this room, ``[papers.ettfs]``, checked before anything is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import direct_method
from benchmarks.models.layouts import parse_layout
from benchmarks.profiles import Profile
from benchmarks.tables import settings as kit
from benchmarks.tables.settings import NETWORK, NETWORKS, TABLE, TEXT, Check, check_table, whole, wholes
from benchmarks.training import recipe
from snncore.decoding import weights

PAPER = "ettfs"
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


def _is_decoder(value: Any) -> bool:
    try:
        weights(value, 2)
    except (ValueError, TypeError):
        return False
    return True


def _names(*known: str) -> Check:
    return kit.list_of(lambda value: isinstance(value, str) and value in known, f"names out of {', '.join(known)}")


SEEDS, COUNT = wholes(0), whole(1)
DECODERS = kit.list_of(_is_decoder, "decoders, e.g. exponential-2, linear, uniform, first-spike")
SECTIONS: dict[str, dict[str, Check]] = {
    "table3": {"network": NETWORK, "variants": _names(*VARIANTS)},
    "decoders": {"networks": NETWORKS, "decoders": DECODERS, "seeds": SEEDS},
    "forced": {"networks": NETWORKS},
    # Random inputs (one spike per input, at a random step) cannot be trained on.
    "initial": {"dataset": TEXT, "layout": TEXT, "timesteps": whole(2), "images": COUNT}
    | {"encodings": _names("direct", "latency", "random")},
    "figure4": {"network": NETWORK, "encodings": _names("direct", "latency")},
    "stacks": {"width": COUNT, "depth": COUNT, "timesteps": wholes(2), "draws": COUNT},
}
ENTRIES: dict[str, Check] = {
    **dict.fromkeys(("paper_dataset", "network", "dataset", "layout"), TEXT),
    **dict.fromkeys(("recipes", "seeds", "layouts"), TABLE),
    **dict.fromkeys(("validation", "training"), COUNT),
}
"""Of one of [[papers.ettfs.networks]]; see ``Choice``."""
SPIKING = kit.must(
    lambda name: isinstance(name, str) and isinstance(recipe(name).options.get("timesteps"), int),
    "a recipe for spiking networks, with timesteps",
)
KNOWN: dict[str, dict[str, Check]] = SECTIONS | {"networks": ENTRIES}


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ettfs.networks]]``.

    Raises:
        CannotRun: an entry that lacks, is unknown or of another type; an unknown data set, method, recipe or layout.
    """
    where = f"profile {profile.name}, [[papers.{PAPER}.networks]]"
    found = [_choice(entry, where) for entry in kit.sections_of(profile, PAPER, KNOWN).get("networks", [])]
    names = [f"{each.paper_dataset} {each.network}" for each in found]
    for name in names:
        if names.count(name) > 1:
            raise CannotRun(f"{where} names {name} twice")
    return found


def choice(profile: Profile, dataset: str, network: str) -> Choice:
    """The network that stands for a data set and a kind of network of the paper. NotAvailable where there is none."""
    for each in choices(profile):
        if (each.paper_dataset, each.network) == (dataset, network):
            return each
    raise NotAvailable(f"profile {profile.name} names no network for {dataset} {network}")


def settings(profile: Profile, name: str) -> dict[str, Any]:
    """The entries of ``[papers.ettfs.<name>]``; empty where the profile has no such section. CannotRun for a wrong entry."""
    return kit.read_section(profile, PAPER, name, KNOWN)


def _choice(entry: Any, where: str) -> Choice:
    check_table(entry, ENTRIES, where, optional=("training", "layouts"))
    made = Choice(**entry)
    spec, methods = dataset_spec(made.dataset), tuple(made.recipes)
    check_table(made.recipes, dict.fromkeys(methods, SPIKING), f"{where}, recipes")
    check_table(made.layouts, dict.fromkeys(methods, TEXT), f"{where}, layouts", optional=methods)
    check_table(made.seeds, dict.fromkeys(("default", *methods), SEEDS), f"{where}, seeds", optional=methods)
    for layout in (made.layout, *made.layouts.values()):
        parse_layout(layout, (spec.channels, *spec.size), spec.classes)
    try:
        list(map(direct_method, methods))
    except NotAvailable as error:
        raise CannotRun(f"{where}: {error}") from error
    return made
