"""Columns that tables of converted networks share, what fills them, and how a report words them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from benchmarks.data.registry import dataset_spec
from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays, Measurement
from benchmarks.methods import method
from benchmarks.models import MODELS, model_spec
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Row, Values
from benchmarks.tables.markdown import enumeration, interval, number, ranges
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.status import measured, rows_to_come, stands_for

STEP_COLUMNS = (
    Column("precharge_steps", "int", minimum=0, doc="steps per layer before its first spike"),
    Column("presimulation_steps", "int", minimum=0, doc="steps before the coding steps"),
    Column("latency", "int", minimum=1, doc="steps from the first input to the complete output"),
)
ACCURACY_COLUMNS = (
    Column("calibration", "text", doc="where the thresholds come from"),
    Column("ann_metric", "float", minimum=0, maximum=100, doc="top-1 accuracy of the trained network, %"),
    Column("snn_metric", "float", minimum=0, maximum=100, doc="top-1 accuracy of the converted network, %"),
    Column("loss", "float", minimum=-100, maximum=100, doc="conversion loss ann - snn, points"),
    Column("n_test", "int", minimum=1, doc="test images"),
    Column("ci95_low", "float", minimum=0, maximum=100, doc="95 % interval of snn_metric (Wilson)"),
    Column("ci95_high", "float", minimum=0, maximum=100),
    Column("loss_ci95_low", "float", minimum=-101, maximum=101, doc="95 % interval of loss (paired images)"),
    Column("loss_ci95_high", "float", minimum=-101, maximum=101),
    Column("seeds", "text", doc="training seed, or 'checkpoint' for weights that were given"),
)

CONTROLS_SCHEMA = TableSchema(
    "controls",
    version=1,
    keys=(
        Column("row", "int", nullable=False, minimum=1, doc="of Table 2"),
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("control", "text", nullable=False),
        Column("architecture", "text", nullable=False),
        Column("timesteps", "int", minimum=1),
    ),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS),
)
"""Rows of a Table 2 with a control in place of the method."""


def control_rows(
    printed: Iterable[Row], controls: Mapping[str, Sequence[str]], made: Callable[[int, Values, str], Row]
) -> list[Row]:
    """For each row of a Table 2 those with the controls of its method in its place: ``made(number, printed key, control)``.

    Not where an earlier row is the same measurement: two printed networks may have one stand-in.
    """
    names = {column.name for column in CONTROLS_SCHEMA.keys}
    rows: list[Row] = []
    measured: set[tuple[Measurement, ...]] = set()
    for row in printed:
        for control in controls.get(row.key["method"], ()):
            key = {name: value for name, value in row.key.items() if name in names} | {"control": control}
            number = len(rows) + 1
            try:
                found = replace(made(number, row.key, control), key=key)
            except NotAvailable as error:
                found = Row(number, key, reason=str(error))
            what = tuple(replace(m, network=m.network.unnamed) for m in found.measurements if isinstance(m, Measurement))
            if not what or what not in measured:
                rows.append(found)
                measured.add(what)
    return rows


def steps_of(name: str, timesteps: int, choice: NetworkChoice, **options: Any) -> Values:
    """``STEP_COLUMNS`` of a method on a network; raises what ``Method.steps`` raises."""
    steps = method(name).steps(timesteps, model_spec(choice.architecture).layers, **options)
    return {
        "precharge_steps": steps.precharge,
        "presimulation_steps": steps.presimulation,
        "latency": steps.latency,
    }


def calibration_of(profile: Profile, choice: NetworkChoice, name: str) -> str:
    """The column ``calibration``: where the thresholds of a method come from on that network."""
    if choice.quantizer is not None:
        return "trained clips"
    return "layer by layer" if method(name).layerwise else profile.calibration


def ran_on(choice: NetworkChoice) -> Values:
    """The columns ``seeds`` and ``STATUS_COLUMNS`` of a row that was run on ``choice``."""
    return {
        "seeds": "checkpoint" if choice.weights else str(choice.seed),
        "dataset_used": choice.dataset,
        "architecture_used": choice.architecture + (f", {choice.quantizer}" if choice.quantizer else ""),
        "status": "stand-in" if choice.stand_in else "measured",
    }


def accuracy(choice: NetworkChoice, index: int, columns: Values, arrays: list[Arrays]) -> list[Values]:
    """A row of ``ConversionLoss`` at its timesteps number ``index``; ``columns`` are known without it."""
    correct = arrays[0]["each_ann"], arrays[0]["each_snn"][:, index]
    return [columns | {CORRECT: correct} | ran_on(choice)]


def measured_on(row: pd.Series) -> str:
    """What a row was measured on: as papers name it, a stand-in and a network that has no name by their own."""
    dataset, architecture = row["dataset_used"], row["architecture_used"]
    if row["status"] == "stand-in":
        return f"{architecture} on {dataset}"
    name, comma, quantizer = architecture.partition(", ")
    network = MODELS[name].paper_name if name in MODELS else name
    return f"{network}{comma}{quantizer} on {dataset_spec(dataset).paper_name}"


def titled(row: pd.Series) -> str:
    """What a row was measured on, for a title."""
    return measured_on(row) + (" (stand-in)" if row["status"] == "stand-in" else "")


def marked(row: pd.Series) -> str:
    """What a row was measured on, for a text."""
    return f"*{measured_on(row)}* †" if row["status"] == "stand-in" else measured_on(row)


def loss_verdict(printed: float, low: float, high: float) -> str:
    """How the printed loss (NaN: none) lies to our interval."""
    if pd.isna(printed):
        return "not printed"
    if low - 1e-9 <= printed <= high + 1e-9:
        return "consistent"
    return "smaller loss" if high < printed else "larger loss"


def printed_loss(row: pd.Series) -> float:
    """The loss that the paper prints; NaN where it prints none."""
    return float(row["ann_metric_paper"] - row["snn_metric_paper"])


def verdict(row: pd.Series) -> str:
    """How the printed loss of a row lies to our interval."""
    words = loss_verdict(printed_loss(row), row["loss_ci95_low"], row["loss_ci95_high"])
    return f"stand-in: {words}" if row["status"] == "stand-in" else f"**{words}**"


def loss_text(row: pd.Series) -> str:
    """The loss with its interval."""
    return interval(row["loss"], row["loss_ci95_low"], row["loss_ci95_high"])


LOSSES = (
    ("Paper: ANN → SNN", lambda row: f"{number(row['ann_metric_paper'])} → {number(row['snn_metric_paper'])}"),
    ("Loss", lambda row: number(printed_loss(row))),
    ("Ours: ANN → SNN", lambda row: f"{number(row['ann_metric'])} → {number(row['snn_metric'])}"),
    ("Loss [95 %]", loss_text),
)
"""Columns of a view: accuracies and loss, as printed and as measured."""


def accuracy_text(row: pd.Series) -> str:
    """The accuracy with its interval; without one where there is none."""
    return interval(row["snn_metric"], row["ci95_low"], row["ci95_high"])


def with_controls(rows: pd.DataFrame, controls: pd.DataFrame, name: str) -> str:
    """The losses of a method's rows, each with those of its controls, where both were measured.

    A control names its network and images where they are not those of its row.
    """
    parts = []
    for place, found in controls[controls["method"] == name].groupby("row", sort=False):
        if (own := rows[rows["row"] == place]).empty:
            continue
        row, listed = own.iloc[0], []
        for _, control in found.iterrows():
            other = [] if measured_on(control) == measured_on(row) else [f"on {marked(control)}"]
            other += [] if control["n_test"] == row["n_test"] else [f"{control['n_test']:,} images"]
            difference = f" ({', '.join(other)})" if other else ""
            listed.append(f"*{control['control']}*{difference} {loss_text(control)}")
        where = f"{marked(row)}, T = {row['timesteps']}, {row['n_test']:,} images"
        parts.append(f"row {place} ({where}) {loss_text(row)}, with {enumeration(listed)}")
    return "; ".join(parts) or "not measured"


def each_network(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each network, in their order."""
    return [part for _, part in rows.groupby(["dataset", "architecture"], sort=False)]


def networks(profile: Profile) -> list[tuple[str, str, str]]:
    """Data set, architecture and what of the paper it stands for."""
    return [(c.dataset, c.architecture, stands_for(c.paper_architecture, c.paper_dataset, c.stand_in)) for c in profile.networks]


def footnotes(paper: str, name: str, frame: pd.DataFrame) -> list[str]:
    """Below a printed table: rows that are still to come, that ran on few images, and what stands for what."""
    notes = rows_to_come(paper, name, frame)
    ran = measured(frame)
    most = ran["dataset_used"].map(lambda name: dataset_spec(name).count("test"))
    if not (few := ran[ran["n_test"] < most]).empty:
        counts = [f"{ranges(map(int, part['row']))} on the first {n:,}" for n, part in few.groupby("n_test", sort=True)]
        notes.append(f"Rows that ran on fewer test images, for time: {'; '.join(counts)}.")
    if not (used := frame[frame["status"] == "stand-in"]).empty:
        listed = dict.fromkeys(
            f"*{row['architecture_used']} on {row['dataset_used']}* for {row['architecture']} on {row['dataset']}"
            for _, row in used.iterrows()
        )
        notes.append(f"† Stand-ins, not the setting of the printed row: {'; '.join(listed)}.")
    remarks = {name: dataset_spec(name).remark for name in ran["dataset_used"].unique()}
    notes += [f"*{name}*: {remark}." for name, remark in remarks.items() if remark]
    return notes
