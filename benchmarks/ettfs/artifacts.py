"""The paper's tables and figures, and what each row needs measured.

Every table rests on training runs; a run that two tables name is trained once. ``runs`` has one line per run with its
correctness per image, from which all means over seeds follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.data import dataset_spec
from benchmarks.errors import NotAvailable
from benchmarks.ettfs import analytic
from benchmarks.ettfs.settings import PAPER, VARIANTS, choice, choices, settings, variant_of
from benchmarks.measurements.base import Arrays
from benchmarks.measurements.direct_training import DirectTraining
from benchmarks.measurements.initial_state import BINS, HIGH, LOW, InitialState
from benchmarks.profiles import Profile
from benchmarks.tables.analytic import analytic_rows, analytic_schema
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.energy import ACS
from benchmarks.tables.runs import Found, KeyedFill, Runs, over_runs, ran, rows_of_runs
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.statistics import over_seeds
from benchmarks.tables.sweeps import printed_rows
from benchmarks.training import recipe
from snncore.energy import TMN_TABLE, Operations

# ---- tables -----------------------------------------------------------------------------------------------------------

INITIALIZATIONS = {"kaiming": "no init", "ettfs": "both"}
"""Name -> variant of Table III."""


def _key(name: str, doc: str = "", **limits: Any) -> Column:
    return Column(name, "int" if "minimum" in limits else "text", nullable=False, doc=doc, **limits)


def _percent(name: str, doc: str, rtol: float = 1e-2, atol: float = 0.0) -> Column:
    return Column(name, "float", 3, minimum=0, maximum=100, doc=doc, rtol=rtol, atol=atol)


def _share(name: str, doc: str, rtol: float = 1e-2, atol: float = 1e-3) -> Column:
    return Column(name, "float", 5, minimum=0, maximum=1, doc=doc, rtol=rtol, atol=atol)


def _table(name: str, keys: Sequence[Column], *measures: Column, version: int = 1, optional: tuple[str, ...] = ()) -> TableSchema:
    return TableSchema(name, version, tuple(keys), (*measures, *STATUS_COLUMNS), optional=optional)


NETWORK = (_key("dataset"), _key("network"))
RUN = (*NETWORK, _key("method"), _key("variant", "what of ETTFS is on"))
SEED, EPOCH = _key("seed", minimum=0), _key("epoch", "0 is before training", minimum=0)
ENCODING = _key("encoding", "direct: constant currents; latency, random: one spike per input")
INITIALIZATION, LAYER = _key("initialization", choices=tuple(INITIALIZATIONS)), _key("layer", minimum=1)
STATE = (ENCODING, INITIALIZATION, LAYER)
T, N_TEST = Column("timesteps", "int", minimum=1, doc="T"), Column("n_test", "int", minimum=1)
SEEDS = Column("seeds", "text", doc="training seeds")
VALIDATION = _percent("validation", "accuracy on the validation images, mean over the seeds of a row")
DECISION = Column("decision_step", "float", 3, minimum=1, doc="mean step of the first output spike; T + 1 if silent")
SPIKES = Column("spikes_per_neuron", "float", 4, minimum=0, maximum=1, doc="mean over all neurons and images")
TRAINED_ON = Column("training_images", "int", minimum=1, doc="images that a network was trained on")
EFFORT = (TRAINED_ON, Column("epochs", "int", minimum=1))
OVER_SEEDS = (
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
OVER_EPOCHS = (
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
FILLED = ("row", "dataset", "method", "network", "initialization", "average_pooling")
TABLE1, TABLE2, TABLE3 = (
    _table(name, published_keys(PAPER, name, FILLED), *OVER_SEEDS, optional=SINGLE) for name in ("table1", "table2", "table3")
)
DECODERS = _table("decoders", (*NETWORK, _key("decoder")), *OVER_SEEDS, optional=SINGLE)
FORCED = _table(
    "forced",
    (*NETWORK, _key("trained", choices=("forced", "free"))),
    SEEDS,
    _percent("accuracy_forced", "% with the forced last spike"),
    _percent("accuracy_free", "% without it"),
    Column("gain_free", "float", 3, atol=0.05, doc="points gained by dropping it, mean over seeds"),
    Column("gain_low", "float", 3, atol=0.1, doc="95 % interval over seeds"),
    Column("gain_high", "float", 3, atol=0.1),
    N_TEST,
    optional=("gain_low", "gain_high"),
)
RUNS = _table(
    "runs",
    (*RUN, SEED),
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
    RUN,
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
    (*RUN, _key("layer", "0 is the first spike of any output neuron", minimum=0), _key("step", "T + 1: no spike", minimum=1)),
    _share("share", "of neurons times images", rtol=5e-2),
)
CURVES = _table("curves", (*RUN, SEED, EPOCH), *OVER_EPOCHS, optional=UNTRAINED)
FIGURE4 = _table("figure4", (ENCODING, INITIALIZATION, SEED, EPOCH), *OVER_EPOCHS, version=2, optional=UNTRAINED)
FIGURE8 = _table("figure8", (INITIALIZATION, SEED, EPOCH), *OVER_EPOCHS, optional=UNTRAINED)
STEP = _key("step", "training step; 0 is the first batch", minimum=0)
FIGURE9 = _table("figure9", (INITIALIZATION, LAYER, STEP), _share("firing", "share of neurons that fire"))
FIGURE1 = _table(
    "figure1",
    STATE,
    _share("fired", "share of neurons that fire", atol=1e-4),
    Column("mean", "float", 4, atol=1e-3, doc="membrane potential before firing, in units of the threshold"),
    Column("variance", "float", 4, minimum=0, atol=1e-3, doc="of the potential over neurons, images and steps"),
    Column("current_variance", "float", 5, minimum=0, atol=1e-4, doc="Var(X[t]), which ETTFS sets to 1"),
)
POTENTIAL = Column("potential", "float", 4, nullable=False, doc="middle of the bin, in thresholds; ends are open")
FIGURE2 = _table("figure2", (*STATE, POTENTIAL), Column("density", "float", 5, minimum=0, rtol=5e-2, atol=1e-3))
FIGURE5 = _table(
    "figure5",
    STATE,
    Column("median", "sci", 3, minimum=0, doc="median |dL/dw| over the weights of the layer, one batch"),
    Column("mean", "sci", 3, minimum=0, doc="mean |dL/dw|"),
)
ANALYTIC = analytic_schema(Column("value", "float", 5, doc="see quantity", rtol=1e-6, atol=1e-5))

# ---- what is run ------------------------------------------------------------------------------------------------------


def training(
    profile: Profile,
    network: Sequence[str],
    method: str = "ETTFS",
    options: Values | None = None,
    seeds: Sequence[int] = (),
    tolerant: bool = False,
) -> Runs:
    """Training runs on a network of the paper (data set and kind), one per seed; by default all seeds of the profile.

    Raises NotAvailable where the profile has no such network or gives the method no recipe, and for Kaiming's initialisation
    where it is the paper's.
    """
    chosen = choice(profile, *network).of(method)
    if method not in chosen.recipes:
        raise NotAvailable(f"the profile has no recipe for {method} on {chosen.paper_dataset} {chosen.network}")
    name, options = chosen.recipes[method], options or {}
    if options.get("initialization") == "kaiming" and recipe(name).options["timesteps"] == 2:
        raise NotAvailable("at T = 2 the paper's initialisation is Kaiming's: both draw weights of variance 2/N")
    what = (chosen.layout, method, name, tuple(options.items()), chosen.validation, chosen.training, tolerant)
    runs = tuple(DirectTraining(chosen.dataset, seed, *what) for seed in seeds or chosen.seeds_of(method))
    return ran(chosen.dataset, chosen.layout, chosen.stand_in), runs


def _printed(table: TableSchema, profile: Profile) -> Found:
    """The rows of a table as printed; of Table III on the network that the profile names for it."""
    for row in printed_rows(PAPER, table.name, table.keys, Row):
        network = (row.key["dataset"], row.key["network"])
        if table is TABLE3:
            yield row.key, partial(_variant, profile, variant_of(row.number), network)
        else:
            yield row.key, partial(training, profile, network, row.key["method"])


def _variant(profile: Profile, variant: str, network: Sequence[str]) -> Runs:
    found = settings(profile, "table3")
    if variant not in found.get("variants", VARIANTS):
        raise NotAvailable("the profile leaves this variant out, for time")
    return training(profile, found.get("network", network), options=VARIANTS[variant])


def _named(profile: Profile) -> Found:
    """All that Tables I to III name: every method on its networks, and the variants of ETTFS."""
    ablated = settings(profile, "table3")
    for chosen in choices(profile):
        network = [chosen.paper_dataset, chosen.network]
        if chosen.network == "deep SMLP":  # that of Figure 4
            continue
        of = dict(zip(("dataset", "network"), network, strict=True))
        for method in chosen.recipes:
            variant = "both" if method == "ETTFS" else "as published"
            yield of | {"method": method, "variant": variant}, partial(training, profile, network, method)
        for variant in ablated["variants"] if network == ablated.get("network") else ():
            if variant != "both":
                key = of | {"method": "ETTFS", "variant": variant}
                yield key, partial(training, profile, network, options=VARIANTS[variant])


def _own(profile: Profile) -> Found:
    return ((key, runs) for key, runs in _named(profile) if key["method"] == "ETTFS")


def _decoders(profile: Profile) -> Found:
    """Temporal weightings on the same network: the ablation that Sec. III-D announces and no table holds."""
    found = settings(profile, "decoders")
    for network in found.get("networks", []):
        for decoder in found["decoders"]:
            key = {"dataset": network[0], "network": network[1], "decoder": decoder}
            yield key, partial(training, profile, network, options={"decoder": decoder}, seeds=found["seeds"])


def _forced(profile: Profile) -> Found:
    """Networks trained with and without the forced last spike, each run with and without it."""
    for network in settings(profile, "forced").get("networks", []):
        for trained, options in (("forced", {"forced_spike": True}), ("free", {})):
            key = {"dataset": network[0], "network": network[1], "trained": trained}
            yield key, partial(training, profile, network, options=options)


def _deep(profile: Profile) -> Found:
    """A network of five layers, which goes on although layers are silent."""
    found = settings(profile, "figure4")
    for encoding in found.get("encodings", []):
        for name, variant in INITIALIZATIONS.items():
            options = VARIANTS[variant] | ({} if encoding == "direct" else {"encoding": encoding})
            key = {"encoding": encoding, "initialization": name}
            yield key, partial(training, profile, found["network"], options=options, tolerant=True)


def _initialized(profile: Profile) -> Found:
    """Table III's network with average pooling under both initialisations."""
    if found := settings(profile, "table3"):
        for name, variant in INITIALIZATIONS.items():
            yield {"initialization": name}, partial(training, profile, found["network"], options=VARIANTS[variant])


def _untrained(profile: Profile) -> Found:
    """The profile's untrained network in each encoding and initialisation."""
    found = settings(profile, "initial")
    for encoding in found.get("encodings", []):
        for name in INITIALIZATIONS:
            yield {"encoding": encoding, "initialization": name}, partial(_state, found, encoding, name)


def _state(found: Values, encoding: str, name: str) -> Runs:
    state = InitialState(found["dataset"], 0, found["layout"], found["timesteps"], name, encoding, images=found["images"])
    stand_in = dataset_spec(state.dataset).paper_name != "Fashion-MNIST"  # the data set of Figures 1, 2 and 5
    return ran(state.dataset, state.layout, stand_in), (state,)


# ---- what fills a row -------------------------------------------------------------------------------------------------


def _mean(values: Iterable[Any]) -> float:
    return float(np.mean(list(values)))


def _summary(_: Values, arrays: list[Arrays]) -> list[Values]:
    """Means over training runs."""
    count = len(arrays[0]["correct"])
    return [
        over_runs(arrays)
        | {
            "timesteps": arrays[0]["spike_steps"].shape[1] - 1,
            "train_accuracy": _mean(each["train_accuracy"][-1] for each in arrays),
            "decision_step": _mean(each["decision"].mean() for each in arrays),
            "spikes_per_neuron": _mean(each["spike_steps"][:, :-1].sum() / each["spike_steps"].sum() for each in arrays),
            "tied_percent": _mean(100 * each["tied"] / count for each in arrays),
            "silent_percent": _mean(100 * each["silent"] / count for each in arrays),
        }
    ]


def _single(key: Values, arrays: list[Arrays]) -> list[Values]:
    """One training run, with correctness per test image."""
    return [line | {CORRECT: (None, arrays[0]["correct"])} for line in _summary(key, arrays)]


def _with_and_without(key: Values, arrays: list[Arrays]) -> list[Values]:
    """Accuracy with and without the forced last spike."""
    names = ("correct", "correct_other") if key["trained"] == "forced" else ("correct_other", "correct")
    with_spike, without = (np.array([100 * each[name].mean() for each in arrays]) for name in names)
    gain, _ = over_seeds(without - with_spike)
    values = {"accuracy_forced": float(with_spike.mean()), "accuracy_free": float(without.mean())}
    values |= {"gain_free": gain.estimate, "gain_low": gain.low, "gain_high": gain.high}
    return [values | {"n_test": len(arrays[0]["correct"])}]


def _cost(key: Values, arrays: list[Arrays]) -> list[Values]:
    """Spikes, latency with early exit, operations and energy per image."""
    (line,) = _summary(key, arrays)
    acs, exits = (float(value) for value in np.mean([each["accumulates"] for each in arrays], axis=0) / line["n_test"])
    macs = _mean(each["multiplications"] for each in arrays) / line["n_test"]
    hidden = np.sum([each["spike_steps"] for each in arrays], axis=0)[:-1, :-1].sum(0)
    decision = np.concatenate([each["decision"] for each in arrays])
    values = {
        "hidden_step": float((hidden * np.arange(1, len(hidden) + 1)).sum() / hidden.sum()),
        "decision_p95": int(np.percentile(decision, 95, method="inverted_cdf")),
        "acs": acs,
        "acs_exit": exits,
        "macs": macs,
        "energy_mj": TMN_TABLE.millijoules(Operations(macs, acs)),
        "energy_exit_mj": TMN_TABLE.millijoules(Operations(macs, exits)),
    }
    return [line | values]


def _times(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Distribution of spike times after training, by layer, and of the decision (layer 0)."""
    steps = np.sum([each["spike_steps"] for each in arrays], axis=0)  # [L, T + 1]
    decision = np.concatenate([each["decision"] for each in arrays])
    decided = np.bincount(decision, minlength=steps.shape[1] + 1)[1:].astype(np.float64)
    for layer, counts in enumerate([decided, *steps]):
        for step, share in enumerate(counts / counts.sum(), start=1):
            yield {"layer": layer, "step": step, "share": float(share)}


def _epochs(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Loss, accuracy and firing rate after every epoch of a run."""
    (each,) = arrays
    after: dict[str, Any] = {name: [np.nan, *each[name]] for name in UNTRAINED}
    after |= {name: each[name] for name in ("validation_loss", "validation_accuracy")}
    after |= {"silent_percent": each["validation_silent"], "firing_last_hidden": each["firing"][:, -2]}
    for epoch, values in enumerate(zip(*after.values(), strict=True)):
        yield {"epoch": epoch} | dict(zip(after, map(float, values), strict=True))


def _steps(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Share of neurons that fire over training steps: mean over seeds, by layer."""
    firing = np.mean([each["step_firing"] for each in arrays], axis=0)  # [K, L]
    for layer, shares in enumerate(firing.T, start=1):
        for step, share in zip(arrays[0]["step"], shares, strict=True):
            yield {"layer": layer, "step": int(step), "firing": float(share)}


def _layers(columns: dict[str, str], _: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """``columns``: column -> array with an entry per layer."""
    for layer, values in enumerate(zip(*(arrays[0][name] for name in columns.values()), strict=True), start=1):
        yield {"layer": layer} | dict(zip(columns, map(float, values), strict=True))


def _densities(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    width = (HIGH - LOW) / BINS
    for layer, counts in enumerate(arrays[0]["potential"], start=1):
        for index, count in enumerate(counts):
            yield {"layer": layer, "potential": LOW + (index + 0.5) * width, "density": float(count / counts.sum() / width)}


def analytic_claims(profile: Profile) -> list[Row]:
    """Random stacks and random spikes; no data."""
    return analytic_rows(analytic.cases(settings(profile, "stacks")))


def _artifact(schema: TableSchema, title: str, found: Callable[[Profile], Found], fill: KeyedFill, **options: Any) -> Artifact:
    return Artifact(schema.name, title, schema, partial(rows_of_runs, found, fill, **options))


EACH = {"each": True, "unmeasured": {"epoch": 0}}
BEFORE = {"unmeasured": {"layer": 1}}
STATES = partial(_layers, {name: name for name in ("fired", "mean", "variance", "current_variance")})
GRADIENTS = partial(_layers, {"median": "gradient", "mean": "gradient_mean"})
ARTIFACTS = (
    _artifact(TABLE1, "Table I: MNIST", partial(_printed, TABLE1), _summary),
    _artifact(TABLE2, "Table II: Fashion-MNIST", partial(_printed, TABLE2), _summary),
    _artifact(TABLE3, "Table III: initialisation and pooling", partial(_printed, TABLE3), _summary),
    _artifact(RUNS, "Every training run (not printed)", _named, _single, each=True),
    _artifact(CURVES, "Learning curves of every run (not printed)", _named, _epochs, **EACH),
    _artifact(DECODERS, "Temporal weightings (announced in Sec. III-D, not printed)", _decoders, _summary),
    _artifact(FORCED, "The forced last spike (Sec. III-C, not printed)", _forced, _with_and_without),
    _artifact(COST, "Spikes, latency and energy (not printed)", _named, _cost),
    _artifact(SPIKE_TIMES, "Spike times after training (not printed)", _own, _times, unmeasured={"layer": 0, "step": 1}),
    _artifact(FIGURE1, "Figure 1: firing rate and potential over depth", _untrained, STATES, **BEFORE),
    _artifact(FIGURE2, "Figure 2: distribution of the potential", _untrained, _densities, **BEFORE),
    _artifact(FIGURE4, "Figure 4: convergence of a five-layer network", _deep, _epochs, **EACH),
    _artifact(FIGURE5, "Figure 5: gradients before training", _untrained, GRADIENTS, **BEFORE),
    _artifact(FIGURE8, "Figure 8: accuracy over training, SCNN", _initialized, _epochs, **EACH),
    _artifact(FIGURE9, "Figure 9: firing rate over training, SCNN", _initialized, _steps, unmeasured={"layer": 1, "step": 0}),
    Artifact("analytic", "Analytic claims", ANALYTIC, analytic_claims),
)
