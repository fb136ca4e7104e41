"""Calibrations by name: how the threshold of a layer follows from its activations."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.errors import CannotRun

if TYPE_CHECKING:
    from snncore.conversion import ThresholdRule

CALIBRATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "percentile-99.9": ("Percentile", {"q": 99.9}),
    "percentile-99.99": ("Percentile", {"q": 99.99}),
    "percentile-99.999": ("Percentile", {"q": 99.999}),
    "percentile-99.9-positive": ("Percentile", {"q": 99.9, "positive_only": True}),
    "percentile-99.99-positive": ("Percentile", {"q": 99.99, "positive_only": True}),
    "maximum": ("Maximum", {}),
    "least-squares": ("LeastSquares", {}),
}
"""Class of ``snncore.conversion`` and its arguments."""


def check_calibration(name: str) -> bool:
    """True for the name of a calibration. Raises CannotRun for an unknown one, listing the known."""
    if name not in CALIBRATIONS:
        raise CannotRun(f"unknown calibration {name!r}; known: {', '.join(CALIBRATIONS)}")
    return True


@cache
def threshold_rule(name: str) -> ThresholdRule:
    """The calibration of that name. Raises CannotRun for an unknown one, listing the known."""
    from snncore import conversion

    check_calibration(name)
    kind, options = CALIBRATIONS[name]
    rule: ThresholdRule = getattr(conversion, kind)(**options)
    return rule
