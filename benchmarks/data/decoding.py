"""From encoded images to checked uint8 arrays."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from benchmarks.data.registry import DatasetSpec
from benchmarks.errors import CannotRun

_MODES = {1: "L", 3: "RGB"}


def decode_image(encoded: bytes | None, spec: DatasetSpec, at: str) -> npt.NDArray[np.uint8]:
    """Pixels, uint8 [C, H, W], of one encoded image (PNG, WebP, ...).

    CannotRun, naming the place ``at``, where there are no bytes, they cannot be decoded, or the size or mode
    of the image is not that of ``spec``.
    """
    if encoded is None:
        raise CannotRun(f"{at}: there are no image bytes; get the file again")
    image = open_image(encoded, at)
    height, width = spec.size
    found, expected = f"{image.width}x{image.height} {image.mode}", f"{width}x{height} {_MODES[spec.channels]}"
    if found != expected:
        raise CannotRun(f"{at}: the image is {found}, but {spec.name} has {expected} images")
    pixels = np.asarray(image)  # [H, W] or [H, W, C]
    return pixels[None] if spec.channels == 1 else pixels.transpose(2, 0, 1)


def open_image(encoded: bytes, at: str) -> PIL.Image.Image:
    """The image with its pixels decoded; CannotRun, naming ``at``, where ``encoded`` is none or damaged."""
    try:
        image = PIL.Image.open(BytesIO(encoded))
        image.load()
        return image
    except Exception as error:  # decoders raise nearly anything on damaged bytes (OSError, SyntaxError, struct.error, ...)
        raise CannotRun(f"{at}: the image cannot be decoded ({one_line(error)}); get the file again") from error


def check_labels(labels: list[Any], spec: DatasetSpec, file: str) -> None:
    """Raise CannotRun, naming the file and the row, unless every label is an integer in 0 .. classes - 1."""
    for row, label in enumerate(labels):
        # Not isinstance: a bool is an int, but no class.
        if type(label) is not int or not 0 <= label < spec.classes:
            raise CannotRun(f"{file}, row {row}: the label is {label!r}; {spec.name} has labels 0 to {spec.classes - 1}")


def one_line(error: BaseException) -> str:
    """Type and message of ``error`` on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
