"""Provenance: with what a table was measured, in a JSON file beside it.

The table holds only what was measured and must not change when nothing changed; all that differs from run
to run (versions, hardware, wall time) is here. Nothing here says on whose machine it was: no host or user
names, no paths.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import joblib

from benchmarks.errors import CannotRun
from benchmarks.files import atomic_write_bytes, read_written

PACKAGES = ("snnbench", "torch", "torchvision", "numpy", "pandas", "scipy", "scikit-learn", "datasets", "safetensors")
COMMIT = ("commit", "dirty")
MACHINE = ("cpu", "gpu", "system")
_ROOT = Path(__file__).resolve().parents[2]


class Git(TypedDict):
    """The code: empty and None outside a checkout."""

    commit: str
    dirty: bool | None  # whether any file but those in results and reports differs from the commit
    earlier: NotRequired[list[dict[str, Any]]]  # commits behind rows that later runs left, the latest last


class Record(TypedDict):
    """What stands behind a table, in JSON types."""

    schema_version: int  # TableSchema.version of the table
    table_sha256: str  # of the CSV file, which ties the record to it
    packages: dict[str, str]  # versions, empty where one is not installed
    python: str
    system: str
    git: Git
    cpu: dict[str, Any]
    gpu: list[str]
    torch_threads: int
    seeds: list[int]
    profile_hash: str
    datasets: dict[str, str]  # name -> fingerprint over the decoded samples
    checkpoints: dict[str, str]  # name -> hash of the weights
    wall_time_s: float
    peak_memory_mb: float | None  # of the largest process, this one or a child that has ended
    earlier_machines: NotRequired[list[dict[str, Any]]]  # behind rows that later runs left, the latest last


def collect(
    *,
    schema_version: int,
    seeds: Sequence[int],
    profile_hash: str,
    datasets: Mapping[str, str],
    checkpoints: Mapping[str, str],
    wall_time_s: float,
    table: Path | None = None,
    root: Path = _ROOT,
) -> Record:
    """What stands behind a ``table`` just written, by the commit of ``root``; of paths, only the file names are kept."""
    import torch

    # Before git is asked: on Linux a child's peak counts what it shares with its parent until its exec.
    peak_memory_mb = _peak_memory_mb()
    return {
        "schema_version": schema_version,
        "table_sha256": "" if table is None else file_hash(table),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "git": _git(root),
        "cpu": {"model": _cpu_model(), "capability": torch.backends.cpu.get_cpu_capability(), "cores": joblib.cpu_count()},
        "gpu": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "torch_threads": torch.get_num_threads(),
        "seeds": [int(seed) for seed in seeds],
        "profile_hash": profile_hash,
        "datasets": {_public(name): fingerprint for name, fingerprint in datasets.items()},
        "checkpoints": {_public(name): digest for name, digest in checkpoints.items()},
        "wall_time_s": round(float(wall_time_s), 1),
        "peak_memory_mb": peak_memory_mb,
    }


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_earlier(record: Record, path: Path) -> Record:
    """The record of a run that replaced some rows of a table, joined to the one at ``path``, for the rows that it left.

    Data sets, checkpoints and seeds are those of both; earlier commits are listed in ``git.earlier``, other machines in
    ``earlier_machines``, the latest last. So the result names everything since the last run of the whole table. A damaged or
    missing file adds nothing.
    """
    try:
        before = read_provenance(path)
        commits = [*before["git"].get("earlier", []), _parts(before["git"], COMMIT)]
        machines = [*before.get("earlier_machines", []), _parts(before, MACHINE)]
        joined: Record = record | {
            "datasets": before["datasets"] | record["datasets"],
            "checkpoints": before["checkpoints"] | record["checkpoints"],
            "seeds": sorted({*before["seeds"], *record["seeds"]}),
        }
    except (CannotRun, KeyError):
        return record
    if earlier := _others(commits, _parts(record["git"], COMMIT)):
        joined["git"] = record["git"] | {"earlier": earlier}
    if others := _others(machines, _parts(record, MACHINE)):
        joined["earlier_machines"] = others
    return joined


def _parts(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: record[name] for name in names}


def _others(known: list[dict[str, Any]], now: dict[str, Any]) -> list[dict[str, Any]]:
    """Each once, in their order, without the present one."""
    return [each for index, each in enumerate(known) if each not in known[:index] and each != now]


def write_provenance(path: Path, record: Mapping[str, Any], table_changed: bool) -> bool:
    """Write a record, unless the one on disk describes this table and the table did not change; whether the file changed.

    One that belongs to other bytes of the table is replaced: a run was killed between the two files. CannotRun where the file
    cannot be written, ValueError and TypeError for what JSON has no form for.
    """
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if not table_changed and path.exists() and _same_table(path, record):
        return False
    return atomic_write_bytes(path, text.encode())


def read_provenance(path: Path) -> Record:
    """Read a record that `write_provenance` wrote; CannotRun where there is no such file, or it is not a JSON object."""
    try:
        record = json.loads(read_written(path))
    except ValueError as error:
        raise CannotRun(f"{path}: is not JSON ({error}); restore it or delete it and run again") from error
    if not isinstance(record, dict):
        raise CannotRun(f"{path}: is not a JSON object; restore it or delete it and run again")
    return cast(Record, record)


def _same_table(path: Path, record: Mapping[str, Any]) -> bool:
    try:
        return read_provenance(path).get("table_sha256") == record.get("table_sha256")
    except CannotRun:  # damaged: it is about to be replaced
        return False


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(root: Path) -> Git:
    unknown: Git = {"commit": "", "dirty": None}
    top = _run_git(root, "rev-parse", "--show-toplevel")
    # An installed package may lie inside another project's checkout, whose commit says nothing about it.
    if top is None or Path(top).resolve() != root.resolve():
        return unknown
    commit = _run_git(root, "rev-parse", "HEAD")
    changes = _run_git(root, "status", "--porcelain", "--", ".", ":(exclude)results", ":(exclude)reports")
    return unknown if commit is None or changes is None else {"commit": commit, "dirty": changes != ""}


def _run_git(root: Path, *arguments: str) -> str | None:
    # Inside a git hook these point at the repository of the hook.
    redirecting = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in redirecting}
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, no checkout, or no commit yet
        return None
    return os.fsdecode(done.stdout).rstrip("\r\n")  # paths, in whatever encoding the locale has


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    # The larger, not the sum: a child's peak includes what it shared with its parent when it started.
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * bytes_per_unit / 1e6, 1)


def _public(name: str) -> str:
    """A name without the folder that it lies in, where it is an absolute path."""
    return Path(name).name if Path(name).is_absolute() else name
