"""Claims that need no data: identities checked exactly, and the toy model of Theorem 3.2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from torch import Tensor

from benchmarks.methods import method, threshold_rule
from benchmarks.tables.analytic import Case
from snncore.coding import CSSCode
from snncore.conversion import tmn
from snncore.neurons import MomentumNeuron, SpikingNeuron

CAPACITIES: dict[str, Callable[[int], int]] = {
    "rate": lambda timesteps: timesteps + 1,
    "ttfs": lambda timesteps: timesteps + 1,
    "binary": lambda timesteps: 2**timesteps,
    "css": lambda timesteps: 2 ** (timesteps + 1) - 1,
}
"""Number of distinguishable values of so many steps (TMN paper, Fig. 1d); binary and css weight spikes by powers of two."""


def enumerate_values(code: str, timesteps: int) -> set[int]:
    """Every integer that some spike train of ``code`` stands for, by enumerating all trains (exponential in T).

    TTFS values are counted by spike time, T for the first step down to 1 for the last and 0 for silence.
    """
    if code == "ttfs":
        return {sum(timesteps - t for t in range(timesteps) if t == first) for first in range(timesteps + 1)}
    digits, base = {"rate": ((0, 1), 1), "binary": ((0, 1), 2), "css": ((-1, 0, 1), 2)}[code]
    weights = [base ** (timesteps - 1 - t) for t in range(timesteps)]
    return {sum(w * s for w, s in zip(weights, train, strict=True)) for train in product(digits, repeat=timesteps)}


def momentum_difference(beta: float, timesteps: int) -> float:
    """Largest ``|u[T] - sum_t beta**(T-t) (z[t] - v s[t])|`` over random integer currents, ``v`` = 8 (Prop. 3.1).

    Whole currents and ``beta`` = 2 make both sides integers, so that equality is exact; other ``beta`` are exact up to
    rounding in float64.
    """
    generator = torch.Generator().manual_seed(31)
    currents = torch.randint(-6, 7, (timesteps, 10_000), generator=generator).double()
    neuron = MomentumNeuron(8.0, timesteps, beta=beta, precharge=0, gate="none")
    spikes, residual = _run(neuron, currents)
    weights = CSSCode(timesteps, beta).weights()[:, None]
    return float((residual * neuron.reset - (weights * (currents - 8.0 * spikes)).sum(0)).abs().max())


def gate_mismatches(beta: float, timesteps: int, by_rule: bool = False) -> float:
    """Number of all ``3**T`` trains on which the gate of the first spike differs from a ReLU of the value.

    A current ``v s[t]`` makes a neuron without pre-charge fire exactly ``s``, before its gate. It refuses the gate below
    ``beta`` = 2: there, or ``by_rule``, the rule itself is counted.
    """
    trains = torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=timesteps)), dtype=torch.float64).T.contiguous()
    if by_rule or beta < 2:
        first = torch.zeros(trains.shape[1])
        for step in trains:
            first = torch.where(first == 0, step, first)
        gated = trains * (first >= 0)
    else:
        gated = MomentumNeuron(1.0, timesteps, beta=beta, precharge=0)(trains)
    return float((gated != trains * (CSSCode(timesteps, beta).decode(trains) >= 0)).any(0).sum())


def residual_energy(ratio: float, spread: float) -> float:
    """``E[u[T]**2] / v**2`` after 10 steps of i.i.d. currents uniform in ``(-spread v, spread v)`` (Theorem 3.2)."""
    generator = torch.Generator().manual_seed(32)
    currents = (torch.rand((10, 200_000), generator=generator, dtype=torch.float64) * 2 - 1) * spread
    neuron = MomentumNeuron(1.0, 10, beta=2.0, precharge=0, ratio=ratio, gate="none")
    return float(_run(neuron, currents)[1].square().mean())


def firing_threshold(neuron: Callable[[float, int], SpikingNeuron]) -> float:
    """Smallest current, of 0.01, 0.02, ..., that makes the preset fire in its first firing step, over the full threshold.

    For one pre-charge step the current comes in that step alone, so that the potential grows by beta, as the threshold does.
    """
    sizes = torch.arange(1, 121, dtype=torch.float64) / 100
    currents = torch.zeros(4, len(sizes), dtype=torch.float64)
    currents[0] = sizes
    return float(sizes[neuron(1.0, 4)(currents)[0] > 0].min())


def _run(neuron: SpikingNeuron, currents: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes, and what they leave on the membrane in units of the reset."""
    residuals: list[Tensor] = []
    neuron.observer = lambda _, __, residual: residuals.append(residual)
    return neuron(currents), residuals[0]


IDENTITY = "largest difference of u[T] and weighted integration"
GATE = "trains gated wrongly by the first spike"
ENERGY = "E[u^2]/v^2, uniform currents"
PRESET = "predictive over full threshold, as it fires"
BASES = ((2.0, 4), (2.0, 8), (2.0, 16), (1.5, 8))
PRESETS: dict[str, Callable[[float, int], SpikingNeuron]] = {
    "neuron": MomentumNeuron,
    "neuron, TMN preset": MomentumNeuron.tmn,
    "conversion by default": lambda *given: tmn().neuron(*given),
    "method TMN": lambda *given: method("TMN").conversion(threshold_rule("maximum")).neuron(*given),
}

CASES = (
    *(Case("T01", IDENTITY, f"beta={beta}, T={t}", partial(momentum_difference, beta, t)) for beta, t in BASES),
    *(Case("T23", GATE, f"beta={beta}, T={t}", partial(gate_mismatches, beta, t)) for beta in (2.0, 1.5) for t in range(1, 9)),
    *(
        Case("T02", ENERGY, f"spread={spread}v, theta={ratio:.2f}v", partial(residual_energy, ratio, spread))
        for spread in (0.5, 0.75, 1.0)
        for ratio in (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)
    ),
    *(Case("Sec. 3.3", PRESET, name, partial(firing_threshold, preset)) for name, preset in PRESETS.items()),
)
