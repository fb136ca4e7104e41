"""The cache of finished measurements: a killed run resumes, and a repeated one is quick.

An entry's key covers all that its arrays depend on: what is measured, the data, and the code
(``benchmarks.training.source_digest``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from benchmarks.errors import unreadable
from benchmarks.harness.files import atomic_write_bytes, cannot_write, pack_arrays, unpack_arrays

_KEY = re.compile(r"[0-9A-Za-z_-]+")


class MeasurementCache:
    """Named arrays by key, one compressed file for each key; processes may share a cache.

    Args:
        root: its folder; created when the first entry is put.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def key(**parts: Any) -> str:
        """A key from all that a measurement depends on: SHA-256 of canonical JSON.

        Args:
            parts: None, bool, int, float, str, and lists, tuples and dicts (keys: str) of these. A list
                and a tuple are the same; 1, 1.0 and True differ; floats count to the last bit.

        Raises:
            TypeError: a value has no such form (an array, a path, a set, NaN); the part is named.
        """
        for name, part in parts.items():
            _check_canonical(part, name)
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of an entry; None when there is none. A damaged entry is removed and counts as none.

        Raises:
            CannotRun: the entry is there and cannot be read.
        """
        path = self._path(key)
        arrays = _read(path)
        if arrays is None and path.exists():
            # Under the lock and looked at again: another process may have just mended it.
            with self._locked():
                arrays = _read(path)
                if arrays is None:
                    path.unlink(missing_ok=True)
        return arrays

    def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Store the arrays of an entry, atomically and under the lock of the cache.

        Args:
            key: as `key` gives it.
            arrays: name -> array of any shape and of a numeric, boolean or string type.

        Raises:
            ValueError: an array holds Python objects.
            CannotRun: the entry cannot be written.
        """
        data = pack_arrays(arrays)
        with self._locked():
            atomic_write_bytes(self._path(key), data)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cache key: {key!r}")
        return self.root / key[:2] / f"{key}.npz"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.root / "cache.lock"
        lock = FileLock(str(path))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            yield
        finally:
            lock.release()


def _read(path: Path) -> dict[str, NDArray[np.generic]] | None:
    try:
        return unpack_arrays(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError:
        return None


def _check_canonical(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where}: a key of a dict must be str, got {name!r}")
            _check_canonical(item, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_canonical(item, f"{where}[{i}]")
    elif value is not None and type(value) not in (bool, int, float, str):
        raise TypeError(f"{where}: cannot be part of a key: {type(value).__name__}")
    elif isinstance(value, float) and value - value != 0:
        raise TypeError(f"{where}: cannot be part of a key: {value}")
