"""Profiles: what stands for what, and how much of it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable, refuse_broken_link
from benchmarks.methods import threshold_rule
from benchmarks.models import model_spec
from benchmarks.training import quantizer, recipe

SEE = "see benchmarks/profiles/embedded.toml"


@dataclass(frozen=True)
class NetworkChoice:
    """The network that a profile runs where a paper names a dataset and an architecture.

    ``weights`` names a checkpoint, ``recipe`` trains where there is none; ``seed`` is the training seed. ``quantizers`` names
    the quantiser of the network for each method that a table runs on a quantised one (or ``default``), ``fine_tuning`` the
    recipe that adapts the network to it, and ``quantizer`` the one in use: none for full precision.
    """

    paper_dataset: str
    paper_architecture: str
    dataset: str
    architecture: str
    weights: str | None = None
    recipe: str | None = None
    seed: int = 0
    fine_tuning: str | None = None
    quantizers: tuple[tuple[str, str], ...] = ()
    quantizer: str | None = None

    @property
    def levels(self) -> int | None:
        """Levels above 0 of the quantised activations; None for full precision."""
        return None if self.quantizer is None else quantizer(self.quantizer)(1.0).levels

    @property
    def full_precision(self) -> NetworkChoice:
        """The network before it is quantised."""
        return replace(self, fine_tuning=None, quantizers=(), quantizer=None)

    @property
    def unnamed(self) -> NetworkChoice:
        """What is run, without what it stands for: two papers' networks may be one stand-in."""
        run = self.full_precision if self.quantizer is None else self
        return replace(run, paper_dataset="", paper_architecture="")

    def quantized_for(self, method: str) -> NetworkChoice:
        """The quantised network on which that method runs. Raises NotAvailable where the profile names none."""
        names = dict(self.quantizers)
        found = names.get(method, names.get("default"))
        if found is None or self.fine_tuning is None:
            raise NotAvailable(f"the profile names no quantised {self.paper_architecture} on {self.paper_dataset} for {method}")
        return self.quantized_by(found)

    def quantized_by(self, name: str) -> NetworkChoice:
        """The network quantised by the quantiser of that name. Raises NotAvailable without a recipe for its fine-tuning."""
        if self.fine_tuning is None:
            raise NotAvailable(f"the profile does not say how to fine-tune {self.paper_architecture} on {self.paper_dataset}")
        return replace(self, quantizers=(), quantizer=name)

    @property
    def stand_in(self) -> bool:
        """Whether the dataset or the architecture is not the one that the paper names."""
        return (
            dataset_spec(self.dataset).paper_name != self.paper_dataset
            or model_spec(self.architecture).paper_name != self.paper_architecture
        )


@dataclass(frozen=True)
class Profile:
    """A profile file; see ``benchmarks/profiles/embedded.toml`` for the meaning of each entry."""

    name: str
    title: str
    calibration: str
    calibration_images: int
    batch: int
    shard: int
    networks: tuple[NetworkChoice, ...]
    missing: dict[str, str]
    papers: dict[str, Any]
    digest: str
    precision: str = "float32"

    def network(self, dataset: str, architecture: str) -> NetworkChoice:
        """The network that stands for a paper's dataset and architecture. Raises NotAvailable with the reason."""
        for choice in self.networks:
            if (choice.paper_dataset, choice.paper_architecture) == (dataset, architecture):
                return choice
        default = f"profile {self.name} names no network for {dataset} {architecture}"
        raise NotAvailable(self.missing.get(f"{dataset} {architecture}", self.missing.get(dataset, default)))


def profile_names() -> list[str]:
    """Profiles that come with the project."""
    folder = resources.files("benchmarks") / "profiles"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load_profile(name: str) -> Profile:
    """A profile of the project by name, or one's own by path (``my_profile.toml``).

    Raises:
        CannotRun: no such profile; a file that is not TOML, lacks an entry or has one too many; unknown names in it.
    """
    if name in profile_names():
        text = _shipped(name)
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            refuse_broken_link(Path(name))
            why = error.__class__.__name__
            raise CannotRun(f"profile {name} cannot be read ({why}); give the path of a TOML file") from error
    else:
        raise CannotRun(f"unknown profile {name!r}; known: {', '.join(profile_names())}, or the path of a .toml file")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotRun(f"profile {name} is not valid TOML: {error}") from error
    if table.get("name") in profile_names() and text != _shipped(str(table["name"])):
        raise CannotRun(f"profile {name}: the name {table['name']!r} is that of a profile of the project; choose another")
    return _checked(name, table, hashlib.blake2b(text.encode(), digest_size=8).hexdigest())


def _shipped(name: str) -> str:
    return (resources.files("benchmarks") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")


def _checked(name: str, table: dict[str, Any], digest: str) -> Profile:
    """The profile that a TOML file holds, with every name in it known and every entry of its type."""
    due = {"name": str, "title": str, "calibration": str, "calibration_images": int, "batch": int, "shard": int, "networks": list}
    optional = {"missing": dict, "papers": dict, "precision": str}
    for entry, kind in (due | optional).items():
        if entry in due and entry not in table:
            raise CannotRun(f"profile {name} lacks the entry {entry!r}; {SEE}")
        if entry in table and type(table[entry]) is not kind:
            raise CannotRun(f"profile {name}: {entry} must be {KINDS[kind]}, got {table[entry]!r}; {SEE}")
    if unknown := [entry for entry in table if entry not in due | optional]:
        raise CannotRun(f"profile {name} has unknown entries: {', '.join(unknown)}; {SEE}")
    if not re.fullmatch(r"\w[\w.-]*", table["name"]):
        raise CannotRun(f"profile {name}: the name {table['name']!r} cannot name a folder; use letters, digits, '-' and '_'")
    for number in ("calibration_images", "batch", "shard"):
        if table[number] < 1:
            raise CannotRun(f"profile {name}: {number} must be a whole number of at least 1, got {table[number]!r}")
    if (precision := table.get("precision", "float32")) not in PRECISIONS:
        raise CannotRun(f"profile {name}: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}; {SEE}")
    for entry, value in table.get("missing", {}).items():
        if not isinstance(value, str):
            raise CannotRun(f"profile {name}: {entry!r} in [missing] must be a text, got {value!r}; {SEE}")
    try:
        threshold_rule(table["calibration"])
        networks = tuple(_network(entry) for entry in table["networks"])
    except CannotRun as error:
        raise CannotRun(f"profile {name}: {error}") from error
    named = [(choice.paper_dataset, choice.paper_architecture) for choice in networks]
    for pair in named:
        if named.count(pair) > 1:
            raise CannotRun(f"profile {name} names two networks for {' '.join(pair)}; keep one")
    missing, papers = table.get("missing", {}), table.get("papers", {})
    scalars = {entry: table[entry] for entry in due if entry != "networks"}
    return Profile(**scalars, networks=networks, missing=missing, papers=papers, digest=digest, precision=precision)


def _network(entry: Any) -> NetworkChoice:
    """One of [[networks]]. Raises CannotRun for an entry or a name that is missing, unknown or of another type."""
    where = f"an entry of [[networks]] ({SEE})"
    if not isinstance(entry, dict):
        raise CannotRun(f"{where} must be {KINDS[dict]}, got {entry!r}")
    known = {field.name: str for field in fields(NetworkChoice) if field.name != "quantizer"} | {"seed": int, "quantizers": dict}
    for key, value in entry.items():
        if key not in known:
            raise CannotRun(f"{where} has the unknown key {key!r}; known: {', '.join(known)}")
        if type(value) is not known[key]:
            raise CannotRun(f"{where}: {key} must be {KINDS[known[key]]}, got {value!r}")
    if lacking := [key for key in ("paper_dataset", "paper_architecture", "dataset", "architecture") if key not in entry]:
        raise CannotRun(f"{where} lacks {lacking[0]!r}")
    if ("quantizers" in entry) != ("fine_tuning" in entry):
        raise CannotRun(f"{where} must have both quantizers and fine_tuning, or neither")
    quantizers = tuple(entry.get("quantizers", {}).items())
    for _, name in quantizers:
        quantizer(str(name))
    choice = NetworkChoice(**entry | {"quantizers": quantizers})
    dataset_spec(choice.dataset)
    model_spec(choice.architecture)
    for name in filter(None, (choice.recipe, choice.fine_tuning)):
        recipe(name)
    return choice


KINDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
PRECISIONS = ("float32", "float64")
