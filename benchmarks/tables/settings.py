"""Checks of what a profile says about a paper, ``[papers.<paper>.<artifact>]``, before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from benchmarks.checked import Checked, Count, Text
from benchmarks.errors import CannotRun
from benchmarks.profiles import Profile

SEE = "see benchmarks/profiles/embedded.toml"
Check = Callable[[Any], str]
"""What a value must be, in words that follow "must be", where it is not that; nothing where it is."""


def read_section(
    profile: Profile, paper: str, name: str, sections: Mapping[str, Mapping[str, Check]], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The entries of ``[papers.<paper>.<name>]``; empty where the profile has no such section.

    ``sections``: every section that the room knows, and what its entries must be; those that are ``optional`` may lack. CannotRun
    for a section or an entry that the room does not know, a missing entry, or a value out of range.
    """
    section = sections_of(profile, paper, sections).get(name, {})
    if section != {}:
        check_table(section, sections[name], f"profile {profile.name}, [papers.{paper}.{name}]", optional)
    return dict(section)


def sections_of(profile: Profile, paper: str, known: Iterable[str]) -> dict[str, Any]:
    """Everything that a profile says about a paper, unread; CannotRun for a name that is not ``known``."""
    sections, names = profile.papers.get(paper, {}), tuple(known)
    check_table(sections, dict.fromkeys(names, ANYTHING), f"profile {profile.name}, [papers.{paper}]", optional=names)
    return dict(sections)


Network = TypeVar("Network", bound=Checked)


def networks_of(profile: Profile, paper: str, known: Iterable[str], kind: type[Network]) -> list[Network]:
    """The entries of ``[[papers.<paper>.networks]]``, each of a ``kind``; CannotRun for one that is wrong."""
    made = []
    for entry in sections_of(profile, paper, known).get("networks", []):
        try:
            made.append(TypeAdapter(kind).validate_python(entry))
        except CannotRun as error:
            raise CannotRun(f"profile {profile.name}, [[papers.{paper}.networks]]: {error}; {SEE}") from error
    return made


def check_table(table: Any, checks: Mapping[str, Check], where: str, optional: tuple[str, ...] = ()) -> None:
    """Refuse a table with an unknown entry, with a value that its check does not pass, or without an entry that is due."""
    if not isinstance(table, dict):
        raise CannotRun(f"{where} must be a table, got {table!r}; {SEE}")
    for name, value in table.items():
        if name not in checks:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(checks)}")
        if wanted := checks[name](value):
            raise CannotRun(f"{where}: {name} must be {wanted}, got {value!r}; {SEE}")
    for name in checks:
        if name not in table and name not in optional:
            raise CannotRun(f"{where} lacks the entry {name!r}; {SEE}")


# ---- kinds of values --------------------------------------------------------------------------------------------------


def must(good: Callable[[Any], bool], words: str) -> Check:
    """A value that passes ``good``, called ``words``."""
    return lambda value: "" if good(value) else words


def of(kind: Any, words: str) -> Check:
    """A value that is of a type as it stands, called ``words``."""
    adapter = TypeAdapter(kind, config=ConfigDict(strict=True))

    def check(value: Any) -> str:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return words
        return ""

    return check


def whole(least: int) -> Check:
    """A whole number of at least ``least``."""
    return of(Annotated[int, Field(ge=least)], f"a whole number of at least {least}")


def wholes(least: int) -> Check:
    """A list of different whole numbers of at least ``least``."""
    return list_of(lambda value: is_whole(value, least), f"whole numbers of at least {least}")


def list_of(good: Callable[[Any], bool], words: str) -> Check:
    """A list of different values that pass ``good``, at least one."""

    def is_list(value: Any) -> bool:
        return isinstance(value, list) and value != [] and all(map(good, value)) and not _repeats(value)

    return must(is_list, f"a list of different {words}")


def table_of(known: Callable[[str], bool], value: Check, words: str) -> Check:
    """A table, at least one entry, of names that are ``known`` and values that pass their check, called ``words``."""

    def check(table: Any) -> str:
        if not isinstance(table, dict) or table == {} or not all(map(known, table)):
            return words
        wrong = (f"{words}, those of {name} {wanted}" for name, found in table.items() if (wanted := value(found)))
        return next(wrong, "")

    return check


def hundredths(above: float, most: float) -> Callable[[Any], bool]:
    """Whether a value is a number above one and at most another that two decimals, as tables print, hold exactly."""
    return lambda value: type(value) in (int, float) and above < value <= most and round(value, 2) == value


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number (and no truth value) of at least ``least``."""
    return type(value) is int and value >= least


def is_text(value: Any) -> bool:
    """Whether a value is a text with at least one letter."""
    return isinstance(value, str) and value != ""


def _repeats(values: list[Any]) -> bool:
    return any(value in values[:index] for index, value in enumerate(values))


def images_of_long(section: Mapping[str, Any], timesteps: int) -> int | None:
    """On how many test images rows of so many timesteps run, by the entry ``long`` (see ``LIMITS``); None for all."""
    found = [images for least, images in section.get("long", {}).items() if timesteps >= int(least)]
    return min(found, default=None)


_Pair = Annotated[list[Text], Field(min_length=2, max_length=2)]
_Limits = Annotated[dict[Annotated[str, Field(pattern=r"^0*[1-9]\d*$")], Count], Field(min_length=1)]
ANYTHING: Check = of(Any, "anything")
TABLE: Check = of(dict, "a table")
TEXT: Check = of(Text, "a text")
NETWORK: Check = of(_Pair, 'a dataset and an architecture of the paper, e.g. ["CIFAR-10", "ResNet-20"]')
LIMITS: Check = of(_Limits, "a table of timesteps = test images, whole numbers of at least 1, e.g. { 128 = 1000 }")
NETWORKS: Check = list_of(lambda value: not NETWORK(value), 'networks of the paper, e.g. [["CIFAR-10", "ResNet-20"]]')
