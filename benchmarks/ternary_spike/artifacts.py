"""The paper's tables, and what each row needs measured: training runs, one for each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from benchmarks.data.event_sets import for_seed
from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays, ConversionLoss
from benchmarks.measurements.deep_training import DeepTraining
from benchmarks.measurements.initial_gradients import InitialGradients
from benchmarks.measurements.membrane_potentials import EDGES, MembranePotentials
from benchmarks.methods import DEEP_METHODS, direct_method
from benchmarks.profiles import Profile
from benchmarks.tables import runs as kit
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import Artifact, Row, Values
from benchmarks.tables.columns import ran_on
from benchmarks.tables.runs import Found, Runs, cells, ran
from benchmarks.tables.settings import images_of_long
from benchmarks.tables.sweeps import printed_rows
from benchmarks.ternary_spike.analytic import cases
from benchmarks.ternary_spike.claims import BINARY, CONTROL, SHOWN, TERNARY, TRAINABLE
from benchmarks.ternary_spike.energy import COUNTED, operations
from benchmarks.ternary_spike.schemas import (
    ACCURACIES,
    AMPLITUDES,
    BEST,
    CONTROLS,
    CURVES,
    DENSITY,
    EVENTS,
    FIGURE2,
    FOLDING,
    GRADIENTS,
    METHODS,
    RATES,
    RUNS,
    TABLE5,
)
from benchmarks.ternary_spike.settings import PAPER, choice, choices, settings
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE

ELSEWHERE = {
    "Hybrid-Train": "trains a converted network without batch normalisation, with a surrogate of the time since the last spike",
    "TSSL-BP": "another neuron, which passes on currents, on a network without batch normalisation",
    "PTL": "another loop, which trains one layer after the other",
    "LTL": "another loop, which fits each layer to that of a trained network",
    "Joint A-SNN": "another network, which shares factors of its kernels with one without spikes",
    "OTTT": "another loop, which updates weights at every step, on a network without batch normalisation",
}
"""Why a printed method is not run."""
CONVERTED = {"SpikeNorm": {"VGG16": "VGG-16"}, "RMP-SNN": {"ResNet20": "ResNet-20"}}
"""Printed methods that convert a trained network, and what other papers' tables call the networks: those of the profile."""
EVENT_STEPS = 10
"""Table 4's T of the paper's own rows."""


def training(profile: Profile, key: Values, seeds: list[int] | None = None) -> Runs:
    """Training runs of a method on the network that stands for the paper's. Raises NotAvailable where there is none."""
    direct_method(key["method"])
    chosen = choice(profile, key["dataset"], key["architecture"])
    options = (("timesteps", int(key["timesteps"])),)
    what = (chosen.layout, key["method"], chosen.recipe, options, chosen.validation, chosen.training)
    found, tested = seeds or chosen.seeds, chosen.test_every_epoch
    runs = tuple(DeepTraining(for_seed(chosen.dataset, seed), seed, *what, test_every_epoch=tested) for seed in found)
    return ran(chosen.dataset, chosen.layout, chosen.stand_in), runs


def _printed(table: str, profile: Profile) -> Found:
    for row in printed_rows(PAPER, table, ACCURACIES[table].keys, Row):
        yield row.key, partial(_compared, profile, row.key)


def _compared(profile: Profile, key: Values) -> Runs:
    """Training runs of a printed row; quoted methods have the seeds and the largest T of [papers.ternary_spike.methods]."""
    if key["method"] in ELSEWHERE:
        raise NotAvailable(ELSEWHERE[key["method"]])
    if key["provenance"] == "own":
        return training(profile, key)
    found = settings(profile)
    if key["method"] in CONVERTED:
        return _conversion(profile, key, images_of_long(found, key["timesteps"]))
    if key["timesteps"] > (most := found.get("most_timesteps", key["timesteps"])):
        raise NotAvailable(f"profile {profile.name} runs quoted methods at up to T = {most}")
    return training(profile, key, found.get("seeds"))


def _conversion(profile: Profile, key: Values, limit: int | None) -> Runs:
    """A trained network of the profile, converted, on all test images or the first few."""
    network = profile.network(key["dataset"], CONVERTED[key["method"]][key["architecture"]])
    what = profile.calibration, limit, key["method"], (), (int(key["timesteps"]),)
    return ran_on(network), (ConversionLoss(network, *what),)


def _settings(profile: Profile) -> Iterator[Values]:
    """Table 1's methods and steps on every network of the profile."""
    for chosen in choices(profile):
        for row in printed_rows(PAPER, "table1", ACCURACIES["table1"].keys, Row):
            if (row.key["dataset"], row.key["architecture"]) == (chosen.paper_dataset, chosen.architecture):
                yield {name: row.key[name] for name in ("dataset", "architecture", "method", "timesteps")}


def _runs(profile: Profile) -> Found:
    return ((key, partial(training, profile, key)) for key in _settings(profile))


def _events(profile: Profile) -> Found:
    """Binary, ternary and trainable spikes on every network that stands for one of CIFAR10-DVS."""
    for chosen in choices(profile):
        for method in (BINARY, TERNARY, TRAINABLE) if chosen.paper_dataset == "CIFAR10-DVS" else ():
            key: Values = {"dataset": chosen.paper_dataset, "architecture": chosen.architecture, "method": method}
            key["timesteps"] = EVENT_STEPS
            yield key, partial(training, profile, key)


def _trained(profile: Profile) -> Found:
    return ((key, runs) for key, runs in _runs(profile) if key["method"] == TRAINABLE)


def _controls(profile: Profile) -> Found:
    """The control of trained amplitudes, at the steps of [papers.ternary_spike.methods], with all seeds."""
    for key, _ in _trained(profile):
        if key["timesteps"] == settings(profile).get("timesteps"):
            yield key | {"method": CONTROL}, partial(training, profile, key | {"method": CONTROL})


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


def _energies(profile: Profile) -> Found:
    """Each row of Table 5 in both counts, at the printed rate and at that of our networks."""
    for row, counted, rates in product(printed_rows(PAPER, "table5", TABLE5.keys[:-2], Row), COUNTED, RATES):
        key = row.key | {"counted": counted, "rates": rates}
        named = {"dataset": "CIFAR-10", "architecture": "ResNet20", "method": key["method"], "timesteps": key["timesteps"]}
        yield key, _defined if rates == "printed" else partial(training, profile, named)


def _defined() -> Runs:
    return ran("none", "ResNet20", False), ()


def _potentials(profile: Profile) -> Found:
    """Binary and ternary spikes at one and two steps, on the network that stands for that of Figure 2, with its first seed."""
    for method, t in product((BINARY, TERNARY), (1, 2)):
        key = {"dataset": "CIFAR-10", "architecture": "ResNet20", "method": method, "timesteps": t}
        yield key, partial(_potentials_of, profile, key)


def _potentials_of(profile: Profile, key: Values) -> Runs:
    status, (first, *_) = training(profile, key)
    return status, (MembranePotentials(**vars(first)),)


def _rate(arrays: list[Arrays]) -> float:
    """Neurons with a spike in percent, mean over networks."""
    return float(np.mean([100 * float((each["fired"] * each["sizes"]).sum() / each["sizes"].sum()) for each in arrays]))


def _summary(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Means over training runs, or the accuracy of a converted network."""
    if "each_snn" in arrays[0]:
        correct = arrays[0]["each_snn"]
        yield {"snn_metric": 100 * float(correct.mean()), "n_test": len(correct)}
        return
    yield kit.over_runs(arrays) | {"firing_percent": _rate(arrays)}


def _single(key: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """One training run, with its best epoch on the test set where that was measured."""
    tested = arrays[0].get("test_accuracy")
    best = {} if tested is None else {BEST.name: float(tested[1:].max())}
    return (line | best for line in kit.single(_summary, key, arrays))


def _curves(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    return cells({"epoch": 0}, validation=np.mean([each["validation_accuracy"] for each in arrays], axis=0))


def _folding(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    same = np.concatenate([each["folded"] for each in arrays])
    yield {"same_percent": 100 * float(same.mean()), "images": len(same)}


def _gradients(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    return cells({"layer": 1}, gradient=arrays[0]["gradient"])


def _layers(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    amplitude, firing = (np.mean([each[name] for each in arrays], axis=0) for name in ("amplitudes", "fired"))
    return cells({"layer": 1}, amplitude=amplitude, firing=firing)


def _priced(key: Values, arrays: list[Arrays]) -> Iterator[Values]:
    rate = _rate(arrays) if arrays else key["firing_percent"]
    found = operations(key["method"], key["counted"], rate / 100, key["timesteps"])
    yield {
        "rate_percent": rate,
        "counted_flops_m": found.macs / 1e6,
        "counted_sops_m": found.acs / 1e6,
        "counted_sign_m": found.signs / 1e6,
        "counted_energy_uj": 1000 * TERNARY_SPIKE_TABLE.millijoules(found),
        "energy_tmn_uj": 1000 * TMN_TABLE.millijoules(found),
        "epochs": len(arrays[0]["train_loss"]) if arrays else None,
    }


def _spreads(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    for line in cells({"layer": 1}, mean=arrays[0]["mean"], std=arrays[0]["std"]):
        yield line | {"epochs": len(arrays[0]["train_loss"])}


def _densities(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    middles = ((EDGES[1:] + EDGES[:-1]) / 2).tolist()
    return cells({"layer": 1, "potential": middles}, density=arrays[0]["density"][:SHOWN])


TITLES = {
    "table1": "Table 1: binary, ternary and trainable ternary spikes",
    "table2": "Table 2: CIFAR-10 and CIFAR-100",
    "table3": "Table 3: ImageNet",
    "table4": "Table 4: CIFAR10-DVS",
}
ARTIFACTS = (
    *(kit.artifact(ACCURACIES[name], title, partial(_printed, name), _summary) for name, title in TITLES.items()),
    kit.artifact(TABLE5, "Table 5: operations and energy", _energies, _priced),
    kit.artifact(FIGURE2, "Figure 2: spread of membrane potentials by layer", _potentials, _spreads, layer=1),
    kit.artifact(DENSITY, "Figure 2: distributions", _potentials, _densities, layer=1, potential=0.0),
    kit.artifact(RUNS, "Every training run of Table 1 (not printed)", _runs, _single, each=True),
    kit.artifact(CONTROLS, "Amplitudes only where they act (not printed)", _controls, _single, each=True),
    kit.artifact(CURVES, "Accuracy over epochs (not printed)", _runs, _curves, epoch=0),
    kit.artifact(EVENTS, "Every training run on frames of events (not printed)", _events, _single, each=True),
    kit.artifact(METHODS, "Methods of direct training on one network, by one recipe (not printed)", _methods, _summary),
    kit.artifact(GRADIENTS, "Gradients over depth before training (not printed)", _untrained, _gradients, layer=1),
    kit.artifact(AMPLITUDES, "Trained amplitudes by layer (not printed)", _trained, _layers, layer=1),
    kit.artifact(FOLDING, "Amplitudes folded into kernels (not printed)", _trained, _folding),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(cases())),
)
