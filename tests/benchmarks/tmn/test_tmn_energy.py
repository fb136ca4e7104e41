"""The energies that TMN's Table 3 prints."""

from __future__ import annotations

import pytest

from benchmarks.published import read_published
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations

UNITS = {"M": 1e6, "G": 1e9}
INCONSISTENT_IN_PRINT = (2, 7)


def test_energy_of_the_printed_counts_is_the_printed_energy() -> None:
    printed = read_published("tmn", "table3")
    for _, row in printed.iterrows():
        acs, macs = (_number(row[name]) for name in ("acs_paper", "macs_paper"))
        expected = float(row["energy_mj_paper"])
        off = abs(TMN_TABLE.millijoules(Operations(macs, acs)) / expected - 1)
        assert (off > 4e-3) == (row["row"] in INCONSISTENT_IN_PRINT), (row["row"], off)
    assert TMN_TABLE.millijoules(Operations(1e9, 0)) == pytest.approx(4.6)
    assert TMN_TABLE.millijoules(Operations(0, 1e9)) == pytest.approx(0.9)
    assert TERNARY_SPIKE_TABLE.millijoules(Operations(1e9, 1e9)) == pytest.approx(12.577)


def _number(printed: str) -> float:
    if not printed:
        return 0.0
    return float(printed[:-1]) * UNITS[printed[-1]]
