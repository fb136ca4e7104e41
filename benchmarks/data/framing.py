"""Events to frames: how a recording becomes T images, with everything that publications do differently as a named option."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmarks.checked import CONFIG, Checked
from benchmarks.data.events import Events
from benchmarks.errors import CannotRun

Whole = Annotated[int, Field(ge=0, le=1000)]


@dataclass(frozen=True, config=CONFIG)
class Framing(Checked):
    """What follows the ``?`` of a data set's name, ``by=count&frames=10``; CannotRun for a value that makes no sense.

    Args:
        by: "count": frames of equally many events; "time": of equal duration. The last frame takes what the division leaves.
        frames: T.
        normalised: "none": numbers of events; "maximum": over the largest one of the frame, as TET's preprocessing has it.
        axes: what rows and columns are. "address": y and x as the file has them. Of CIFAR10-DVS, with a sensor of W x W,
            "tet": W - 1 - x and y (Deng et al., ICLR 2022); "spikingjelly": W - 1 - x and W - 1 - y.
        resized: height and width after nearest-neighbour resizing, 0 for those of the sensor.
        split: which recordings are the training and which the test part; see ``benchmarks.data.event_sets``.
    """

    WHERE: ClassVar[str] = "frames of events: "

    split: str
    by: Literal["count", "time"]
    frames: Annotated[int, Field(ge=1, le=1000)]
    normalised: Literal["none", "maximum"] = "none"
    axes: Literal["address", "tet", "spikingjelly"] = "address"
    resized: Whole = 0


def parse_framing(text: str, split: str) -> Framing:
    """The options that ``text`` names, such as ``by=count&frames=10``, with ``split`` where it names none.

    CannotRun for unknown, missing or double ones.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise CannotRun(f"frames of events: {text!r} is not of the form by=count&frames=10") from error
    if len(dict(pairs)) < len(pairs):
        raise CannotRun(f"frames of events: {text!r} names an option twice; keep one")
    return Framing(**{"split": split} | dict(pairs))  # type: ignore[arg-type]  # pydantic makes numbers of digits


def frames(events: Events, size: tuple[int, int], framing: Framing) -> NDArray[np.float64]:
    """Frames ``[T, 2, H, W]`` of a recording; channel 1 counts pixels that got brighter, channel 0 those that got darker.

    ``size``: height and width of the sensor, within which the events are. As in SpikingJelly, frame i begins with event
    ``i (N // T)``, or at ``t[0] + i ((t[-1] - t[0]) // T)``.
    """
    (height, width), steps, n = size, framing.frames, len(events.t)
    inner = np.arange(1, steps)
    if framing.by == "count":
        cuts = inner * (n // steps)
    else:
        cuts = np.searchsorted(events.t, events.t[0] + inner * ((events.t[-1] - events.t[0]) // steps))
    step = np.searchsorted(cuts, np.arange(n), side="right")
    row, column = events.y, events.x
    if framing.axes != "address":
        row, column = width - 1 - events.x, events.y if framing.axes == "tet" else height - 1 - events.y
        height, width = width, height
    place = ((step * 2 + events.p) * height + row) * width + column
    made = np.bincount(place, minlength=steps * 2 * height * width).reshape(steps, 2, height, width).astype(np.float64)
    if framing.normalised == "maximum":
        made /= np.maximum(made.max((1, 2, 3), keepdims=True), 1)
    if side := framing.resized:
        made = made[:, :, np.arange(side) * height // side][:, :, :, np.arange(side) * width // side]
    return made
