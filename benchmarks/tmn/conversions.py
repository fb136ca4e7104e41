"""Networks that are no rows of Table 2, each in the conversions that a profile lists: calibration, pre-charge steps, T."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.profiles import Profile
from benchmarks.tables.artifacts import Row
from benchmarks.tables.schema import Column
from benchmarks.tables.sweeps import Measure, Setting, swept
from benchmarks.tmn.settings import settings_of

filled = partial(Column, nullable=False)
NETWORK_KEYS = filled("dataset", "text"), filled("architecture", "text")
CONVERSION_KEYS = (
    *NETWORK_KEYS,
    filled("calibration", "text", doc="where the thresholds come from"),
    filled("precharge_steps", "int", minimum=0, doc="steps per layer before its first spike"),
    filled("timesteps", "int", minimum=1),
)
MISSING: dict[str, dict[str, Any]] = {
    "detection": {
        "networks": [["COCO (128 images)", "FastestDet"]],
        "conversions": [["percentile-99.99", 1, 8]],
        "picture": 1,
    },
    "transformers": {"networks": [["CIFAR-10", "ViT"]], "conversions": [["percentile-99.9", 2, 5]]},
    "quantized_transformers": {"networks": [["CIFAR-10", "ViT"]], "conversions": [["TMN", 2, 5]]},
}
"""What a profile without such networks does not run."""


def section_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The section of the artifact, or the one that is not run."""
    return settings_of(profile, artifact) or MISSING[artifact]


def converted_rows(profile: Profile, artifact: str, measure: Measure) -> list[Row]:
    """Each network of the artifact in each of its conversions."""
    section = section_of(profile, artifact)
    settings = [
        Setting({"calibration": rule, "precharge_steps": precharge, "timesteps": t}, t, "TMN", {"precharge": precharge})
        for rule, precharge, t in section["conversions"]
    ]
    return swept(profile, section["networks"], settings, measure, section.get("test_images"))
