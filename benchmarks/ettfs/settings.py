"""What a profile says about this room, ``[papers.ettfs]``, checked before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import direct_method
from benchmarks.models.layouts import parse_layout
from benchmarks.profiles import Profile
from benchmarks.training import recipe
from snncore.decoding import weights

PAPER = "ettfs"
SEE = "see benchmarks/profiles/embedded.toml"


@dataclass(frozen=True)
class Choice:
    """What is trained where the paper names a data set and a network (SMLP or SCNN).

    ``recipes``: method -> recipe. ``seeds``: method -> seeds, with ``default`` for those not named. ``validation`` and
    ``training``: images of the training set to validate on and to train on.
    """

    paper_dataset: str
    network: str
    dataset: str
    layout: str
    recipes: dict[str, str]
    seeds: dict[str, list[int]]
    validation: int
    training: int | None = None

    @property
    def stand_in(self) -> bool:
        """Whether the data set is not the paper's, or only a part of it is trained on. The paper prints no layout to compare."""
        return dataset_spec(self.dataset).paper_name != self.paper_dataset or self.training is not None

    def seeds_of(self, method: str) -> list[int]:
        """Training seeds of a method."""
        return self.seeds.get(method, self.seeds["default"])


KINDS: dict[str, tuple[type, ...]] = {
    "paper_dataset": (str,),
    "network": (str,),
    "dataset": (str,),
    "layout": (str,),
    "recipes": (dict,),
    "seeds": (dict,),
    "validation": (int,),
    "training": (int,),
}
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


def _some(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A list of different good things, at least one."""

    def check(value: Any) -> bool:
        return isinstance(value, list) and value != [] and all(map(good, value)) and len(set(map(repr, value))) == len(value)

    return check


def _count(value: Any, least: int = 1) -> bool:
    return type(value) is int and value >= least


def _seed(value: Any) -> bool:
    return _count(value, 0)


def _time(value: Any) -> bool:
    return _count(value, 2)


def _name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _network(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_name, value))


def _decoder(value: Any) -> bool:
    try:
        weights(value, 2)
    except (ValueError, TypeError):
        return False
    return True


SEEDS = _some(_seed)
SECTIONS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "table3": {"network": _network, "variants": _some(lambda value: _name(value) and value in VARIANTS)},
    "decoders": {"networks": _some(_network), "decoders": _some(_decoder), "seeds": SEEDS},
    "forced": {"networks": _some(_network)},
    "initial": {
        "dataset": _name,
        "layout": _name,
        "timesteps": _time,
        "images": _count,
        "encodings": _some(lambda value: value in ENCODINGS),
    },
    "figure4": {"network": _network, "encodings": _some(lambda value: value in ENCODINGS[:2])},
    "stacks": {"width": _count, "depth": _count, "timesteps": _some(_time), "draws": _count},
}


def choices(profile: Profile) -> list[Choice]:
    """The networks of ``[[papers.ettfs.networks]]``.

    Raises:
        CannotRun: an entry that lacks, is unknown or of another type; an unknown data set, method, recipe or layout.
    """
    section = _section(profile)
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
    where = f"profile {profile.name}, [papers.{PAPER}.{name}]"
    found = _section(profile).get(name, {})
    if not found:
        return {}
    _check(found, SECTIONS[name], where)
    return dict(found)


def _section(profile: Profile) -> dict[str, Any]:
    section = profile.papers.get(PAPER, {})
    for name in section:
        if name not in SECTIONS and name != "networks":
            raise CannotRun(f"profile {profile.name}, [papers.{PAPER}] has the unknown entry {name!r}; {SEE}")
    return dict(section)


def _check(table: Any, kinds: dict[str, Callable[[Any], bool]], where: str) -> None:
    if not isinstance(table, dict):
        raise CannotRun(f"{where} must be a table, got {table!r}; {SEE}")
    for name, value in table.items():
        if name not in kinds:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(kinds)}")
        if not kinds[name](value):
            raise CannotRun(f"{where}: {name} = {value!r} is not of the right kind; {SEE}")
    for name in kinds:
        if name not in table:
            raise CannotRun(f"{where} lacks the entry {name!r}; {SEE}")


def _choice(entry: Any, where: str) -> Choice:
    if not isinstance(entry, dict):
        raise CannotRun(f"{where} must hold tables, got {entry!r}; {SEE}")
    names = {field.name for field in fields(Choice)}
    for name, value in entry.items():
        if name not in names:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(sorted(names))}")
        if type(value) not in KINDS[name] or (type(value) is int and value < 1):
            raise CannotRun(f"{where}: {name} = {value!r} is not of the right kind; {SEE}")
    lacking = [name for name in names - {"training"} if name not in entry]
    if lacking:
        raise CannotRun(f"{where} lacks {sorted(lacking)[0]!r}; {SEE}")
    made = Choice(**entry)
    spec = dataset_spec(made.dataset)
    parse_layout(made.layout, (spec.channels, *spec.size), spec.classes)
    if "default" not in made.seeds:
        raise CannotRun(f"{where}: seeds lacks 'default'; {SEE}")
    for method, seeds in made.seeds.items():
        if method != "default" and method not in made.recipes:
            raise CannotRun(f"{where}: seeds of {method}, which has no recipe; known: default, {', '.join(made.recipes)}")
        if not SEEDS(seeds):
            raise CannotRun(f"{where}: the seeds of {method} must be different whole numbers, got {seeds!r}")
    for method, name in made.recipes.items():
        if not isinstance(name, str) or not isinstance(recipe(name).options.get("timesteps"), int):
            raise CannotRun(f"{where}: the recipe of {method} must be one for spiking networks, with timesteps, got {name!r}")
        try:
            direct_method(method)
        except NotAvailable as error:
            raise CannotRun(f"{where}: {error}") from error
    return made

