"""Energy tables: the printed energies of both papers, and tables of a user."""

import pytest

from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE, EnergyTable, Operations

WHOLE = {"mac_pj": 2.0, "ac_pj": 1, "sign_pj": 0, "update_pj": 0.5}


def test_printed_energies_follow_from_printed_counts() -> None:
    # TMN Table 3, row 4; Ternary Spike Table 5, binary and ternary row
    assert TMN_TABLE.millijoules(Operations(macs=5.51e6, acs=149.83e6)) == pytest.approx(0.1602, abs=5e-5)
    binary, ternary = Operations(3.54e6, 71.20e6, signs=0.11e6), Operations(3.54e6, 79.21e6, signs=0.23e6)
    assert TERNARY_SPIKE_TABLE.millijoules(binary) == pytest.approx(50.14e-3, abs=5e-6)
    assert TERNARY_SPIKE_TABLE.millijoules(ternary) == pytest.approx(51.20e-3, abs=5e-6)


def test_the_papers_disagree_about_the_same_counts() -> None:
    binary, ternary = Operations(3.54e6, 71.20e6), Operations(3.54e6, 79.21e6)
    ratios = [table.millijoules(ternary) / table.millijoules(binary) - 1 for table in (TMN_TABLE, TERNARY_SPIKE_TABLE)]
    assert ratios[0] == pytest.approx(0.0897, abs=1e-4) and ratios[1] < 0.0125


def test_a_table_of_a_user() -> None:
    table = EnergyTable.of("mine", WHOLE)
    assert table.millijoules(Operations(macs=3, acs=5, signs=7, updates=11)) == pytest.approx((6 + 5 + 5.5) * 1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ac_pj": None}, "lacks ac_pj .* write 0"),
        ({"ac_pj": None, "update_pj": None}, "lacks ac_pj, update_pj"),
        ({"joule": 1.0}, "unknown constants joule; known: mac_pj"),
        ({"mac_pj": -1.0}, "mac_pj must be a number of picojoules from 0 up, got -1.0"),
        ({"mac_pj": float("nan")}, "mac_pj must be a number"),
        ({"mac_pj": float("inf")}, "mac_pj must be a number"),
        ({"mac_pj": "4.6"}, "mac_pj must be a number"),
        ({"mac_pj": True}, "mac_pj must be a number"),
    ],
)
def test_tables_that_are_refused(change: dict[str, object], said: str) -> None:
    constants = {key: value for key, value in (WHOLE | change).items() if value is not None}
    with pytest.raises(ValueError, match=f"energy table 'mine'.*{said}"):
        EnergyTable.of("mine", constants)
