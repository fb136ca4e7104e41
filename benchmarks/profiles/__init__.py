"""Profiles: what stands for what, and how much of it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, StrictInt
from pydantic.dataclasses import dataclass

from benchmarks.checked import CONFIG, Checked, Count, known
from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable, refuse_broken_link
from benchmarks.methods import check_calibration, method
from benchmarks.models import model_spec
from benchmarks.training import parse_quantizer, recipe

SEE = "see benchmarks/profiles/embedded.toml"


def _as_written(entry: Any) -> Any:
    """An entry of a file, where no network is quantised yet; the quantisers as pairs, which can be part of a key."""
    if not isinstance(entry, dict):
        return entry
    quantizers = entry.get("quantizers", {})
    if "quantizer" in entry:
        raise CannotRun("[[networks]]: has the unknown entry 'quantizer'")
    if not isinstance(quantizers, dict):
        raise CannotRun(f"[[networks]]: quantizers must be a table, got {quantizers!r}")
    if ("quantizers" in entry) != ("fine_tuning" in entry):
        raise CannotRun("[[networks]]: must have both quantizers and fine_tuning, or neither")
    if not isinstance(images := entry.get("images", {}), dict):
        raise CannotRun(f"[[networks]]: images must be a table of method = test images, got {images!r}")
    return entry | {"quantizers": tuple(quantizers.items()), "images": tuple(images.items())}


def _check_folder(name: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise CannotRun(f"the name {name!r} cannot name a folder; use letters, digits, '-' and '_'")


Recipe = Annotated[str, known(recipe)]
Quantizer = Annotated[str, known(parse_quantizer)]


@dataclass(frozen=True, config=CONFIG)
class NetworkChoice(Checked):
    """The network that a profile runs where a paper names a dataset and an architecture.

    ``weights`` names a checkpoint, ``recipe`` trains where there is none; ``seed`` is the training seed. ``quantizers`` names
    the quantiser of the network for each method that a table runs on a quantised one (or ``default``), ``fine_tuning`` the
    recipe that adapts the network to it, and ``quantizer`` the one in use: none for full precision. ``images``: the methods whose
    rows of full precision alone it is for, and their test images; all rows unless given.
    """

    WHERE: ClassVar[str] = "[[networks]]: "

    paper_dataset: str
    paper_architecture: str
    dataset: Annotated[str, known(dataset_spec)]
    architecture: Annotated[str, known(model_spec)]
    weights: str | None = None
    recipe: Recipe | None = None
    seed: StrictInt = 0
    fine_tuning: Recipe | None = None
    quantizers: tuple[tuple[str, Quantizer], ...] = ()
    images: tuple[tuple[Annotated[str, known(method)], Count], ...] = ()
    quantizer: Quantizer | None = None

    @property
    def levels(self) -> int | None:
        """Levels above 0 of the quantised activations; None for full precision."""
        from benchmarks.training.quantized import quantizer

        return None if self.quantizer is None else quantizer(self.quantizer)(1.0).levels

    @property
    def full_precision(self) -> NetworkChoice:
        """The network before it is quantised."""
        return replace(self, fine_tuning=None, quantizers=(), quantizer=None)

    @property
    def unnamed(self) -> NetworkChoice:
        """What is run, without what it stands for: two papers' networks may be one stand-in."""
        run = self.full_precision if self.quantizer is None else self
        return replace(run, paper_dataset="", paper_architecture="", images=())

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


@dataclass(frozen=True, config=CONFIG)
class Profile(Checked):
    """A profile file; see ``benchmarks/profiles/embedded.toml`` for the meaning of each entry."""

    name: Annotated[str, known(_check_folder)]
    title: str
    calibration: Annotated[str, known(check_calibration)]
    calibration_images: Count
    batch: Count
    shard: Count
    networks: tuple[Annotated[NetworkChoice, BeforeValidator(_as_written)], ...]
    missing: dict[str, str] = field(default_factory=dict)
    papers: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        named = [f"{c.paper_dataset} {c.paper_architecture}{' by method' * bool(c.images)}" for c in self.networks]
        if twice := [name for name in named if named.count(name) > 1]:
            raise CannotRun(f"it names two networks for {twice[0]}; keep one")

    def network(self, dataset: str, architecture: str, method: str = "") -> NetworkChoice:
        """The network that stands for a paper's dataset and architecture. Raises NotAvailable with the reason.

        For a row of full precision that of its ``method``, where there is one.
        """
        for choice in sorted(self.networks, key=lambda choice: not choice.images):
            named = (choice.paper_dataset, choice.paper_architecture) == (dataset, architecture)
            if named and (not choice.images or method in dict(choice.images)):
                return choice
        default = f"profile {self.name} names no network for {dataset} {architecture}"
        raise NotAvailable(self.missing.get(f"{dataset} {architecture}", self.missing.get(dataset, default)))


def profile_names() -> list[str]:
    """Profiles that come with the project."""
    folder = resources.files("benchmarks") / "profiles"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load_profile(name: str) -> Profile:
    """A profile of the project by name, or one's own by path (``my_profile.toml``); CannotRun where it is wrong."""
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
    try:
        if "digest" in table:
            raise CannotRun("has the unknown entry 'digest'")
        return Profile(**table, digest=hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
    except CannotRun as error:
        raise CannotRun(f"profile {name}: {error}; {SEE}") from error


def _shipped(name: str) -> str:
    return (resources.files("benchmarks") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
