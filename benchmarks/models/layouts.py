"""Networks written as in papers: ``784-400-10``, ``16C5-P2-32C5-P2-800-128-10``.

``16C5`` is a convolution of 16 channels with a 5x5 kernel, stride 1, no padding; ``P2`` a pooling over 2x2; a number a linear
layer of so many neurons. The first number of a network without convolutions is the number of inputs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.errors import CannotRun

_TOKEN = re.compile(r"(?P<channels>[1-9]\d*)C(?P<kernel>[1-9]\d*)|P(?P<window>[1-9]\d*)|(?P<neurons>[1-9]\d*)")


@dataclass(frozen=True)
class Convolution:
    """``channels`` C ``kernel``: stride 1, no padding."""

    inputs: int
    channels: int
    kernel: int


@dataclass(frozen=True)
class Pooling:
    """P ``window``: windows side by side."""

    window: int


@dataclass(frozen=True)
class Dense:
    """A linear layer on all inputs."""

    inputs: int
    neurons: int


Layer = Convolution | Pooling | Dense


def parse_layout(layout: str, shape: Sequence[int], classes: int) -> list[Layer]:
    """The layers of a layout for images ``[C, H, W]`` of so many classes.

    Raises:
        CannotRun: not a layout, or one that does not fit the images or the classes; the token is named.
    """
    if len(shape) != 3:
        raise CannotRun(f"layout {layout!r} takes images, not frames of events; use a residual one, such as ResNet18-w8")
    channels, height, width = shape
    tokens = layout.split("-")
    flat = 0
    layers: list[Layer] = []
    for position, token in enumerate(tokens):
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise CannotRun(f"layout {layout!r}: cannot read {token!r}; write it like 784-400-10 or 16C5-P2-32C5-P2-800-128-10")
        if found["neurons"]:
            neurons = int(found["neurons"])
            inputs = flat or channels * height * width
            if position == 0:
                if neurons != inputs:
                    raise CannotRun(f"layout {layout!r} takes {neurons} inputs, the images have {inputs}")
            else:
                layers.append(Dense(inputs, neurons))
            flat = neurons
            continue
        if flat:
            raise CannotRun(f"layout {layout!r}: {token!r} cannot follow a linear layer")
        size = int(found["kernel"] or found["window"])
        if min(height, width) < size:
            raise CannotRun(f"layout {layout!r}: {token!r} does not fit maps of {height}x{width}")
        if found["channels"]:
            layers.append(Convolution(channels, int(found["channels"]), size))
            channels, height, width = int(found["channels"]), height - size + 1, width - size + 1
        else:
            if layers and isinstance(layers[-1], Pooling):
                raise CannotRun(f"layout {layout!r}: {token!r} follows another pooling; write one larger window")
            layers.append(Pooling(size))
            height, width = height // size, width // size
    if not layers or not isinstance(layers[-1], Dense) or layers[-1].neurons != classes:
        raise CannotRun(f"layout {layout!r} must end with a linear layer of {classes} neurons, one per class")
    return layers
