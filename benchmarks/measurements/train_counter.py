"""Operations of a spiking network of time-first layers, counted while it runs."""

from __future__ import annotations

import math
from functools import partial
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.methods.spike_time_layers import LatencyLinear, whole_spikes
from snncore.coding import latency_steps


class TrainCounter:
    """Counts in a network of time-first layers while it runs: ``with TrainCounter(layers) as counter: layers(x)``.

    Every convolution and linear layer counts its input. Spikes ``[T, B, ...]`` cost one accumulate per synapse that they
    reach; an analog input ``[1, B, ...]``, which stays the same at every step, multiply-accumulates, once. Average pooling
    must have been merged (`benchmarks.measurements.pooling.merge_average_pooling`).

    Attributes:
        accumulates: per layer, ``[T, B]`` of the last batch: what the spikes of each step of each image cost.
        multiplications: per analog layer and image, for one presentation.

    Raises:
        ValueError: the input of a layer is neither analog nor single spikes.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.accumulates: dict[str, Tensor] = {}
        self.multiplications: dict[str, float] = {}
        self._handles: list[Any] = []
        self._fan_outs: dict[tuple[str, bool], Tensor] = {}

    def __enter__(self) -> TrainCounter:
        for name, layer in self.network.named_modules():
            if isinstance(layer, (LatencyLinear, nn.Linear, nn.Conv2d)):
                count = self._latency_values if isinstance(layer, LatencyLinear) else self._train
                self._handles.append(layer.register_forward_hook(partial(count, name)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def _train(self, name: str, module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        train = inputs[0]
        if train.shape[0] == 1:
            self.multiplications[name] = float(layer_operations(module, out.shape[2:]))
            return
        per_step = []
        for step in self._whole(name, train):
            channels_last = step.dim() == 4 and step.is_contiguous(memory_format=torch.channels_last)
            rows = (step.permute(0, 2, 3, 1) if channels_last else step).flatten(1)
            per_step.append(rows @ self._fan_out(name, module, step.shape[1:], channels_last).to(rows))
        self.accumulates[name] = torch.stack(per_step)

    def _whole(self, name: str, train: Tensor) -> Tensor:
        """Spikes in {0, 1}; those with exact times count at the step at or after their time."""
        if all(torch.equal(step * step, step) for step in train):
            return train
        whole = whole_spikes(train)
        if not torch.allclose(whole.sum(0), train.sum(0)):
            raise ValueError(f"layer {name} sees more than spikes in {{0, 1}}; merge average pooling before counting")
        return whole

    def _fan_out(self, name: str, module: nn.Module, shape: tuple[int, ...], channels_last: bool) -> Tensor:
        """The fan-out of each input, ``[P]``."""
        if (name, channels_last) not in self._fan_outs:
            fans = fan_out(module, shape)
            self._fan_outs[name, channels_last] = (fans.movedim(0, -1) if channels_last else fans).flatten()
        return self._fan_outs[name, channels_last]

    @torch.no_grad()
    def _latency_values(self, name: str, module: LatencyLinear, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        steps = latency_steps(inputs[0], module.timesteps)  # [B, N]
        spikes = torch.stack([(steps == t).sum(1) for t in range(module.timesteps)]).to(steps.dtype)  # [T, B]
        self.accumulates[name] = spikes * out.shape[2]


def fan_out(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Number of synapses that each input position ``[C, ...]`` of a layer drives, float64; padding counted exactly."""
    if isinstance(layer, nn.Linear):
        return torch.full(shape, float(layer.out_features), dtype=torch.float64)
    assert isinstance(layer, nn.Conv2d)
    with torch.enable_grad():
        x = torch.zeros(1, 1, *shape[1:], dtype=torch.float64, requires_grad=True)  # all channels alike
        ones = torch.ones(1, 1, *layer.kernel_size, dtype=torch.float64)
        out = F.conv2d(x, ones, None, layer.stride, layer.padding, layer.dilation)
        (gradient,) = torch.autograd.grad(out.sum(), x)
    return (gradient[0] * (layer.out_channels // layer.groups)).expand(shape)


def layer_operations(layer: nn.Module, out: torch.Size) -> int:
    """Dense operations of a layer on one image: weights times output positions, and the bias."""
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    outputs = math.prod(out)
    return layer.weight.numel() * (outputs // layer.weight.shape[0]) + (outputs if layer.bias is not None else 0)
