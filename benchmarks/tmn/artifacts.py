"""Tables and figures of the TMN paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import Arrays, EncodingError, Measurement
from benchmarks.measurements.residual_potential import BIN_WIDTH, SCOPES, density
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, CONTROLS_SCHEMA, STEP_COLUMNS, control_rows, ran_on
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, MACS_ONCE, SPIKES, negative_share
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.sweeps import Fill, Measure, Setting, conversion, loss_row, printed_rows, residuals, row_of, swept
from benchmarks.tmn import analytic
from benchmarks.tmn.detection import DETECTION, PICTURE, detection, picture
from benchmarks.tmn.settings import PAPER, settings_of
from benchmarks.tmn.transformers import QUANTIZED, TRANSFORMERS, quantized_transformers, transformers
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations

filled = partial(Column, nullable=False)
DATASET, ARCHITECTURE, METHOD = (filled(name, "text") for name in ("dataset", "architecture", "method"))
TIMESTEPS = filled("timesteps", "int", minimum=1)
MEASURED = (Column("n_test", "int", minimum=1), Column("seeds", "text"), *STATUS_COLUMNS)
size = partial(Column, kind="sci", decimals=4, minimum=0)

PRINTED = published_keys(PAPER, "table2", filled=("row", "dataset", "method", "architecture"))
TABLE2 = TableSchema("table2", 1, PRINTED, (*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS))
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
    choice = profile.network(key["dataset"], key["architecture"])
    if key.get("no_quant") == "no":
        return choice.quantized_for(method(key["method"]).name)
    return choice if method(name).traits().full_precision else choice.quantized_for(name)


CURVE_KEYS = (DATASET, ARCHITECTURE, METHOD, filled("calibration", "text"), TIMESTEPS)
CURVES = TableSchema("timesteps", 1, CURVE_KEYS, (*STEP_COLUMNS, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS))


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
    *STATUS_COLUMNS,
)
ENERGIES = TableSchema("energy", 1, (DATASET, METHOD, TIMESTEPS), PRICES)
PRICED = published_keys(PAPER, "table3", filled=("row", "dataset", "method"))
OF_SPIKES = {*STEP_COLUMNS, *ACCURACY_COLUMNS[2:4], *ACCURACY_COLUMNS[5:9], SPIKES, PRESIMULATED}
TABLE3 = TableSchema("table3", 3, PRICED, PRICES, optional=tuple(each.name for each in PRICES if each in OF_SPIKES))


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


FIGURE1D = TableSchema(
    "figure1d",
    1,
    (filled("code", "text", choices=tuple(analytic.CAPACITIES)), TIMESTEPS),
    (
        Column("capacity", "int", minimum=1, doc="number of values, by formula"),
        Column("enumerated", "int", minimum=1, doc="number of values over all spike trains"),
        filled("status", "text"),
    ),
)


def figure1d(profile: Profile) -> list[Row]:
    """Distinguishable values of each code, by formula and by enumerating every spike train."""
    keys: list[Values] = [{"code": code, "timesteps": t} for code in analytic.CAPACITIES for t in range(1, 11)]
    return [Row(number, key, partial(_capacity, *key.values())) for number, key in enumerate(keys, start=1)]


def _capacity(code: str, timesteps: int, _: list[Arrays]) -> list[Values]:
    enumerated = len(analytic.enumerate_values(code, timesteps))
    return [{"capacity": analytic.CAPACITIES[code](timesteps), "enumerated": enumerated, "status": "measured"}]


FIGURE4A = TableSchema(
    "figure4a",
    1,
    (filled("predictive_spiking", "text", choices=("yes", "no")), filled("precharge_steps", "int", minimum=0), TIMESTEPS),
    (
        STEP_COLUMNS[2],
        *ACCURACY_COLUMNS[1:],
        Column("spike_rate", "float", decimals=5, minimum=0, maximum=1, doc="mean |s| per neuron and step"),
        *(negative_share(5, atol=1e-4), ACS, MACS, ENERGY, ENERGY_ONCE),
        *STATUS_COLUMNS,
    ),
)
FIGURE4B = TableSchema(
    "figure4b",
    1,
    (
        filled("tmn_timesteps", "int", minimum=1, doc="T of the comparison"),
        METHOD,
        filled("timesteps", "int", minimum=1, doc="T for TMN, 2**T for rate coding"),
        filled("depth", "int", minimum=0, doc="spiking layer, 1 is the first; 0 if not run"),
    ),
    (size("mse", doc="mean squared error of decoded activations over threshold**2"), *MEASURED),
)
RATIO = filled("ratio", "float", minimum=0, maximum=1, doc="predictive over full threshold")
FIGURE4C = TableSchema(
    "figure4c",
    1,
    (RATIO, filled("scope", "text", choices=SCOPES, doc="all neurons, or those that spiked for the image")),
    (
        size("mean_abs", doc="mean |u[T]| over the full threshold"),
        size("mean_square", doc="mean u[T]**2 over the full threshold squared"),
        size("share_above_half", doc="share with |u[T]| above half", atol=1e-4),
        *MEASURED,
    ),
)
FIGURE4C_DENSITY = TableSchema(
    "figure4c_density",
    1,
    (RATIO, filled("residual", "float", doc="middle of the bin; the last bin is open")),
    (Column("density", "float", decimals=4, minimum=0, rtol=5e-2, atol=2e-2), *STATUS_COLUMNS),
)


def _on_one_network(
    artifact: str, measure: Measure, varied: Callable[[dict[str, Any]], Iterable[Setting]], unmeasured: Values | None = None
) -> Callable[[Profile], list[Row]]:
    """Rows of all settings that the section of an artifact asks for, on the network that it names."""

    def rows(profile: Profile) -> list[Row]:
        if not (section := settings_of(profile, artifact)):
            raise CannotRun(f"profile {profile.name} lacks network in [papers.tmn.{artifact}]; see the profiles of the project")
        limit = section.get("test_images")
        return swept(profile, [section["network"]], varied(section), measure, limit, unmeasured, named=False)

    return rows


def _predictive(section: dict[str, Any]) -> Iterable[Setting]:
    for predictive, precharge, t in product((True, False), section["precharge"], section["timesteps"]):
        key = {"predictive_spiking": "yes" if predictive else "no", "precharge_steps": precharge, "timesteps": t}
        yield Setting(key, t, "TMN", {"precharge": precharge, "ratio": 0.5 if predictive else 1.0, "ternary": predictive})


def _exponential(section: dict[str, Any]) -> Iterable[Setting]:
    for exponent, name in product(section["timesteps"], ("TMN", "rate", "OPI")):
        t = exponent if name == "TMN" else 2**exponent
        yield Setting({"tmn_timesteps": exponent, "method": name, "timesteps": t}, t, name)


def _encoded(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    measurement = EncodingError(choice, profile.calibration, limit, setting.method, (), (setting.timesteps,))
    return partial(_depth_profile, choice), measurement


def _depth_profile(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    errors = arrays[0]["squared_error"].reshape(-1, arrays[0]["values"].size)[0] / arrays[0]["values"]
    known = {"n_test": int(arrays[0]["images"])} | ran_on(choice)
    return [{"depth": depth, "mse": float(error)} | known for depth, error in enumerate(errors, start=1)]


def _ratios(section: dict[str, Any], *scopes: str) -> Iterable[Setting]:
    for ratio, *scope in product(section["ratios"], *([scopes] if scopes else [])):
        key = {"ratio": ratio} | dict(zip(("scope",), scope, strict=False))
        yield Setting(key, section["timesteps"], "TMN", {"ratio": float(ratio)})


def _spread(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    return partial(_densities, choice), residuals(profile, choice, setting, limit)[1]


def _densities(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    bins = enumerate(density(arrays[0]))
    return [{"residual": (index + 0.5) * BIN_WIDTH, "density": float(value)} | ran_on(choice) for index, value in bins]


figure4a = _on_one_network("figure4a", partial(conversion, count=True), _predictive)
figure4b = _on_one_network("figure4b", _encoded, _exponential, {"depth": 0})
figure4c = _on_one_network("figure4c", residuals, lambda section: _ratios(section, *SCOPES))
figure4c_density = _on_one_network("figure4c", _spread, _ratios, {"residual": 0.0})


OTHER_TASKS = published_keys(PAPER, "table4", filled=("row", "task", "dataset", "method"))
TABLE4 = TableSchema("table4", 1, OTHER_TASKS, STATUS_COLUMNS)


def table4(profile: Profile) -> list[Row]:
    """No row can be run yet."""

    def unrun(number: int, key: Values) -> Row:
        kind = "YOLOv2 on a quantised ResNet-34" if key["task"] == "object detection" else "Transformer quantised to 32 levels"
        return Row(number, key, reason=f"{kind} not available yet")

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
    Artifact("figure1d", "Figure 1(d): coding capacity", FIGURE1D, figure1d),
    Artifact("figure4a", "Figure 4(a): pre-charge and predictive spiking", FIGURE4A, figure4a),
    Artifact("figure4b", "Figure 4(b): encoding error over depth", FIGURE4B, figure4b),
    Artifact("figure4c", "Figure 4(c): residual potential over the predictive threshold", FIGURE4C, figure4c),
    Artifact("figure4c_density", "Figure 4(c): its distribution over neurons", FIGURE4C_DENSITY, figure4c_density),
    Artifact("timesteps", "Loss over timesteps and calibrations (not printed)", CURVES, timesteps_curve),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(analytic.CASES)),
)
