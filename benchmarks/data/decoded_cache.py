"""Decoded images kept on disk, so that a second load need not decode again.

One file per data set, split and content of the source files, below ``<cache>/data``. An entry is used only
where the fingerprint of its samples, computed anew, is the one that it was stored with.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.data.decoding import one_line
from benchmarks.data.images import ImageSet, fingerprint_of, sample_digests
from benchmarks.data.registry import DatasetSpec
from benchmarks.errors import CannotRun, unreadable
from benchmarks.paths import cache_dir

_LAYOUT = "1"

_log = logging.getLogger(__name__)


def cached_set(spec: DatasetSpec, split: str, content: str, decode: Callable[[], ImageSet]) -> ImageSet:
    """The entry for ``content`` (see ``files_digest``), made by ``decode`` if missing or corrupt.

    CannotRun where the cache folder cannot be written.
    """
    entry = entry_path(spec, split, content)
    stored = _read(entry, spec, split)
    if stored is None:
        stored = decode()
        _write(entry, stored)
    return stored


def entry_path(spec: DatasetSpec, split: str, content: str) -> Path:
    """Where the decoded images of one split and content are kept."""
    identity = f"{_LAYOUT}\n{spec.image_column}\n{spec.label_column}\n{content}"
    key = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    return cache_dir() / "data" / spec.name.replace("/", "--") / f"{split}-{key}.safetensors"


def files_digest(files: Sequence[Path]) -> str:
    """Hex digest of the bytes of ``files``, in order; CannotRun where one cannot be read."""
    total = hashlib.blake2b(digest_size=16)
    for file in files:
        try:
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "blake2b").digest())
        except OSError as error:
            raise unreadable(file, error) from error
    return total.hexdigest()


def _read(entry: Path, spec: DatasetSpec, split: str) -> ImageSet | None:
    if not entry.exists():
        return None
    try:
        with safe_open(entry, framework="pt") as stored:
            images, labels = stored.get_tensor("images"), stored.get_tensor("labels")
            fingerprint = (stored.metadata() or {}).get("fingerprint")
        if fingerprint and _fingerprint(images, labels, spec) == fingerprint:
            return ImageSet(spec.name, split, images, labels, fingerprint, "cache")
        reason = "its samples do not have the fingerprint that it was stored with"
    except (SafetensorError, OSError) as error:
        reason = one_line(error)
    _log.warning("decoding %s again: the cache entry %s is corrupt (%s)", spec.name, entry, reason)
    return None


def _fingerprint(images: Tensor, labels: Tensor, spec: DatasetSpec) -> str | None:
    """Fingerprint of the samples as they are ordered, None where the arrays are not those of ``spec``."""
    right_types = images.dtype == torch.uint8 and labels.dtype == torch.int64
    right_shapes = images.shape == (len(images), spec.channels, *spec.size) and labels.shape == (len(images),)
    return fingerprint_of(sample_digests(images, labels)) if right_types and right_shapes else None


def _write(entry: Path, decoded: ImageSet) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, suffix=".tmp")
        os.close(handle)
        try:
            tensors = {"images": decoded.images, "labels": decoded.labels}
            save_file(tensors, temporary, metadata={"fingerprint": decoded.fingerprint})
            os.replace(temporary, entry)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise CannotRun(
            f"cannot write the cache entry {entry} ({one_line(error)}); free space or set SNNBENCH_CACHE"
        ) from error
