"""The paper's report: its sections."""

from __future__ import annotations

from benchmarks.harness.claims import Tables
from benchmarks.harness.report import Section
from benchmarks.profiles import Profile

NAME = "ETTFS: An Efficient Training Framework for Time-to-First-Spike Neuron"
REFERENCE = "arXiv 2410.23619 v1"
SECTIONS: tuple[Section, ...] = ()


def headlines(tables: Tables, profile: Profile) -> list[str]:
    """What a reader should know first."""
    return []
