"""The paper's tables and figures, and what each row needs measured.

Every table rests on training runs; a run that two tables name is trained once. ``runs`` has one line per run with its
correctness per image, from which all means over seeds follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.data import dataset_spec
from benchmarks.errors import NotAvailable
from benchmarks.ettfs import schemas
from benchmarks.ettfs.settings import INITIALIZATIONS, PAPER, VARIANTS, choice, choices, settings, variant_of
from benchmarks.measurements import Arrays
from benchmarks.profiles import Profile
from benchmarks.tables import runs as kit
from benchmarks.tables.analytic import analytic_rows
from benchmarks.tables.artifacts import Artifact, Row, Values
from benchmarks.tables.runs import Found, Runs, cells, ran
from benchmarks.tables.schema import TableSchema
from benchmarks.tables.statistics import over_seeds
from benchmarks.tables.sweeps import printed_rows
from benchmarks.training import recipe

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
    from benchmarks.measurements.direct_training import DirectTraining

    chosen, options = choice(profile, *network).of(method), options or {}
    if method not in chosen.recipes:
        raise NotAvailable(f"the profile has no recipe for {method} on {chosen.paper_dataset} {chosen.network}")
    name = chosen.recipes[method]
    if options.get("initialization") == "kaiming" and recipe(name).options["timesteps"] == 2:
        raise NotAvailable("at T = 2 the paper's initialisation is Kaiming's: both draw weights of variance 2/N")
    what = (chosen.layout, method, name, tuple(options.items()), chosen.validation, chosen.training, tolerant)
    runs = tuple(DirectTraining(chosen.dataset, seed, *what) for seed in seeds or chosen.seeds_of(method))
    return ran(chosen.dataset, chosen.layout, chosen.stand_in), runs


def _printed(table: TableSchema, profile: Profile) -> Found:
    """A method on its network; in Table III a variant of ETTFS, on the network that the profile names for it."""
    for row in printed_rows(PAPER, table.name, table.keys, Row):
        network = (row.key["dataset"], row.key["network"])
        ablated = table is schemas.TABLE3
        start = partial(_ablated, profile, row.number) if ablated else partial(training, profile, method=row.key["method"])
        yield row.key, partial(start, network=network)


def _ablated(profile: Profile, row: int, network: Sequence[str]) -> Runs:
    found, variant = settings(profile, "table3"), variant_of(row)
    if found["network"] and variant not in found["variants"]:
        raise NotAvailable("the profile leaves this variant out, for time")
    return training(profile, found["network"] or network, options=VARIANTS[variant])


def _named(profile: Profile) -> Found:
    """All that Tables I to III name: every method on its networks, and the variants of ETTFS."""
    ablated = settings(profile, "table3")
    for chosen in choices(profile):
        network = [chosen.paper_dataset, chosen.network]
        listed = [(method, "both" if method == "ETTFS" else "as published") for method in chosen.recipes]
        if network == ablated["network"]:
            listed += [("ETTFS", variant) for variant in ablated["variants"] if variant != "both"]
        for method, variant in listed if chosen.network != "deep SMLP" else []:  # that is of Figure 4
            key = _of(network) | {"method": method, "variant": variant}
            yield key, partial(training, profile, network, method, VARIANTS.get(variant))


def _of(network: Sequence[str]) -> Values:
    return dict(zip(("dataset", "network"), network, strict=True))


def _own(profile: Profile) -> Found:
    return ((key, runs) for key, runs in _named(profile) if key["method"] == "ETTFS")


def _decoders(profile: Profile) -> Found:
    """Temporal weightings on the same network: the ablation that Sec. III-D announces and no table holds."""
    found = settings(profile, "decoders")
    for network, decoder in product(found["networks"], found["decoders"]):
        key = {"decoder": decoder}
        yield _of(network) | key, partial(training, profile, network, options=key, seeds=found["seeds"])


def _forced(profile: Profile) -> Found:
    """Networks trained with and without the forced last spike, each run with and without it."""
    trained = {"forced": {"forced_spike": True}, "free": {}}
    for network, name in product(settings(profile, "forced")["networks"], trained):
        yield _of(network) | {"trained": name}, partial(training, profile, network, options=trained[name])


def _deep(profile: Profile) -> Found:
    """A network of five layers, which goes on although layers are silent."""
    found = settings(profile, "figure4")
    for encoding, name in product(found["encodings"], INITIALIZATIONS):
        options = VARIANTS[INITIALIZATIONS[name]] | ({} if encoding == "direct" else {"encoding": encoding})
        key = {"encoding": encoding, "initialization": name}
        yield key, partial(training, profile, found["network"], options=options, tolerant=True)


def _initialized(profile: Profile) -> Found:
    """Table III's network with average pooling under both initialisations."""
    network = settings(profile, "table3")["network"]
    for name, variant in INITIALIZATIONS.items() if network else ():
        yield {"initialization": name}, partial(training, profile, network, options=VARIANTS[variant])


def _untrained(profile: Profile) -> Found:
    """The profile's untrained network in each encoding and initialisation."""
    found = settings(profile, "initial")
    for encoding, name in product(found["encodings"], INITIALIZATIONS):
        yield {"encoding": encoding, "initialization": name}, partial(_state, found, encoding, name)


def _state(found: Values, encoding: str, name: str) -> Runs:
    from benchmarks.measurements.initial_state import InitialState

    state = InitialState(found["dataset"], 0, found["layout"], found["timesteps"], name, encoding, images=found["images"])
    stand_in = dataset_spec(state.dataset).paper_name != "Fashion-MNIST"  # the data set of Figures 1, 2 and 5
    return ran(state.dataset, state.layout, stand_in), (state,)


# ---- what fills a row -------------------------------------------------------------------------------------------------


def _mean(values: Iterable[Any]) -> float:
    return float(np.mean(list(values)))


def _summary(_: Values, arrays: list[Arrays]) -> list[Values]:
    """Means over training runs."""
    count = len(arrays[0]["correct"])
    means = {
        "train_accuracy": _mean(each["train_accuracy"][-1] for each in arrays),
        "decision_step": _mean(each["decision"].mean() for each in arrays),
        "spikes_per_neuron": _mean(each["spike_steps"][:, :-1].sum() / each["spike_steps"].sum() for each in arrays),
        "tied_percent": _mean(100 * each["tied"] / count for each in arrays),
        "silent_percent": _mean(100 * each["silent"] / count for each in arrays),
    }
    return [kit.over_runs(arrays) | means | {"timesteps": arrays[0]["spike_steps"].shape[1] - 1}]


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
    from snncore.energy import TMN_TABLE, Operations

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
    decided = np.bincount(decision, minlength=steps.shape[1] + 1)[1:]
    counts = np.vstack([decided, steps])
    return cells({"layer": 0, "step": 1}, share=counts / counts.sum(axis=1, keepdims=True))


def _epochs(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Loss, accuracy and firing rate after every epoch of a run; none in training before the first."""
    (each,) = arrays
    trained = {name: [np.nan, *each[name]] for name in ("train_loss", "train_accuracy")}
    after = {name: each[name] for name in ("validation_loss", "validation_accuracy")}
    after |= {"silent_percent": each["validation_silent"], "firing_last_hidden": each["firing"][:, -2]}
    return cells({"epoch": 0}, **trained, **after)


def _steps(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """Share of neurons that fire over training steps: mean over seeds, by layer."""
    firing = np.mean([each["step_firing"] for each in arrays], axis=0)  # [K, L]
    return cells({"layer": 1, "step": arrays[0]["step"].tolist()}, firing=firing.T)


def _by_layer(columns: dict[str, str], _: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """``columns``: column -> array with an entry for each layer."""
    return cells({"layer": 1}, **{column: arrays[0][name] for column, name in columns.items()})


def _densities(_: Values, arrays: list[Arrays]) -> Iterator[Values]:
    from benchmarks.measurements.initial_state import BINS, HIGH, LOW

    counts, width = arrays[0]["potential"], (HIGH - LOW) / BINS  # [L, BINS]
    middles = [LOW + (index + 0.5) * width for index in range(BINS)]
    return cells({"layer": 1, "potential": middles}, density=counts / counts.sum(axis=1, keepdims=True) / width)


def _analytic(profile: Profile) -> list[Row]:
    from benchmarks.ettfs.analytic import cases

    return analytic_rows(cases(settings(profile, "stacks")))


STATES = partial(_by_layer, {name: name for name in ("fired", "mean", "variance", "current_variance")})
GRADIENTS = partial(_by_layer, {"median": "gradient", "mean": "gradient_mean"})
ARTIFACTS = (
    kit.artifact(schemas.TABLE1, "Table I: MNIST", partial(_printed, schemas.TABLE1), _summary),
    kit.artifact(schemas.TABLE2, "Table II: Fashion-MNIST", partial(_printed, schemas.TABLE2), _summary),
    kit.artifact(schemas.TABLE3, "Table III: initialisation and pooling", partial(_printed, schemas.TABLE3), _summary),
    kit.artifact(schemas.RUNS, "Every training run (not printed)", _named, partial(kit.single, _summary), each=True),
    kit.artifact(schemas.CURVES, "Learning curves of every run (not printed)", _named, _epochs, each=True, epoch=0),
    kit.artifact(schemas.DECODERS, "Temporal weightings (announced in Sec. III-D, not printed)", _decoders, _summary),
    kit.artifact(schemas.FORCED, "The forced last spike (Sec. III-C, not printed)", _forced, _with_and_without),
    kit.artifact(schemas.COST, "Spikes, latency and energy (not printed)", _named, _cost),
    kit.artifact(schemas.SPIKE_TIMES, "Spike times after training (not printed)", _own, _times, layer=0, step=1),
    kit.artifact(schemas.FIGURE1, "Figure 1: firing rate and potential over depth", _untrained, STATES, layer=1),
    kit.artifact(schemas.FIGURE2, "Figure 2: distribution of the potential", _untrained, _densities, layer=1),
    kit.artifact(schemas.FIGURE4, "Figure 4: convergence of a five-layer network", _deep, _epochs, each=True, epoch=0),
    kit.artifact(schemas.FIGURE5, "Figure 5: gradients before training", _untrained, GRADIENTS, layer=1),
    kit.artifact(schemas.FIGURE8, "Figure 8: accuracy over training, SCNN", _initialized, _epochs, each=True, epoch=0),
    kit.artifact(schemas.FIGURE9, "Figure 9: firing rate over training, SCNN", _initialized, _steps, layer=1, step=0),
    Artifact("analytic", "Analytic claims", schemas.ANALYTIC, _analytic),
)
