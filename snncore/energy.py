"""From counted operations to energy, by a paper's table of constants or by your own.

Papers price the same operation differently: a multiply-accumulate (MAC) costs 4.6 pJ in TMN's Table 3 and 12.5 pJ in Ternary
Spike's Table 5, an accumulate (AC) 0.9 pJ and 77 fJ. Energies by different tables cannot be compared, so counts come first and
every table prices every kind of operation, with 0 for what it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Operations:
    """Operations of one image.

    ``macs``: multiply-accumulates. ``acs``: accumulates. ``signs``: comparisons for spikes, one per spike of a binary and two
    per spike of a ternary neuron (the convention behind Ternary Spike's Table 5). ``updates``: neuron updates, those of
    pre-charge and pre-simulation steps included.
    """

    macs: float
    acs: float
    signs: float = 0.0
    updates: float = 0.0


@dataclass(frozen=True)
class EnergyTable:
    """Picojoules of each operation; 0 for one that a paper does not charge."""

    name: str
    mac_pj: float
    ac_pj: float
    sign_pj: float
    update_pj: float

    @classmethod
    def of(cls, name: str, constants: Mapping[str, object]) -> EnergyTable:
        """A user's own table.

        Args:
            name: for messages and columns.
            constants: ``mac_pj``, ``ac_pj``, ``sign_pj`` and ``update_pj``.

        Raises:
            ValueError: a constant that is missing, unknown, negative or no finite number, by name.
        """
        known = [field.name for field in fields(cls)[1:]]
        if missing := [key for key in known if key not in constants]:
            raise ValueError(
                f"energy table {name!r} lacks {', '.join(missing)} (pJ per operation); write 0 for what it does not charge"
            )
        if unknown := [key for key in constants if key not in known]:
            raise ValueError(f"energy table {name!r} has unknown constants {', '.join(unknown)}; known: {', '.join(known)}")
        values: dict[str, float] = {}
        for key, value in constants.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"energy table {name!r}: {key} must be a number of picojoules from 0 up, got {value!r}")
            values[key] = float(value)
        return cls(name, **values)

    def millijoules(self, operations: Operations) -> float:
        """Energy of ``operations`` in mJ."""
        picojoules = (
            operations.macs * self.mac_pj
            + operations.acs * self.ac_pj
            + operations.signs * self.sign_pj
            + operations.updates * self.update_pj
        )
        return picojoules * 1e-9


TMN_TABLE = EnergyTable("TMN", mac_pj=4.6, ac_pj=0.9, sign_pj=0.0, update_pj=0.0)
"""45 nm constants of TMN's Table 3 and of syops-counter's documentation."""

TERNARY_SPIKE_TABLE = EnergyTable("Ternary Spike", mac_pj=12.5, ac_pj=0.077, sign_pj=3.7, update_pj=0.0)
"""Constants of Ternary Spike's Table 5, which counts one MAC as one FLOP: 12.5 pJ per FLOP, 77 fJ per SOP, 3.7 pJ per sign."""
