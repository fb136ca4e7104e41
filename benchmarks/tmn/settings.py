"""What a profile says about this room, ``[papers.tmn.<artifact>]``, checked before anything is run."""

from __future__ import annotations

from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import METHODS, method, threshold_rule
from benchmarks.profiles import Profile
from benchmarks.tables.settings import (
    LIMITS,
    NETWORK,
    NETWORKS,
    TABLE,
    Check,
    check_table,
    is_text,
    is_whole,
    list_of,
    must,
    read_section,
    whole,
    wholes,
)
from benchmarks.training import quantizer

PAPER = "tmn"


def settings_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The entries of ``[papers.tmn.<artifact>]``; empty where the profile has no such section.

    Raises:
        CannotRun: a section or an entry that this room does not know, one that lacks, or a value out of range.
    """
    section = read_section(profile, PAPER, artifact, SECTIONS, OPTIONAL)
    where = f"profile {profile.name}, [papers.{PAPER}.{artifact}"
    if "calibration" in section:
        check_table(section["calibration"], CALIBRATION, f"{where}.calibration]", OPTIONAL)
        if profile.calibration in section["calibration"]["rules"]:
            raise CannotRun(f"{where}.calibration]: rules repeats the profile's own, {profile.calibration!r}; drop it")
    return section


def _ratio(value: Any) -> bool:
    # The table prints two decimals.
    return type(value) in (int, float) and 0 < value <= 1 and round(value, 2) == value


def _methods(value: Any) -> str:
    if not isinstance(value, dict):
        return "a table of method = timesteps, e.g. { TMN = [4, 8] }"
    for name, timesteps in value.items():
        if wanted := wholes(1)(timesteps):
            return f"a table of method = timesteps, those of {name} {wanted}"
        _known_method(name)
    return ""


def _images(value: Any) -> str:
    if not isinstance(value, dict) or any(map(whole(1), value.values())):
        return "a table of method = test images, e.g. { TSC = 1000 }"
    for name in value:
        _known_method(name)
    return ""


def _added(value: Any) -> str:
    wanted = 'a list of [method, data set, architecture, T], e.g. [["mypackage.half_tmn:HalfTMN", "CIFAR-10", "ResNet-20", 6]]'
    if not isinstance(value, list):
        return wanted
    for row in value:
        if not (isinstance(row, list) and len(row) == 4 and all(map(is_text, row[:3])) and is_whole(row[3], 1)):
            return wanted
        _known_method(row[0])
    return ""


def _known_method(name: str) -> None:
    try:
        method(name)
    except (NotAvailable, ValueError) as error:  # ValueError: an import path without a module
        known = f"{', '.join(METHODS)}, or an import path package.module:Class"
        raise CannotRun(f"[papers.{PAPER}] names the unknown method {name!r}; known: {known}") from error


def _rules(value: Any) -> str:
    if wanted := list_of(is_text, "calibrations, see: snnbench list calibrations")(value):
        return wanted
    for name in value:
        threshold_rule(name)
    return ""


def _is_architectures(value: Any) -> bool:
    return isinstance(value, dict) and value != {} and all(map(is_text, value.values()))


def _quantizer(value: Any) -> str:
    if not is_text(value):
        return "the name of a quantiser, e.g. uniform-3"
    quantizer(value)
    return ""


OPTIONAL = ("test_images", "calibration", "long", "images", "added")
COUNT = whole(1)
LONG: dict[str, Check] = {"long": LIMITS, "images": _images}
CALIBRATION: dict[str, Check] = {"rules": _rules, "timesteps": wholes(1), "test_images": COUNT}
ARCHITECTURES = must(_is_architectures, 'a table of data set = architecture of the paper, e.g. { CIFAR-10 = "VGG-16" }')
RATIOS = list_of(_ratio, "numbers above 0, up to 1, with two decimals")
FIGURE: dict[str, Check] = {"network": NETWORK, "test_images": COUNT}
SECTIONS: dict[str, dict[str, Check]] = {
    "table2": LONG | {"added": _added},
    "table3": {"architectures": ARCHITECTURES, "quantizer": _quantizer, "test_images": COUNT},
    "energy": {"timesteps": _methods, "test_images": COUNT},
    "timesteps": {"networks": NETWORKS, "methods": _methods, "calibration": TABLE} | LONG,
    "figure4a": FIGURE | {"timesteps": wholes(1), "precharge": wholes(0)},
    "figure4b": FIGURE | {"timesteps": wholes(1)},
    "figure4c": FIGURE | {"timesteps": COUNT, "ratios": RATIOS},
}
