"""The store of trained networks: one file in the user's cache folder for everything that a network depends on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from benchmarks.errors import CannotRun
from benchmarks.files import atomic_write_bytes, read_written
from benchmarks.models.checkpoint_files import Checkpoint, checkpoint_hash, write_checkpoint
from benchmarks.paths import cache_dir

_log = logging.getLogger(__name__)
Network = TypeVar("Network")


def stored(
    name: str, metadata: dict[str, str], load: Callable[[Path], Network], make: Callable[[Path], Checkpoint]
) -> tuple[Network, Path, str]:
    """What ``load`` reads from the file of these metadata, the file, and the hash of its tensors.

    ``make(path)`` gives tensors and what else the file shall say, where the file is missing or damaged, and may keep an
    unfinished training beside it, as ``.pt``, which is removed at the end; CannotRun from ``load`` means that the file is
    damaged. The hash of the tensors lies beside it (``.sha256``): a file with other tensors is damaged too. A second process
    that asks for the same network waits for the first.
    """
    key = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:20]
    path = cache_dir() / "networks" / f"{name.replace('/', '-')}-{key}.safetensors"
    seal = path.with_suffix(".sha256")
    if path.exists() and seal.exists():  # no lock, which a cache that is read-only does not allow
        with suppress(CannotRun):
            return _checked(load, path, seal)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path.with_suffix(".lock"))):
        if path.exists():
            try:
                return _checked(load, path, seal)
            except CannotRun as error:
                _log.warning("training again: %s", error)
        tensors, more = make(path)
        seal.unlink(missing_ok=True)
        write_checkpoint(path, tensors, metadata | more)
        made = _checked(load, path, seal)
        path.with_suffix(".pt").unlink(missing_ok=True)
        return made


def _checked(load: Callable[[Path], Network], path: Path, seal: Path) -> tuple[Network, Path, str]:
    """See ``stored``. CannotRun where the tensors do not match the seal; a file without one is sealed as it is."""
    found, digest = load(path), checkpoint_hash(path)
    if not seal.exists():
        atomic_write_bytes(seal, digest.encode())
    elif read_written(seal) != digest.encode():
        raise CannotRun(f"{path}: its tensors are not those that were written")
    return found, path, digest
