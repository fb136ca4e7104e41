"""TMN's Table 3 audited on paper: printed energies recomputed from printed counts, and what they rest on."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, EnergyTable, Operations

UNITS = {"M": Decimal(10) ** 6, "G": Decimal(10) ** 9}
MAC_PJ, AC_PJ = Decimal(str(TMN_TABLE.mac_pj)), Decimal(str(TMN_TABLE.ac_pj))
OTHERS = ("COS", "Fast-SNN")


def printed_count(text: str) -> Decimal:
    """``258.35M`` as a number; nothing printed is 0."""
    return Decimal(text[:-1]) * UNITS[text[-1]] if text else Decimal(0)


def printed_energy(acs: str, macs: str) -> tuple[Decimal, Decimal]:
    """Energy in mJ from printed counts such as ``258.35M`` (empty: none), and how far their rounding can move it."""
    energy = slack = Decimal(0)
    for text, picojoule in ((acs, AC_PJ), (macs, MAC_PJ)):
        scale = picojoule * Decimal("1e-9")
        energy += printed_count(text) * scale
        slack += rounding(text) * scale
    return energy, slack


def rounding(text: str) -> Decimal:
    """Half a unit in the last printed place of a count."""
    return half_digit(Decimal(text[:-1])) * UNITS[text[-1]] if text else Decimal(0)


def half_digit(value: Decimal) -> Decimal:
    """Half a unit in the last printed place."""
    return Decimal(5).scaleb(int(value.as_tuple().exponent) - 1)


def implied_accumulates(row: pd.Series) -> Decimal:
    """Accumulates that the printed energy would need beside the printed multiply-accumulates."""
    return (Decimal(str(row["energy_mj_paper"])) * 10**9 - printed_count(row["macs_paper"]) * MAC_PJ) / AC_PJ


def follows(row: pd.Series) -> bool:
    """Whether the printed energy is that of the printed counts, up to their last digits."""
    energy, slack = printed_energy(row["acs_paper"], row["macs_paper"])
    printed = Decimal(str(row["energy_mj_paper"]))
    return abs(energy - printed) <= slack + half_digit(printed)


def first_layers(rows: pd.DataFrame) -> dict[str, tuple[Decimal, Decimal]]:
    """Per data set, between what bounds one first layer lies if the printed multiply-accumulates are T of them.

    Raises:
        ValueError: they are not the same multiple of T in all rows, up to their last digits.
    """
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for dataset, group in rows[rows["timesteps"].notna()].groupby("dataset", sort=False):
        steps = [Decimal(int(t)) for t in group["timesteps"]]
        macs = [(printed_count(text), rounding(text)) for text in group["macs_paper"]]
        low = max((count - half) / t for (count, half), t in zip(macs, steps, strict=True))
        high = min((count + half) / t for (count, half), t in zip(macs, steps, strict=True))
        if low > high:
            raise ValueError(f"{dataset}: multiply-accumulates are no common multiple of T")
        found[str(dataset)] = low, high
    return found


def ratios(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Energy of TMN over that of each other method, per data set and method, by the way of accounting."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for dataset, group in rows.groupby("dataset", sort=False):
        by = {row["method"]: row for _, row in group.iterrows()}
        for other in OTHERS:
            each = {name: [energy(by[method]) for method in ("TMN", other)] for name, energy in ACCOUNTS.items()}
            found[str(dataset), other] = {name: ours / theirs for name, (ours, theirs) in each.items()}
    return found


def _counted(row: pd.Series, constants: EnergyTable, once: bool = False) -> float:
    macs = float(printed_count(row["macs_paper"])) / (row["timesteps"] if once else 1)
    return constants.millijoules(Operations(macs, float(printed_count(row["acs_paper"]))))


ACCOUNTS = {
    "as printed": lambda row: float(row["energy_mj_paper"]),
    "recomputed": lambda row: _counted(row, TMN_TABLE),
    "first layer once": lambda row: _counted(row, TMN_TABLE, once=True),
    "Ternary Spike's constants": lambda row: _counted(row, TERNARY_SPIKE_TABLE),
}
"""Ways of accounting, from the printed counts alone; spikes are not printed, so that the signs of Ternary Spike's table are 0."""
