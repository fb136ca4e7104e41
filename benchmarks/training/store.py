"""The store of trained networks: one file in the user's cache folder for everything that a network depends on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from benchmarks.errors import CannotRun
from benchmarks.models.checkpoint_files import Checkpoint, write_checkpoint
from benchmarks.paths import cache_dir

_log = logging.getLogger(__name__)
Network = TypeVar("Network")


def stored(
    name: str, metadata: dict[str, str], load: Callable[[Path], Network], make: Callable[[Path], Checkpoint]
) -> tuple[Network, Path]:
    """What ``load`` reads from the file of these metadata, which ``make`` fills first where it is missing or damaged.

    ``make(path)`` gives tensors and what else the file shall say, and may keep an unfinished training beside it, as ``.pt``,
    which is removed at the end; CannotRun from ``load`` means that the file is damaged. A second process that asks for the
    same network waits for the first.
    """
    key = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:20]
    path = cache_dir() / "networks" / f"{name.replace('/', '-')}-{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path.with_suffix(".lock"))):
        if path.exists():
            try:
                return load(path), path
            except CannotRun as error:
                _log.warning("training again: %s", error)
        tensors, more = make(path)
        write_checkpoint(path, tensors, metadata | more)
        path.with_suffix(".pt").unlink(missing_ok=True)
        return load(path), path
