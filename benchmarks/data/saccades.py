"""Simulated events: scikit-learn's digits seen by a moving event camera, written as N-MNIST's files.

As N-MNIST was made (Orchard et al., 2015), a still image is seen in three saccades of 100 ms along a triangle. A pixel fires
where its brightness has changed by a threshold since its last event, at the time that linear interpolation between simulated
moments gives. Ours: the sensor of 18 x 18 pixels, in which a digit has 16 x 16 (bilinear), motion by two pixels, brightness
that is linear and not logarithmic, a threshold of 12 % of the full range with 3 % of mismatch, eight events of noise.
All of it is integer arithmetic: every machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from benchmarks.data.digits import digits
from benchmarks.data.events import Events, Ints, write_bin
from benchmarks.files import cannot_write
from benchmarks.paths import cache_dir

SIZE = (18, 18)
UNIT = 20
"""Parts of a sensor's pixel in which motion is measured; a digit's pixel has twice as many."""
CORNERS = ((-20, -20), (20, 0), (-20, 20), (-20, -20))
"""Where the image is, in parts, at the ends of the saccades: down, right."""
MOMENTS, STEP_US = 20, 5000
FULL = 16 * (2 * UNIT) ** 2
THRESHOLD, MISMATCH = FULL * 12 // 100, 3
NOISE = 8
SEED = 20152


def path() -> Ints:
    """Positions of the image ``[M + 1, 2]`` at simulated moments, in parts of a pixel."""
    corners = np.array(CORNERS)
    moves = np.repeat(np.diff(corners, axis=0) // MOMENTS, MOMENTS, axis=0)
    return np.concatenate([corners[:1], corners[0] + moves.cumsum(0)])


def brightness(images: Ints, position: Ints) -> Ints:
    """What the pixels of the sensor see of images ``[N, 8, 8]`` of 0 .. 16 at a position: ``[N, H, W]``, 0 .. ``FULL``."""

    def weights(shift: int, extent: int) -> NDArray[np.float64]:  # [extent, 8], bilinear; whole numbers, products are exact
        seen = np.arange(extent) * UNIT + UNIT // 2 - shift
        centers = np.arange(8) * 2 * UNIT + 2 * UNIT
        return np.maximum(0, 2 * UNIT - abs(seen[:, None] - centers)).astype(np.float64)

    down, right = (weights(int(shift), extent) for shift, extent in zip(position, SIZE, strict=True))
    return (down @ images @ right.T).astype(np.int64)


def simulate(images: Ints, source: np.random.RandomState) -> list[Events]:
    """Events of images ``[N, 8, 8]`` of 0 .. 16; ``source`` draws the mismatch of thresholds and the noise."""
    threshold = THRESHOLD * source.randint(100 - MISMATCH, 101 + MISMATCH, (len(images), *SIZE)) // 100
    start, *others = path()
    before = reference = brightness(images, start)
    found = []
    for moment, position in enumerate(others):
        after = brightness(images, position)
        sign = np.where(after > reference, 1, -1)
        count = abs(after - reference) // threshold
        for number in range(1, int(count.max()) + 1):
            where = n, y, x = np.nonzero(count >= number)
            crossed = (reference + sign * number * threshold)[where]
            late = STEP_US * (crossed - before[where]) // (after - before)[where]
            found.append(np.stack([n, moment * STEP_US + late, x, y, sign[where] > 0]))
        reference, before = reference + sign * count * threshold, after
    limits = (len(others) * STEP_US, *SIZE[::-1], 2)
    noise = [source.randint(0, limit, len(images) * NOISE) for limit in limits]
    found.append(np.stack([np.repeat(np.arange(len(images)), NOISE), *noise]))
    n, t, x, y, p = np.concatenate(found, axis=1).astype(np.int64)
    n, t, x, y, p = np.stack([n, t, x, y, p])[:, np.lexsort((p, x, y, t, n))]
    cuts = np.searchsorted(n, np.arange(1, len(images)))
    return [Events(*parts) for parts in zip(*(np.split(each, cuts) for each in (t, x, y, p)), strict=True)]


def recordings() -> Path:
    """The folder ``Train/<digit>/<number>.bin``, ``Test/...`` of all digits in the user's cache, written if it is not there."""
    code = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
    folder = cache_dir() / "data" / f"digit-events-{code}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                made = Path(tempfile.mkdtemp(prefix=".digit-events-", dir=folder.parent))
                _write(made)
                made.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _write(folder: Path) -> None:
    source = np.random.RandomState(SEED)  # NumPy promises that its stream never changes
    for split in ("train", "test"):
        found = digits(split)
        levels = (found.images[:, 0].numpy().astype(np.int64) * 16 + 127) // 255  # 0 .. 16 again
        for number, (events, label) in enumerate(zip(simulate(levels, source), found.labels.tolist(), strict=True), start=1):
            file = folder / split.title() / str(label) / f"{number:05}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(write_bin(events))
