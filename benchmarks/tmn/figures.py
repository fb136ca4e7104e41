"""Figures of the TMN report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from benchmarks.tables import drawing
from benchmarks.tables.columns import each_network, titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, edges, facets, whole

Styles = Mapping[str, tuple[str, str, str]]  # colour, marker and label of curves
METHODS: Styles = {
    "TMN": (BLUE, "o", "TMN"),
    "rate": (VERMILION, "s", "rate, from zero"),
    "OPI": (ORANGE, "^", "rate, from half threshold (OPI)"),
}
FAMILIES = {
    "weighted spikes": ("TSA", "FS-Conversion"),
    "a spike or an interval of spikes": ("TTFS Mapping", "LC-TTFS", "LC-TTFS, centred", "TSC", "TSC, spread"),
    "rate": ("rate", "OPI", "SNN Calibration", "TTRBR", "SpikeNorm", "RMP-SNN", "RMP-SNN, scaled"),
    "rate, quantised network": ("QCFS", "QFFS", "COS", "Fast-SNN"),
}
"""Methods beside TMN, by what their spikes mean; others stand with the first."""
IN_FAMILY = ((VERMILION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (BLACK, "P"), (SKY, "X"), (GREY, "*"))
PRICED = {"TMN": (BLUE, "o"), "COS": (ORANGE, "P"), "Fast-SNN": (VERMILION, "D")}
"""Where only methods of quantised networks are compared."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
RULES = (BLUE, GREEN, PURPLE, VERMILION, ORANGE, SKY, BLACK)


def capacity(frame: pd.DataFrame) -> Figure:
    """Figure 1(d): distinguishable values over timesteps, by formula (lines) and by enumeration (points)."""
    figure = Figure(figsize=(WIDTH * 0.72, 3.4))
    axes = figure.add_subplot(title="Distinguishable values of one spike train", xlabel="timesteps T", yscale="log",
                              ylabel="number of values")  # fmt: skip
    # Rate and TTFS have the same capacity: one line, with points of one inside those of the other.
    styles = {
        "css": (BLUE, "o", 4.0, "CSS (TMN): $2^{T+1}-1$"),
        "binary": (GREEN, "s", 4.0, "binary weights: $2^T$"),
        "ttfs": (GREY, "o", 7.0, ""),
        "rate": (VERMILION, "o", 3.0, "rate and TTFS: $T+1$"),
    }
    for code, (color, marker, size, label) in styles.items():
        rows = frame[frame["code"] == code]
        axes.plot(rows["timesteps"], rows["capacity"], color=color)
        axes.plot(rows["timesteps"], rows["enumerated"], marker, color=color, markersize=size)
        for end in zip(rows["timesteps"].tail(1), rows["capacity"].tail(1), strict=True):
            axes.annotate(label, end, (8, 0), textcoords="offset points", color=color, va="center")
    whole(axes)
    axes.margins(x=0.03)
    return figure


def precharge(frame: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(a): accuracy (solid) and energy (dashed) over timesteps, by predictive spiking and pre-charge length."""
    figure = Figure(figsize=(WIDTH, 5.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1.0))
    lengths = sorted(frame["precharge_steps"].unique())
    height = drawing.AccuracyScale.of(frame)
    for (switch, length), rows in frame.groupby(["predictive_spiking", "precharge_steps"], sort=False):
        base, label = (BLUE, "with TPS") if switch == "yes" else (ORANGE, "without")
        index = lengths.index(length)
        share = 1.0 if len(lengths) == 1 else 0.45 + 0.55 * index / (len(lengths) - 1)  # the longer, the darker
        color, marker = drawing.tint(base, share), MARKERS[index % len(MARKERS)]
        top.plot(rows["timesteps"], height(rows["snn_metric"]), label=f"{label}, L = {length}", color=color, marker=marker)
        bottom.plot(rows["timesteps"], rows["energy_mj"] * 1000, linestyle="--", color=color, marker=marker)
    top.axhline(height(height.ann), color=GREY, linewidth=1.0, linestyle=":", label="trained network")
    height.ticks(top)
    top.set_ylabel("accuracy, %\n(distance to the trained\nnetwork is logarithmic)")
    bottom.set(xlabel="timesteps T", ylabel="energy, µJ per image", ylim=(0, None))
    whole(bottom)
    figure.legend(loc="outside right center")
    drawing.heading(figure, f"Predictive spiking (TPS) and pre-charge length L: {subject}")
    return figure


def depth(frame: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(b): encoding error over depth, TMN at T against rate coding at 2^T steps."""
    figure, panels = facets(frame, (0.9, 2.1), across=["tmn_timesteps"], wrap=3, sharex=True, sharey=True)
    for axes, rows in panels:
        exponent = rows["tmn_timesteps"].iloc[0]
        for name, (color, marker, _) in METHODS.items():
            curve = rows[rows["method"] == name]
            axes.plot(curve["depth"], curve["mse"], color=color, marker=marker, markersize=3)
        axes.set(title=f"TMN T = {exponent}, rate {2**exponent} steps", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        edges(axes, left="MSE / threshold²")
    for axes, _ in panels[-3:]:
        axes.set_xlabel("spiking layer")
        axes.tick_params(labelbottom=True)
    text = f"Encoding error over depth: {subject}"
    handles = [drawing.handle(color=color, marker=marker, label=label) for color, marker, label in METHODS.values()]
    if not (spare := figure.axes[len(panels) :]):
        return drawing.finished(figure, text, handles, 3)
    spare[-1].legend(handles=handles, loc="center")
    drawing.heading(figure, text)
    return figure


def residual(frame: pd.DataFrame, density: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(c): distribution of the residual over neurons by predictive threshold; its means with their minima."""
    figure = Figure(figsize=(WIDTH, 3.9))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    for ratio in sorted(density["ratio"].unique()):
        rows = density[density["ratio"] == ratio]
        distance = min(abs(ratio - 0.5) / 0.2, 1.0)
        color = BLACK if ratio == 0.5 else drawing.tint(BLUE if ratio < 0.5 else ORANGE, 1.0 - 0.6 * distance)
        style = {"linewidth": 2.2, "zorder": 3} if ratio == 0.5 else {"linewidth": 1.2, "linestyle": "-" if ratio < 0.5 else "--"}
        left.plot(rows["residual"], rows["density"], color=color, label=f"{ratio:.2f}", **style)
    visible = density["residual"][density["density"] > 0.02 * density["density"].max()]
    left.set(xlim=(visible.min() - 0.02, visible.max() + 0.02), ylim=(0, None), title="Mean |u[T]| of each neuron")
    left.set(xlabel="mean |u[T]| / v", ylabel="density over neurons")
    left.legend(title="predictive\nthreshold / v", loc="center left", bbox_to_anchor=(1.0, 0.5))
    styles = {
        ("all", "mean_abs"): (BLUE, "o", "-", "mean |u|, all neurons"),
        ("spiking", "mean_abs"): (SKY, "s", "-", "mean |u|, neurons that spiked"),
        ("all", "mean_square"): (VERMILION, "o", "--", "E[u²], all neurons"),
        ("spiking", "mean_square"): (ORANGE, "s", "--", "E[u²], neurons that spiked"),
    }
    for (scope, measure), (color, marker, line, label) in styles.items():
        rows = frame[frame["scope"] == scope]
        least = rows.nsmallest(1, measure)
        right.plot(rows["ratio"], rows[measure], color=color, marker=marker, linestyle=line, label=label)
        right.plot(least["ratio"], least[measure], "o", color="none", markersize=11, markeredgecolor=BLACK)
    right.set(xlabel="predictive threshold / v", ylabel="mean |u[T]| / v,  E[u[T]²] / v²", yscale="log")
    right.set_title("Means; circled: least")
    low, high = right.get_ylim()
    drawing.one_two_five(right.yaxis, low, high)
    right.set_ylim(low, high * (high / low) ** 0.45)
    right.legend(loc="upper center", ncols=1)
    drawing.heading(figure, f"Residual membrane potential after the last step: {subject}")
    return figure


def losses(frame: pd.DataFrame) -> Figure:
    """Conversion loss over timesteps, TMN against rate coding, a panel per network, with 95 % intervals."""
    rows = frame[frame["method"].isin(list(METHODS))]
    return _losses(rows, "method", METHODS, "Conversion loss over timesteps, with 95 % intervals")


def calibrations(rows: pd.DataFrame, paper: str) -> Figure:
    """Conversion loss of TMN over timesteps, a line per calibration option."""
    labels = {name: f"{name} (paper)" if name == paper else name for name in dict.fromkeys(rows["calibration"])}
    styles = {name: (RULES[i % 7], MARKERS[i % 7], label) for i, (name, label) in enumerate(labels.items())}
    text = f"TMN: conversion loss by calibration option (band: 95 % interval of {paper})"
    return _losses(rows, "calibration", styles, text, paper)


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """TMN's rows at those T of a network at which more than one calibration option was measured; all if there is none."""
    rows = frame[frame["method"] == "TMN"]
    options = rows.groupby(["dataset", "architecture", "timesteps"])["calibration"].transform("nunique")
    return rows[options > 1] if (options > 1).any() else rows


def codes(rows: pd.DataFrame) -> Figure:
    """Conversion loss over timesteps of every method beside TMN's, a panel per network and family; the band is TMN's interval."""
    others = tuple(name for name in dict.fromkeys(rows["method"]) if name not in {"TMN"}.union(*FAMILIES.values()))
    members = FAMILIES | {"weighted spikes": FAMILIES["weighted spikes"] + others}
    networks, longest = each_network(rows), float(rows["timesteps"].max())
    shown = [(family, names) for family, names in members.items() if rows["method"].isin(names).any()]
    figure = Figure(figsize=(WIDTH, 0.5 + 2.9 * -(-len(shown) // 2) * len(networks)))
    for part, network in zip(figure.subfigures(len(networks), 1, squeeze=False).flat, networks, strict=True):
        part.suptitle(titled(network.iloc[0]), x=0.01, ha="left", fontsize=9.5)
        grid = part.subplots(-(-len(shown) // 2), min(2, len(shown)), sharex=True, sharey=True, squeeze=False).flatten()
        for axes, (family, names) in zip(grid, shown, strict=False):
            styles = {name: (*style, name) for name, style in zip(names, cycle(IN_FAMILY), strict=False)}
            _draw_losses(axes, network, "method", {"TMN": METHODS["TMN"]} | styles, longest, "TMN")
            axes.set_title(family, fontsize=9)
            axes.set(xlabel="timesteps T", ylabel="loss, points")
            axes.label_outer()
            axes.legend(fontsize=7, loc="best")
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
    drawing.heading(figure, "Conversion loss over timesteps, every method on the same network (band: 95 % interval of TMN)")
    return figure


def energies(frame: pd.DataFrame) -> Figure:
    """Conversion loss over energy, a panel per network and a point per T; dashed: pre-simulation charged."""
    figure, panels = facets(frame, (0.9, 3.0), across=["dataset"], sharey=True)
    for axes, rows in panels:
        for name, curve in rows.groupby("method", sort=False):
            color, marker = PRICED.get(str(name), (BLACK, "*"))
            style: dict[str, Any] = {"color": color, "marker": marker}
            axes.plot(curve["energy_mj"] * 1000, curve["loss"], label=name, **style)
            for t, energy, loss in zip(curve["timesteps"], curve["energy_mj"] * 1000, curve["loss"], strict=True):
                axes.annotate(f"{t}", (energy, loss), (4, 4), textcoords="offset points", fontsize=7, color=color)
            if (curve["presimulation_steps"] > 0).any():
                style |= {"markersize": 3, "linestyle": "--", "label": f"{name}, pre-simulation charged"}
                axes.plot(curve["energy_presimulated_mj"] * 1000, curve["loss"], **style)
        axes.set(title=titled(rows.iloc[0]), xscale="log", xlabel="energy, µJ per image")
        drawing.one_two_five(axes.xaxis, *axes.get_xlim())
        edges(axes, left="loss, percentage points")
        _loss_scale(axes)
    return drawing.finished(figure, "Conversion loss over energy; numbers: timesteps T", ncols=2)


def answers(frame: pd.DataFrame) -> Figure:
    """Accuracy of the converted network, and agreement with the quantised one, over timesteps, by method and pre-charge."""
    figure, panels = facets(frame, (0.9, 3.0), across=["dataset", "architecture"], sharey=True)
    for axes, network in panels:
        for index, ((name, length), rows) in enumerate(network.groupby(["method", "precharge_steps"], sort=False)):
            label = f"{name}, L = {length}" if name == "TMN" else str(name)
            style: dict[str, Any] = {"color": RULES[index % 7], "marker": MARKERS[index % 7]}
            axes.plot(rows["timesteps"], rows["snn_metric"], label=f"{label}: accuracy", **style)
            axes.plot(rows["timesteps"], rows["agreement"], label="agreement", linestyle="--", markerfacecolor="none", **style)
        axes.axhline(network["ann_metric"].iloc[0], color=GREY, linewidth=1.0, linestyle=":", label="quantised network")
        axes.set(title=titled(network.iloc[0]), xlabel="timesteps T")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:g}")
        edges(axes, left="%")
    return drawing.finished(figure, "Quantised Transformers over timesteps", ncols=3)


def boxes(rows: pd.DataFrame) -> Figure:
    """What the trained and the converted network find on one picture; dashed: the objects."""
    figure = Figure(figsize=(WIDTH, 4.4))
    titles = {"trained": "trained network", "converted": f"converted network, T = {rows['timesteps'].iloc[0]}"}
    colors = dict(zip(rows["class"].unique(), cycle(RULES)))
    for axes, (side, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for _, row in rows[rows["side"].isin(["objects", side])].iterrows():
            line, color = ("--", GREY) if row["side"] == "objects" else ("-", colors[row["class"]])
            corner, size = (row["left"], row["top"]), (row["right"] - row["left"], row["bottom"] - row["top"])
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=color, linestyle=line, linewidth=1.4))
            if line == "-":
                text = f"{row['class']} {row['score']:.2f}"
                axes.text(*corner, text, color="white", fontsize=7, backgroundcolor=color, va="bottom", clip_on=True)
        axes.set(title=title, xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(True)
    drawing.heading(figure, f"Boxes on one image of {rows['dataset'].iloc[0]}; dashed: its objects")
    return figure


def _losses(rows: pd.DataFrame, column: str, styles: Styles, text: str, band: str = "") -> Figure:
    """Conversion loss over timesteps, a panel per network and a curve per value of ``column``."""
    figure, panels = facets(rows, (0.9, 3.0), across=["dataset", "architecture"], wrap=2, sharey=True)
    for axes, network in panels:
        _draw_losses(axes, network, column, styles, float(rows["timesteps"].max()), band)
        axes.set(title=titled(network.iloc[0]), xlabel="timesteps T")
        edges(axes, left="loss, percentage points")
    return drawing.finished(figure, text, ncols=3)


def _draw_losses(axes: Axes, rows: pd.DataFrame, column: str, styles: Styles, longest: float, band: str = "") -> None:
    """A curve for each style, with intervals (of that called ``band`` alone); steps are logarithmic where they reach far."""
    for name, (color, marker, label) in styles.items():
        curve = rows[rows[column] == name].sort_values("timesteps")
        steps = curve["timesteps"].astype(float)
        if len(steps):
            axes.plot(steps, curve["loss"], color=color, marker=marker, label=label)
        if len(steps) and band in ("", name):
            axes.fill_between(steps, curve["loss_ci95_low"], curve["loss_ci95_high"], color=color, alpha=0.18, linewidth=0)
    if longest > 16:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:g}")
    else:
        whole(axes)
    _loss_scale(axes)


def _loss_scale(axes: Axes) -> None:
    """Losses on a logarithmic axis, linear below a tenth of a point."""
    axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
    drawing.ticks(axes.yaxis, [-1, -0.1, 0, 0.1, 1, 10, 100])
    axes.axhline(0.0, color=GREY, linewidth=0.8)
