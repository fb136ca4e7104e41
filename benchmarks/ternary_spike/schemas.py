"""The tables of this room: their columns, with units and bounds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.tables import runs as kit
from benchmarks.tables.schema import Column, published_keys
from benchmarks.ternary_spike.energy import COUNTED
from benchmarks.ternary_spike.settings import PAPER

percent = partial(Column, kind="float", minimum=0, maximum=100)
EPOCHS = Column("epochs", "int", minimum=1)
ACCURACY = percent("snn_metric", doc="test accuracy in %, mean over seeds")
FIRING = percent("firing_percent", doc="neurons with a spike, of either sign, mean over steps")
EFFORT = (FIRING, *kit.EFFORT, kit.N_TEST)
OVER_SEEDS = (kit.SEEDS, ACCURACY, *kit.SPREAD, kit.VALIDATION, *EFFORT)
BEST = percent("best_on_test", doc="highest test accuracy after any epoch, %; nothing is chosen by it")
T = Column("timesteps", "int", nullable=False, minimum=1)
SETTING = (*(Column(name, "text", nullable=False) for name in ("dataset", "architecture", "method")), T)
BY_LAYER = (*SETTING, Column("layer", "int", nullable=False, minimum=1, doc="neurons, in the order of computation"))
NAMED = ("row", "dataset", "architecture", "method", "timesteps")
UNTRAINED = ("validation", "firing_percent", "training_images", "epochs")
"""Columns that are empty for a network that was converted."""
ACCURACIES = {
    name: kit.schema(
        name, published_keys(PAPER, name, NAMED), *OVER_SEEDS, optional=(*kit.SINGLE, *(UNTRAINED if name == "table2" else ()))
    )
    for name in ("table1", "table2", "table3", "table4")
}
"""Tables 1 to 4: accuracies as printed, and the means over our runs."""
METHODS = kit.schema("methods", SETTING, *OVER_SEEDS, optional=kit.SINGLE)
RUNS = kit.schema(
    "runs", (*SETTING, kit.SEED), ACCURACY, *kit.WILSON, BEST, kit.VALIDATION, *EFFORT, version=2, optional=(BEST.name,)
)
CONTROLS, EVENTS = replace(RUNS, name="controls"), replace(RUNS, name="events")
EPOCH = Column("epoch", "int", nullable=False, minimum=0, doc="epochs of training")
CURVES = kit.schema("curves", (*SETTING, EPOCH), kit.VALIDATION, kit.SEEDS)
AMPLITUDES = kit.schema(
    "amplitudes",
    BY_LAYER,
    Column("amplitude", "float", 4, doc="after training, mean over seeds; 1 before", atol=1e-3),
    Column("firing", "float", 4, minimum=0, maximum=1, doc="share of neurons with a spike", atol=1e-3),
    kit.SEEDS,
)
GRADIENT = Column("gradient", "sci", 3, minimum=0, doc="norm of dL/dx over the currents of a layer, before training")
GRADIENTS = kit.schema("gradients", BY_LAYER, GRADIENT)
FOLDING = kit.schema(
    "folding",
    SETTING,
    percent("same_percent", doc="test images whose logits stay within 1e-12, in float64"),
    Column("images", "int", minimum=1, doc="over all seeds"),
    kit.SEEDS,
)
size = partial(Column, kind="float", decimals=3, minimum=0)
RATES = ("printed", "measured")
TABLE5 = kit.schema(
    "table5",
    (
        *published_keys(PAPER, "table5", ("row", "method", "timesteps")),
        Column("counted", "text", nullable=False, choices=COUNTED, doc="which operations; see energy.py"),
        Column("rates", "text", nullable=False, choices=RATES, doc="whose firing rate"),
    ),
    size("rate_percent", maximum=100, doc="neurons with a spike, of either sign, mean over steps"),
    size("counted_flops_m", doc="millions of multiply-accumulates for one image"),
    size("counted_sops_m", doc="millions of synaptic operations"),
    size("counted_sign_m", doc="millions of comparisons for spikes"),
    size("counted_energy_uj", doc="µJ by the paper's constants"),
    size("energy_tmn_uj", doc="µJ at 4.6 pJ per FLOP and 0.9 pJ per synaptic operation"),
    replace(EPOCHS, doc="behind a measured rate"),
    optional=("epochs",),
)
potential = partial(Column, kind="float", decimals=3, atol=1e-2)
FIGURE2 = kit.schema(
    "figure2",
    BY_LAYER,
    potential("mean", doc="potential before the reset, in units of twice the threshold"),
    potential("std", minimum=0, doc="over neurons, steps and test images"),
    kit.SEEDS,
    EPOCHS,
)
DENSITY = kit.schema(
    "figure2_density",
    (*BY_LAYER, Column("potential", "float", 3, nullable=False, doc="middle of the bin; both ends are open")),
    Column("density", "float", 4, minimum=0, atol=1e-2),
)
