"""Leaky integrate-and-fire (LIF) neuron with hard reset, binary or ternary (Ternary Spike paper, Eq. 4-5, 7-8 and 13-14).

    u[t] = decay u[t-1] (1 - |b[t-1]|) + x[t]                             charge, u[0] = 0
    b[t] = 1 if u[t] >= v, else 0                                         binary spikes
    b[t] = sign(u[t]) if |u[t]| >= v, else 0                              ternary spikes
    o[t] = a b[t]                                                         amplitude a, trained or 1

Backward, with ``q`` the surrogate slope at ``u - v`` (at ``|u| - v`` for ternary spikes), ``g[t] = dL/do[t]`` and
``h[t] = dL/du[t] = dL/dx[t]``:

    h[t] = q (a g[t] - r[t]) + decay (1 - |b[t]|) h[t+1],       dL/da = sum over t of g[t] b[t]

``r[t]`` is what the reset passes back, by three conventions: 0 if the spikes are taken as constants ("detached"); else
``decay u[t] h[t+1]`` times the slope of ``|b|`` over that of ``b``, which is ``sign(b)``, 0 in silence, as autograd
differentiates ``|b|`` ("abs": the authors' code), or ``sign(u)`` (1 for binary spikes), as in ``1 - b`` ("spikes":
SpikingJelly, where the two kinds of spikes are differentiated and added up).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snncore.coding import check_positive
from snncore.neurons.base import largest_below
from snncore.neurons.blocks import column_blocks, flat, train_strides
from snncore.neurons.compiled import compiled, compiling
from snncore.surrogate import Rectangle, Surrogate

ResetGradient = Literal["abs", "spikes", "detached"]


class TrainableNeuron(nn.Module):
    """Currents in, spikes out, differentiable at every step; no state survives a call.

    Single-step: ``state = start(like)``, then ``spikes, state = step(current, state)``, a pure function, as often as wanted.
    Multi-step: ``forward(currents [T, B, ...]) -> spikes [T, B, ...]``. A new neuron writes ``start`` and ``step``.
    """

    def start(self, like: Tensor) -> Any:
        """State before the first step, for currents of one step shaped as ``like [B, ...]``: a potential of 0."""
        return torch.zeros_like(like)

    def step(self, current: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Spikes ``[B, ...]`` for the currents ``[B, ...]`` of one timestep, and the state after it."""
        raise NotImplementedError

    def forward(self, currents: Tensor) -> Tensor:
        """Spike trains ``[T, B, ...]`` for currents ``[T, B, ...]``."""
        state, train = self.start(currents[0]), []
        for current in currents:
            spikes, state = self.step(current, state)
            train.append(spikes)
        return torch.stack(train)


class LIFNeuron(TrainableNeuron):
    """LIF neuron with hard reset to 0; binary spikes, ternary ones in `TernaryLIFNeuron`.

    Args:
        threshold: ``v``, in units of the currents.
        decay: what a step leaves of the potential, in [0, 1]; 1 is an integrate-and-fire neuron. The currents do not decay.
        surrogate: derivative of the step function; by default a rectangle of twice the threshold's width.
        trainable_amplitude: whether the amplitude, one number a layer from 1 on, is a parameter.
        reset_gradient: see the module docstring.

    Raises:
        ValueError: a threshold that is not positive and finite, a decay outside [0, 1], or an unknown convention.
    """

    ternary = False

    def __init__(
        self,
        threshold: float = 0.5,
        decay: float = 0.25,
        surrogate: Surrogate | None = None,
        trainable_amplitude: bool = False,
        reset_gradient: ResetGradient = "abs",
    ) -> None:
        super().__init__()
        self.threshold = check_positive("threshold", threshold)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be in [0, 1], got {decay!r}")
        if reset_gradient not in ("abs", "spikes", "detached"):
            raise ValueError(f"reset_gradient must be abs, spikes or detached, got {reset_gradient!r}")
        self.decay, self.reset_gradient = decay, reset_gradient
        self.surrogate = surrogate or Rectangle(2 * threshold)
        self.amplitude = nn.Parameter(torch.ones(())) if trainable_amplitude else None

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        amplitude = "" if self.amplitude is None else f", amplitude={float(self.amplitude):g}"
        return f"threshold={self.threshold:g}, decay={self.decay:g}, {self.surrogate}{amplitude}"

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential that the reset leaves."""
        potential = self.decay * state + current
        spikes = fire(potential, self.threshold, self.surrogate, self.ternary)
        match self.reset_gradient:
            case "detached":
                fired = spikes.detach().abs()
            case "abs":
                fired = spikes.abs()
            case "spikes":
                fired = spikes * potential.sign().detach() if self.ternary else spikes
        return spikes if self.amplitude is None else self.amplitude * spikes, potential * (1 - fired)

    def forward(self, currents: Tensor) -> Tensor:
        """Spike trains ``[T, B, ...]``; one step may be expanded over T. One tensor of their size is kept for the gradient."""
        amplitude = currents.new_ones(()) if self.amplitude is None else self.amplitude
        spikes: Tensor = _Train.apply(currents, amplitude, self)
        return spikes


class TernaryLIFNeuron(LIFNeuron):
    """LIF neuron that fires 1 and -1; by default with the straight-through estimator ``clamp(u, -1, 1)`` at threshold 1/2."""

    ternary = True


def fire(potential: Tensor, threshold: float, surrogate: Surrogate, ternary: bool = False) -> Tensor:
    """Spikes of a potential of any shape, differentiable by the surrogate (module docstring)."""
    spikes: Tensor = _Fire.apply(potential, threshold, surrogate, ternary)
    return spikes


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, surrogate: Surrogate, ternary: bool) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold, ctx.surrogate, ctx.ternary = threshold, surrogate, ternary
        return _reset(potential, largest_below(threshold, potential.dtype), ternary).sign_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (potential,) = ctx.saved_tensors
        distance = (potential.abs() if ctx.ternary else potential) - ctx.threshold
        return gradients[0] * ctx.surrogate.slope(distance), None, None, None


def _reset(potential: Tensor, below: float, ternary: bool) -> Tensor:
    """What the reset takes from a potential: all of it where the neuron fires, which is above ``below``, else nothing."""
    return F.hardshrink(potential, below) if ternary else F.threshold(potential, below, 0.0)


# ---- the whole train at once ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Update:
    """What the update of a neuron depends on; ``below``: the largest potential that does not fire."""

    threshold: float
    below: float
    decay: float
    surrogate: Surrogate
    ternary: bool
    reset_gradient: ResetGradient


class _Train(torch.autograd.Function):
    """Keeps the potentials alone; spikes follow from them."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, amplitude: Tensor, neuron: LIFNeuron) -> Tensor:
        strides = train_strides(currents)
        constant = currents.stride(0) == 0
        x = flat(currents[:1], strides).expand(len(currents), -1) if constant else flat(currents, strides)
        below = largest_below(neuron.threshold, x.dtype)
        update = _Update(neuron.threshold, below, neuron.decay, neuron.surrogate, neuron.ternary, neuron.reset_gradient)
        potentials, o = _run(_advance, 2, (x,), update)
        if neuron.amplitude is not None:
            o.mul_(amplitude)
        ctx.update, ctx.shape, ctx.strides = update, currents.shape, strides
        ctx.save_for_backward(potentials, amplitude)
        return o.as_strided(currents.shape, strides)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        u, amplitude = ctx.saved_tensors
        g = flat(gradients[0], ctx.strides)
        (currents,) = _run(_backward, 1, (u, g), ctx.update, amplitude)
        total = _amplitude_gradient(u, g, ctx.update) if ctx.needs_input_grad[1] else None
        return currents.as_strided(ctx.shape, ctx.strides), total, None


Steps = Sequence[Tensor]
"""A train step by step, ``[N]`` each."""


def _run(update: Callable[..., tuple[Steps, ...]], count: int, trains: Steps, *constants: Any) -> tuple[Tensor, ...]:
    """The ``count`` trains ``[T, N]`` that an update makes of others: compiled, or in cache-sized blocks, each for all steps."""
    first = trains[0]
    if first.device.type == "cpu" and constants[0].surrogate.elementary and compiling():
        found: tuple[Tensor, ...] = compiled(_stacked)(update, tuple(train.detach() for train in trains), *constants)
        return found
    made = tuple(first.new_empty(first.shape) for _ in range(count))
    for block in column_blocks(first.shape[1], first.device):
        parts = update(*(train[:, block].unbind() for train in trains), *constants)
        for train, steps in zip(made, parts, strict=True):
            for t, step in enumerate(steps):
                train[t, block] = step
    return made


def _stacked(update: Callable[..., tuple[Steps, ...]], trains: Steps, *constants: Any) -> tuple[Tensor, ...]:
    return tuple(torch.stack(list(steps)) for steps in update(*(train.unbind() for train in trains), *constants))


def _advance(x: Steps, of: _Update) -> tuple[Steps, Steps]:
    """Potentials, and spikes without amplitude, for currents ``x``."""
    potential, potentials, spikes = x[0], [x[0]], []
    for t in range(len(x)):
        taken = _reset(potential, of.below, of.ternary)
        if t + 1 < len(x):
            potential = torch.sub(potential, taken).mul_(of.decay).add_(x[t + 1])
            potentials.append(potential)
        spikes.append(taken.sign_())
    return potentials, spikes


def _backward(u: Steps, g: Steps, of: _Update, amplitude: Tensor) -> tuple[Steps]:
    """``dL/dx`` for potentials ``u`` and gradients ``g`` of the spikes; see the module docstring."""
    found: list[Tensor] = []
    for potential, gradient in zip(reversed(u), reversed(g), strict=True):
        magnitude = potential.abs() if of.ternary else potential
        h, slope = gradient * amplitude, of.surrogate.slope(magnitude - of.threshold)
        if not found:
            found.append(h.mul_(slope))
            continue
        taken, carried = _reset(potential, of.below, of.ternary), found[-1] * of.decay
        if of.reset_gradient != "detached":
            # Not by `addcmul`, which rounds once on some processors and twice on others.
            h.sub_((taken.abs() if of.reset_gradient == "abs" else magnitude) * carried)
        found.append(h.mul_(slope).add_(carried * (taken == 0)))
    return (found[::-1],)


def _amplitude_gradient(u: Tensor, g: Tensor, of: _Update) -> Tensor:
    """``dL/da`` of flat trains ``[T, N]``."""
    total = u.new_zeros(())
    for block in column_blocks(u.shape[1], u.device):
        part = u.new_zeros(())
        for t in reversed(range(len(u))):
            part += torch.dot(g[t, block], _reset(u[t, block], of.below, of.ternary).sign_())
        total += part
    return total
