"""Operations of a spiking network of time-first layers, counted while it runs."""

from __future__ import annotations

import math
from functools import partial
from itertools import zip_longest
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.methods.spike_time_layers import LatencyLinear, fired_spikes, whole_spikes
from benchmarks.methods.spike_time_neuron import SpikeTimeNeuron
from snncore.coding import latency_steps
from snncore.counts import Counts, LayerCounts, NeuronCounts
from snncore.neurons import FirstSpikeNeuron


class TrainCounter:
    """Counts in a network of time-first layers while it runs: ``with TrainCounter(layers) as counter: layers(x)``.

    Every convolution and linear layer counts its input. Spikes ``[T, B, ...]`` cost one accumulate per synapse that they
    reach; an analog input ``[1, B, ...]``, which stays the same at every step, multiply-accumulates, once. Average pooling
    must have been merged (`benchmarks.measurements.pooling.merge_average_pooling`).

    Attributes:
        accumulates: per layer, ``[T, B]`` of the last batch: what the spikes of each step of each image cost.
        multiplications: per analog layer and image, for one presentation.
        counts: sums over all images that ran.

    Raises:
        ValueError: the input of a layer is neither analog nor single spikes.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.accumulates: dict[str, Tensor] = {}
        self.multiplications: dict[str, float] = {}
        self.counts = Counts()
        self._first: str | None = None
        self._handles: list[Any] = []
        self._fan_outs: dict[tuple[str, tuple[int, ...], bool], Tensor] = {}

    def __enter__(self) -> TrainCounter:
        for name, layer in self.network.named_modules():
            hook: Any = None
            if isinstance(layer, LatencyLinear):
                hook = partial(self._latency_values, name)
            elif isinstance(layer, (nn.Linear, nn.Conv2d)):
                hook = partial(self._train, name)
            elif isinstance(layer, (FirstSpikeNeuron, SpikeTimeNeuron)):
                hook = partial(self._neuron, name)
            if hook is not None:
                self._handles.append(layer.register_forward_hook(hook))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def _train(self, name: str, module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        train, operations = inputs[0], layer_operations(module, out.shape[2:])
        shape = tuple(train.shape[2:])
        self._count_images(name, train.shape[1])
        if train.shape[0] == 1:
            self.multiplications[name] = float(operations)
            layer = self._layer(name, LayerCounts("constant", math.prod(shape), operations, operations))
            layer.multiplications = _plus(layer.multiplications, [float(operations * train.shape[1])])
            return
        per_step = []
        for step in self._whole(name, train):
            channels_last = step.dim() == 4 and step.is_contiguous(memory_format=torch.channels_last)
            rows = (step.permute(0, 2, 3, 1) if channels_last else step).flatten(1)
            weights = self._weights(name, module, shape, channels_last)
            per_step.append(rows @ weights.to(rows))
        layer = LayerCounts("spikes", math.prod(shape), int(weights[:, 1].sum()), operations)
        self._arrived(name, layer, torch.stack(per_step))

    def _whole(self, name: str, train: Tensor) -> Tensor:
        """Spikes in {0, 1}; those with exact times count at the step at or after their time."""
        if all(torch.equal(step * step, step) for step in train):
            return train
        whole = whole_spikes(train)
        if not torch.allclose(whole.sum(0), train.sum(0)):
            raise ValueError(f"layer {name} sees more than spikes in {{0, 1}}; merge average pooling before counting")
        return whole

    def _weights(self, name: str, module: nn.Module, shape: tuple[int, ...], channels_last: bool) -> Tensor:
        """Ones and the fan-out of each input, ``[P, 2]``."""
        key = (name, shape, channels_last)
        if key not in self._fan_outs:
            fans = fan_out(module, shape)
            fans = (fans.movedim(0, -1) if channels_last else fans).flatten()
            self._fan_outs[key] = torch.stack([torch.ones_like(fans), fans], 1)
        return self._fan_outs[key]

    @torch.no_grad()
    def _latency_values(self, name: str, module: LatencyLinear, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        images, values = inputs[0].shape
        self._count_images(name, images)
        steps = latency_steps(inputs[0], module.timesteps)  # [B, N]
        spikes = torch.stack([(steps == t).sum(1) for t in range(module.timesteps)]).to(steps.dtype)  # [T, B]
        neurons = out.shape[2]
        layer = LayerCounts("spikes", values, values * neurons, values * neurons)
        self._arrived(name, layer, torch.stack([spikes, spikes * neurons], 2))

    @torch.no_grad()
    def _neuron(self, name: str, module: nn.Module, _: tuple[Tensor, ...], spikes: Tensor) -> None:
        fired = self.counts.neuron_layers.setdefault(name, NeuronCounts(math.prod(spikes.shape[2:]), spikes.shape[0]))
        spikes = fired_spikes(module, spikes)
        each = spikes.sum(tuple(range(2, spikes.dim()))).double().sum(1)
        fired.positive, fired.negative = _plus(fired.positive, each.tolist()), [0.0] * len(each)

    def _arrived(self, name: str, new: LayerCounts, counts: Tensor) -> None:
        """Spikes and accumulates ``[T, B, 2]`` of a layer."""
        self.accumulates[name] = counts[..., 1]
        self.counts.timesteps = counts.shape[0]
        layer = self._layer(name, new)
        spikes, accumulates = counts.double().sum(1).T.tolist()
        layer.positive, layer.negative = _plus(layer.positive, spikes), [0.0] * len(spikes)
        layer.accumulates = _plus(layer.accumulates, accumulates)

    def _layer(self, name: str, new: LayerCounts) -> LayerCounts:
        return self.counts.layers.setdefault(name, new)

    def _count_images(self, name: str, images: int) -> None:
        self._first = self._first or name
        self.counts.images += images if name == self._first else 0


def _plus(sums: list[float], more: list[float]) -> list[float]:
    return [a + b for a, b in zip_longest(sums, more, fillvalue=0.0)]


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
