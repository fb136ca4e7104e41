"""The paper's tables, and what each row needs measured: training runs, one for each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.data.event_sets import for_seed
from benchmarks.measurements import Arrays
from benchmarks.measurements.deep_training import DeepTraining
from benchmarks.measurements.initial_gradients import InitialGradients
from benchmarks.methods import DEEP_METHODS
from benchmarks.profiles import Profile
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.runs import Found, KeyedFill, Runs, over_runs, ran, rows_of_runs
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.sweeps import printed_rows
from benchmarks.ternary_spike.analytic import cases
from benchmarks.ternary_spike.settings import PAPER, choice, choices, settings

ACCURACY = Column("snn_metric", "float", minimum=0, maximum=100, doc="test accuracy in %, mean over seeds")
VALIDATION = Column("validation", "float", 3, minimum=0, maximum=100, doc="accuracy on the validation images, %", rtol=1e-2)
FIRING = Column("firing_percent", "float", minimum=0, maximum=100, doc="neurons with a spike, of either sign, mean over steps")
EFFORT = (
    FIRING,
    Column("training_images", "int", minimum=1, doc="images that a network was trained on"),
    Column("epochs", "int", minimum=1),
    Column("n_test", "int", minimum=1),
)
OVER_SEEDS = (
    Column("seeds", "text", doc="training seeds"),
    ACCURACY,
    Column("std", "float", 3, minimum=0, rtol=5e-2, doc="its standard deviation over seeds, in points"),
    Column("ci95_low", "float", 3, doc="95 % interval of the mean over seeds (Student's t)"),
    Column("ci95_high", "float", 3, doc="its upper end"),
    VALIDATION,
    *EFFORT,
)
SINGLE = ("std", "ci95_low", "ci95_high")
"""Columns that are empty for a single seed."""
SETTING = tuple(Column(name, "text", nullable=False) for name in ("dataset", "architecture", "method"))
T, SEED = Column("timesteps", "int", nullable=False, minimum=1), Column("seed", "int", nullable=False, minimum=0)
KEYS = published_keys(PAPER, "table1", ("row", "dataset", "architecture", "method", "timesteps"))
TABLE1 = TableSchema("table1", 1, KEYS, (*OVER_SEEDS, *STATUS_COLUMNS), optional=SINGLE)
METHODS = TableSchema("methods", 1, (*SETTING, T), (*OVER_SEEDS, *STATUS_COLUMNS), optional=SINGLE)
INTERVAL = (Column("ci95_low", "float", doc="Wilson's 95 % interval over test images"), Column("ci95_high", "float"))
RUN_COLUMNS = (ACCURACY, *INTERVAL, VALIDATION, *EFFORT, *STATUS_COLUMNS)
RUNS = TableSchema("runs", 1, (*SETTING, T, SEED), RUN_COLUMNS)
EVENTS = TableSchema("events", 1, (*SETTING, T, SEED), RUN_COLUMNS)
EVENT_METHODS, EVENT_STEPS = ("Binary spike", "Ternary spike", "Trainable ternary spike"), 10
"""Table 4's: T, and of its methods those of the paper."""
LAYER = Column("layer", "int", nullable=False, minimum=1, doc="neurons, in the order of computation")
AMPLITUDES = TableSchema(
    "amplitudes",
    1,
    (*SETTING, T, LAYER),
    (
        Column("amplitude", "float", 4, doc="after training, mean over seeds; 1 before", atol=1e-3),
        Column("firing", "float", 4, minimum=0, maximum=1, doc="share of neurons with a spike", atol=1e-3),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)
GRADIENTS = TableSchema(
    "gradients",
    1,
    (*SETTING, T, LAYER),
    (
        Column("gradient", "sci", 3, minimum=0, doc="norm of dL/dx over the currents of a layer, before training", rtol=1e-2),
        *STATUS_COLUMNS,
    ),
)
FOLDING = TableSchema(
    "folding",
    1,
    (*SETTING, T),
    (
        Column("same_percent", "float", minimum=0, maximum=100, doc="test images whose logits stay within 1e-12, in float64"),
        Column("images", "int", minimum=1, doc="over all seeds"),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)


def training(profile: Profile, key: Values, seeds: list[int] | None = None) -> Runs:
    """Training runs of a method on the network that stands for the paper's. Raises NotAvailable where there is none."""
    chosen = choice(profile, key["dataset"], key["architecture"])
    options = (("timesteps", int(key["timesteps"])),)
    what = (chosen.layout, key["method"], chosen.recipe, options, chosen.validation, chosen.training)
    runs = tuple(DeepTraining(for_seed(chosen.dataset, seed), seed, *what) for seed in seeds or chosen.seeds)
    return ran(chosen.dataset, chosen.layout, chosen.stand_in), runs


def _printed(profile: Profile) -> Found:
    for row in printed_rows(PAPER, "table1", KEYS, Row):
        yield row.key, partial(training, profile, row.key)


def _settings(profile: Profile) -> Iterator[Values]:
    """Table 1's methods and steps on every network of the profile."""
    for chosen in choices(profile):
        for row in printed_rows(PAPER, "table1", KEYS, Row):
            if (row.key["dataset"], row.key["architecture"]) == (chosen.paper_dataset, chosen.architecture):
                yield {name: row.key[name] for name in ("dataset", "architecture", "method", "timesteps")}


def _runs(profile: Profile) -> Found:
    return ((key, partial(training, profile, key)) for key in _settings(profile))


def _events(profile: Profile) -> Found:
    """Binary, ternary and trainable spikes on every network that stands for one of CIFAR10-DVS."""
    for chosen in choices(profile):
        for method in EVENT_METHODS if chosen.paper_dataset == "CIFAR10-DVS" else ():
            key = {"dataset": chosen.paper_dataset, "architecture": chosen.architecture, "method": method}
            yield key | {"timesteps": EVENT_STEPS}, partial(training, profile, key | {"timesteps": EVENT_STEPS})


def _trained(profile: Profile) -> Found:
    return ((key, runs) for key, runs in _runs(profile) if key["method"] == "Trainable ternary spike")


def _methods(profile: Profile) -> Found:
    """Every method on the first network of the profile, by the same recipe."""
    found = settings(profile)
    for chosen in choices(profile)[:1] if found else []:
        for method in (*DEEP_METHODS, *found.get("added", ())):
            key = {"dataset": chosen.paper_dataset, "architecture": chosen.architecture, "method": method}
            key["timesteps"] = found["timesteps"]
            yield key, partial(training, profile, key, found["seeds"])


def _untrained(profile: Profile) -> Found:
    """The same networks as they are initialised, with the first seed."""
    for key, runs in _methods(profile):
        yield key, partial(_gradients_of, runs)


def _gradients_of(runs: Callable[[], Runs]) -> Runs:
    status, (first, *_) = runs()
    assert isinstance(first, DeepTraining)
    timesteps = int(first.chosen().options["timesteps"])
    return status, (InitialGradients(first.dataset, first.seed, first.layout, first.method, timesteps),)


def _summary(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Means over training runs."""
    rates = [100 * float((each["fired"] * each["sizes"]).sum() / each["sizes"].sum()) for each in arrays]
    yield over_runs(arrays) | {"firing_percent": float(np.mean(rates))}


def _single(key: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """One training run, with correctness per test image."""
    for line in _summary(key, arrays):
        yield line | {CORRECT: (None, arrays[0]["correct"])}


def _folding(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    same = np.concatenate([each["folded"] for each in arrays])
    yield {"same_percent": 100 * float(same.mean()), "images": len(same)}


def _gradients(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    for layer, gradient in enumerate(arrays[0]["gradient"], start=1):
        yield {"layer": layer, "gradient": float(gradient)}


def _layers(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    means = (np.mean([each[name] for each in arrays], axis=0) for name in ("amplitudes", "fired"))
    for layer, (amplitude, firing) in enumerate(zip(*means, strict=True), start=1):
        yield {"layer": layer, "amplitude": float(amplitude), "firing": float(firing)}


def _artifact(schema: TableSchema, title: str, found: Callable[[Profile], Found], fill: KeyedFill, **options: Any) -> Artifact:
    return Artifact(schema.name, title, schema, partial(rows_of_runs, found, fill, **options))


ARTIFACTS = (
    _artifact(TABLE1, "Table 1: binary, ternary and trainable ternary spikes", _printed, _summary),
    _artifact(RUNS, "Every training run of Table 1 (not printed)", _runs, _single, each=True),
    _artifact(EVENTS, "Every training run on frames of events (not printed)", _events, _single, each=True),
    _artifact(METHODS, "Methods of direct training on one network, by one recipe (not printed)", _methods, _summary),
    _artifact(GRADIENTS, "Gradients over depth before training (not printed)", _untrained, _gradients, unmeasured={"layer": 1}),
    _artifact(AMPLITUDES, "Trained amplitudes by layer (not printed)", _trained, _layers, unmeasured={"layer": 1}),
    _artifact(FOLDING, "Amplitudes folded into kernels (not printed)", _trained, _folding),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(cases())),
)
