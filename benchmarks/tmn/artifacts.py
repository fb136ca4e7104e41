"""Tables and figures of the TMN paper, each as rows to be measured."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import Arrays, Measurement
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, CONTROLS_SCHEMA, STEP_COLUMNS, control_rows, ran_on
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, MACS_ONCE, SPIKES
from benchmarks.tables.runs import schema
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.sweeps import Fill, Setting, conversion, loss_row, printed_rows, row_of
from benchmarks.tmn import analytic
from benchmarks.tmn import figure_rows as of
from benchmarks.tmn.conversions import NETWORK_KEYS, filled
from benchmarks.tmn.detection import DETECTION, PICTURE, detection, picture
from benchmarks.tmn.figure_rows import METHOD, TIMESTEPS, size
from benchmarks.tmn.settings import PAPER, settings_of
from benchmarks.tmn.transformers import QUANTIZED, TRANSFORMERS, quantized_transformers, transformers
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations

PRINTED = published_keys(PAPER, "table2", filled=("row", "dataset", "method", "architecture"))
TABLE2 = schema("table2", PRINTED, *STEP_COLUMNS, *ACCURACY_COLUMNS)
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {("COS", "ImageNet"): {"presimulation": 8}}  # Hao et al. 2023: 4 on CIFAR
"""What a method's own paper sets for a data set, where it is not the method's default."""
CONTROLS = {
    "OPI": ("OPI, clipped", "TTFS Mapping"),
    "TSC": ("TSC, spread",),
    "TTFS Mapping": ("TTFS Mapping, exact",),
    "LC-TTFS": ("LC-TTFS, centred",),
    "QCFS": ("COS",),
    "COS": ("COS, long pre-simulation",),
    "QFFS": ("COS",),
    "Fast-SNN": ("TTFS Mapping",),
}
"""Methods that lose more here than printed, and the same with one thing changed that may be the cause."""
LONGEST_CONTROL = 1024  # timesteps


def table2(profile: Profile) -> list[Row]:
    """Every row of Table 2, with the networks of the profile, and below them the rows that the profile adds."""
    made = partial(_conversion_row, profile)
    rows = printed_rows(PAPER, "table2", PRINTED, made)
    return rows + [made(key["row"], key) for key in _added(profile, len(rows))]


def controls(profile: Profile) -> list[Row]:
    """Rows of Table 2 with a control in place of the method, where it does not take too long.

    COS with a pre-simulation as long as T is its own control.
    """

    def alone(key: Values) -> bool:
        steps = method("COS").steps(key["timesteps"], 1, **OPTIONS.get(("COS", key["dataset"]), {}))
        return bool(key["method"] == "COS" and steps.presimulation == key["timesteps"])

    rows = (row for row in table2(profile) if row.key["timesteps"] <= LONGEST_CONTROL and not alone(row.key))
    return control_rows(rows, CONTROLS, partial(_conversion_row, profile))


def _added(profile: Profile, last: int) -> list[Values]:
    """Keys of the rows that are not printed: a method on a network at T steps, quantised where the method needs that."""
    keys: list[Values] = []
    for name, dataset, architecture, timesteps in settings_of(profile, "table2").get("added", []):
        found = method(name)
        known = {"dataset": dataset, "method": name, "reference": found.reference, "architecture": architecture}
        known |= {"no_quant": "yes" if found.traits().full_precision else "no", "coding": found.coding}
        known |= {"row": last + len(keys) + 1, "timesteps": timesteps, "provenance": "not printed"}
        keys.append(dict.fromkeys(column.name for column in TABLE2.keys) | known)
    return keys


def _conversion_row(profile: Profile, number: int, key: Values, control: str = "") -> Row:
    """A row of Table 2; with a ``control`` in place of its method, on the same network."""
    name, t, section = control or str(key["method"]), int(key["timesteps"]), settings_of(profile, "timesteps")
    listed = tuple(section.get("methods", {}).get(name, ()))
    on_curve = method(name).traits().anytime and t in listed
    on_curve &= [key["dataset"], key["architecture"]] in section.get("networks", [])  # the curve measures it in the same run
    setting = Setting(key, t, name, OPTIONS.get((name, key["dataset"]), {}), listed if on_curve else ())
    return loss_row(profile, settings_of(profile, "table2"), number, setting, partial(_network, profile, key, name))


def _network(profile: Profile, key: Values, name: str) -> NetworkChoice:
    """The network of a row, quantised as its method needs it, or else as ``name`` does, its control."""
    where = key["dataset"], key["architecture"]
    if key.get("no_quant") == "no":
        return profile.network(*where).quantized_for(method(key["method"]).name)
    return profile.network(*where, name) if method(name).traits().full_precision else profile.network(*where).quantized_for(name)


CURVE_KEYS = (*NETWORK_KEYS, METHOD, filled("calibration", "text"), TIMESTEPS)
CURVES = schema("timesteps", CURVE_KEYS, *STEP_COLUMNS, *ACCURACY_COLUMNS[1:])


def timesteps_curve(profile: Profile) -> list[Row]:
    """Methods at several step counts and TMN at several calibrations, on the same trained networks."""
    section = settings_of(profile, "timesteps")
    options = section.get("calibration", {})
    curves = [(section, profile.calibration, name, steps) for name, steps in section.get("methods", {}).items()]
    rules = [(options, rule, "TMN", options["timesteps"]) for rule in options.get("rules", [])]
    rows: list[Row] = []
    for listed in (curves, rules):
        for dataset, architecture in section.get("networks", []):
            for limits, rule, name, steps in listed:
                together = tuple(steps) if method(name).traits().anytime else ()
                for t in steps:
                    key = {"dataset": dataset, "architecture": architecture, "method": name, "calibration": rule, "timesteps": t}
                    setting, network = Setting(key, t, name, together=together), partial(_network, profile, key, name)
                    rows.append(loss_row(profile, limits, len(rows) + 1, setting, network))
    return rows


ANN = "ANN"
PRICED_ARCHITECTURE = "VGG-16"
"""Of both data sets of Table 3: the table names none, but its multiply-accumulates are those of this one."""
PRESIMULATED = size("energy_presimulated_mj", doc="the same, pre-simulation charged")
PRICES = (
    *STEP_COLUMNS,
    Column("quantizer", "text", doc="of the network, the same for all methods"),
    *ACCURACY_COLUMNS[1:],
    *(SPIKES, ACS, MACS, MACS_ONCE),
    size("signs", doc="comparisons for spikes: one each, two of a ternary neuron"),
    ENERGY,
    PRESIMULATED,
    ENERGY_ONCE,
    size("energy_ternary_spike_mj", doc="mJ by Ternary Spike's constants, first layer once"),
)
ENERGIES = schema("energy", (NETWORK_KEYS[0], METHOD, TIMESTEPS), *PRICES)
PRICED = published_keys(PAPER, "table3", filled=("row", "dataset", "method"))
OF_SPIKES = {*STEP_COLUMNS, *ACCURACY_COLUMNS[2:4], *ACCURACY_COLUMNS[5:9], SPIKES, PRESIMULATED}
TABLE3 = schema("table3", PRICED, *PRICES, version=3, optional=tuple(each.name for each in PRICES if each in OF_SPIKES))


def table3(profile: Profile) -> list[Row]:
    """Every row of Table 3, all of a data set on the same quantised network of the profile."""
    limit = settings_of(profile, "table3").get("test_images")
    return printed_rows(PAPER, "table3", PRICED, partial(_priced_row, profile, limit))


def energy_curve(profile: Profile) -> list[Row]:
    """Methods at several T on the networks of Table 3, so that energies can be compared where accuracies are equal."""
    section, networks = settings_of(profile, "energy"), settings_of(profile, "table3").get("architectures", {})
    if section and not networks:
        raise CannotRun(f"profile {profile.name}: [papers.tmn.energy] needs the networks of [papers.tmn.table3]; add them")
    steps = section.get("timesteps", {})
    keys = [{"dataset": d, "method": name, "timesteps": t} for d in networks for name, listed in steps.items() for t in listed]
    return [_priced_row(profile, section.get("test_images"), number, key) for number, key in enumerate(keys, start=1)]


def _priced_row(profile: Profile, limit: int | None, number: int, key: Values) -> Row:
    def network() -> NetworkChoice:
        settings = settings_of(profile, "table3")
        if (architecture := settings.get("architectures", {}).get(key["dataset"])) is None:
            raise NotAvailable(f"profile {profile.name} names no network for Table 3 on {key['dataset']}")
        return profile.network(key["dataset"], architecture).quantized_by(settings["quantizer"])

    # The trained network costs no run of its own: it is part of every measurement.
    name, timesteps = ("TMN", 3) if key["method"] == ANN else (key["method"], int(key["timesteps"]))
    return row_of(profile, number, key, Setting(key, timesteps, name), _priced, limit, network=network)


def _priced(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    fill, measurement = conversion(profile, choice, setting, limit, count=True)
    return partial(_prices, choice, setting.key["method"] == ANN, fill), measurement


def _prices(choice: NetworkChoice, trained: bool, fill: Fill, arrays: list[Arrays]) -> list[Values]:
    """What was counted, priced in all ways: of the spiking network, or of the ``trained`` one."""
    (values,) = fill(arrays)
    names = ("dense", "macs_again", "acs_again", "signs")
    dense, macs_again, acs_again, signs = (float(arrays[0][name]) / len(arrays[0]["each_ann"]) for name in names)
    if trained:
        signs, energy = 0.0, TMN_TABLE.millijoules(Operations(dense, 0.0))
        values = {CORRECT: (arrays[0]["each_ann"], None), "acs": 0.0, "macs": dense, "macs_once": dense} | ran_on(choice)
        values |= {"energy_mj": energy, "energy_once_mj": energy}
    else:
        charged = Operations(values["macs"] + macs_again, values["acs"] + acs_again, signs)
        values |= {"energy_presimulated_mj": TMN_TABLE.millijoules(charged)}
    once = Operations(values["macs_once"], values["acs"], signs)
    values |= {"quantizer": choice.quantizer, "signs": signs, "energy_ternary_spike_mj": TERNARY_SPIKE_TABLE.millijoules(once)}
    return [values if choice.paper_architecture == PRICED_ARCHITECTURE else values | {"status": "stand-in"}]


OTHER_TASKS = published_keys(PAPER, "table4", filled=("row", "task", "dataset", "method"))
TABLE4 = TableSchema("table4", 1, OTHER_TASKS, STATUS_COLUMNS)


def table4(profile: Profile) -> list[Row]:
    """No row can be run yet."""

    def unrun(number: int, key: Values) -> Row:
        return Row(number, key, reason=f"weights or a recipe of {key['architecture'].removesuffix('-Level32')} not available yet")

    return printed_rows(PAPER, "table4", OTHER_TASKS, unrun)


ARTIFACTS = (
    Artifact("table2", "Table 2: image classification with converted networks", TABLE2, table2),
    Artifact("controls", "Controls of Table 2: what is to blame for a larger loss (not printed)", CONTROLS_SCHEMA, controls),
    Artifact("table3", "Table 3: energy", TABLE3, table3),
    Artifact("energy", "Energy over accuracy on the network of Table 3 (not printed)", ENERGIES, energy_curve),
    Artifact("table4", "Table 4: detection, Transformers, language", TABLE4, table4),
    Artifact("transformers", "Transformers: accuracy before and after conversion (not printed)", TRANSFORMERS, transformers),
    Artifact("quantized_transformers", "Quantised Transformers (not printed)", QUANTIZED, quantized_transformers),
    Artifact("detection", "Detection: precision before and after conversion (not printed)", DETECTION, detection),
    Artifact("detection_picture", "Detection: the boxes of one picture (not printed)", PICTURE, picture),
    Artifact("figure1d", "Figure 1(d): coding capacity", of.FIGURE1D, of.figure1d),
    Artifact("figure4a", "Figure 4(a): pre-charge and predictive spiking", of.FIGURE4A, of.figure4a),
    Artifact("figure4b", "Figure 4(b): encoding error over depth", of.FIGURE4B, of.figure4b),
    Artifact("figure4c", "Figure 4(c): residual potential over the predictive threshold", of.FIGURE4C, of.figure4c),
    Artifact("figure4c_density", "Figure 4(c): its distribution over neurons", of.FIGURE4C_DENSITY, of.figure4c_density),
    Artifact("timesteps", "Loss over timesteps and calibrations (not printed)", CURVES, timesteps_curve),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(analytic.CASES)),
)
