"""Figures as SVG files that have the same bytes whenever they show the same."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

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


def facets(
    frame: pd.DataFrame, height: tuple[float, float], down: Sequence[str] = (), across: Sequence[str] = (), **options: Any
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with a panel, and its rows, for each value of the columns ``down`` and ``across``, in the order of the rows.

    Args:
        frame: all rows.
        height: in inches, without panels and of a line of panels.
        down: columns whose values have a line of panels each; without any, lines have at most ``wrap`` panels.
        across: columns whose values have a panel each in every line.
        options: ``wrap``, the ``width`` in inches, and those of ``Figure.subplots``.
    """
    frame = frame.reset_index(drop=True)
    lines, columns = (
        [part.index for _, part in frame.groupby(list(names), sort=False)] if names else [frame.index] for names in (down, across)
    )
    most = min(options.pop("wrap", len(columns)), len(columns))
    count = len(lines) * -(-len(columns) // most)
    figure = Figure(figsize=(options.pop("width", WIDTH), height[0] + height[1] * count))
    grid = list(figure.subplots(count, most, squeeze=False, **options).flat)
    rows = [frame.loc[line.intersection(column)] for line in lines for column in columns]
    for spare in grid[len(rows) :]:
        spare.set_axis_off()
    return figure, list(zip(grid, rows, strict=False))


def edges(axes: Axes, title: str = "", below: str = "", left: str = "") -> None:
    """Words at panels on the edge of a figure: above those of the first line, below the last and left of the first column."""
    place = axes.get_subplotspec()
    if title and place.is_first_row():
        axes.set_title(title)
    if below and place.is_last_row():
        axes.set_xlabel(below)
    if left and place.is_first_col():
        axes.set_ylabel(left)


def whole(axes: Axes) -> None:
    """Ticks at whole numbers below an axis."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def ticks(axis: Axis, places: Sequence[float]) -> None:
    """Ticks at these places alone, with plain numbers."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def one_two_five(axis: Axis, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 times powers of ten between both ends."""
    ticks(axis, [m * 10.0**e for e in range(-6, 6) for m in (1, 2, 5) if low <= m * 10.0**e <= high])


def handle(**style: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], **style)


def tint(color: str, share: float) -> tuple[float, ...]:
    """A colour between white (0) and itself (1)."""
    return tuple(1 - share * (1 - part) for part in to_rgb(color))


def finished(figure: Figure, text: str, handles: Any = None, ncols: int = 4, place: str = "lower center") -> Figure:
    """The figure with its heading and a legend beside the panels, of a curve for each label in any panel unless given."""
    if handles is None:
        curves = [curve for axes in figure.axes for curve in axes.get_legend_handles_labels()[0]]
        handles = list({curve.get_label(): curve for curve in curves}.values())
    where: Any = f"outside {place}"
    figure.legend(handles=handles, loc=where, ncols=ncols)
    heading(figure, text)
    return figure


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
