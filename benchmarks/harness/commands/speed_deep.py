"""A training step of a deep ternary network here and with SpikingJelly's ternary neurons: CPU time, and memory for gradients."""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.harness.commands.common import interleaved
from benchmarks.methods import direct_method
from benchmarks.models.spiking_resnet import SpikingResNet, initialize
from snncore.neurons.compiled import compiling
from snncore.time_first import BatchNorm2d

JELLY, HERE, COMPILED = "SpikingJelly", "here", "here, compiled"


def deep_costs(layout: str, timesteps: int, batch: int, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of CPU time, and megabytes saved for the backward pass, of a training step by network.

    The networks have the same weights and 32x32 images; SpikingJelly's sees the image at every step, as its users repeat it.
    CannotRun without SpikingJelly's ternary neuron, for an unknown layout, and where the two do not agree.
    """
    source = torch.Generator().manual_seed(0)
    images, labels = torch.rand(batch, 3, 32, 32, generator=source), torch.randint(0, 10, (batch,), generator=source)
    ours = direct_method("Ternary spike").build(layout, (3, 32, 32), 10, timesteps).layers
    initialize(ours, source)
    theirs = _jelly(layout, timesteps)
    theirs.load_state_dict(ours.state_dict())
    ours.to(memory_format=torch.channels_last)
    repeated = images[:, None].repeat(1, timesteps, 1, 1, 1)
    _same_logits(ours, theirs, repeated[:8])
    steps: dict[str, Callable[[], None]] = {
        JELLY: partial(_step, theirs, repeated, labels),
        HERE: partial(_step, ours, images.contiguous(memory_format=torch.channels_last), labels),
    }
    steps |= {COMPILED: partial(_with_compiler, steps[HERE])} if _with_compiler(compiling) else {}
    return interleaved(steps, repeats), {name: _saved(step, [ours, theirs]) for name, step in steps.items()}


def _step(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    F.cross_entropy(network(images).mean(0), labels).backward()  # type: ignore[no-untyped-call]


@torch.no_grad()
def _same_logits(ours: nn.Module, theirs: nn.Module, images: Tensor) -> None:
    """In float64; in float32 a single spike that turns, for sums are rounded otherwise, changes the statistics of the batch."""
    found, expected = (copy.deepcopy(network).double()(images.double()) for network in (ours, theirs))
    if not torch.allclose(found, expected, rtol=1e-9, atol=1e-9):
        raise CannotRun("the two networks have different logits, so that their times cannot be compared")


def _with_compiler(call: Callable[[], Any]) -> Any:
    before = os.environ.get("SNNCORE_COMPILE", "0")
    os.environ["SNNCORE_COMPILE"] = "1"
    try:
        return call()
    finally:
        os.environ["SNNCORE_COMPILE"] = before


def _saved(step: Callable[[], None], networks: list[nn.Module]) -> float:
    """Megabytes of the tensors that a step saves for its backward pass, each once, without weights and running statistics."""
    own = {tensor.untyped_storage().data_ptr() for each in networks for tensor in each.state_dict().values()}
    kept: dict[int, Tensor] = {}  # of which the addresses cannot be given to others meanwhile

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own) / 1e6


def _jelly(layout: str, timesteps: int) -> nn.Module:
    """The same network with SpikingJelly's ternary neurons, threshold 1/2 and decay 1/4, and the rectangle that is ours."""
    try:
        neuron = importlib.import_module("spikingjelly.activation_based.neuron")
        surrogate = importlib.import_module("spikingjelly.activation_based.surrogate")
        kind = neuron.TernaryLIFNode
    except (ImportError, AttributeError) as error:
        raise CannotRun(f"this comparison needs SpikingJelly 2 ({error}); pip install 'spikingjelly>=2'") from error

    class Node(kind):  # type: ignore[misc, valid-type]
        """A neuron that starts every train at rest."""

        def forward(self, currents: Tensor) -> Tensor:
            self.reset()
            train: Tensor = super().forward(currents)
            return train

    def node(channels: int, reaches_sum: bool) -> nn.Module:
        rectangle = surrogate.Rect(alpha=1.0)
        made: nn.Module = Node(4 / 3, False, 0.5, 0.0, rectangle, step_mode="m")
        return made

    return SpikingResNet(layout, 3, 10, timesteps, node, lambda channels, adds: BatchNorm2d(channels))
