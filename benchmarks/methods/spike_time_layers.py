"""Layers, readouts and losses of networks that are trained through spike times (S4NN, BS4NN, STDBP, TQ-TTFS)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snncore.coding import check_timesteps, latency_steps


def relative_targets(times: Tensor, labels: Tensor, margin: float, timesteps: int) -> Tensor:
    """Target firing times of S4NN, ``[B, C]``, relative to the earliest output spike ``tau`` of each sample.

    The neuron of the label shall fire at ``tau``, others that fire before ``tau + margin`` at ``min(tau + margin, T)``, and
    the rest may stay. Where every output is silent (``tau = T``), the neuron of the label shall fire at ``T - margin``.

    Args:
        times: ``[B, C]`` in steps, T for a silent neuron.
        labels: ``[B]``, class indices.
        margin: ``gamma``, in steps.
        timesteps: T.

    Raises:
        ValueError: a margin that is not positive or exceeds T.
    """
    if not 0 < margin <= timesteps:
        raise ValueError(f"margin must be positive and at most T={timesteps}, got {margin!r}")
    times = times.detach()
    earliest = times.amin(1, keepdim=True)
    later = (earliest + margin).clamp(max=timesteps)
    targets = torch.where(times < later, later.expand_as(times), times)
    own = torch.where(earliest >= timesteps, timesteps - margin, earliest)
    return targets.scatter(1, labels.unsqueeze(1), own)


def relative_target_loss(times: Tensor, labels: Tensor, margin: float, timesteps: int) -> Tensor:
    """Half the squared distance, in units of T, of firing times ``[B, C]`` from ``relative_targets``; mean over samples."""
    distance = (times - relative_targets(times, labels, margin, timesteps)) / timesteps
    return distance.square().sum(1).mean() / 2


def whole_spikes(spikes: Tensor) -> Tensor:
    """Trains ``[T, ...]`` of single spikes in {0, 1} from trains with exact times, which spread a spike over two steps.

    A spike counts at the first step at or after its time; trains that are whole already stay as they are.
    """
    fires = spikes > 0
    whole = fires.clone()
    whole[:-1] &= ~fires[1:]
    return whole.to(spikes.dtype)


def fired_spikes(neuron: nn.Module, spikes: Tensor) -> Tensor:
    """Trains ``[T, ...]`` that ``neuron`` gave, as whole spikes: only one with exact times (its attribute) spreads them."""
    return whole_spikes(spikes) if getattr(neuron, "exact", False) else spikes


class EarliestSpikePool2d(nn.Module):
    """Max pooling in time: a window passes the train of its neuron that fires first, so at most one spike.

    Trains ``[T, B, C, H, W]`` to ``[T, B, C, H // k, W // k]``. The gradient goes to that neuron alone. Neurons that fire in
    the same step are a tie, which the first in memory order wins.

    Args:
        kernel_size: k, edge of the window and stride.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size < 1:
            raise ValueError(f"kernel_size must be at least 1, got {kernel_size!r}")
        self.kernel_size = kernel_size

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return str(self.kernel_size)

    def forward(self, spikes: Tensor) -> Tensor:
        """Pooled spike trains.

        Raises:
            ValueError: spikes not of shape ``[T, B, C, H, W]``.
        """
        if spikes.dim() != 5:
            raise ValueError(f"expected spikes [T, B, C, H, W], got a tensor of shape {tuple(spikes.shape)}")
        timesteps = spikes.shape[0]
        remaining = torch.arange(timesteps, 0, -1, dtype=spikes.dtype, device=spikes.device)
        earliness = torch.einsum("t,t...->...", remaining, spikes.detach())
        _, winner = F.max_pool2d(earliness, self.kernel_size, return_indices=True)
        trains = spikes.flatten(3).gather(3, winner.flatten(2).expand(timesteps, -1, -1, -1))
        return trains.view(timesteps, *winner.shape)


class BinaryLinear(nn.Linear):
    """Linear layer of binary weights (BS4NN): ``sign(w)`` times one scale, the mean of ``|w|`` over the layer; sign(0) = 1.

    The gradient with respect to the binary weights is applied to the real-valued ``weight`` unchanged (straight-through).
    """

    def binary(self) -> tuple[Tensor, Tensor]:
        """Signs ``[out, in]`` and their scale.

        Apart, because a sum of signs is a whole number, which no order of summation rounds: equal potentials are equal on every
        processor, and their ties are broken alike.
        """
        scale = self.weight.detach().abs().mean(dtype=torch.float64).to(self.weight.dtype)
        signs: Tensor = _Signs.apply(self.weight, scale)
        return signs, scale

    def forward(self, input: Tensor) -> Tensor:
        """``[..., in]`` to ``[..., out]``."""
        signs, scale = self.binary()
        currents = F.linear(input, signs) * scale
        return currents if self.bias is None else currents + self.bias


class _Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradients[0] / scale.clamp(min=torch.finfo(scale.dtype).tiny), None


class LatencyLinear(nn.Module):
    """Linear layer behind latency-coded values: the currents of ``layer(latency_spikes(x, T))`` without the spike trains.

    A value spikes once at most, so the weights of the values that spike in a step are added up instead of multiplied by
    trains of zeros.

    Args:
        layer: ``nn.Linear`` without bias, or ``BinaryLinear``.
        timesteps: T.

    Raises:
        ValueError: a layer with a bias.
    """

    layer: nn.Linear
    timesteps: int

    def __init__(self, layer: nn.Linear, timesteps: int) -> None:
        super().__init__()
        if layer.bias is not None:
            raise ValueError("a layer behind latency-coded values takes no bias")
        self.layer = layer
        self.timesteps = check_timesteps(timesteps)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"timesteps={self.timesteps}"

    def forward(self, x: Tensor) -> Tensor:
        """Currents ``[T, B, out]`` for values ``[B, in]``, which are clipped to [0, 1].

        Raises:
            ValueError: values not of shape ``[B, in]``.
        """
        if x.dim() != 2 or x.shape[1] != self.layer.in_features:
            raise ValueError(f"expected values [B, {self.layer.in_features}], got a tensor of shape {tuple(x.shape)}")
        batch, timesteps = x.shape[0], self.timesteps
        steps = latency_steps(x.detach(), timesteps)
        samples, inputs = (steps >= 0).nonzero(as_tuple=True)
        bags = steps[samples, inputs].long() * batch + samples
        bags, order = bags.sort(stable=True)
        counts = torch.bincount(bags, minlength=timesteps * batch)
        weight, scale = self.layer.binary() if isinstance(self.layer, BinaryLinear) else (self.layer.weight, None)
        sums = F.embedding_bag(inputs[order], weight.t().contiguous(), counts.cumsum(0) - counts, mode="sum")
        sums = sums if scale is None else sums * scale
        return sums.view(timesteps, batch, -1)
