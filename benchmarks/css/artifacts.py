"""Table and figures of the CSS paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args

from benchmarks.css import analytic
from benchmarks.css.settings import PAPER, SECTIONS, settings_of
from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays, ConversionLoss, LiveMemory, Measurement, PipelinedAccuracy, ResidualPotential
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.published import read_published
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Case, Row, Values, status_of
from benchmarks.tables.columns import (
    ACCURACY_COLUMNS,
    CONTROLS_SCHEMA,
    STEP_COLUMNS,
    accuracy,
    calibration_of,
    control_rows,
    seeds_of,
    steps_of,
)
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.settings import images_of_long
from snncore.conversion import Mode
from snncore.energy import TMN_TABLE, Operations

Options = dict[str, Any]
Fill = Callable[[list[Arrays]], list[Values]]
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

# ---- rows of one kind -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One way to run a network: the key columns that tell it, and the method with its options and T."""

    key: Values
    timesteps: int
    options: Options = field(default_factory=dict)
    method: str = "TSA"


Measure = Callable[[Profile, NetworkChoice, Setting, int | None], tuple[Fill, Measurement]]
"""``(profile, network, setting, test images) -> (fill, measurement)`` of a row; see ``Row``."""


def _settings(profile: Profile, artifact: str) -> dict[str, Any]:
    """Of an artifact that varies something; without a section nothing is varied."""
    return settings_of(profile, artifact) or {name: [] for name in SECTIONS[artifact]}


def _varied(
    profile: Profile, artifact: str, varied: Iterable[Setting], measure: Measure, unmeasured: Values | None = None
) -> list[Row]:
    """A row for each network of the profile's section and each setting whose silent period is no longer than T."""
    section = _settings(profile, artifact)
    listed = [setting for setting in varied if setting.options.get("precharge", 0) <= setting.timesteps]
    rows: list[Row] = []
    for dataset, architecture in section["networks"]:
        for setting in listed:
            key = {"dataset": dataset, "architecture": architecture} | setting.key
            number = len(rows) + 1
            try:
                choice = profile.network(dataset, architecture)
                method(setting.method).check(choice.levels, setting.timesteps, **setting.options)
                fill, measurement = measure(profile, choice, setting, section.get("test_images"))
                rows.append(Row(number, key, fill, (measurement,), unmeasured=unmeasured or {}))
            except NotAvailable as error:
                rows.append(Row(number, key | (unmeasured or {}), reason=str(error)))
    return rows


def _accuracy(
    profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None, count: bool = False
) -> tuple[Fill, Measurement]:
    """Accuracies, with their steps; what was adjusted and counted where there is any."""
    columns = steps_of(setting.method, setting.timesteps, choice, **setting.options)
    columns |= {"calibration": calibration_of(profile, choice, setting.method)}
    options = tuple(setting.options.items())
    measurement = ConversionLoss(choice, profile.calibration, limit, setting.method, options, (setting.timesteps,), count=count)
    return partial(_loss, choice, columns, count), measurement


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
            "energy_mj": TMN_TABLE.millijoules(Operations(macs, acs)),
            "energy_once_mj": TMN_TABLE.millijoules(Operations(once, acs)),
        }
    return [values]


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(profile: Profile) -> list[Row]:
    """Every row of Table 2, with the networks of the profile."""
    rows = []
    for _, printed in read_published(PAPER, "table2").iterrows():
        key = {column.name: printed[column.name] for column in TABLE2.keys}
        rows.append(_table2_row(profile, int(key["row"]), key, str(key["method"])))
    return rows


def _table2_row(profile: Profile, number: int, key: Values, name: str) -> Row:
    """The row of a key, with the method of that name."""
    setting = Setting(key, int(key["timesteps"]), method=name)
    try:
        choice = profile.network(key["dataset"], key["architecture"])
        method(name).check(choice.levels, setting.timesteps)
        limit = images_of_long(settings_of(profile, "table2"), setting.timesteps)
        fill, measurement = _accuracy(profile, choice, setting, limit)
        return Row(number, key, fill, (measurement,))
    except NotAvailable as error:
        return Row(number, key, reason=str(error))


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


CONTROLS = {"TTRBR": ("TTRBR, centred", "TTRBR, centred, unshared"), "RMP-SNN": ("RMP-SNN, scaled",)}
"""Methods that lose more here than printed, and the same with one thing changed that may be to blame; others: TMN's room."""


def controls(profile: Profile) -> list[Row]:
    """Rows of Table 2 with a control in place of the method."""
    return control_rows(table2(profile), CONTROLS, partial(_table2_row, profile))


# ---- the figures and what else is varied ------------------------------------------------------------------------------


def figure1(profile: Profile) -> list[Row]:
    """Accuracy over coding steps and over latency, by silent period; amplitudes adjusted in both."""
    section = _settings(profile, "figure1")
    varied = (
        Setting({"silent_steps": silent, "timesteps": t}, t, {"precharge": silent, "adjustment": section["adjustment"]})
        for silent in section["silent"]
        for t in section["timesteps"]
    )
    return _varied(profile, "figure1", varied, _accuracy)


FIGURE1 = TableSchema(
    "figure1",
    version=1,
    keys=(*NETWORK, SILENT, TIMESTEPS),
    measures=(LATENCY, *ADJUSTMENT, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def figure2(profile: Profile) -> list[Row]:
    """Accuracy over latency with and without negative spikes, by silent period; amplitudes adjusted in all of them."""
    section = _settings(profile, "figure2")
    varied = (
        Setting(
            {"negative_spikes": "yes" if negative else "no", "silent_steps": silent, "timesteps": t},
            t,
            {"precharge": silent, "negative_spikes": negative, "adjustment": section["adjustment"]},
        )
        for negative, listed in ((True, section["with_negative"]), (False, section["without_negative"]))
        for silent in listed
        for t in section["timesteps"]
    )
    return _varied(profile, "figure2", varied, _accuracy)


FIGURE2 = TableSchema(
    "figure2",
    version=1,
    keys=(*NETWORK, NEGATIVE, SILENT, TIMESTEPS),
    measures=(LATENCY, *ADJUSTMENT, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def beta(profile: Profile) -> list[Row]:
    """Accuracy over the amplification factor (Section 4.3), by silent period and T; no amplitude is adjusted."""
    section = _settings(profile, "beta")
    varied = (
        Setting({"silent_steps": silent, "timesteps": t, "beta": value}, t, {"precharge": silent, "beta": float(value)})
        for silent in section["silent"]
        for t in section["timesteps"]
        for value in section["betas"]
    )
    return _varied(profile, "beta", varied, _accuracy)


BETA = TableSchema(
    "beta",
    version=1,
    keys=(*NETWORK, SILENT, TIMESTEPS, Column("beta", "float", nullable=False, minimum=1, maximum=3)),
    measures=(LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def encoding(profile: Profile) -> list[Row]:
    """Images as spike trains from an initial potential (Theorem 2) beside constant currents, over T."""
    section = _settings(profile, "encoding")
    varied = (
        Setting({"encoding": name, "timesteps": t}, t, {"encoding": name})
        for name in ("potential", "direct")
        for t in section["timesteps"]
    )
    return _varied(profile, "encoding", varied, _accuracy)


ENCODING = TableSchema(
    "encoding",
    version=1,
    keys=(*NETWORK, Column("encoding", "text", nullable=False, choices=("potential", "direct")), TIMESTEPS),
    measures=(LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


def comparison(profile: Profile) -> list[Row]:
    """TSA beside TMN, its successor, on the same networks: steps, latency, loss, spikes and energy."""
    section = _settings(profile, "comparison")
    varied = (
        Setting({"method": name, "timesteps": t}, t, method=name)
        for name, steps in (("TSA", "timesteps"), ("TMN", "tmn"))
        for t in section[steps]
    )
    return _varied(profile, "comparison", varied, partial(_accuracy, count=True))


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
    section = _settings(profile, "pipeline")
    varied = (
        Setting({"silent_steps": silent, "timesteps": t}, t, {"precharge": silent})
        for silent in section["silent"]
        for t in section["timesteps"]
    )
    return _varied(profile, "pipeline", varied, _pipelined, {"step": 0})


def _pipelined(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    rule = steps_of("TSA", setting.timesteps, choice, **setting.options)["latency"]
    options = tuple(setting.options.items())
    measurement = PipelinedAccuracy(choice, profile.calibration, limit, "TSA", options, setting.timesteps)
    return partial(_steps, choice, rule), measurement


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
    section = _settings(profile, "memory")
    varied = (Setting({"mode": mode, "timesteps": t}, t) for mode in get_args(Mode)[::-1] for t in section["timesteps"])
    return _varied(profile, "memory", varied, _memory)


def _memory(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    mode = setting.key["mode"]
    return partial(_bytes, choice), LiveMemory(choice, profile.calibration, limit, "TSA", (), setting.timesteps, mode)


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
    section = _settings(profile, "residual")
    varied = (
        Setting(
            {"negative_spikes": "yes" if negative else "no", "silent_steps": silent, "timesteps": t},
            t,
            {"precharge": silent, "negative_spikes": negative},
        )
        for negative in (True, False)
        for silent in section["silent"]
        for t in section["timesteps"]
    )
    return _varied(profile, "residual", varied, _left_over)


def _left_over(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    options = tuple(setting.options.items())
    measurement = ResidualPotential(choice, profile.calibration, limit, "TSA", options, setting.timesteps)
    return partial(_residual, choice), measurement


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
    Artifact("controls", "Controls of Table 2: what is to blame for a larger loss (not printed)", CONTROLS_SCHEMA, controls),
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
