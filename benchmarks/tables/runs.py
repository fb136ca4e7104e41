"""Rows of training runs: a row for the seeds of a setting together, or for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays
from benchmarks.measurements.base import Experiment
from benchmarks.profiles import Profile
from benchmarks.tables.artifacts import Row, Values
from benchmarks.tables.statistics import over_seeds

Runs = tuple[Values, tuple[Experiment, ...]]
"""The status columns of a row that is measured, and its experiments."""
Found = Iterable[tuple[Values, Callable[[], Runs]]]
"""Keys of rows, and what runs them; it raises NotAvailable where nothing does."""
Fill = Callable[[list[Arrays]], Iterable[Values]]
KeyedFill = Callable[[Values, list[Arrays]], Iterable[Values]]
"""``fill(key, arrays)`` of a row; see ``Row``."""


def ran(dataset: str, layout: str, stand_in: bool) -> Values:
    """The status columns of a network that was trained."""
    return {"dataset_used": dataset, "architecture_used": layout, "status": "stand-in" if stand_in else "measured"}


def rows_of_runs(
    found: Callable[[Profile], Found], fill: KeyedFill, profile: Profile, each: bool = False, unmeasured: Values | None = None
) -> list[Row]:
    """A row for each key that is ``found``, or for ``each`` of its experiments.

    ``unmeasured``: keys that ``fill`` adds, and their values in a row that was not run.
    """
    rows: list[Row] = []
    first = unmeasured or {}
    for key, start in found(profile):
        try:
            status, runs = start()
        except NotAvailable as error:
            rows.append(Row(len(rows) + 1, key, reason=str(error), unmeasured=first | ({"seed": 0} if each else {})))
            continue
        for own, part in [(key | {"seed": run.seed}, (run,)) for run in runs] if each else [(key, runs)]:
            known = status | {"seeds": ", ".join(str(run.seed) for run in part)}
            rows.append(Row(len(rows) + 1, own, partial(_filled, partial(fill, own), known, first), part, unmeasured=first))
    return rows


def _filled(fill: Fill, known: Values, unmeasured: Values, arrays: list[Arrays]) -> list[Values]:
    """What ``fill`` makes of the runs, or the reason where one of them failed."""
    for each in arrays:
        if "failed" in each and str(each["failed"]):
            return [unmeasured | {"status": f"not run: training failed: {each['failed']}"}]
    return [line | known for line in fill(arrays)]


def over_runs(arrays: list[Arrays]) -> Values:
    """Accuracy, its deviation and interval over the seeds of a setting, the validation accuracy, and what it took."""
    accuracy, deviation = over_seeds(np.array([100 * each["correct"].mean() for each in arrays]))
    return {
        "snn_metric": accuracy.estimate,
        "std": deviation,
        "ci95_low": accuracy.low,
        "ci95_high": accuracy.high,
        "validation": float(np.mean([each["validation_accuracy"][-1] for each in arrays])),
        "training_images": int(arrays[0]["training_images"]),
        "epochs": len(arrays[0]["train_loss"]),
        "n_test": len(arrays[0]["correct"]),
    }
