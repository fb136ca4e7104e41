"""Tables and figures of the TMN paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.errors import CannotRun
from benchmarks.measurements import Arrays, ConversionLoss, EncodingError, Measurement, ResidualPotential
from benchmarks.measurements.residual_potential import BIN_WIDTH, SCOPES, density
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.analytic import ANALYTIC, analytic_rows
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
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, negative_share
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.tables.settings import images_of_long
from benchmarks.tables.sweeps import Fill, Measure, Options, Setting, conversion, printed_rows, row_on
from benchmarks.tmn import analytic
from benchmarks.tmn.energy import ENERGIES, TABLE3, energy_curve, table3
from benchmarks.tmn.settings import PAPER, settings_of

TIMESTEPS = Column("timesteps", "int", nullable=False, minimum=1)
MEASURED = (Column("n_test", "int", minimum=1), Column("seeds", "text"), *STATUS_COLUMNS)


# ---- Table 2 ----------------------------------------------------------------------------------------------------------

TABLE2 = TableSchema(
    "table2",
    version=1,
    keys=published_keys(PAPER, "table2", filled=("row", "dataset", "method", "architecture")),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS, *STATUS_COLUMNS),
)
OPTIONS: dict[tuple[str, str], Options] = {
    ("COS", "ImageNet"): {"presimulation": 8},  # Hao et al. 2023: 4 on CIFAR
}
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
    rows = printed_rows(PAPER, "table2", TABLE2.keys, made)
    return rows + [made(key["row"], key) for key in _added(profile, len(rows))]


def controls(profile: Profile) -> list[Row]:
    """Rows of Table 2 with a control in place of the method."""
    return control_rows(filter(_controlled, table2(profile)), CONTROLS, partial(_conversion_row, profile))


def _controlled(row: Row) -> bool:
    """Not where it takes too long, nor COS with a pre-simulation as long as T, which is its own control."""
    name, timesteps = row.key["method"], row.key["timesteps"]
    options = OPTIONS.get((name, row.key["dataset"]), {})
    if name == "COS" and method(name).steps(timesteps, 1, **options).presimulation == timesteps:
        return False
    return bool(timesteps <= LONGEST_CONTROL)


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


def _conversion_row(profile: Profile, number: int, key: Values, control: str = "") -> Row:
    """A row of Table 2; with a ``control`` in place of its method, on the same network."""
    name = control or str(key["method"])
    setting = Setting(key, int(key["timesteps"]), name, OPTIONS.get((name, key["dataset"]), {}))
    measure = partial(_accuracies, settings_of(profile, "table2"))
    return row_on(profile, number, key, partial(_network, profile, key, name), setting, measure)


def _network(profile: Profile, key: Values, name: str) -> NetworkChoice:
    """The network of a row, quantised as its method needs it, or else as ``name`` does, its control."""
    choice = profile.network(key["dataset"], key["architecture"])
    if key.get("no_quant") == "no":
        return choice.quantized_for(method(key["method"]).name)
    return choice if method(name).traits().full_precision else choice.quantized_for(name)


def _accuracies(
    section: dict[str, Any], profile: Profile, choice: NetworkChoice, setting: Setting, _: int | None
) -> tuple[Fill, Measurement]:
    """A setting on as many test images as the section says, with the calibration that its key may name."""
    name, t = setting.method, int(setting.key["timesteps"])
    columns = steps_of(name, t, choice, **setting.options)
    if "calibration" not in setting.key:
        columns |= {"calibration": calibration_of(profile, choice, name)}
    together = _measured_together(profile, choice, name, t)
    images = section.get("test_images", _test_images(section, name, max(together)))
    rule = setting.key.get("calibration", profile.calibration)
    measurement = ConversionLoss(choice, rule, images, name, tuple(setting.options.items()), together)
    return partial(accuracy, choice, together.index(t), columns), measurement


def _test_images(section: dict[str, Any], name: str, longest: int) -> int | None:
    """How many test images runs of a method and so many timesteps get: all (None) unless the profile says less."""
    limits = (section.get("images", {}).get(name), images_of_long(section, longest))
    return min((limit for limit in limits if limit is not None), default=None)


def _measured_together(profile: Profile, choice: NetworkChoice, name: str, timesteps: int) -> tuple[int, ...]:
    """The steps that ``timesteps_curve`` measures in one run with this one, so that both rows share it."""
    section = settings_of(profile, "timesteps")
    listed = tuple(section.get("methods", {}).get(name, ()))
    on_curve = [choice.paper_dataset, choice.paper_architecture] in section.get("networks", [])
    return listed if method(name).traits().anytime and on_curve and timesteps in listed else (timesteps,)


# ---- Loss over timesteps on the same networks (not printed) -----------------------------------------------------------

CURVES = TableSchema(
    "timesteps",
    version=1,
    keys=(*(Column(name, "text", nullable=False) for name in ("dataset", "architecture", "method", "calibration")), TIMESTEPS),
    measures=(*STEP_COLUMNS, *ACCURACY_COLUMNS[1:], *STATUS_COLUMNS),
)


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
                for t in steps:
                    key = {"dataset": dataset, "architecture": architecture, "method": name, "calibration": rule, "timesteps": t}
                    run = Setting(key, max(steps) if method(name).traits().anytime else t, method=name)
                    network, measure = partial(_network, profile, key, name), partial(_accuracies, limits)
                    rows.append(row_on(profile, len(rows) + 1, key, network, run, measure))
    return rows


# ---- Figure 1(d): coding capacity -------------------------------------------------------------------------------------

CODES = ("rate", "ttfs", "binary", "css")
FIGURE1D = TableSchema(
    "figure1d",
    version=1,
    keys=(Column("code", "text", nullable=False, choices=CODES), TIMESTEPS),
    measures=(
        Column("capacity", "int", minimum=1, doc="number of values, by formula"),
        Column("enumerated", "int", minimum=1, doc="number of values over all spike trains"),
        Column("status", "text", nullable=False),
    ),
)


def figure1d(profile: Profile) -> list[Row]:
    """Distinguishable values of each code, by formula and by enumerating every spike train."""
    cases = [(code, timesteps) for code in CODES for timesteps in range(1, 11)]
    return [
        Row(number, {"code": code, "timesteps": timesteps}, partial(_capacity, code, timesteps))
        for number, (code, timesteps) in enumerate(cases, start=1)
    ]


def _capacity(code: str, timesteps: int, _: list[Arrays]) -> list[Values]:
    enumerated = len(analytic.enumerate_values(code, timesteps))
    return [{"capacity": analytic.capacity(code, timesteps), "enumerated": enumerated, "status": "measured"}]


# ---- Figure 4, each part on one network that the profile names --------------------------------------------------------


def _on_one_network(
    profile: Profile,
    artifact: str,
    settings: Callable[[dict[str, Any]], Iterable[Setting]],
    measure: Measure,
    unmeasured: Values | None = None,
) -> list[Row]:
    section = settings_of(profile, artifact)
    if "network" not in section:
        raise CannotRun(f"profile {profile.name} lacks network in [papers.{PAPER}.{artifact}]; see the profiles of the project")
    network, limit = partial(profile.network, *section["network"]), section.get("test_images")
    return [
        row_on(profile, number, setting.key, network, setting, measure, limit, unmeasured)
        for number, setting in enumerate(settings(section), start=1)
    ]


FIGURE4A = TableSchema(
    "figure4a",
    version=1,
    keys=(
        Column("predictive_spiking", "text", nullable=False, choices=("yes", "no")),
        Column("precharge_steps", "int", nullable=False, minimum=0),
        TIMESTEPS,
    ),
    measures=(
        STEP_COLUMNS[2],
        *ACCURACY_COLUMNS[1:],
        Column("spike_rate", "float", decimals=5, minimum=0, maximum=1, doc="mean |s| per neuron and step"),
        *(negative_share(5, atol=1e-4), ACS, MACS, ENERGY, ENERGY_ONCE),
        *STATUS_COLUMNS,
    ),
)


def figure4a(profile: Profile) -> list[Row]:
    """Accuracy and energy over timesteps, with and without predictive spiking, for several pre-charge lengths."""
    return _on_one_network(profile, "figure4a", _predictive, _rated)


def _predictive(section: dict[str, Any]) -> Iterable[Setting]:
    for predictive in (True, False):
        for precharge in section.get("precharge", []):
            options = {"precharge": precharge, "ratio": 0.5 if predictive else 1.0, "ternary": predictive}
            for t in section["timesteps"]:
                if precharge <= t:  # after T steps there is no input left to wait for
                    key = {"predictive_spiking": "yes" if predictive else "no", "precharge_steps": precharge, "timesteps": t}
                    yield Setting(key, t, "TMN", options)


def _rated(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    fill, measurement = conversion(profile, choice, setting, limit, count=True)
    return partial(_rate, fill, setting.timesteps), measurement


def _rate(fill: Fill, timesteps: int, arrays: list[Arrays]) -> list[Values]:
    return [values | {"spike_rate": values["spikes_per_neuron"] / timesteps} for values in fill(arrays)]


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
        *MEASURED,
    ),
)


def figure4b(profile: Profile) -> list[Row]:
    """Encoding error per layer: TMN at T, rate coding (from zero and from half threshold) at 2**T steps."""
    return _on_one_network(profile, "figure4b", _exponential, _encoded, {"depth": 0})


def _exponential(section: dict[str, Any]) -> Iterable[Setting]:
    for exponent in section.get("timesteps", []):
        for name in ("TMN", "rate", "OPI"):
            t = exponent if name == "TMN" else 2**exponent
            yield Setting({"tmn_timesteps": exponent, "method": name, "timesteps": t}, t, method=name)


def _encoded(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    measurement = EncodingError(choice, profile.calibration, limit, setting.method, (), (setting.timesteps,))
    return partial(_depth_profile, choice), measurement


def _depth_profile(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    errors = arrays[0]["squared_error"].reshape(-1, arrays[0]["values"].size)[0] / arrays[0]["values"]
    known = {"n_test": int(arrays[0]["images"]), "seeds": seeds_of(choice)} | dict(status_of(choice))
    return [{"depth": depth, "mse": float(error)} | known for depth, error in enumerate(errors, start=1)]


RATIO = Column("ratio", "float", nullable=False, minimum=0, maximum=1, doc="predictive over full threshold")
FIGURE4C = TableSchema(
    "figure4c",
    version=1,
    keys=(RATIO, Column("scope", "text", nullable=False, choices=SCOPES, doc="all neurons, or those that spiked for the image")),
    measures=(
        Column("mean_abs", "sci", decimals=4, minimum=0, doc="mean |u[T]| over the full threshold"),
        Column("mean_square", "sci", decimals=4, minimum=0, doc="mean u[T]**2 over the full threshold squared"),
        Column("share_above_half", "sci", decimals=4, minimum=0, doc="share with |u[T]| above half", atol=1e-4),
        *MEASURED,
    ),
)
FIGURE4C_DENSITY = TableSchema(
    "figure4c_density",
    version=1,
    keys=(RATIO, Column("residual", "float", nullable=False, doc="middle of the bin; the last bin is open")),
    measures=(Column("density", "float", decimals=4, minimum=0, rtol=5e-2, atol=2e-2), *STATUS_COLUMNS),
)


def figure4c(profile: Profile) -> list[Row]:
    """Size of the residual membrane potential for each predictive threshold."""
    return _on_one_network(profile, "figure4c", partial(_ratios, scopes=SCOPES), _left_over)


def figure4c_density(profile: Profile) -> list[Row]:
    """Distribution over neurons of the mean residual membrane potential, for each predictive threshold."""
    return _on_one_network(profile, "figure4c", _ratios, _left_over, {"residual": 0.0})


def _ratios(section: dict[str, Any], scopes: Iterable[str] = ("",)) -> Iterable[Setting]:
    for ratio in section.get("ratios", []):
        for scope in scopes:
            key = {"ratio": ratio} | ({"scope": scope} if scope else {})
            yield Setting(key, section["timesteps"], "TMN", {"ratio": float(ratio)})


def _left_over(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    options = tuple(setting.options.items())
    measurement = ResidualPotential(choice, profile.calibration, limit, "TMN", options, setting.timesteps)
    scope = setting.key.get("scope")
    return partial(_densities, choice) if scope is None else partial(_residual, choice, SCOPES.index(scope)), measurement


def _residual(choice: NetworkChoice, scope: int, arrays: list[Arrays]) -> list[Values]:
    number, absolute, square, above, _ = arrays[0]["sums"][scope]
    means = {"mean_abs": absolute / number, "mean_square": square / number, "share_above_half": above / number}
    return [means | {"n_test": int(arrays[0]["images"]), "seeds": seeds_of(choice)} | dict(status_of(choice))]


def _densities(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    status = dict(status_of(choice))
    return [
        {"residual": (index + 0.5) * BIN_WIDTH, "density": float(value)} | status
        for index, value in enumerate(density(arrays[0]))
    ]


# ---- Table 4 ----------------------------------------------------------------------------------------------------------

TABLE4 = TableSchema(
    "table4", 1, published_keys(PAPER, "table4", filled=("row", "task", "dataset", "method")), measures=STATUS_COLUMNS
)
OTHER_TASKS = {"TMN": "detectors and Transformers not available yet"}


def table4(profile: Profile) -> list[Row]:
    """No row can be run yet."""
    return printed_rows(PAPER, "table4", TABLE4.keys, _other_task)


def _other_task(number: int, key: Values) -> Row:
    return Row(number, key, reason=OTHER_TASKS.get(key["method"], f"method not available yet: {key['method']}"))


ARTIFACTS = (
    Artifact("table2", "Table 2: image classification with converted networks", TABLE2, table2),
    Artifact("controls", "Controls of Table 2: what is to blame for a larger loss (not printed)", CONTROLS_SCHEMA, controls),
    Artifact("table3", "Table 3: energy", TABLE3, table3),
    Artifact("energy", "Energy over accuracy on the network of Table 3 (not printed)", ENERGIES, energy_curve),
    Artifact("table4", "Table 4: detection, Transformers, language", TABLE4, table4),
    Artifact("figure1d", "Figure 1(d): coding capacity", FIGURE1D, figure1d),
    Artifact("figure4a", "Figure 4(a): pre-charge and predictive spiking", FIGURE4A, figure4a),
    Artifact("figure4b", "Figure 4(b): encoding error over depth", FIGURE4B, figure4b),
    Artifact("figure4c", "Figure 4(c): residual potential over the predictive threshold", FIGURE4C, figure4c),
    Artifact("figure4c_density", "Figure 4(c): its distribution over neurons", FIGURE4C_DENSITY, figure4c_density),
    Artifact("timesteps", "Loss over timesteps and calibrations (not printed)", CURVES, timesteps_curve),
    Artifact("analytic", "Analytic claims", ANALYTIC, lambda profile: analytic_rows(analytic.CASES)),
)
