"""Figures of the CSS report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmarks.tables.columns import titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, AccuracyScale, heading

SILENT = (VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY, BLACK)
"""By length of the silent period; the last for all longer ones."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":")


def steps_and_latency(frame: pd.DataFrame) -> Figure:
    """Figure 1: accuracy over coding steps (left) and over latency (right), a row of panels per network."""

    def draw(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale) -> None:
        for _, part in rows.groupby("silent_steps"):
            silent = int(part["silent_steps"].iloc[0])
            color, marker = _style(silent)
            line = "--" if silent == 0 else "-"
            _curve(axes, part.sort_values(column), column, height, color, marker, line)

    lengths = sorted(frame["silent_steps"].unique())
    handles = [
        Line2D([], [], color=_style(n)[0], marker=_style(n)[1], linestyle="--" if n == 0 else "-", label=_length(n))
        for n in lengths
    ]
    columns = {"timesteps": "coding steps T", "latency": "latency, steps"}
    text = "Accuracy over coding steps and over latency, by silent period (hollow: amplitudes did not settle)"
    return _panels(frame, columns, draw, handles, text)


def negative_spikes(frame: pd.DataFrame) -> Figure:
    """Figure 2: accuracy over latency, with (solid) and without (dashed) negative spikes, a colour per silent period."""

    def draw(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale) -> None:
        for _, part in rows.groupby(["negative_spikes", "silent_steps"]):
            color, marker = _style(int(part["silent_steps"].iloc[0]))
            line = "-" if part["negative_spikes"].iloc[0] == "yes" else "--"
            _curve(axes, part.sort_values(column), column, height, color, marker, line)

    pairs = sorted(set(zip(frame["negative_spikes"], frame["silent_steps"], strict=True)), key=lambda p: (p[0] == "no", p[1]))
    handles = [
        Line2D([], [], color=_style(n)[0], marker=_style(n)[1], linestyle="-" if kind == "yes" else "--",
               label=f"{'with' if kind == 'yes' else 'without'}, {_length(n)}")
        for kind, n in pairs
    ]  # fmt: skip
    text = "Accuracy over latency, with and without negative spikes (hollow: amplitudes did not settle)"
    return _panels(frame, {"latency": "latency, steps"}, draw, handles, text)


def betas(frame: pd.DataFrame) -> Figure:
    """Accuracy over beta, a curve per T (darker: more steps), a panel per silent period; a row of panels per network."""
    networks = list(dict.fromkeys(zip(frame["dataset"], frame["architecture"], strict=True)))
    lengths = sorted(frame["silent_steps"].unique())
    figure = Figure(figsize=(WIDTH, 0.9 + 2.8 * len(networks)))
    grid = figure.subplots(len(networks), len(lengths), sharex=True, squeeze=False)
    for line, network in zip(grid, networks, strict=True):
        rows = frame[(frame["dataset"] == network[0]) & (frame["architecture"] == network[1])]
        height = AccuracyScale.of(rows)
        steps = sorted(rows["timesteps"].unique())
        for axes, silent in zip(line, lengths, strict=True):
            for index, t in enumerate(steps):
                part = rows[(rows["silent_steps"] == silent) & (rows["timesteps"] == t)].sort_values("beta")
                shade = 0.35 + 0.65 * (index + 1) / len(steps)
                axes.plot(part["beta"], height(part["snn_metric"]), color=BLUE, alpha=shade, marker=MARKERS[index % 7],
                          label=f"T = {t}")  # fmt: skip
            axes.axvline(1.5, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title(f"{titled(rows.iloc[0])}\n{_length(silent)}")
            axes.set_xlabel("β")
            height.ticks(axes)
        line[0].set_ylabel("accuracy, %")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    heading(figure, "Amplification factor β (dotted: the paper's 1.5)")
    return figure


def comparison(frame: pd.DataFrame) -> Figure:
    """TSA and TMN: loss over coding steps, over latency and over energy; a row of panels per network."""
    styles = {"TSA": (VERMILION, "D", "TSA, β = 1.5"), "TMN": (BLUE, "o", "TMN, β = 2")}

    def draw(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale) -> None:
        for name, (color, marker, _) in styles.items():
            part = rows[rows["method"] == name].sort_values(column)
            _curve(axes, part, column, height, color, marker, "-")

    handles = [Line2D([], [], color=color, marker=marker, label=label) for color, marker, label in styles.values()]
    columns = {"timesteps": "coding steps T", "latency": "latency, steps", "energy_uj": "energy, µJ per image"}
    shown = frame.assign(energy_uj=frame["energy_mj"] * 1000)
    return _panels(shown, columns, draw, handles, "TSA and TMN on the same networks")


def pipeline(frame: pd.DataFrame) -> Figure:
    """Accuracy after each step of the pipelined simulation, a colour per silent period and a line per T."""
    steps = sorted(int(t) for t in frame["timesteps"].unique())

    def draw(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale) -> None:
        for _, part in rows.groupby(["silent_steps", "timesteps"]):
            color, marker = _style(int(part["silent_steps"].iloc[0]))
            line = LINES[steps.index(int(part["timesteps"].iloc[0])) % len(LINES)]
            _curve(axes, part.sort_values(column), column, height, color, marker, line)
            axes.axvline(part["latency"].iloc[0], color=color, linewidth=0.8, linestyle=":")

    handles = [
        Line2D(
            [],
            [],
            color=_style(n)[0],
            marker=_style(n)[1],
            linestyle=LINES[steps.index(t) % len(LINES)],
            label=f"{_length(n)}, T = {t}",
        )
        for n, t in sorted(set(zip(frame["silent_steps"], frame["timesteps"], strict=True)))
    ]
    text = "Accuracy of the output so far, all layers at once (dotted: latency by the paper's rule)"
    return _panels(frame, {"step": "step since the first input"}, draw, handles, text)


# ---- helpers ----------------------------------------------------------------------------------------------------------


def _panels(
    frame: pd.DataFrame,
    columns: dict[str, str],
    draw: Callable[[Axes, pd.DataFrame, str, AccuracyScale], None],
    handles: list[Line2D],
    text: str,
) -> Figure:
    """A row of panels per network, a panel per column of the table."""
    networks = list(dict.fromkeys(zip(frame["dataset"], frame["architecture"], strict=True)))
    across = len(networks) if len(columns) == 1 else len(columns)
    down = 1 if len(columns) == 1 else len(networks)
    figure = Figure(figsize=(WIDTH, 1.1 + 2.8 * down))
    grid = figure.subplots(down, across, squeeze=False)
    for index, network in enumerate(networks):
        rows = frame[(frame["dataset"] == network[0]) & (frame["architecture"] == network[1])]
        height = AccuracyScale.of(rows)
        line = [grid[0][index]] if len(columns) == 1 else list(grid[index])
        for axes, (column, label) in zip(line, columns.items(), strict=True):
            draw(axes, rows, column, height)
            axes.axhline(height(rows["ann_metric"].iloc[0]), color=GREY, linewidth=1.0, linestyle=":")
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=column != "energy_uj"))
            height.ticks(axes)
        line[0].set_title(titled(rows.iloc[0]))
        line[0].set_ylabel("accuracy, %")
    handles = [*handles, Line2D([], [], color=GREY, linewidth=1.0, linestyle=":", label="trained network")]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    heading(figure, text)
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale, color: str, marker: str, line: str) -> None:
    x, y = rows[column].astype(float).to_numpy(), height(rows["snn_metric"].to_numpy(dtype=float))
    axes.plot(x, y, color=color, linestyle=line)
    unsettled = (rows["unsettled"].fillna(0) > 0).to_numpy() if "unsettled" in rows else np.zeros(len(rows), dtype=bool)
    axes.plot(x[~unsettled], y[~unsettled], marker, color=color)
    axes.plot(x[unsettled], y[unsettled], marker, color=color, markerfacecolor="white")


def _style(silent: int) -> tuple[str, str]:
    return SILENT[min(silent, len(SILENT) - 1)], MARKERS[min(silent, len(MARKERS) - 1)]


def _length(silent: int) -> str:
    return "no silent period" if silent == 0 else f"silent period of {silent}"
