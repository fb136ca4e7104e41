"""Rows of what a paper varies: each network of a profile's section in each setting, and printed rows run on our networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays, Measurement
from benchmarks.methods import method
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.published import read_published
from benchmarks.tables.artifacts import Row, Values
from benchmarks.tables.columns import accuracy, calibration_of, ran_on, steps_of
from benchmarks.tables.energy import counted
from benchmarks.tables.schema import Column
from benchmarks.tables.settings import images_of_long

Options = dict[str, Any]
Fill = Callable[[list[Arrays]], list[Values]]
Network = Callable[[], NetworkChoice]


@dataclass(frozen=True)
class Setting:
    """One way to run a network: the key columns that tell it, and the method with its options and T.

    ``together`` are the steps that one run measures where there are more than T. Thresholds are those of the profile or of the
    key column ``calibration``.
    """

    key: Values
    timesteps: int
    method: str
    options: Options = field(default_factory=dict)
    together: tuple[int, ...] = ()


Measure = Callable[[Profile, NetworkChoice, Setting, int | None], tuple[Fill, Measurement]]
"""``(profile, network, setting, test images) -> (fill, measurement)`` of a row; see ``Row``."""


def swept(
    profile: Profile,
    networks: Iterable[tuple[str, str]],
    settings: Iterable[Setting],
    measure: Measure,
    limit: int | None = None,
    unmeasured: Values | None = None,
    named: bool = True,
) -> list[Row]:
    """A row for each network and each setting whose pre-charge is no longer than T: after T steps no input is left to wait for.

    Args:
        profile: whose networks.
        networks: data set and architecture of the paper.
        settings: what is varied.
        measure: what is measured.
        limit: test images; all unless given.
        unmeasured: key columns that a measured row fills, and their values in one that was not run.
        named: whether keys name the network.
    """
    listed = [setting for setting in settings if setting.options.get("precharge", 0) <= setting.timesteps]
    rows: list[Row] = []
    for dataset, architecture in networks:
        for setting in listed:
            key = ({"dataset": dataset, "architecture": architecture} if named else {}) | setting.key
            network = partial(profile.network, dataset, architecture, setting.method)
            rows.append(row_of(profile, len(rows) + 1, key, setting, measure, limit, unmeasured, network))
    return rows


def row_of(
    profile: Profile,
    number: int,
    key: Values,
    setting: Setting,
    measure: Measure,
    limit: int | None = None,
    unmeasured: Values | None = None,
    network: Network | None = None,
) -> Row:
    """The row of a setting, or why it cannot be run, on ``network()`` (or NotAvailable) or else the one that its key names."""
    known = unmeasured or {}
    try:
        choice = network() if network else profile.network(key["dataset"], key["architecture"], setting.method)
        limit = min(filter(None, (limit, dict(choice.images).get(setting.method))), default=None)
        method(setting.method).check(choice.levels, max(setting.together, default=setting.timesteps), **setting.options)
        fill, measurement = measure(profile, choice, setting, limit)
        return Row(number, key, fill, (measurement,), unmeasured=known)
    except NotAvailable as error:
        return Row(number, key | known, reason=str(error))


def printed_rows(paper: str, table: str, keys: tuple[Column, ...], made: Callable[[int, Values], Row]) -> list[Row]:
    """Every row of a table as printed: ``made(number, key)``."""
    names = [column.name for column in keys]
    return [made(int(row["row"]), {name: row[name] for name in names}) for _, row in read_published(paper, table).iterrows()]


def conversion(
    profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None, count: bool = False
) -> tuple[Fill, Measurement]:
    """Accuracies, with their steps; what was adjusted, and what was counted if ``count``."""
    from benchmarks.measurements import ConversionLoss

    steps, options = setting.together or (setting.timesteps,), tuple(setting.options.items())
    rule = setting.key.get("calibration", profile.calibration)
    measurement = ConversionLoss(choice, rule, limit, setting.method, options, steps, count=count)
    return partial(_converted, profile, choice, setting, steps.index(setting.timesteps), count), measurement


def _converted(
    profile: Profile, choice: NetworkChoice, setting: Setting, index: int, count: bool, arrays: list[Arrays]
) -> list[Values]:
    (values,) = accuracy(choice, index, steps_of(setting.method, setting.timesteps, choice, **setting.options), arrays)
    if "calibration" not in setting.key:
        values |= {"calibration": calibration_of(profile, choice, setting.method)}
    found = arrays[0]
    if "same_adjustment" in found:
        rounds, unsettled, _, largest = found["same_adjustment"]
        values |= {"adjusted_in": int(rounds), "unsettled": int(unsettled), "largest_factor": float(largest)}
    if count:
        values |= counted(found)
        values |= {"spike_rate": values["spikes_per_neuron"] / setting.timesteps}
    return [values]


def loss_row(
    profile: Profile, section: Mapping[str, Any], number: int, setting: Setting, network: Network | None = None
) -> Row:
    """The row of accuracies of a setting, on all test images unless the section says less for it."""
    longest = max(setting.together, default=setting.timesteps)
    limits = section.get("test_images"), section.get("images", {}).get(setting.method), images_of_long(section, longest)
    limit = min((limit for limit in limits if limit is not None), default=None)
    return row_of(profile, number, setting.key, setting, conversion, limit, network=network)


def residuals(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    """Sizes of what is left on the membranes, of all neurons or of those in the ``scope`` that the key names."""
    from benchmarks.measurements.residual_potential import SCOPES, ResidualPotential

    options, scope = tuple(setting.options.items()), SCOPES.index(setting.key.get("scope", "all"))
    measurement = ResidualPotential(choice, profile.calibration, limit, setting.method, options, setting.timesteps)
    return partial(_left_over, choice, scope), measurement


def _left_over(choice: NetworkChoice, scope: int, arrays: list[Arrays]) -> list[Values]:
    number, *sums = arrays[0]["sums"][scope]
    means = zip(("mean_abs", "mean_square", "share_above_half", "share_above"), sums, strict=True)
    return [{name: each / number for name, each in means} | {"n_test": int(arrays[0]["images"])} | ran_on(choice)]
