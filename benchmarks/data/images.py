"""Labelled images, or frames of events, in memory, in an order and with a fingerprint that depend on the samples alone.

Canonical order: samples are sorted by the BLAKE2b digest of (shape, label, decoded pixels). A mirror that
stores its rows in another order or its images in another lossless format gives the same set, and the first n
samples are a fair, fixed subset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from benchmarks.errors import CannotRun

if TYPE_CHECKING:
    from benchmarks.data.boxes import BoxSet
    from benchmarks.data.stream import ImageStream

Images: TypeAlias = "ImageSet | ImageStream | BoxSet"
DIGEST_BYTES = 16


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one split in canonical order; build one with ``image_set``.

    ``images``: uint8 [N, C, H, W], or frames of events, float16 [N, T, C, H, W]; ``labels``: int64 [N];
    ``fingerprint``: 32 hex digits over the samples; ``source``: where they came from and how many of the official number
    they are, in words.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor
    fingerprint: str
    source: str

    @property
    def channels(self) -> int:
        """Colour channels, C."""
        return self.images.shape[-3]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, n: int) -> ImageSet:
        """The first ``n`` samples; CannotRun where there are fewer, or where ``n`` < 1."""
        return self.slice(0, n)

    def slice(self, start: int, stop: int) -> ImageSet:
        """Samples ``start`` .. ``stop`` - 1, with their own fingerprint; CannotRun outside 0 .. N."""
        check_range(self, start, stop)
        if (start, stop) == (0, len(self)):
            return self
        images, labels = self.images[start:stop], self.labels[start:stop]
        digests = sample_digests(images, labels)
        return ImageSet(self.name, self.split, images, labels, fingerprint_of(digests), f"{self.source} [{start}:{stop}]")

    def batches(self, mean: Sequence[float], std: Sequence[float], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised batches in order; see ``normalised_batches``."""
        shape = (1, self.images.shape[1], 1, 1)
        center = torch.tensor(mean, dtype=torch.float32).reshape(shape)  # [1, C, 1, 1]
        scale = torch.tensor(std, dtype=torch.float32).reshape(shape)  # [1, C, 1, 1]
        for start in range(0, len(self), batch_size):
            pixels = self.images[start : start + batch_size].to(torch.float32)  # [B, C, H, W]
            batch = pixels.div_(255).sub_(center).div_(scale)
            yield batch.contiguous(memory_format=torch.channels_last), self.labels[start : start + batch_size]


def image_set(name: str, split: str, images: Tensor, labels: Tensor, source: str) -> ImageSet:
    """The set of the given samples, put in canonical order.

    ``images``: uint8 [N, C, H, W], or float16 [N, T, C, H, W]; ``labels``: int64 [N]. ValueError for other types or shapes and
    for N = 0.
    """
    if (images.dtype, images.ndim) not in ((torch.uint8, 4), (torch.float16, 5)):
        raise ValueError(f"images must be uint8 [N, C, H, W] or float16 [N, T, C, H, W], got {images.dtype} {list(images.shape)}")
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1] or not len(labels):
        raise ValueError(f"labels must be int64 [{len(images)}] and not empty, got {labels.dtype} {list(labels.shape)}")
    digests = sample_digests(images, labels)
    order = sorted(range(len(digests)), key=digests.__getitem__)
    fingerprint = fingerprint_of(digests[i] for i in order)
    return ImageSet(name, split, images[order].contiguous(), labels[order], fingerprint, source)


def sample_digests(images: Tensor, labels: Tensor) -> list[bytes]:
    """BLAKE2b digest of every sample: shape and label as text, then the pixels in C, H, W order.

    ``images``: as in ``image_set``; ``labels``: int64 [N]; returns N digests of 16 bytes.
    """
    shape = "x".join(str(extent) for extent in images.shape[1:])
    pixels = images.contiguous().numpy()  # [N, C, H, W]
    digests = []
    for image, label in zip(pixels, labels.tolist(), strict=True):
        digest = hashlib.blake2b(f"{shape}:{label}:".encode(), digest_size=DIGEST_BYTES)
        digest.update(image)
        digests.append(digest.digest())
    return digests


def fingerprint_of(digests: Iterable[bytes]) -> str:
    """32 hex digits over sample digests, which the caller gives in canonical order."""
    return hashlib.blake2b(b"".join(digests), digest_size=DIGEST_BYTES).hexdigest()


def network_input(images: Tensor, dtype: torch.dtype) -> Tensor:
    """What spiking networks are given: pixels over 255, channels-last, or frames of events as they are."""
    if images.dim() == 5:
        return images.to(dtype)
    return (images.to(dtype) / 255).contiguous(memory_format=torch.channels_last)


def check_range(images: Images, start: int, stop: int) -> None:
    """Raise CannotRun unless 0 <= start < stop <= the number of images."""
    if not 0 <= start < stop <= len(images):
        raise CannotRun(
            f"{images.name}: asked for images {start:,} to {stop:,} of the {images.split} split,"
            f" which has {len(images):,} here ({images.source}); ask for fewer or get the whole set"
        )


def normalised_batches(
    images: Images, mean: Sequence[float], std: Sequence[float], batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (pixel / 255 - mean) / std, in canonical order; the last one may be smaller.

    ``mean``, ``std``: one value per channel, in units of the full pixel range. Yields float32 [B, C, H, W] in
    channels-last memory and int64 labels [B]. CannotRun, at the call, where ``mean`` and ``std`` differ in
    length or do not fit the channels, where a ``std`` is not positive, or where ``batch_size`` < 1.
    """
    if isinstance(images, ImageSet) and images.images.ndim == 5:
        raise CannotRun(f"{images.name} has frames of events, which only directly trained spiking networks take")
    if not len(mean) == len(std) == images.channels:
        found = f"mean has {len(mean)} and std {len(std)} values"
        raise CannotRun(f"{images.name} has {images.channels} channel(s), but {found}")
    if not all(value > 0 for value in std):
        raise CannotRun(f"{images.name}: every std must be positive, got {list(std)}")
    if batch_size < 1:
        raise CannotRun(f"{images.name}: the batch size must be at least 1, got {batch_size}")
    return images.batches(mean, std, batch_size)
