"""Energy of the TMN paper: Table 3, and the same over timesteps, counted on one quantised network for each data set."""

from __future__ import annotations

from functools import partial

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import Arrays, ConversionLoss, Measurement
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, STEP_COLUMNS, accuracy, steps_of
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, MACS_ONCE, SPIKES, counted
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.sweeps import Fill, Setting, printed_rows, row_on
from benchmarks.tmn.settings import PAPER, settings_of
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations

ANN = "ANN"
PRICED_ARCHITECTURE = "VGG-16"
"""Of both data sets of Table 3: the table names none, but its multiply-accumulates are those of this one."""

_MEASURES = (
    *STEP_COLUMNS,
    Column("quantizer", "text", doc="of the network, the same for all methods"),
    *ACCURACY_COLUMNS[1:],
    *(SPIKES, ACS, MACS, MACS_ONCE),
    Column("signs", "sci", decimals=4, minimum=0, doc="comparisons for spikes: one each, two of a ternary neuron"),
    ENERGY,
    Column("energy_presimulated_mj", "sci", decimals=4, minimum=0, doc="the same, pre-simulation charged"),
    ENERGY_ONCE,
    Column("energy_ternary_spike_mj", "sci", decimals=4, minimum=0, doc="mJ by Ternary Spike's constants, first layer once"),
    *STATUS_COLUMNS,
)
_OF_SPIKES = {*STEP_COLUMNS, *ACCURACY_COLUMNS[2:4], *ACCURACY_COLUMNS[5:9], SPIKES}
ENERGIES = TableSchema(
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
    keys=published_keys(PAPER, "table3", filled=("row", "dataset", "method")),
    measures=_MEASURES,
    optional=(*(column.name for column in _MEASURES if column in _OF_SPIKES), "energy_presimulated_mj"),
)


def table3(profile: Profile) -> list[Row]:
    """Every row of Table 3, all of a data set on the same quantised network of the profile."""
    limit = settings_of(profile, "table3").get("test_images")
    return printed_rows(PAPER, "table3", TABLE3.keys, lambda number, key: _row(profile, number, key, limit))


def energy_curve(profile: Profile) -> list[Row]:
    """Methods at several T on the networks of Table 3, so that energies can be compared where accuracies are equal."""
    section, networks = settings_of(profile, "energy"), settings_of(profile, "table3").get("architectures", {})
    if section and not networks:
        where = f"profile {profile.name}: [papers.{PAPER}.energy]"
        raise CannotRun(f"{where} needs the networks of [papers.{PAPER}.table3]; add them")
    keys = (
        {"dataset": dataset, "method": name, "timesteps": timesteps}
        for dataset in networks
        for name, listed in section.get("timesteps", {}).items()
        for timesteps in listed
    )
    return [_row(profile, number, key, section.get("test_images")) for number, key in enumerate(keys, start=1)]


def _row(profile: Profile, number: int, key: Values, limit: int | None) -> Row:
    # The trained network costs no run of its own: it is part of every measurement.
    name, timesteps = ("TMN", 3) if key["method"] == ANN else (key["method"], int(key["timesteps"]))
    network = partial(_network, profile, key["dataset"])
    return row_on(profile, number, key, network, Setting(key, timesteps, method=name), _priced, limit)


def _network(profile: Profile, dataset: str) -> NetworkChoice:
    settings = settings_of(profile, "table3")
    architecture = settings.get("architectures", {}).get(dataset)
    if architecture is None:
        raise NotAvailable(f"profile {profile.name} names no network for Table 3 on {dataset}")
    return profile.network(dataset, architecture).quantized_by(settings["quantizer"])


def _priced(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    name, t = setting.method, setting.timesteps
    fill = partial(_trained, choice) if setting.key["method"] == ANN else partial(_spiking, choice, steps_of(name, t, choice))
    return fill, ConversionLoss(choice, profile.calibration, limit, name, (), (t,), count=True)


def _trained(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    (values,) = accuracy(choice, 0, {}, arrays)
    macs = float(arrays[0]["dense"]) / len(arrays[0]["each_ann"])
    energy = TMN_TABLE.millijoules(Operations(macs, 0.0))
    values |= {CORRECT: (arrays[0]["each_ann"], None), "acs": 0.0, "macs": macs, "macs_once": macs}
    return [_completed(choice, values | {"energy_mj": energy, "energy_once_mj": energy}, 0.0)]


def _spiking(choice: NetworkChoice, steps: Values, arrays: list[Arrays]) -> list[Values]:
    (values,) = accuracy(choice, 0, steps, arrays)
    values |= counted(arrays[0])
    again, accumulates, signs = (
        float(arrays[0][name]) / len(arrays[0]["each_ann"]) for name in ("macs_again", "acs_again", "signs")
    )
    charged = Operations(values["macs"] + again, values["acs"] + accumulates, signs)
    return [_completed(choice, values, signs) | {"energy_presimulated_mj": TMN_TABLE.millijoules(charged)}]


def _completed(choice: NetworkChoice, values: Values, signs: float) -> Values:
    once = Operations(values["macs_once"], values["acs"], signs)
    values |= {"quantizer": choice.quantizer, "signs": signs, "energy_ternary_spike_mj": TERNARY_SPIKE_TABLE.millijoules(once)}
    return values if choice.paper_architecture == PRICED_ARCHITECTURE else values | {"status": "stand-in"}
