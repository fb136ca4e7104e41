"""Files that are whole or absent: atomic writes, and NumPy arrays as reproducible bytes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import CannotRun, unreadable
from benchmarks.paths import cache_dir

_ADVICE = {
    errno.ENOSPC: "free some disk space and run again",
    errno.EDQUOT: "free some of the disk quota and run again",
    errno.EFBIG: "raise the file size limit and run again",
    errno.EACCES: "make the folder writable or choose another one",
    errno.EPERM: "make the folder writable or choose another one",
    errno.EROFS: "the file system is read-only: choose another folder",
}


def cannot_write(path: Path, error: OSError) -> CannotRun:
    """The error that tells a user why ``path`` was not written and what to do."""
    advice = _ADVICE.get(error.errno or 0, "check that the path is right and its folder can be written")
    if path.is_relative_to(cache_dir()):
        advice += ", or set SNNBENCH_CACHE to another folder"
    return CannotRun(f"{path}: cannot be written ({error.strerror or error}); {advice}; an older file is unchanged")


def read_written(path: Path, what: str = "file") -> bytes:
    """The bytes of a file that a run wrote; CannotRun where there is none or it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CannotRun(f"{path}: there is no such {what}; write it with `snnbench run`") from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_given(path: Path) -> bytes:
    """The bytes of a file that the user put there; CannotRun where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def atomic_write_bytes(path: Path, data: bytes) -> bool:
    """Make ``path`` hold ``data``, by a temporary file in the same folder and one rename; whether the content changed.

    At any moment, also after a kill, ``path`` holds either all of the old bytes or all of the new ones.
    Equal bytes leave it alone; a symbolic link is followed. CannotRun where the file or its folder cannot be written.
    """
    temporary: Path | None = None
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.read_bytes() == data:
            return False
        temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.tmp")
        # mode "x" through open(), not tempfile: the file gets the permissions that the user's umask gives.
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        # What stopped the write may stop this too; the first error is the one to report.
        with contextlib.suppress(OSError):
            if temporary is not None:
                temporary.unlink(missing_ok=True)
    return True


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of a compressed ``.npz`` file, members sorted by name and without dates: equal ones give equal bytes.

    ``numpy.load`` reads them. ValueError for an array of Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def unpack_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that `pack_arrays` packed; ValueError where the bytes are damaged (checksums are verified) or something else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            for name, content in members.items()
        }
    except MemoryError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own for damaged bytes
        raise ValueError(f"not a readable .npz file: {error}") from error
