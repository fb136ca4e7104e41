"""Figures as SVG files that have the same bytes whenever they show the same."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

# Okabe and Ito: distinguishable with every common form of colour blindness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#222222",
)  # fmt: skip
GREY = "#777777"
WIDTH = 8.3  # inches; 800 pixels on GitHub

STYLE: dict[str, Any] = {
    "svg.hashsalt": "snnbench",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
}


_CLIP = re.compile(rb"\bp[0-9a-f]{10}\b")


def svg(draw: Callable[[], Figure]) -> bytes:
    """The SVG file of a figure that ``draw`` makes, in the project's style and independent of the user's."""
    with matplotlib.style.context(["default", STYLE]):
        buffer = io.BytesIO()
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    for index, clip in enumerate(dict.fromkeys(_CLIP.findall(text))):  # named after unrounded sizes
        text = text.replace(clip, b"clip%d" % index)
    return b"\n".join(line.rstrip() for line in text.splitlines()) + b"\n"


def heading(figure: Figure, text: str) -> None:
    """The line above all panels."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=10.5)


TICKS = (80, 40, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)
"""Where an accuracy scale may have ticks, in points below the trained network."""


@dataclass(frozen=True)
class AccuracyScale:
    """Places accuracies by the logarithm of their distance to ``ann``, so that a tenth of a point can be seen beside chance.

    Args:
        ann: accuracy of the trained network, %.
        lowest: accuracy that is shown.
        highest: accuracy that is shown; may lie above ``ann``.
    """

    ann: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, rows: pd.DataFrame) -> AccuracyScale:
        """For rows with the columns ``ann_metric``, the same in all of them, and ``snn_metric``."""
        return cls(float(rows["ann_metric"].iloc[0]), float(rows["snn_metric"].min()), float(rows["snn_metric"].max()))

    @property
    def _margin(self) -> float:
        return max(0.1, 2 * (self.highest - self.ann))

    def __call__(self, accuracy: Any) -> Any:
        """Height of accuracies on the axis."""
        return -np.log10(np.maximum(self.ann - accuracy, -self._margin / 2) + self._margin)

    def ticks(self, axes: Axes) -> None:
        """Label the axis at round distances, the trained network first; what would touch another label goes without."""
        losses = [loss for loss in TICKS if loss <= max(self.ann - self.lowest, 1.0) * 1.2]
        bottom, top = axes.get_ylim()
        places: list[float] = []
        for tick in [self.ann, *(self.ann - loss for loss in reversed(losses))]:
            if all(abs(self(tick) - self(place)) > 0.05 * (top - bottom) for place in places):
                places.append(tick)
        axes.set_yticks([self(tick) for tick in places], [f"{tick:.1f}" for tick in places])
        axes.yaxis.set_minor_formatter(NullFormatter())
