"""Tables and figures of the TMN paper, each as rows to be measured."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import Arrays, ConversionLoss, EncodingError, ResidualPotential
from benchmarks.measurements.residual_potential import BIN_WIDTH, SCOPES, density
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.published import read_published
from benchmarks.tables.analytic import Case
from benchmarks.tables.artifacts import STATUS_COLUMNS, Artifact, Row, Values, status_of
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
from benchmarks.tmn import analytic
from benchmarks.tmn.energy import ENERGY, TABLE3, energy_curve, table3
from benchmarks.tmn.settings import PAPER, settings_of
from snncore.energy import TMN_TABLE, Operations

# ---- Table 2: accuracy of converted networks ------------------------------------------------------------------------

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("COS", "ImageNet"): {"presimulation": 8},  # Hao et al. 2023: 4 on CIFAR
}
"""What a method's own paper sets for a data set, where it is not the method's default."""


def table2(profile: Profile) -> list[Row]:
    """Every row of Table 2, with the networks of the profile, and below them the rows that the profile adds."""
    rows = []
    keys = [{column.name: row[column.name] for column in TABLE2.keys} for _, row in read_published(PAPER, "table2").iterrows()]
    for key in (*keys, *_added(profile, len(keys))):
        try:
            rows.append(_conversion_row(profile, int(key["row"]), key))
        except NotAvailable as error:
            rows.append(Row(int(key["row"]), key, reason=str(error)))
    return rows


def _added(profile: Profile, last: int) -> list[Values]:
    """Keys of the rows that are not printed: a method on a network at T steps, quantised where the method needs that."""
    keys: list[Values] = []
    for name, dataset, architecture, timesteps in settings_of(profile, "table2").get("added", []):
        found = method(name)
        known = {"dataset": dataset, "method": name, "reference": found.reference, "architecture": architecture}
        known |= {"no_quant": "yes" if found.traits().full_precision else "no", "coding": found.coding}
        known |= {"row": last + len(keys) + 1, "timesteps": timesteps, "provenance": "not printed"}
        keys.append({column.name: None for column in TABLE2.keys} | known)
    return keys


def _conversion_row(profile: Profile, number: int, key: Values, control: str | None = None) -> Row:
    """A row of Table 2; with a ``control`` in place of its method, on the same network."""
    name = control or str(key["method"])
    found = method(name)
    choice = profile.network(key["dataset"], key["architecture"])
    if key["no_quant"] == "no":
        choice = choice.quantized_for(method(key["method"]).name)
    elif not found.traits().full_precision:  # a control that needs another network than its row
        choice = choice.quantized_for(name)
    options = _options(found.name, key["dataset"])
    found.check(choice.levels, int(key["timesteps"]), **options)
    steps: tuple[int, ...] = (int(key["timesteps"]),)
    if anytime := _timesteps_measured_together(profile, choice, name, steps[0]):
        steps = anytime
    limit = _test_images(settings_of(profile, "table2"), name, steps)
    measurement = ConversionLoss(choice, profile.calibration, limit, name, tuple(options.items()), steps)
    columns = steps_of(name, int(key["timesteps"]), choice, **options)
    columns |= {"calibration": calibration_of(profile, choice, name)}
    return Row(number, key, partial(accuracy, choice, steps.index(int(key["timesteps"])), columns), (measurement,))


def _options(name: str, dataset: str) -> dict[str, Any]:
    return OPTIONS.get((name, dataset), {})


def _test_images(settings: dict[str, Any], name: str, timesteps: tuple[int, ...]) -> int | None:
    """How many test images runs of a method and so many timesteps get: all (None) unless the profile says less."""
    limits = (settings.get("images", {}).get(name), images_of_long(settings, max(timesteps)))
    return min((limit for limit in limits if limit is not None), default=None)


def _timesteps_measured_together(profile: Profile, choice: NetworkChoice, name: str, timesteps: int) -> tuple[int, ...]:
    """The steps that ``timesteps_curve`` measures in one run with this one, so that both rows share it."""
    settings = settings_of(profile, "timesteps")
    listed = tuple(settings.get("methods", {}).get(name, ()))
    on_curve = [choice.paper_dataset, choice.paper_architecture] in settings.get("networks", [])
    return listed if method(name).traits().anytime and on_curve and timesteps in listed else ()


TABLE2 = TableSchema(
    "table2",
    version=1,
    keys=(
        Column("row", "int", nullable=False, minimum=1),
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("reference", "text"),
        Column("no_quant", "text", choices=("yes", "no")),
        Column("no_cal", "text", choices=("yes", "no")),
        Column("architecture", "text", nullable=False),
        Column("ann_metric_paper", "float"),
        Column("coding", "text"),
        Column("timesteps", "int", minimum=1),
        Column("snn_metric_paper", "float"),
        Column("negative_spikes", "text", choices=("yes", "no")),
        Column("provenance", "text"),
    ),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS),
)


# ---- Controls of Table 2 (not printed) --------------------------------------------------------------------------------

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
"""Methods that lose more here than printed, and the same with one thing changed that may be to blame."""
LONGEST_CONTROL = 1024  # timesteps


def controls(profile: Profile) -> list[Row]:
    """Rows of Table 2 with a control in place of the method."""
    return control_rows(filter(_controlled, table2(profile)), CONTROLS, partial(_conversion_row, profile))


def _controlled(row: Row) -> bool:
    """Not where it takes too long, nor COS with a pre-simulation as long as T, which is its own control."""
    name, timesteps = row.key["method"], row.key["timesteps"]
    if name == "COS" and method(name).steps(timesteps, 1, **_options(name, row.key["dataset"])).presimulation == timesteps:
        return False
    return bool(timesteps <= LONGEST_CONTROL)


# ---- Loss over timesteps on the same networks (not printed) -----------------------------------------------------------


def timesteps_curve(profile: Profile) -> list[Row]:
    """TMN, plain rate coding and OPI at several step counts and calibrations, on the same trained networks."""
    settings = settings_of(profile, "timesteps")
    options = settings.get("calibration", {})
    rows: list[Row] = []
    for network in settings.get("networks", []):
        for name, listed in settings["methods"].items():
            rows += _curve(profile, len(rows), network, name, profile.calibration, tuple(listed), settings)
    for network in settings.get("networks", []):
        for calibration in options.get("rules", []):
            rows += _curve(profile, len(rows), network, "TMN", calibration, tuple(options["timesteps"]), options)
    return rows


def _curve(
    profile: Profile,
    number: int,
    network: list[str],
    name: str,
    calibration: str,
    listed: tuple[int, ...],
    settings: dict[str, Any],
) -> list[Row]:
    dataset, architecture = network
    rows = []
    for index, timesteps in enumerate(listed):
        key = {
            "dataset": dataset,
            "architecture": architecture,
            "method": name,
            "calibration": calibration,
            "timesteps": timesteps,
        }
        number += 1
        try:
            choice = profile.network(dataset, architecture)
            if not method(name).traits().full_precision:
                choice = choice.quantized_for(name)
            columns = steps_of(name, timesteps, choice)
        except NotAvailable as error:
            rows.append(Row(number, key, reason=str(error)))
            continue
        together = listed if method(name).traits().anytime else (timesteps,)
        limit = settings.get("test_images", _test_images(settings, name, together))
        measurement = ConversionLoss(choice, calibration, limit, name, (), together)
        fill = partial(accuracy, choice, index if len(together) > 1 else 0, columns)
        rows.append(Row(number, key, fill, (measurement,)))
    return rows


TIMESTEPS = TableSchema(
    "timesteps",
    version=1,
    keys=(
        Column("dataset", "text", nullable=False),
        Column("architecture", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("calibration", "text", nullable=False),
        Column("timesteps", "int", nullable=False, minimum=1),
    ),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


# ---- Figure 1(d): coding capacity -------------------------------------------------------------------------------------


def figure1d(profile: Profile) -> list[Row]:
    """Distinguishable values of each code, by formula and by enumerating every spike train."""
    number = 0
    rows = []
    for code in ("rate", "ttfs", "binary", "css"):
        for timesteps in range(1, 11):
            number += 1
            key = {"code": code, "timesteps": timesteps}
            rows.append(Row(number, key, partial(_capacity, code, timesteps)))
    return rows


def _capacity(code: str, timesteps: int, _: list[Arrays]) -> list[Values]:
    return [
        {
            "capacity": analytic.capacity(code, timesteps),
            "enumerated": len(analytic.enumerate_values(code, timesteps)),
            "status": "measured",
        }
    ]


FIGURE1D = TableSchema(
    "figure1d",
    version=1,
    keys=(
        Column("code", "text", nullable=False, choices=("rate", "ttfs", "binary", "css")),
        Column("timesteps", "int", nullable=False, minimum=1),
    ),
    measures=(
        Column("capacity", "int", minimum=1, doc="number of values, by formula"),
        Column("enumerated", "int", minimum=1, doc="number of values over all spike trains"),
        Column("status", "text", nullable=False),
    ),
)


# ---- Analytic claims --------------------------------------------------------------------------------------------------


def analytic_claims(profile: Profile) -> list[Row]:
    """Identities and a toy model that need no data."""
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


# ---- Figure 4(a): pre-charge and predictive spiking -------------------------------------------------------------------


def figure4a(profile: Profile) -> list[Row]:
    """Accuracy and energy over timesteps, with and without predictive spiking, for several pre-charge lengths."""
    choice, settings, reason = _network_of(profile, "figure4a")
    rows: list[Row] = []
    for predictive in (True, False):
        for precharge in settings.get("precharge", []):
            for timesteps in settings["timesteps"]:
                if precharge > timesteps:
                    continue  # after T steps there is no input left to wait for
                key = {
                    "predictive_spiking": "yes" if predictive else "no",
                    "precharge_steps": precharge,
                    "timesteps": timesteps,
                }
                number = len(rows) + 1
                if choice is None:
                    rows.append(Row(number, key, reason=reason))
                    continue
                options = {"precharge": precharge, "ratio": 0.5 if predictive else 1.0, "ternary": predictive}
                measurement = ConversionLoss(
                    choice,
                    profile.calibration,
                    settings.get("test_images"),
                    "TMN",
                    tuple(options.items()),
                    (timesteps,),
                    count=True,
                )
                latency = steps_of("TMN", timesteps, choice, precharge=precharge)["latency"]
                rows.append(Row(number, key, partial(_energy, choice, timesteps, latency), (measurement,)))
    return rows


def _energy(choice: NetworkChoice, timesteps: int, latency: int, arrays: list[Arrays]) -> list[Values]:
    sums = arrays[0]
    images = len(sums["each_ann"])
    acs, macs, once = (float(sums[name]) / images for name in ("acs", "macs_every_step", "macs"))
    spikes = sums["spikes"]
    (values,) = accuracy(choice, 0, {"latency": latency}, arrays)
    values |= {
        "spike_rate": float(spikes.sum()) / float(sums["neurons"]) / timesteps,
        "negative_share": float(spikes[1] / max(spikes.sum(), 1)),
        "acs": acs,
        "macs": macs,
        "energy_mj": TMN_TABLE.millijoules(Operations(macs, acs)),
        "energy_once_mj": TMN_TABLE.millijoules(Operations(once, acs)),
    }
    return [values]


FIGURE4A = TableSchema(
    "figure4a",
    version=1,
    keys=(
        Column("predictive_spiking", "text", nullable=False, choices=("yes", "no")),
        Column("precharge_steps", "int", nullable=False, minimum=0),
        Column("timesteps", "int", nullable=False, minimum=1),
    ),
    measures=(
        STEP_COLUMNS[2],
        *ACCURACY_COLUMNS[1:],
        Column("spike_rate", "float", decimals=5, minimum=0, maximum=1, doc="mean |s| per neuron and step"),
        Column("negative_share", "float", decimals=5, minimum=0, maximum=1, doc="negative spikes over all", atol=1e-4),
        Column("acs", "sci", decimals=4, minimum=0, doc="accumulates per image"),
        Column("macs", "sci", decimals=4, minimum=0, doc="multiply-accumulates per image, first layer at each step"),
        Column("energy_mj", "sci", decimals=4, minimum=0, doc="mJ per image at 4.6 pJ per MAC, 0.9 pJ per AC"),
        Column("energy_once_mj", "sci", decimals=4, minimum=0, doc="the same, first layer computed once"),
        *STATUS_COLUMNS,
    ),
)


# ---- Figure 4(b): encoding error over depth ---------------------------------------------------------------------------

RATE_METHODS = ("rate", "OPI")


def figure4b(profile: Profile) -> list[Row]:
    """Encoding error per layer: TMN at T, rate coding (from zero and from half threshold) at 2**T steps."""
    choice, settings, reason = _network_of(profile, "figure4b")
    rows: list[Row] = []
    for exponent in settings.get("timesteps", []):
        for name in ("TMN", *RATE_METHODS):
            timesteps = exponent if name == "TMN" else 2**exponent
            key = {"tmn_timesteps": exponent, "method": name, "timesteps": timesteps}
            number = len(rows) + 1
            if choice is None:
                rows.append(Row(number, key | {"depth": 0}, reason=reason))
                continue
            measurement = EncodingError(choice, profile.calibration, settings.get("test_images"), name, (), (timesteps,))
            rows.append(Row(number, key, partial(_depth_profile, choice), (measurement,), unmeasured={"depth": 0}))
    return rows


def _depth_profile(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    errors = arrays[0]["squared_error"].reshape(-1, arrays[0]["values"].size)[0] / arrays[0]["values"]
    status = dict(status_of(choice))
    return [
        {"depth": depth, "mse": float(error), "n_test": int(arrays[0]["images"]), "seeds": seeds_of(choice)} | status
        for depth, error in enumerate(errors, start=1)
    ]


FIGURE4B = TableSchema(
    "figure4b",
    version=1,
    keys=(
        Column("tmn_timesteps", "int", nullable=False, minimum=1, doc="T of the comparison"),
        Column("method", "text", nullable=False),
        Column("timesteps", "int", nullable=False, minimum=1, doc="T for TMN, 2**T for rate coding"),
        Column("depth", "int", nullable=False, minimum=0, doc="spiking layer, 1 is the first; 0 if not run"),
    ),
    measures=(
        Column("mse", "sci", decimals=4, minimum=0, doc="mean squared error of decoded activations over threshold**2"),
        Column("n_test", "int", minimum=1),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)


# ---- Figure 4(c): residual potential over the predictive threshold ----------------------------------------------------


def _residual_measurements(profile: Profile) -> tuple[list[tuple[float, ResidualPotential | None]], str, NetworkChoice | None]:
    choice, settings, reason = _network_of(profile, "figure4c")
    made: list[tuple[float, ResidualPotential | None]] = []
    for ratio in settings.get("ratios", []):
        if choice is None:
            made.append((ratio, None))
            continue
        measurement = ResidualPotential(
            choice,
            profile.calibration,
            settings.get("test_images"),
            "TMN",
            (("ratio", float(ratio)),),
            settings["timesteps"],
        )
        made.append((ratio, measurement))
    return made, reason, choice


def figure4c(profile: Profile) -> list[Row]:
    """Size of the residual membrane potential for each predictive threshold."""
    measurements, reason, choice = _residual_measurements(profile)
    rows: list[Row] = []
    for ratio, measurement in measurements:
        for index, scope in enumerate(SCOPES):
            key = {"ratio": ratio, "scope": scope}
            if measurement is None or choice is None:
                rows.append(Row(len(rows) + 1, key, reason=reason))
            else:
                rows.append(Row(len(rows) + 1, key, partial(_residual, choice, index), (measurement,)))
    return rows


def _residual(choice: NetworkChoice, scope: int, arrays: list[Arrays]) -> list[Values]:
    number, absolute, square, above, _ = arrays[0]["sums"][scope]
    return [
        {
            "mean_abs": absolute / number,
            "mean_square": square / number,
            "share_above_half": above / number,
            "n_test": int(arrays[0]["images"]),
            "seeds": seeds_of(choice),
        }
        | dict(status_of(choice))
    ]


FIGURE4C = TableSchema(
    "figure4c",
    version=1,
    keys=(
        Column("ratio", "float", nullable=False, minimum=0, maximum=1, doc="predictive over full threshold"),
        Column("scope", "text", nullable=False, choices=SCOPES, doc="all neurons, or those that spiked for the image"),
    ),
    measures=(
        Column("mean_abs", "sci", decimals=4, minimum=0, doc="mean |u[T]| over the full threshold"),
        Column("mean_square", "sci", decimals=4, minimum=0, doc="mean u[T]**2 over the full threshold squared"),
        Column("share_above_half", "sci", decimals=4, minimum=0, doc="share with |u[T]| above half", atol=1e-4),
        Column("n_test", "int", minimum=1),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)


def figure4c_density(profile: Profile) -> list[Row]:
    """Distribution over neurons of the mean residual membrane potential, for each predictive threshold."""
    measurements, reason, choice = _residual_measurements(profile)
    rows: list[Row] = []
    for ratio, measurement in measurements:
        if measurement is None or choice is None:
            rows.append(Row(len(rows) + 1, {"ratio": ratio, "residual": 0.0}, reason=reason))
        else:
            fill = partial(_densities, choice)
            rows.append(Row(len(rows) + 1, {"ratio": ratio}, fill, (measurement,), unmeasured={"residual": 0.0}))
    return rows


def _densities(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    status = dict(status_of(choice))
    return [
        {"residual": (index + 0.5) * BIN_WIDTH, "density": float(value)} | status
        for index, value in enumerate(density(arrays[0]))
    ]


FIGURE4C_DENSITY = TableSchema(
    "figure4c_density",
    version=1,
    keys=(
        Column("ratio", "float", nullable=False, minimum=0, maximum=1, doc="predictive over full threshold"),
        Column("residual", "float", nullable=False, doc="middle of the bin; the last bin is open"),
    ),
    measures=(Column("density", "float", decimals=4, minimum=0, rtol=5e-2, atol=2e-2), *STATUS_COLUMNS),
)


# ---- Table 4 ----------------------------------------------------------------------------------------------------------


def table4(profile: Profile) -> list[Row]:
    """No row can be run yet."""
    rows = []
    for _, printed in read_published(PAPER, "table4").iterrows():
        key = {column.name: printed[column.name] for column in TABLE4.keys}
        name = printed["method"]
        rows.append(Row(int(key["row"]), key, reason=OTHER_TASKS.get(name, f"method not available yet: {name}")))
    return rows


TABLE4 = TableSchema(
    "table4",
    version=1,
    keys=(
        Column("row", "int", nullable=False, minimum=1),
        Column("task", "text", nullable=False),
        Column("dataset", "text", nullable=False),
        Column("method", "text", nullable=False),
        Column("architecture", "text"),
        Column("ann_metric_paper", "float"),
        Column("coding", "text"),
        Column("timesteps", "int", minimum=1),
        Column("snn_metric_paper", "float"),
        Column("metric", "text"),
        Column("provenance", "text"),
    ),
    measures=STATUS_COLUMNS,
)


def _network_of(profile: Profile, artifact: str) -> tuple[NetworkChoice | None, dict[str, Any], str]:
    """The network that a profile names for a figure, its settings, and why there is none."""
    settings = settings_of(profile, artifact)
    if "network" not in settings:
        raise CannotRun(f"profile {profile.name} lacks network in [papers.{PAPER}.{artifact}]; see the profiles of the project")
    try:
        return profile.network(*settings["network"]), settings, ""
    except NotAvailable as error:
        return None, settings, str(error)


OTHER_TASKS = {"TMN": "detectors and Transformers not available yet"}

ARTIFACTS = (
    Artifact("table2", "Table 2: image classification with converted networks", TABLE2, table2),
    Artifact("controls", "Controls of Table 2: what is to blame for a larger loss (not printed)", CONTROLS_SCHEMA, controls),
    Artifact("table3", "Table 3: energy", TABLE3, table3),
    Artifact("energy", "Energy over accuracy on the network of Table 3 (not printed)", ENERGY, energy_curve),
    Artifact("table4", "Table 4: detection, Transformers, language", TABLE4, table4),
    Artifact("figure1d", "Figure 1(d): coding capacity", FIGURE1D, figure1d),
    Artifact("figure4a", "Figure 4(a): pre-charge and predictive spiking", FIGURE4A, figure4a),
    Artifact("figure4b", "Figure 4(b): encoding error over depth", FIGURE4B, figure4b),
    Artifact("figure4c", "Figure 4(c): residual potential over the predictive threshold", FIGURE4C, figure4c),
    Artifact("figure4c_density", "Figure 4(c): its distribution over neurons", FIGURE4C_DENSITY, figure4c_density),
    Artifact("timesteps", "Loss over timesteps and calibrations (not printed)", TIMESTEPS, timesteps_curve),
    Artifact("analytic", "Analytic claims", ANALYTIC, analytic_claims),
)
