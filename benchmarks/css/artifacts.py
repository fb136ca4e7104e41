"""Table and figures of the CSS paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from benchmarks.css.analytic import CASES
from benchmarks.css.settings import PAPER, SECTIONS, settings_of
from benchmarks.measurements import Arrays, Measurement
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, CONTROLS_SCHEMA, STEP_COLUMNS, control_rows, ran_on, steps_of
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, MACS_ONCE, SPIKES, negative_share
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.sweeps import Fill, Measure, Setting, conversion, loss_row, printed_rows, residuals, swept

OWN = "TSA"
NETWORK = (Column("dataset", "text", nullable=False), Column("architecture", "text", nullable=False))
SILENT = Column("silent_steps", "int", nullable=False, minimum=0, doc="length of the silent period")
TIMESTEPS = Column("timesteps", "int", nullable=False, minimum=1, doc="coding steps T")
NEGATIVE = Column("negative_spikes", "text", nullable=False, choices=("yes", "no"))
LATENCY = STEP_COLUMNS[2]
ADJUSTMENT = (
    Column("adjusted_in", "int", minimum=0, doc="rounds of amplitude adjustment; empty where none was adjusted"),
    Column("unsettled", "int", minimum=0, doc="layers that still leave more than their amplitude after the last round"),
    Column("largest_factor", "sci", decimals=3, minimum=0, doc="of an amplitude", rtol=1e-2),
)
ACCURACY = (LATENCY, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS)


def _table(name: str, keys: tuple[Column, ...], *measures: Column) -> TableSchema:
    return TableSchema(name, 1, (*NETWORK, *keys), measures or ACCURACY)


def _varied(
    profile: Profile, artifact: str, settings: Iterable[Setting], measure: Measure = conversion, unmeasured: Values | None = None
) -> list[Row]:
    section = _section(profile, artifact)
    return swept(profile, section["networks"], settings, measure, section.get("test_images"), unmeasured)


def _section(profile: Profile, artifact: str) -> dict[str, Any]:
    """What the profile says of an artifact that varies something; without a section nothing is varied."""
    return settings_of(profile, artifact) or {name: [] for name in SECTIONS[artifact]}


def _silent(section: dict[str, Any], **options: Any) -> Iterable[Setting]:
    """Every silent period with every T."""
    for silent in section["silent"]:
        for t in section["timesteps"]:
            yield Setting({"silent_steps": silent, "timesteps": t}, t, OWN, {"precharge": silent} | options)


# ---- Table 2 ----------------------------------------------------------------------------------------------------------

TABLE2 = TableSchema(
    "table2",
    version=1,
    keys=published_keys(PAPER, "table2", filled=("row", "dataset", "method", "architecture")),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS),
)
CONTROLS = {"TTRBR": ("TTRBR, centred", "TTRBR, centred, unshared"), "RMP-SNN": ("RMP-SNN, scaled",)}
"""Methods that lose more here than printed, and the same with one thing changed that may be the cause; others: TMN's room."""


def table2(profile: Profile) -> list[Row]:
    """Every row of Table 2, with the networks of the profile."""
    return printed_rows(PAPER, "table2", TABLE2.keys, partial(_table2_row, profile))


def controls(profile: Profile) -> list[Row]:
    """Rows of Table 2 with a control in place of the method."""
    return control_rows(table2(profile), CONTROLS, partial(_table2_row, profile))


def _table2_row(profile: Profile, number: int, key: Values, name: str = "") -> Row:
    return loss_row(profile, settings_of(profile, "table2"), number, Setting(key, int(key["timesteps"]), name or key["method"]))


# ---- Figures 1 and 2 --------------------------------------------------------------------------------------------------

FIGURE1 = _table("figure1", (SILENT, TIMESTEPS), LATENCY, *ADJUSTMENT, *ACCURACY[1:])
FIGURE2 = _table("figure2", (NEGATIVE, SILENT, TIMESTEPS), LATENCY, *ADJUSTMENT, *ACCURACY[1:])


def figure1(profile: Profile) -> list[Row]:
    """Accuracy over coding steps and over latency, by silent period; amplitudes adjusted in both."""
    section = _section(profile, "figure1")
    return _varied(profile, "figure1", _silent(section, adjustment=section["adjustment"]))


def figure2(profile: Profile) -> list[Row]:
    """Accuracy over latency with and without negative spikes, by silent period; amplitudes adjusted in all of them."""
    section = _section(profile, "figure2")
    varied = (
        Setting(
            {"negative_spikes": "yes" if negative else "no", "silent_steps": silent, "timesteps": t},
            t,
            OWN,
            {"precharge": silent, "negative_spikes": negative, "adjustment": section["adjustment"]},
        )
        for negative, listed in ((True, section["with_negative"]), (False, section["without_negative"]))
        for silent in listed
        for t in section["timesteps"]
    )
    return _varied(profile, "figure2", varied)


# ---- temporal coupling ------------------------------------------------------------------------------------------------

RESIDUAL = _table(
    "residual",
    (NEGATIVE, SILENT, TIMESTEPS),
    Column("mean_abs", "sci", decimals=4, minimum=0, doc="mean |u[T]| over the spike amplitude"),
    Column("share_above", "sci", decimals=4, minimum=0, doc="share with |u[T]| above the spike amplitude", atol=1e-4),
    Column("n_test", "int", minimum=1),
    Column("seeds", "text"),
    *STATUS_COLUMNS,
)


def residual(profile: Profile) -> list[Row]:
    """Residual potentials with and without negative spikes, by silent period; no amplitude is adjusted."""
    section = _section(profile, "residual")
    varied = (
        Setting({"negative_spikes": "yes" if negative else "no"} | each.key, each.timesteps, OWN, each.options)
        for negative in (True, False)
        for each in _silent(section, negative_spikes=negative)
    )
    return _varied(profile, "residual", varied, residuals)


# ---- what else is varied ----------------------------------------------------------------------------------------------

BETA = _table("beta", (SILENT, TIMESTEPS, Column("beta", "float", nullable=False, minimum=1, maximum=3)))
ENCODING = _table("encoding", (Column("encoding", "text", nullable=False, choices=("potential", "direct")), TIMESTEPS))
COMPARISON = _table(
    "comparison",
    (Column("method", "text", nullable=False), TIMESTEPS),
    STEP_COLUMNS[0],
    LATENCY,
    *ACCURACY_COLUMNS[1:],
    *(SPIKES, negative_share(4, atol=1e-3), ACS, MACS, MACS_ONCE, ENERGY, ENERGY_ONCE),
    *STATUS_COLUMNS,
)


def beta(profile: Profile) -> list[Row]:
    """Accuracy over the amplification factor (Section 4.3), by silent period and T; no amplitude is adjusted."""
    section = _section(profile, "beta")
    varied = (
        Setting(each.key | {"beta": value}, each.timesteps, OWN, each.options | {"beta": float(value)})
        for each in _silent(section)
        for value in section["betas"]
    )
    return _varied(profile, "beta", varied)


def encoding(profile: Profile) -> list[Row]:
    """Images as spike trains from an initial potential (Theorem 2) beside constant currents, over T."""
    steps = _section(profile, "encoding")["timesteps"]
    names = ("potential", "direct")
    varied = (Setting({"encoding": name, "timesteps": t}, t, OWN, {"encoding": name}) for name in names for t in steps)
    return _varied(profile, "encoding", varied)


def comparison(profile: Profile) -> list[Row]:
    """TSA beside TMN, its successor, on the same networks: steps, latency, loss, spikes and energy."""
    section = _section(profile, "comparison")
    listed = {"TSA": section["timesteps"], "TMN": section["tmn"]}
    varied = (Setting({"method": name, "timesteps": t}, t, method=name) for name, steps in listed.items() for t in steps)
    return _varied(profile, "comparison", varied, partial(conversion, count=True))


# ---- the pipelined simulation -----------------------------------------------------------------------------------------

MODES = ("single-step", "multi-step")
STEP = Column("step", "int", nullable=False, minimum=0, doc="since the first input, from 1; the output's last is its latency")
PIPELINE = _table("pipeline", (SILENT, TIMESTEPS, STEP))
MEMORY = _table(
    "memory",
    (Column("mode", "text", nullable=False, choices=MODES), TIMESTEPS),
    Column("kilobytes", "float", decimals=1, minimum=0, doc="tensors alive at the same time, per image", rtol=0.05),
    Column("images", "int", minimum=1, doc="in one batch"),
    Column("seeds", "text"),
    *STATUS_COLUMNS,
)


def pipeline(profile: Profile) -> list[Row]:
    """Accuracy after each step of the pipelined simulation, in which all layers work at once."""
    return _varied(profile, "pipeline", _silent(_section(profile, "pipeline")), _pipelined, {"step": 0})


def _pipelined(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    from benchmarks.measurements import PipelinedAccuracy

    rule = steps_of("TSA", setting.timesteps, choice, **setting.options)["latency"]
    options = tuple(setting.options.items())
    measurement = PipelinedAccuracy(choice, profile.calibration, limit, "TSA", options, setting.timesteps)
    return partial(_steps, choice, rule), measurement


def _steps(choice: NetworkChoice, rule: int, arrays: list[Arrays]) -> list[Values]:
    found = arrays[0]
    known = {"latency": rule} | ran_on(choice)
    return [
        {"step": step, CORRECT: (found["each_ann"], correct)} | known
        for step, correct in enumerate(found["each_snn"].T, start=int(found["same_first"]))
    ]


def memory(profile: Profile) -> list[Row]:
    """Bytes alive at once, step by step (all layers at once) and layer by layer (all steps at once), over T."""
    steps = _section(profile, "memory")["timesteps"]
    varied = (Setting({"mode": mode, "timesteps": t}, t, OWN) for mode in MODES for t in steps)
    return _varied(profile, "memory", varied, _memory)


def _memory(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    from benchmarks.measurements import LiveMemory

    mode = setting.key["mode"]
    return partial(_bytes, choice), LiveMemory(choice, profile.calibration, limit, "TSA", (), setting.timesteps, mode)


def _bytes(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    size, images = int(arrays[0]["same_bytes"]), int(arrays[0]["same_images"])
    return [{"kilobytes": size / images / 1000, "images": images} | ran_on(choice)]


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
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(CASES)),
)
