"""What the ETTFS report shows of its tables: views, grids and the few numbers of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from math import inf, isnan
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ettfs import claims
from benchmarks.ettfs.artifacts import COST, DECODERS, FORCED, TABLE1, TABLE3
from benchmarks.ettfs.claims import (
    CONVERGED,
    DEPTH,
    EFFECTS,
    FASHION_MARKS,
    MNIST_MARK,
    VARIANT_ROWS,
    Effect,
    convergence,
    effects,
    mean_over_seeds,
    p_value,
    ratio,
    seed_count,
    signed_interval,
    span,
)
from benchmarks.ettfs.figures import measured_on
from benchmarks.ettfs.settings import VARIANT_OF, Choice, choices
from benchmarks.methods import DIRECT_METHODS, DirectMethod, direct_method
from benchmarks.profiles import Profile
from benchmarks.tables import status
from benchmarks.tables.claims import NotTested, Tables, brief
from benchmarks.tables.markdown import DASH, count, number, plain, ranges, small, table
from benchmarks.tables.statistics import Interval, paired_difference
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
ALONE = {"both": "both", "no init": "pooling alone", "no average pooling": "initialisation alone", "neither": "neither"}
PARTS = {"E09": "Average in place of max pooling", "E10": "The paper's initialisation in place of Kaiming's"}
GROUP = ["dataset", "network", "method", "variant"]
effort, others, chosen_exponential = claims.effort, claims.others, claims.chosen_exponential


def marked(row: pd.Series) -> str:
    """What a row was measured on, for a text."""
    return f"*{measured_on(row)}* †" if row["status"] == "stand-in" else measured_on(row)


def variant(row: pd.Series) -> str:
    """The variant of a group of runs in words."""
    return str(row["method"] if row["variant"] in ("both", "as published") else VARIANTS.get(row["variant"], row["variant"]))


def not_run(*frames: pd.DataFrame) -> str:
    """Why rows were not run; nothing where all were."""
    return status.reasons(pd.concat(frame["status"] for frame in frames))


def _shown(name: str, decimals: int = 2, unit: str = "", sign: bool = False) -> Callable[[pd.Series], str]:
    return lambda row: f"{number(row[name], decimals, sign)}{unit}"


# ---- headlines and settings -------------------------------------------------------------------------------------------


def own_rows(rows: pd.DataFrame, network: str) -> pd.DataFrame:
    """ETTFS's measured rows of Table I or II with a kind of network."""
    return measured(rows[(rows["method"] == "ETTFS") & (rows["network"] == network)])


def seeded(row: pd.Series) -> str:
    """The accuracy of a row with its deviation over seeds."""
    return f"**{mean_over_seeds(row)} %**{_deviation(row, ', std ')}, {count(seed_count(row), 'seed')}"


def _deviation(row: pd.Series, before: str) -> str:
    return "" if isnan(row["std"]) else f"{before}{number(row['std'])}"


def best_other(row: pd.Series) -> float:
    """The best accuracy of another method that is printed for the data set and kind of network of a row."""
    return MNIST_MARK if row["dataset"] == "MNIST" else FASHION_MARKS[row["network"]]


def ablation(rows: pd.DataFrame) -> str:
    """The accuracies of Table III in a line."""
    return ", ".join(
        f"{ALONE[_variant_of(row)]} {number(row['snn_metric'])}{_deviation(row, ' ± ')} (printed {number(row['accuracy_paper'])})"
        for _, row in rows.iterrows()
    )


def _variant_of(row: pd.Series) -> str:
    return VARIANT_OF[row["initialization"], row["average_pooling"]]


def worth(tables: Tables, name: str) -> str:
    """What the part of ETTFS that a claim is about is worth; nothing where it was not run."""
    try:
        found = effects(tables, name)
    except NotTested:
        return ""
    tested = ["" if isnan(effect.p) else f" ({p_value(effect.p)})" for effect in found]
    gains = [f"{signed_interval(effect.gain)} points with {effect.name.rpartition(', ')[2]}" for effect in found]
    return " and ".join(map("".join, zip(gains, tested, strict=True)))


def first_spikes(rows: pd.DataFrame) -> str:
    """When the first output spike comes, for each network with all of ETTFS."""
    return "; ".join(
        f"{row['network']} on {row['dataset']} at step {number(row['decision_step'])} of {row['timesteps']} (95 % of the images"
        f" by step {row['decision_p95']}; {number(row['spikes_per_neuron'])} spikes per neuron)"
        for _, row in rows[rows["variant"] == "both"].iterrows()
    )


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


OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


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
    _ours("Ours [95 %]", mean_over_seeds, " †"),
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
    ("Variant", lambda row: VARIANTS[_variant_of(row)] if "initialization" in row else row["method"], "l"),
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


def worths(tables: Tables) -> tuple[str, list[str]]:
    """What each part is worth, as a table, and what could not be told."""
    found: list[Effect] = []
    missing: dict[str, None] = {}
    for name in EFFECTS:
        try:
            found += effects(tables, name)
        except NotTested as reason:
            missing[str(reason)] = None
    listed = listing(
        found,
        ("Effect", lambda effect: effect.name, "l"),
        ("Rows", lambda effect: f"{VARIANT_ROWS[effect.better]} against {VARIANT_ROWS[effect.worse]}", "l"),
        ("Gain in points [95 %]", lambda effect: signed_interval(effect.gain)),
        ("p", lambda effect: DASH if isnan(effect.p) else p_value(effect.p).removeprefix("p = ").removeprefix("p ")),
        ("Seeds", lambda effect: str(effect.seeds)),
        ("Printed", lambda effect: number(effect.printed, sign=True)),
    )
    return listed if found else "", list(missing)


def ties(**frames: pd.DataFrame) -> str:
    """Share of images whose highest score several classes share, of tables by their numbers; nothing where none was measured."""
    rows = [row for title, frame in frames.items() for _, row in measured(frame).assign(table=title).iterrows()]
    return _ties(rows) if rows else ""


# ---- before training --------------------------------------------------------------------------------------------------


def by_layer(rows: pd.DataFrame, value: str) -> str:
    """A value over layers, a line for each input and initialisation."""
    return _by_layer(rows, "initialization", _shown(value, 3), INITIALIZATIONS)


def _by_layer(rows: pd.DataFrame, kind: str, cell: Callable[[pd.Series], str], names: dict[str, str]) -> str:
    left = lambda encoding, name: (encoding, names[name])  # noqa: E731
    top = "layer {}".format
    headings = ["Input", "Initialisation"]
    return grid(rows, ["encoding", kind], "layer", cell, headings, left=left, top=top, sort=False, align="ll")


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
    try:
        cells = claims.gradient_ratios({"figure5": rows})
    except NotTested:
        return ""
    lines = cells.reset_index().melt(["encoding", "layer"], var_name="kind")
    lines = pd.concat(lines[lines["encoding"] == encoding] for encoding in dict.fromkeys(rows["encoding"]))
    cell = lambda row: (_factor if row["kind"] == "ratio" else small)(row["value"])  # noqa: E731
    return _by_layer(lines, "kind", cell, INITIALIZATIONS | {"ratio": "**ratio**"})


def _factor(value: float) -> str:
    """A ratio with about three digits."""
    return "∞" if value == inf else f"{value:,.0f}" if value >= 1000 else small(value, 3)


# ---- over training ----------------------------------------------------------------------------------------------------


def deep(rows: pd.DataFrame) -> str:
    """How the five-layer network converged, by input and initialisation."""
    lines = []
    for encoding, name in product(dict.fromkeys(rows["encoding"]), INITIALIZATIONS):
        part = rows[(rows["encoding"] == encoding) & (rows["initialization"] == name)]
        if found := list(convergence(part, name).values()):
            last = part[part["epoch"] == part["epoch"].max()]
            reached = [each.crossing for each in found if each.crossing is not None]
            crossing = f"{ranges(reached)} ({len(reached)} of {len(found)})" if reached else "never"
            spreads = _spread([each.final for each in found]), _spread(list(last["validation_accuracy"]))
            lines.append([str(encoding), INITIALIZATIONS[name], str(len(found)), spreads[0], crossing, spreads[1]])
    header = ["Input", "Initialisation", "Seeds", "Last training accuracy, %", f"{CONVERGED:.0f} % in epoch", "Validation, %"]
    return table(header, lines, "llrrrr")


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return number(values[0], 1)
    return f"{number(float(np.mean(values)), 1)} ({number(min(values), 1)} to {number(max(values), 1)})"


def learning(rows: pd.DataFrame) -> str:
    """Validation accuracy of both initialisations after the first epochs, then about every doubling, and the last."""
    shown = {1, 2, 3, 5, 10, 20, 50, 100, 200, 500, rows["epoch"].max()}
    lines = [_after(int(str(epoch)), part) for epoch, part in rows.groupby("epoch") if epoch in shown]
    return table(["After epoch", "Kaiming, %", "ETTFS, %", "ETTFS minus Kaiming [95 %]"], lines, "rrrr")


def _after(epoch: int, rows: pd.DataFrame) -> list[str]:
    cells = rows.pivot(index="seed", columns="initialization", values="validation_accuracy").reindex(columns=[*INITIALIZATIONS])
    pairs = cells.dropna().to_numpy(dtype="float64")
    gain = signed_interval(paired_difference(pairs[:, 1], pairs[:, 0])[0]) if len(pairs) else DASH
    return [str(epoch), *(number(mean) for mean in cells.mean()), gain]


def firing(rows: pd.DataFrame) -> str:
    """Share of neurons that fire by layer, at the first and the last step."""
    ends = rows[rows["step"].isin([rows["step"].min(), rows["step"].max()])]
    cells = ends.pivot(index=["layer", "step"], columns="initialization", values="firing").reindex(columns=[*INITIALIZATIONS])
    cell = lambda row: f"{_fires(row)} ({_factor(ratio(row['ettfs'], row['kaiming']))})"  # noqa: E731
    return grid(cells.reset_index().astype(object), "layer", "step", cell, ["Layer"], top="step {}".format)


def _fires(row: pd.Series) -> str:
    return " / ".join(number(row[name], 3) for name in INITIALIZATIONS)


# ---- after training ---------------------------------------------------------------------------------------------------

_decoders = View(
    DECODERS,
    ("Weights", lambda row: f"**{row['decoder']}**" if row["decoder"] == row["chosen"] else row["decoder"], "l"),
    ("Accuracy, % [95 %]", mean_over_seeds),
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
    return _decoders(rows.assign(chosen=chosen_exponential(list(rows["decoder"]))))


def seeds(rows: pd.DataFrame) -> str:
    """The most seeds of a row."""
    return count(max(seed_count(row) for _, row in rows.iterrows()), "seed")


def runs(rows: pd.DataFrame) -> str:
    """Accuracies of each group of runs."""
    return listing(
        _groups(rows),
        ("Measured on", lambda part: marked(part.iloc[0]), "l"),
        ("Variant", lambda part: variant(part.iloc[0]), "l"),
        ("Seeds", lambda part: str(len(part))),
        ("Test, %", lambda part: number(part["snn_metric"].mean())),
        ("Lowest to highest", lambda part: f"{number(part['snn_metric'].min())} to {number(part['snn_metric'].max())}"),
        ("Validation, %", lambda part: number(part["validation"].mean())),
        ("Training, %", lambda part: number(part["train_accuracy"].mean())),
    )


def endings(rows: pd.DataFrame) -> str:
    """Means over seeds of each group of runs after the last epoch, and a tenth of the epochs before."""
    lines = []
    for part in _groups(rows):
        last = int(part["epoch"].max())
        before = last - max(1, last // 10)
        values = [part[part["epoch"] == epoch]["validation_accuracy"].mean() for epoch in (before, last)]
        silent = part[part["epoch"] == last]["silent_percent"].mean()
        gain = f"{number(values[1] - values[0], sign=True)} since epoch {before}"
        lines.append([marked(part.iloc[0]), variant(part.iloc[0]), str(last), number(values[1]), gain, number(silent, 1)])
    header = ["Measured on", "Variant", "Epochs", "Validation, %", "Last tenth, points", "Silent, %"]
    return table(header, lines, "llrrrr")


def _groups(rows: pd.DataFrame) -> Iterable[pd.DataFrame]:
    return [part for _, part in rows.groupby(GROUP, sort=False)]


# ---- analytic ---------------------------------------------------------------------------------------------------------


def random_stacks(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of random stacks, with their initialisation, T and layer."""
    cases = rows["case"].str.extract(r"(?P<initialization>\w+), T = (?P<T>\d+), (?P<spike>[^,]+), layer (?P<layer>\d+)")
    return rows.join(cases).dropna(subset=["layer"]).astype({"T": int, "layer": int})


def stacks(rows: pd.DataFrame) -> str:
    """Currents and firing of random stacks, a line for each T."""
    last = rows["layer"].max()
    return listing(
        [part for _, part in rows.groupby("T")],
        ("T", lambda part: str(part.iloc[0]["T"])),
        ("Kaiming: variance · T/2", lambda part: _span(part[part["claim"] == "E01"]["value"] * part.iloc[0]["T"] / 2)),
        *((f"ETTFS: {what}", partial(_current, what)) for what in ("variance", "mean")),
        *((f"{label}: fires in layer 1, {DEPTH}, {last}", partial(_fire, name)) for name, label in INITIALIZATIONS.items()),
    )


def _current(what: str, part: pd.DataFrame) -> str:
    return _span(part[(part["claim"] == "E02") & part["quantity"].str.startswith(what)]["value"])


def _span(values: pd.Series) -> str:
    return span(values) if len(values) else DASH


def _fire(initialization: str, part: pd.DataFrame) -> str:
    rows = part[(part["claim"] == "E03") & (part["initialization"] == initialization)]
    by = dict(zip(rows["layer"], rows["value"], strict=True))
    return ", ".join(number(by[n], 3) for n in dict.fromkeys([1, DEPTH, max(by)]) if n in by) if by else DASH


def pooled(rows: pd.DataFrame) -> str:
    """Largest sums of pooled trains; nothing if there are none."""
    lines = [[row["quantity"], row["case"], f"{row['value']:g}"] for _, row in rows[rows["claim"] == "E08"].iterrows()]
    return table(["Pooling of single-spike trains", "Case", "Value"], lines, "llr") if lines else ""
