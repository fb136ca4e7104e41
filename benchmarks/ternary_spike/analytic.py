"""Numbers that need no data: what a spike can carry, the energy of the printed counts (Table 5), and what those count."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from math import log2
from typing import Any

from benchmarks.published import read_published
from benchmarks.tables.analytic import Case
from benchmarks.ternary_spike.energy import parts
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, EnergyTable, Operations

Printed = dict[Any, Any]
HALF = 0.005
"""Of the last printed digit, of counts in millions and of rates in percent."""


def entropy(*shares: float) -> float:
    """``-sum p log2 p`` in bits."""
    return -sum(p * log2(p) for p in shares)


def energy(row: Printed, costs: EnergyTable) -> float:
    """Energy of a row of Table 5 in microjoules, from its printed counts."""
    return 1000 * costs.millijoules(Operations(*(1e6 * row[name] for name in ("flops_m", "sops_m", "sign_m"))))


def table5() -> dict[str, Printed]:
    """Rows of Table 5 by method."""
    return {row["method"]: row for row in read_published("ternary_spike", "table5").to_dict("records")}


def additions(row: Printed, sign: int) -> float:
    """The least (``sign`` -1) or most (1) additions in millions that round to the printed SOPs, ``s T A``."""
    return 100 * (row["sops_m"] + sign * HALF) / (row["firing_percent"] - sign * HALF) / row["timesteps"]


def cases() -> Iterator[Case]:
    """All cases, by claim."""
    printed = table5()
    rates = {method: row["firing_percent"] / 100 for method, row in printed.items()}
    binary, ternary = rates["Binary spike"], rates["Ternary spike"]
    carried = {"Binary spike": entropy(binary, 1 - binary), "Ternary spike": entropy(ternary / 2, ternary / 2, 1 - ternary)}
    yield Case("N01", "capacity of ternary over binary spikes", "all patterns alike", partial(log2, 3))
    for method, bits in carried.items():
        yield Case("N01", "bits per neuron and step at most", f"{method}, printed rate", partial(float, bits))
    ratio = carried["Ternary spike"] / carried["Binary spike"]
    yield Case("N01", "bits of ternary over binary spikes", "printed rates", partial(float, ratio))
    for constants, costs in (("constants of the paper", TERNARY_SPIKE_TABLE), ("4.6 pJ and 0.9 pJ (TMN)", TMN_TABLE)):
        for method, row in printed.items():
            yield Case("N11", "energy, µJ", f"{method}, {constants}", partial(energy, row, costs))
        extra = 100 * (energy(printed["Ternary spike"], costs) / energy(printed["Binary spike"], costs) - 1)
        yield Case("N11", "extra energy of ternary spikes, %", constants, partial(float, extra))
    for part, count in parts().items():
        yield Case("N11", "operations of ResNet20 in a step, M", part, partial(float, count / 1e6))
    yield Case("N11", "operations of ResNet20 in a step, M", "all", partial(float, sum(parts().values()) / 1e6))
    for (method, row), (end, sign) in product(printed.items(), (("least", -1), ("most", 1))):
        yield Case("N11", "additions behind the printed SOPs, M", f"{method}, {end}", partial(additions, row, sign))
