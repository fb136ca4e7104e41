"""What runs in a spiking network in place of the trained network's operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snncore.conversion.graph import ConversionError, Node
from snncore.conversion.signals import Layout
from snncore.neurons import SpikingNeuron
from snncore.neurons.estimates import Estimator


class Operation(nn.Module):
    """An operation of the trained network as it is: ``[T*B, ...]`` is a batch like any other.

    Args:
        node: the operation.
        tensors: its constants, by name.
    """

    def __init__(self, node: Node, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.node, self.inputs = node, node.inputs
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.detach())

    def forward(self, *given: Tensor) -> Any:
        """The result for values of ``node.inputs``."""
        return self.node.run(dict(zip(self.inputs, given, strict=True)), self.__getattr__)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return self.node.operation


class Sum(Operation):
    """A sum of spikes over dimensions or windows; also a mean, whose division is left to the amplitude."""


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
        return torch.cat([self.update(step, state)[0] for step in trains.unflatten(0, (self.timesteps, -1))])

    def start(self, x: Tensor) -> tuple[list[Any], list[Any]]:
        """State before the first step: the sums of the inputs and of the output."""
        return [0.0] * len(self.recurrences), [0.0] * len(self.recurrences)

    def update(self, x: Tensor, state: Any, out: None = None) -> tuple[Tensor, Any]:
        """One timestep ``[B, C, ...]``; changes ``state`` in place."""
        sums, passed = state
        for k, beta in enumerate(self.recurrences):
            sums[k] = x = x + beta * sums[k]
        x = self.pool(x)
        for k, beta in reversed(list(enumerate(self.recurrences))):
            passed[k], x = x, x - beta * passed[k]
        return x, state


class PresentConstant(nn.Module):
    """Shows an analog input at every timestep, or in every frame of estimates: direct coding.

    Args:
        timesteps: how often.
        layout: where the images are.
    """

    def __init__(self, timesteps: int, layout: Layout = Layout()) -> None:
        super().__init__()
        self.timesteps, self.layout = timesteps, layout

    def forward(self, x: Tensor) -> Tensor:
        """Repeat over the timesteps."""
        return self.layout.repeated(x, self.timesteps)

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

    @property
    def stepper(self) -> Any:
        """What runs one timestep after another."""
        return self.neuron

    def forward(self, x: Tensor) -> Tensor:
        """Spikes ``[T*B, ...]``."""
        timesteps = self.neuron.code.timesteps
        currents = x.expand(timesteps, *x.shape) if self.constant else x.unflatten(0, (timesteps, x.shape[0] // timesteps))
        return self.neuron(currents, inplace=self.scratch and not self.constant).flatten(0, 1)


def hides_a_row(softmax: Node) -> ConversionError:
    """The error of a softmax without any finite value in a row."""
    return ConversionError(f"{softmax.origin}: a mask hides every entry of a row from the softmax; leave each row at least one")


class Estimating(SpikingLayer):
    """A neuron that reads and puts out running estimates; see ``snncore.neurons.estimates``.

    Args:
        neuron: a momentum neuron.
        constant: the input is analog ``[B, ...]``; otherwise it has T - L frames.
        layout: where the images are.
    """

    def __init__(self, neuron: SpikingNeuron, constant: bool, layout: Layout) -> None:
        super().__init__(neuron, constant)
        self.layout, self.estimator = layout, Estimator(neuron)  # type: ignore[arg-type]

    @property
    def stepper(self) -> Any:
        """What runs one estimate after another."""
        return self.estimator

    def forward(self, x: Tensor) -> Tensor:
        """Estimates ``E[L+1..T]`` of the output."""
        return self.layout.joined(self.estimator(self._frames(x)))

    def fired(self, x: Tensor) -> Tensor:
        """The spikes of all T steps for that input, as T frames."""
        given = self._frames(x)
        spikes = given.new_empty(self.estimator.timesteps, *given.shape[1:])
        self.estimator(given, spikes)
        return self.layout.joined(spikes)

    def _frames(self, x: Tensor) -> Tensor:
        given = self.layout.frames(x, 1 if self.constant else self.estimator.frames)
        return given.expand(self.estimator.frames, *given.shape[1:])


class Evaluation(Operation):
    """An operation of the trained network on running estimates.

    Args:
        node, tensors: see ``Operation``.
        operands: the inputs that it reads as spikes, if it is one with synapses.
        sources: nodes of its inputs.
        free: whether it is free of multiplications.
    """

    def __init__(self, node: Node, tensors: dict[str, Tensor], operands: list[str], sources: list[Node], free: bool) -> None:
        super().__init__(node, tensors)
        self.operands, self.sources, self.free = operands, sources, free

    def forward(self, *given: Tensor) -> Any:
        """See ``Operation.forward``; ConversionError where a softmax sees a row without any finite value."""
        if "softmax" in self.node.operation and bool((given[0].amax(self.node["dim"]) == -torch.inf).any()):
            raise hides_a_row(self.node)
        return super().forward(*given)

    def fan_out(self, operand: str) -> Tensor:
        """Synapses of each position of an input, of its shape: the gradient of the summed output, all others one."""
        values = {each.name: torch.ones(each.sizes(each.parts), dtype=torch.float64) for each in self.sources}
        dim = next(each.dim for each in self.sources if each.name == operand)
        x = values[operand].requires_grad_(True)
        with torch.enable_grad():
            out = self.node.run(values, lambda name: torch.ones_like(getattr(self, name), dtype=torch.float64, device="cpu"))
            (gradient,) = torch.autograd.grad(out.sum(), x)
        return gradient.select(dim, 0)
