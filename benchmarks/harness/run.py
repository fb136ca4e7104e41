"""Run artifacts: work out what must be measured, measure what is not in the cache, write the tables.

The unit of work is one measurement on one shard of test images, or one experiment. Units run in parallel processes of one
thread each, which is faster than one process with many threads, and each finished unit is cached, so that a killed run resumes.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from numpy.typing import NDArray

from benchmarks.data import dataset_spec, normalised_batches
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.files import atomic_write_bytes
from benchmarks.harness import results
from benchmarks.harness.cache import MeasurementCache
from benchmarks.harness.progress import Note, watched
from benchmarks.harness.provenance import Record, collect, with_earlier, write_provenance
from benchmarks.measurements.base import Arrays, Experiment, Measurement, merge
from benchmarks.measurements.lab import Lab
from benchmarks.methods import direct_method, method
from benchmarks.models import model_spec
from benchmarks.paths import cache_dir
from benchmarks.profiles import NetworkChoice
from benchmarks.tables.artifacts import CORRECT, Artifact, Row
from benchmarks.tables.schema import TableSchema
from benchmarks.tables.statistics import accuracy_columns
from benchmarks.training.source_digest import code_digest, import_closure

# Every layer makes and drops large temporaries. By default glibc returns them to the system at once and gets them back page
# by page, a third of the time of a long train; worker processes keep what they freed instead, in huge pages.
WORKER_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 33), "THP_MEM_ALLOC_ENABLE": "1"}

PASSES_IN_A_SHARD = 100
"""Forward passes of each image up to which a unit of work has a profile's whole shard."""

Report = Callable[[str, float, float, str], None]
"""``(stage, done, total, text)``: progress in units of expected cost, and what is running in words."""


Work = Measurement | Experiment


@dataclass(frozen=True)
class Table:
    """An artifact's lines and the correctness per image behind them, as measured or as stored."""

    artifact: Artifact
    frame: pd.DataFrame
    correct: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Execution:
    """How to run: number of parallel ``jobs``, joblib ``backend``, and whom to tell about progress."""

    jobs: int = 1
    backend: str = "loky"
    report: Report = field(default=lambda stage, done, total, text: None)


@dataclass(frozen=True)
class Unit:
    """One measurement on test images ``start`` to ``stop``, or one experiment (0 to 1), and its key in the cache."""

    measurement: Work
    start: int
    stop: int
    key: str

    @property
    def cost(self) -> float:
        """Expected cost, in forward passes of single images."""
        return self.measurement.cost() * (self.stop - self.start)


class Run:
    """A run of artifacts of one paper under one profile, of all rows or of those with the given numbers."""

    def __init__(self, lab: Lab, artifacts: Sequence[Artifact], execution: Execution, rows: set[int] | None = None) -> None:
        self.lab = lab
        self.execution = execution
        self.started = time.monotonic()
        self.plans = {artifact.name: _selected(artifact, artifact.rows(lab.profile), rows) for artifact in artifacts}
        self.artifacts = list(artifacts)
        self.cache = MeasurementCache(cache_dir() / "measurements")
        self.prepared: dict[NetworkChoice, Prepared] = {}
        self.data: dict[str, dict[str, str]] = {}
        self.units: dict[Work, list[Unit]] = {}
        self.unavailable: dict[Work, str] = {}

    def tables(self) -> Iterator[Table]:
        """Measure everything, then give the tables one by one; CannotRun where data are missing or something is damaged."""
        self._prepare()
        self.units = {m: self._units(m) for m in self._measurements()}
        self._measure([unit for parts in self.units.values() for unit in parts])
        for artifact in self.artifacts:
            yield self._assemble(artifact)

    def finished_tables(self) -> Iterator[Table]:
        """The tables with those rows alone that are measured, after ``tables`` was interrupted."""
        done = {
            work
            for work, units in self.units.items()
            if not self._why_not(work) and all(self.cache.get(unit.key) is not None for unit in units)
        }
        for artifact in self.artifacts:
            rows = [row for row in self.plans[artifact.name] if row.measurements and done.issuperset(row.measurements)]
            self.plans[artifact.name] = rows
            if rows:
                yield self._assemble(artifact)

    def provenance(self, artifact: Artifact, table: Path) -> Record:
        """What stands behind the table of ``artifact``, once ``tables`` is through."""
        work = [m for row in self.plans[artifact.name] for m in row.measurements]
        used = {m.network for m in work if isinstance(m, Measurement)}
        found = {choice: p for choice, p in self.prepared.items() if choice in used and not p.reason}
        data = {c.dataset: p.fingerprints for c, p in found.items()}
        data |= {m.dataset: self.data[m.dataset] for m in work if isinstance(m, Experiment) and m.dataset}
        seeds = {c.seed for c in found if c.recipe} | {m.seed for m in work if isinstance(m, Experiment)}
        weights = {f"{c.architecture} on {c.dataset} ({p.checkpoint})": p.fingerprints["checkpoint"] for c, p in found.items()}
        return collect(
            schema_version=artifact.schema.version,
            seeds=sorted(seeds),
            profile_hash=self.lab.profile.digest,
            datasets={f"{name} {split}": parts[split] for name, parts in data.items() for split in ("train", "test")},
            checkpoints=weights,
            wall_time_s=time.monotonic() - self.started,
            table=table,
        )

    # ---- stages ---------------------------------------------------------------------------------------------------

    def _measurements(self) -> list[Work]:
        return list(dict.fromkeys(m for rows in self.plans.values() for row in rows for m in row.measurements))

    def _prepare(self) -> None:
        """Train or load every network once; keep the reason where one is not available."""
        for name in dict.fromkeys(m.dataset for m in self._measurements() if isinstance(m, Experiment) and m.dataset):
            self.data[name] = {split: self.lab.images(name, split).fingerprint for split in ("train", "test")}
        choices = list(dict.fromkeys(m.network for m in self._measurements() if isinstance(m, Measurement)))
        # Training one stand-in twice at the same time would waste the work; so would waiting for a network that another process
        # trains: those of full precision come before the quantised ones that are made of them, deep ones before shallow ones.
        each = {choice.unnamed: choice for choice in (*(choice.full_precision for choice in choices), *choices)}
        first = dict(sorted(each.items(), key=lambda item: (item[1].quantizer is not None, -_training_cost(item[1]))))
        calls = ((_prepare, self.lab, choice) for choice in first.values())
        costs = [_training_cost(choice) for choice in first.values()]
        prepared = dict(zip(first, self._parallel(calls, costs, "networks"), strict=True))
        self.prepared = {choice: prepared[choice.unnamed] for choice in choices}

    def _units(self, measurement: Work) -> list[Unit]:
        if isinstance(measurement, Experiment):
            data = self.data.get(measurement.dataset, {})
            key = MeasurementCache.key(what=measurement.identity(), data=data, code=_code_of(measurement))
            return [Unit(measurement, 0, 1, key)]
        prepared = self.prepared[measurement.network]
        if prepared.reason:
            return []
        images = prepared.test_images if measurement.test_images is None else min(measurement.test_images, prepared.test_images)
        step = self._images_at_once(measurement)
        shards = [(start, min(start + step, images)) for start in range(0, images, step)]
        common = {
            "what": measurement.identity(),
            "data": prepared.fingerprints,
            "calibration_images": self.lab.profile.calibration_images,
            "batch": self.lab.profile.batch,
            "precision": self.lab.profile.precision,
            "code": _code_of(measurement),
        } | ({} if self.lab.device == "cpu" else {"device": self.lab.device})
        return [Unit(measurement, a, b, MeasurementCache.key(**common, start=a, stop=b)) for a, b in shards]

    def _images_at_once(self, measurement: Measurement) -> int:
        """The profile's shard; fewer, in whole batches, where an image takes long, so that no unit is far longer than others."""
        shard, batch = self.lab.profile.shard, self.lab.profile.batch
        fewer = int(shard * PASSES_IN_A_SHARD / max(measurement.cost(), PASSES_IN_A_SHARD))
        return min(shard, max(batch, fewer // batch * batch))

    def _measure(self, units: list[Unit]) -> None:
        missing = list({unit.key: unit for unit in units if self.cache.get(unit.key) is None}.values())
        # The longest first: what starts last should not be what all wait for.
        missing.sort(key=lambda unit: -unit.cost)
        calls = [(_measure, self.lab, unit, self.cache) for unit in missing]
        reasons = self._parallel(calls, [u.cost for u in missing], "measurements")
        why = {unit.key: reason for unit, reason in zip(missing, reasons, strict=True) if reason}
        self.unavailable |= {unit.measurement: why[unit.key] for unit in units if unit.key in why}

    def _parallel(self, calls: Iterable[tuple[Any, ...]], costs: list[float], stage: str) -> list[Any]:
        """Results in order; each call gets a ``Note`` as its last argument; progress as they come."""
        total, done = math.fsum(costs), 0.0
        found: list[Any] = [None] * len(costs)
        workers = min(self.execution.jobs, len(costs))
        if not costs:
            return found
        self.execution.report(stage, 0.0, total, "")
        for name, value in WORKER_MEMORY.items():
            os.environ.setdefault(name, value)
        with (
            self._backend(workers),
            watched(costs, lambda partial, text: self.execution.report(stage, done + partial, total, text)) as notes,
        ):
            numbered = ((i, *call, notes.note(i)) for i, call in enumerate(calls))
            parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
            for index, result in parallel(joblib.delayed(_call)(*call) for call in numbered):
                if isinstance(result, CannotRun) and not isinstance(result, NotAvailable):
                    raise result
                found[index] = result
                notes.done.add(index)
                done += costs[index]
                self.execution.report(stage, done + notes.read()[0], total, "")
        return found

    def _backend(self, workers: int) -> joblib.parallel_config:
        name = self.execution.backend if workers > 1 else "sequential"
        try:
            return joblib.parallel_config(backend=name)
        except (ImportError, ValueError) as error:  # dask: not installed, or no Client
            raise CannotRun(f"backend {name!r} cannot be used ({error}); use --backend loky") from error

    def _assemble(self, artifact: Artifact) -> Table:
        lines: list[dict[str, Any]] = []
        correct: list[Any] = []
        for row in self.plans[artifact.name]:
            for values in self._fill(row):
                pair = values.pop(CORRECT, None)
                if pair is not None:
                    columns = {c.name for c in artifact.schema.measures}
                    values |= {k: v for k, v in accuracy_columns(*pair).items() if k in columns}
                lines.append(row.key | values)
                correct.append(pair)
        frame = pd.DataFrame(lines, columns=artifact.schema.names)
        stored: dict[str, NDArray[np.bool_]] = {}
        for name, pair in zip(results.row_keys(frame, artifact.schema), correct, strict=True):
            ann, snn = pair or (None, None)
            stored |= {} if ann is None else {results.correctness_key(name, "ann"): ann}
            stored |= {} if snn is None else {results.correctness_key(name, "snn"): snn}
        return Table(artifact, frame, stored)

    def _fill(self, row: Row) -> list[dict[str, Any]]:
        reason = row.reason or next((r for m in row.measurements if (r := self._why_not(m))), "")
        if reason or row.fill is None:
            return [row.unmeasured | {"status": f"not run: {reason}"}]
        return row.fill([self._merged(self.units[m]) for m in row.measurements])

    def _why_not(self, work: Work) -> str:
        network = self.prepared[work.network].reason if isinstance(work, Measurement) else ""
        return network or self.unavailable.get(work, "")

    def _merged(self, units: list[Unit]) -> Arrays:
        parts = [self.cache.get(unit.key) for unit in units]
        if any(part is None for part in parts):
            raise CannotRun("a finished measurement vanished from the cache while running; run again to measure it anew")
        return merge([part for part in parts if part is not None])


def write(table: Table, run: Run, folder: Path, partial: bool) -> bool:
    """Write a table, its correctness and provenance into ``folder``; with ``partial`` other stored rows of the profile are kept.

    Returns whether the CSV changed. One process writes into a folder at a time, so that none loses the rows of another.
    """
    whose = f"{folder.resolve()} {getattr(os, 'getuid', int)()}".encode(errors="surrogateescape")
    # Neither in the folder, which git tracks, nor in the cache, which may be read-only.
    with FileLock(Path(tempfile.gettempdir()) / f"snnbench-{hashlib.sha256(whose).hexdigest()[:20]}.lock"):
        return _write(table, run, folder, partial)


def _write(table: Table, run: Run, folder: Path, partial: bool) -> bool:
    path = folder / f"{table.artifact.name}.csv"
    schema = table.artifact.schema
    frame, correct = table.frame, table.correct
    merging = partial and path.exists()
    if merging:
        frame, correct = _merge_stored(table, path, table.artifact.rows(run.lab.profile), run.plans[table.artifact.name])
    changed = results.write_table(path, frame, schema)
    if correct:
        results.write_correctness(path.with_suffix(".npz"), correct)
    else:
        path.with_suffix(".npz").unlink(missing_ok=True)
    record, beside = run.provenance(table.artifact, path), path.with_suffix(".json")
    write_provenance(beside, with_earlier(record, beside) if merging else record, changed)
    return changed


def check_writable(folder: Path) -> None:
    """Fail before the work rather than after it. Raises CannotRun if ``folder`` cannot be written to."""
    probe = folder / ".probe"
    atomic_write_bytes(probe, b"")
    probe.unlink()


def _merge_stored(
    table: Table, path: Path, rows: list[Row], selected: list[Row]
) -> tuple[pd.DataFrame, dict[str, NDArray[np.bool_]]]:
    """Stored lines of all ``rows`` but the ``selected`` ones, and the fresh lines, in the order of ``rows``.

    Lines of rows that the profile no longer has are dropped: nothing could measure or check them again.
    """
    schema = table.artifact.schema
    stored = results.read_table(path, schema)
    others = [row for row in rows if row.number not in {each.number for each in selected}]
    kept = [line for line in stored.to_dict("records") if any(_belongs(line, row, schema) for row in others)]

    def position(line: dict[Hashable, Any]) -> int:
        return next(i for i, row in enumerate(rows) if _belongs(line, row, schema))

    lines = sorted([*kept, *table.frame.to_dict("records")], key=position)
    npz = path.with_suffix(".npz")
    correct = results.read_correctness(npz) if npz.exists() else {}
    names = set(results.row_keys(pd.DataFrame(kept, columns=schema.names), schema)) if kept else set()
    return (
        pd.DataFrame(lines, columns=schema.names),
        {name: bits for name, bits in correct.items() if name.rpartition("#")[0] in names} | table.correct,
    )


def _belongs(line: dict[Hashable, Any], row: Row, schema: TableSchema) -> bool:
    """Whether a line of a table is one of ``row``'s; those of a group differ in the key columns that the row leaves open."""
    known = [column for column in schema.keys if column.name in row.key]
    return all(results.format_cell(line[c.name], c) == results.format_cell(row.key[c.name], c) for c in known)


@dataclass(frozen=True)
class Prepared:
    """What a process found out about a network: fingerprints and number of test images, or why it is not available."""

    fingerprints: dict[str, str] = field(default_factory=dict)
    test_images: int = 0
    checkpoint: str = ""
    reason: str = ""


_LABS: dict[Any, Lab] = {}


def _own(lab: Lab) -> Lab:
    """This worker's lab: networks and data stay loaded between units. Threads share none: measuring changes networks."""
    if lab.device != "cpu":
        # Spikes hang on comparisons: no rounding of a convolution's input to TF32, and the same algorithm every time.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    key = (threading.get_ident(), lab.profile.digest, lab.weights, lab.offline, lab.device)
    if key not in _LABS:
        _LABS[key] = replace(lab, _made={})
    return _LABS[key]


def _call(index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    # One thread each: processes that wait for each other's threads are slower by far than one thread per process.
    torch.set_num_threads(1)
    try:
        return index, function(*arguments)
    except CannotRun as error:
        return index, error


def _training_cost(choice: NetworkChoice) -> float:
    """Expected time to train a network, in layers times training images; of one that no recipe trains, 0."""
    if choice.recipe is None:
        return 0.0
    try:
        layers = model_spec(choice.architecture).layers
    except NotAvailable:  # its name has no number: as one of the usual ones
        layers = 20
    return float(layers * dataset_spec(choice.dataset).train_count)


def _prepare(lab: Lab, choice: NetworkChoice, note: Note) -> Prepared:
    try:
        own = _own(lab)
        trained = own.trained(choice, lambda done, total: note(done / total, f"training {choice.architecture}"))
        normalised_batches(own.images(choice.dataset, "test"), trained.mean, trained.std, lab.profile.batch)
        return Prepared(own.fingerprints(choice), len(own.images(choice.dataset, "test")), trained.checkpoint)
    except NotAvailable as error:
        return Prepared(reason=str(error))


def _measure(lab: Lab, unit: Unit, cache: MeasurementCache, note: Note) -> str:
    """Measure and cache one unit; returns why it is impossible, or nothing."""
    try:
        if isinstance(unit.measurement, Experiment):
            arrays = unit.measurement.run(_own(lab), note)
        else:
            arrays = unit.measurement.run(_own(lab), unit.start, unit.stop)
        cache.put(unit.key, arrays)
    except NotAvailable as error:
        return str(error)
    return ""


def _selected(artifact: Artifact, rows: list[Row], numbers: set[int] | None) -> list[Row]:
    if numbers is None:
        return rows
    unknown = numbers - {row.number for row in rows}
    if unknown:
        there = f"rows are numbered 1 to {max(row.number for row in rows)}" if rows else "it has no rows in this profile"
        raise CannotRun(f"{artifact.name} has no row {min(unknown)}; {there}")
    return [row for row in rows if row.number in numbers]


def _code_of(measurement: Work) -> str:
    """Digest of the code that a measurement depends on: its own, that of its method, and what they import."""
    name = getattr(measurement, "method", "")
    of_name, within = (direct_method, ()) if isinstance(measurement, Experiment) else (method, (_MEASURED,))
    return _digest((type(measurement).__module__, *([type(of_name(name)).__module__] if name else [])), *within)


_MEASURED = ("snncore", "benchmarks.measurements", "benchmarks.methods")


@cache
def _digest(modules: tuple[str, ...], *within: tuple[str, ...]) -> str:
    return code_digest(import_closure(modules, *within))
