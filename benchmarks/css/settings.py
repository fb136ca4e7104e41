"""What a profile says about this room, ``[papers.css.<artifact>]``, checked before anything is run."""

from __future__ import annotations

from typing import Any

from benchmarks.profiles import Profile
from benchmarks.tables.settings import LIMITS, NETWORKS, Check, hundredths, list_of, read_section, whole, wholes

PAPER = "css"

EVERY: dict[str, Check] = {"networks": NETWORKS, "timesteps": wholes(1)}
"""Entries of every artifact but Table 2."""
COUNT, SILENT = whole(1), wholes(0)
OWN: dict[str, dict[str, Check]] = {
    "figure1": {"silent": SILENT, "adjustment": COUNT},
    "figure2": {"with_negative": SILENT, "without_negative": SILENT, "adjustment": COUNT},
    "beta": {"betas": list_of(hundredths(1, 3), "numbers in (1, 3] with two decimals"), "silent": SILENT},
    "encoding": {},
    "comparison": {"tmn": wholes(1)},
    "pipeline": {"silent": SILENT},
    "residual": {"silent": SILENT},
    "memory": {},
}
SECTIONS: dict[str, dict[str, Check]] = {"table2": {"long": LIMITS}} | {
    name: own | EVERY | {"test_images": COUNT} for name, own in OWN.items()
}


def settings_of(profile: Profile, artifact: str) -> dict[str, Any]:
    """The entries of ``[papers.css.<artifact>]``; empty where the profile has no such section.

    Raises:
        CannotRun: a section or an entry that this room does not know, a missing entry, or a value out of range.
    """
    return read_section(profile, PAPER, artifact, SECTIONS, optional=("test_images",))
