"""Figures as SVG files that have the same bytes whenever they show the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

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


def svg(draw: Callable[[], Figure]) -> bytes:
    """The SVG file of a figure that ``draw`` makes, in the project's style and independent of the user's."""
    with matplotlib.style.context(["default", STYLE]):
        buffer = io.BytesIO()
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    lines = buffer.getvalue().splitlines()
    return b"\n".join(line.rstrip() for line in lines) + b"\n"
