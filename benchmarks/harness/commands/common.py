"""Options and output that several commands share."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import joblib
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.errors import CannotRun
from benchmarks.harness.progress import LogLines
from benchmarks.profiles import load_profile
from benchmarks.tables.artifacts import PAPERS

if TYPE_CHECKING:
    from benchmarks.harness.run import Execution
    from benchmarks.measurements.lab import Lab

LAST_ROW = 100_000
"""More than any table has; keeps a mistyped range from filling the memory."""

# Tables that go to a file or a log are not squeezed into 80 columns.
console = Console(width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True)

Paper = Annotated[str, typer.Argument(help="Paper, e.g. tmn (see: snnbench list papers).")]
Artifacts = Annotated[list[str] | None, typer.Argument(help="Tables and figures, e.g. table2 figure4a; all if none is named.")]
ProfileName = Annotated[str, typer.Option("--profile", "-p", help="embedded, workstation, gpu, paper, or a .toml file.")]
Rows = Annotated[str, typer.Option("--rows", help="Rows to run, e.g. 7,15 or 1-6.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of the result tables.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder of the reports.")]
Weights = Annotated[list[str] | None, typer.Option("--weights", help="Checkpoint as NAME=FILE; may be given several times.")]
Offline = Annotated[bool, typer.Option("--offline", help="Keep off the network.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Parallel processes; 0: one per core, or one on a GPU.")]
Device = Annotated[str, typer.Option("--device", help="Where networks run: cpu or cuda (trained where their recipe says).")]
Backend = Annotated[str, typer.Option("--backend", help="joblib backend: loky, multiprocessing or dask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def make_lab(profile: str, weights: list[str] | None, offline: bool, device: str = "cpu") -> Lab:
    """A lab for a profile by name. Raises CannotRun for a --weights that is not NAME=FILE, and a GPU that is not there."""
    import torch

    from benchmarks.measurements.lab import Lab

    if device not in ("cpu", "cuda"):
        raise CannotRun(f"unknown device {device!r}; known: cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise CannotRun("--device cuda needs a GPU and torch sees none; run it where there is one, or leave --device out")
    pairs = []
    for entry in weights or []:
        name, separator, path = entry.partition("=")
        if not (name and separator and path):
            raise CannotRun(f"--weights {entry!r} is not of the form NAME=FILE, e.g. cifar10_resnet20=weights/net.safetensors")
        pairs.append((name, str(Path(path).absolute())))  # not resolved: a link may point to a name without its suffix
    loaded = load_profile(profile)
    known = {choice.weights for choice in loaded.networks}
    for name, _ in pairs:
        if name not in known:
            names = ", ".join(sorted(filter(None, known))) or "none"
            raise CannotRun(f"--weights names {name!r}, which profile {loaded.name} does not use; it uses: {names}")
    for paper in loaded.papers:
        if paper not in PAPERS:
            raise CannotRun(f"profile {loaded.name} has a section of the unknown paper {paper!r}; known: {', '.join(PAPERS)}")
    return Lab(loaded, tuple(pairs), offline, device)


def parallel(jobs: int, device: str) -> int:
    """Number of processes: as asked for; else one on a GPU, which they would share, and one per core on a CPU."""
    return jobs or (joblib.cpu_count() if device == "cpu" else 1)


def parse_rows(text: str) -> set[int] | None:
    """``"7,15"`` and ``"1-6"`` as numbers; None for the empty text (all rows). Raises CannotRun for anything else."""
    if not text:
        return None
    rows: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise CannotRun(f"--rows {text!r} is not a list of row numbers; write e.g. --rows 7,15 or --rows 1-6")
        end = int(last if dash else first)
        if end > LAST_ROW:
            raise CannotRun(f"--rows {text!r} goes beyond row {LAST_ROW}; write e.g. --rows 7,15 or --rows 1-6")
        rows |= set(range(int(first), end + 1))
    if not rows:
        raise CannotRun(f"--rows {text!r} names no row; write e.g. --rows 7,15 or --rows 1-6")
    return rows


@contextmanager
def progress(jobs: int, backend: str, quiet: bool) -> Iterator[Execution]:
    """An execution that shows what runs, how far it is and how long it will take."""
    from benchmarks.harness.run import Execution

    # No threads: torch.fx patches nn.Module for the whole process while it records a network.
    if backend not in ("loky", "multiprocessing", "dask"):
        raise CannotRun(f"unknown backend {backend!r}; known: loky, multiprocessing, dask")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"))
    if not (quiet or errors.is_terminal):
        yield Execution(jobs, backend, LogLines(partial(errors.print, markup=False, highlight=False, soft_wrap=True)))
        return
    with Progress(*columns, TimeRemainingColumn(), console=errors, disable=quiet) as bar:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: float, total: float, text: str) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, description=f"{stage} ({text})" if text else stage)

        yield Execution(jobs, backend, report)


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of CPU time of each; taking turns, so that a busy machine disturbs all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if repeat:  # the first round warms up
                times[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def print_json(value: Any) -> None:
    """Write JSON to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
