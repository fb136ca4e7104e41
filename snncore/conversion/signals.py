"""Signals and steps of a spiking network.

Going through the network in order, each signal is one of

- *analog*: the same real value at every timestep, computed once (the input image and what linear layers make of it;
  direct coding: the currents of the first hidden layer are analog);
- *spikes*: integers (-1, 0, 1; counts after sum pooling) that stand for themselves times an amplitude, plus an offset;
- *current*: the real-valued input of neurons, or the output of the network;
- *decoded*: what is computed from the output after the last timestep, such as a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

Kind = Literal["analog", "spikes", "current", "decoded"]


@dataclass(frozen=True)
class Signal:
    """What a step of the spiking network puts out.

    ``amplitude`` and ``offset`` of spikes: 0-dimensional where all are the same, else of the shape of an image's values with
    size 1 where they do not differ, such as ``[C, 1, 1]``. ``signed``: spikes that may stand for negative values, as those of
    an encoded image do.
    """

    step: str
    kind: Kind
    shape: tuple[int, ...]
    amplitude: Any = None
    offset: Tensor | None = None
    signed: bool = False


@dataclass
class Step:
    """One module of a spiking network: its name, the steps that it reads, and what it puts out."""

    name: str
    inputs: list[str]
    kind: Kind
    shape: tuple[int, ...]


@dataclass
class Program:
    """A spiking network: steps in order, their modules by name, outputs as in ``RecordedNetwork``, the images' shape and name."""

    steps: list[Step]
    modules: dict[str, nn.Module]
    outputs: Any
    image: tuple[int, ...]
    images: str
