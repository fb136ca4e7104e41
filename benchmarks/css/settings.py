"""What a profile says about this room, ``[papers.css.<artifact>]``, checked before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.errors import CannotRun
from benchmarks.profiles import Profile

PAPER = "css"
SEE = "see benchmarks/profiles/embedded.toml"
Good = Callable[[Any], bool]


def _list_of(good: Good) -> Good:
    """A list of different good things, at least one."""
    return lambda value: isinstance(value, list) and value != [] and all(map(good, value)) and _different(value)


def _different(values: list[Any]) -> bool:
    return all(value not in values[:index] for index, value in enumerate(values))


def _whole(least: int) -> Good:
    return lambda value: type(value) is int and value >= least


def _network(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _beta(value: Any) -> bool:
    # The table prints two decimals.
    return type(value) in (int, float) and 1 < value <= 3 and round(value, 2) == value


NETWORKS, STEPS, SILENT, COUNT = _list_of(_network), _list_of(_whole(1)), _list_of(_whole(0)), _whole(1)
SECTIONS: dict[str, dict[str, tuple[Good, str]]] = {
    "table2": {
        "long": (COUNT, "a whole number of at least 1"),
        "long_images": (COUNT, "a whole number of at least 1"),
    },
    "figure1": {
        "silent": (SILENT, "a list of different whole numbers from 0"),
        "adjustment": (COUNT, "a whole number of at least 1"),
    },
    "figure2": {
        "with_negative": (SILENT, "a list of different whole numbers from 0"),
        "without_negative": (SILENT, "a list of different whole numbers from 0"),
        "adjustment": (COUNT, "a whole number of at least 1"),
    },
    "beta": {
        "betas": (_list_of(_beta), "a list of different numbers in (1, 3] with two decimals"),
        "silent": (SILENT, "a list of different whole numbers from 0"),
    },
    "encoding": {},
    "comparison": {"tmn": (STEPS, "a list of different whole numbers of at least 1")},
    "pipeline": {"silent": (SILENT, "a list of different whole numbers from 0")},
    "residual": {"silent": (SILENT, "a list of different whole numbers from 0")},
    "memory": {},
}
EVERY: dict[str, tuple[Good, str]] = {
    "networks": (NETWORKS, 'a list of different networks of the paper, e.g. [["CIFAR-10", "ResNet-20"]]'),
    "timesteps": (STEPS, "a list of different whole numbers of at least 1"),
}
"""Entries of every artifact but Table 2."""
LIMIT = {"test_images": (COUNT, "a whole number of at least 1")}


def settings_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The entries of ``[papers.css.<artifact>]``; empty where the profile has no such section.

    Raises:
        CannotRun: a section or an entry that this room does not know, a missing entry, or a value out of range.
    """
    sections = profile.papers.get(PAPER, {})
    where = f"profile {profile.name}, [papers.{PAPER}]"
    for name in sections:
        if name not in SECTIONS:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(SECTIONS)}")
    section = sections.get(artifact, {})
    where = f"profile {profile.name}, [papers.{PAPER}.{artifact}]"
    if not isinstance(section, dict):
        raise CannotRun(f"{where} must be a table, got {section!r}; {SEE}")
    required = SECTIONS[artifact] | ({} if artifact == "table2" else EVERY)
    known = required | ({} if artifact == "table2" else LIMIT)
    for name, value in section.items():
        if name not in known:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(known)}")
        good, wanted = known[name]
        if not good(value):
            raise CannotRun(f"{where}: {name} must be {wanted}, got {value!r}; {SEE}")
    if section and (missing := [name for name in required if name not in section]):
        raise CannotRun(f"{where} lacks the entry {missing[0]!r}; {SEE}")
    return dict(section)
