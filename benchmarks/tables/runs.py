"""Tables of training runs: a row for the seeds of a setting together, or for each of them; their columns and what fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.errors import NotAvailable
from benchmarks.measurements import Arrays, Measurement
from benchmarks.measurements.base import Experiment
from benchmarks.profiles import Profile
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Artifact, Row, Values
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.statistics import over_seeds

SEED, SEEDS = Column("seed", "int", nullable=False, minimum=0), Column("seeds", "text", doc="training seeds")
SPREAD = (
    Column("std", "float", 3, minimum=0, rtol=5e-2, doc="standard deviation over seeds, in points"),
    Column("ci95_low", "float", 3, doc="95 % interval of the mean over seeds (Student's t)"),
    Column("ci95_high", "float", 3, doc="its upper end"),
)
SINGLE = tuple(column.name for column in SPREAD)
"""Columns that are empty for a single seed."""
WILSON = (Column("ci95_low", "float", doc="Wilson's 95 % interval over test images"), Column("ci95_high", "float"))
VALIDATION = Column("validation", "float", 3, minimum=0, maximum=100, doc="accuracy on the validation images, %, mean over seeds")
EFFORT = (Column("training_images", "int", minimum=1, doc="images trained on"), Column("epochs", "int", minimum=1))
N_TEST = Column("n_test", "int", minimum=1)


def schema(name: str, keys: Iterable[Column], *measures: Column, version: int = 1, optional: tuple[str, ...] = ()) -> TableSchema:
    """The columns of a table of runs, those of the status last."""
    return TableSchema(name, version, tuple(keys), (*measures, *STATUS_COLUMNS), optional=optional)


Runs = tuple[Values, tuple[Experiment | Measurement, ...]]
"""The status columns of a row that is measured, and its experiments, or the measurement of a network that was converted."""
Found = Iterable[tuple[Values, Callable[[], Runs]]]
"""Keys of rows, and what runs them; it raises NotAvailable where nothing does."""
Fill = Callable[[list[Arrays]], Iterable[Values]]
KeyedFill = Callable[[Values, list[Arrays]], Iterable[Values]]
"""``fill(key, arrays)`` of a row; see ``Row``."""


def ran(dataset: str, layout: str, stand_in: bool) -> Values:
    """The status columns of a network that was trained."""
    return {"dataset_used": dataset, "architecture_used": layout, "status": "stand-in" if stand_in else "measured"}


def artifact(
    schema: TableSchema, title: str, found: Callable[[Profile], Found], fill: KeyedFill, each: bool = False, **unmeasured: Any
) -> Artifact:
    """A table with a row for each key that is ``found``, or for ``each`` of its experiments.

    ``unmeasured``: keys that ``fill`` adds, and their values in a row that was not run.
    """
    return Artifact(schema.name, title, schema, partial(_rows, found, fill, each, unmeasured))


def _rows(found: Callable[[Profile], Found], fill: KeyedFill, each: bool, first: Values, profile: Profile) -> list[Row]:
    rows: list[Row] = []
    for key, start in found(profile):
        try:
            status, runs = start()
        except NotAvailable as error:
            rows.append(Row(len(rows) + 1, key, reason=str(error), unmeasured=first | ({"seed": 0} if each else {})))
            continue
        trained = [run for run in runs if isinstance(run, Experiment)]
        for own, part in [(key | {"seed": run.seed}, (run,)) for run in trained] if each else [(key, runs)]:
            known = {"seeds": ", ".join(str(run.seed) for run in part if isinstance(run, Experiment))} | status
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


def single(summary: KeyedFill, key: Values, arrays: list[Arrays]) -> Iterator[Values]:
    """The line of one training run, with its correctness per test image."""
    for line in summary(key, arrays):
        yield line | {CORRECT: (None, arrays[0]["correct"])}


def cells(axes: Mapping[str, Any], **columns: Any) -> Iterator[Values]:
    """A line for each place in arrays of one shape, with their values there.

    ``axes``: the keys that say where it is, with the names of the places along that axis or the number of the first.
    """
    arrays = {column: np.asarray(values) for column, values in columns.items()}
    shape = next(iter(arrays.values())).shape
    names = [range(of, of + size) if isinstance(of, int) else of for of, size in zip(axes.values(), shape, strict=True)]
    for place, at in zip(np.ndindex(shape), product(*names), strict=True):
        yield dict(zip(axes, at, strict=True)) | {column: float(values[place]) for column, values in arrays.items()}
