"""Figures of the ETTFS report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from benchmarks.ettfs.claims import CONVERGED, gains_over_epochs
from benchmarks.tables import drawing as kit
from benchmarks.tables.claims import is_stand_in
from benchmarks.tables.columns import titled
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, edges, facets, handle

INITIALIZATIONS: dict[str, dict[str, Any]] = {
    "kaiming": {"color": VERMILION, "marker": "s", "label": "Kaiming (variance 2/N)"},
    "ettfs": {"color": BLUE, "marker": "o", "label": "ETTFS (variance T/N)"},
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
    figure, panels = facets(both, (0.0, 2.5), ["variable"], ["encoding"], sharex=True, sharey="row")
    for axes, rows in panels:
        first = rows.iloc[0]
        edges(axes, title=ENCODINGS[first["encoding"]], below="layer")
        if first["variable"] == "fired":
            _curves(axes, rows, "layer", "value")
            axes.set_ylim(-0.02, 1.1 * max(frame["fired"].max(), 0.1))
            edges(axes, left="share of neurons that fire")
        else:
            _logarithmic(axes, rows, "value", frame["current_variance"])
            axes.axhline(1.0, color=GREY, linewidth=1.0, linestyle=":")
            edges(axes, left="variance of the current\n(dotted: 1, the aim)")
    return _headed(figure, frame, "Firing and currents over depth, before training")


def potentials(frame: pd.DataFrame) -> Figure:
    """Figure 2: density of the potential before firing, a row per encoding, a column per layer, both initialisations."""
    figure, panels = facets(frame, (0.9, 1.55), ["encoding"], ["layer"], sharex=True, sharey=True)
    ends = (frame["potential"].min(), frame["potential"].max())
    shown = frame.assign(density=frame["density"].where(frame["density"] > 0))
    for axes, rows in panels:
        _curves(axes, shown.loc[rows.index[~rows["potential"].isin(ends)]], "potential", "density", marker="", linewidth=1.2)
        axes.axvline(1.0, color=BLACK, linewidth=0.9, linestyle=":")
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        if len(rows):
            edges(axes, f"layer {rows['layer'].iloc[0]}", "potential / threshold", f"{rows['encoding'].iloc[0]}\ndensity")
    threshold = handle(color=BLACK, linewidth=0.9, linestyle=":", label="threshold")
    return _headed(figure, frame, "Potential before firing, before training", threshold)


def gradients(frame: pd.DataFrame) -> Figure:
    """Figure 5: median (solid) and mean (dashed) size of the gradient per layer; medians of 0 hollow at the bottom."""
    figure, panels = facets(frame, (0.0, 3.5), across=["encoding"], sharey=True)
    for axes, rows in panels:
        _logarithmic(axes, rows, "median", pd.concat([frame["median"], frame["mean"]]), dashed="mean")
        edges(axes, ENCODINGS[rows["encoding"].iloc[0]], "layer", "|gradient| of the weights")
    mean = handle(color=GREY, linestyle="--", linewidth=1.0, label="mean")
    zero = handle(color=GREY, marker="o", linestyle="", markerfacecolor="white", label="median of exactly 0")
    return _headed(figure, frame, "Gradients before training, median over weights", mean, zero)


def _logarithmic(axes: Axes, rows: pd.DataFrame, value: str, shown: pd.Series, dashed: str = "") -> None:
    """Curves over layers on a logarithmic axis for all values that are ``shown``; zeros are hollow markers below, at a tick 0."""
    positive = shown[shown > 0]
    floor = float(positive.min()) / 4 if len(positive) else 1e-8
    for style, curve in _each(rows, "layer"):
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
    figure, panels = facets(both, (0.8, 2.6), ["encoding"], ["variable"], sharex=True)
    for axes, rows in panels:
        first = rows.iloc[0]
        _curves(axes, rows[rows["epoch"] >= 1], "epoch", "value", "seed", markersize=3, linewidth=1.1, alpha=0.8)
        if first["variable"] == "train_accuracy":
            axes.set_ylim(0, 102)
            axes.axhline(CONVERGED, color=GREY, linewidth=1.0, linestyle=":")
        else:
            axes.set_ylim(bottom=0)
        edges(axes, shown[first["variable"]], "epoch", f"{first['encoding']} input")
        kit.whole(axes)
    return _headed(figure, frame, "A line per seed")


def learning(frame: pd.DataFrame) -> Figure:
    """Figure 8: validation accuracy per epoch, mean and standard deviation over seeds; the paired difference with intervals."""
    figure = Figure(figsize=(WIDTH, 3.4))
    left, right = figure.subplots(1, 2)
    for style, curves in _each(frame, "epoch"):
        cells = curves.pivot(index="epoch", columns="seed", values="validation_accuracy")
        mean, spread = cells.mean(axis="columns"), cells.std(axis="columns").fillna(0.0)
        _banded(left, mean, mean - spread, mean + spread, alpha=0.18, **style, markersize=3)
    gains = pd.DataFrame([{"epoch": each.row["epoch"], **vars(each.points)} for each in gains_over_epochs(frame)])
    gains = gains.reindex(columns=["epoch", "estimate", "low", "high"]).set_index("epoch")
    _banded(right, gains["estimate"], gains["low"], gains["high"], alpha=0.14, color=BLACK, marker="o", markersize=3)
    right.axhline(0.0, color=GREY, linewidth=0.9)
    left.set(title="Validation accuracy, % (band: ± std)", ylim=(0, 102), xlabel="epoch")
    right.set(title="ETTFS minus Kaiming, points (band: 95 %)", xlabel="epoch")
    kit.whole(left)
    kit.whole(right)
    seeds = frame.groupby("initialization")["seed"].nunique().max()
    return _headed(figure, frame, f"{seeds} seeds" if seeds > 1 else "One seed")


def firing(frame: pd.DataFrame) -> Figure:
    """Figure 9: share of neurons that fire over training steps, a panel per layer."""
    figure, panels = facets(frame, (0.9, 2.3), across=["layer"], wrap=4, sharey=True)
    for axes, rows in panels:
        _curves(axes, rows, "step", "firing", marker="", linewidth=1.3)
        layer = rows["layer"].iloc[0]
        axes.set(title=f"layer {layer}" + (" (output)" if layer == frame["layer"].max() else ""), xlabel="training step")
    panels[0][0].set(ylim=(0.0, 1.05 * max(frame["firing"].max(), 0.1)), ylabel="share of neurons that fire")
    return _headed(figure, frame, "Firing over training, mean over seeds", markers=False)


# ---- after training ---------------------------------------------------------------------------------------------------


def decoders(frame: pd.DataFrame) -> Figure:
    """Accuracy over the mean decision step, a point per decoder with the interval of its accuracy, a panel per network."""
    styles = _decoder_styles(list(dict.fromkeys(frame["decoder"])))
    width = WIDTH if len(frame[[*NETWORK]].drop_duplicates()) > 1 else 0.75 * WIDTH
    figure, panels = facets(frame, (0.0, 3.7), across=NETWORK, width=width)
    for axes, rows in panels:
        for _, row in rows.iterrows():
            error, low, high = (np.clip(100 - row[name], 0.01, 100) for name in ("snn_metric", "ci95_high", "ci95_low"))
            bars = [[max(error - low, 0)], [max(high - error, 0)]]
            color, marker = styles[row["decoder"]]
            style = {"color": color, "marker": marker, "markersize": 5.5, "linewidth": 1.2}
            axes.errorbar([row["decision_step"]], [error], yerr=bars, capsize=2, **style)
        _accuracy_axis(axes, rows)
        axes.set(title=titled(rows.iloc[0]), xlabel="mean step of the first output spike")
        axes.margins(x=0.15)
    panels[0][0].set_ylabel("accuracy, % (distance to 100 is logarithmic)")
    handles = [handle(color=color, marker=marker, linestyle="", label=name) for name, (color, marker) in styles.items()]
    return kit.finished(figure, "Temporal weightings, with 95 % intervals over seeds", handles, 1, "right center")


def _decoder_styles(names: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Exponential weights in blue, the larger the base the darker; each of the others in a colour of its own."""
    bases = sorted((name for name in names if name.startswith("exponential-")), key=lambda name: float(name.partition("-")[2]))
    shades = np.linspace(0.35, 1.0, len(bases)) if len(bases) > 1 else [1.0]
    styles = {name: (kit.tint(BLUE, shades[place]), MARKERS[place % 7]) for place, name in enumerate(bases)}
    return styles | {name: DECODERS.get(name, (GREY, "v")) for name in names if name not in styles}


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
    figure, panels = facets(frame, (0.9, 2.9), across=NETWORK, wrap=3, sharey=True)
    for axes, rows in panels:
        last = int(rows["step"].max())
        for variant, curve in rows.sort_values("step", kind="stable").groupby("variant", sort=False):
            color, marker, label = RUNS[str(variant)]
            share = 100 * curve["share"].where(curve["share"] > 0)
            for part in (curve["step"] < last, curve["step"] == last):
                axes.plot(curve["step"][part], share[part], color=color, marker=marker, label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.set_title(titled(rows.iloc[0]).replace(" on ", "\non "), fontsize=8.5)
        axes.set_xlabel("timestep")
        ticks = [step for step in (1, *range(2, last, 2 if last > 6 else 1)) if step < last - 1]
        axes.set_xticks([*ticks, last], [*map(str, ticks), "none"])
    panels[0][0].set_ylabel("% of test images")
    return kit.finished(figure, "Step of the first output spike, all seeds together (no marker: no image)")


def curves(frame: pd.DataFrame) -> Figure:
    """Validation accuracy over epochs of every group of runs, mean and range of its seeds, a panel per network."""
    figure, panels = facets(frame, (0.9, 2.6), across=NETWORK, wrap=3, sharey=True)
    for axes, rows in panels:
        for (method, variant), part in rows.groupby(["method", "variant"], sort=False):
            color, _, label = RUNS[str(method if method in RUNS else variant)]
            over_epochs = part.groupby("epoch")["validation_accuracy"]
            _banded(axes, over_epochs.mean(), over_epochs.min(), over_epochs.max(), alpha=0.18, color=color, label=label)
        title = f"{titled(rows.iloc[0])}, {rows['network'].iloc[0]}".replace(" on ", "\non ")
        axes.set_title(title + _other_layouts(rows), fontsize=8.5)
        axes.set_xlabel("epoch")
        kit.whole(axes)
    panels[0][0].set(ylim=(0, 102), ylabel="validation accuracy, %")
    return kit.finished(figure, "Validation accuracy, mean over seeds (band: lowest to highest)", ncols=5)


def _other_layouts(part: pd.DataFrame) -> str:
    """A line for the methods whose layout is not that of the first one."""
    rows = part.drop_duplicates("method")
    others = rows[rows["architecture_used"] != rows["architecture_used"].iloc[0]]
    layouts = others.groupby("architecture_used", sort=False)["method"].agg(", ".join)
    if len(layouts) == 1 and len(others) == len(rows) - 1:
        return f"\nothers: {layouts.index[0]}"
    return "".join(f"\n{methods}: {layout}" for layout, methods in layouts.items())


def runs(frame: pd.DataFrame) -> Figure:
    """Test accuracy of every run: a dot per seed, a bar for the mean; a panel per data set."""
    heights = frame.drop_duplicates(["dataset", *GROUP])["dataset"].value_counts(sort=False)
    figure, panels = facets(frame, (1.1 + 0.32 * sum(heights), 0.45), ["dataset"], height_ratios=list(heights))
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


def _each(frame: pd.DataFrame, over: str, *each: str) -> Iterable[tuple[dict[str, Any], pd.DataFrame]]:
    """Style and sorted rows of each initialisation that is there, Kaiming's first, and of ``each`` within."""
    for name, style in INITIALIZATIONS.items():
        rows = frame[frame["initialization"] == name].sort_values(over)
        for _, part in rows.groupby(["initialization", *each]):
            yield style, part


def _curves(axes: Axes, frame: pd.DataFrame, over: str, value: str, *each: str, **changes: Any) -> None:
    for style, curve in _each(frame, over, *each):
        axes.plot(curve[over], curve[value], **style | changes)


def _banded(axes: Axes, mean: pd.Series, low: pd.Series, high: pd.Series, *, color: str, alpha: float, **style: Any) -> None:
    axes.plot(mean.index, mean, color=color, **style)
    axes.fill_between(mean.index.astype(float), low, high, color=color, alpha=alpha, linewidth=0)


def _headed(figure: Figure, frame: pd.DataFrame, text: str, *extra: Line2D, markers: bool = True) -> Figure:
    """The figure with its heading, and a legend of the initialisations and what is extra."""
    shown = [style for name, style in INITIALIZATIONS.items() if (frame["initialization"] == name).any()]
    handles = [handle(**style | ({} if markers else {"marker": ""})) for style in shown]
    return kit.finished(figure, f"{text}: {titled(frame.iloc[0])}", [*handles, *extra])
