"""Neuron that fires once and is trained through its spike time instead of a surrogate derivative.

Steps are counted from 0; ``X[s]`` is the current of step s, ``v`` the threshold, and V is never reset. With a postsynaptic
potential that is a step (S4NN, BS4NN) or a ramp (STDBP, there called rectified linear, ReL-PSP: ``K(t) = max(t, 0)``),

    step:  V[t] = sum over s <= t of X[s]               ramp:  V[t] = sum over s < t of (t - s) X[s]

and the neuron fires at the first step ``t*`` with ``V[t*] >= v``. V of a ramp is linear between two steps, of slope A, so
that it crosses the threshold at ``tau = t* - (V[t*] - v) / A``. A neuron with ``exact`` times keeps that time: it emits

    S[f] = 1 - a,  S[f+1] = a        f = t* - 1,  a = tau - f  in (0, 1]

whose ramps add up to ``max(t - tau, 0)`` at every step, so that the potentials of the next layer are those of continuous time
at all steps, and are taken as linear in between. Without it spike times are rounded up to the grid.

Backward, with ``g[t] = dL/dS[t]`` for the spike train S that the neuron emits, ``d`` the derivative of L by the spike time, and
``t' = tau`` for an exact ramp, else ``t*``:

    step:  d = -g[t*]                 dL/dX[s] = -d                 for s <= t*, else 0     (dt*/dV taken as -1)
    ramp:  d = g[t*+1] - g[t*]        dL/dX[s] = -d (t' - s) / A    for s <  t*, else 0     (implicit function theorem)
    exact ramp:  d = g[t*] - g[t*-1]

with ``g[T] = 0``. Behind a layer ``X = W S`` these are the published rules: ``d_j = sum_i w_ij d_i`` for a step and
``sum_i w_ij d_i / A_i`` for a ramp, over the neurons i that fire no earlier (step) or later (ramp) than j, and
``dt_i/dw_ij = -1`` or ``(t_j - t_i) / A_i``. For exact times they are the derivatives of what the simulation computes.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from snncore.coding import check_positive, check_timesteps
from snncore.neurons.blocks import column_blocks
from snncore.neurons.first_spike import refuse_nan

Postsynaptic = Literal["step", "ramp"]


class SpikeTimeNeuron(nn.Module):
    """Currents in, at most one spike per neuron out; gradients are those of the spike time.

    ``forward(currents [T, B, ...]) -> spikes [T, B, ...]`` in {0, 1}, or one spike over two steps where times are exact.
    ``times(currents) -> [B, ...]`` for the last layer.

    S4NN is the step; STDBP the ramp with exact times. TQ-TTFS is known here by its idea alone, a TTFS neuron whose spike times
    are quantised; it is read as the ramp on a coarse grid of T steps, the rounding taken as the identity in the backward pass.

    Args:
        threshold: ``v``, in units of the currents (step) or of the currents times steps (ramp).
        timesteps: T, at least 2: with one step, time carries no information.
        postsynaptic: potential that follows a spike, ``"step"`` or ``"ramp"``.
        forced_spike: whether a neuron that stays silent is taken to fire at T, one step after the last. No spike is emitted;
            without it, a silent neuron passes no gradient.
        unit_error: whether ``dL/dt`` of the layer is scaled to a length of 1/B for each sample (S4NN; B samples, so that
            gradients of weights are means).
        slope_floor: least A that a gradient of the ramp is divided by; ``v / T``, the least constant slope that reaches the
            threshold within T steps, unless given. A is positive where a neuron fires, but can be close to 0.
        exact: keep spike times between two steps (ramp only).

    Raises:
        ValueError: fewer than two timesteps, a threshold or floor that is not positive and finite, an unknown potential, exact
            times of a step.
    """

    def __init__(
        self,
        threshold: float,
        timesteps: int,
        postsynaptic: Postsynaptic = "step",
        forced_spike: bool = False,
        unit_error: bool = False,
        slope_floor: float | None = None,
        exact: bool = False,
    ) -> None:
        super().__init__()
        if postsynaptic not in get_args(Postsynaptic):
            raise ValueError(f"unknown postsynaptic potential {postsynaptic!r}; known: {', '.join(get_args(Postsynaptic))}")
        if exact and postsynaptic == "step":
            raise ValueError("a potential that grows by steps crosses its threshold at a step: exact times need the ramp")
        self.timesteps = check_timesteps(timesteps, least=2)
        self.exact = exact
        self.threshold = check_positive("threshold", threshold)
        self.postsynaptic = postsynaptic
        self.forced_spike = forced_spike
        self.unit_error = unit_error
        self.slope_floor = self.threshold / timesteps if slope_floor is None else check_positive("slope_floor", slope_floor)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        flags = [name for name in ("exact", "forced_spike", "unit_error") if getattr(self, name)]
        return ", ".join([f"threshold={self.threshold:g}, timesteps={self.timesteps}, {self.postsynaptic}", *flags])

    def forward(self, currents: Tensor) -> Tensor:
        """Spike trains ``[T, B, ...]`` for currents ``[T, B, ...]``.

        Raises:
            ValueError: the first dimension is not T; NaN, which is no silence.
        """
        spikes: Tensor = _Train.apply(self.times(currents), self)
        return spikes

    def times(self, currents: Tensor) -> Tensor:
        """Spike times ``[B, ...]`` in steps for currents ``[T, B, ...]``; T for a silent neuron.

        Raises:
            ValueError: the first dimension is not T; NaN, which is no silence.
        """
        if currents.dim() < 2 or currents.shape[0] != self.timesteps:
            raise ValueError(f"expected currents [T={self.timesteps}, B, ...], got a tensor of shape {tuple(currents.shape)}")
        times: Tensor = _Crossing.apply(currents, self)
        return times


class _Crossing(torch.autograd.Function):
    """Currents to spike times."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, neuron: SpikeTimeNeuron) -> Tensor:
        x = currents.reshape(neuron.timesteps, -1)
        times, slope = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
        for block in column_blocks(x.shape[1], x.device):
            if neuron.postsynaptic == "step":
                _cross_step(x[:, block], neuron.threshold, times[block])
            else:
                _cross_ramp(x[:, block], neuron.threshold, times[block], slope[block], neuron.exact)
        ctx.neuron = neuron
        ctx.save_for_backward(times, slope)
        return times.view(currents.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        neuron: SpikeTimeNeuron = ctx.neuron
        times, slope = ctx.saved_tensors
        error = gradients[0]
        if not neuron.forced_spike:
            error = error * (times < neuron.timesteps).view_as(error)
        if neuron.unit_error:
            length = error.flatten(1).norm(dim=1) * error.shape[0]
            error = error / torch.where(length > 0, length, 1).view(-1, *[1] * (error.dim() - 1))
        scale = error.reshape(-1).neg()
        if neuron.postsynaptic == "ramp":
            scale = scale / slope.clamp(min=neuron.slope_floor)
        result = gradients[0].new_empty(neuron.timesteps, *gradients[0].shape)
        out = result.view(neuron.timesteps, -1)
        for block in column_blocks(out.shape[1], out.device):
            _backward(times[block], scale[block], out[:, block], neuron.postsynaptic)
        return result, None


def _cross_step(x: Tensor, threshold: float, times: Tensor) -> None:
    """Add the steps before the first crossing to ``times``."""
    potential, below = torch.zeros_like(times), torch.empty_like(times)
    silent = torch.ones_like(times)
    for current in x:
        potential += current
        silent *= torch.lt(potential, threshold, out=below)
        times += silent
    refuse_nan(potential)


def _cross_ramp(x: Tensor, threshold: float, times: Tensor, slope: Tensor, exact: bool) -> None:
    """Add the steps before the first crossing to ``times``, and the slope there to ``slope``."""
    potential, below = torch.zeros_like(times), torch.empty_like(times)
    silent = torch.ones_like(times)
    for current in x:  # a neuron that has fired keeps the potential and the slope of that moment
        potential.addcmul_(slope, silent)
        silent *= torch.lt(potential, threshold, out=below)
        slope.addcmul_(current, silent)
        times += silent
    refuse_nan(potential, slope)
    if exact:
        times -= torch.where(silent > 0, 0, (potential - threshold) / torch.where(slope > 0, slope, 1))


def _backward(times: Tensor, scale: Tensor, out: Tensor, postsynaptic: Postsynaptic) -> None:
    """Write ``dL/dX`` into ``out [T, N]``."""
    for step, row in enumerate(out):
        if postsynaptic == "step":
            torch.ge(times, step, out=row)
        else:
            torch.sub(times, step, out=row).clamp_(min=0)
        row *= scale


class _Train(torch.autograd.Function):
    """Spike times to spike trains; the gradient is that of the time for the neuron's own potential."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, neuron: SpikeTimeNeuron) -> Tensor:
        spikes = times.new_zeros(neuron.timesteps, *times.shape)
        last = neuron.timesteps - 1
        fired = (times <= last).to(times.dtype).unsqueeze(0)
        # An exact time is above 0; where rounding makes it 0, all of the spike still goes to step 0.
        steps = times.ceil().clamp(int(neuron.exact), last).long().unsqueeze(0)
        late = fired
        if neuron.exact:
            late = (times.unsqueeze(0) - (steps - 1)) * fired
            spikes.scatter_(0, steps - 1, fired - late)
        spikes.scatter_(0, steps, late)
        ctx.neuron = neuron
        ctx.save_for_backward(steps)
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (steps,) = ctx.saved_tensors
        neuron: SpikeTimeNeuron = ctx.neuron
        (g,) = gradients
        if neuron.exact:
            return (g.gather(0, steps) - g.gather(0, steps - 1)).squeeze(0), None
        error = g.gather(0, steps).neg_()
        if neuron.postsynaptic == "ramp":
            last = neuron.timesteps - 1
            error += g.gather(0, (steps + 1).clamp(max=last)) * (steps < last)
        return error.squeeze(0), None
