"""What runs in a spiking network in place of the trained network's operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snncore.conversion.graph import Node
from snncore.neurons import SpikingNeuron


class Operation(nn.Module):
    """An operation of the trained network as it is: ``[T*B, ...]`` is a batch like any other.

    Args:
        node: the operation.
        tensors: its constants, by name.
    """

    def __init__(self, node: Node, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.node = node
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.detach())

    def forward(self, *given: Tensor) -> Any:
        """The result for values of ``node.inputs``."""
        return self.node.run(dict(zip(self.node.inputs, given, strict=True)), self.__getattr__)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return self.node.operation


class Sum(Operation):
    """A sum of spikes over dimensions; also a mean, whose division is left to the amplitude."""


class Synapses(Operation):
    """A layer with weights; amplitudes of spikes are multiplied into them.

    Attributes:
        weight: as the trained network has it, times the amplitudes.
        bias: or None.
    """

    def __init__(self, node: Node, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(node, {})
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"{self.node.operation}, weight {list(self.weight.shape)}"


class ChannelAffine(nn.Module):
    """``scale x + shift``: spikes times their amplitude, or batch normalisation without a layer before it.

    Args:
        scale, shift: ``[]``, or as ``[C, 1, 1]`` for values ``[B, C, H, W]``; ``shift`` may be None.
    """

    def __init__(self, scale: Tensor, shift: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, ...]`` to the same shape."""
        scaled = x * self.get_buffer("scale").to(x)
        return scaled if self.shift is None else scaled + self.get_buffer("shift").to(x)


class AddSpikes(nn.Module):
    """Current plus spikes times their common amplitude, in one pass: a residual connection without a layer.

    Args:
        amplitude: of the spikes.

    ``scratch``: the current may be overwritten.
    """

    scratch = False

    def __init__(self, amplitude: float) -> None:
        super().__init__()
        self.amplitude = amplitude

    def forward(self, current: Tensor, spikes: Tensor) -> Tensor:
        """``[B, ...]`` and ``[B, ...]`` to the same shape."""
        return torch.add(current, spikes, alpha=self.amplitude, out=current if self.scratch else None)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"amplitude={self.amplitude:g}"


class SumPool(nn.Module):
    """Sum over windows: average pooling of spikes whose division is left to the amplitude, so that it only counts.

    Args:
        kernel, stride, padding: one number for each dimension that is pooled, one to three, the last ones.
    """

    def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, C, ...]`` to ``[B, C, ...]``."""
        if len(self.kernel) == 3:
            return F.avg_pool3d(spikes, self.kernel, self.stride, self.padding, divisor_override=1)
        if len(self.kernel) == 2:
            return F.avg_pool2d(spikes, self.kernel, self.stride, self.padding, divisor_override=1)
        window = (1, *self.kernel), (1, *self.stride), (0, *self.padding)
        return F.avg_pool2d(spikes.unsqueeze(2), *window, divisor_override=1).squeeze(2)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"kernel={self.kernel}"


class MaxPool(nn.Module):
    """Max-pooling of what trains stand for, not of the trains: the largest sum so far, less what was passed on before.

    A code reads trains by a recurrence, ``P[t] = beta P[t-1] + x[t]``. With ``M[t] = pool(P[t])`` of each input's sum, the
    output ``y[t] = M[t] - beta M[t-1]`` is read as ``M[t]`` after every step: exact, and without delay. Where beta is a whole
    number, spikes stay spikes, ternary ones ternary and binary ones binary: the winner of a window so far moves by at most
    its spike, and nobody can overtake it by more, so that y is a whole number between the least and the largest digit. Codes
    of several recurrences, one after the other, are undone in the opposite order; for time-to-first-spike trains the output
    is the earliest spike of the window.

    Args:
        pool: the max-pooling operation.
        timesteps: T.
        recurrences: beta of each recurrence of the code.
    """

    def __init__(self, pool: Operation, timesteps: int, recurrences: tuple[float, ...]) -> None:
        super().__init__()
        self.pool, self.timesteps, self.recurrences = pool, timesteps, recurrences

    def forward(self, trains: Tensor) -> Tensor:
        """Spikes or currents of all steps, ``[T*B, C, ...]`` to ``[T*B, C, ...]``."""
        state = self.start(trains)
        return torch.cat([self.step(step, state)[0] for step in trains.unflatten(0, (self.timesteps, -1))])

    def start(self, x: Tensor) -> tuple[list[Any], list[Any]]:
        """State before the first step: the sums of the inputs and of the output."""
        return [0.0] * len(self.recurrences), [0.0] * len(self.recurrences)

    def step(self, x: Tensor, state: tuple[list[Any], list[Any]]) -> tuple[Tensor, tuple[list[Any], list[Any]]]:
        """One timestep ``[B, C, ...]``; changes ``state`` in place."""
        sums, passed = state
        for k, beta in enumerate(self.recurrences):
            sums[k] = x = x + beta * sums[k]
        x = self.pool(x)
        for k, beta in reversed(list(enumerate(self.recurrences))):
            passed[k], x = x, x - beta * passed[k]
        return x, state


class PresentConstant(nn.Module):
    """Shows an analog input at every timestep: ``[B, ...]`` to ``[T*B, ...]`` (direct coding)."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps

    def forward(self, x: Tensor) -> Tensor:
        """Repeat over the timesteps."""
        return x.expand(self.timesteps, *x.shape).flatten(0, 1)

    def at(self, x: Tensor, timestep: int) -> Tensor:
        """What is shown at a timestep."""
        return x


class SpikingLayer(nn.Module):
    """A neuron in the network: folds the timesteps out of the leading dimension and back.

    Args:
        neuron: the neuron.
        constant: the input is analog ``[B, ...]`` and the same at every step; otherwise it is ``[T*B, ...]``.

    ``scratch``: the input may be overwritten.
    """

    scratch = False

    def __init__(self, neuron: SpikingNeuron, constant: bool) -> None:
        super().__init__()
        self.neuron, self.constant = neuron, constant

    def forward(self, x: Tensor) -> Tensor:
        """Spikes ``[T*B, ...]``."""
        timesteps = self.neuron.code.timesteps
        currents = x.expand(timesteps, *x.shape) if self.constant else x.unflatten(0, (timesteps, x.shape[0] // timesteps))
        return self.neuron(currents, inplace=self.scratch and not self.constant).flatten(0, 1)
