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

from benchmarks.tables import drawing
from benchmarks.tables.columns import titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, AccuracyScale, heading

SILENT = (VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY, BLACK)
"""By length of the silent period; the last for all longer ones."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":")


def steps_and_latency(frame: pd.DataFrame) -> Figure:
    """Figure 1: accuracy over coding steps (left) and over latency (right), a row of panels per network."""
    columns = {"timesteps": "coding steps T", "latency": "latency, steps"}
    text = "Accuracy over coding steps and over latency, by silent period (hollow: amplitudes did not settle)"
    line = lambda row: "--" if row["silent_steps"] == 0 else "-"  # noqa: E731
    return _by_silent_period(frame, columns, text, ["silent_steps"], line, "{1}".format)


def negative_spikes(frame: pd.DataFrame) -> Figure:
    """Figure 2: accuracy over latency, with (solid) and without (dashed) negative spikes, a colour per silent period."""
    text = "Accuracy over latency, with and without negative spikes (hollow: amplitudes did not settle)"
    line = lambda row: "-" if row["negative_spikes"] == "yes" else "--"  # noqa: E731
    label = lambda row, length: f"{'with' if row['negative_spikes'] == 'yes' else 'without'}, {length}"  # noqa: E731
    return _by_silent_period(frame, {"latency": "latency, steps"}, text, ["negative_spikes", "silent_steps"], line, label)


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

    handles = [drawing.handle(color=color, marker=marker, label=label) for color, marker, label in styles.values()]
    columns = {"timesteps": "coding steps T", "latency": "latency, steps", "energy_uj": "energy, µJ per image"}
    shown = frame.assign(energy_uj=frame["energy_mj"] * 1000)
    return _panels(shown, columns, draw, handles, "TSA and TMN on the same networks")


def pipeline(frame: pd.DataFrame) -> Figure:
    """Accuracy after each step of the pipelined simulation, a colour per silent period and a line per T."""
    steps = sorted(frame["timesteps"].unique())
    text = "Accuracy of the output so far, all layers at once (dotted: latency by the paper's rule)"
    line = lambda row: LINES[steps.index(row["timesteps"]) % len(LINES)]  # noqa: E731
    label = lambda row, length: f"{length}, T = {row['timesteps']}"  # noqa: E731
    columns = {"step": "step since the first input"}
    return _by_silent_period(frame, columns, text, ["silent_steps", "timesteps"], line, label, rule=True)


# ---- helpers ----------------------------------------------------------------------------------------------------------


def _by_silent_period(
    frame: pd.DataFrame,
    columns: dict[str, str],
    text: str,
    by: list[str],
    line: Callable[[pd.Series], Any],
    label: Callable[[pd.Series, str], str],
    rule: bool = False,
) -> Figure:
    """A curve for each value of ``by``, its colour that of its silent period; dotted the latency by ``rule``."""

    def draw(axes: Axes, rows: pd.DataFrame, column: str, height: AccuracyScale) -> None:
        for _, part in rows.groupby(by):
            first = part.iloc[0]
            color, marker = _style(int(first["silent_steps"]))
            _curve(axes, part.sort_values(column), column, height, color, marker, line(first))
            if rule:
                axes.axvline(first["latency"], color=color, linewidth=0.8, linestyle=":")

    handles = []
    for _, row in frame.drop_duplicates(by).sort_values(by, ascending=[name != "negative_spikes" for name in by]).iterrows():
        color, marker = _style(row["silent_steps"])
        handles.append(
            drawing.handle(color=color, marker=marker, linestyle=line(row), label=label(row, _length(row["silent_steps"])))
        )
    return _panels(frame, columns, draw, handles, text)


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
    handles = [*handles, drawing.handle(color=GREY, linewidth=1.0, linestyle=":", label="trained network")]
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
