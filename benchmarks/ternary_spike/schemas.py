"""The tables of this room: their columns, with units and bounds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.tables.artifacts import STATUS_COLUMNS
from benchmarks.tables.schema import Column, TableSchema, published_keys
from benchmarks.ternary_spike.energy import COUNTED
from benchmarks.ternary_spike.settings import PAPER

ACCURACY = Column("snn_metric", "float", minimum=0, maximum=100, doc="test accuracy in %, mean over seeds")
VALIDATION = Column("validation", "float", 3, minimum=0, maximum=100, doc="accuracy on the validation images, %", rtol=1e-2)
FIRING = Column("firing_percent", "float", minimum=0, maximum=100, doc="neurons with a spike, of either sign, mean over steps")
EFFORT = (
    FIRING,
    Column("training_images", "int", minimum=1, doc="images that a network was trained on"),
    Column("epochs", "int", minimum=1),
    Column("n_test", "int", minimum=1),
)
OVER_SEEDS = (
    Column("seeds", "text", doc="training seeds"),
    ACCURACY,
    Column("std", "float", 3, minimum=0, rtol=5e-2, doc="its standard deviation over seeds, in points"),
    Column("ci95_low", "float", 3, doc="95 % interval of the mean over seeds (Student's t)"),
    Column("ci95_high", "float", 3, doc="its upper end"),
    VALIDATION,
    *EFFORT,
)
SINGLE = ("std", "ci95_low", "ci95_high")
"""Columns that are empty for a single seed."""
SETTING = tuple(Column(name, "text", nullable=False) for name in ("dataset", "architecture", "method"))
T, SEED = Column("timesteps", "int", nullable=False, minimum=1), Column("seed", "int", nullable=False, minimum=0)
NAMED = ("row", "dataset", "architecture", "method", "timesteps")
ACCURACIES = {
    name: TableSchema(name, 1, published_keys(PAPER, name, NAMED), (*OVER_SEEDS, *STATUS_COLUMNS), optional=SINGLE)
    for name in ("table1", "table2", "table3", "table4")
}
"""Tables 1 to 4: accuracies as printed, and the means over our runs."""
METHODS = TableSchema("methods", 1, (*SETTING, T), (*OVER_SEEDS, *STATUS_COLUMNS), optional=SINGLE)
INTERVAL = (Column("ci95_low", "float", doc="Wilson's 95 % interval over test images"), Column("ci95_high", "float"))
BEST = Column(
    "best_on_test", "float", minimum=0, maximum=100, doc="highest test accuracy after any epoch, %; nothing is chosen by it"
)
RUNS = TableSchema(
    "runs", 2, (*SETTING, T, SEED), (ACCURACY, *INTERVAL, BEST, VALIDATION, *EFFORT, *STATUS_COLUMNS), optional=(BEST.name,)
)
CONTROLS, EVENTS = replace(RUNS, name="controls"), replace(RUNS, name="events")
CURVES = TableSchema(
    "curves",
    1,
    (*SETTING, T, Column("epoch", "int", nullable=False, minimum=0, doc="epochs of training")),
    (VALIDATION, Column("seeds", "text", doc="training seeds, over which the mean is taken"), *STATUS_COLUMNS),
)
LAYER = Column("layer", "int", nullable=False, minimum=1, doc="neurons, in the order of computation")
AMPLITUDES = TableSchema(
    "amplitudes",
    1,
    (*SETTING, T, LAYER),
    (
        Column("amplitude", "float", 4, doc="after training, mean over seeds; 1 before", atol=1e-3),
        Column("firing", "float", 4, minimum=0, maximum=1, doc="share of neurons with a spike", atol=1e-3),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)
GRADIENTS = TableSchema(
    "gradients",
    1,
    (*SETTING, T, LAYER),
    (
        Column("gradient", "sci", 3, minimum=0, doc="norm of dL/dx over the currents of a layer, before training", rtol=1e-2),
        *STATUS_COLUMNS,
    ),
)
FOLDING = TableSchema(
    "folding",
    1,
    (*SETTING, T),
    (
        Column("same_percent", "float", minimum=0, maximum=100, doc="test images whose logits stay within 1e-12, in float64"),
        Column("images", "int", minimum=1, doc="over all seeds"),
        Column("seeds", "text"),
        *STATUS_COLUMNS,
    ),
)
size = partial(Column, kind="float", decimals=3, minimum=0)
RATES = ("printed", "measured")
TABLE5 = TableSchema(
    "table5",
    1,
    (
        *published_keys(PAPER, "table5", ("row", "method", "timesteps")),
        Column("counted", "text", nullable=False, choices=COUNTED, doc="which operations; see energy.py"),
        Column("rates", "text", nullable=False, choices=RATES, doc="whose firing rate"),
    ),
    (
        size("rate_percent", maximum=100, doc="neurons with a spike, of either sign, mean over steps"),
        size("counted_flops_m", doc="millions of multiply-accumulates for one image"),
        size("counted_sops_m", doc="millions of synaptic operations"),
        size("counted_sign_m", doc="millions of comparisons for spikes"),
        size("counted_energy_uj", doc="µJ by the paper's constants"),
        size("energy_tmn_uj", doc="µJ at 4.6 pJ per FLOP and 0.9 pJ per synaptic operation"),
        Column("epochs", "int", minimum=1, doc="behind a measured rate"),
        *STATUS_COLUMNS,
    ),
    optional=("epochs",),
)
potential = partial(Column, kind="float", decimals=3, atol=1e-2)
FIGURE2 = TableSchema(
    "figure2",
    1,
    (*SETTING, T, LAYER),
    (
        potential("mean", doc="potential before the reset, in units of twice the threshold"),
        potential("std", minimum=0, doc="over neurons, steps and test images"),
        Column("seeds", "text"),
        Column("epochs", "int", minimum=1),
        *STATUS_COLUMNS,
    ),
)
DENSITY = TableSchema(
    "figure2_density",
    1,
    (*SETTING, T, LAYER, Column("potential", "float", 3, nullable=False, doc="middle of the bin; both ends are open")),
    (Column("density", "float", 4, minimum=0, atol=1e-2), *STATUS_COLUMNS),
)
