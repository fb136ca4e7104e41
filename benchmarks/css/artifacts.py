"""Table and figures of the CSS paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import inf
from typing import Any

from benchmarks.css import analytic
from benchmarks.css.settings import EVERY, PAPER, SECTIONS, settings_of
from benchmarks.errors import NotAvailable
from benchmarks.harness.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Case, Row, Values, status_of
from benchmarks.harness.columns import ACCURACY_COLUMNS, STEP_COLUMNS, accuracy, seeds_of, steps_of
from benchmarks.harness.results import Column, TableSchema
from benchmarks.measurements import Arrays, ConversionLoss, LiveMemory, PipelinedAccuracy, ResidualPotential
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.published import read_published
from snncore.energy import energy_mj

Options = dict[str, Any]
Cases = Iterator[tuple[Values, Options, int]]
NETWORK = (
    Column("dataset", "text", nullable=False),
    Column("architecture", "text", nullable=False),
)
SILENT = Column("silent_steps", "int", nullable=False, minimum=0, doc="length of the silent period")
TIMESTEPS = Column("timesteps", "int", nullable=False, minimum=1, doc="coding steps T")
NEGATIVE = Column("negative_spikes", "text", nullable=False, choices=("yes", "no"))
LATENCY = STEP_COLUMNS[2]
ADJUSTMENT = (
    Column("adjusted_in", "int", minimum=0, doc="rounds of amplitude adjustment"),
    Column("unsettled", "int", minimum=0, doc="layers that still leave more than their amplitude after the last round"),
    Column("largest_factor", "sci", decimals=3, minimum=0, doc="of an amplitude", rtol=1e-2),
)
"""Empty where no amplitude was adjusted."""

# ---- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(profile: Profile) -> list[Row]:
    """Every row of Table 2, with the networks of the profile."""
    settings = settings_of(profile, "table2")
    rows = []
    for _, printed in read_published(PAPER, "table2").iterrows():
        key = {column.name: printed[column.name] for column in TABLE2.keys}
        number, name, timesteps = int(key["row"]), str(key["method"]), int(key["timesteps"])
        try:
            choice = profile.network(key["dataset"], key["architecture"])
            method(name).check(choice.levels, timesteps)
            limit = settings["long_images"] if timesteps >= settings.get("long", inf) else None
            rows.append(_loss_row(profile, number, key, choice, name, {}, timesteps, limit))
        except NotAvailable as error:
            rows.append(Row(number, key, reason=str(error)))
    return rows


def _loss_row(
    profile: Profile,
    number: int,
    key: Values,
    choice: NetworkChoice,
    name: str,
    options: Options,
    timesteps: int,
    limit: int | None,
    count: bool = False,
) -> Row:
    """A row of accuracies, with its steps; what was adjusted and counted where there is any."""
    columns = steps_of(name, timesteps, choice, **options) | {"calibration": profile.calibration}
    measurement = ConversionLoss(choice, profile.calibration, limit, name, tuple(options.items()), (timesteps,), count=count)
    return Row(number, key, partial(_loss, choice, columns, count), (measurement,))


def _loss(choice: NetworkChoice, columns: Values, count: bool, arrays: list[Arrays]) -> list[Values]:
    (values,) = accuracy(choice, 0, columns, arrays)
    found = arrays[0]
    if "same_adjustment" in found:
        rounds, unsettled, _, largest = found["same_adjustment"]
        values |= {"adjusted_in": int(rounds), "unsettled": int(unsettled), "largest_factor": float(largest)}
    if count:
        images = len(found["each_ann"])
        acs, macs, once = (float(found[name]) / images for name in ("acs", "macs_every_step", "macs"))
        values |= {
            "spikes_per_neuron": float(found["spikes"].sum()) / float(found["neurons"]),
            "negative_share": float(found["spikes"][1] / max(found["spikes"].sum(), 1)),
            "acs": acs,
            "macs": macs,
            "macs_once": once,
            "energy_mj": energy_mj(macs, acs),
            "energy_once_mj": energy_mj(once, acs),
        }
    return [values]


TABLE2 = TableSchema(
    "table2",
    version=1,
    keys=(
        Column("row", "int", nullable=False, minimum=1),
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False, doc="in the registry"),
        Column("printed_method", "text"),
        Column("architecture", "text", nullable=False),
        Column("ann_metric_paper", "float"),
        Column("coding", "text"),
        Column("timesteps", "int", minimum=1),
        Column("latency_paper", "int", minimum=1),
        Column("snn_metric_paper", "float"),
        Column("provenance", "text"),
    ),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS),
)


# ---- the figures and what else is varied ------------------------------------------------------------------------------


def _settings(profile: Profile, artifact: str) -> dict[str, Any]:
    """Of an artifact that varies something; without a section nothing is varied."""
    return settings_of(profile, artifact) or {name: [] for name in (*EVERY, *SECTIONS[artifact])}


def _varied(profile: Profile, artifact: str, cases: Cases, name: str = "TSA", count: bool = False) -> list[Row]:
    """A row for each network of a setting and each case: its key without the network, the options of the method, and T."""
    settings = _settings(profile, artifact)
    rows: list[Row] = []
    listed = list(cases)
    for dataset, architecture in settings["networks"]:
        for own, options, timesteps in listed:
            key = {"dataset": dataset, "architecture": architecture} | own
            number = len(rows) + 1
            used = str(own.get("method", name))
            try:
                choice = profile.network(dataset, architecture)
                method(used).check(choice.levels, timesteps, **options)
                limit = settings.get("test_images")
                rows.append(_loss_row(profile, number, key, choice, used, options, timesteps, limit, count))
            except NotAvailable as error:
                rows.append(Row(number, key, reason=str(error)))
    return rows


def figure1(profile: Profile) -> list[Row]:
    """Accuracy over coding steps and over latency, by silent period; amplitudes adjusted in both."""
    settings = _settings(profile, "figure1")
    cases = (
        ({"silent_steps": silent, "timesteps": t}, {"precharge": silent, "adjustment": settings["adjustment"]}, t)
        for silent in settings["silent"]
        for t in settings["timesteps"]
        if silent <= t
    )
    return _varied(profile, "figure1", cases)


FIGURE1 = TableSchema(
    "figure1",
    version=1,
    keys=(*NETWORK, SILENT, TIMESTEPS),
    measures=(LATENCY, *ADJUSTMENT, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def figure2(profile: Profile) -> list[Row]:
    """Accuracy over latency with and without negative spikes, by silent period; amplitudes adjusted in all of them."""
    settings = _settings(profile, "figure2")
    cases = (
        (
            {"negative_spikes": "yes" if negative else "no", "silent_steps": silent, "timesteps": t},
            {"precharge": silent, "negative_spikes": negative, "adjustment": settings["adjustment"]},
            t,
        )
        for negative, listed in ((True, settings["with_negative"]), (False, settings["without_negative"]))
        for silent in listed
        for t in settings["timesteps"]
        if silent <= t
    )
    return _varied(profile, "figure2", cases)


FIGURE2 = TableSchema(
    "figure2",
    version=1,
    keys=(*NETWORK, NEGATIVE, SILENT, TIMESTEPS),
    measures=(LATENCY, *ADJUSTMENT, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def beta(profile: Profile) -> list[Row]:
    """Accuracy over the amplification factor (Section 4.3), by silent period and T; no amplitude is adjusted."""
    settings = _settings(profile, "beta")
    cases = (
        ({"silent_steps": silent, "timesteps": t, "beta": value}, {"precharge": silent, "beta": float(value)}, t)
        for silent in settings["silent"]
        for t in settings["timesteps"]
        for value in settings["betas"]
        if silent <= t
    )
    return _varied(profile, "beta", cases)


BETA = TableSchema(
    "beta",
    version=1,
    keys=(*NETWORK, SILENT, TIMESTEPS, Column("beta", "float", nullable=False, minimum=1, maximum=3)),
    measures=(LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def encoding(profile: Profile) -> list[Row]:
    """Images as spike trains from an initial potential (Theorem 2) beside constant currents, over T."""
    settings = _settings(profile, "encoding")
    cases = (
        ({"encoding": name, "timesteps": t}, {"encoding": name}, t)
        for name in ("potential", "direct")
        for t in settings["timesteps"]
    )
    return _varied(profile, "encoding", cases)


ENCODING = TableSchema(
    "encoding",
    version=1,
    keys=(*NETWORK, Column("encoding", "text", nullable=False, choices=("potential", "direct")), TIMESTEPS),
    measures=(LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def comparison(profile: Profile) -> list[Row]:
    """TSA beside TMN, its successor, on the same networks: steps, latency, loss, spikes and energy."""
    settings = _settings(profile, "comparison")
    listed = [("TSA", t) for t in settings["timesteps"]] + [("TMN", t) for t in settings["tmn"]]
    cases: Cases = (({"method": name, "timesteps": t}, {}, t) for name, t in listed)
    return _varied(profile, "comparison", cases, count=True)


COMPARISON = TableSchema(
    "comparison",
    version=1,
    keys=(*NETWORK, Column("method", "text", nullable=False), TIMESTEPS),
    measures=(
        STEP_COLUMNS[0],
        LATENCY,
        *ACCURACY_COLUMNS[1:],
        Column("spikes_per_neuron", "float", decimals=4, minimum=0, doc="per image, over all steps"),
        Column("negative_share", "float", decimals=4, minimum=0, maximum=1, doc="negative spikes over all", atol=1e-3),
        Column("acs", "sci", decimals=4, minimum=0, doc="accumulates per image"),
        Column("macs", "sci", decimals=4, minimum=0, doc="multiply-accumulates per image, first layer at each step"),
        Column("macs_once", "sci", decimals=4, minimum=0, doc="the same, first layer computed once"),
        Column("energy_mj", "sci", decimals=4, minimum=0, doc="mJ per image at 4.6 pJ per MAC (every step), 0.9 pJ per AC"),
        Column("energy_once_mj", "sci", decimals=4, minimum=0, doc="the same, first layer computed once"),
        *STATUS_COLUMNS,
    ),
)


# ---- latency as it is measured ----------------------------------------------------------------------------------------


def pipeline(profile: Profile) -> list[Row]:
    """Accuracy after each step of the pipelined simulation, in which all layers work at once."""
    settings = _settings(profile, "pipeline")
    rows: list[Row] = []
    for dataset, architecture in settings["networks"]:
        for silent in settings["silent"]:
            for timesteps in settings["timesteps"]:
                key = {"dataset": dataset, "architecture": architecture, "silent_steps": silent, "timesteps": timesteps}
                number, options = len(rows) + 1, {"precharge": silent}
                try:
                    choice = profile.network(dataset, architecture)
                    method("TSA").check(choice.levels, timesteps, **options)
                except NotAvailable as error:
                    rows.append(Row(number, key | {"step": 0}, reason=str(error)))
                    continue
                rule = steps_of("TSA", timesteps, choice, **options)["latency"]
                limit = settings.get("test_images")
                measured = PipelinedAccuracy(choice, profile.calibration, limit, "TSA", tuple(options.items()), timesteps)
                rows.append(Row(number, key, partial(_steps, choice, rule), (measured,), unmeasured={"step": 0}))
    return rows


def _steps(choice: NetworkChoice, rule: int, arrays: list[Arrays]) -> list[Values]:
    found = arrays[0]
    first = int(found["same_first"])
    return [
        {
            "step": first + index,
            "latency": rule,
            CORRECT: (found["each_ann"], found["each_snn"][:, index]),
            "seeds": seeds_of(choice),
        }
        | dict(status_of(choice))
        for index in range(found["each_snn"].shape[1])
    ]


PIPELINE = TableSchema(
    "pipeline",
    version=1,
    keys=(
        *NETWORK,
        SILENT,
        TIMESTEPS,
        Column("step", "int", nullable=False, minimum=0, doc="since the first input, from 1; the output's last is its latency"),
    ),
    measures=(LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def memory(profile: Profile) -> list[Row]:
    """Bytes alive at once, step by step (all layers at once) and layer by layer (all steps at once), over T."""
    settings = _settings(profile, "memory")
    rows: list[Row] = []
    for dataset, architecture in settings["networks"]:
        for mode in ("single-step", "multi-step"):
            for timesteps in settings["timesteps"]:
                key = {"dataset": dataset, "architecture": architecture, "mode": mode, "timesteps": timesteps}
                number = len(rows) + 1
                try:
                    choice = profile.network(dataset, architecture)
                except NotAvailable as error:
                    rows.append(Row(number, key, reason=str(error)))
                    continue
                limit = settings.get("test_images")
                measured = LiveMemory(choice, profile.calibration, limit, "TSA", (), timesteps, mode)  # type: ignore[arg-type]
                rows.append(Row(number, key, partial(_bytes, choice), (measured,)))
    return rows


def _bytes(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    size, images = int(arrays[0]["same_bytes"]), int(arrays[0]["same_images"])
    return [{"kilobytes": size / images / 1000, "images": images, "seeds": seeds_of(choice)} | dict(status_of(choice))]


MEMORY = TableSchema(
    "memory",
    version=1,
    keys=(*NETWORK, Column("mode", "text", nullable=False, choices=("single-step", "multi-step")), TIMESTEPS),
    measures=(
        Column("kilobytes", "float", decimals=1, minimum=0, doc="tensors alive at the same time, per image", rtol=0.05),
        Column("images", "int", minimum=1, doc="in one batch"),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)


# ---- temporal coupling ------------------------------------------------------------------------------------------------


def residual(profile: Profile) -> list[Row]:
    """Residual potentials with and without negative spikes, by silent period; no amplitude is adjusted."""
    settings = _settings(profile, "residual")
    rows: list[Row] = []
    for dataset, architecture in settings["networks"]:
        for negative in (True, False):
            for silent in settings["silent"]:
                for timesteps in settings["timesteps"]:
                    key = {"dataset": dataset, "architecture": architecture, "negative_spikes": "yes" if negative else "no"}
                    key |= {"silent_steps": silent, "timesteps": timesteps}
                    options = {"precharge": silent, "negative_spikes": negative}
                    number = len(rows) + 1
                    try:
                        choice = profile.network(dataset, architecture)
                        method("TSA").check(choice.levels, timesteps, **options)
                    except NotAvailable as error:
                        rows.append(Row(number, key, reason=str(error)))
                        continue
                    limit = settings.get("test_images")
                    measured = ResidualPotential(choice, profile.calibration, limit, "TSA", tuple(options.items()), timesteps)
                    rows.append(Row(number, key, partial(_residual, choice), (measured,)))
    return rows


def _residual(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    number, absolute, _, _, above = arrays[0]["sums"][0]  # all neurons
    values = {"mean_abs": absolute / number, "share_above": above / number, "n_test": int(arrays[0]["images"])}
    return [values | {"seeds": seeds_of(choice)} | dict(status_of(choice))]


RESIDUAL = TableSchema(
    "residual",
    version=1,
    keys=(*NETWORK, NEGATIVE, SILENT, TIMESTEPS),
    measures=(
        Column("mean_abs", "sci", decimals=4, minimum=0, doc="mean |u[T]| over the spike amplitude"),
        Column("share_above", "sci", decimals=4, minimum=0, doc="share with |u[T]| above the spike amplitude", atol=1e-4),
        Column("n_test", "int", minimum=1),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)


# ---- analytic claims --------------------------------------------------------------------------------------------------


def analytic_claims(profile: Profile) -> list[Row]:
    """Bounds and rules that need no data."""
    return [
        Row(number, {"claim": case.claim, "quantity": case.quantity, "case": case.case}, partial(_analytic, case))
        for number, case in enumerate(analytic.CASES, start=1)
    ]


def _analytic(case: Case, _: list[Arrays]) -> list[Values]:
    return [{"value": case.compute(), "status": "measured"}]


ANALYTIC = TableSchema(
    "analytic",
    version=1,
    keys=(
        Column("claim", "text", nullable=False),
        Column("quantity", "text", nullable=False),
        Column("case", "text", nullable=False),
    ),
    measures=(
        Column("value", "sci", decimals=6, doc="see quantity", rtol=1e-6),
        Column("status", "text", nullable=False),
    ),
)

ARTIFACTS = (
    Artifact("table2", "Table 2: coding steps and latency of neural codes", TABLE2, table2),
    Artifact("figure1", "Figure 1: coding steps and latency, with and without silent period", FIGURE1, figure1),
    Artifact("figure2", "Figure 2: latency with and without negative spikes", FIGURE2, figure2),
    Artifact("residual", "Residual potentials with and without negative spikes (not printed)", RESIDUAL, residual),
    Artifact("beta", "Amplification factor (Section 4.3; not printed)", BETA, beta),
    Artifact("encoding", "Input encoding by initial potential (Theorem 2; not printed)", ENCODING, encoding),
    Artifact("pipeline", "Latency as measured in the pipelined simulation (not printed)", PIPELINE, pipeline),
    Artifact("memory", "Memory of the pipelined simulation (not printed)", MEMORY, memory),
    Artifact("comparison", "TSA and TMN on the same networks (not printed)", COMPARISON, comparison),
    Artifact("analytic", "Analytic claims", ANALYTIC, analytic_claims),
)
