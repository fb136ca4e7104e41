"""The cache of finished measurements: a killed run resumes, and a repeated one is quick.

An entry's key covers all that its arrays depend on: what is measured, the data, and the code
(``benchmarks.training.source_digest``).
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import unreadable
from benchmarks.files import atomic_write_bytes, pack_arrays, unpack_arrays

_KEY = re.compile(r"[0-9A-Za-z_-]+")
_OWN_KEY = "key of the entry"


class MeasurementCache:
    """Named arrays by key in the folder ``root``, one compressed file for each key; processes may share a cache."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def key(**parts: Any) -> str:
        """A key from all that a measurement depends on: SHA-256 of canonical JSON.

        Parts are None, bool, int, float, str, and lists, tuples and dicts (keys: str) of these. A list and a tuple are the same;
        1, 1.0 and True differ; floats count to the last bit. TypeError, naming the part, for anything else and for NaN.
        """
        for name, part in parts.items():
            _check_canonical(part, name)
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> dict[str, NDArray[np.generic]] | None:
        """The arrays of an entry, None where there is none, it is damaged or another key's; CannotRun where it cannot be read.

        Checksums in the file tell damage, and the key in it that it was put under this one.
        """
        path = self._path(key)
        try:
            arrays = unpack_arrays(path.read_bytes())
            return arrays if str(arrays.pop(_OWN_KEY)) == key else None
        except (FileNotFoundError, ValueError, KeyError):
            return None
        except OSError as error:
            raise unreadable(path, error) from error

    def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Store the arrays of an entry; raises as ``pack_arrays`` and ``atomic_write_bytes``."""
        atomic_write_bytes(self._path(key), pack_arrays(arrays | {_OWN_KEY: np.array(key)}))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cache key: {key!r}")
        return self.root / key[:2] / f"{key}.npz"


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
