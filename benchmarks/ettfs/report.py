"""Sections of the ETTFS report: what the paper shows, what was measured, as Markdown tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from math import inf, isnan

import numpy as np
import pandas as pd

from benchmarks.ettfs import figures
from benchmarks.ettfs.claims import (
    CONVERGED,
    DEPTH,
    EFFECTS,
    FASHION_MARKS,
    MNIST_MARK,
    VARIANT_ROWS,
    Effect,
    chosen_exponential,
    convergence,
    effects,
    effort,
    gradient_ratios,
    mean_over_seeds,
    others,
    p_value,
    ratio,
    seed_count,
    signed_interval,
)
from benchmarks.ettfs.figures import measured_on
from benchmarks.ettfs.settings import PAPER, VARIANT_OF, Choice, choices
from benchmarks.methods import DIRECT_METHODS, direct_method
from benchmarks.profiles import Profile
from benchmarks.tables.claims import NotTested, Tables, brief
from benchmarks.tables.markdown import DASH, count, number, plain, ranges, small, table
from benchmarks.tables.sections import NOT_RUN, Body, Drawing, Section, measured, reasons, stands_for
from benchmarks.tables.statistics import Interval, paired_difference
from benchmarks.training.recipes import recipe

NAME = "ETTFS"
REFERENCE = (
    "*ETTFS: An Efficient Training Framework for Time-to-First-Spike Neuron*,"
    " [arXiv 2410.23619](https://arxiv.org/abs/2410.23619) v1."
)
INITIALIZATIONS = {"kaiming": "Kaiming", "ettfs": "ETTFS"}
VARIANTS = {
    "both": "ETTFS",
    "no init": "Kaiming's initialisation",
    "no average pooling": "max pooling",
    "neither": "Kaiming's initialisation, max pooling",
}
OVER_SEEDS = (
    "Accuracies in %, mean over training seeds with its 95 % interval (Student's t) and standard deviation. The interval holds"
    " for these test images: it says how far another set of seeds would move the mean."
)


# ---- headlines --------------------------------------------------------------------------------------------------------


READING = (
    "Accuracy: mean over training seeds on all test images; `[low, high]` is the 95 % interval of that mean over seeds (Student's"
    " t). Comparisons are paired over seeds: same data order, weights from the same random numbers. The paper prints neither"
    " seeds nor intervals.",
    "All choices were made on validation images of the training set; each test image was run once per final network.",
)
"""How to read the numbers of the tables."""


def setup(profile: Profile) -> list[str]:
    """What holds for all tables that do not say otherwise."""
    held = ", ".join(f"{each.validation:,} of {each.dataset}" for each in {c.dataset: c for c in choices(profile)}.values())
    return [
        f"Held out of the training set, to choose on: the last {held} (canonical order).",
        *(f"{kind.name}: {kind.definition} ({kind.reference})." for kind in map(direct_method, DIRECT_METHODS)),
    ]


def headlines(tables: Tables, profile: Profile) -> list[str]:
    """The few numbers that a reader wants first."""
    lines = []
    for name, title, network in (("table1", "Table I", "SMLP"), ("table2", "Table II", "SMLP"), ("table2", "Table II", "SCNN")):
        lines += [_headline(title, row, others(tables, name, row)) for _, row in _own(tables, name, network).iterrows()]
    lines += _ablation_headline(tables)
    lines += [line for name in EFFECTS for line in _effect_headline(tables, name)]
    lines += _latency_headline(tables)
    return lines


def _own(tables: Tables, name: str, network: str) -> pd.DataFrame:
    if name not in tables:
        return pd.DataFrame()
    rows = measured(tables[name])
    return rows[(rows["method"] == "ETTFS") & (rows["network"] == network)]


def _headline(title: str, row: pd.Series, beside: str) -> str:
    mnist = row["dataset"] == "MNIST"
    mark = MNIST_MARK if mnist else FASHION_MARKS[row["network"]]
    where = f"{row['dataset']}, {row['network']}"
    known = f"the paper's own number is lost, the best other one at hand is {mark}"
    return f"{title} ({where}): {_marked(row)} {_seeded(row)}; {known}{beside}."


def _seeded(row: pd.Series) -> str:
    deviation = "" if isnan(row["std"]) else f", std {number(row['std'])}"
    return f"**{mean_over_seeds(row)} %**{deviation}, {count(seed_count(row), 'seed')}"


def _ablation_headline(tables: Tables) -> list[str]:
    if "table3" not in tables:
        return []
    rows = measured(tables["table3"])
    listed = [
        f"{_number_of(row)} {number(row['snn_metric'])}{_deviation(row)} (printed {number(row['accuracy_paper'])})"
        for _, row in rows.iterrows()
    ]
    return [f"Table III, mean ± std: {_marked(rows.iloc[0])} ({effort(rows.iloc[0])}): {', '.join(listed)}."] if listed else []


def _deviation(row: pd.Series) -> str:
    return "" if isnan(row["std"]) else f" ± {number(row['std'])}"


def _number_of(row: pd.Series) -> str:
    return {"both": "both", "no init": "pooling alone", "no average pooling": "initialisation alone", "neither": "neither"}[
        VARIANT_OF[row["initialization"], row["average_pooling"]]
    ]


def _effect_headline(tables: Tables, name: str) -> list[str]:
    try:
        found = effects(tables, name)
    except NotTested:
        return []
    part = {"E09": "Average in place of max pooling", "E10": "The paper's initialisation in place of Kaiming's"}[name]
    listed = [f"{signed_interval(e.gain)} points with {e.name.rpartition(', ')[2]}{_p(e)}" for e in found]
    return [f"{part} is worth {' and '.join(listed)}."]


def _p(effect: Effect) -> str:
    return "" if isnan(effect.p) else f" ({p_value(effect.p)})"


def _latency_headline(tables: Tables) -> list[str]:
    if "cost" not in tables:
        return []
    rows = measured(tables["cost"])
    rows = rows[rows["variant"] == "both"]
    listed = [
        f"{row['network']} on {row['dataset']} at step {number(row['decision_step'])} of {row['timesteps']} (95 % of the images"
        f" by step {row['decision_p95']}; {number(row['spikes_per_neuron'])} spikes per neuron)"
        for _, row in rows.iterrows()
    ]
    return [f"First output spike, on average: {'; '.join(listed)}."] if listed else []


# ---- settings ---------------------------------------------------------------------------------------------------------


def networks(profile: Profile) -> list[tuple[str, str, str]]:
    """Data set, layout and what of the paper it stands for."""
    return [
        (c.dataset, layout, stands_for(c.network, c.paper_dataset, c.stand_in))
        for c in choices(profile)
        for layout in dict.fromkeys((c.layout, *c.layouts.values()))
    ]


def training(tables: Tables, profile: Profile) -> Body:
    """What the paper leaves open and how it was filled."""
    header = ["Stands for", "Network", "Method", "Seeds", "T", "Epochs", "Batch", "Optimiser, rate", "Other options"]
    lines = [_recipe_line(chosen, method) for chosen in choices(profile) for method in chosen.recipes]
    return [
        "The paper prints neither T, learning rate, batch size, epochs, layouts, threshold, input encoding nor the base of its"
        " decoder, and the text lost its own accuracies in Tables I and II. All of these are our choices, made on validation"
        " images that were held out of the training set; the test set is run once per network, after the last epoch. From the"
        " paper, for ETTFS: Adam, warm-up and cosine annealing, ATan surrogate, backpropagation through time. Other methods are"
        " trained as their own papers say where those do.",
        table(header, lines, "llllrrrrl"),
        "Where output neurons have equal scores, the prediction is the one with the highest membrane potential at its spike"
        " (S4NN's rule; the paper names none).",
    ]


def _recipe_line(chosen: Choice, method: str) -> list[str]:
    made = recipe(chosen.recipes[method])
    options = {name: value for name, value in made.options.items() if name != "timesteps"}
    return [
        stands_for(chosen.network, chosen.paper_dataset, chosen.stand_in),
        f"`{chosen.of(method).layout}` on `{chosen.dataset}`",
        method,
        ranges(chosen.seeds_of(method)),
        str(made.options.get("timesteps", DASH)),
        str(made.epochs),
        str(made.batch_size),
        f"{made.optimizer.upper() if made.optimizer == 'sgd' else 'Adam'} {made.learning_rate:g}",
        ", ".join(f"{name} {value}" for name, value in options.items()) or DASH,
    ]


# ---- Tables I to III --------------------------------------------------------------------------------------------------


def comparison(name: str, tables: Tables, profile: Profile) -> Body:
    """Tables I and II: printed accuracies beside ours."""
    rows = tables[name]
    lines = []
    for _, row in rows.iterrows():
        known = [str(row["row"]), row["method"], row["network"], number(row["accuracy_paper"])]
        lines.append([*known, *_measured_cells(row), _difference(rows, row)])
    header = ["Row", "Method", "Network", "Printed", *MEASURED, "ETTFS gains"]
    sources = [f"{row['method']}: {row['source']}" for _, row in rows.iterrows() if pd.notna(row["source"]) and row["source"]]
    return [
        f"{OVER_SEEDS} *ETTFS gains*: its mean minus that of the row, with the same kind of network."
        " Methods of others run with our settings; where they stay below what is printed for them, that gain says little.",
        table(header, lines, f"rllr{ALIGNED}r"),
        f"The text lost the printed numbers. Those shown are from abstracts ({'; '.join(dict.fromkeys(sources))}).",
    ]


MEASURED, ALIGNED = ("Ours [95 %]", "Std", "Seeds", "Training images, epochs", "Test images", "Measured on"), "rrrrrl"


def _measured_cells(row: pd.Series) -> list[str]:
    """The cells under ``MEASURED``: the last is what a row was measured on, or why it was not."""
    if row["status"].startswith(NOT_RUN):
        return [*[DASH] * 5, plain(brief(row["status"]))]
    cells = [mean_over_seeds(row), number(row["std"]), str(seed_count(row))]
    cells += [f"{row['training_images']:,}, {row['epochs']}", f"{row['n_test']:,}"]
    if row["status"] == "stand-in":
        cells = [f"*{cells[0]}* †", *(f"*{cell}*" for cell in cells[1:])]
    return [*cells, f"`{row['architecture_used']}` on `{row['dataset_used']}`"]


def _difference(rows: pd.DataFrame, row: pd.Series) -> str:
    own = measured(rows)
    own = own[(own["method"] == "ETTFS") & (own["network"] == row["network"])]
    if own.empty or row["method"] == "ETTFS" or row["status"].startswith(NOT_RUN):
        return DASH
    return number(own.iloc[0]["snn_metric"] - row["snn_metric"], sign=True)


def table3(tables: Tables, profile: Profile) -> Body:
    """The four cells of the ablation and what each part is worth."""
    rows = tables["table3"]
    header = ["Row", "Initialisation", "Pooling", "Printed", *MEASURED]
    lines = [
        [
            str(row["row"]),
            {"yes": "ETTFS", "no": "Kaiming"}[row["initialization"]],
            {"yes": "average", "no": "max"}[row["average_pooling"]],
            number(row["accuracy_paper"]),
            *_measured_cells(row),
        ]
        for _, row in rows.iterrows()
    ]
    parts: list[str | Drawing] = [OVER_SEEDS, table(header, lines, f"rllr{ALIGNED}")]
    return [*parts, *_effects({"runs": tables["runs"]})]


def _effects(tables: Tables) -> list[str]:
    found: list[Effect] = []
    missing: dict[str, None] = {}
    for name in EFFECTS:
        try:
            found += effects(tables, name)
        except NotTested as reason:
            missing[str(reason)] = None
    if not found:
        return list(missing)
    lines = [
        [
            effect.name,
            f"{VARIANT_ROWS[effect.better]} against {VARIANT_ROWS[effect.worse]}",
            signed_interval(effect.gain),
            DASH if isnan(effect.p) else p_value(effect.p).removeprefix("p = ").removeprefix("p "),
            str(effect.seeds),
            number(effect.printed, sign=True),
        ]
        for effect in found
    ]
    header = ["Effect", "Rows", "Gain in points [95 %]", "p", "Seeds", "Printed"]
    return [
        "What each part is worth, paired over training seeds (two-sided t test; variants of a seed see the same batches):",
        table(header, lines, "llrrrr"),
    ]


def ties(tables: Tables, profile: Profile) -> Body:
    """Share of images whose highest score several classes share."""
    lines: list[list[str]] = []
    for title, name in (("I", "table1"), ("II", "table2"), ("III", "table3")):
        for _, row in measured(tables[name]).iterrows():
            what = VARIANTS[VARIANT_OF[row["initialization"], row["average_pooling"]]] if name == "table3" else row["method"]
            lines.append(
                [
                    f"{title}.{row['row']}",
                    what,
                    _marked(row),
                    f"{number(row['tied_percent'], 1)} %",
                    f"{number(row['silent_percent'], 1)} %",
                    f"{number(row['snn_metric'])} %",
                ]
            )
    if not lines:
        return [f"Not run: {reasons(pd.concat(frame['status'] for frame in tables.values()))}."]
    header = ["Row", "Variant", "Measured on", "Decided within a step", "No output spike", "Accuracy"]
    return [
        "An output neuron spikes at one of T steps or not at all, so that several classes often share the highest score. Among"
        " them the highest membrane potential at the spike wins. Output times of STDBP and TQ-TTFS are exact, so that no two are"
        " the same. Images without any output spike count as wrong for ETTFS; the other methods take a silent output neuron to"
        " fire after the last step, so that its potential then decides. S4NN's published code (github.com/SRKH/S4NN) counts an"
        " image as right where the label shares the earliest spike; here one class is named, so that the share of ties is the"
        " most that its way of counting could add.",
        table(header, lines, "lllrrr"),
    ]


# ---- before training --------------------------------------------------------------------------------------------------


def figure1(tables: Tables, profile: Profile) -> Body:
    """Firing and currents over depth."""
    rows = measured(tables["figure1"])
    return [
        "Every layer right after its initialisation, without a forced last spike. The derivation assumes that every neuron fires"
        " exactly once; where some stay silent, the variance falls below 1 with depth.",
        Drawing(
            "figure1",
            "Share of neurons that fire and variance of the currents over depth, both initialisations, one column per encoding",
            partial(figures.depth, rows),
        ),
        f"Share of neurons that fire, {_marked(rows.iloc[0])}:",
        _by_layer(rows, "fired", 3),
        "Variance of the currents:",
        _by_layer(rows, "current_variance", 3),
    ]


def _by_layer(rows: pd.DataFrame, value: str, decimals: int) -> str:
    cells = rows.pivot(index=["encoding", "initialization"], columns="layer", values=value)
    order = [(e, i) for e in dict.fromkeys(rows["encoding"]) for i in INITIALIZATIONS if (e, i) in cells.index]
    lines = [[e, INITIALIZATIONS[i], *(number(v, decimals) for v in cells.loc[(e, i)])] for e, i in order]
    return table(["Input", "Initialisation", *(f"layer {n}" for n in cells.columns)], lines, "ll" + "r" * len(cells.columns))


def figure2(tables: Tables, profile: Profile) -> Body:
    """Distribution of the potential."""
    rows = measured(tables["figure2"])
    return [
        f"{_marked(rows.iloc[0])}. The running sum of the currents in units of the threshold, over neurons, images and steps,"
        f" whether or not the neuron has fired. Logarithmic, so that the tails can be seen. {_beyond(rows)}",
        Drawing(
            "figure2",
            "Density of the membrane potential before firing, per layer and encoding, both initialisations, threshold marked",
            partial(figures.potentials, rows),
        ),
    ]


def _beyond(rows: pd.DataFrame) -> str:
    """How much lies in the open bins at the ends, which the figure leaves out."""
    low, high = rows["potential"].min(), rows["potential"].max()
    width = float(np.diff(np.sort(rows["potential"].unique())).min()) if low < high else 0.0
    ends = rows[rows["potential"].isin([low, high])]
    shares = ends.groupby(["encoding", "initialization", "layer"], sort=False, as_index=False)["density"].sum()
    most = shares.loc[shares["density"].idxmax()]
    where = f"{INITIALIZATIONS[most['initialization']]}, {most['encoding']} input, layer {most['layer']}"
    span = f"{number(low + width / 2, 0)} and {number(high - width / 2, 0)}"
    return f"Left out: what is beyond {span}, at most {number(100 * width * most['density'], 0)} % ({where})."


def figure5(tables: Tables, profile: Profile) -> Body:
    """Gradients before the first update."""
    rows = measured(tables["figure5"])
    parts: list[str | Drawing] = [
        "Size of the gradient of the loss with respect to each weight, before the first update, full backpropagation through"
        " time. Hollow markers at 0: the median is exactly 0, so that more than half of the layer's weights get no gradient.",
        Drawing(
            "figure5",
            "Median and mean size of the gradients per layer, both initialisations, one panel per encoding",
            partial(figures.gradients, rows),
        ),
    ]
    try:
        cells = gradient_ratios(tables)
    except NotTested as reason:
        return [*parts, str(reason)]
    layers = sorted(cells.index.get_level_values("layer").unique())
    lines = []
    for encoding in dict.fromkeys(rows["encoding"]):
        part = cells.xs(encoding, level="encoding") if encoding in cells.index.get_level_values("encoding") else cells.iloc[:0]
        for column, label in (("kaiming", "Kaiming"), ("ettfs", "ETTFS"), ("ratio", "**ratio**")):
            values = [part[column].get(layer, np.nan) for layer in layers]
            lines.append([encoding, label, *map(_factor if column == "ratio" else small, values)])
    return [
        *parts,
        f"Medians, {_marked(rows.iloc[0])}:",
        table(["Input", "Initialisation", *(f"layer {n}" for n in layers)], lines, "ll" + "r" * len(layers)),
    ]


# ---- over training ----------------------------------------------------------------------------------------------------


def figure4(tables: Tables, profile: Profile) -> Body:
    """Convergence of the five-layer network."""
    rows = measured(tables["figure4"])
    lines = []
    for encoding, name in product(dict.fromkeys(rows["encoding"]), INITIALIZATIONS):
        part = rows[(rows["encoding"] == encoding) & (rows["initialization"] == name)]
        if found := list(convergence(part, name).values()):
            last = part[part["epoch"] == part["epoch"].max()]
            reached = [each.crossing for each in found if each.crossing is not None]
            lines.append(
                [
                    str(encoding),
                    INITIALIZATIONS[name],
                    str(len(found)),
                    _spread([each.final for each in found]),
                    f"{ranges(reached)} ({len(reached)} of {len(found)})" if reached else "never",
                    _spread(list(last["validation_accuracy"])),
                ]
            )
    header = ["Input", "Initialisation", "Seeds", "Last training accuracy, %", f"{CONVERGED:.0f} % in epoch", "Validation, %"]
    return [
        "Accuracy and loss over the batches of each epoch, a line per seed. A training run of the five-layer network goes on even"
        " if layers are silent.",
        Drawing(
            "figure4",
            "Training accuracy and loss per epoch of a five-layer network: a row per encoding, a line per seed",
            partial(figures.convergence, rows),
        ),
        f"{_marked(rows.iloc[0])} (mean, lowest to highest seed):",
        table(header, lines, "llrrrr"),
    ]


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return number(values[0], 1)
    return f"{number(float(np.mean(values)), 1)} ({number(min(values), 1)} to {number(max(values), 1)})"


def figure8(tables: Tables, profile: Profile) -> Body:
    """Accuracy over training."""
    rows = measured(tables["figure8"])
    lines = [_epoch_line(epoch, rows[rows["epoch"] == epoch]) for epoch in _some(sorted(rows["epoch"].unique()))]
    header = ["After epoch", "Kaiming, %", "ETTFS, %", "ETTFS minus Kaiming [95 %]"]
    return [
        "On the validation images: the paper shows test accuracy, but a test set that is looked at after every epoch is none."
        " Images without an output spike count as wrong, so that a silent network is below chance.",
        Drawing(
            "figure8",
            "Validation accuracy per epoch, mean and standard deviation over seeds, both initialisations, and their difference",
            partial(figures.learning, rows),
        ),
        f"{_marked(rows.iloc[0])}, mean over seeds:",
        table(header, lines, "rrrr"),
    ]


def _some(epochs: Sequence[int]) -> list[int]:
    """The first epochs, then about every doubling, and the last."""
    shown = {1, 2, 3, 5, 10, 20, 50, 100, 200, 500, epochs[-1]}
    return [epoch for epoch in epochs if epoch in shown]


def _epoch_line(epoch: int, rows: pd.DataFrame) -> list[str]:
    cells = rows.pivot(index="seed", columns="initialization", values="validation_accuracy")
    columns = [cells[name].dropna() if name in cells else pd.Series(dtype="float64") for name in INITIALIZATIONS]
    means = [number(column.mean()) if len(column) else DASH for column in columns]
    pairs = pd.concat(columns, axis="columns", join="inner").to_numpy(dtype="float64")
    gain = signed_interval(paired_difference(pairs[:, 1], pairs[:, 0])[0]) if len(pairs) else DASH
    return [str(epoch), *means, gain]


def figure9(tables: Tables, profile: Profile) -> Body:
    """Firing over training."""
    rows = measured(tables["figure9"])
    first, last = rows["step"].min(), rows["step"].max()
    cells = rows.pivot(index="layer", columns=["initialization", "step"], values="firing")
    lines = []
    for layer, line in cells.iterrows():
        values = [[line.get((name, step), np.nan) for name in INITIALIZATIONS] for step in (first, last)]
        lines.append([str(layer), *(f"{number(k, 3)} / {number(e, 3)} ({_factor(ratio(e, k))})" for k, e in values)])
    return [
        "Share of neurons that fire at least once, on training batches. Step 0 is the first batch, before any update.",
        Drawing(
            "figure9",
            "Share of neurons that fire over training steps, a panel per layer, both initialisations",
            partial(figures.firing, rows),
        ),
        f"{_marked(rows.iloc[0])}, Kaiming / ETTFS (ratio):",
        table(["Layer", f"step {first}", f"step {last}"], lines, "rrr"),
    ]


def _factor(value: float) -> str:
    """A ratio with about three digits."""
    return "∞" if value == inf else f"{value:,.0f}" if value >= 1000 else small(value, 3)


# ---- decoding and the forced spike ------------------------------------------------------------------------------------


def decoders(tables: Tables, profile: Profile) -> Body:
    """Temporal weightings."""
    rows = measured(tables["decoders"])
    parts: list[str | Drawing] = [
        "The ablation that Section III-D announces and no table holds: the same network, seeds and softmax scale, trained with"
        " each weighting of the output spikes. With weights that decay over time the first output spike decides; with uniform"
        " weights every output neuron that fires counts the same, whenever it does.",
        Drawing(
            "decoders",
            "Accuracy over the mean step of the first output spike, a point per temporal weighting",
            partial(figures.decoders, rows),
        ),
    ]
    header = ["Weights", "Accuracy, % [95 %]", "Std", "First output spike", "Spikes per neuron", "Ties", "Silent"]
    for _, network in rows.groupby(["dataset", "network"], sort=False):
        chosen = chosen_exponential(list(network["decoder"]))
        lines = [
            [
                f"**{row['decoder']}**" if row["decoder"] == chosen else row["decoder"],
                mean_over_seeds(row),
                number(row["std"]),
                number(row["decision_step"], 3),
                number(row["spikes_per_neuron"], 3),
                f"{number(row['tied_percent'], 1)} %",
                f"{number(row['silent_percent'], 1)} %",
            ]
            for _, row in network.iterrows()
        ]
        seeds = count(max(seed_count(row) for _, row in network.iterrows()), "seed")
        bold = "; bold: the one that E14 compares with linear and uniform" if chosen else ""
        parts += [f"{_marked(network.iloc[0])}, {seeds}{bold}; ties: decided by the potential:", table(header, lines, "lrrrrrr")]
    return parts


def forced(tables: Tables, profile: Profile) -> Body:
    """The forced last spike."""
    rows = measured(tables["forced"])
    lines = [
        [
            _marked(row),
            {"forced": "with", "free": "without"}[row["trained"]],
            number(row["accuracy_forced"]),
            number(row["accuracy_free"]),
            signed_interval(Interval(row["gain_free"], row["gain_low"], row["gain_high"])),
            str(seed_count(row)),
        ]
        for _, row in rows.iterrows()
    ]
    header = ["Measured on", "Trained", "Run with, %", "Run without, %", "Gain by leaving it out [95 %]", "Seeds"]
    return [
        "A spike forced at step T makes every neuron fire exactly once, as the derivation assumes. The same trained networks, run"
        " with and without it on the same test images:",
        table(header, lines, "llrrrr"),
    ]


# ---- cost and runs ----------------------------------------------------------------------------------------------------


def cost(tables: Tables, profile: Profile) -> Body:
    """Spikes, latency and energy."""
    rows, spikes = measured(tables["cost"]), measured(tables["spike_times"])
    lines = [
        [
            _marked(row),
            _variant(row),
            str(row["timesteps"]),
            number(row["spikes_per_neuron"], 3),
            number(row["hidden_step"]),
            f"{number(row['decision_step'])} ({row['decision_p95']})",
            f"{row['acs']:,.0f} / {row['acs_exit']:,.0f}",
            f"{row['macs']:,.0f}",
            f"{small(row['energy_mj'] * 1000, 3)} / {small(row['energy_exit_mj'] * 1000, 3)}",
        ]
        for _, row in rows.iterrows()
    ]
    header = ["Measured on", "Variant", "T", "Spikes per neuron", "Hidden spikes at step", "First output spike (95 % by)"]
    header += ["ACs, all T / until decided", "MACs", "µJ, all T / until decided"]
    return [
        "Means per test image and over seeds. The decision falls with the first output spike, so that a run can stop there. Where"
        " the first layer sees pixels as constant currents, its multiply-accumulates (MACs) are computed once. 4.6 pJ per MAC,"
        " 0.9 pJ per accumulate (AC); average pooling is merged into the next layer. An image without an output spike counts as"
        " T + 1 steps. The paper prints none of this.",
        table(header, lines, "llrrrrrrr"),
        Drawing(
            "spike_times",
            "Share of test images by the step of their first output spike, per network and variant",
            partial(figures.decisions, spikes),
        ),
    ]


def runs(tables: Tables, profile: Profile) -> Body:
    """Every training run."""
    rows = measured(tables["runs"])
    path = f"results/{profile.name}/{PAPER}/runs.csv"
    lines = []
    for _, part in rows.groupby(["dataset", "network", "method", "variant"], sort=False):
        first, test = part.iloc[0], part["snn_metric"]
        span = f"{number(test.min())} to {number(test.max())}"
        means = [number(part[name].mean()) for name in ("validation", "train_accuracy")]
        lines.append([_marked(first), _variant(first), str(len(part)), number(test.mean()), span, *means])
    failed = tables["runs"][tables["runs"]["status"].str.startswith(NOT_RUN)]
    header = ["Measured on", "Variant", "Seeds", "Test, %", "Lowest to highest", "Validation, %", "Training, %"]
    parts: list[str | Drawing] = [
        f"{count(len(rows), 'run')}; each with its seed, interval over test images, validation and training accuracy in"
        f" [`{path}`](../../{path}).",
        Drawing("runs", "Test accuracy of every training run, a dot per seed", partial(figures.runs, rows)),
        table(header, lines, "llrrrrr"),
    ]
    return [*parts, f"Not run: {reasons(failed['status'])}."] if len(failed) else parts


def curves(tables: Tables, profile: Profile) -> Body:
    """Learning curves of every group of runs."""
    rows = measured(tables["curves"])
    return [
        "Whether training had settled. Images without an output spike count as wrong.",
        Drawing(
            "curves",
            "Validation accuracy per epoch of every method and variant, mean and range over seeds, a panel per network",
            partial(figures.curves, rows),
        ),
        _endings(rows),
    ]


def _endings(rows: pd.DataFrame) -> str:
    """Means over seeds after the last epoch and a tenth of the epochs before."""
    lines = []
    for _, part in rows.groupby(["dataset", "network", "method", "variant"], sort=False):
        last = int(part["epoch"].max())
        before = last - max(1, last // 10)
        values = [part[part["epoch"] == epoch]["validation_accuracy"].mean() for epoch in (before, last)]
        silent = part[part["epoch"] == last]["silent_percent"].mean()
        gain = f"{number(values[1] - values[0], sign=True)} since epoch {before}"
        lines.append([_marked(part.iloc[0]), _variant(part.iloc[0]), str(last), number(values[1]), gain, number(silent, 1)])
    header = ["Measured on", "Variant", "Epochs", "Validation, %", "Last tenth, points", "Silent, %"]
    return table(header, lines, "llrrrr")


# ---- analytic ---------------------------------------------------------------------------------------------------------


def analytic(tables: Tables, profile: Profile) -> Body:
    """Random stacks and pooled spikes."""
    rows = tables["analytic"]
    cases = rows["case"].str.extract(r"(?P<initialization>\w+), T = (?P<T>\d+), (?P<spike>[^,]+), layer (?P<layer>\d+)")
    stacks = rows.join(cases).dropna(subset=["layer"])
    parts: list[str] = ["No data: random linear layers with inputs that fire once at a random step, and pooled random spikes."]
    lines = []
    for timesteps in sorted(stacks["T"].astype(int).unique()):
        part = stacks[stacks["T"] == str(timesteps)]
        lines.append(
            [
                str(timesteps),
                _span(part[part["claim"] == "E01"]["value"] * timesteps / 2),
                _span(part[(part["claim"] == "E02") & part["quantity"].str.startswith("variance")]["value"]),
                _span(part[(part["claim"] == "E02") & part["quantity"].str.startswith("mean")]["value"]),
                *(_fires(part, name) for name in INITIALIZATIONS),
            ]
        )
    if lines:
        last = stacks["layer"].astype(int).max()
        header = ["T", "Kaiming: variance · T/2", "ETTFS: variance", "ETTFS: mean"]
        header += [f"{label}: fires in layer 1, {DEPTH}, {last}" for label in INITIALIZATIONS.values()]
        parts += [
            f"Variance and mean of the currents with the forced last spike, lowest to highest of layers 1-{last}; without it,"
            " share of neurons that fire:",
            table(header, lines, "rrrrrr"),
        ]
    pooled = [[str(r["quantity"]), str(r["case"]), f"{r['value']:g}"] for _, r in rows[rows["claim"] == "E08"].iterrows()]
    return [*parts, table(["Pooling of single-spike trains", "Case", "Value"], pooled, "llr")] if pooled else parts


def _span(values: pd.Series) -> str:
    return f"{number(values.min(), 3)} to {number(values.max(), 3)}" if len(values) else DASH


def _fires(part: pd.DataFrame, initialization: str) -> str:
    rows = part[(part["claim"] == "E03") & (part["initialization"] == initialization)]
    by = {int(layer): float(value) for layer, value in zip(rows["layer"], rows["value"], strict=True)}
    return ", ".join(number(by[n], 3) for n in dict.fromkeys([1, DEPTH, max(by)]) if n in by) if by else DASH


def _variant(row: pd.Series) -> str:
    return str(row["method"] if row["variant"] in ("both", "as published") else VARIANTS.get(row["variant"], row["variant"]))


def _marked(row: pd.Series) -> str:
    return f"*{measured_on(row)}* †" if row["status"] == "stand-in" else measured_on(row)


SECTIONS = (
    Section("How it was trained", ("runs",), training, always=True),
    Section("Table I: MNIST", ("table1",), partial(comparison, "table1"), always=True),
    Section("Table II: Fashion-MNIST", ("table2",), partial(comparison, "table2"), always=True),
    Section("Table III: initialisation and average pooling", ("table3", "runs"), table3),
    Section("What decides ties", ("table1", "table2", "table3"), ties, always=True),
    Section("Figure 1: firing over depth, before training", ("figure1",), figure1),
    Section("Figure 2: membrane potentials, before training", ("figure2",), figure2),
    Section("Figure 4: convergence of a five-layer network", ("figure4",), figure4),
    Section("Figure 5: gradients before training", ("figure5",), figure5),
    Section("Figure 8: accuracy over training", ("figure8",), figure8),
    Section("Figure 9: firing over training", ("figure9",), figure9),
    Section("Temporal weighting", ("decoders",), decoders),
    Section("The forced last spike", ("forced",), forced),
    Section("Spikes, latency and energy", ("cost", "spike_times"), cost),
    Section("Every training run", ("runs",), runs),
    Section("Learning curves", ("curves",), curves),
    Section("Analytic claims", ("analytic",), analytic),
)
