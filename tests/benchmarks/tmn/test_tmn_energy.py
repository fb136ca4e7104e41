"""The energies and the operations of trained networks that TMN's Table 3 prints."""

from __future__ import annotations

import pytest
import torch

from benchmarks.models import build_model
from benchmarks.published import read_published
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, Operations
from snncore.synapses import trained_operations

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


def test_operations_of_the_trained_networks_of_table_3() -> None:
    with torch.device("meta"):
        cifar, imagenet = build_model("vgg16", 10), build_model("torchvision/vgg16", 1000)
        small, large = torch.empty(2, 3, 32, 32), torch.empty(1, 3, 224, 224)
    operations = trained_operations(cifar, small)
    assert round(sum(operations.values()) / 1e6, 2) == 313.60
    assert next(iter(operations.values())) == 3 * 9 * 64 * 32**2 + 64 * 32**2  # 1.835 M, printed times T
    assert round(sum(trained_operations(imagenet, large).values()) / 1e9, 2) == 15.49


def _number(printed: str) -> float:
    if not printed:
        return 0.0
    return float(printed[:-1]) * UNITS[printed[-1]]
