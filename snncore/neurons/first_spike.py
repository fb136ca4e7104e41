"""Time-to-first-spike (TTFS) neuron: integrate, fire once, no reset (ETTFS paper, Eq. 4, 6 and 7).

    H[t]   = H[t-1] + X[t]                    charge, H[0] = 0
    S[t]   = 1 if H[t] >= v and M[t] = 0      fire, unless it has fired before
    M[t+1] = M[t] + S[t]                      firing mask, M[1] = 0

With ``forced_spike`` the threshold of the last step is minus infinity, so that every neuron fires exactly once.

Backward, with ``g[t] = dL/dS[t]`` and the surrogate slope ``q`` of the step function, by the chain rule through Eq. 6 and 7:

    dL/dH[t] = q(H[t] - v) (g[t] - m[t])  where M[t] = 0, else 0;      dL/dX[t] = sum over s >= t of dL/dH[s]

``m[t]`` is what the mask passes back: the ``g`` of the first later step at which the potential is above the threshold, that
is of the spike that a spike at ``t`` would displace; 0 where there is none, or where the mask is taken as a constant.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snncore.coding import check_positive, check_timesteps
from snncore.neurons.blocks import column_blocks, flat, train_strides
from snncore.surrogate import ATan

TRAINING_BLOCK = 1 << 17
"""Elements of a train per block: the backward pass works on several trains at a time, all of which should stay in the cache."""


class FirstSpikeState(NamedTuple):
    """Potential H and whether the neuron has fired (M), each ``[B, ...]``; ``steps`` so far."""

    potential: Tensor
    fired: Tensor
    steps: int = 0


class FirstSpikeNeuron(nn.Module):
    """Currents in, at most one spike per neuron out; trainable by backpropagation through time.

    Multi-step: ``forward(currents [T, B, ...]) -> spikes [T, B, ...]`` in {0, 1}; a constant current may be given as one step
    ``[1, B, ...]``. Single-step: ``state = start(like)``, then ``spikes, state = step(current, state)`` T times, without
    gradients; same spikes.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T, at least 2: with one step, time carries no information.
        surrogate: derivative of the step function.
        forced_spike: whether every neuron that is silent until then fires at the last step.
        mask_gradient: whether gradients flow through the firing mask (full backpropagation through time).

    Raises:
        ValueError: a threshold that is not positive and finite, or fewer than two timesteps.
    """

    def __init__(
        self,
        threshold: float,
        timesteps: int,
        surrogate: ATan | None = None,
        forced_spike: bool = False,
        mask_gradient: bool = True,
    ) -> None:
        super().__init__()
        self.threshold = check_positive("threshold", threshold)
        self.timesteps = check_timesteps(timesteps, least=2)
        self.surrogate = surrogate or ATan()
        self.forced_spike = forced_spike
        self.mask_gradient = mask_gradient

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        forced = ", forced_spike" if self.forced_spike else ""
        return f"threshold={self.threshold:g}, timesteps={self.timesteps}, alpha={self.surrogate.alpha:g}{forced}"

    def forward(self, currents: Tensor) -> Tensor:
        """Spike trains ``[T, B, ...]`` for currents ``[T, B, ...]``, or ``[1, B, ...]`` that stay the same at every step.

        Raises:
            ValueError: the first dimension is neither T nor 1; NaN, which is no silence.
        """
        if currents.dim() == 0 or currents.shape[0] not in (1, self.timesteps):
            shape = tuple(currents.shape)
            raise ValueError(f"expected currents [T={self.timesteps}, ...] or [1, ...], got a tensor of shape {shape}")
        spikes: Tensor = _FirstSpike.apply(currents, self)
        return spikes

    def start(self, like: Tensor) -> FirstSpikeState:
        """State before the first step, for currents of one step shaped as ``like [B, ...]``."""
        return FirstSpikeState(torch.zeros_like(like), torch.zeros_like(like, dtype=torch.bool))

    @torch.no_grad()
    def step(self, current: Tensor, state: FirstSpikeState) -> tuple[Tensor, FirstSpikeState]:
        """Spikes ``[B, ...]`` of one timestep, and the state after it.

        Raises:
            ValueError: more than T steps; NaN.
        """
        if state.steps >= self.timesteps:
            raise ValueError(f"the neuron has {self.timesteps} timesteps, got one more")
        potential, last = state.potential + current, state.steps == self.timesteps - 1
        refuse_nan(potential)
        above = torch.ones_like(state.fired) if self.forced_spike and last else potential >= self.threshold
        spikes = above & ~state.fired
        return spikes.to(potential.dtype), FirstSpikeState(potential, state.fired | spikes, state.steps + 1)


class _FirstSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, currents: Tensor, neuron: FirstSpikeNeuron) -> Tensor:
        strides = train_strides(currents)
        spikes = currents.new_empty_strided((neuron.timesteps, *currents.shape[1:]), strides)
        x, s = flat(currents, strides).expand(neuron.timesteps, -1), flat(spikes, strides)
        for block in column_blocks(x.shape[1], x.device, TRAINING_BLOCK // neuron.timesteps):
            _fire(x[:, block], s[:, block], neuron)
        ctx.neuron, ctx.strides = neuron, strides
        ctx.save_for_backward(currents, spikes)
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        neuron: FirstSpikeNeuron = ctx.neuron
        currents, spikes = ctx.saved_tensors
        result = currents.new_empty_strided(currents.shape, ctx.strides)
        x, s, g, out = (flat(each, ctx.strides) for each in (currents, spikes, gradients[0], result))
        for block in column_blocks(s.shape[1], s.device, TRAINING_BLOCK // neuron.timesteps):
            _backward(x[:, block], s[:, block], g[:, block], out[:, block], neuron)
        return result, None


# Masks are floats in {0, 1}: on a CPU, torch's operations on bool and its `where` are several times slower than arithmetic.


def _fire(x: Tensor, s: Tensor, neuron: FirstSpikeNeuron) -> None:
    """Write the spikes ``s [T, N]`` of the currents ``x [T, N]``."""
    potential = torch.zeros_like(s[0])
    silent = torch.ones_like(potential)
    for t in range(neuron.timesteps):
        potential.add_(x[t])
        if neuron.forced_spike and t == neuron.timesteps - 1:
            s[t] = silent
        else:
            torch.ge(potential, neuron.threshold, out=s[t]).mul_(silent)
            silent.sub_(s[t])
    refuse_nan(potential)


def refuse_nan(*sums: Tensor) -> None:
    """Raise ValueError for NaN in sums over all currents: compared with a threshold, it would count as silence."""
    for each in sums:
        if each.sum().isnan() and each.isnan().any():  # the first alone is cheap, but infinities may cancel in it
            raise ValueError("the currents contain NaN: the weights have diverged, or the input has NaN")


def _backward(x: Tensor, s: Tensor, g: Tensor, out: Tensor, neuron: FirstSpikeNeuron) -> None:
    """Write ``dL/dX`` into ``out [T, N]``, or its sum over time into ``out [1, N]`` for a constant current."""
    timesteps, constant = neuron.timesteps, x.shape[0] == 1
    distance = x.new_empty(timesteps, x.shape[1])
    distance[0] = x[0]
    for t in range(1, timesteps):  # in the order of the forward pass, so that rounding is the same
        torch.add(distance[t - 1], x[0 if constant else t], out=distance[t])
    distance.sub_(neuron.threshold)
    above = torch.ge(distance, 0, out=torch.empty_like(distance))
    if neuron.forced_spike:
        above[-1] = 1
    slope = neuron.surrogate.slope(distance)
    pending = 1 - s.sum(0)  # 1 where the neuron has not fired before the step at hand, which goes back in time
    displaced, total, passed = torch.zeros_like(pending), torch.zeros_like(pending), torch.empty_like(pending)
    for t in reversed(range(timesteps)):
        pending.add_(s[t])
        torch.sub(g[t], displaced, out=passed)
        if neuron.mask_gradient:
            displaced.addcmul_(passed, above[t])
        if not (neuron.forced_spike and t == timesteps - 1):  # a forced spike does not depend on the potential
            total.addcmul_(passed.mul_(slope[t]), pending)
        if not constant:
            out[t] = total
        elif t == timesteps - 1:
            out[0] = total
        else:
            out[0].add_(total)
