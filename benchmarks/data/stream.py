"""Labelled images that are read, decoded and cropped batch by batch and never all held in memory.

Samples are in the order of the BLAKE2b digest of their file names: ordered by the names themselves, the first
thousands of training images of ImageNet would all be of one class.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.data.decoding import open_image
from benchmarks.data.images import DIGEST_BYTES, check_range


@dataclass(frozen=True)
class Entry:
    """One encoded image: its file name, its size in bytes, its label and its place in the source."""

    file_name: str
    size: int
    label: int
    place: int

    @property
    def identity(self) -> str:
        """The file name without what the Hub's copy adds: the synset in ``*_val_00000293_n01440764.JPEG``."""
        return re.sub(r"(?<=\d)_n\d{8}$", "", Path(self.file_name).stem)


Source = Callable[[int], tuple[bytes, str]]
"""The bytes of one encoded image by its place, and where it lies in words for messages."""


@dataclass(frozen=True)
class Preset:
    """torchvision's evaluation preset: shorter side resized to ``resize`` pixels, centre crop of ``crop``."""

    resize: int = 256
    crop: int = 224


PRESET = Preset()
AHEAD = 2
"""Batches that are decoded before they are asked for."""


@dataclass(frozen=True)
class Draw:
    """An image of a stream by its number, with its crop moved from the centre by some pixels (black beyond the image)."""

    index: int
    down: int = 0
    right: int = 0
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Images of one split in a fixed order, read when they are needed; the interface of ``ImageSet``.

    ``workers`` is the number of threads that decode ahead (0: none).
    """

    name: str
    split: str
    entries: tuple[Entry, ...]
    reader: Source
    source: str
    preset: Preset = PRESET
    workers: int = 0

    @property
    def channels(self) -> int:
        """Colour channels: RGB."""
        return 3

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits over file name, size and label of every image, in order."""
        total = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for entry in self.entries:
            total.update(f"{entry.identity}:{entry.size}:{entry.label}\n".encode())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, n: int) -> ImageStream:
        """The first ``n`` samples; CannotRun where there are fewer, or where ``n`` < 1."""
        return self.slice(0, n)

    def slice(self, start: int, stop: int) -> ImageStream:
        """Samples ``start`` .. ``stop`` - 1; CannotRun outside 0 <= start < stop <= N."""
        check_range(self, start, stop)
        if (start, stop) == (0, len(self)):
            return self
        return replace(self, entries=self.entries[start:stop], source=f"{self.source} [{start}:{stop}]")

    def batches(self, mean: Sequence[float], std: Sequence[float], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised float32 [B, 3, crop, crop] in channels-last memory and int64 labels [B], in order.

        CannotRun, naming the image, where one cannot be decoded.
        """
        return self.drawn_batches(mean, std, map(Draw, range(len(self))), batch_size)

    def drawn_batches(
        self, mean: Sequence[float], std: Sequence[float], draws: Iterable[Draw], batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As ``batches``, of the drawn images in the order of ``draws``: for training."""
        read, remaining = _Transformed(self, mean, std), iter(draws)
        batches = iter(lambda: list(islice(remaining, batch_size)), [])
        if not self.workers:
            yield from (_stacked(map(read, batch)) for batch in batches)
            return
        # Threads, which run in any process and decode side by side: Pillow releases Python's lock.
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[list[Future[tuple[Tensor, int]]]] = deque()
            for batch in batches:
                waiting.append([pool.submit(read, draw) for draw in batch])
                if len(waiting) > AHEAD:
                    yield _stacked(each.result() for each in waiting.popleft())
            while waiting:
                yield _stacked(each.result() for each in waiting.popleft())


def _stacked(read: Iterable[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*read, strict=True)
    return torch.stack(images).contiguous(memory_format=torch.channels_last), torch.tensor(labels)


class _Transformed:
    """Reads images of a stream: draw of an image to (float32 [3, crop, crop], label)."""

    def __init__(self, stream: ImageStream, mean: Sequence[float], std: Sequence[float]) -> None:
        # torchvision takes a second to import, and the smaller data sets do without it.
        from torchvision.transforms import v2

        self.stream = stream
        self.functional = v2.functional
        self.to_tensor = v2.Compose(
            [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
        )

    def __call__(self, draw: Draw) -> tuple[Tensor, int]:
        functional, entry, preset = self.functional, self.stream.entries[draw.index], self.stream.preset
        encoded, at = self.stream.reader(entry.place)
        image = open_image(encoded, at).convert("RGB")  # a few are greyscale or CMYK
        image = functional.resize(image, [preset.resize])
        top, left = (round((extent - preset.crop) / 2) for extent in (image.height, image.width))
        image = functional.crop(image, top + draw.down, left + draw.right, preset.crop, preset.crop)
        image = functional.horizontal_flip(image) if draw.mirrored else image
        return self.to_tensor(image), entry.label


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries by the digest of their file names, then by label and size."""
    return tuple(sorted(entries, key=_order))


def _order(entry: Entry) -> tuple[bytes, int, int]:
    digest = hashlib.blake2b(entry.identity.encode(), digest_size=DIGEST_BYTES).digest()
    return digest, entry.label, entry.size
