"""Figures of the ETTFS report, each a function of stored tables. Colours keep their meaning across figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from benchmarks.data.registry import dataset_spec
from benchmarks.tables.claims import is_stand_in
from benchmarks.tables.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WIDTH, heading
from benchmarks.tables.statistics import over_seeds, paired_difference

INITIALIZATIONS = {
    "kaiming": (VERMILION, "s", "Kaiming (variance 2/N)"),
    "ettfs": (BLUE, "o", "ETTFS (variance T/N)"),
}
VARIANTS = {
    "both": (BLUE, "o", "ETTFS"),
    "no init": (ORANGE, "s", "Kaiming's initialisation"),
    "no average pooling": (GREEN, "^", "max pooling"),
    "neither": (VERMILION, "D", "neither"),
}
METHODS = {
    "S4NN": (PURPLE, "s", "S4NN"),
    "BS4NN": (SKY, "^", "BS4NN"),
    "STDBP": (BLACK, "v", "STDBP"),
    "TQ-TTFS": (GREY, "D", "TQ-TTFS"),
}
DECODERS = {"linear": (ORANGE, "s"), "uniform": (VERMILION, "D"), "first-spike": (GREEN, "^")}
ENCODINGS = {
    "direct": "direct: constant currents",
    "latency": "latency: one spike per pixel",
    "random": "random: one spike per input",
}
MARKERS = ("o", "s", "P", "v", "X", "<", ">")
MOST_COLUMNS = 4


def measured_on(row: pd.Series) -> str:
    """What a row was measured on: the layout, and the data set as papers name it; a stand-in by its own name."""
    dataset = row["dataset_used"] if row["status"] == "stand-in" else dataset_spec(row["dataset_used"]).paper_name
    return f"{row['architecture_used']} on {dataset}"


def titled(row: pd.Series) -> str:
    """What a row was measured on, for a title."""
    return measured_on(row) + (" (stand-in)" if row["status"] == "stand-in" else "")


# ---- before training --------------------------------------------------------------------------------------------------


def depth(frame: pd.DataFrame) -> Figure:
    """Figure 1: share of neurons that fire (top) and variance of the currents (bottom) over depth, a column per encoding."""
    parts = _by(frame, "encoding")
    figure = Figure(figsize=(WIDTH, 5.0))
    grid = figure.subplots(2, len(parts), sharex=True, sharey="row", squeeze=False)
    floor = _floor(frame["current_variance"])
    for (top, bottom), (encoding, part) in zip(grid.T, parts, strict=True):
        for style, curve in _by_initialization(part, "layer"):
            top.plot(curve["layer"], curve["fired"], **style)
            _logarithmic(bottom, curve["layer"], curve["current_variance"], floor, **style)
        bottom.axhline(1.0, color=GREY, linewidth=1.0, linestyle=":")
        top.set_title(ENCODINGS.get(encoding, encoding))
        _over(bottom, "layer")
        _mark_floor(bottom, floor, frame["current_variance"])
    grid[0, 0].set(ylim=(-0.02, 1.1 * max(frame["fired"].max(), 0.1)), ylabel="share of neurons that fire")
    grid[1, 0].set_ylabel("variance of the current\n(dotted: 1, the aim)")
    return _headed(figure, frame, "Firing and currents over depth, before training")


def potentials(frame: pd.DataFrame) -> Figure:
    """Figure 2: density of the potential before firing, a row per encoding, a column per layer, both initialisations."""
    parts, layers = _by(frame, "encoding"), sorted(frame["layer"].unique())
    figure = Figure(figsize=(WIDTH, 0.9 + 1.55 * len(parts)))
    grid = figure.subplots(len(parts), len(layers), sharex=True, sharey=True, squeeze=False)
    inside = (frame["potential"].min(), frame["potential"].max())
    for line, (encoding, part) in zip(grid, parts, strict=True):
        inner = part[part["potential"].between(*inside, inclusive="neither")]
        for axes, layer in zip(line, layers, strict=True):
            for style, curve in _by_initialization(inner[inner["layer"] == layer], "potential"):
                density = curve["density"].where(curve["density"] > 0)
                axes.plot(curve["potential"], density, color=style["color"], linewidth=1.2)
            axes.axvline(1.0, color=BLACK, linewidth=0.9, linestyle=":")
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
        line[0].set_ylabel(f"{encoding}\ndensity")
    for top, bottom, layer in zip(grid[0], grid[-1], layers, strict=True):
        top.set_title(f"layer {layer}")
        bottom.set_xlabel("potential / threshold")
    threshold = Line2D([], [], color=BLACK, linewidth=0.9, linestyle=":", label="threshold")
    return _headed(figure, frame, "Potential before firing, before training", threshold)


def gradients(frame: pd.DataFrame) -> Figure:
    """Figure 5: median (solid) and mean (dashed) size of the gradient per layer; medians of 0 hollow at the bottom."""
    parts = _by(frame, "encoding")
    figure = Figure(figsize=(WIDTH, 3.5))
    grid = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    values = pd.concat([frame["median"], frame["mean"]])
    floor = _floor(values)
    for axes, (encoding, part) in zip(grid, parts, strict=True):
        for style, curve in _by_initialization(part, "layer"):
            _logarithmic(axes, curve["layer"], curve["median"], floor, **style)
            axes.plot(curve["layer"], curve["mean"].where(curve["mean"] > 0), color=style["color"], linestyle="--", linewidth=1.0)
        axes.set_title(ENCODINGS.get(encoding, encoding))
        _over(axes, "layer")
        _mark_floor(axes, floor, values)
    grid[0].set_ylabel("|gradient| of the weights")
    mean = Line2D([], [], color=GREY, linestyle="--", linewidth=1.0, label="mean")
    zero = Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white", label="median of exactly 0")
    return _headed(figure, frame, "Gradients before training, median over weights", mean, zero)


# ---- over training ----------------------------------------------------------------------------------------------------


def convergence(frame: pd.DataFrame) -> Figure:
    """Figure 4: training accuracy and loss per epoch, a line per seed, a row per encoding."""
    parts = _by(frame, "encoding")
    figure = Figure(figsize=(WIDTH, 0.8 + 2.6 * len(parts)))
    grid = figure.subplots(len(parts), 2, sharex=True, squeeze=False)
    for (left, right), (encoding, part) in zip(grid, parts, strict=True):
        for style, curves in _by_initialization(part[part["epoch"] >= 1], "epoch"):
            for _, curve in curves.groupby("seed"):
                for axes, value in ((left, "train_accuracy"), (right, "train_loss")):
                    axes.plot(curve["epoch"], curve[value], **style | {"markersize": 3, "linewidth": 1.1, "alpha": 0.8})
        left.set(ylim=(0, 102), ylabel=f"{encoding} input")
        left.axhline(80.0, color=GREY, linewidth=1.0, linestyle=":")
        right.set_ylim(bottom=0)
    for top, bottom, title in zip(grid[0], grid[-1], ("Training accuracy, %", "Training loss"), strict=True):
        top.set_title(title)
        _over(bottom, "epoch")
    return _headed(figure, frame, "A line per seed")


def learning(frame: pd.DataFrame) -> Figure:
    """Figure 8: validation accuracy per epoch, mean and standard deviation over seeds; the paired difference with intervals."""
    figure = Figure(figsize=(WIDTH, 3.4))
    left, right = figure.subplots(1, 2)
    for style, curves in _by_initialization(frame, "epoch"):
        cells = curves.pivot(index="epoch", columns="seed", values="validation_accuracy")
        mean, spread = cells.mean(axis="columns"), cells.std(axis="columns").fillna(0.0)
        _banded(left, mean, mean - spread, mean + spread, alpha=0.18, **style, markersize=3)
    gain = _paired(frame)
    _banded(right, gain["estimate"], gain["low"], gain["high"], alpha=0.14, color=BLACK, marker="o", markersize=3)
    right.axhline(0.0, color=GREY, linewidth=0.9)
    left.set(title="Validation accuracy, % (band: ± std)", ylim=(0, 102))
    right.set(title="ETTFS minus Kaiming, points (band: 95 %)")
    for axes in (left, right):
        _over(axes, "epoch")
    seeds = frame.groupby("initialization")["seed"].nunique().max()
    return _headed(figure, frame, f"{seeds} seeds" if seeds > 1 else "One seed")


def _paired(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean difference of both initialisations over common seeds with its interval, by epoch."""
    cells = frame.pivot(index=["epoch", "seed"], columns="initialization", values="validation_accuracy")
    cells = cells.reindex(columns=["ettfs", "kaiming"]).dropna()
    rows = {}
    for epoch, part in cells.groupby(level="epoch"):
        gain, _ = paired_difference(part["ettfs"].to_numpy(dtype="float64"), part["kaiming"].to_numpy(dtype="float64"))
        rows[epoch] = (gain.estimate, gain.low, gain.high)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "low", "high"], dtype="float64")


def firing(frame: pd.DataFrame) -> Figure:
    """Figure 9: share of neurons that fire over training steps, a panel per layer."""
    layers = sorted(frame["layer"].unique())
    figure, grid = _panels(len(layers), 2.3)
    for axes, layer in zip(grid, layers, strict=False):
        for style, curve in _by_initialization(frame[frame["layer"] == layer], "step"):
            axes.plot(curve["step"], curve["firing"], color=style["color"], linewidth=1.3)
        axes.set(title=f"layer {layer}" + (" (output)" if layer == layers[-1] else ""), xlabel="training step")
    grid[0].set(ylim=(0.0, 1.05 * max(frame["firing"].max(), 0.1)), ylabel="share of neurons that fire")
    return _headed(figure, frame, "Firing over training, mean over seeds", markers=False)


# ---- after training ---------------------------------------------------------------------------------------------------


def decoders(frame: pd.DataFrame) -> Figure:
    """Accuracy over the mean decision step, a point per decoder with the interval of its accuracy, a panel per network."""
    networks = _by(frame, "dataset", "network")
    styles = _decoder_styles(list(dict.fromkeys(frame["decoder"])))
    figure = Figure(figsize=(WIDTH * (0.75 if len(networks) == 1 else 1), 3.7))
    grid = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, (_, rows) in zip(grid, networks, strict=True):
        for _, row in rows.iterrows():
            error = max(100 - row["snn_metric"], 0.01)
            low, high = (np.clip(100 - row[end], 0.01, 100) for end in ("ci95_high", "ci95_low"))
            bars = None if np.isnan(row["ci95_low"]) else [[max(error - low, 0)], [max(high - error, 0)]]
            style = styles[row["decoder"]]
            axes.errorbar([row["decision_step"]], [error], yerr=bars, capsize=2, linewidth=1.2, markersize=5.5, **style)
        _accuracy_axis(axes, rows)
        axes.set(title=titled(rows.iloc[0]), xlabel="mean step of the first output spike")
        axes.margins(x=0.15)
    grid[0].set_ylabel("accuracy, % (distance to 100 is logarithmic)")
    handles = [Line2D([], [], linestyle="", label=name, **style) for name, style in styles.items()]
    figure.legend(handles=handles, loc="outside right center")
    heading(figure, "Temporal weightings, with 95 % intervals over seeds")
    return figure


def _decoder_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Exponential weights in blue, the larger the base the darker; each of the others in a colour of its own."""
    bases = sorted((name for name in names if name.startswith("exponential-")), key=lambda name: float(name.partition("-")[2]))
    shades = np.linspace(0.35, 1.0, len(bases)) if len(bases) > 1 else [1.0]
    blue = np.array(to_rgb(BLUE))
    styles = {
        name: {"color": tuple(1 - shade * (1 - blue)), "marker": MARKERS[index % len(MARKERS)]}
        for index, (name, shade) in enumerate(zip(bases, shades, strict=True))
    }
    for name in names:
        if name not in styles:
            color, marker = DECODERS.get(name, (GREY, "v"))
            styles[name] = {"color": color, "marker": marker}
    return styles


def _accuracy_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """An axis of 100 minus accuracy, logarithmic, best on top, labelled with accuracies."""
    axes.set_yscale("log")
    worst = float(np.nanmin([rows["snn_metric"].min(), rows["ci95_low"].min()]))
    best = float(np.nanmax([rows["snn_metric"].max(), rows["ci95_high"].max()]))
    low, high = max(100 - best, 0.01) * 0.8, min(max(100 - worst, 0.02), 100.0) * 1.25
    axes.set_ylim(high, low)
    ticks = [tick for tick in (90, 70, 50, 30, 20, 10, 7, 5, 3, 2, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05) if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def decisions(frame: pd.DataFrame) -> Figure:
    """Distribution of the step of the first output spike, a panel per network, a line per variant; last: none."""
    rows = frame[frame["layer"] == 0]
    networks = _by(rows, "dataset", "network")
    figure, grid = _panels(len(networks), 2.9, 3)
    used: dict[str, None] = {}
    for axes, (_, part) in zip(grid, networks, strict=False):
        last = int(part["step"].max())
        for variant, curve in part.groupby("variant", sort=False):
            color, marker, _ = VARIANTS.get(str(variant), (GREY, "v", ""))
            curve = curve.sort_values("step")
            share = curve["share"].where(curve["share"] > 0) * 100
            spiked = curve["step"] < last
            axes.plot(curve["step"][spiked], share[spiked], color=color, marker=marker)
            axes.plot(curve["step"][~spiked], share[~spiked], color=color, marker=marker)
            used[str(variant)] = None
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.set_title(titled(part.iloc[0]).replace(" on ", "\non "), fontsize=8.5)
        axes.set_xlabel("timestep")
        shown = sorted({1, *range(2, last, 2 if last > 6 else 1), last})
        shown = [step for step in shown if step == last or step < last - 1]
        axes.set_xticks(shown, [*map(str, shown[:-1]), "none"])
    grid[0].set_ylabel("% of test images")
    handles = [Line2D([], [], color=VARIANTS[v][0], marker=VARIANTS[v][1], label=VARIANTS[v][2]) for v in used if v in VARIANTS]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    heading(figure, "Step of the first output spike, all seeds together (no marker: no image)")
    return figure


def curves(frame: pd.DataFrame) -> Figure:
    """Validation accuracy over epochs of every group of runs, mean and range of its seeds, a panel per network."""
    networks = _by(frame, "dataset", "network")
    figure, grid = _panels(len(networks), 2.6, 3)
    used: dict[tuple[str, str, str], None] = {}
    for axes, (_, part) in zip(grid, networks, strict=False):
        for (method, variant), rows in part.groupby(["method", "variant"], sort=False):
            style = _run_style(str(method), str(variant))
            over_epochs = rows.groupby("epoch")["validation_accuracy"]
            _banded(axes, over_epochs.mean(), over_epochs.min(), over_epochs.max(), alpha=0.18, color=style[0])
            used[style] = None
        title = f"{titled(part.iloc[0])}, {part['network'].iloc[0]}".replace(" on ", "\non ")
        axes.set_title(title + _other_layouts(part), fontsize=8.5)
        _over(axes, "epoch")
    grid[0].set(ylim=(0, 102), ylabel="validation accuracy, %")
    handles = [Line2D([], [], color=color, label=label) for color, _, label in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    heading(figure, "Validation accuracy, mean over seeds (band: lowest to highest)")
    return figure


def _other_layouts(part: pd.DataFrame) -> str:
    """A line for the methods whose layout is not that of the first one."""
    rows = part.drop_duplicates("method")
    main = rows["architecture_used"].iloc[0]
    layouts = rows[rows["architecture_used"] != main].groupby("architecture_used", sort=False)["method"].agg(list)
    if len(layouts) == 1 and len(layouts.iloc[0]) == len(rows) - 1:
        return f"\nothers: {layouts.index[0]}"
    return "".join(f"\n{', '.join(methods)}: {layout}" for layout, methods in layouts.items())


def _run_style(method: str, variant: str) -> tuple[str, str, str]:
    """Colour, marker and label of a group of runs."""
    if method in METHODS:
        return METHODS[method]
    return VARIANTS.get(variant, (GREY, "v", f"{method}, {variant}"))


def runs(frame: pd.DataFrame) -> Figure:
    """Test accuracy of every run: a dot per seed, a bar for the mean; a panel per data set."""
    parts = [(dataset, part, _by(part, "network", "method", "variant")) for dataset, part in _by(frame, "dataset")]
    heights = [len(groups) for *_, groups in parts]
    figure = Figure(figsize=(WIDTH, 1.1 + 0.32 * sum(heights) + 0.45 * len(parts)))
    grid = figure.subplots(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (dataset, part, groups) in zip(grid, parts, strict=True):
        labels = []
        for place, ((network, method, variant), rows) in enumerate(groups):
            color, _, what = _run_style(method, variant)
            values = rows.sort_values("seed")["snn_metric"].to_numpy(dtype="float64")
            axes.plot(values, np.full(len(values), place), "o", color=color, alpha=0.55, markeredgewidth=0)
            interval, _ = over_seeds(values)
            axes.plot([interval.estimate] * 2, [place - 0.3, place + 0.3], color=color)
            labels.append(f"{network} {method}" + (f", {what}" if variant not in ("both", "as published") else ""))
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title(f"{dataset}{' (stand-in)' if is_stand_in(part) else ''}")
        axes.grid(visible=False, axis="y")
    grid[-1].set_xlabel("test accuracy, %")
    heading(figure, "Every training run: a dot per seed, a line at the mean")
    return figure


# ---- helpers ----------------------------------------------------------------------------------------------------------


def _by(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, pd.DataFrame]]:
    """The rows of each value, or each combination of values, in the order of the table."""
    return list(frame.groupby(list(columns) if len(columns) > 1 else columns[0], sort=False))


def _by_initialization(frame: pd.DataFrame, over: str) -> Iterable[tuple[dict[str, Any], pd.DataFrame]]:
    """Style and sorted rows of each initialisation that is there, Kaiming's first."""
    for name, (color, marker, _) in INITIALIZATIONS.items():
        if len(part := frame[frame["initialization"] == name]):
            yield {"color": color, "marker": marker}, part.sort_values(over)


def _over(axes: Axes, label: str) -> None:
    """Whole numbers below an axis."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _banded(axes: Axes, mean: pd.Series, low: pd.Series, high: pd.Series, *, color: str, alpha: float, **style: Any) -> None:
    axes.plot(mean.index, mean, color=color, **style)
    axes.fill_between(mean.index.astype(float), low, high, color=color, alpha=alpha, linewidth=0)


def _headed(figure: Figure, frame: pd.DataFrame, text: str, *extra: Line2D, markers: bool = True) -> Figure:
    """The figure with its heading, and a legend of the initialisations and what is extra."""
    handles = [
        Line2D([], [], color=color, marker=marker if markers else "", label=label)
        for name, (color, marker, label) in INITIALIZATIONS.items()
        if (frame["initialization"] == name).any()
    ]
    figure.legend(handles=[*handles, *extra], loc="outside lower center", ncols=4)
    heading(figure, f"{text}: {titled(frame.iloc[0])}")
    return figure


def _panels(count: int, height: float, most: int = MOST_COLUMNS) -> tuple[Figure, Sequence[Axes]]:
    """So many panels in lines of at most ``most``; those left over are hidden."""
    columns = min(most, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.9 + height * lines))
    grid = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flatten())
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid


def _floor(values: pd.Series) -> float:
    """Where a zero is drawn on a logarithmic axis: below every other value."""
    positive = values[values > 0]
    return float(positive.min()) / 4 if len(positive) else 1e-8


def _logarithmic(axes: Axes, x: pd.Series, y: pd.Series, floor: float, **style: Any) -> None:
    """A curve on a logarithmic axis; zeros are hollow markers on the floor."""
    axes.plot(x, y.where(y > 0, floor), **style)
    zero = y == 0
    axes.plot(x[zero], y[zero] + floor, linestyle="", markerfacecolor="white", zorder=3, **style)


def _mark_floor(axes: Axes, floor: float, values: pd.Series) -> None:
    """Make an axis logarithmic and call its floor 0 if anything lies there."""
    axes.set_yscale("log")
    if not (values == 0).any():
        return
    powers = range(int(np.ceil(np.log10(floor * 2))), int(np.floor(np.log10(max(values.max(), floor * 10)))) + 1)
    ticks = [10.0**power for power in powers]
    axes.yaxis.set_major_locator(FixedLocator([floor, *ticks]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: "0" if y <= floor * 1.01 else f"$10^{{{round(np.log10(y))}}}$"))
    axes.yaxis.set_minor_locator(NullLocator())
