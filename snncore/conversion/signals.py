"""Signals and steps of a spiking network.

Going through the network in order, each signal is one of

- *analog*: the same real value at every timestep, computed once (the input image and what linear layers make of it;
  direct coding: the currents of the first hidden layer are analog);
- *spikes*: integers (-1, 0, 1; counts after sum pooling) that stand for themselves times an amplitude, plus an offset;
- *current*: the real-valued input of neurons, or the output of the network;
- *decoded*: what is computed from the output after the last timestep, such as a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snncore.conversion.graph import names_in, needed
from snncore.conversion.inputs import Inputs

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


@dataclass(frozen=True)
class Layout:
    """Where the images of a batch are: dimension ``dim`` has ``outer`` runs of all of them, each with its rows side by side."""

    dim: int = 0
    outer: int = 1

    def frames(self, x: Tensor, count: int) -> Tensor:
        """``[..., outer * count * B, ...]`` as ``[count, outer * B, ...]`` with the dimension of the images in front."""
        dim = self.dim
        return x.unflatten(dim, (self.outer, count, -1)).movedim((dim + 1, dim, dim + 2), (0, 1, 2)).flatten(1, 2)

    def joined(self, frames: Tensor) -> Tensor:
        """The opposite of ``frames``."""
        dim = self.dim
        return frames.unflatten(1, (self.outer, -1)).movedim((0, 1, 2), (dim + 1, dim, dim + 2)).flatten(dim, dim + 2)

    def repeated(self, x: Tensor, count: int) -> Tensor:
        """A constant as so many frames."""
        once = self.frames(x, 1)
        return self.joined(once.expand(count, *once.shape[1:]))

    def mark(self, sizes: tuple[int, ...]) -> Tensor:
        """The number of the image of each entry, of a batch of two."""
        rows = torch.arange(2).repeat_interleave(sizes[self.dim] // (2 * self.outer)).repeat(self.outer)
        return rows.view(-1, *[1] * (len(sizes) - self.dim - 1)).expand(sizes)


@dataclass
class Program:
    """A spiking network: steps in order, their modules by name, outputs as in ``RecordedNetwork``, inputs.

    ``layouts``: of each step, in a network on estimates.
    """

    steps: list[Step]
    modules: dict[str, nn.Module]
    outputs: Any
    inputs: Inputs
    layouts: dict[str, Layout] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: dict[str, Step], modules: dict[str, nn.Module], outputs: Any, *others: Any) -> Program:
        """The steps that the outputs depend on."""
        order = needed({step.name: step.inputs for step in steps.values()}, names_in(outputs))
        return cls([steps[name] for name in order], {name: modules[name] for name in order}, outputs, *others)
