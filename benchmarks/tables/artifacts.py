"""What a paper's room offers the harness: artifacts, each a table of rows with the measurements that fill them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.errors import CannotRun
from benchmarks.measurements.base import Arrays, Experiment, Measurement
from benchmarks.profiles import Profile
from benchmarks.published import published_papers
from benchmarks.tables.schema import Column, TableSchema

PAPERS = tuple(published_papers())
"""Rooms, found by their folders of published tables."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One row, or one group of rows that come from the same measurements.

    Args:
        number: what ``--rows`` selects.
        key: the key columns as in the published table (for a group: those in common).
        fill: measured arrays, in the order of ``measurements`` -> the measured columns of each line, with the remaining
            key columns. Correctness per image goes under ``CORRECT`` as ``(ann, snn)``.
        measurements: what to run; empty for a row that is computed from definitions alone.
        reason: why the row cannot be run; empty if it can.
        unmeasured: columns that are known also for a row that is not run.
    """

    number: int
    key: Values
    fill: Callable[[list[Arrays]], list[Values]] | None = None
    measurements: tuple[Measurement | Experiment, ...] = ()
    reason: str = ""
    unmeasured: Values = field(default_factory=dict)


CORRECT = "_correct"


@dataclass(frozen=True)
class Artifact:
    """A table or figure of a paper.

    Args:
        name: of its CSV file and on the command line.
        title: one line for lists and reports.
        schema: of its table.
        rows: the rows for a profile.
    """

    name: str
    title: str
    schema: TableSchema
    rows: Callable[[Profile], list[Row]]


def artifacts_of(paper: str) -> dict[str, Artifact]:
    """Artifacts of a paper by name. Raises CannotRun for an unknown paper, listing the known."""
    if paper not in PAPERS:
        raise CannotRun(f"unknown paper {paper!r}; known: {', '.join(PAPERS)}")
    room = importlib.import_module(f"benchmarks.{paper}.artifacts")
    return {artifact.name: artifact for artifact in room.ARTIFACTS}


def select_artifacts(paper: str, names: list[str]) -> list[Artifact]:
    """Artifacts of a paper by name, all if none is named. Raises CannotRun for an unknown name, listing the known."""
    known = artifacts_of(paper)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CannotRun(f"unknown artifact {unknown[0]!r} of {paper}; known: {', '.join(known)}")
    return [artifact for name, artifact in known.items() if not names or name in names]


def datasets_of(profile: Profile, papers: Sequence[str] = PAPERS) -> list[str]:
    """Data sets that a profile's networks and experiments need, in the order of their first use."""
    rows = [row for paper in papers if paper in profile.papers for a in artifacts_of(paper).values() for row in a.rows(profile)]
    experiments = [m for row in rows for m in row.measurements if isinstance(m, Experiment)]
    return list(dict.fromkeys([*(c.dataset for c in profile.networks), *(m.dataset for m in experiments if m.dataset)]))


STATUS_COLUMNS = (
    Column("dataset_used", "text", doc="data set that was run"),
    Column("architecture_used", "text", doc="network that was run"),
    Column("status", "text", nullable=False, doc="measured, stand-in, or not run with the reason"),
)
