"""The paper's tables, and what each row needs measured: training runs, one for each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.measurements import Arrays
from benchmarks.measurements.deep_training import DeepTraining
from benchmarks.measurements.initial_gradients import InitialGradients
from benchmarks.methods import DEEP_METHODS
from benchmarks.profiles import Profile
from benchmarks.tables import runs as kit
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import Artifact, Row, Values
from benchmarks.tables.runs import Found, Runs, cells, ran
from benchmarks.tables.schema import Column, published_keys
from benchmarks.tables.sweeps import printed_rows
from benchmarks.ternary_spike.analytic import cases
from benchmarks.ternary_spike.settings import PAPER, choice, choices, settings

percent = partial(Column, kind="float", minimum=0, maximum=100)
ACCURACY = percent("snn_metric", doc="test accuracy in %, mean over seeds")
EFFORT = (percent("firing_percent", doc="neurons with a spike, of either sign, mean over steps"), *kit.EFFORT, kit.N_TEST)
OVER_SEEDS = (kit.SEEDS, ACCURACY, *kit.SPREAD, kit.VALIDATION, *EFFORT)
T = Column("timesteps", "int", nullable=False, minimum=1)
SETTING = (*(Column(name, "text", nullable=False) for name in ("dataset", "architecture", "method")), T)
BY_LAYER = (*SETTING, Column("layer", "int", nullable=False, minimum=1, doc="neurons, in the order of computation"))
KEYS = published_keys(PAPER, "table1", ("row", "dataset", "architecture", "method", "timesteps"))
TABLE1 = kit.schema("table1", KEYS, *OVER_SEEDS, optional=kit.SINGLE)
METHODS = kit.schema("methods", SETTING, *OVER_SEEDS, optional=kit.SINGLE)
RUNS = kit.schema("runs", (*SETTING, kit.SEED), ACCURACY, *kit.WILSON, kit.VALIDATION, *EFFORT)
AMPLITUDES = kit.schema(
    "amplitudes",
    BY_LAYER,
    Column("amplitude", "float", 4, doc="after training, mean over seeds; 1 before", atol=1e-3),
    Column("firing", "float", 4, minimum=0, maximum=1, doc="share of neurons with a spike", atol=1e-3),
    kit.SEEDS,
)
GRADIENT = Column("gradient", "sci", 3, minimum=0, doc="norm of dL/dx over the currents of a layer, before training")
GRADIENTS = kit.schema("gradients", BY_LAYER, GRADIENT)
FOLDING = kit.schema(
    "folding",
    SETTING,
    percent("same_percent", doc="test images whose logits stay within 1e-12, in float64"),
    Column("images", "int", minimum=1, doc="over all seeds"),
    kit.SEEDS,
)


def training(profile: Profile, key: Values, seeds: list[int] | None = None) -> Runs:
    """Training runs of a method on the network that stands for the paper's. Raises NotAvailable where there is none."""
    chosen = choice(profile, key["dataset"], key["architecture"])
    options = (("timesteps", int(key["timesteps"])),)
    what = (chosen.layout, key["method"], chosen.recipe, options, chosen.validation, chosen.training)
    runs = tuple(DeepTraining(chosen.dataset, seed, *what) for seed in seeds or chosen.seeds)
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
    yield kit.over_runs(arrays) | {"firing_percent": float(np.mean(rates))}


def _folding(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    same = np.concatenate([each["folded"] for each in arrays])
    yield {"same_percent": 100 * float(same.mean()), "images": len(same)}


def _gradients(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    return cells({"layer": 1}, gradient=arrays[0]["gradient"])


def _layers(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    amplitude, firing = (np.mean([each[name] for each in arrays], axis=0) for name in ("amplitudes", "fired"))
    return cells({"layer": 1}, amplitude=amplitude, firing=firing)


ARTIFACTS = (
    kit.artifact(TABLE1, "Table 1: binary, ternary and trainable ternary spikes", _printed, _summary),
    kit.artifact(RUNS, "Every training run of Table 1 (not printed)", _runs, partial(kit.single, _summary), each=True),
    kit.artifact(METHODS, "Methods of direct training on one network, by one recipe (not printed)", _methods, _summary),
    kit.artifact(GRADIENTS, "Gradients over depth before training (not printed)", _untrained, _gradients, layer=1),
    kit.artifact(AMPLITUDES, "Trained amplitudes by layer (not printed)", _trained, _layers, layer=1),
    kit.artifact(FOLDING, "Amplitudes folded into kernels (not printed)", _trained, _folding),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(cases())),
)
