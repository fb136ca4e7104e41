"""Profiles: what stands for what, and how much of it."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import threshold_rule
from benchmarks.models import model_spec


@dataclass(frozen=True)
class NetworkChoice:
    """The network that a profile runs where a paper names a dataset and an architecture.

    ``weights`` names a checkpoint, ``recipe`` trains where there is none; ``seed`` is the training seed.
    """

    paper_dataset: str
    paper_architecture: str
    dataset: str
    architecture: str
    weights: str | None = None
    recipe: str | None = None
    seed: int = 0

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

    def network(self, dataset: str, architecture: str) -> NetworkChoice:
        """The network that stands for a paper's dataset and architecture. Raises NotAvailable with the reason."""
        for choice in self.networks:
            if (choice.paper_dataset, choice.paper_architecture) == (dataset, architecture):
                return choice
        default = f"profile {self.name} names no network for {dataset} {architecture}"
        raise NotAvailable(self.missing.get(f"{dataset} {architecture}", self.missing.get(dataset, default)))

    def settings(self, paper: str, artifact: str) -> dict[str, Any]:
        """The entries of ``[papers.<paper>.<artifact>]``."""
        return dict(self.papers.get(paper, {}).get(artifact, {}))


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
        text = (resources.files("benchmarks") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.__class__.__name__
            raise CannotRun(f"profile {name} cannot be read ({why}); give the path of a TOML file") from error
    else:
        raise CannotRun(f"unknown profile {name!r}; known: {', '.join(profile_names())}, or the path of a .toml file")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotRun(f"profile {name} is not valid TOML: {error}") from error
    try:
        profile = Profile(
            **{key: table.pop(key) for key in ("name", "title", "calibration", "calibration_images", "batch", "shard")},
            networks=tuple(NetworkChoice(**entry) for entry in table.pop("networks")),
            missing=table.pop("missing", {}),
            papers=table.pop("papers", {}),
            digest=hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
        )
    except KeyError as error:
        raise CannotRun(f"profile {name} lacks the entry {error}; see benchmarks/profiles/embedded.toml") from error
    except TypeError as error:
        raise CannotRun(f"profile {name}: {error} in [[networks]]; see benchmarks/profiles/embedded.toml") from error
    if table:
        raise CannotRun(f"profile {name} has unknown entries: {', '.join(table)}; see benchmarks/profiles/embedded.toml")
    for number in ("calibration_images", "batch", "shard"):
        value = getattr(profile, number)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CannotRun(f"profile {name}: {number} must be a whole number of at least 1, got {value!r}")
    threshold_rule(profile.calibration)
    for choice in profile.networks:
        dataset_spec(choice.dataset)
        model_spec(choice.architecture)
    return profile
