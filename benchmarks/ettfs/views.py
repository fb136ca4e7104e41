"""What the ETTFS report shows of its tables: views, grids and the numbers of its text and of the tables in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isnan
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ettfs import claims, settings
from benchmarks.ettfs.claims import seed_count, spread
from benchmarks.ettfs.schemas import TABLE1, TABLE3
from benchmarks.ettfs.settings import Choice, choices
from benchmarks.methods import DIRECT_METHODS, direct_method
from benchmarks.profiles import Profile
from benchmarks.tables.columns import accuracy_text
from benchmarks.tables.markdown import DASH, number, ranges, small
from benchmarks.tables.status import measured, stands_for
from benchmarks.tables.views import View, grid
from benchmarks.training.recipes import Recipe, recipe

INITIALIZATIONS = {"kaiming": "Kaiming", "ettfs": "ETTFS"}
VARIANTS = {
    "both": "ETTFS",
    "no init": "Kaiming's initialisation",
    "no average pooling": "max pooling",
    "neither": "Kaiming's initialisation, max pooling",
}
ALONE = {4: "both", 3: "pooling alone", 2: "initialisation alone", 1: "neither"}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}
PARTS = {"E09": "Average in place of max pooling", "E10": "The paper's initialisation in place of Kaiming's"}
convergence, effects, effort, p_value, stacks = claims.convergence, claims.effects, claims.effort, claims.p_value, claims.stacks
chosen_exponential, CONVERGED, DEPTH, variant_of = claims.chosen_exponential, claims.CONVERGED, claims.DEPTH, settings.variant_of


def variant(row: pd.Series) -> str:
    """The variant of a group of runs in words."""
    return str(row["method"] if row["variant"] in ("both", "as published") else VARIANTS[row["variant"]])


def deviation(row: pd.Series, before: str) -> str:
    """The standard deviation over seeds after some text; nothing for a single seed."""
    return "" if isnan(row["std"]) else f"{before}{number(row['std'])}"


# ---- settings ---------------------------------------------------------------------------------------------------------


def methods() -> list[Any]:
    """Methods of direct training."""
    return [direct_method(name) for name in DIRECT_METHODS]


def held_out(profile: Profile) -> str:
    """How many images were held out of which training set."""
    return ", ".join(f"{each.validation:,} of {each.dataset}" for each in {c.dataset: c for c in choices(profile)}.values())


def networks(profile: Profile) -> list[tuple[str, str, str]]:
    """Data set, layout and what of the paper it stands for."""
    return [
        (c.dataset, layout, paper_network(c))
        for c in choices(profile)
        for layout in dict.fromkeys((c.layout, *c.layouts.values()))
    ]


def paper_network(chosen: Choice) -> str:
    """What of the paper a network stands for."""
    return stands_for(chosen.network, chosen.paper_dataset, chosen.stand_in)


def trained(profile: Profile) -> list[tuple[Choice, str, Recipe]]:
    """The methods of each network with their recipes."""
    return [(chosen, method, recipe(name)) for chosen in choices(profile) for method, name in chosen.recipes.items()]


# ---- Tables I to III --------------------------------------------------------------------------------------------------


OURS: tuple[Any, ...] = (
    ("Ours [95 %]", accuracy_text),
    ("Std", lambda row: number(row["std"])),
    ("Seeds", lambda row: str(seed_count(row))),
    ("Training images, epochs", lambda row: f"{row['training_images']:,}, {row['epochs']}"),
    ("Test images", lambda row: f"{row['n_test']:,}"),
)
PLACE = ("Measured on", lambda row: f"`{row['architecture_used']}` on `{row['dataset_used']}`", "l")
_comparison = View(
    TABLE1,
    *(("Row", "row"), ("Method", "method"), ("Network", "network"), ("Printed", "accuracy_paper"), *OURS),
    ("ETTFS gains", lambda row: number(row["gain"], sign=True)),
    PLACE,
    ours=7,
)
table3 = View(
    TABLE3,
    ("Row", "row"),
    ("Initialisation", lambda row: {"yes": "ETTFS", "no": "Kaiming"}[row["initialization"]], "l"),
    ("Pooling", lambda row: {"yes": "average", "no": "max"}[row["average_pooling"]], "l"),
    *(("Printed", "accuracy_paper"), *OURS, PLACE),
    ours=6,
)


def comparison(rows: pd.DataFrame) -> str:
    """Tables I and II: printed accuracies beside ours."""
    own = measured(rows[rows["method"] == "ETTFS"]).drop_duplicates("network").set_index("network")["snn_metric"]
    gain = rows["network"].map(own.to_dict()).astype("float64") - rows["snn_metric"]
    return _comparison(rows.assign(gain=gain.mask(rows["method"] == "ETTFS")))


def sources(rows: pd.DataFrame) -> str:
    """Where printed accuracies are from that the text lost."""
    given = rows[rows["source"].fillna("") != ""]
    return "; ".join(dict.fromkeys(f"{row['method']}: {row['source']}" for _, row in given.iterrows()))


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
    places = np.sort(rows["potential"].unique())
    low, high, width = places[0], places[-1], np.diff(places).min(initial=inf) if len(places) > 1 else 0.0
    outside = rows[rows["potential"].isin([low, high])]
    shares = outside.groupby(["encoding", "initialization", "layer"], sort=False, as_index=False)["density"].sum()
    most = shares.loc[shares["density"].idxmax()]
    where = f"{INITIALIZATIONS[most['initialization']]}, {most['encoding']} input, layer {most['layer']}"
    ends = f"{number(low + width / 2, 0)} and {number(high - width / 2, 0)}"
    return f"Left out: what is beyond {ends}, at most {number(100 * width * most['density'], 0)} % ({where})."


def gradients(rows: pd.DataFrame) -> str:
    """Median gradients under both initialisations and their ratio. Nothing where one of them is missing."""
    cells = claims.pairs(rows, "median", "encoding", "layer").reset_index()
    lines = cells.melt(["encoding", "layer"], list(KINDS), "kind").sort_values("encoding", kind="stable")
    return "" if cells.empty else by_layer(lines, "kind", "value", small)


def _factor(value: float) -> str:
    """A ratio with about three digits."""
    return "∞" if value == inf else f"{value:,.0f}" if value >= 1000 else small(value, 3)


# ---- over training ----------------------------------------------------------------------------------------------------


def reached(epochs: pd.Series) -> str:
    """The epochs of those seeds that got there."""
    found = epochs.dropna()
    return f"{ranges(map(int, found))} ({len(found)} of {len(epochs)})" if len(found) else "never"


def mean(values: pd.Series) -> str:
    """The mean over seeds, with the least and the largest."""
    return number(values.mean(), 1) + (f" ({spread(values, 1)})" if len(values) > 1 else "")


def learning(rows: pd.DataFrame) -> list[tuple[int, float, float, str]]:
    """Validation accuracy under both initialisations and the gain after the first epochs, about every doubling, and the last."""
    gains = {each.row["epoch"]: each.gain for each in claims.gains_over_epochs(rows)}
    means = rows.pivot_table("validation_accuracy", "epoch", "initialization").reindex(columns=[*INITIALIZATIONS])
    epochs = [epoch for epoch in means.index if epoch in {1, 2, 3, 5, 10, 20, 50, 100, 200, 500, means.index.max()}]
    return [(epoch, *means.loc[epoch], gains.get(epoch, DASH)) for epoch in epochs]


def firing(rows: pd.DataFrame) -> str:
    """Share of neurons that fire by layer, at the first and the last step."""
    cells = claims.pairs(rows[rows["step"].isin([rows["step"].min(), rows["step"].max()])], "firing", "layer", "step")
    cell = lambda row: f"{number(row['kaiming'], 3)} / {number(row['ettfs'], 3)} ({_factor(row['ratio'])})"  # noqa: E731
    return grid(cells.reset_index().astype(object), "layer", "step", cell, ["Layer"], top="step {}".format)


def after(rows: pd.DataFrame, before: int, value: str = "validation_accuracy") -> float:
    """The mean over seeds so many epochs before the last one."""
    return float(rows[rows["epoch"] == rows["epoch"].max() - before][value].mean())


# ---- analytic ---------------------------------------------------------------------------------------------------------


def currents(rows: pd.DataFrame, claim: str, what: str, scale: float = 1.0) -> str:
    """A moment of the currents in random stacks, times ``scale``, least to largest of the layers."""
    values = rows[(rows["claim"] == claim) & rows["quantity"].str.startswith(what)]["value"] * scale
    return spread(values, 3) if len(values) else DASH


def fires(rows: pd.DataFrame, initialization: str) -> str:
    """Share of neurons that fire in the first layer, in that of E03 and in the last."""
    rows = rows[(rows["claim"] == "E03") & (rows["initialization"] == initialization)]
    by = dict(zip(rows["layer"], rows["value"], strict=True))
    return ", ".join(number(by[n], 3) for n in dict.fromkeys([1, DEPTH, max(by)]) if n in by) if by else DASH
