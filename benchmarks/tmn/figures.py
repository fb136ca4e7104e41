"""Figures of the TMN report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from benchmarks.tables.columns import titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, AccuracyScale, heading

METHODS = {
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
PRICED = {
    "TMN": (BLUE, "o", "TMN"),
    "COS": (ORANGE, "P", "COS"),
    "Fast-SNN": (VERMILION, "D", "Fast-SNN"),
}
"""Where only methods of quantised networks are compared."""
RULES = (BLUE, GREEN, PURPLE, VERMILION, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def capacity(frame: pd.DataFrame) -> Figure:
    """Figure 1(d): distinguishable values over timesteps, by formula (lines) and by enumeration (points)."""
    figure = Figure(figsize=(WIDTH * 0.72, 3.4))
    axes = figure.add_subplot(title="Distinguishable values of one spike train", xlabel="timesteps T", yscale="log")
    axes.set_ylabel("number of values")
    # Rate and TTFS have the same capacity: one line, with points of one inside those of the other.
    styles = {
        "css": (BLUE, "o", 4.0, "CSS (TMN): $2^{T+1}-1$"),
        "binary": (GREEN, "s", 4.0, "binary weights: $2^T$"),
        "ttfs": (GREY, "o", 7.0, ""),
        "rate": (VERMILION, "o", 3.0, "rate and TTFS: $T+1$"),
    }
    for code, (color, marker, size, label) in styles.items():
        rows = frame[frame["code"] == code].sort_values("timesteps")
        if rows.empty:
            continue
        axes.plot(rows["timesteps"], rows["capacity"], color=color)
        axes.plot(rows["timesteps"], rows["enumerated"], marker, color=color, markersize=size)
        last = rows.iloc[-1]
        axes.annotate(label, (last["timesteps"], last["capacity"]), (8, 0), textcoords="offset points", color=color, va="center")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.03)
    return figure


def precharge(frame: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(a): accuracy (solid) and energy (dashed) over timesteps, by predictive spiking and pre-charge length."""
    figure = Figure(figsize=(WIDTH, 5.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1.0))
    lengths = sorted(frame["precharge_steps"].unique())
    ann = float(frame["ann_metric"].iloc[0])
    height = AccuracyScale.of(frame)
    for switch, color, label in (("yes", BLUE, "with TPS"), ("no", ORANGE, "without")):
        for index, length in enumerate(lengths):
            rows = frame[(frame["predictive_spiking"] == switch) & (frame["precharge_steps"] == length)]
            rows = rows.sort_values("timesteps")
            style: dict[str, Any] = {"color": _shade(color, index, len(lengths)), "marker": MARKERS[index % len(MARKERS)]}
            top.plot(rows["timesteps"], height(rows["snn_metric"]), label=f"{label}, L = {length}", **style)
            bottom.plot(rows["timesteps"], rows["energy_mj"] * 1000, linestyle="--", **style)
    top.axhline(height(ann), color=GREY, linewidth=1.0, linestyle=":", label="trained network")
    height.ticks(top)
    top.set_ylabel("accuracy, %\n(distance to the trained\nnetwork is logarithmic)")
    bottom.set_ylabel("energy, µJ per image")
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("timesteps T")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    heading(figure, f"Predictive spiking (TPS) and pre-charge length L: {subject}")
    return figure


def depth(frame: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(b): encoding error over depth, TMN at T against rate coding at 2^T steps."""
    exponents = sorted(frame["tmn_timesteps"].unique())
    columns = min(3, len(exponents))
    lines = -(-len(exponents) // columns)
    figure = Figure(figsize=(WIDTH, 0.9 + 2.1 * lines))
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, exponent in zip(grid, exponents, strict=False):
        rows = frame[frame["tmn_timesteps"] == exponent]
        for name, (color, marker, _) in METHODS.items():
            curve = rows[rows["method"] == name].sort_values("depth")
            axes.plot(curve["depth"], curve["mse"], color=color, marker=marker, markersize=3)
        axes.set_title(f"TMN T = {exponent}, rate {2**exponent} steps")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for index, axes in enumerate(grid):
        if index >= len(exponents):
            axes.set_axis_off()
        elif index + columns >= len(exponents):
            axes.set_xlabel("spiking layer")
            axes.tick_params(labelbottom=True)
        if index % columns == 0:
            axes.set_ylabel("MSE / threshold²")
    heading(figure, f"Encoding error over depth: {subject}")
    handles = [Line2D([], [], color=c, marker=m, label=label) for c, m, label in METHODS.values()]
    if len(exponents) < len(grid):
        grid[-1].legend(handles=handles, loc="center")
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def residual(frame: pd.DataFrame, density: pd.DataFrame, subject: str) -> Figure:
    """Figure 4(c): distribution of the residual over neurons by predictive threshold; its means with their minima."""
    figure = Figure(figsize=(WIDTH, 3.9))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    ratios = sorted(density["ratio"].unique())
    for ratio in ratios:
        rows = density[density["ratio"] == ratio].sort_values("residual")
        color, width = (BLACK, 2.2) if ratio == 0.5 else (_diverging(ratio), 1.2)
        left.plot(
            rows["residual"],
            rows["density"],
            color=color,
            linewidth=width,
            label=f"{ratio:.2f}",
            linestyle="--" if ratio > 0.5 else "-",
            zorder=3 if ratio == 0.5 else 2,
        )
    left.set(title="Mean |u[T]| of each neuron", xlabel="mean |u[T]| / v", ylabel="density over neurons")
    left.set_xlim(*_visible(density))
    left.set_ylim(bottom=0)
    left.legend(title="predictive\nthreshold / v", loc="center left", bbox_to_anchor=(1.0, 0.5))
    styles = {
        ("all", "mean_abs"): (BLUE, "o", "-", "mean |u|, all neurons"),
        ("spiking", "mean_abs"): (SKY, "s", "-", "mean |u|, neurons that spiked"),
        ("all", "mean_square"): (VERMILION, "o", "--", "E[u²], all neurons"),
        ("spiking", "mean_square"): (ORANGE, "s", "--", "E[u²], neurons that spiked"),
    }
    for (scope, measure), (color, marker, line, label) in styles.items():
        rows = frame[frame["scope"] == scope].sort_values("ratio")
        if rows.empty:
            continue
        right.plot(rows["ratio"], rows[measure], color=color, marker=marker, linestyle=line, label=label)
        least = rows.iloc[int(rows[measure].to_numpy().argmin())]
        right.plot(least["ratio"], least[measure], "o", color="none", markersize=11, markeredgecolor=BLACK)
    right.set(title="Means; circled: least", xlabel="predictive threshold / v", yscale="log")
    right.set_ylabel("mean |u[T]| / v,  E[u[T]²] / v²")
    right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    right.yaxis.set_minor_locator(NullLocator())
    low, high = right.get_ylim()
    right.yaxis.set_major_locator(FixedLocator([t for t in _one_two_five(low, high)]))
    right.set_ylim(low, high * (high / low) ** 0.45)
    right.legend(loc="upper center", ncols=1)
    heading(figure, f"Residual membrane potential after the last step: {subject}")
    return figure


def losses(frame: pd.DataFrame, calibration: str) -> Figure:
    """Conversion loss over timesteps, TMN against rate coding, a panel per network, with 95 % intervals."""
    rows = frame[frame["calibration"] == calibration]
    curves = [(name, color, marker, label, rows[rows["method"] == name]) for name, (color, marker, label) in METHODS.items()]
    figure = _loss_panels(rows, curves)
    heading(figure, "Conversion loss over timesteps, with 95 % intervals")
    return figure


def codes(frame: pd.DataFrame, calibration: str) -> Figure:
    """Conversion loss over timesteps of every method beside TMN's, a panel per network and family; the band is TMN's interval."""
    rows = frame[frame["calibration"] == calibration]
    networks = list(rows.groupby(["dataset", "architecture"], sort=False))
    named = {"TMN"}.union(*FAMILIES.values())
    others = tuple(name for name in dict.fromkeys(rows["method"]) if name not in named)
    members = {family: (*m, *others) if family == next(iter(FAMILIES)) else m for family, m in FAMILIES.items()}
    styled = {family: dict(zip(m, cycle(IN_FAMILY), strict=False)) for family, m in members.items()}
    families = {family: styles for family, styles in styled.items() if rows["method"].isin(list(styles)).any()}
    down = -(-len(families) // 2)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.9 * down * len(networks)))
    for part, (_, network) in zip(figure.subfigures(len(networks), 1, squeeze=False).flatten(), networks, strict=True):
        grid = part.subplots(down, min(2, len(families)), sharex=True, sharey=True, squeeze=False).flatten()
        part.suptitle(titled(network.iloc[0]), x=0.01, ha="left", fontsize=9.5)
        for axes, (family, styles) in zip(grid, families.items(), strict=False):
            for name, (color, marker) in {"TMN": (BLUE, "o"), **styles}.items():
                if (curve := network[network["method"] == name].sort_values("timesteps")).empty:
                    continue
                steps = curve["timesteps"].astype(float)
                axes.plot(steps, curve["loss"], color=color, marker=marker, label=name)
                if name == "TMN":
                    axes.fill_between(steps, curve["loss_ci95_low"], curve["loss_ci95_high"], color=color, alpha=0.18, lw=0)
            _loss_axes(axes, longest=float(rows["timesteps"].max()))
            axes.set_title(family, fontsize=9)
            axes.legend(fontsize=7, loc="best")
        for index, axes in enumerate(grid):
            axes.set_ylabel("loss, points" if index % 2 == 0 else "")
            axes.label_outer()
            if index >= len(families):
                axes.set_axis_off()
    heading(figure, "Conversion loss over timesteps, every method on the same network (band: 95 % interval of TMN)")
    return figure


def calibrations(frame: pd.DataFrame, paper: str) -> Figure:
    """Conversion loss of TMN over timesteps, a line per calibration option."""
    rows = compared(frame)
    names = list(dict.fromkeys(rows["calibration"]))
    curves = [
        (name, RULES[i % 7], MARKERS[i % 7], f"{name} (paper)" if name == paper else name, rows[rows["calibration"] == name])
        for i, name in enumerate(names)
    ]
    figure = _loss_panels(rows, curves, band=paper)
    heading(figure, f"TMN: conversion loss by calibration option (band: 95 % interval of {paper})")
    return figure


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """TMN's rows at those T of a network at which more than one calibration option was measured; all if there is none."""
    rows = frame[frame["method"] == "TMN"]
    options = rows.groupby(["dataset", "architecture", "timesteps"])["calibration"].transform("nunique")
    return rows[options > 1] if (options > 1).any() else rows


def energies(frame: pd.DataFrame) -> Figure:
    """Conversion loss over energy, a panel per network and a point per T; dashed: pre-simulation charged."""
    datasets = list(dict.fromkeys(frame["dataset"]))
    figure = Figure(figsize=(WIDTH if len(datasets) > 1 else WIDTH * 0.62, 3.9))
    grid = figure.subplots(1, len(datasets), sharey=True, squeeze=False).flatten()
    for axes, dataset in zip(grid, datasets, strict=True):
        rows = frame[frame["dataset"] == dataset]
        for name in dict.fromkeys(rows["method"]):
            color, marker, label = PRICED.get(name, (BLACK, "*", name))
            curve = rows[rows["method"] == name].sort_values("timesteps")
            axes.plot(curve["energy_mj"] * 1000, curve["loss"], color=color, marker=marker, label=label)
            for _, point in curve.iterrows():
                place = (point["energy_mj"] * 1000, point["loss"])
                axes.annotate(f"{point['timesteps']}", place, (4, 4), textcoords="offset points", fontsize=7, color=color)
            if (curve["presimulation_steps"] > 0).any():
                style: dict[str, Any] = {"color": color, "marker": marker, "markersize": 3, "linestyle": "--"}
                style["label"] = f"{label}, pre-simulation charged"
                axes.plot(curve["energy_presimulated_mj"] * 1000, curve["loss"], **style)
        axes.set_title(titled(rows.iloc[0]))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(FixedLocator(_one_two_five(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
        _loss_scale(axes)
        axes.set_xlabel("energy, µJ per image")
    grid[0].set_ylabel("loss, percentage points")
    shown = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=2)
    heading(figure, "Conversion loss over energy; numbers: timesteps T")
    return figure


# ---- helpers ----------------------------------------------------------------------------------------------------------

Curve = tuple[str, str, str, str, pd.DataFrame]


def _loss_panels(rows: pd.DataFrame, curves: Sequence[Curve], band: str | None = None) -> Figure:
    networks = list(dict.fromkeys(zip(rows["dataset"], rows["architecture"], strict=True)))
    columns = min(2, len(networks))
    lines = -(-len(networks) // columns)
    figure = Figure(figsize=(WIDTH, 0.9 + 3.0 * lines))
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    for axes, network in zip(grid, networks, strict=False):
        for name, color, marker, label, every in curves:
            curve = every[(every["dataset"] == network[0]) & (every["architecture"] == network[1])].sort_values("timesteps")
            if curve.empty:
                continue
            axes.plot(curve["timesteps"], curve["loss"], color=color, marker=marker, label=label)
            if band in (None, name):
                axes.fill_between(
                    curve["timesteps"].astype(float), curve["loss_ci95_low"], curve["loss_ci95_high"],
                    color=color, alpha=0.18, linewidth=0,
                )  # fmt: skip
        axes.set_title(_network(rows, *network))
        _loss_axes(axes, longest=float(rows["timesteps"].max()))
    for index, axes in enumerate(grid):
        if index >= len(networks):
            axes.set_axis_off()
        elif index % columns == 0:
            axes.set_ylabel("loss, percentage points")
    shown = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [label for _, _, _, label, _ in curves if label in shown]
    figure.legend([shown[label] for label in labels], labels, loc="outside lower center", ncols=3)
    return figure


def _network(rows: pd.DataFrame, dataset: str, architecture: str) -> str:
    return titled(rows[(rows["dataset"] == dataset) & (rows["architecture"] == architecture)].iloc[0])


def _loss_axes(axes: Axes, longest: float) -> None:
    """Losses on a logarithmic axis, linear below a tenth of a point; steps on a logarithmic one where they reach far."""
    if longest > 16:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _loss_scale(axes)
    axes.set_xlabel("timesteps T")


def _loss_scale(axes: Axes) -> None:
    axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
    axes.yaxis.set_major_locator(FixedLocator([-1, -0.1, 0, 0.1, 1, 10, 100]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.axhline(0.0, color=GREY, linewidth=0.8)


def _shade(color: str, index: int, count: int) -> tuple[float, ...]:
    """From light to full colour: the longer the pre-charge, the darker."""
    share = 1.0 if count == 1 else 0.45 + 0.55 * index / (count - 1)
    return tuple(1 - share * (1 - part) for part in to_rgb(color))


def _diverging(ratio: float) -> tuple[float, ...]:
    """Blue below 0.5, orange above, lighter with the distance."""
    distance = min(abs(ratio - 0.5) / 0.2, 1.0)
    return tuple(1 - (1.0 - 0.6 * distance) * (1 - part) for part in to_rgb(BLUE if ratio < 0.5 else ORANGE))


def _visible(density: pd.DataFrame) -> tuple[float, float]:
    """Where any density is more than a fiftieth of the highest."""
    shown = density["residual"][density["density"] > 0.02 * density["density"].max()]
    return float(shown.min()) - 0.02, float(shown.max()) + 0.02


def _one_two_five(low: float, high: float) -> list[float]:
    return [m * 10.0**e for e in range(-6, 6) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
