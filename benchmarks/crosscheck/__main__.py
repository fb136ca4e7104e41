"""Compare our counts with syops layer by layer, then show each deviation: ``tox -e crosscheck``. Exit 1 where they differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from snncore.conversion.tracing import module_of
from snncore.counting import OperationCounter
from snncore.synapses import LAYERS
from torch import Tensor, fx

from benchmarks.crosscheck import rule
from benchmarks.crosscheck.deviations import deviations
from benchmarks.crosscheck.networks import candidates
from benchmarks.crosscheck.syops_side import counted, engine
from benchmarks.errors import CannotRun
from snncore import SpikingNetwork
from snncore.conversion.operations import SumPool, Total
from snncore.conversion.rewriting import SpikingLayer

TOLERANCE = 1e-3
"""Largest relative difference behind the corrections."""

Line = tuple[str, float, float, float]


def compare(network: SpikingNetwork, images: Tensor) -> Iterator[Line]:
    """Of each layer that syops knows: name, our exact operations, ours by syops's rule, those of syops."""
    with OperationCounter(network) as counts:
        network(images)
    theirs = counted(network, lambda: network(images))
    for node in network.graph_module.graph.nodes:
        module = module_of(network.graph_module, node)
        if isinstance(module, LAYERS):
            source, (acs, macs) = node.args[0], theirs[module]
            exact = (counts.accumulates | counts.multiplications)[node.name]
            if counts.layers[node.name].input != "spikes":
                yield node.name, exact, rule.multiplications(counts, node.name, module), macs
            elif _is_pooled(network, source):
                yield node.name, exact, rule.of_pooled_spikes(counts, node.name, module), macs
            else:
                yield node.name, exact, rule.accumulates(counts, node.name, module), acs


def _is_pooled(network: SpikingNetwork, node: fx.Node) -> bool:
    """Whether the spikes of ``node`` come out of a pooling."""
    module = module_of(network.graph_module, node)
    if isinstance(module, (SumPool, Total)):
        return True
    source = node.args[0] if node.args else None
    return not isinstance(module, SpikingLayer) and isinstance(source, fx.Node) and _is_pooled(network, source)


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
