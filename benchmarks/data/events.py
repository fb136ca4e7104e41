"""Recordings of event cameras: readers of N-MNIST's ``.bin`` and of AEDAT 2.0, and a writer of the former.

    .bin      5 bytes an event, big-endian: x (8 bits), y (8), polarity (1), time in microseconds (23)
              (Orchard et al., Frontiers in Neuroscience 2015)
    AEDAT 2   lines that begin with ``#``, the first one ``#!AER-DAT2.0``; then 8 bytes an event, big-endian: address (32 bits),
              time in microseconds (32). Address of a DVS128: polarity in bit 0 (1 is OFF), x in bits 1-7, y in bits 8-14.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import CannotRun
from benchmarks.files import read_given

Ints = NDArray[np.int64]
AEDAT = b"#!AER-DAT"
GET_AGAIN = "get the file again"


class Events(NamedTuple):
    """Events in the order of time, int64 ``[N]`` each: microseconds, column, row, and 1 where it got brighter, else 0."""

    t: Ints
    x: Ints
    y: Ints
    p: Ints


def read_bin(path: Path, size: tuple[int, int]) -> Events:
    """Events of an N-MNIST file, recorded by a sensor of ``size`` (height, width).

    CannotRun, naming file and byte, for a file that is cut off or empty, pixels outside the sensor, times out of order.
    """
    data = read_given(path)
    if data.startswith(AEDAT):
        raise CannotRun(f"{path}: this is an AEDAT file, not N-MNIST's 5 bytes an event; put a recording of N-MNIST here")
    rows = _records(path, data, 0, 5).astype(np.int64)  # [N, 5]
    t = (rows[:, 2] & 127) << 16 | rows[:, 3] << 8 | rows[:, 4]
    return _checked(path, Events(t, rows[:, 0], rows[:, 1], rows[:, 2] >> 7), size, 0, 5)


def write_bin(events: Events) -> bytes:
    """What ``read_bin`` reads. ValueError for values that do not fit."""
    t, x, y, p = events
    if any(((part < 0) | (part > most)).any() for part, most in zip(events, (2**23 - 1, 255, 255, 1), strict=True)):
        raise ValueError("events must have t < 2**23, x and y < 256, and p 0 or 1")
    return np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1).astype(np.uint8).tobytes()


def read_aedat2(path: Path, size: tuple[int, int] = (128, 128)) -> Events:
    """Events of a DVS128 as they are addressed; raises as ``read_bin`` does, and for AEDAT of another version."""
    data = read_given(path)
    version = data[len(AEDAT) :].split(b"\n", 1)[0].strip().decode("ascii", "replace")[:8] if data.startswith(AEDAT) else "none"
    if version != "2.0":
        raise CannotRun(
            f"{path}: expected AEDAT version 2.0, as CIFAR10-DVS is published in, found version {version};"
            " get the original .aedat files, not a repack"
        )
    start = 0
    while data.startswith(b"#", start):
        start = data.find(b"\n", start) + 1 or len(data)
    words = _records(path, data, start, 8).view(">u4").astype(np.int64)  # [N, 2]
    address, t = words[:, 0], words[:, 1]
    return _checked(path, Events(t, address >> 1 & 127, address >> 8 & 127, 1 - (address & 1)), size, start, 8)


def _records(path: Path, data: bytes, start: int, width: int) -> NDArray[np.uint8]:
    """``[N, width]``: the bytes from ``start`` on."""
    rest = len(data) - start
    if not rest:
        raise CannotRun(f"{path}: there are no events in it (it ends at byte {start:,}); {GET_AGAIN}")
    if rest % width:
        whole = start + rest // width * width
        raise CannotRun(f"{path}: cut off in the event at byte {whole:,}: {rest % width} of {width} bytes; {GET_AGAIN}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(-1, width)


def _checked(path: Path, events: Events, size: tuple[int, int], start: int, width: int) -> Events:
    height, columns = size
    outside = np.flatnonzero((events.x >= columns) | (events.y >= height))
    if len(outside):
        x, y = events.x[outside[0]], events.y[outside[0]]
        raise CannotRun(
            f"{path}: the event at byte {start + width * outside[0]:,} is at pixel x {x}, y {y}, but the sensor has"
            f" {columns} x {height}; {GET_AGAIN}"
        )
    early = np.flatnonzero(np.diff(events.t) < 0)
    if len(early):
        at = early[0] + 1
        raise CannotRun(
            f"{path}: the event at byte {start + width * at:,} is of {events.t[at]:,} us, after one of {events.t[at - 1]:,} us;"
            " sort the events by time"
        )
    return events
