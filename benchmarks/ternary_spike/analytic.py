"""Numbers that need no network: what a spike can carry, and the energy of the printed counts (Table 5)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import log2

from benchmarks.published import read_published
from benchmarks.tables.analytic import Case

PAPER_PJ = (12.5, 0.077, 3.7)
"""Energies of the paper, pJ: of a FLOP, of a synaptic operation, of a comparison."""
SYOPS_PJ = (4.6, 0.9, 0.0)
"""Those of TMN's Table 3: of a multiply-accumulate and of an accumulate."""


def entropy(*shares: float) -> float:
    """``-sum p log2 p`` in bits."""
    return -sum(p * log2(p) for p in shares)


def energy(method: str, costs: tuple[float, float, float]) -> float:
    """Energy of a row of Table 5 in microjoules, from its printed counts."""
    (row,) = (line for line in read_published("ternary_spike", "table5").to_dict("records") if line["method"] == method)
    return sum(cost * float(row[name]) for cost, name in zip(costs, ("flops_m", "sops_m", "sign_m"), strict=True))


def cases() -> Iterator[Case]:
    """All cases, by claim."""
    rates = {row["method"]: row["firing_percent"] / 100 for row in read_published("ternary_spike", "table5").to_dict("records")}
    binary, ternary = rates["Binary spike"], rates["Ternary spike"]
    carried = {"Binary spike": entropy(binary, 1 - binary), "Ternary spike": entropy(ternary / 2, ternary / 2, 1 - ternary)}
    yield Case("N01", "capacity of ternary over binary spikes", "all patterns alike", partial(log2, 3))
    for method, bits in carried.items():
        yield Case("N01", "bits per neuron and step at most", f"{method}, printed rate", partial(float, bits))
    ratio = carried["Ternary spike"] / carried["Binary spike"]
    yield Case("N01", "bits of ternary over binary spikes", "printed rates", partial(float, ratio))
    for constants, costs in (("constants of the paper", PAPER_PJ), ("4.6 pJ and 0.9 pJ (TMN)", SYOPS_PJ)):
        for method in rates:
            yield Case("N11", "energy, µJ", f"{method}, {constants}", partial(energy, method, costs))
        extra = 100 * (energy("Ternary spike", costs) / energy("Binary spike", costs) - 1)
        yield Case("N11", "extra energy of ternary spikes, %", constants, partial(float, extra))
