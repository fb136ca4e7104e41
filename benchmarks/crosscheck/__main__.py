"""Compare our counts with syops layer by layer, then show each deviation: ``tox -e crosscheck``. Exit 1 where they differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.crosscheck import rule
from benchmarks.crosscheck.deviations import deviations
from benchmarks.crosscheck.networks import candidates
from benchmarks.crosscheck.syops_side import counted, engine
from benchmarks.errors import CannotRun
from snncore import SpikingNetwork
from snncore.conversion import OperationCounter
from snncore.conversion.operations import SpikingLayer, Sum, Synapses

TOLERANCE = 1e-3
"""Largest relative difference behind the corrections."""

Line = tuple[str, float, float, float]


def compare(network: SpikingNetwork, images: Tensor) -> Iterator[Line]:
    """Of each layer that syops knows: name, our exact operations, ours by syops's rule, those of syops."""
    with OperationCounter(network) as counts:
        network(images)
    layers = {name: _module(layer) for name, layer in network.layers.items() if isinstance(layer, Synapses)}
    network.layers.update(layers)  # syops knows the modules of torch.nn alone
    theirs = counted(network, lambda: network(images))
    for step in network.steps:
        if (module := layers.get(step.name)) is not None:
            (acs, macs), exact = theirs[module], (counts.accumulates | counts.multiplications)[step.name]
            if counts.layers[step.name].input != "spikes":
                yield step.name, exact, rule.multiplications(counts, step.name, module), macs
            elif _is_pooled(network, step.inputs[0]):
                yield step.name, exact, rule.of_pooled_spikes(counts, step.name, module), macs
            else:
                yield step.name, exact, rule.accumulates(counts, step.name, module), acs


def _module(layer: Synapses) -> nn.Module:
    """The same layer as a module of ``torch.nn``."""
    outputs, inputs, *kernel = layer.weight.shape
    if not kernel:
        made: nn.Module = nn.Linear(inputs, outputs, layer.bias is not None)
    else:
        given = {name: layer.node[name] for name in ("stride", "padding", "dilation", "groups")}
        size: Any = tuple(kernel)
        made = nn.Conv2d(inputs * given["groups"], outputs, size, **given, bias=layer.bias is not None)
    made.load_state_dict(layer.state_dict())
    return made


def _is_pooled(network: SpikingNetwork, name: str) -> bool:
    """Whether the spikes of a step come out of a pooling."""
    module = network.layers[name]
    if isinstance(module, Sum):
        return True
    inputs = next(step.inputs for step in network.steps if step.name == name)
    return not isinstance(module, SpikingLayer) and any(n in network.layers and _is_pooled(network, n) for n in inputs)


def _relative(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / max(abs(theirs), 1.0)


def main() -> int:
    """Print all comparisons; 1 if a layer or a predicted deviation is off, 2 without syops."""
    console, failed = Console(width=130), 0
    try:
        engine()  # before any work
        for name, (network, images) in candidates().items():
            table = Table("layer", "exact", "by syops's rule", "syops", "difference", "syops - exact", title=name)
            for layer, exact, ours, theirs in compare(network, images):
                off = _relative(ours, theirs)
                failed += off > TOLERANCE
                share = f"{100 * (theirs / exact - 1):+.2f} %" if exact else ""
                table.add_row(layer, f"{exact:,.0f}", f"{ours:,.1f}", f"{theirs:,.1f}", f"{100 * off:.4f} %", share)
            console.print(table)
        table = Table("deviation", "syops: AC, MAC", "there are", "why", title="Where syops deviates, each counted by hand")
        for case in deviations():
            found = case.measure()
            wrong = any(_relative(a, b) > TOLERANCE for a, b in zip(found, case.syops, strict=True))
            failed += wrong
            said = f"{found[0]:g}, {found[1]:g}" + (f" (predicted {case.syops[0]:g}, {case.syops[1]:g})" if wrong else "")
            table.add_row(case.name, said, f"{case.exact[0]:g}, {case.exact[1]:g}", case.why)
        console.print(table)
    except CannotRun as error:
        console.print(f"snnbench: {error}", style="red", soft_wrap=True)
        return 2
    console.print(f"{failed} disagreements" if failed else "All layers agree within 0.1 %, and every deviation is as predicted.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
