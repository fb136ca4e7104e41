"""Figures 1(d) and 4 of the TMN paper, each as rows to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from benchmarks.errors import CannotRun
from benchmarks.measurements import Arrays, EncodingError, Measurement
from benchmarks.measurements.residual_potential import BIN_WIDTH, SCOPES, density
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.artifacts import Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, STEP_COLUMNS, ran_on
from benchmarks.tables.energy import ACS, ENERGY, ENERGY_ONCE, MACS, negative_share
from benchmarks.tables.runs import N_TEST, schema
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.sweeps import Fill, Measure, Setting, conversion, residuals, swept
from benchmarks.tmn import analytic
from benchmarks.tmn.conversions import filled
from benchmarks.tmn.settings import settings_of

METHOD, TIMESTEPS = filled("method", "text"), filled("timesteps", "int", minimum=1)
MEASURED = (N_TEST, Column("seeds", "text"))
size = partial(Column, kind="sci", decimals=4, minimum=0)

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


FIGURE4A = schema(
    "figure4a",
    (filled("predictive_spiking", "text", choices=("yes", "no")), filled("precharge_steps", "int", minimum=0), TIMESTEPS),
    *(STEP_COLUMNS[2], *ACCURACY_COLUMNS[1:]),
    Column("spike_rate", "float", decimals=5, minimum=0, maximum=1, doc="mean |s| per neuron and step"),
    *(negative_share(5, atol=1e-4), ACS, MACS, ENERGY, ENERGY_ONCE),
)
FIGURE4B = schema(
    "figure4b",
    (
        filled("tmn_timesteps", "int", minimum=1, doc="T of the comparison"),
        METHOD,
        filled("timesteps", "int", minimum=1, doc="T for TMN, 2**T for rate coding"),
        filled("depth", "int", minimum=0, doc="spiking layer, 1 is the first; 0 if not run"),
    ),
    *(size("mse", doc="mean squared error of decoded activations over threshold**2"), *MEASURED),
)
RATIO = filled("ratio", "float", minimum=0, maximum=1, doc="predictive over full threshold")
FIGURE4C = schema(
    "figure4c",
    (RATIO, filled("scope", "text", choices=SCOPES, doc="all neurons, or those that spiked for the image")),
    size("mean_abs", doc="mean |u[T]| over the full threshold"),
    size("mean_square", doc="mean u[T]**2 over the full threshold squared"),
    size("share_above_half", doc="share with |u[T]| above half", atol=1e-4),
    *MEASURED,
)
FIGURE4C_DENSITY = schema(
    "figure4c_density",
    (RATIO, filled("residual", "float", doc="middle of the bin; the last bin is open")),
    Column("density", "float", decimals=4, minimum=0, rtol=5e-2, atol=2e-2),
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


def _ratios(section: dict[str, Any]) -> Iterable[Setting]:
    return (Setting({"ratio": ratio}, section["timesteps"], "TMN", {"ratio": float(ratio)}) for ratio in section["ratios"])


def _scopes(section: dict[str, Any]) -> Iterable[Setting]:
    return (replace(each, key=each.key | {"scope": scope}) for each in _ratios(section) for scope in SCOPES)


def _spread(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    return partial(_densities, choice), residuals(profile, choice, setting, limit)[1]


def _densities(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    bins = enumerate(density(arrays[0]))
    return [{"residual": (index + 0.5) * BIN_WIDTH, "density": float(value)} | ran_on(choice) for index, value in bins]


figure4a = _on_one_network("figure4a", partial(conversion, count=True), _predictive)
figure4b = _on_one_network("figure4b", _encoded, _exponential, {"depth": 0})
figure4c = _on_one_network("figure4c", residuals, _scopes)
figure4c_density = _on_one_network("figure4c", _spread, _ratios, {"residual": 0.0})
