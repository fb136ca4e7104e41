"""The paper's tables and figures, and what each row needs measured.

Every table rests on training runs; a run that two tables name is trained once. ``runs`` has one line per run with its
correctness per image, from which all means over seeds follow.
"""

from __future__ import annotations

from collections.abc import Callable
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
from benchmarks.published import read_published
from benchmarks.tables.analytic import Case
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.statistics import over_seeds
from benchmarks.training import recipe
from snncore.energy import TMN_TABLE, Operations

Options = tuple[tuple[str, Any], ...]
DEEP_LAYOUT_NETWORK = "deep SMLP"
"""The five-layer network of Figure 4."""

VARIANT_OPTIONS: dict[str, Options] = {name: tuple(options.items()) for name, options in VARIANTS.items()}


def training(chosen: Choice, method: str, seed: int, options: Options = (), tolerant: bool = False) -> DirectTraining:
    """The training run of a method on a network. Raises NotAvailable where the profile gives it no recipe."""
    if method not in chosen.recipes:
        raise NotAvailable(f"the profile has no recipe for {method} on {chosen.paper_dataset} {chosen.network}")
    return DirectTraining(
        chosen.dataset,
        seed,
        chosen.layout,
        method,
        chosen.recipes[method],
        options,
        chosen.validation,
        chosen.training,
        tolerant,
    )


def trainings(
    chosen: Choice, method: str, options: Options = (), tolerant: bool = False, seeds: list[int] | None = None
) -> tuple[DirectTraining, ...]:
    """The training runs of a method on a network, one per seed; by default all seeds of the profile.

    Raises NotAvailable as ``training`` does, and for Kaiming's initialisation where it is the paper's.
    """
    if dict(options).get("initialization") == "kaiming" and recipe(chosen.recipes[method]).options["timesteps"] == 2:
        raise NotAvailable("at T = 2 the paper's initialisation is Kaiming's: both draw weights of variance 2/N")
    return tuple(training(chosen, method, seed, options, tolerant) for seed in seeds or chosen.seeds_of(method))


def status_of(chosen: Choice) -> Values:
    """The status columns of a row that was run on ``chosen``."""
    return {
        "dataset_used": chosen.dataset,
        "architecture_used": chosen.layout,
        "status": "stand-in" if chosen.stand_in else "measured",
    }


def finished(fill: Callable[[list[Arrays]], list[Values]], unmeasured: Values) -> Callable[[list[Arrays]], list[Values]]:
    """``fill``, or the reason where a training run among the measurements failed."""

    def checked(arrays: list[Arrays]) -> list[Values]:
        for each in arrays:
            if "failed" in each and str(each["failed"]):
                return [unmeasured | {"status": f"not run: training failed: {each['failed']}"}]
        return fill(arrays)

    return checked


def accuracies(arrays: list[Arrays]) -> NDArray[np.float64]:
    """Test accuracy in percent of every run."""
    return np.array([100 * each["correct"].mean() for each in arrays])


# ---- Tables I, II and III: mean over seeds ----------------------------------------------------------------------------

SEED_COLUMNS = (
    Column("timesteps", "int", minimum=1, doc="T"),
    Column("seeds", "text", doc="training seeds"),
    Column("snn_metric", "float", decimals=3, minimum=0, maximum=100, doc="test accuracy in %, mean over seeds"),
    Column("std", "float", decimals=3, minimum=0, rtol=5e-2, doc="its standard deviation over seeds, in points"),
    Column("ci95_low", "float", decimals=3, doc="95 % interval of the mean over seeds (Student's t)"),
    Column("ci95_high", "float", decimals=3, doc="its upper end"),
    Column("validation", "float", decimals=3, minimum=0, maximum=100, doc="accuracy on the validation images, mean over seeds"),
    Column("decision_step", "float", decimals=3, minimum=1, doc="mean step of the first output spike; T + 1 if silent"),
    Column("spikes_per_neuron", "float", decimals=4, minimum=0, maximum=1, doc="mean over all neurons and images"),
    Column("tied_percent", "float", decimals=3, minimum=0, maximum=100, rtol=5e-2, doc="images with several first classes"),
    Column("silent_percent", "float", decimals=3, minimum=0, maximum=100, rtol=5e-2, doc="images without an output spike"),
    Column("training_images", "int", minimum=1, doc="images that a network was trained on"),
    Column("epochs", "int", minimum=1),
    Column("n_test", "int", minimum=1),
)
SINGLE = ("std", "ci95_low", "ci95_high")
"""Columns that are empty for a single seed."""


def _summary(chosen: Choice, seeds: list[int], arrays: list[Arrays]) -> list[Values]:
    interval, deviation = over_seeds(accuracies(arrays))
    count = len(arrays[0]["correct"])
    return [
        {
            "timesteps": arrays[0]["spike_steps"].shape[1] - 1,
            "seeds": ", ".join(map(str, seeds)),
            "snn_metric": interval.estimate,
            "std": deviation,
            "ci95_low": interval.low,
            "ci95_high": interval.high,
            "validation": float(np.mean([each["validation_accuracy"][-1] for each in arrays])),
            "decision_step": float(np.mean([each["decision"].mean() for each in arrays])),
            "spikes_per_neuron": float(np.mean([_spikes_per_neuron(each) for each in arrays])),
            "tied_percent": float(np.mean([100 * each["tied"] / count for each in arrays])),
            "silent_percent": float(np.mean([100 * each["silent"] / count for each in arrays])),
            "training_images": int(arrays[0]["training_images"]),
            "epochs": len(arrays[0]["train_loss"]),
            "n_test": count,
        }
        | status_of(chosen)
    ]


def _spikes_per_neuron(arrays: Arrays) -> float:
    steps = arrays["spike_steps"]
    return float(steps[:, :-1].sum() / steps.sum())


def _printed(table: str, schema: TableSchema, variant_of: Callable[[Any], str], profile: Profile) -> list[Row]:
    rows = []
    found = settings(profile, table) if table in SECTIONS else {}
    ablated = found.get("network")

    def network_of(printed: Any) -> str:
        return str(ablated[1] if ablated else printed["network"])

    for _, printed in read_published(PAPER, table).iterrows():
        key = {column.name: printed[column.name] for column in schema.keys}
        number = int(printed["row"])
        try:
            chosen = choice(profile, printed["dataset"], network_of(printed)).of(printed["method"])
            variant = variant_of(printed)
            if ablated and variant not in found["variants"]:
                raise NotAvailable("the profile leaves this variant out, for time")
            runs = trainings(chosen, printed["method"], VARIANT_OPTIONS[variant])
        except NotAvailable as error:
            rows.append(Row(number, key, reason=str(error)))
            continue
        fill = finished(partial(_summary, chosen, chosen.seeds_of(printed["method"])), {})
        rows.append(Row(number, key, fill, runs))
    return rows


def _whole(_: Any) -> str:
    return "both"


def _ablated(printed: Any) -> str:
    return VARIANT_OF[printed["initialization"], printed["average_pooling"]]


ROW_KEYS = (
    Column("row", "int", nullable=False, minimum=1),
    Column("dataset", "text", nullable=False),
    Column("method", "text", nullable=False),
)
COMPARISON_KEYS = (
    *ROW_KEYS,
    Column("reference", "text"),
    Column("network", "text", nullable=False),
    Column("architecture", "text"),
    Column("accuracy_paper", "float"),
    Column("source", "text"),
    Column("provenance", "text"),
)
TABLE1 = TableSchema("table1", 1, COMPARISON_KEYS, (*SEED_COLUMNS, *STATUS_COLUMNS), optional=SINGLE)
TABLE2 = TableSchema("table2", 1, COMPARISON_KEYS, (*SEED_COLUMNS, *STATUS_COLUMNS), optional=SINGLE)
TABLE3 = TableSchema(
    "table3",
    1,
    (
        *ROW_KEYS,
        Column("network", "text", nullable=False),
        Column("initialization", "text", nullable=False, choices=("yes", "no")),
        Column("average_pooling", "text", nullable=False, choices=("yes", "no")),
        Column("accuracy_paper", "float"),
        Column("provenance", "text"),
    ),
    (*SEED_COLUMNS, *STATUS_COLUMNS),
    optional=SINGLE,
)


# ---- Decoders and the forced spike ------------------------------------------------------------------------------------


def decoders(profile: Profile) -> list[Row]:
    """Temporal weightings on the same network: the ablation that Sec. III-D announces and no table holds."""
    found = settings(profile, "decoders")
    rows: list[Row] = []
    for dataset, network in found.get("networks", []):
        chosen = choice(profile, dataset, network)
        for decoder in found["decoders"]:
            key = {"dataset": dataset, "network": network, "decoder": decoder}
            runs = trainings(chosen, "ETTFS", (("decoder", decoder),), seeds=found["seeds"])
            rows.append(Row(len(rows) + 1, key, finished(partial(_summary, chosen, found["seeds"]), {}), runs))
    return rows


DECODERS = TableSchema(
    "decoders",
    1,
    (
        Column("dataset", "text", nullable=False),
        Column("network", "text", nullable=False),
        Column("decoder", "text", nullable=False),
    ),
    (*SEED_COLUMNS, *STATUS_COLUMNS),
    optional=SINGLE,
)


def forced(profile: Profile) -> list[Row]:
    """Networks trained with and without the forced last spike, each run with and without it."""
    rows: list[Row] = []
    for dataset, network in settings(profile, "forced").get("networks", []):
        chosen = choice(profile, dataset, network)
        for trained_with in (True, False):
            runs = trainings(chosen, "ETTFS", (("forced_spike", True),) if trained_with else ())
            key = {"dataset": dataset, "network": network, "trained": "forced" if trained_with else "free"}
            fill = finished(partial(_forced, chosen, chosen.seeds_of("ETTFS"), trained_with), {})
            rows.append(Row(len(rows) + 1, key, fill, runs))
    return rows


def _forced(chosen: Choice, seeds: list[int], trained_with: bool, arrays: list[Arrays]) -> list[Values]:
    same, other = accuracies(arrays), np.array([100 * each["correct_other"].mean() for each in arrays])
    with_spike, without = (same, other) if trained_with else (other, same)
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
        | status_of(chosen)
    ]


FORCED = TableSchema(
    "forced",
    1,
    (
        Column("dataset", "text", nullable=False),
        Column("network", "text", nullable=False),
        Column("trained", "text", nullable=False, choices=("forced", "free")),
    ),
    (
        Column("seeds", "text"),
        Column("accuracy_forced", "float", decimals=3, minimum=0, maximum=100, doc="% with the forced last spike"),
        Column("accuracy_free", "float", decimals=3, minimum=0, maximum=100, doc="% without it"),
        Column("gain_free", "float", decimals=3, atol=0.05, doc="points gained by dropping it, mean over seeds"),
        Column("gain_low", "float", decimals=3, atol=0.1, doc="95 % interval over seeds"),
        Column("gain_high", "float", decimals=3, atol=0.1),
        Column("n_test", "int", minimum=1),
        *STATUS_COLUMNS,
    ),
    optional=("gain_low", "gain_high"),
)


# ---- Every run, its cost and its spike times --------------------------------------------------------------------------


def named_runs(profile: Profile) -> list[tuple[Choice, str, str, tuple[DirectTraining, ...]]]:
    """Every group of runs of Tables I to III: network, method, variant, one run per seed."""
    groups = []
    ablated = settings(profile, "table3").get("network")
    for chosen in choices(profile):
        if chosen.network == DEEP_LAYOUT_NETWORK:
            continue
        for method in chosen.recipes:
            own = chosen.of(method)
            groups.append((own, method, "both" if method == "ETTFS" else "as published", trainings(own, method)))
        if [chosen.paper_dataset, chosen.network] == ablated:
            for variant, options in list(VARIANT_OPTIONS.items())[1:]:
                if variant in settings(profile, "table3")["variants"]:
                    with suppress(NotAvailable):  # Table III's row says why
                        groups.append((chosen, "ETTFS", variant, trainings(chosen, "ETTFS", options)))
    return groups


RUN_KEYS = (
    Column("dataset", "text", nullable=False),
    Column("network", "text", nullable=False),
    Column("method", "text", nullable=False),
    Column("variant", "text", nullable=False, doc="what of ETTFS is on"),
)


def _run_key(chosen: Choice, method: str, variant: str) -> Values:
    return {"dataset": chosen.paper_dataset, "network": chosen.network, "method": method, "variant": variant}


def runs(profile: Profile) -> list[Row]:
    """One line per training run, with correctness per test image."""
    rows: list[Row] = []
    for chosen, method, variant, group in named_runs(profile):
        for run in group:
            key = _run_key(chosen, method, variant) | {"seed": run.seed}
            rows.append(Row(len(rows) + 1, key, finished(partial(_single, chosen), {}), (run,)))
    return rows


def _single(chosen: Choice, arrays: list[Arrays]) -> list[Values]:
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
        | status_of(chosen)
    ]


RUNS = TableSchema(
    "runs",
    1,
    (*RUN_KEYS, Column("seed", "int", nullable=False, minimum=0)),
    (
        Column("snn_metric", "float", minimum=0, maximum=100, doc="test accuracy in %"),
        Column("n_test", "int", minimum=1),
        Column("ci95_low", "float", doc="Wilson's 95 % interval over test images"),
        Column("ci95_high", "float"),
        Column("validation", "float", decimals=3, minimum=0, maximum=100, doc="accuracy on the validation images"),
        Column("train_accuracy", "float", decimals=3, minimum=0, maximum=100, doc="over the batches of the last epoch"),
        Column("training_images", "int", minimum=1),
        Column("epochs", "int", minimum=1),
        Column("decision_step", "float", decimals=3, minimum=1, doc="mean step of the first output spike"),
        *STATUS_COLUMNS,
    ),
)


def cost(profile: Profile) -> list[Row]:
    """Spikes, latency with early exit, operations and energy per image of every group of runs."""
    rows: list[Row] = []
    for chosen, method, variant, group in named_runs(profile):
        key = _run_key(chosen, method, variant)
        rows.append(Row(len(rows) + 1, key, finished(partial(_cost, chosen), {}), group))
    return rows


def _cost(chosen: Choice, arrays: list[Arrays]) -> list[Values]:
    count = len(arrays[0]["correct"])
    acs, exits = np.mean([each["accumulates"] for each in arrays], axis=0) / count
    macs = float(np.mean([each["multiplications"] for each in arrays])) / count
    steps = np.sum([each["spike_steps"] for each in arrays], axis=0)
    timesteps = steps.shape[1] - 1
    hidden = steps[:-1, :-1].sum(0)
    decision = np.concatenate([each["decision"] for each in arrays])
    return [
        {
            "timesteps": timesteps,
            "spikes_per_neuron": float(np.mean([_spikes_per_neuron(each) for each in arrays])),
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
        | status_of(chosen)
    ]


COST = TableSchema(
    "cost",
    1,
    RUN_KEYS,
    (
        Column("timesteps", "int", minimum=1),
        Column("spikes_per_neuron", "float", decimals=4, minimum=0, maximum=1, doc="mean over neurons, images and seeds"),
        Column("hidden_step", "float", decimals=3, minimum=1, doc="mean step of hidden spikes"),
        Column("decision_step", "float", decimals=3, minimum=1, doc="mean step of the first output spike, where a run may end"),
        Column("decision_p95", "int", minimum=1, doc="step by which 95 % of the images are decided"),
        Column("acs", "sci", decimals=4, minimum=0, doc="accumulates per image, all T steps"),
        Column("acs_exit", "sci", decimals=4, minimum=0, doc="accumulates per image until the first output spike"),
        Column("macs", "sci", decimals=4, minimum=0, doc="multiply-accumulates per image: analog first layer, computed once"),
        Column("energy_mj", "sci", decimals=4, minimum=0, doc="mJ per image at 4.6 pJ per MAC, 0.9 pJ per AC"),
        Column("energy_exit_mj", "sci", decimals=4, minimum=0, doc="the same with early exit"),
        Column("n_test", "int", minimum=1),
        *STATUS_COLUMNS,
    ),
)


def spike_times(profile: Profile) -> list[Row]:
    """Distribution of spike times after training, by layer, and of the decision (layer 0)."""
    rows: list[Row] = []
    for chosen, method, variant, group in named_runs(profile):
        if method == "ETTFS":
            key = _run_key(chosen, method, variant)
            fill = finished(partial(_times, chosen), {"layer": 0, "step": 1})
            rows.append(Row(len(rows) + 1, key, fill, group, unmeasured={"layer": 0, "step": 1}))
    return rows


def _times(chosen: Choice, arrays: list[Arrays]) -> list[Values]:
    steps = np.sum([each["spike_steps"] for each in arrays], axis=0)  # [L, T + 1]
    decision = np.concatenate([each["decision"] for each in arrays])
    decided = np.bincount(decision, minlength=steps.shape[1] + 1)[1:].astype(np.float64)
    status = status_of(chosen)
    return [
        {"layer": layer, "step": step, "share": float(share)} | status
        for layer, counts in enumerate([decided, *steps])
        for step, share in enumerate(counts / counts.sum(), start=1)
    ]


SPIKE_TIMES = TableSchema(
    "spike_times",
    1,
    (
        *RUN_KEYS,
        Column("layer", "int", nullable=False, minimum=0, doc="1 is the first; 0 is the first spike of any output neuron"),
        Column("step", "int", nullable=False, minimum=1, doc="T + 1: no spike"),
    ),
    (
        Column("share", "float", decimals=5, minimum=0, maximum=1, rtol=5e-2, atol=1e-3, doc="of neurons times images"),
        *STATUS_COLUMNS,
    ),
)


# ---- Figures 4, 8 and 9: curves over training -------------------------------------------------------------------------


INITIALIZATIONS = {"kaiming": VARIANT_OPTIONS["no init"], "ettfs": VARIANT_OPTIONS["both"]}


def figure4(profile: Profile) -> list[Row]:
    """Curves of a network of five layers, which goes on although layers are silent."""
    found = settings(profile, "figure4")
    rows: list[Row] = []
    for encoding in found.get("encodings", []):
        chosen = choice(profile, *found["network"])
        coded: Options = () if encoding == "direct" else (("encoding", encoding),)
        for initialization, options in INITIALIZATIONS.items():
            key = {"encoding": encoding, "initialization": initialization}
            rows += _curves(len(rows), chosen, key, trainings(chosen, "ETTFS", options + coded, tolerant=True))
    return rows


def figure8(profile: Profile) -> list[Row]:
    """Curves of Table III's networks with average pooling."""
    chosen, groups, reason = _initialized(profile)
    if chosen is None:
        key = {"initialization": "kaiming", "seed": 0}
        return [Row(1, key, reason=reason, unmeasured={"epoch": 0})] if reason else []
    rows: list[Row] = []
    for name, group in groups.items():
        rows += _curves(len(rows), chosen, {"initialization": name}, group)
    return rows


def _initialized(profile: Profile) -> tuple[Choice | None, dict[str, tuple[DirectTraining, ...]], str]:
    """Table III's network, its runs with average pooling by initialisation, and why there are none."""
    found = settings(profile, "table3")
    if not found:
        return None, {}, ""
    chosen = choice(profile, *found["network"])
    try:
        return chosen, {name: trainings(chosen, "ETTFS", options) for name, options in INITIALIZATIONS.items()}, ""
    except NotAvailable as error:
        return None, {}, str(error)


def _curves(before: int, chosen: Choice, key: Values, group: tuple[DirectTraining, ...]) -> list[Row]:
    """A row per run, with a line per epoch."""
    return [
        Row(number, key | {"seed": run.seed}, finished(partial(_epochs, chosen), {"epoch": 0}), (run,), unmeasured={"epoch": 0})
        for number, run in enumerate(group, start=before + 1)
    ]


def _epochs(chosen: Choice, arrays: list[Arrays]) -> list[Values]:
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
        | status_of(chosen)
        for epoch in range(len(each["validation_loss"]))
    ]


CURVE_COLUMNS = (
    Column("train_loss", "float", decimals=5, minimum=0, doc="mean over the batches of the epoch; empty before training"),
    Column("train_accuracy", "float", decimals=3, minimum=0, maximum=100, doc="% over the batches of the epoch"),
    Column("validation_loss", "float", decimals=5, minimum=0),
    Column("validation_accuracy", "float", decimals=3, minimum=0, maximum=100, doc="%"),
    Column("silent_percent", "float", decimals=3, minimum=0, maximum=100, atol=0.5, doc="images without an output spike"),
    Column("firing_last_hidden", "float", decimals=5, minimum=0, maximum=1, atol=1e-3, doc="share of neurons that fire"),
    *STATUS_COLUMNS,
)
EPOCH = Column("epoch", "int", nullable=False, minimum=0, doc="0 is before training")
CURVE_KEYS = (
    Column("initialization", "text", nullable=False, choices=("kaiming", "ettfs")),
    Column("seed", "int", nullable=False, minimum=0),
    EPOCH,
)
CURVES = TableSchema(
    "curves",
    1,
    (*RUN_KEYS, Column("seed", "int", nullable=False, minimum=0), EPOCH),
    CURVE_COLUMNS,
    optional=("train_loss", "train_accuracy"),
)


def learning_curves(profile: Profile) -> list[Row]:
    """Loss, accuracy and firing rate after every epoch of every run of Tables I to III."""
    rows: list[Row] = []
    for chosen, method, variant, group in named_runs(profile):
        rows += _curves(len(rows), chosen, _run_key(chosen, method, variant), group)
    return rows


ENCODING = Column("encoding", "text", nullable=False, doc="direct: constant currents; latency, random: one spike per input")
FIGURE4 = TableSchema("figure4", 2, (ENCODING, *CURVE_KEYS), CURVE_COLUMNS, optional=("train_loss", "train_accuracy"))
FIGURE8 = TableSchema("figure8", 1, CURVE_KEYS, CURVE_COLUMNS, optional=("train_loss", "train_accuracy"))


def figure9(profile: Profile) -> list[Row]:
    """Share of neurons that fire over training steps, for both initialisations: mean over seeds, by layer."""
    unmeasured: Values = {"layer": 1, "step": 0}
    chosen, groups, reason = _initialized(profile)
    if chosen is None:
        return [Row(1, {"initialization": "kaiming"}, reason=reason, unmeasured=unmeasured)] if reason else []
    fill = finished(partial(_steps, chosen), unmeasured)
    return [
        Row(number, {"initialization": name}, fill, group, unmeasured=unmeasured)
        for number, (name, group) in enumerate(groups.items(), start=1)
    ]


def _steps(chosen: Choice, arrays: list[Arrays]) -> list[Values]:
    firing = np.mean([each["step_firing"] for each in arrays], axis=0)  # [K, L]
    status = status_of(chosen)
    return [
        {"layer": layer + 1, "step": int(step), "firing": float(firing[index, layer])} | status
        for layer in range(firing.shape[1])
        for index, step in enumerate(arrays[0]["step"])
    ]


FIGURE9 = TableSchema(
    "figure9",
    1,
    (
        Column("initialization", "text", nullable=False, choices=("kaiming", "ettfs")),
        Column("layer", "int", nullable=False, minimum=1),
        Column("step", "int", nullable=False, minimum=0, doc="training step; 0 is the first batch"),
    ),
    (
        Column("firing", "float", decimals=5, minimum=0, maximum=1, atol=1e-3, doc="share of neurons that fire"),
        *STATUS_COLUMNS,
    ),
)


# ---- Figures 1, 2 and 5: before training ------------------------------------------------------------------------------


def _initial(profile: Profile) -> list[tuple[str, str, InitialState]]:
    found = settings(profile, "initial")
    return [
        (
            encoding,
            initialization,
            InitialState(
                found["dataset"], 0, found["layout"], found["timesteps"], initialization, encoding, images=found["images"]
            ),
        )
        for encoding in found.get("encodings", [])
        for initialization in ("kaiming", "ettfs")
    ]


INITIAL_KEYS = (
    ENCODING,
    Column("initialization", "text", nullable=False, choices=("kaiming", "ettfs")),
)


def _initial_rows(fill: Callable[[InitialState, list[Arrays]], list[Values]], unmeasured: Values, profile: Profile) -> list[Row]:
    return [
        Row(
            number,
            {"encoding": encoding, "initialization": initialization},
            partial(fill, state),
            (state,),
            unmeasured=unmeasured,
        )
        for number, (encoding, initialization, state) in enumerate(_initial(profile), start=1)
    ]


def _initial_status(state: InitialState) -> Values:
    own = dataset_spec(state.dataset).paper_name == "Fashion-MNIST"  # the data set of Figures 1, 2 and 5
    return {
        "dataset_used": state.dataset,
        "architecture_used": state.layout,
        "status": "measured" if own else "stand-in",
    }


def _layers(state: InitialState, arrays: list[Arrays]) -> list[Values]:
    (each,) = arrays
    names = ("fired", "mean", "variance", "current_variance")
    return [
        {"layer": layer + 1} | {name: float(each[name][layer]) for name in names} | _initial_status(state)
        for layer in range(len(each["fired"]))
    ]


FIGURE1 = TableSchema(
    "figure1",
    1,
    (*INITIAL_KEYS, Column("layer", "int", nullable=False, minimum=1)),
    (
        Column("fired", "float", decimals=5, minimum=0, maximum=1, atol=1e-4, doc="share of neurons that fire"),
        Column("mean", "float", decimals=4, atol=1e-3, doc="membrane potential before firing, in units of the threshold"),
        Column("variance", "float", decimals=4, minimum=0, atol=1e-3, doc="of the potential over neurons, images and steps"),
        Column("current_variance", "float", decimals=5, minimum=0, atol=1e-4, doc="Var(X[t]), which ETTFS sets to 1"),
        *STATUS_COLUMNS,
    ),
)


def _densities(state: InitialState, arrays: list[Arrays]) -> list[Values]:
    (each,) = arrays
    width = (HIGH - LOW) / BINS
    return [
        {"layer": layer + 1, "potential": LOW + (index + 0.5) * width, "density": float(count / counts.sum() / width)}
        | _initial_status(state)
        for layer, counts in enumerate(each["potential"])
        for index, count in enumerate(counts)
    ]


FIGURE2 = TableSchema(
    "figure2",
    1,
    (
        *INITIAL_KEYS,
        Column("layer", "int", nullable=False, minimum=1),
        Column("potential", "float", decimals=4, nullable=False, doc="middle of the bin, in thresholds; ends are open"),
    ),
    (Column("density", "float", decimals=5, minimum=0, rtol=5e-2, atol=1e-3), *STATUS_COLUMNS),
)


def _gradients(state: InitialState, arrays: list[Arrays]) -> list[Values]:
    (each,) = arrays
    return [
        {"layer": layer + 1, "median": float(each["gradient"][layer]), "mean": float(each["gradient_mean"][layer])}
        | _initial_status(state)
        for layer in range(len(each["gradient"]))
    ]


FIGURE5 = TableSchema(
    "figure5",
    1,
    (*INITIAL_KEYS, Column("layer", "int", nullable=False, minimum=1)),
    (
        Column("median", "sci", decimals=3, minimum=0, doc="median |dL/dw| over the weights of the layer, one batch"),
        Column("mean", "sci", decimals=3, minimum=0, doc="mean |dL/dw|"),
        *STATUS_COLUMNS,
    ),
)


# ---- Analytic claims --------------------------------------------------------------------------------------------------


def analytic_claims(profile: Profile) -> list[Row]:
    """Random stacks and random spikes; no data."""
    return [
        Row(
            number,
            {"claim": case.claim, "quantity": case.quantity, "case": case.case},
            partial(_analytic, case),
        )
        for number, case in enumerate(analytic.cases(settings(profile, "stacks")), start=1)
    ]


def _analytic(case: Case, _: list[Arrays]) -> list[Values]:
    return [{"value": case.compute(), "status": "measured"}]


ANALYTIC = TableSchema(
    "analytic",
    1,
    (
        Column("claim", "text", nullable=False),
        Column("quantity", "text", nullable=False),
        Column("case", "text", nullable=False),
    ),
    (
        Column("value", "float", decimals=5, doc="see quantity", rtol=1e-6, atol=1e-5),
        Column("status", "text", nullable=False),
    ),
)

ARTIFACTS = (
    Artifact("table1", "Table I: MNIST", TABLE1, partial(_printed, "table1", TABLE1, _whole)),
    Artifact("table2", "Table II: Fashion-MNIST", TABLE2, partial(_printed, "table2", TABLE2, _whole)),
    Artifact("table3", "Table III: initialisation and pooling", TABLE3, partial(_printed, "table3", TABLE3, _ablated)),
    Artifact("runs", "Every training run (not printed)", RUNS, runs),
    Artifact("curves", "Learning curves of every run (not printed)", CURVES, learning_curves),
    Artifact("decoders", "Temporal weightings (announced in Sec. III-D, not printed)", DECODERS, decoders),
    Artifact("forced", "The forced last spike (Sec. III-C, not printed)", FORCED, forced),
    Artifact("cost", "Spikes, latency and energy (not printed)", COST, cost),
    Artifact("spike_times", "Spike times after training (not printed)", SPIKE_TIMES, spike_times),
    Artifact("figure1", "Figure 1: firing rate and potential over depth", FIGURE1, partial(_initial_rows, _layers, {"layer": 1})),
    Artifact("figure2", "Figure 2: distribution of the potential", FIGURE2, partial(_initial_rows, _densities, {"layer": 1})),
    Artifact("figure4", "Figure 4: convergence of a five-layer network", FIGURE4, figure4),
    Artifact("figure5", "Figure 5: gradients before training", FIGURE5, partial(_initial_rows, _gradients, {"layer": 1})),
    Artifact("figure8", "Figure 8: accuracy over training, SCNN", FIGURE8, figure8),
    Artifact("figure9", "Figure 9: firing rate over training, SCNN", FIGURE9, figure9),
    Artifact("analytic", "Analytic claims", ANALYTIC, analytic_claims),
)
