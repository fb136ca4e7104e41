"""The paper's tables and figures, and what each row needs measured.

Every table rests on training runs; a run that two tables name is trained once. ``runs`` has one line per run with its
correctness per image, from which all means over seeds follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import dataset_spec
from benchmarks.errors import NotAvailable
from benchmarks.ettfs import analytic
from benchmarks.ettfs.settings import PAPER, SECTIONS, VARIANT_OF, VARIANTS, Choice, choice, choices, settings
from benchmarks.measurements.base import Arrays
from benchmarks.measurements.direct_training import DirectTraining
from benchmarks.measurements.initial_state import BINS, HIGH, LOW, InitialState
from benchmarks.profiles import Profile
from benchmarks.tables.analytic import analytic_rows, analytic_schema
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.energy import ACS
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.statistics import over_seeds
from benchmarks.tables.sweeps import Fill, printed_rows
from benchmarks.training import recipe
from snncore.energy import TMN_TABLE, Operations

Options = tuple[tuple[str, Any], ...]
DEEP_LAYOUT_NETWORK = "deep SMLP"
"""The five-layer network of Figure 4."""

VARIANT_OPTIONS: dict[str, Options] = {name: tuple(options.items()) for name, options in VARIANTS.items()}
INITIALIZATIONS = {"kaiming": VARIANT_OPTIONS["no init"], "ettfs": VARIANT_OPTIONS["both"]}


def trainings(
    chosen: Choice, method: str, options: Options = (), tolerant: bool = False, seeds: list[int] | None = None
) -> tuple[DirectTraining, ...]:
    """The training runs of a method on a network, one per seed; by default all seeds of the profile.

    Raises NotAvailable where the profile gives the method no recipe, and for Kaiming's initialisation where it is the paper's.
    """
    if method not in chosen.recipes:
        raise NotAvailable(f"the profile has no recipe for {method} on {chosen.paper_dataset} {chosen.network}")
    name = chosen.recipes[method]
    if dict(options).get("initialization") == "kaiming" and recipe(name).options["timesteps"] == 2:
        raise NotAvailable("at T = 2 the paper's initialisation is Kaiming's: both draw weights of variance 2/N")
    images = chosen.validation, chosen.training
    return tuple(
        DirectTraining(chosen.dataset, seed, chosen.layout, method, name, options, *images, tolerant)
        for seed in seeds or chosen.seeds_of(method)
    )


Part = tuple[Values, Choice, Fill, tuple[DirectTraining, ...]]
"""Of a row: the key, the network, what fills the line without its status, and the training runs."""


def _rows(parts: Iterable[Part], unmeasured: Values | None = None) -> list[Row]:
    return [_row(number, *part, unmeasured or {}) for number, part in enumerate(parts, start=1)]


def _row(
    number: int, key: Values, chosen: Choice, fill: Fill, runs: tuple[DirectTraining, ...], unmeasured: Mapping[str, Any]
) -> Row:
    filled = partial(_finished, _status(chosen.dataset, chosen.layout, chosen.stand_in), fill, unmeasured)
    return Row(number, key, filled, runs, unmeasured=dict(unmeasured))


def _finished(status: Values, fill: Fill, unmeasured: Mapping[str, Any], arrays: list[Arrays]) -> list[Values]:
    """What ``fill`` makes of the runs, or the reason where one of them failed."""
    for each in arrays:
        if "failed" in each and str(each["failed"]):
            return [{**unmeasured, "status": f"not run: training failed: {each['failed']}"}]
    return [line | status for line in fill(arrays)]


def _status(dataset: str, layout: str, stand_in: bool) -> Values:
    return {"dataset_used": dataset, "architecture_used": layout, "status": "stand-in" if stand_in else "measured"}


def _accuracies(arrays: list[Arrays], name: str = "correct") -> NDArray[np.float64]:
    """Test accuracy in percent of every run."""
    return np.array([100 * each[name].mean() for each in arrays])


def _mean(values: Iterable[Any]) -> float:
    return float(np.mean(list(values)))


# ---- columns that several tables share --------------------------------------------------------------------------------


def _percent(name: str, doc: str, rtol: float = 1e-2, atol: float = 0.0) -> Column:
    return Column(name, "float", 3, minimum=0, maximum=100, doc=doc, rtol=rtol, atol=atol)


def _share(name: str, doc: str, atol: float = 1e-3, rtol: float = 1e-2) -> Column:
    return Column(name, "float", 5, minimum=0, maximum=1, doc=doc, rtol=rtol, atol=atol)


def _table(name: str, keys: Sequence[Column], *measures: Column, version: int = 1, optional: tuple[str, ...] = ()) -> TableSchema:
    return TableSchema(name, version, tuple(keys), (*measures, *STATUS_COLUMNS), optional=optional)


NETWORK_KEYS = (Column("dataset", "text", nullable=False), Column("network", "text", nullable=False))
RUN_KEYS = (
    *NETWORK_KEYS,
    Column("method", "text", nullable=False),
    Column("variant", "text", nullable=False, doc="what of ETTFS is on"),
)
SEED = Column("seed", "int", nullable=False, minimum=0)
EPOCH = Column("epoch", "int", nullable=False, minimum=0, doc="0 is before training")
LAYER = Column("layer", "int", nullable=False, minimum=1)
INITIALIZATION = Column("initialization", "text", nullable=False, choices=("kaiming", "ettfs"))
ENCODING = Column("encoding", "text", nullable=False, doc="direct: constant currents; latency, random: one spike per input")
T = Column("timesteps", "int", minimum=1, doc="T")
SEEDS = Column("seeds", "text", doc="training seeds")
N_TEST = Column("n_test", "int", minimum=1)
VALIDATION = _percent("validation", "accuracy on the validation images, mean over the seeds of a row")
DECISION = Column("decision_step", "float", 3, minimum=1, doc="mean step of the first output spike; T + 1 if silent")
SPIKES = Column("spikes_per_neuron", "float", 4, minimum=0, maximum=1, doc="mean over all neurons and images")
EFFORT = (
    Column("training_images", "int", minimum=1, doc="images that a network was trained on"),
    Column("epochs", "int", minimum=1),
)
SEED_COLUMNS = (
    T,
    SEEDS,
    _percent("snn_metric", "test accuracy in %, mean over seeds"),
    Column("std", "float", 3, minimum=0, rtol=5e-2, doc="its standard deviation over seeds, in points"),
    Column("ci95_low", "float", 3, doc="95 % interval of the mean over seeds (Student's t)"),
    Column("ci95_high", "float", 3, doc="its upper end"),
    VALIDATION,
    DECISION,
    SPIKES,
    _percent("tied_percent", "images with several first classes", rtol=5e-2),
    _percent("silent_percent", "images without an output spike", rtol=5e-2),
    *EFFORT,
    N_TEST,
)
CURVE_COLUMNS = (
    Column("train_loss", "float", 5, minimum=0, doc="mean over the batches of the epoch; empty before training"),
    _percent("train_accuracy", "% over the batches of the epoch"),
    Column("validation_loss", "float", 5, minimum=0),
    _percent("validation_accuracy", "%"),
    _percent("silent_percent", "images without an output spike", atol=0.5),
    _share("firing_last_hidden", "share of neurons that fire"),
)
SINGLE = ("std", "ci95_low", "ci95_high")
"""Columns that are empty for a single seed."""
UNTRAINED = ("train_loss", "train_accuracy")
"""Columns that are empty before training."""


# ---- Tables I, II and III: mean over seeds ----------------------------------------------------------------------------

FILLED = ("row", "dataset", "method", "network", "initialization", "average_pooling")
TABLE1, TABLE2, TABLE3 = (
    _table(name, published_keys(PAPER, name, FILLED), *SEED_COLUMNS, optional=SINGLE) for name in ("table1", "table2", "table3")
)


def _printed(schema: TableSchema, profile: Profile) -> list[Row]:
    return printed_rows(PAPER, schema.name, schema.keys, partial(_printed_row, profile, schema.name))


def _printed_row(profile: Profile, table: str, number: int, key: Values) -> Row:
    ablated = settings(profile, table) if table in SECTIONS else {}
    method = key["method"]
    try:
        chosen = choice(profile, key["dataset"], ablated["network"][1] if ablated else key["network"]).of(method)
        variant = VARIANT_OF[key["initialization"], key["average_pooling"]] if "initialization" in key else "both"
        if ablated and variant not in ablated["variants"]:
            raise NotAvailable("the profile leaves this variant out, for time")
        group = trainings(chosen, method, VARIANT_OPTIONS[variant])
    except NotAvailable as error:
        return Row(number, key, reason=str(error))
    return _row(number, key, chosen, partial(_summary, chosen.seeds_of(method)), group, {})


def _summary(seeds: list[int], arrays: list[Arrays]) -> list[Values]:
    interval, deviation = over_seeds(_accuracies(arrays))
    count = len(arrays[0]["correct"])
    return [
        {
            "timesteps": arrays[0]["spike_steps"].shape[1] - 1,
            "seeds": ", ".join(map(str, seeds)),
            "snn_metric": interval.estimate,
            "std": deviation,
            "ci95_low": interval.low,
            "ci95_high": interval.high,
            "validation": _mean(each["validation_accuracy"][-1] for each in arrays),
            "decision_step": _mean(each["decision"].mean() for each in arrays),
            "spikes_per_neuron": _mean(map(_spikes_per_neuron, arrays)),
            "tied_percent": _mean(100 * each["tied"] / count for each in arrays),
            "silent_percent": _mean(100 * each["silent"] / count for each in arrays),
            "training_images": int(arrays[0]["training_images"]),
            "epochs": len(arrays[0]["train_loss"]),
            "n_test": count,
        }
    ]


def _spikes_per_neuron(arrays: Arrays) -> float:
    steps = arrays["spike_steps"]
    return float(steps[:, :-1].sum() / steps.sum())


# ---- Decoders and the forced spike ------------------------------------------------------------------------------------

DECODERS = _table("decoders", (*NETWORK_KEYS, Column("decoder", "text", nullable=False)), *SEED_COLUMNS, optional=SINGLE)
FORCED = _table(
    "forced",
    (*NETWORK_KEYS, Column("trained", "text", nullable=False, choices=("forced", "free"))),
    SEEDS,
    _percent("accuracy_forced", "% with the forced last spike"),
    _percent("accuracy_free", "% without it"),
    Column("gain_free", "float", 3, atol=0.05, doc="points gained by dropping it, mean over seeds"),
    Column("gain_low", "float", 3, atol=0.1, doc="95 % interval over seeds"),
    Column("gain_high", "float", 3, atol=0.1),
    N_TEST,
    optional=("gain_low", "gain_high"),
)


def _named(profile: Profile, artifact: str) -> list[tuple[Values, Choice]]:
    """The networks that the profile names for an artifact, each with its key."""
    names = settings(profile, artifact).get("networks", [])
    return [({"dataset": dataset, "network": network}, choice(profile, dataset, network)) for dataset, network in names]


def decoders(profile: Profile) -> list[Row]:
    """Temporal weightings on the same network: the ablation that Sec. III-D announces and no table holds."""
    found = settings(profile, "decoders")
    return _rows(
        (key | {"decoder": decoder}, chosen, partial(_summary, found["seeds"]), group)
        for key, chosen in _named(profile, "decoders")
        for decoder in found["decoders"]
        for group in [trainings(chosen, "ETTFS", (("decoder", decoder),), seeds=found["seeds"])]
    )


def forced(profile: Profile) -> list[Row]:
    """Networks trained with and without the forced last spike, each run with and without it."""
    options: dict[str, Options] = {"forced": (("forced_spike", True),), "free": ()}
    return _rows(
        (key | {"trained": name}, chosen, partial(_forced, chosen.seeds_of("ETTFS"), name), trainings(chosen, "ETTFS", given))
        for key, chosen in _named(profile, "forced")
        for name, given in options.items()
    )


def _forced(seeds: list[int], trained: str, arrays: list[Arrays]) -> list[Values]:
    same, other = _accuracies(arrays), _accuracies(arrays, "correct_other")
    with_spike, without = (same, other) if trained == "forced" else (other, same)
    gain, _ = over_seeds(without - with_spike)
    return [
        {
            "seeds": ", ".join(map(str, seeds)),
            "accuracy_forced": float(with_spike.mean()),
            "accuracy_free": float(without.mean()),
            "gain_free": gain.estimate,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "n_test": len(arrays[0]["correct"]),
        }
    ]


# ---- Every run, its cost and its spike times --------------------------------------------------------------------------

RUNS = _table(
    "runs",
    (*RUN_KEYS, SEED),
    Column("snn_metric", "float", minimum=0, maximum=100, doc="test accuracy in %"),
    N_TEST,
    Column("ci95_low", "float", doc="Wilson's 95 % interval over test images"),
    Column("ci95_high", "float"),
    VALIDATION,
    _percent("train_accuracy", "over the batches of the last epoch"),
    *EFFORT,
    DECISION,
)
COST = _table(
    "cost",
    RUN_KEYS,
    T,
    SPIKES,
    Column("hidden_step", "float", 3, minimum=1, doc="mean step of hidden spikes"),
    DECISION,
    Column("decision_p95", "int", minimum=1, doc="step by which 95 % of the images are decided"),
    ACS,
    Column("acs_exit", "sci", 4, minimum=0, doc="accumulates per image until the first output spike"),
    Column("macs", "sci", 4, minimum=0, doc="multiply-accumulates per image: analog first layer, computed once"),
    Column("energy_mj", "sci", 4, minimum=0, doc="mJ per image at 4.6 pJ per MAC, 0.9 pJ per AC"),
    Column("energy_exit_mj", "sci", 4, minimum=0, doc="the same with early exit"),
    N_TEST,
)
SPIKE_TIMES = _table(
    "spike_times",
    (
        *RUN_KEYS,
        Column("layer", "int", nullable=False, minimum=0, doc="1 is the first; 0 is the first spike of any output neuron"),
        Column("step", "int", nullable=False, minimum=1, doc="T + 1: no spike"),
    ),
    _share("share", "of neurons times images", rtol=5e-2),
)


def named_runs(profile: Profile) -> list[tuple[Choice, str, str, tuple[DirectTraining, ...]]]:
    """Every group of runs of Tables I to III: network, method, variant, one run per seed."""
    groups = []
    ablated = settings(profile, "table3")
    for chosen in choices(profile):
        if chosen.network == DEEP_LAYOUT_NETWORK:
            continue
        for method in chosen.recipes:
            own = chosen.of(method)
            groups.append((own, method, "both" if method == "ETTFS" else "as published", trainings(own, method)))
        if [chosen.paper_dataset, chosen.network] == ablated.get("network"):
            for variant, options in list(VARIANT_OPTIONS.items())[1:]:
                if variant in ablated["variants"]:
                    with suppress(NotAvailable):  # Table III's row says why
                        groups.append((chosen, "ETTFS", variant, trainings(chosen, "ETTFS", options)))
    return groups


def _keyed(profile: Profile) -> Iterator[tuple[Values, Choice, tuple[DirectTraining, ...]]]:
    for chosen, method, variant, group in named_runs(profile):
        network = {"dataset": chosen.paper_dataset, "network": chosen.network}
        yield network | {"method": method, "variant": variant}, chosen, group


def runs(profile: Profile) -> list[Row]:
    """One line per training run, with correctness per test image."""
    return _rows((key | {"seed": run.seed}, chosen, _single, (run,)) for key, chosen, group in _keyed(profile) for run in group)


def _single(arrays: list[Arrays]) -> list[Values]:
    (each,) = arrays
    return [
        {
            CORRECT: (None, each["correct"]),
            "validation": float(each["validation_accuracy"][-1]),
            "train_accuracy": float(each["train_accuracy"][-1]),
            "training_images": int(each["training_images"]),
            "epochs": len(each["train_loss"]),
            "decision_step": float(each["decision"].mean()),
        }
    ]


def cost(profile: Profile) -> list[Row]:
    """Spikes, latency with early exit, operations and energy per image of every group of runs."""
    return _rows((key, chosen, _cost, group) for key, chosen, group in _keyed(profile))


def _cost(arrays: list[Arrays]) -> list[Values]:
    count = len(arrays[0]["correct"])
    acs, exits = np.mean([each["accumulates"] for each in arrays], axis=0) / count
    macs = _mean(each["multiplications"] for each in arrays) / count
    steps = np.sum([each["spike_steps"] for each in arrays], axis=0)
    timesteps = steps.shape[1] - 1
    hidden = steps[:-1, :-1].sum(0)
    decision = np.concatenate([each["decision"] for each in arrays])
    return [
        {
            "timesteps": timesteps,
            "spikes_per_neuron": _mean(map(_spikes_per_neuron, arrays)),
            "hidden_step": float((hidden * np.arange(1, timesteps + 1)).sum() / hidden.sum()),
            "decision_step": float(decision.mean()),
            "decision_p95": int(np.percentile(decision, 95, method="inverted_cdf")),
            "acs": float(acs),
            "acs_exit": float(exits),
            "macs": macs,
            "energy_mj": TMN_TABLE.millijoules(Operations(macs, float(acs))),
            "energy_exit_mj": TMN_TABLE.millijoules(Operations(macs, float(exits))),
            "n_test": count,
        }
    ]


def spike_times(profile: Profile) -> list[Row]:
    """Distribution of spike times after training, by layer, and of the decision (layer 0)."""
    own = ((key, chosen, _times, group) for key, chosen, group in _keyed(profile) if key["method"] == "ETTFS")
    return _rows(own, {"layer": 0, "step": 1})


def _times(arrays: list[Arrays]) -> list[Values]:
    steps = np.sum([each["spike_steps"] for each in arrays], axis=0)  # [L, T + 1]
    decision = np.concatenate([each["decision"] for each in arrays])
    decided = np.bincount(decision, minlength=steps.shape[1] + 1)[1:].astype(np.float64)
    return [
        {"layer": layer, "step": step, "share": float(share)}
        for layer, counts in enumerate([decided, *steps])
        for step, share in enumerate(counts / counts.sum(), start=1)
    ]


# ---- Figures 4, 8 and 9: over training --------------------------------------------------------------------------------

CURVES = _table("curves", (*RUN_KEYS, SEED, EPOCH), *CURVE_COLUMNS, optional=UNTRAINED)
FIGURE4 = _table("figure4", (ENCODING, INITIALIZATION, SEED, EPOCH), *CURVE_COLUMNS, version=2, optional=UNTRAINED)
FIGURE8 = _table("figure8", (INITIALIZATION, SEED, EPOCH), *CURVE_COLUMNS, optional=UNTRAINED)
FIGURE9 = _table(
    "figure9",
    (INITIALIZATION, LAYER, Column("step", "int", nullable=False, minimum=0, doc="training step; 0 is the first batch")),
    _share("firing", "share of neurons that fire"),
)


def learning_curves(profile: Profile) -> list[Row]:
    """Loss, accuracy and firing rate after every epoch of every run of Tables I to III."""
    return _curves(_keyed(profile))


def figure4(profile: Profile) -> list[Row]:
    """Curves of a network of five layers, which goes on although layers are silent."""
    found = settings(profile, "figure4")
    return _curves(
        ({"encoding": encoding, "initialization": name}, chosen, trainings(chosen, "ETTFS", options + coded, tolerant=True))
        for encoding in found.get("encodings", [])
        for chosen in [choice(profile, *found["network"])]
        for coded in [() if encoding == "direct" else (("encoding", encoding),)]
        for name, options in INITIALIZATIONS.items()
    )


def figure8(profile: Profile) -> list[Row]:
    """Curves of Table III's networks with average pooling."""
    groups, reason = _initialized(profile)
    key = {"initialization": "kaiming", "seed": 0}
    return [Row(1, key, reason=reason, unmeasured={"epoch": 0})] if reason else _curves(groups)


def figure9(profile: Profile) -> list[Row]:
    """Share of neurons that fire over training steps, for both initialisations: mean over seeds, by layer."""
    groups, reason = _initialized(profile)
    unmeasured = {"layer": 1, "step": 0}
    if reason:
        return [Row(1, {"initialization": "kaiming"}, reason=reason, unmeasured=unmeasured)]
    return _rows(((key, chosen, _steps, group) for key, chosen, group in groups), unmeasured)


def _initialized(profile: Profile) -> tuple[list[tuple[Values, Choice, tuple[DirectTraining, ...]]], str]:
    """The runs of Table III's network with average pooling, and why there are none."""
    if not (found := settings(profile, "table3")):
        return [], ""
    chosen = choice(profile, *found["network"])
    try:
        made = {name: trainings(chosen, "ETTFS", options) for name, options in INITIALIZATIONS.items()}
    except NotAvailable as error:
        return [], str(error)
    return [({"initialization": name}, chosen, group) for name, group in made.items()], ""


def _curves(groups: Iterable[tuple[Values, Choice, tuple[DirectTraining, ...]]]) -> list[Row]:
    """A row per run, with a line per epoch."""
    each = ((key | {"seed": run.seed}, chosen, _epochs, (run,)) for key, chosen, group in groups for run in group)
    return _rows(each, {"epoch": 0})


def _epochs(arrays: list[Arrays]) -> list[Values]:
    (each,) = arrays
    return [
        {
            "epoch": epoch,
            "train_loss": float(each["train_loss"][epoch - 1]) if epoch else np.nan,
            "train_accuracy": float(each["train_accuracy"][epoch - 1]) if epoch else np.nan,
            "validation_loss": float(each["validation_loss"][epoch]),
            "validation_accuracy": float(each["validation_accuracy"][epoch]),
            "silent_percent": float(each["validation_silent"][epoch]),
            "firing_last_hidden": float(each["firing"][epoch][-2]),
        }
        for epoch in range(len(each["validation_loss"]))
    ]


def _steps(arrays: list[Arrays]) -> list[Values]:
    firing = np.mean([each["step_firing"] for each in arrays], axis=0)  # [K, L]
    return [
        {"layer": layer, "step": int(step), "firing": float(share)}
        for layer, shares in enumerate(firing.T, start=1)
        for step, share in zip(arrays[0]["step"], shares, strict=True)
    ]


# ---- Figures 1, 2 and 5: before training ------------------------------------------------------------------------------

FIGURE1 = _table(
    "figure1",
    (ENCODING, INITIALIZATION, LAYER),
    _share("fired", "share of neurons that fire", atol=1e-4),
    Column("mean", "float", 4, atol=1e-3, doc="membrane potential before firing, in units of the threshold"),
    Column("variance", "float", 4, minimum=0, atol=1e-3, doc="of the potential over neurons, images and steps"),
    Column("current_variance", "float", 5, minimum=0, atol=1e-4, doc="Var(X[t]), which ETTFS sets to 1"),
)
POTENTIAL = Column("potential", "float", 4, nullable=False, doc="middle of the bin, in thresholds; ends are open")
FIGURE2 = _table(
    "figure2", (ENCODING, INITIALIZATION, LAYER, POTENTIAL), Column("density", "float", 5, minimum=0, rtol=5e-2, atol=1e-3)
)
FIGURE5 = _table(
    "figure5",
    (ENCODING, INITIALIZATION, LAYER),
    Column("median", "sci", 3, minimum=0, doc="median |dL/dw| over the weights of the layer, one batch"),
    Column("mean", "sci", 3, minimum=0, doc="mean |dL/dw|"),
)


def _initial(fill: Callable[[Arrays], Iterable[Values]], profile: Profile) -> list[Row]:
    """Rows of the profile's untrained network in each encoding and initialisation."""
    found = settings(profile, "initial")
    states = [
        InitialState(found["dataset"], 0, found["layout"], found["timesteps"], name, encoding, images=found["images"])
        for encoding in found.get("encodings", [])
        for name in INITIALIZATIONS
    ]
    keys = [{"encoding": state.encoding, "initialization": state.initialization} for state in states]
    return [
        Row(number, key, partial(_before, fill, state), (state,), unmeasured={"layer": 1})
        for number, (key, state) in enumerate(zip(keys, states, strict=True), start=1)
    ]


def _before(fill: Callable[[Arrays], Iterable[Values]], state: InitialState, arrays: list[Arrays]) -> list[Values]:
    stand_in = dataset_spec(state.dataset).paper_name != "Fashion-MNIST"  # the data set of Figures 1, 2 and 5
    return [line | _status(state.dataset, state.layout, stand_in) for line in fill(arrays[0])]


def _layers(columns: Mapping[str, str], arrays: Arrays) -> Iterator[Values]:
    """``columns``: column -> array with an entry per layer."""
    for layer, values in enumerate(zip(*(arrays[name] for name in columns.values()), strict=True), start=1):
        yield {"layer": layer} | dict(zip(columns, map(float, values), strict=True))


def _densities(arrays: Arrays) -> Iterator[Values]:
    width = (HIGH - LOW) / BINS
    for layer, counts in enumerate(arrays["potential"], start=1):
        for index, count in enumerate(counts):
            yield {"layer": layer, "potential": LOW + (index + 0.5) * width, "density": float(count / counts.sum() / width)}


STATE = partial(_layers, {name: name for name in ("fired", "mean", "variance", "current_variance")})
GRADIENTS = partial(_layers, {"median": "gradient", "mean": "gradient_mean"})
ANALYTIC = analytic_schema(Column("value", "float", 5, doc="see quantity", rtol=1e-6, atol=1e-5))


def analytic_claims(profile: Profile) -> list[Row]:
    """Random stacks and random spikes; no data."""
    return analytic_rows(analytic.cases(settings(profile, "stacks")))


ARTIFACTS = (
    Artifact("table1", "Table I: MNIST", TABLE1, partial(_printed, TABLE1)),
    Artifact("table2", "Table II: Fashion-MNIST", TABLE2, partial(_printed, TABLE2)),
    Artifact("table3", "Table III: initialisation and pooling", TABLE3, partial(_printed, TABLE3)),
    Artifact("runs", "Every training run (not printed)", RUNS, runs),
    Artifact("curves", "Learning curves of every run (not printed)", CURVES, learning_curves),
    Artifact("decoders", "Temporal weightings (announced in Sec. III-D, not printed)", DECODERS, decoders),
    Artifact("forced", "The forced last spike (Sec. III-C, not printed)", FORCED, forced),
    Artifact("cost", "Spikes, latency and energy (not printed)", COST, cost),
    Artifact("spike_times", "Spike times after training (not printed)", SPIKE_TIMES, spike_times),
    Artifact("figure1", "Figure 1: firing rate and potential over depth", FIGURE1, partial(_initial, STATE)),
    Artifact("figure2", "Figure 2: distribution of the potential", FIGURE2, partial(_initial, _densities)),
    Artifact("figure4", "Figure 4: convergence of a five-layer network", FIGURE4, figure4),
    Artifact("figure5", "Figure 5: gradients before training", FIGURE5, partial(_initial, GRADIENTS)),
    Artifact("figure8", "Figure 8: accuracy over training, SCNN", FIGURE8, figure8),
    Artifact("figure9", "Figure 9: firing rate over training, SCNN", FIGURE9, figure9),
    Artifact("analytic", "Analytic claims", ANALYTIC, analytic_claims),
)
