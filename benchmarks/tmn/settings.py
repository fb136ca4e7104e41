"""What a profile says about this room, ``[papers.tmn.<artifact>]``, checked before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import METHODS, method, threshold_rule
from benchmarks.profiles import Profile
from benchmarks.training import quantizer

PAPER = "tmn"
Check = Callable[[Any], str]
"""What is wrong with a value, in words after "must be"; nothing if it is right."""


def settings_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The entries of ``[papers.tmn.<artifact>]``; empty where the profile has no such section.

    Raises:
        CannotRun: a section or an entry that this room does not know, one that lacks, or a value out of range.
    """
    sections = profile.papers.get(PAPER, {})
    where = f"profile {profile.name}, [papers.{PAPER}]"
    _check_table(sections, dict.fromkeys(SECTIONS, _table), tuple(SECTIONS), where)
    section = sections.get(artifact, {})
    if section:
        where = f"profile {profile.name}, [papers.{PAPER}.{artifact}]"
        _check_table(section, SECTIONS[artifact], OPTIONAL, where)
        if ("long" in section) != ("long_images" in section):
            raise CannotRun(f"{where} must have both long and long_images, or neither")
        if "calibration" in section:
            _check_table(section["calibration"], CALIBRATION, OPTIONAL, f"{where[:-1]}.calibration]")
            if profile.calibration in section["calibration"]["rules"]:
                raise CannotRun(f"{where[:-1]}.calibration]: rules repeats the profile's own, {profile.calibration!r}; drop it")
    return dict(section)


def _check_table(table: Any, checks: dict[str, Check], optional: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise CannotRun(f"{where} must be a table, got {table!r}; see the profiles of the project")
    for name, value in table.items():
        if name not in checks:
            raise CannotRun(f"{where} has the unknown entry {name!r}; known: {', '.join(checks)}")
        if wrong := checks[name](value):
            raise CannotRun(f"{where}: {name} must be {wrong}, got {value!r}")
    for name in checks:
        if name not in table and name not in optional:
            raise CannotRun(f"{where} lacks the entry {name!r}; see the profiles of the project")


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _whole(least: int) -> Check:
    return lambda value: "" if _is_whole(value, least) else f"a whole number of at least {least}"


def _wholes(least: int) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, list) and all(_is_whole(each, least) for each in value) and _different(value)
        return "" if good else f"a list of different whole numbers of at least {least}"

    return check


def _different(values: list[Any]) -> bool:
    return len(values) > 0 and all(value not in values[:i] for i, value in enumerate(values))


def _ratios(value: Any) -> str:
    # The table prints two decimals.
    numbers = isinstance(value, list) and all(type(each) in (int, float) and 0 < each <= 1 for each in value)
    good = numbers and all(round(each, 2) == each for each in value) and _different(value)
    return "" if good else "a list of different numbers above 0, up to 1, with two decimals"


def _network(value: Any) -> str:
    good = isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    return "" if good else 'a dataset and an architecture of the paper, e.g. ["CIFAR-10", "ResNet-20"]'


def _networks(value: Any) -> str:
    good = isinstance(value, list) and not any(map(_network, value)) and _different(value)
    return "" if good else 'a list of different networks of the paper, e.g. [["CIFAR-10", "ResNet-20"]]'


def _methods(value: Any) -> str:
    if not isinstance(value, dict):
        return "a table of method = timesteps, e.g. { TMN = [4, 8] }"
    for name, timesteps in value.items():
        if wrong := _wholes(1)(timesteps):
            return f"a table of method = timesteps, those of {name} {wrong}"
        _known_method(name)
    return ""


def _known_method(name: str) -> None:
    try:
        method(name)
    except (NotAvailable, ValueError) as error:  # ValueError: an import path without a module
        known = f"{', '.join(METHODS)}, or an import path package.module:Class"
        raise CannotRun(f"[papers.{PAPER}.timesteps] names the unknown method {name!r}; known: {known}") from error


def _rules(value: Any) -> str:
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value) and _different(value)):
        return "a list of different calibrations, see: snnbench list calibrations"
    for name in value:
        threshold_rule(name)
    return ""


def _table(value: Any) -> str:
    return "" if isinstance(value, dict) else "a table"


def _architectures(value: Any) -> str:
    good = isinstance(value, dict) and value and all(isinstance(name, str) for name in value.values())
    return "" if good else 'a table of data set = architecture of the paper, e.g. { CIFAR-10 = "VGG-16" }'


def _quantizer(value: Any) -> str:
    if not isinstance(value, str):
        return "the name of a quantiser, e.g. uniform-3"
    quantizer(value)
    return ""


OPTIONAL = ("test_images", "calibration", "long", "long_images")
LONG: dict[str, Check] = {"long": _whole(1), "long_images": _whole(1)}
CALIBRATION: dict[str, Check] = {"rules": _rules, "timesteps": _wholes(1), "test_images": _whole(1)}
FIGURE: dict[str, Check] = {"network": _network, "test_images": _whole(1)}
SECTIONS: dict[str, dict[str, Check]] = {
    "table2": LONG,
    "table3": {"architectures": _architectures, "quantizer": _quantizer, "test_images": _whole(1)},
    "timesteps": {"networks": _networks, "methods": _methods, "calibration": _table} | LONG,
    "figure4a": FIGURE | {"timesteps": _wholes(1), "precharge": _wholes(0)},
    "figure4b": FIGURE | {"timesteps": _wholes(1)},
    "figure4c": FIGURE | {"timesteps": _whole(1), "ratios": _ratios},
}
