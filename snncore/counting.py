"""Synaptic operations of a converted network, counted while it runs.

An accumulate (AC) is one spike arriving over one synapse: the count of a layer is ``sum |s| * fan-out``, with the fan-out
of every input position counted exactly (a corner pixel reaches fewer outputs than a central one). A multiply-accumulate
(MAC) is what an analog layer needs: with direct coding the first layer, whose result is constant, so that a machine may
compute it once or at each of the T steps; papers charge it T times. MACs follow the convention of syops-counter: weights
times output positions, padding and bias included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from snncore.coding import latency_spikes
from snncore.conversion.network import SpikingNetwork
from snncore.conversion.operations import AddSpikes, Amplify, SumPool, Total
from snncore.conversion.tracing import CONVOLUTIONS, ChannelAffine, module_of
from snncore.spike_times import LatencyLinear

SYNAPTIC = (*CONVOLUTIONS, nn.Linear, ChannelAffine, SumPool, Total, Amplify)
ANALOG_LAYERS = (*CONVOLUTIONS, nn.Linear)


@dataclass
class Counts:
    """Sums over all images that ran; per-image values are these over ``images``.

    ``accumulates``: per synaptic layer, over all T steps. ``multiplications``: per analog layer, for one presentation.
    ``spikes``: per neuron layer, ``[positive, negative]`` over all T steps. ``neurons``: per neuron layer, per image.
    """

    images: int = 0
    accumulates: dict[str, float] = field(default_factory=dict)
    multiplications: dict[str, float] = field(default_factory=dict)
    spikes: dict[str, list[float]] = field(default_factory=dict)
    neurons: dict[str, int] = field(default_factory=dict)


def energy_mj(macs: float, acs: float, mac_pj: float = 4.6, ac_pj: float = 0.9) -> float:
    """Energy in millijoules of ``macs`` and ``acs`` operations (45 nm constants, as in TMN Table 3)."""
    return (macs * mac_pj + acs * ac_pj) * 1e-9


class OperationCounter:
    """Counts while the network runs in multi-step mode: ``with OperationCounter(network) as counts: network(images)``.

    Adds one pass over the spikes of each layer and no memory that grows with T.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        self.network = network
        self.counts = Counts()
        self._handles: list[Any] = []
        self._fan_outs: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __enter__(self) -> Counts:
        graph_module = self.network.graph_module
        self._handles.append(self.network.register_forward_pre_hook(self._count_images))
        for node in graph_module.graph.nodes:
            module = module_of(graph_module, node)
            if isinstance(module, AddSpikes):
                self._handles.append(module.register_forward_hook(self._accumulate_hook(node.name)))
            if isinstance(module, SYNAPTIC) and isinstance(node.args[0], fx.Node):
                kind = self.network.kind(node.args[0])
                if kind == "spikes":
                    self._handles.append(module.register_forward_hook(self._accumulate_hook(node.name)))
                elif kind == "analog" and isinstance(module, ANALOG_LAYERS):
                    self._handles.append(module.register_forward_hook(self._multiply_hook(node.name)))
        for name, neuron in self.network.neurons.items():
            self._handles.append(neuron.register_forward_hook(self._spike_hook(name)))
        return self.counts

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _count_images(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.counts.images += inputs[0].shape[0]

    def _accumulate_hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            spikes = inputs[-1]
            key = (name, tuple(spikes.shape[1:]))
            if key not in self._fan_outs:
                self._fan_outs[key] = fan_out(module, spikes.shape[1:])
            total = float((_sum_first(spikes.abs()) * self._fan_outs[key]).sum())
            self.counts.accumulates[name] = self.counts.accumulates.get(name, 0.0) + total

        return hook

    def _multiply_hook(self, name: str) -> Any:
        def hook(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
            total = _multiplications(module, out)
            self.counts.multiplications[name] = self.counts.multiplications.get(name, 0.0) + total

        return hook

    def _spike_hook(self, name: str) -> Any:
        def hook(_: nn.Module, __: tuple[Tensor, ...], spikes: Tensor) -> None:
            train = spikes.flatten(0, 1)
            signed, total = float(_sum_first(train).sum()), float(_sum_first(train.abs()).sum())
            positive, negative = self.counts.spikes.setdefault(name, [0.0, 0.0])
            self.counts.spikes[name] = [positive + (total + signed) / 2, negative + (total - signed) / 2]
            self.counts.neurons[name] = spikes[0, 0].numel()

        return hook


class TrainCounter:
    """Counts in a network of time-first layers while it runs: ``with TrainCounter(layers) as counter: layers(x)``.

    Every convolution and linear layer counts its input. Spikes ``[T, B, ...]`` cost one accumulate per synapse that they
    reach; an analog input ``[1, B, ...]``, which stays the same at every step, multiply-accumulates, once. Average pooling
    must have been merged (`snncore.time_first.merge_average_pooling`).

    Attributes:
        accumulates: per layer, ``[T, B]`` of the last batch: what the spikes of each step of each image cost.
        multiplications: per analog layer and image, for one presentation.

    Raises:
        ValueError: the input of a layer is neither analog nor in {0, 1}.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.accumulates: dict[str, Tensor] = {}
        self.multiplications: dict[str, float] = {}
        self._handles: list[Any] = []
        self._fan_outs: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __enter__(self) -> TrainCounter:
        for name, layer in self.network.named_modules():
            if isinstance(layer, LatencyLinear):
                self._handles.append(layer.register_forward_hook(self._latency_hook(name)))
            elif isinstance(layer, ANALOG_LAYERS):
                self._handles.append(layer.register_forward_hook(self._hook(name)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            train = inputs[0]
            if train.shape[0] == 1:
                self.multiplications[name] = _multiplications(module, out) / train.shape[1]
                return
            if not bool(((train == 0) | (train == 1)).all()):
                raise ValueError(f"layer {name} sees more than spikes in {{0, 1}}; merge average pooling before counting")
            key = (name, tuple(train.shape[2:]))
            if key not in self._fan_outs:
                self._fan_outs[key] = fan_out(module, train.shape[2:])
            synapses = self._fan_outs[key].to(train.dtype).flatten()
            self.accumulates[name] = train.flatten(2) @ synapses

        return hook

    def _latency_hook(self, name: str) -> Any:
        def hook(module: LatencyLinear, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            spikes = latency_spikes(inputs[0], module.timesteps)  # [T, B, N]
            self.accumulates[name] = spikes.sum(2) * out.shape[2]

        return hook


def _multiplications(module: nn.Module, out: Tensor) -> float:
    weight: Tensor = module.weight  # type: ignore[assignment]
    positions = out.numel() // weight.shape[0]
    return float(weight.numel() * positions + (out.numel() if module.bias is not None else 0))


def _sum_first(x: Tensor) -> Tensor:
    """Sum over the first dimension as float64; exact for counts, and a matrix product is the fastest way on a CPU."""
    channels_last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    rows = x.permute(0, 2, 3, 1) if channels_last else x
    flat = rows.reshape(x.shape[0], -1)
    total = (flat.new_ones(1, x.shape[0]) @ flat).double().view(rows.shape[1:])
    return total.permute(2, 0, 1) if channels_last else total


def fan_out(module: nn.Module, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Number of synapses that each input position of a layer drives.

    Args:
        module: a synaptic layer.
        shape: of one sample, ``[C, ...]``.

    Returns:
        ``[C, ...]`` float64: the gradient of the summed output of the layer with all weights one.
    """
    with torch.enable_grad():
        x = torch.zeros((1, *shape), dtype=torch.float64, requires_grad=True)
        if isinstance(module, nn.Linear):
            out = F.linear(x, torch.ones(module.weight.shape, dtype=torch.float64))
        elif isinstance(module, CONVOLUTIONS):
            kinds = ((nn.Conv1d, F.conv1d), (nn.Conv2d, F.conv2d), (nn.Conv3d, F.conv3d))
            convolve = next(function for kind, function in kinds if isinstance(module, kind))
            ones = torch.ones(module.weight.shape, dtype=torch.float64)
            out = convolve(x, ones, None, module.stride, module.padding, module.dilation, module.groups)  # type: ignore[operator]
        elif isinstance(module, (AddSpikes, Amplify, ChannelAffine)):
            out = x
        else:
            out = module.forward(x)  # not a call: the counting hooks must not fire
        (gradient,) = torch.autograd.grad(out.sum(), x)
    return gradient[0]
