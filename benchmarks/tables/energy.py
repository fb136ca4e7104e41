"""Columns of operations and energy per image, and what fills them."""

from __future__ import annotations

from benchmarks.measurements import Arrays
from benchmarks.tables.artifacts import Values
from benchmarks.tables.schema import Column

SPIKES = Column("spikes_per_neuron", "float", decimals=4, minimum=0, doc="per image, over all steps")
ACS = Column("acs", "sci", decimals=4, minimum=0, doc="accumulates per image")
MACS = Column("macs", "sci", decimals=4, minimum=0, doc="multiply-accumulates per image, first layer at each step")
MACS_ONCE = Column("macs_once", "sci", decimals=4, minimum=0, doc="the same, first layer computed once")
ENERGY = Column("energy_mj", "sci", decimals=4, minimum=0, doc="mJ per image at 4.6 pJ per MAC (every step), 0.9 pJ per AC")
ENERGY_ONCE = Column("energy_once_mj", "sci", decimals=4, minimum=0, doc="the same, first layer computed once")


def negative_share(decimals: int, atol: float) -> Column:
    """The share of negative spikes."""
    return Column("negative_share", "float", decimals=decimals, minimum=0, maximum=1, doc="negative spikes over all", atol=atol)


def counted(arrays: Arrays) -> Values:
    """What ``ConversionLoss`` counted, per image, under the names of these columns."""
    from snncore.energy import TMN_TABLE, Operations

    images = len(arrays["each_ann"])
    acs, macs, once = (float(arrays[name]) / images for name in ("acs", "macs_every_step", "macs"))
    return {
        "spikes_per_neuron": float(arrays["spikes"].sum()) / float(arrays["neurons"]),
        "negative_share": float(arrays["spikes"][1] / max(arrays["spikes"].sum(), 1)),
        "acs": acs,
        "macs": macs,
        "macs_once": once,
        "energy_mj": TMN_TABLE.millijoules(Operations(macs, acs)),
        "energy_once_mj": TMN_TABLE.millijoules(Operations(once, acs)),
    }
