"""``snnbench speed-training``: a training step here and in SpikingJelly's single-step loop, measured side by side."""

from __future__ import annotations

import importlib
import resource
import sys
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich.table import Table
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.harness.commands.common import AsJson, console, interleaved, print_json
from benchmarks.harness.commands.speed_deep import JELLY, deep_costs
from benchmarks.methods.ettfs import ETTFS
from snncore.neurons.first_spike import FirstSpikeNeuron


def speed_training_command(
    layout: Annotated[
        str, typer.Option("--layout", help="Network for images of 28x28, or a residual one for 32x32, e.g. ResNet20-w16.")
    ] = "784-400-10",
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", min=2, help="T.")] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per batch.")] = 128,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Interleaved repetitions; the median is printed.")] = 15,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Time forward and backward pass of a first-spike network beside the same network in SpikingJelly, step by step.

    Both have the same weights, and the gradients are compared before they are timed. CPU time counts, so that other work on
    the machine disturbs little; memory is the peak of the process after the steps of this project's network alone.

    A residual layout has ternary neurons, beside SpikingJelly's; logits are compared, and memory is what is saved for the
    backward pass. Its neurons are timed compiled as well where there is a C++ compiler.

    Examples: snnbench speed-training | snnbench speed-training --layout ResNet20-w16 -T 4 --batch 64 --repeats 5
    """
    torch.set_num_threads(threads)
    if layout.startswith("ResNet"):
        times, saved = deep_costs(layout, timesteps, batch, repeats)
        setting: dict[str, Any] = {"layout": layout, "timesteps": timesteps, "batch": batch, "threads": threads}
        base = {"seconds": times[JELLY], "saved_mb": saved[JELLY]}
        rows = {name: {"seconds": times[name], "saved_mb": saved[name]} for name in times}
        if as_json:
            print_json(setting | {"networks": rows})
            return
        table = Table("training step", "ms", "ratio", "saved MB", "ratio")
        table.title = f"{layout}, T = {timesteps}, {batch} images, {threads} thread(s)"
        for name, row in rows.items():
            ratios = [f"{row[each] / base[each]:.2f}" for each in base]
            table.add_row(name, f"{1e3 * row['seconds']:.1f}", ratios[0], f"{row['saved_mb']:.1f}", ratios[1])
        console.print(table)
        return
    source = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 1, 28, 28, generator=source)
    labels = torch.randint(0, 10, (batch,), generator=source)
    ours = ETTFS().build(layout, (1, 28, 28), 10, timesteps)
    ETTFS().initialize(ours, source)
    ours.to(memory_format=torch.channels_last)
    before = _peak_mb()
    _step(ours, images, labels)
    _step(ours, images, labels)
    memory = _peak_mb()
    loop = _loop(ours)
    _same_gradients(ours, loop, images, labels)
    networks = {"here": ours, "SpikingJelly, single-step": loop}
    times = interleaved({name: partial(_step, network, images, labels) for name, network in networks.items()}, repeats)
    ratio = times["here"] / times["SpikingJelly, single-step"]
    if as_json:
        setting = {"layout": layout, "timesteps": timesteps, "batch": batch, "threads": threads}
        print_json(setting | {"seconds": times, "ratio": ratio, "peak_mb": memory})
        return
    table = Table("training step", "ms", "ratio", title=f"{layout}, T = {timesteps}, {batch} images, {threads} thread(s)")
    for name, seconds in times.items():
        table.add_row(name, f"{1e3 * seconds:.1f}", f"{seconds / times['SpikingJelly, single-step']:.2f}")
    console.print(table)
    console.print(f"peak memory of the process, this project's network alone: {memory:.0f} MB ({before:.0f} MB before)")


def _step(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]


def _loop(network: Any) -> nn.Module:
    """The network of an ETTFS classifier in SpikingJelly's terms, on the same weights."""
    try:
        base = importlib.import_module("spikingjelly.activation_based.base")
        neuron = importlib.import_module("spikingjelly.activation_based.neuron")
        surrogate = importlib.import_module("spikingjelly.activation_based.surrogate")
    except ImportError as error:
        raise CannotRun(f"this comparison needs SpikingJelly ({error}); pip install spikingjelly") from error

    class Node(neuron.IFNode):  # type: ignore[misc, name-defined]
        """An IF node that fires once and is not reset."""

        v: Any
        fired: Any

        def __init__(self, like: FirstSpikeNeuron) -> None:
            super().__init__(like.threshold, None, surrogate.ATan(like.surrogate.alpha), step_mode="s")
            self.register_memory("fired", 0.0)

        def single_step_forward(self, x: Tensor) -> Tensor:
            self.v = self.v + x
            spike: Tensor = self.surrogate_function(self.v - self.v_threshold) * (1 - self.fired)
            self.fired = self.fired + spike
            return spike

    class Loop(nn.Module):
        """One step after the other, as in SpikingJelly's tutorials."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*[Node(m) if isinstance(m, FirstSpikeNeuron) else m for m in network.layers])

        def forward(self, images: Tensor) -> Tensor:
            for module in self.layers.modules():
                if isinstance(module, base.MemoryModule):
                    module.reset()
            weights = network.decode.weights.to(images.dtype) * network.decode.scale
            total = torch.zeros(())
            for weight in weights:
                total = total + weight * self.layers(images[None])[0]
            return total

    return Loop()


def _same_gradients(ours: nn.Module, loop: nn.Module, images: Tensor, labels: Tensor) -> None:
    found = []
    for network in (ours, loop):
        _step(network, images, labels)
        found.append([weights.grad.clone() for weights in ours.parameters() if weights.grad is not None])
    for mine, theirs in zip(*found, strict=True):
        # Potentials that differ in their last bits may cross the threshold at another step in a few neurons.
        if float((mine - theirs).norm()) > 0.02 * float(theirs.norm()):
            raise CannotRun("the two networks have different gradients, so that their times cannot be compared")


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
