"""Decoded images kept on disk, so that a second load need not decode again.

One file per data set, split and content of the source files, below ``<cache>/data``. An entry is used only
where the fingerprint of its samples, computed anew, is the one that it was stored with.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.data.images import ImageSet, fingerprint_of, sample_digests
from benchmarks.data.registry import DatasetSpec
from benchmarks.errors import CannotRun, unreadable
from benchmarks.models.checkpoint_files import read_checkpoint, write_checkpoint
from benchmarks.paths import cache_dir

_LAYOUT = "1"

_log = logging.getLogger(__name__)


def cached_set(spec: DatasetSpec, split: str, content: str, decode: Callable[[], ImageSet]) -> ImageSet:
    """The entry for ``content`` (see ``files_digest``), made by ``decode`` if missing or corrupt."""
    entry = entry_path(spec, split, content)
    if entry.exists():
        try:
            tensors, metadata = read_checkpoint(entry)
            if _fingerprint(tensors, spec) != metadata.get("fingerprint"):
                raise CannotRun("its samples do not have the fingerprint that it was stored with")
            return ImageSet(spec.name, split, tensors["images"], tensors["labels"], metadata["fingerprint"], "cache")
        except CannotRun as error:
            _log.warning("decoding %s again: the cache entry %s is corrupt (%s)", spec.name, entry, error)
    decoded = decode()
    write_checkpoint(entry, {"images": decoded.images, "labels": decoded.labels}, {"fingerprint": decoded.fingerprint})
    return decoded


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


def _fingerprint(tensors: dict[str, Tensor], spec: DatasetSpec) -> str:
    """Fingerprint of the samples as they are ordered; nothing where the arrays are not those of ``spec``."""
    images, labels = tensors.get("images", torch.empty(0)), tensors.get("labels", torch.empty(0))
    right_types = images.dtype == torch.uint8 and labels.dtype == torch.int64
    right = right_types and images.shape == (len(labels), spec.channels, *spec.size)
    return fingerprint_of(sample_digests(images, labels)) if right else ""
