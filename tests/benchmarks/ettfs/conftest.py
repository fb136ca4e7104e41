"""Small tables of the ETTFS room, valid under its schemas, for tests of claims, figures and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.ettfs.artifacts import ARTIFACTS
from benchmarks.published import read_published
from benchmarks.tables.statistics import over_seeds

Tables = dict[str, pd.DataFrame]
SCHEMAS = {artifact.name: artifact.schema for artifact in ARTIFACTS}
SEEDS = (0, 1, 2, 3, 4)
HUB = {"MNIST": "ylecun/mnist", "Fashion-MNIST": "zalando-datasets/fashion_mnist"}
LAYOUTS = {"SMLP": "784-400-10", "SCNN": "16C5-P2-32C5-P2-800-128-10", "deep SMLP": "784-400-400-400-400-10"}
NOISE = (0.0, 0.1, -0.1, 0.05, -0.05)
ACCURACY = {"both": 91.6, "no init": 90.4, "no average pooling": 90.1, "neither": 89.3}


def used(dataset: str, network: str, stand_in: bool) -> dict[str, str]:
    if stand_in:
        return {"dataset_used": "sklearn/digits", "architecture_used": "64-100-10", "status": "stand-in"}
    return {"dataset_used": HUB[dataset], "architecture_used": LAYOUTS[network], "status": "measured"}


@pytest.fixture(scope="session")
def ettfs_tables() -> Callable[..., Tables]:
    """Makes tables in which every claim holds; on stand-ins with ``stand_in=True``, with so many ``seeds``."""
    return lambda stand_in=False, seeds=SEEDS: dict(_made(stand_in, tuple(seeds)))


@cache
def _made(stand_in: bool, seeds: tuple[int, ...]) -> Tables:
    make = {
        "table1": lambda: _printed("table1", {("ETTFS", "SMLP"): 98.9}, stand_in, seeds),
        "table2": lambda: _printed("table2", {("ETTFS", "SMLP"): 89.5, ("ETTFS", "SCNN"): 91.6}, stand_in, seeds),
        "table3": lambda: _table3(stand_in, seeds),
        "runs": lambda: _runs(stand_in, seeds),
        "curves": lambda: _learning(stand_in, seeds),
        "decoders": lambda: _decoders(stand_in, seeds),
        "forced": lambda: _forced(stand_in, seeds),
        "cost": lambda: _cost(stand_in),
        "spike_times": lambda: _spike_times(stand_in),
        "figure1": lambda: _figure1(stand_in),
        "figure2": lambda: _figure2(stand_in),
        "figure4": lambda: [{"encoding": "direct"} | row for row in _curves("deep SMLP", stand_in, seeds)],
        "figure5": lambda: _figure5(stand_in),
        "figure8": lambda: _curves("SCNN", stand_in, seeds),
        "figure9": lambda: _figure9(stand_in),
        "analytic": _analytic,
    }
    return {name: _frame(name, build()) for name, build in make.items()}


def _frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a stored table is read: whole numbers stay whole where some are missing."""
    schema = SCHEMAS[name]
    frame = pd.DataFrame(rows, columns=schema.names)
    whole = [column.name for column in (*schema.keys, *schema.measures) if column.kind == "int"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def summary(accuracy: float, seeds: Sequence[int], **changes: Any) -> dict[str, Any]:
    interval, deviation = over_seeds(np.array([accuracy + NOISE[seed % 5] for seed in seeds]))
    columns: dict[str, Any] = {
        "timesteps": 8,
        "seeds": ", ".join(map(str, seeds)),
        "snn_metric": interval.estimate,
        "std": deviation,
        "ci95_low": interval.low,
        "ci95_high": interval.high,
        "validation": accuracy + 0.2,
        "decision_step": 1.5,
        "spikes_per_neuron": 0.4,
        "tied_percent": 12.0,
        "silent_percent": 0.1,
        "training_images": 55_000,
        "epochs": 30,
        "n_test": 10_000,
    }
    return columns | changes


def _printed(name: str, accuracies: dict[tuple[str, str], float], stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for printed in read_published("ettfs", name).to_dict("records"):
        key = {column.name: printed[column.name] for column in SCHEMAS[name].keys}
        accuracy = accuracies.get((printed["method"], printed["network"]))
        if accuracy is None:
            rows.append(key | {"status": f"not run: the profile has no recipe for {printed['method']}"})
        else:
            rows.append(key | summary(accuracy, seeds) | used(printed["dataset"], printed["network"], stand_in))
    return rows


def _table3(stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    variants = {1: "neither", 2: "no average pooling", 3: "no init", 4: "both"}
    return [
        printed | summary(ACCURACY[variants[printed["row"]]], seeds) | used("Fashion-MNIST", "SCNN", stand_in)
        for printed in read_published("ettfs", "table3").to_dict("records")
    ]


GROUPS = [("MNIST", "SMLP", "both", 98.9), ("Fashion-MNIST", "SMLP", "both", 89.5)]
GROUPS += [("Fashion-MNIST", "SCNN", variant, accuracy) for variant, accuracy in ACCURACY.items()]


def _runs(stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "network": network, "method": "ETTFS", "variant": variant, "seed": seed}
        # Noise of its own for every variant, so that differences have a spread.
        | {"snn_metric": round(accuracy + NOISE[(seed + index) % 5], 2), "n_test": 10_000, "ci95_low": 1.0, "ci95_high": 99.0}
        | {"validation": accuracy, "train_accuracy": 99.0, "training_images": 55_000, "epochs": 30, "decision_step": 1.5}
        | used(dataset, network, stand_in)
        for index, (dataset, network, variant, accuracy) in enumerate(GROUPS)
        for seed in seeds
    ]


def _learning(stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "network": network, "method": "ETTFS", "variant": variant, "seed": seed, "epoch": epoch}
        | {"train_loss": 1.0 if epoch else np.nan, "train_accuracy": 90.0 if epoch else np.nan, "validation_loss": 1.0}
        | {"validation_accuracy": accuracy - 40 / (1 + epoch), "silent_percent": 1.0, "firing_last_hidden": 0.3}
        | used(dataset, network, stand_in)
        for dataset, network, variant, accuracy in GROUPS
        for seed in seeds
        for epoch in range(11)
    ]


def _decoders(stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    found = {"exponential-2": (1.6, 98.8), "exponential-4": (1.5, 98.9), "linear": (2.5, 98.7), "uniform": (3.0, 97.0)}
    return [
        {"dataset": "MNIST", "network": "SMLP", "decoder": decoder}
        | summary(accuracy, seeds, decision_step=step)
        | used("MNIST", "SMLP", stand_in)
        for decoder, (step, accuracy) in found.items()
    ]


def _forced(stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    ends = (np.nan, np.nan) if len(seeds) == 1 else (-0.08, 0.04)
    return [
        {"dataset": "MNIST", "network": "SMLP", "trained": trained, "seeds": ", ".join(map(str, seeds))}
        | {"accuracy_forced": 98.82, "accuracy_free": 98.80, "gain_free": -0.02, "gain_low": ends[0], "gain_high": ends[1]}
        | {"n_test": 10_000}
        | used("MNIST", "SMLP", stand_in)
        for trained in ("forced", "free")
    ]


def _cost(stand_in: bool) -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "network": network, "method": "ETTFS", "variant": variant, "timesteps": 8}
        | {"spikes_per_neuron": 0.4, "hidden_step": 2.0, "decision_step": 1.5, "decision_p95": 3, "acs": 2e5, "acs_exit": 1e5}
        | {"macs": 3e5, "energy_mj": 1.6e-3, "energy_exit_mj": 1.5e-3, "n_test": 10_000}
        | used(dataset, network, stand_in)
        for dataset, network, variant, _ in GROUPS
    ]


def _spike_times(stand_in: bool) -> list[dict[str, Any]]:
    shares = (0.6, 0.2, 0.1, 0.05, 0.02, 0.01, 0.01, 0.0, 0.01)
    return [
        {"dataset": dataset, "network": network, "method": "ETTFS", "variant": variant, "layer": layer, "step": step}
        | {"share": share}
        | used(dataset, network, stand_in)
        for dataset, network, variant, _ in GROUPS
        for layer in range(3)
        for step, share in enumerate(shares, start=1)
    ]


def _initial(stand_in: bool, layers: int = 5) -> list[dict[str, Any]]:
    return [
        {"encoding": encoding, "initialization": initialization, "layer": layer} | used("Fashion-MNIST", "deep SMLP", stand_in)
        for encoding in ("direct", "latency")
        for initialization in ("kaiming", "ettfs")
        for layer in range(1, layers + 1)
    ]


def _figure1(stand_in: bool) -> list[dict[str, Any]]:
    return [
        row | {"fired": fired, "mean": -0.1, "variance": 2.0, "current_variance": fired, "n_test": 500}
        for row in _initial(stand_in)
        for fired in [0.4 / 4 ** (row["layer"] - 1) if row["initialization"] == "kaiming" else 0.45]
    ]


def _figure2(stand_in: bool) -> list[dict[str, Any]]:
    return [
        row | {"potential": potential, "density": 0.1 if abs(potential) < 5 else 0.0}
        for row in _initial(stand_in)
        for potential in np.arange(-5.75, 6.0, 0.5)
    ]


def _figure5(stand_in: bool) -> list[dict[str, Any]]:
    return [
        row | {"median": 2e-3 if row["initialization"] == "ettfs" else 0.0 if row["layer"] == 5 else 1e-5, "mean": 3e-3}
        for row in _initial(stand_in)
    ]


def _curves(network: str, stand_in: bool, seeds: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for initialization in ("kaiming", "ettfs"):
        for seed in seeds:
            for epoch in range(11):
                reached = 100 - 60 / 2**epoch if initialization == "ettfs" else 10.0
                accuracy = reached - 0.1 * seed if epoch else np.nan
                rows.append(
                    {"initialization": initialization, "seed": seed, "epoch": epoch}
                    | {"train_loss": 2.0 / (epoch or np.nan), "train_accuracy": accuracy, "validation_loss": 2.0}
                    | {"validation_accuracy": reached - 5 - 0.1 * seed, "silent_percent": 1.0, "firing_last_hidden": 0.3}
                    | used("Fashion-MNIST", network, stand_in)
                )
    return rows


def _figure9(stand_in: bool) -> list[dict[str, Any]]:
    return [
        {"initialization": initialization, "layer": layer, "step": step, "firing": firing + step / 1000}
        | used("Fashion-MNIST", "SCNN", stand_in)
        for initialization, firing in (("kaiming", 0.1), ("ettfs", 0.4))
        for layer in range(1, 6)
        for step in (0, 10, 20)
    ]


def _analytic() -> list[dict[str, Any]]:
    rows: list[tuple[str, str, str, float]] = []
    for timesteps in (4, 8):
        for layer in range(1, 7):
            case = f"T = {timesteps}, forced last spike, layer {layer}"
            rows.append(("E01", "variance of the current X[t]", f"kaiming, {case}", 2 / timesteps * 1.05))
            rows.append(("E02", "variance of the current X[t]", f"ettfs, {case}", 0.97))
            rows.append(("E02", "mean of the current X[t]", f"ettfs, {case}", 0.02))
            for name, fired in (("kaiming", 0.3 / 5**layer), ("ettfs", 0.4)):
                case = f"{name}, T = {timesteps}, no forced spike, layer {layer}"
                rows.append(("E03", "share of neurons that fire", case, fired))
    largest, difference = "largest sum of a pooled train over time", "largest difference between pooling before and after summing"
    rows += [("E08", largest, "max pooling, 2x2", 4.0), ("E08", largest, "average pooling, 2x2", 1.0)]
    rows += [("E08", difference, "average pooling, 2x2", 0.0), ("E08", difference, "max pooling, 2x2", 3.0)]
    return [dict(zip(("claim", "quantity", "case", "value"), row, strict=True)) | {"status": "measured"} for row in rows]
