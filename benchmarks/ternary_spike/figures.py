"""The figures of the report."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.tables.claims import is_stand_in
from benchmarks.tables.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, WIDTH, edges, facets, finished, heading, whole


def methods(rows: pd.DataFrame) -> Figure:
    """Accuracy of every method, best on top, with its interval over seeds where there is one."""
    rows = rows.sort_values("snn_metric", kind="stable")
    figure = Figure(figsize=(WIDTH, 0.6 + 0.22 * len(rows)))
    axes = figure.subplots()
    axes.plot(rows["snn_metric"], rows["method"], "o", color=BLUE, markersize=4)
    known = rows.dropna(subset=["ci95_low"])
    axes.hlines(known["method"], known["ci95_low"], known["ci95_high"], color=BLUE, linewidth=1)
    axes.set_xlim(0, 100)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("test accuracy, %")
    heading(figure, f"Methods of direct training, one network and one recipe{_stand_in(rows)}")
    return figure


SHOWN = {
    "Ternary spike": BLUE,
    "Binary spike": ORANGE,
    "Binary spike, wide surrogate": VERMILION,
    "SEW ResNet": GREEN,
    "STBP-tdBN": PURPLE,
}


def gradients(rows: pd.DataFrame) -> Figure:
    """Norm of the gradient over depth, in units of the last layer's; a line for each method, some of them named."""
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.subplots()
    for method, part in rows.groupby("method", sort=False):
        color, named = SHOWN.get(str(method), "0.8"), method in SHOWN
        relative = part["gradient"] / part["gradient"].iloc[-1]
        style = {"linewidth": 1.8, "zorder": 3, "label": method} if named else {"linewidth": 0.8}
        axes.semilogy(part["layer"], relative, color=color, **style)
    axes.plot([], [], color="0.8", linewidth=0.8, label="other methods")
    whole(axes)
    axes.set_xlabel("layer, from the input")
    axes.set_ylabel("gradient over that of the last layer")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    heading(figure, f"Gradients before training: what a layer passes back{_stand_in(rows)}")
    return figure


def curves(rows: pd.DataFrame) -> Figure:
    """Validation accuracy over epochs, a line for each method, a panel for each network and T."""
    panels = list(rows.groupby(["architecture", "timesteps"], sort=False))
    figure = Figure(figsize=(WIDTH, 2.8))
    for axes, ((architecture, t), part) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        for color, (method, line) in zip((ORANGE, BLUE, GREEN), part.groupby("method", sort=False), strict=False):
            axes.plot(line["epoch"], line["validation"], color=color, label=method)
        axes.set_title(f"{architecture}, T = {t}", fontsize=9)
        axes.set_xlabel("epochs")
        whole(axes)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("validation accuracy, %")
    figure.axes[0].legend(frameon=False, fontsize=8)
    heading(figure, f"Accuracy over epochs, mean over seeds{_stand_in(rows)}")
    return figure


def amplitudes(rows: pd.DataFrame) -> Figure:
    """Trained amplitudes over depth, a line for each T."""
    figure = Figure(figsize=(WIDTH, 2.4))
    axes = figure.subplots()
    axes.axhline(1, color="0.7", linewidth=0.8)
    for (architecture, t), part in rows.groupby(["architecture", "timesteps"], sort=False):
        axes.plot(part["layer"], part["amplitude"], "o-", markersize=3, linewidth=1, label=f"{architecture}, T = {t}")
    whole(axes)
    axes.set_xlabel("layer")
    axes.set_ylabel("amplitude")
    axes.legend(frameon=False)
    heading(figure, f"Amplitudes after training; 1 before{_stand_in(rows)}")
    return figure


def potentials(rows: pd.DataFrame) -> Figure:
    """Distributions of potentials as in Figure 2, a panel for each layer and T; thresholds dotted."""
    figure, panels = facets(rows, (0.9, 1.7), down=["timesteps"], across=["layer"], sharex=True, sharey="row")
    for axes, part in panels:
        for method, curve in part.groupby("method", sort=False):
            axes.plot(
                curve["potential"], curve["density"], drawstyle="steps-mid", color=SHOWN[str(method)], label=method, linewidth=1.2
            )
        for threshold in (-0.5, 0.5):
            axes.axvline(threshold, color=GREY, linewidth=0.7, linestyle=":")
        t, layer = part[["timesteps", "layer"]].iloc[0]
        edges(axes, f"layer {layer}", "potential / V_th", f"density, T = {t}")
    return finished(figure, f"Membrane potentials of the first layers after training{_stand_in(rows)}")


def _stand_in(rows: pd.DataFrame) -> str:
    return " (stand-in)" if is_stand_in(rows) else ""
