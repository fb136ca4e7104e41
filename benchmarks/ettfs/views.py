"""What the ETTFS report shows of its tables: views, grids and the few numbers of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf, isnan
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ettfs import claims
from benchmarks.ettfs.artifacts import ANALYTIC, COST, DECODERS, FORCED, TABLE1, TABLE3
from benchmarks.ettfs.claims import seed_count, signed_interval
from benchmarks.ettfs.settings import Choice, choices, variant_of
from benchmarks.methods import DIRECT_METHODS, DirectMethod, direct_method
from benchmarks.profiles import Profile
from benchmarks.tables.claims import brief
from benchmarks.tables.columns import accuracy_text, marked
from benchmarks.tables.markdown import DASH, count, enumeration, number, plain, ranges, small
from benchmarks.tables.statistics import Interval
from benchmarks.tables.status import NOT_RUN, measured, stands_for
from benchmarks.tables.views import Cell, View, grid, listing
from benchmarks.training.recipes import Recipe, recipe

INITIALIZATIONS = {"kaiming": "Kaiming", "ettfs": "ETTFS"}
VARIANTS = {
    "both": "ETTFS",
    "no init": "Kaiming's initialisation",
    "no average pooling": "max pooling",
    "neither": "Kaiming's initialisation, max pooling",
}
ALONE = {4: "both", 3: "pooling alone", 2: "initialisation alone", 1: "neither"}
effort, stacks, chosen_exponential = claims.effort, claims.stacks, claims.chosen_exponential
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}
PARTS = {"E09": "Average in place of max pooling", "E10": "The paper's initialisation in place of Kaiming's"}


def variant(row: pd.Series) -> str:
    """The variant of a group of runs in words."""
    return str(row["method"] if row["variant"] in ("both", "as published") else VARIANTS[row["variant"]])


def _shown(name: str, decimals: int = 2, unit: str = "", sign: bool = False) -> Callable[[pd.Series], str]:
    return lambda row: f"{number(row[name], decimals, sign)}{unit}"


# ---- headlines and settings -------------------------------------------------------------------------------------------


def deviation(row: pd.Series, before: str) -> str:
    """The standard deviation over seeds after some text; nothing for a single seed."""
    return "" if isnan(row["std"]) else f"{before}{number(row['std'])}"


def others(rows: pd.DataFrame, own: pd.Series) -> str:
    """How far ETTFS is above each method that was measured beside it, with the same kind of network; epochs where they differ."""
    rows = rows[(rows["method"] != "ETTFS") & (rows["network"] == own["network"])]
    said = ""
    for _, same in rows.groupby("epochs", sort=False):
        epochs = int(same["epochs"].iloc[0])
        ahead = zip(same["method"], same["snn_metric"], own["snn_metric"] - same["snn_metric"], strict=True)
        listed = [f"{method} {number(metric)} % ({number(by, sign=True)} for ETTFS)" for method, metric, by in ahead]
        trained = f" after {count(epochs, 'epoch')}" if epochs != own["epochs"] else ""
        said += f"; measured beside it{trained}: {', '.join(listed)}"
    return said


def worth(runs: pd.DataFrame, name: str) -> str:
    """What the part of ETTFS that a claim is about is worth; nothing where it was not run."""
    tested = lambda effect: "" if isnan(effect.p) else f" ({claims.p_value(effect.p)})"  # noqa: E731
    found = claims.effects(runs, name)
    return enumeration([f"{signed_interval(effect.gain)} points with {effect.beside}{tested(effect)}" for effect in found])


def methods() -> list[DirectMethod]:
    """Methods of direct training."""
    return [direct_method(name) for name in DIRECT_METHODS]


def held_out(profile: Profile) -> str:
    """How many images were held out of which training set."""
    return ", ".join(f"{each.validation:,} of {each.dataset}" for each in {c.dataset: c for c in choices(profile)}.values())


def networks(profile: Profile) -> list[tuple[str, str, str]]:
    """Data set, layout and what of the paper it stands for."""
    return [
        (c.dataset, layout, stands_for(c.network, c.paper_dataset, c.stand_in))
        for c in choices(profile)
        for layout in dict.fromkeys((c.layout, *c.layouts.values()))
    ]


def recipes(profile: Profile) -> str:
    """How each method was trained on each network."""
    Trained = tuple[Choice, str, Recipe]
    columns: list[tuple[str, Callable[[Trained], str], str]] = [
        ("Stands for", lambda each: stands_for(each[0].network, each[0].paper_dataset, each[0].stand_in), "l"),
        ("Network", lambda each: f"`{each[0].of(each[1]).layout}` on `{each[0].dataset}`", "l"),
        ("Method", lambda each: each[1], "l"),
        ("Seeds", lambda each: ranges(each[0].seeds_of(each[1])), "l"),
        ("T", lambda each: str(each[2].options.get("timesteps", DASH)), "r"),
        ("Epochs", lambda each: str(each[2].epochs), "r"),
        ("Batch", lambda each: str(each[2].batch_size), "r"),
        ("Optimiser, rate", lambda each: f"{OPTIMIZERS[each[2].optimizer]} {each[2].learning_rate:g}", "r"),
        ("Other options", lambda each: _options(each[2]), "l"),
    ]
    trained = [(chosen, method, recipe(name)) for chosen in choices(profile) for method, name in chosen.recipes.items()]
    return listing(trained, *columns)


def _options(made: Recipe) -> str:
    return ", ".join(f"{name} {value}" for name, value in made.options.items() if name != "timesteps") or DASH


# ---- Tables I to III --------------------------------------------------------------------------------------------------


def _ours(heading: str, cell: Callable[[pd.Series], str], dagger: str = "") -> tuple[str, Cell]:
    """A measured column, in italics for a stand-in."""

    def shown(row: pd.Series) -> str:
        if row["status"].startswith(NOT_RUN):
            return DASH
        return f"*{cell(row)}*{dagger}" if row["status"] == "stand-in" else cell(row)

    return heading, shown


def _where(row: pd.Series) -> str:
    if row["status"].startswith(NOT_RUN):
        return plain(brief(row["status"]))
    return f"`{row['architecture_used']}` on `{row['dataset_used']}`"


MEASURED: tuple[Any, ...] = (
    _ours("Ours [95 %]", accuracy_text, " †"),
    _ours("Std", _shown("std")),
    _ours("Seeds", lambda row: str(seed_count(row))),
    _ours("Training images, epochs", lambda row: f"{row['training_images']:,}, {row['epochs']}"),
    _ours("Test images", lambda row: f"{row['n_test']:,}"),
    ("Measured on", _where, "l"),
)
_comparison = View(
    TABLE1,
    ("Row", "row"),
    ("Method", "method"),
    ("Network", "network"),
    ("Printed", "accuracy_paper"),
    *MEASURED,
    ("ETTFS gains", _shown("gain", sign=True)),
)
table3 = View(
    TABLE3,
    ("Row", "row"),
    ("Initialisation", lambda row: {"yes": "ETTFS", "no": "Kaiming"}[row["initialization"]], "l"),
    ("Pooling", lambda row: {"yes": "average", "no": "max"}[row["average_pooling"]], "l"),
    ("Printed", "accuracy_paper"),
    *MEASURED,
)
_ties = View(
    TABLE1,
    ("Row", lambda row: f"{row['table']}.{row['row']}", "l"),
    ("Variant", lambda row: VARIANTS[variant_of(row["row"])] if row["table"] == "III" else row["method"], "l"),
    ("Measured on", marked, "l"),
    ("Decided within a step", _shown("tied_percent", 1, " %")),
    ("No output spike", _shown("silent_percent", 1, " %")),
    ("Accuracy", _shown("snn_metric", 2, " %")),
)


def comparison(rows: pd.DataFrame) -> str:
    """Tables I and II: printed accuracies beside ours."""
    own = measured(rows[rows["method"] == "ETTFS"]).drop_duplicates("network").set_index("network")["snn_metric"]
    gain = rows["network"].map(own.to_dict()).astype("float64") - rows["snn_metric"]
    return _comparison(rows.assign(gain=gain.mask((rows["method"] == "ETTFS") | rows["status"].str.startswith(NOT_RUN))))


def sources(rows: pd.DataFrame) -> str:
    """Where printed accuracies are from that the text lost."""
    given = rows[rows["source"].fillna("") != ""]
    return "; ".join(dict.fromkeys(f"{row['method']}: {row['source']}" for _, row in given.iterrows()))


def worths(runs: pd.DataFrame) -> str:
    """What each part is worth; nothing where that was not run."""
    found = [effect for name in claims.EFFECTS for effect in claims.effects(runs, name)]
    listed = listing(
        found,
        ("Effect", lambda effect: f"{effect.part}, {effect.beside}", "l"),
        ("Rows", lambda effect: "{} against {}".format(*effect.rows), "l"),
        ("Gain in points [95 %]", lambda effect: signed_interval(effect.gain)),
        ("p", lambda effect: DASH if isnan(effect.p) else claims.p_value(effect.p).removeprefix("p = ").removeprefix("p ")),
        ("Seeds", lambda effect: str(effect.seeds)),
        ("Printed", lambda effect: number(effect.printed, sign=True)),
    )
    return listed if found else ""


def together(**frames: pd.DataFrame) -> pd.DataFrame:
    """The rows of several tables, with the number of each in a column ``table``."""
    return pd.concat([frame.assign(table=title) for title, frame in frames.items()], ignore_index=True)


def ties(rows: pd.DataFrame) -> str:
    """Share of images whose highest score several classes share; nothing where none was measured."""
    found = measured(rows)
    return "" if found.empty else _ties(found)


# ---- before training --------------------------------------------------------------------------------------------------


def by_layer(rows: pd.DataFrame, kind: str, value: str, cell: Callable[[float], str] = partial(number, decimals=3)) -> str:
    """A value over layers, a line for each input and initialisation."""
    left = lambda encoding, name: (encoding, KINDS[name])  # noqa: E731
    shown = lambda row: (_factor if row[kind] == "ratio" else cell)(row[value])  # noqa: E731
    headings = ["Input", "Initialisation"]
    return grid(rows, ["encoding", kind], "layer", shown, headings, left=left, top="layer {}".format, sort=False, align="ll")


KINDS = INITIALIZATIONS | {"ratio": "**ratio**"}


def beyond(rows: pd.DataFrame) -> str:
    """How much lies in the open bins at the ends, which the figure leaves out."""
    low, high = rows["potential"].min(), rows["potential"].max()
    width = float(np.diff(np.sort(rows["potential"].unique())).min()) if low < high else 0.0
    outside = rows[rows["potential"].isin([low, high])]
    shares = outside.groupby(["encoding", "initialization", "layer"], sort=False, as_index=False)["density"].sum()
    most = shares.loc[shares["density"].idxmax()]
    where = f"{INITIALIZATIONS[most['initialization']]}, {most['encoding']} input, layer {most['layer']}"
    ends = f"{number(low + width / 2, 0)} and {number(high - width / 2, 0)}"
    return f"Left out: what is beyond {ends}, at most {number(100 * width * most['density'], 0)} % ({where})."


def gradients(rows: pd.DataFrame) -> str:
    """Median gradients under both initialisations and their ratio. Nothing where one of them is missing."""
    cells = claims.gradient_ratios(rows).reset_index()
    lines = cells.melt(["encoding", "layer"], ["kaiming", "ettfs", "ratio"], "kind").sort_values("encoding", kind="stable")
    return "" if cells.empty else by_layer(lines, "kind", "value", small)


def _factor(value: float) -> str:
    """A ratio with about three digits."""
    return "∞" if value == inf else f"{value:,.0f}" if value >= 1000 else small(value, 3)


# ---- over training ----------------------------------------------------------------------------------------------------


def deep(rows: pd.DataFrame) -> str:
    """How the five-layer network converged, by input and initialisation."""
    found = claims.convergence(rows)
    return listing(
        [part for _, part in found.groupby(["encoding", "initialization"], sort=False)],
        ("Input", lambda part: str(part["encoding"].iloc[0]), "l"),
        ("Initialisation", lambda part: INITIALIZATIONS[part["initialization"].iloc[0]], "l"),
        ("Seeds", lambda part: str(len(part))),
        ("Last training accuracy, %", lambda part: _spread(part["train_accuracy"])),
        (f"{claims.CONVERGED:.0f} % in epoch", lambda part: _reached(part["crossing"])),
        ("Validation, %", lambda part: _spread(part["validation_accuracy"])),
    )


def _reached(epochs: pd.Series) -> str:
    found = epochs.dropna()
    return f"{ranges(map(int, found))} ({len(found)} of {len(epochs)})" if len(found) else "never"


def _spread(values: pd.Series) -> str:
    if len(values) == 1:
        return number(values.iloc[0], 1)
    return f"{number(values.mean(), 1)} ({number(values.min(), 1)} to {number(values.max(), 1)})"


def learning(rows: pd.DataFrame) -> str:
    """Validation accuracy of both initialisations after the first epochs, then about every doubling, and the last."""
    gains = claims.gains_over_epochs(rows)
    means = rows.groupby(["epoch", "initialization"])["validation_accuracy"].mean().unstack().reindex(columns=[*INITIALIZATIONS])
    return listing(
        [epoch for epoch in means.index if epoch in {1, 2, 3, 5, 10, 20, 50, 100, 200, 500, means.index.max()}],
        ("After epoch", str),
        *((f"{label}, %", lambda epoch, name=name: number(means[name][epoch])) for name, label in INITIALIZATIONS.items()),
        ("ETTFS minus Kaiming [95 %]", lambda at: signed_interval(Interval(*gains.loc[at])) if at in gains.index else DASH),
    )


def firing(rows: pd.DataFrame) -> str:
    """Share of neurons that fire by layer, at the first and the last step."""
    cells = claims.pairs(rows[rows["step"].isin([rows["step"].min(), rows["step"].max()])], "firing", "layer", "step")
    cells = cells.assign(ratio=cells["ettfs"] / cells["kaiming"]).reset_index().astype(object)
    cell = lambda row: f"{number(row['kaiming'], 3)} / {number(row['ettfs'], 3)} ({_factor(row['ratio'])})"  # noqa: E731
    return grid(cells, "layer", "step", cell, ["Layer"], top="step {}".format)


# ---- after training ---------------------------------------------------------------------------------------------------

_decoders = View(
    DECODERS,
    ("Weights", lambda row: f"**{row['decoder']}**" if row["decoder"] == row["chosen"] else row["decoder"], "l"),
    ("Accuracy, % [95 %]", accuracy_text),
    ("Std", _shown("std")),
    ("First output spike", "decision_step"),
    ("Spikes per neuron", _shown("spikes_per_neuron", 3)),
    ("Ties", _shown("tied_percent", 1, " %")),
    ("Silent", _shown("silent_percent", 1, " %")),
)
forced = View(
    FORCED,
    ("Measured on", marked, "l"),
    ("Trained", lambda row: {"forced": "with", "free": "without"}[row["trained"]], "l"),
    ("Run with, %", _shown("accuracy_forced")),
    ("Run without, %", _shown("accuracy_free")),
    ("Gain by leaving it out [95 %]", lambda row: signed_interval(Interval(row["gain_free"], row["gain_low"], row["gain_high"]))),
    ("Seeds", lambda row: str(seed_count(row))),
)
cost = View(
    COST,
    ("Measured on", marked, "l"),
    ("Variant", variant, "l"),
    ("T", "timesteps"),
    ("Spikes per neuron", _shown("spikes_per_neuron", 3)),
    ("Hidden spikes at step", _shown("hidden_step")),
    ("First output spike (95 % by)", lambda row: f"{number(row['decision_step'])} ({row['decision_p95']})"),
    ("ACs, all T / until decided", lambda row: f"{row['acs']:,.0f} / {row['acs_exit']:,.0f}"),
    ("MACs", lambda row: f"{row['macs']:,.0f}"),
    ("µJ, all T / until decided", lambda row: " / ".join(small(row[n] * 1000, 3) for n in ("energy_mj", "energy_exit_mj"))),
)


def decoders(rows: pd.DataFrame) -> str:
    """Temporal weightings of a network, the one that stands for the paper's in bold."""
    return _decoders(rows.assign(chosen=claims.chosen_exponential(list(rows["decoder"]))))


def runs(rows: pd.DataFrame) -> str:
    """Accuracies of each group of runs."""
    return listing(
        _groups(rows),
        *GROUP,
        ("Seeds", lambda part: str(len(part))),
        ("Test, %", lambda part: number(part["snn_metric"].mean())),
        ("Lowest to highest", lambda part: f"{number(part['snn_metric'].min())} to {number(part['snn_metric'].max())}"),
        ("Validation, %", lambda part: number(part["validation"].mean())),
        ("Training, %", lambda part: number(part["train_accuracy"].mean())),
    )


def endings(rows: pd.DataFrame) -> str:
    """Means over seeds of each group of runs after the last epoch, and a tenth of the epochs before."""
    return listing(
        _groups(rows),
        *GROUP,
        ("Epochs", lambda part: str(part["epoch"].max())),
        ("Validation, %", lambda part: number(_after(part, 0))),
        ("Last tenth, points", _last_tenth),
        ("Silent, %", lambda part: number(_after(part, 0, "silent_percent"), 1)),
    )


def _last_tenth(part: pd.DataFrame) -> str:
    tenth = max(1, int(part["epoch"].max()) // 10)
    return f"{number(_after(part, 0) - _after(part, tenth), sign=True)} since epoch {part['epoch'].max() - tenth}"


def _after(rows: pd.DataFrame, before: int, value: str = "validation_accuracy") -> float:
    """The mean so many epochs before the last one."""
    return float(rows[rows["epoch"] == rows["epoch"].max() - before][value].mean())


def _groups(rows: pd.DataFrame) -> Iterable[pd.DataFrame]:
    return [part for _, part in rows.groupby(["dataset", "network", "method", "variant"], sort=False)]


GROUP: tuple[Any, ...] = (
    ("Measured on", lambda part: marked(part.iloc[0]), "l"),
    ("Variant", lambda part: variant(part.iloc[0]), "l"),
)


# ---- analytic ---------------------------------------------------------------------------------------------------------


def random_stacks(rows: pd.DataFrame) -> str:
    """Currents and firing of random stacks, a line for each T."""
    layers = f"layer 1, {claims.DEPTH}, {rows['layer'].max()}"
    return listing(
        [part for _, part in rows.assign(scaled=rows["value"] * rows["T"] / 2).groupby("T")],
        ("T", lambda part: str(part.iloc[0]["T"])),
        ("Kaiming: variance · T/2", partial(_span, "E01", "variance", "scaled")),
        *((f"ETTFS: {what}", partial(_span, "E02", what, "value")) for what in ("variance", "mean")),
        *((f"{label}: fires in {layers}", partial(_fire, name)) for name, label in INITIALIZATIONS.items()),
    )


def _span(claim: str, what: str, value: str, part: pd.DataFrame) -> str:
    values = part[(part["claim"] == claim) & part["quantity"].str.startswith(what)][value]
    return f"{number(values.min(), 3)} to {number(values.max(), 3)}" if len(values) else DASH


def _fire(initialization: str, part: pd.DataFrame) -> str:
    rows = part[(part["claim"] == "E03") & (part["initialization"] == initialization)]
    by = dict(zip(rows["layer"], rows["value"], strict=True))
    return ", ".join(number(by[n], 3) for n in dict.fromkeys([1, claims.DEPTH, max(by)]) if n in by) if by else DASH


_pooled = View(
    ANALYTIC, ("Pooling of single-spike trains", "quantity"), ("Case", "case"), ("Value", lambda row: f"{row['value']:g}")
)


def pooled(rows: pd.DataFrame) -> str:
    """Largest sums of pooled trains; nothing if there are none."""
    found = rows[rows["claim"] == "E08"]
    return "" if found.empty else _pooled(found)
