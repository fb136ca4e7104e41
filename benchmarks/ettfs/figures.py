"""Figures of the ETTFS report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import lines
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.ettfs.claims import gains_over_epochs
from benchmarks.tables import drawing as kit
from benchmarks.tables.claims import is_stand_in
from benchmarks.tables.columns import titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH

INITIALIZATIONS = {
    "kaiming": (VERMILION, "s", "Kaiming (variance 2/N)"),
    "ettfs": (BLUE, "o", "ETTFS (variance T/N)"),
}
RUNS = {
    "both": (BLUE, "o", "ETTFS"),
    "no init": (ORANGE, "s", "Kaiming's initialisation"),
    "no average pooling": (GREEN, "^", "max pooling"),
    "neither": (VERMILION, "D", "neither"),
    "S4NN": (PURPLE, "s", "S4NN"),
    "BS4NN": (SKY, "^", "BS4NN"),
    "STDBP": (BLACK, "v", "STDBP"),
    "TQ-TTFS": (GREY, "D", "TQ-TTFS"),
}
"""By variant of ETTFS, or by method."""
DECODERS = {"linear": (ORANGE, "s"), "uniform": (VERMILION, "D"), "first-spike": (GREEN, "^")}
ENCODINGS = {
    "direct": "direct: constant currents",
    "latency": "latency: one spike per pixel",
    "random": "random: one spike per input",
}
MARKERS = ("o", "s", "P", "v", "X", "<", ">")
NETWORK, GROUP = ("dataset", "network"), ["network", "method", "variant"]


# ---- before training --------------------------------------------------------------------------------------------------


def depth(frame: pd.DataFrame) -> Figure:
    """Figure 1: share of neurons that fire (top) and variance of the currents (bottom) over depth, a column per encoding."""
    both = frame.melt(["encoding", "initialization", "layer"], ["fired", "current_variance"])
    figure, panels = kit.facets(both, (0.0, 2.5), ["variable"], ["encoding"], sharex=True, sharey="row")
    for axes, rows in panels:
        kit.edges(axes, title=ENCODINGS[rows["encoding"].iloc[0]], below="layer")
        if rows["variable"].iloc[0] == "fired":
            for style, curve in _curves(rows, "layer"):
                axes.plot(curve["layer"], curve["value"], **style)
            axes.set_ylim(-0.02, 1.1 * max(frame["fired"].max(), 0.1))
            kit.edges(axes, left="share of neurons that fire")
        else:
            _logarithmic(axes, rows, "value", frame["current_variance"])
            axes.axhline(1.0, color=GREY, linewidth=1.0, linestyle=":")
            kit.edges(axes, left="variance of the current\n(dotted: 1, the aim)")
    return _headed(figure, frame, "Firing and currents over depth, before training")


def potentials(frame: pd.DataFrame) -> Figure:
    """Figure 2: density of the potential before firing, a row per encoding, a column per layer, both initialisations."""
    figure, panels = kit.facets(frame, (0.9, 1.55), ["encoding"], ["layer"], sharex=True, sharey=True)
    ends = (frame["potential"].min(), frame["potential"].max())
    for axes, rows in panels:
        for style, curve in _curves(rows[~rows["potential"].isin(ends)], "potential"):
            density = curve["density"].where(curve["density"] > 0)
            axes.plot(curve["potential"], density, color=style["color"], linewidth=1.2)
        axes.axvline(1.0, color=BLACK, linewidth=0.9, linestyle=":")
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        if len(rows):
            kit.edges(axes, f"layer {rows['layer'].iloc[0]}", "potential / threshold", f"{rows['encoding'].iloc[0]}\ndensity")
    threshold = _handle(color=BLACK, linewidth=0.9, linestyle=":", label="threshold")
    return _headed(figure, frame, "Potential before firing, before training", threshold)


def gradients(frame: pd.DataFrame) -> Figure:
    """Figure 5: median (solid) and mean (dashed) size of the gradient per layer; medians of 0 hollow at the bottom."""
    figure, panels = kit.facets(frame, (0.0, 3.5), across=["encoding"], sharey=True)
    for axes, rows in panels:
        _logarithmic(axes, rows, "median", pd.concat([frame["median"], frame["mean"]]), dashed="mean")
        kit.edges(axes, ENCODINGS[rows["encoding"].iloc[0]], "layer", "|gradient| of the weights")
    mean = _handle(color=GREY, linestyle="--", linewidth=1.0, label="mean")
    zero = _handle(color=GREY, marker="o", linestyle="", markerfacecolor="white", label="median of exactly 0")
    return _headed(figure, frame, "Gradients before training, median over weights", mean, zero)


def _logarithmic(axes: Axes, rows: pd.DataFrame, value: str, shown: pd.Series, dashed: str = "") -> None:
    """Curves over layers on a logarithmic axis for all values that are ``shown``; zeros are hollow markers below, at a tick 0."""
    positive = shown[shown > 0]
    floor = float(positive.min()) / 4 if len(positive) else 1e-8
    for style, curve in _curves(rows, "layer"):
        zero = curve[value] == 0
        axes.plot(curve["layer"], curve[value].where(~zero, floor), **style)
        axes.plot(curve["layer"][zero], curve[value][zero] + floor, linestyle="", markerfacecolor="white", zorder=3, **style)
        if dashed:
            mean = curve[dashed].where(curve[dashed] > 0)
            axes.plot(curve["layer"], mean, color=style["color"], linestyle="--", linewidth=1.0)
    kit.whole(axes)
    axes.set_yscale("log")
    if (shown == 0).any():
        low, high = np.ceil(np.log10(floor * 2)), np.floor(np.log10(max(shown.max(), floor * 10)))
        kit.ticks(axes.yaxis, [floor, *(10.0**power for power in np.arange(low, high + 1))])
        axes.yaxis.set_major_formatter(lambda y, _: "0" if y <= floor * 1.01 else f"$10^{{{round(np.log10(y))}}}$")


# ---- over training ----------------------------------------------------------------------------------------------------


def convergence(frame: pd.DataFrame) -> Figure:
    """Figure 4: training accuracy and loss per epoch, a line per seed, a row per encoding."""
    shown = {"train_accuracy": "Training accuracy, %", "train_loss": "Training loss"}
    both = frame.melt(["encoding", "initialization", "seed", "epoch"], list(shown))
    figure, panels = kit.facets(both, (0.8, 2.6), ["encoding"], ["variable"], sharex=True)
    for axes, rows in panels:
        for style, curve in _curves(rows[rows["epoch"] >= 1], "epoch", "seed"):
            axes.plot(curve["epoch"], curve["value"], **style | {"markersize": 3, "linewidth": 1.1, "alpha": 0.8})
        if rows["variable"].iloc[0] == "train_accuracy":
            axes.set_ylim(0, 102)
            axes.axhline(80.0, color=GREY, linewidth=1.0, linestyle=":")
        else:
            axes.set_ylim(bottom=0)
        kit.edges(axes, shown[rows["variable"].iloc[0]], "epoch", f"{rows['encoding'].iloc[0]} input")
        kit.whole(axes)
    return _headed(figure, frame, "A line per seed")


def learning(frame: pd.DataFrame) -> Figure:
    """Figure 8: validation accuracy per epoch, mean and standard deviation over seeds; the paired difference with intervals."""
    figure = Figure(figsize=(WIDTH, 3.4))
    left, right = figure.subplots(1, 2)
    for style, curves in _curves(frame, "epoch"):
        cells = curves.pivot(index="epoch", columns="seed", values="validation_accuracy")
        mean, spread = cells.mean(axis="columns"), cells.std(axis="columns").fillna(0.0)
        _banded(left, mean, mean - spread, mean + spread, alpha=0.18, **style, markersize=3)
    gain = gains_over_epochs(frame)
    _banded(right, gain["estimate"], gain["low"], gain["high"], alpha=0.14, color=BLACK, marker="o", markersize=3)
    right.axhline(0.0, color=GREY, linewidth=0.9)
    left.set(title="Validation accuracy, % (band: ± std)", ylim=(0, 102), xlabel="epoch")
    right.set(title="ETTFS minus Kaiming, points (band: 95 %)", xlabel="epoch")
    kit.whole(left)
    kit.whole(right)
    seeds = frame.groupby("initialization")["seed"].nunique().max()
    return _headed(figure, frame, f"{seeds} seeds" if seeds > 1 else "One seed")


def firing(frame: pd.DataFrame) -> Figure:
    """Figure 9: share of neurons that fire over training steps, a panel per layer."""
    figure, panels = kit.facets(frame, (0.9, 2.3), across=["layer"], wrap=4, sharey=True)
    for axes, rows in panels:
        for style, curve in _curves(rows, "step"):
            axes.plot(curve["step"], curve["firing"], color=style["color"], linewidth=1.3)
        layer = rows["layer"].iloc[0]
        axes.set(title=f"layer {layer}" + (" (output)" if layer == frame["layer"].max() else ""), xlabel="training step")
    panels[0][0].set(ylim=(0.0, 1.05 * max(frame["firing"].max(), 0.1)), ylabel="share of neurons that fire")
    return _headed(figure, frame, "Firing over training, mean over seeds", markers=False)


# ---- after training ---------------------------------------------------------------------------------------------------


def decoders(frame: pd.DataFrame) -> Figure:
    """Accuracy over the mean decision step, a point per decoder with the interval of its accuracy, a panel per network."""
    styles = _decoder_styles(list(dict.fromkeys(frame["decoder"])))
    width = WIDTH if len(frame[[*NETWORK]].drop_duplicates()) > 1 else 0.75 * WIDTH
    figure, panels = kit.facets(frame, (0.0, 3.7), across=NETWORK, width=width)
    for axes, rows in panels:
        for _, row in rows.iterrows():
            error = max(100 - row["snn_metric"], 0.01)
            low, high = (np.clip(100 - row[end], 0.01, 100) for end in ("ci95_high", "ci95_low"))
            bars = None if np.isnan(row["ci95_low"]) else [[max(error - low, 0)], [max(high - error, 0)]]
            style = styles[row["decoder"]]
            axes.errorbar([row["decision_step"]], [error], yerr=bars, capsize=2, linewidth=1.2, markersize=5.5, **style)
        _accuracy_axis(axes, rows)
        axes.set(title=titled(rows.iloc[0]), xlabel="mean step of the first output spike")
        axes.margins(x=0.15)
    panels[0][0].set_ylabel("accuracy, % (distance to 100 is logarithmic)")
    handles = [_handle(linestyle="", label=name, **style) for name, style in styles.items()]
    return kit.finished(figure, "Temporal weightings, with 95 % intervals over seeds", handles, 1, "right center")


def _decoder_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Exponential weights in blue, the larger the base the darker; each of the others in a colour of its own."""
    bases = sorted((name for name in names if name.startswith("exponential-")), key=lambda name: float(name.partition("-")[2]))
    shades = np.linspace(0.35, 1.0, len(bases)) if len(bases) > 1 else [1.0]
    styles: dict[str, dict[str, Any]] = {
        name: {"color": kit.tint(BLUE, shade), "marker": MARKERS[index % len(MARKERS)]}
        for index, (name, shade) in enumerate(zip(bases, shades, strict=True))
    }
    others = {name: DECODERS.get(name, (GREY, "v")) for name in names if name not in styles}
    return styles | {name: {"color": color, "marker": marker} for name, (color, marker) in others.items()}


def _accuracy_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """An axis of 100 minus accuracy, logarithmic, best on top, labelled with accuracies."""
    axes.set_yscale("log")
    worst, best = rows[["snn_metric", "ci95_low"]].min().min(), rows[["snn_metric", "ci95_high"]].max().max()
    low, high = max(100 - best, 0.01) * 0.8, min(max(100 - worst, 0.02), 100.0) * 1.25
    axes.set_ylim(high, low)
    ticks = [tick for tick in (90, 70, 50, 30, 20, 10, 7, 5, 3, 2, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05) if low <= tick <= high]
    kit.ticks(axes.yaxis, ticks)
    axes.yaxis.set_major_formatter(lambda error, _: f"{100 - error:g}")


def decisions(frame: pd.DataFrame) -> Figure:
    """Distribution of the step of the first output spike, a panel per network, a line per variant; last: none."""
    frame = frame[frame["layer"] == 0]
    figure, panels = kit.facets(frame, (0.9, 2.9), across=NETWORK, wrap=3, sharey=True)
    for axes, rows in panels:
        last = int(rows["step"].max())
        for variant, curve in rows.sort_values("step", kind="stable").groupby("variant", sort=False):
            color, marker, _ = RUNS[str(variant)]
            share = 100 * curve["share"].where(curve["share"] > 0)
            for part in (curve["step"] < last, curve["step"] == last):
                axes.plot(curve["step"][part], share[part], color=color, marker=marker)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.set_title(titled(rows.iloc[0]).replace(" on ", "\non "), fontsize=8.5)
        axes.set_xlabel("timestep")
        ticks = [step for step in (1, *range(2, last, 2 if last > 6 else 1)) if step < last - 1]
        axes.set_xticks([*ticks, last], [*map(str, ticks), "none"])
    panels[0][0].set_ylabel("% of test images")
    used = [RUNS[variant] for variant in frame["variant"].unique()]
    handles = [_handle(color=color, marker=marker, label=label) for color, marker, label in used]
    return kit.finished(figure, "Step of the first output spike, all seeds together (no marker: no image)", handles)


def curves(frame: pd.DataFrame) -> Figure:
    """Validation accuracy over epochs of every group of runs, mean and range of its seeds, a panel per network."""
    figure, panels = kit.facets(frame, (0.9, 2.6), across=NETWORK, wrap=3, sharey=True)
    used: dict[tuple[str, str, str], None] = {}
    for axes, rows in panels:
        for (method, variant), part in rows.groupby(["method", "variant"], sort=False):
            style = RUNS[str(method if method in RUNS else variant)]
            over_epochs = part.groupby("epoch")["validation_accuracy"]
            _banded(axes, over_epochs.mean(), over_epochs.min(), over_epochs.max(), alpha=0.18, color=style[0])
            used[style] = None
        title = f"{titled(rows.iloc[0])}, {rows['network'].iloc[0]}".replace(" on ", "\non ")
        axes.set_title(title + _other_layouts(rows), fontsize=8.5)
        axes.set_xlabel("epoch")
        kit.whole(axes)
    panels[0][0].set(ylim=(0, 102), ylabel="validation accuracy, %")
    handles = [_handle(color=color, label=label) for color, _, label in used]
    return kit.finished(figure, "Validation accuracy, mean over seeds (band: lowest to highest)", handles, 5)


def _other_layouts(part: pd.DataFrame) -> str:
    """A line for the methods whose layout is not that of the first one."""
    rows = part.drop_duplicates("method")
    main = rows["architecture_used"].iloc[0]
    layouts = rows[rows["architecture_used"] != main].groupby("architecture_used", sort=False)["method"].agg(list)
    if len(layouts) == 1 and len(layouts.iloc[0]) == len(rows) - 1:
        return f"\nothers: {layouts.index[0]}"
    return "".join(f"\n{', '.join(methods)}: {layout}" for layout, methods in layouts.items())


def runs(frame: pd.DataFrame) -> Figure:
    """Test accuracy of every run: a dot per seed, a bar for the mean; a panel per data set."""
    heights = frame.drop_duplicates(["dataset", *GROUP])["dataset"].value_counts(sort=False)
    figure, panels = kit.facets(frame, (1.1 + 0.32 * sum(heights), 0.45), ["dataset"], height_ratios=list(heights))
    for axes, rows in panels:
        labels = []
        for place, ((network, method, variant), part) in enumerate(rows.groupby(GROUP, sort=False)):
            color, _, what = RUNS[str(method if method in RUNS else variant)]
            values = part.sort_values("seed")["snn_metric"].to_numpy(dtype="float64")
            axes.plot(values, np.full(len(values), place), "o", color=color, alpha=0.55, markeredgewidth=0)
            axes.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color=color)
            labels.append(f"{network} {method}" + (f", {what}" if variant not in ("both", "as published") else ""))
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title(f"{rows['dataset'].iloc[0]}{' (stand-in)' if is_stand_in(rows) else ''}")
        axes.grid(visible=False, axis="y")
    panels[-1][0].set_xlabel("test accuracy, %")
    kit.heading(figure, "Every training run: a dot per seed, a line at the mean")
    return figure


# ---- helpers ----------------------------------------------------------------------------------------------------------


def _handle(**style: Any) -> lines.Line2D:
    """An entry of a legend."""
    return lines.Line2D([], [], **style)


def _curves(frame: pd.DataFrame, over: str, *each: str) -> Iterable[tuple[dict[str, Any], pd.DataFrame]]:
    """Style and sorted rows of each initialisation that is there, Kaiming's first, and of ``each`` within."""
    for name, (color, marker, _) in INITIALIZATIONS.items():
        rows = frame[frame["initialization"] == name].sort_values(over)
        for _, part in rows.groupby(["initialization", *each]):
            yield {"color": color, "marker": marker}, part


def _banded(axes: Axes, mean: pd.Series, low: pd.Series, high: pd.Series, *, color: str, alpha: float, **style: Any) -> None:
    axes.plot(mean.index, mean, color=color, **style)
    axes.fill_between(mean.index.astype(float), low, high, color=color, alpha=alpha, linewidth=0)


def _headed(figure: Figure, frame: pd.DataFrame, text: str, *extra: lines.Line2D, markers: bool = True) -> Figure:
    """The figure with its heading, and a legend of the initialisations and what is extra."""
    handles = [
        _handle(color=color, marker=marker if markers else "", label=label)
        for name, (color, marker, label) in INITIALIZATIONS.items()
        if (frame["initialization"] == name).any()
    ]
    return kit.finished(figure, f"{text}: {titled(frame.iloc[0])}", [*handles, *extra])
