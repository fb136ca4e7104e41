"""Energy of the TMN paper: Table 3, and the same over timesteps, counted on one quantised network for each data set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import Arrays, ConversionLoss
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.published import read_published
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Row, Values, status_of
from benchmarks.tables.columns import ACCURACY_COLUMNS, STEP_COLUMNS, seeds_of, steps_of
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tmn.settings import PAPER, settings_of
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations

ANN = "ANN"
PRICED_ARCHITECTURE = "VGG-16"
"""Of both data sets of Table 3: the table names none, but its multiply-accumulates are those of this one."""


def table3(profile: Profile) -> list[Row]:
    """Every row of Table 3, all of a data set on the same quantised network of the profile."""
    limit = settings_of(profile, "table3").get("test_images")
    rows = []
    for _, printed in read_published(PAPER, "table3").iterrows():
        key = {column.name: printed[column.name] for column in TABLE3.keys}
        rows.append(_row(profile, int(key["row"]), key, limit))
    return rows


def energy_curve(profile: Profile) -> list[Row]:
    """Methods at several T on the networks of Table 3, so that energies can be compared where accuracies are equal."""
    section, networks = settings_of(profile, "energy"), settings_of(profile, "table3").get("architectures", {})
    if section and not networks:
        where = f"profile {profile.name}: [papers.{PAPER}.energy]"
        raise CannotRun(f"{where} needs the networks of [papers.{PAPER}.table3]; add them")
    rows: list[Row] = []
    for dataset in networks:
        for name, listed in section.get("timesteps", {}).items():
            for timesteps in listed:
                key = {"dataset": dataset, "method": name, "timesteps": timesteps}
                rows.append(_row(profile, len(rows) + 1, key, section.get("test_images")))
    return rows


def _row(profile: Profile, number: int, key: Values, limit: int | None) -> Row:
    name = str(key["method"])
    try:
        choice = _network(profile, str(key["dataset"]))
        if name == ANN:  # costs no run of its own: the trained network is part of every measurement
            counted, timesteps = "TMN", 3
            fill = partial(_ann_energy, choice)
        else:
            counted, timesteps = name, int(key["timesteps"])
            method(name).check(choice.levels, timesteps)
            fill = partial(_spiking_energy, choice, steps_of(name, timesteps, choice))
    except NotAvailable as error:
        return Row(number, key, reason=str(error))
    measurement = ConversionLoss(choice, profile.calibration, limit, counted, (), (timesteps,), count=True)
    return Row(number, key, fill, (measurement,))


def _network(profile: Profile, dataset: str) -> NetworkChoice:
    settings = settings_of(profile, "table3")
    architecture = settings.get("architectures", {}).get(dataset)
    if architecture is None:
        raise NotAvailable(f"profile {profile.name} names no network for Table 3 on {dataset}")
    return profile.network(dataset, architecture).quantized_by(settings["quantizer"])


def _ann_energy(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    sums = arrays[0]
    macs = float(sums["dense"]) / len(sums["each_ann"])
    return [_priced(Operations(macs, 0.0), macs, (sums["each_ann"], None), choice)]


def _spiking_energy(choice: NetworkChoice, steps: Values, arrays: list[Arrays]) -> list[Values]:
    sums = arrays[0]
    images = len(sums["each_ann"])
    acs, macs, once, signs = (float(sums[name]) / images for name in ("acs", "macs_every_step", "macs", "signs"))
    correct = sums["each_ann"], sums["each_snn"][:, 0]
    priced = _priced(Operations(macs, acs, signs), once, correct, choice)
    again = Operations(macs + float(sums["macs_again"]) / images, acs + float(sums["acs_again"]) / images, signs)
    priced |= {"energy_presimulated_mj": TMN_TABLE.millijoules(again)}
    return [steps | priced | {"spikes_per_neuron": float(sums["spikes"].sum()) / float(sums["neurons"])}]


def _priced(operations: Operations, macs_once: float, correct: Any, choice: NetworkChoice) -> Values:
    once = replace(operations, macs=macs_once)
    return {
        CORRECT: correct,
        "quantizer": choice.quantizer,
        "seeds": seeds_of(choice),
        "acs": operations.acs,
        "macs": operations.macs,
        "macs_once": macs_once,
        "signs": operations.signs,
        "energy_mj": TMN_TABLE.millijoules(operations),
        "energy_once_mj": TMN_TABLE.millijoules(once),
        "energy_ternary_spike_mj": TERNARY_SPIKE_TABLE.millijoules(once),
    } | _status_of_priced(choice)


def _status_of_priced(choice: NetworkChoice) -> Values:
    status = dict(status_of(choice))
    return status if choice.paper_architecture == PRICED_ARCHITECTURE else status | {"status": "stand-in"}


_MEASURES = (
    *STEP_COLUMNS,
    Column("quantizer", "text", doc="of the network, the same for all methods"),
    *ACCURACY_COLUMNS[1:],
    Column("spikes_per_neuron", "float", decimals=4, minimum=0, doc="per image, over all steps"),
    Column("acs", "sci", decimals=4, minimum=0, doc="accumulates per image"),
    Column("macs", "sci", decimals=4, minimum=0, doc="multiply-accumulates per image, first layer at each of T steps"),
    Column("macs_once", "sci", decimals=4, minimum=0, doc="the same, first layer computed once"),
    Column("signs", "sci", decimals=4, minimum=0, doc="comparisons for spikes: one each, two of a ternary neuron"),
    Column("energy_mj", "sci", decimals=4, minimum=0, doc="mJ per image at 4.6 pJ per MAC (every step), 0.9 pJ per AC"),
    Column("energy_presimulated_mj", "sci", decimals=4, minimum=0, doc="the same, pre-simulation charged"),
    Column("energy_once_mj", "sci", decimals=4, minimum=0, doc="mJ at each step's price, first layer computed once"),
    Column("energy_ternary_spike_mj", "sci", decimals=4, minimum=0, doc="mJ by Ternary Spike's constants, first layer once"),
    *STATUS_COLUMNS,
)
ENERGY = TableSchema(
    "energy",
    version=1,
    keys=(
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("timesteps", "int", nullable=False, minimum=1),
    ),
    measures=_MEASURES,
)
TABLE3 = TableSchema(
    "table3",
    version=3,
    keys=(
        Column("row", "int", nullable=False, minimum=1),
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("coding", "text"),
        Column("timesteps", "int", minimum=1),
        Column("accuracy_paper", "float"),
        Column("acs_paper", "text"),
        Column("macs_paper", "text"),
        Column("energy_mj_paper", "float", decimals=4),
        Column("negative_spikes", "text"),
        Column("provenance", "text"),
    ),
    measures=_MEASURES,
    optional=(
        "precharge_steps",
        "presimulation_steps",
        "latency",
        "snn_metric",
        "loss",
        "ci95_low",
        "ci95_high",
        "loss_ci95_low",
        "loss_ci95_high",
        "spikes_per_neuron",
        "energy_presimulated_mj",
    ),
)
