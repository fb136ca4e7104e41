"""What a profile says about this room, ``[papers.tmn.<artifact>]``, checked before anything is run."""

from __future__ import annotations

from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import METHODS, check_calibration, method
from benchmarks.profiles import Profile
from benchmarks.tables import settings as kit
from benchmarks.tables.settings import LIMITS, NETWORK, Check, hundredths, is_text, list_of, must, table_of, whole, wholes
from benchmarks.training import parse_quantizer

PAPER = "tmn"


def settings_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The entries of ``[papers.tmn.<artifact>]``; empty where the profile has no such section.

    Raises:
        CannotRun: a section or an entry that this room does not know, one that lacks, or a value out of range.
    """
    section = kit.read_section(profile, PAPER, artifact, SECTIONS, OPTIONAL)
    if "calibration" in section:
        where = f"profile {profile.name}, [papers.{PAPER}.{artifact}.calibration]"
        kit.check_table(section["calibration"], CALIBRATION, where, OPTIONAL)
        if profile.calibration in section["calibration"]["rules"]:
            raise CannotRun(f"{where}: rules repeats the profile's own, {profile.calibration!r}; drop it")
    return section


def _is_method(name: str) -> bool:
    try:
        return method(name) is not None
    except (NotAvailable, ValueError) as error:  # ValueError: an import path without a module
        known = f"{', '.join(METHODS)}, or an import path package.module:Class"
        raise CannotRun(f"[papers.{PAPER}] names the unknown method {name!r}; known: {known}") from error


def _is_conversion(value: Any) -> bool:
    """Whether a network can be converted so: a calibration, pre-charge steps, T."""
    known = isinstance(value, list) and len(value) == 3 and is_text(value[0]) and check_calibration(value[0])
    return known and kit.is_whole(value[1], 0) and kit.is_whole(value[2], 1)


def _is_quantized_conversion(value: Any) -> bool:
    """Whether a quantised network can be converted so: a method, pre-charge steps (0 of other methods than TMN), T."""
    known = isinstance(value, list) and len(value) == 3 and is_text(value[0]) and _is_method(value[0])
    return known and kit.is_whole(value[1], 0) and kit.is_whole(value[2], 1) and (value[0] == "TMN" or value[1] == 0)


def _is_row(value: Any) -> bool:
    """Whether Table 2 can have such a row: a method, data set and architecture of the paper, T."""
    of_texts = isinstance(value, list) and len(value) == 4 and all(map(is_text, value[:3]))
    return of_texts and kit.is_whole(value[3], 1) and _is_method(value[0])


OPTIONAL = ("test_images", "calibration", "long", "images", "added")
COUNT, STEPS = whole(1), wholes(1)
METHOD_STEPS = table_of(_is_method, STEPS, "a table of method = timesteps, e.g. { TMN = [4, 8] }")
IMAGES = table_of(_is_method, COUNT, "a table of method = test images, e.g. { TSC = 1000 }")
LONG: dict[str, Check] = {"long": LIMITS, "images": IMAGES}
RULES = list_of(lambda rule: is_text(rule) and check_calibration(rule), "calibrations, see: snnbench list calibrations")
CALIBRATION: dict[str, Check] = {"rules": RULES, "timesteps": STEPS, "test_images": COUNT}
FIGURE: dict[str, Check] = {"network": NETWORK, "test_images": COUNT}
CONVERSIONS = list_of(_is_conversion, '[calibration, pre-charge steps, T], e.g. [["percentile-99.99", 1, 8]]')
ADDED = '[method, data set, architecture, T], e.g. [["mypackage.half_tmn:HalfTMN", "CIFAR-10", "ResNet-20", 6]]'
ARCHITECTURES = 'a table of data set = architecture of the paper, e.g. { CIFAR-10 = "VGG-16" }'
SECTIONS: dict[str, dict[str, Check]] = {
    "table2": LONG | {"added": list_of(_is_row, ADDED)},
    "table3": {
        "architectures": table_of(is_text, kit.TEXT, ARCHITECTURES),
        "quantizer": must(lambda name: is_text(name) and bool(parse_quantizer(name)), "the name of a quantiser, e.g. uniform-3"),
        "test_images": COUNT,
    },
    "energy": {"timesteps": METHOD_STEPS, "test_images": COUNT},
    "timesteps": {"networks": kit.NETWORKS, "methods": METHOD_STEPS, "calibration": kit.TABLE} | LONG,
    "detection": {"networks": kit.NETWORKS, "conversions": CONVERSIONS, "picture": COUNT},
    "transformers": {"networks": kit.NETWORKS, "conversions": CONVERSIONS, "test_images": COUNT},
    "quantized_transformers": {
        "networks": kit.NETWORKS,
        "conversions": list_of(_is_quantized_conversion, '[method, pre-charge steps, T], e.g. [["TMN", 2, 5]]'),
        "images": IMAGES,
    },
    "figure4a": FIGURE | {"timesteps": STEPS, "precharge": wholes(0)},
    "figure4b": FIGURE | {"timesteps": STEPS},
    "figure4c": FIGURE | {"timesteps": COUNT, "ratios": list_of(hundredths(0, 1), "numbers above 0, up to 1, with two decimals")},
}
