"""The tables of this room: their columns, with units and bounds."""

from __future__ import annotations

from functools import partial

from benchmarks.ettfs.settings import INITIALIZATIONS, PAPER
from benchmarks.tables import runs as kit
from benchmarks.tables.analytic import analytic_schema
from benchmarks.tables.energy import ACS
from benchmarks.tables.runs import N_TEST, SEED, SEEDS, SINGLE, VALIDATION
from benchmarks.tables.schema import Column, published_keys

word, place = partial(Column, kind="text", nullable=False), partial(Column, kind="int", nullable=False)
size = partial(Column, kind="float", decimals=3, minimum=0)
percent = partial(size, maximum=100)
share = partial(Column, kind="float", decimals=5, minimum=0, maximum=1, atol=1e-3)
price = partial(Column, kind="sci", decimals=4, minimum=0)

NETWORK = (word("dataset"), word("network"))
RUN = (*NETWORK, word("method"), word("variant", doc="what of ETTFS is on"))
ENCODING = word("encoding", doc="direct: constant currents; latency, random: one spike per input")
INITIALIZATION, LAYER = word("initialization", choices=tuple(INITIALIZATIONS)), place("layer", minimum=1)
EPOCH = place("epoch", minimum=0, doc="0 is before training")
T = Column("timesteps", "int", minimum=1, doc="T")
DECISION = Column("decision_step", "float", 3, minimum=1, doc="mean step of the first output spike; T + 1 if silent")
SPIKES = Column("spikes_per_neuron", "float", 4, minimum=0, maximum=1, doc="mean over all neurons and images")
OVER_SEEDS = (
    *(T, SEEDS),
    percent("snn_metric", doc="test accuracy in %, mean over seeds"),
    *(*kit.SPREAD, VALIDATION, DECISION, SPIKES),
    percent("tied_percent", doc="images with several first classes", rtol=5e-2),
    percent("silent_percent", doc="images without an output spike", rtol=5e-2),
    *(*kit.EFFORT, N_TEST),
)
PRINTED = ("row", "dataset", "method", "network", "initialization", "average_pooling")
TABLE1, TABLE2, TABLE3 = (
    kit.schema(name, published_keys(PAPER, name, PRINTED), *OVER_SEEDS, optional=SINGLE)
    for name in ("table1", "table2", "table3")
)
DECODERS = kit.schema("decoders", (*NETWORK, word("decoder")), *OVER_SEEDS, optional=SINGLE)
FORCED = kit.schema(
    "forced",
    (*NETWORK, word("trained", choices=("forced", "free"))),
    SEEDS,
    percent("accuracy_forced", doc="% with the forced last spike"),
    percent("accuracy_free", doc="% without it"),
    Column("gain_free", "float", 3, atol=0.05, doc="points gained by dropping it, mean over seeds"),
    Column("gain_low", "float", 3, atol=0.1, doc="95 % interval over seeds"),
    Column("gain_high", "float", 3, atol=0.1),
    N_TEST,
    optional=("gain_low", "gain_high"),
)
ACCURACY = Column("snn_metric", "float", minimum=0, maximum=100, doc="test accuracy in %")
TRAINED = percent("train_accuracy", doc="over the batches of the last epoch")
RUNS = kit.schema("runs", (*RUN, SEED), ACCURACY, N_TEST, *kit.WILSON, VALIDATION, TRAINED, *kit.EFFORT, DECISION)
COST = kit.schema(
    "cost",
    RUN,
    *(T, SPIKES),
    Column("hidden_step", "float", 3, minimum=1, doc="mean step of hidden spikes"),
    DECISION,
    Column("decision_p95", "int", minimum=1, doc="step by which 95 % of the images are decided"),
    ACS,
    price("acs_exit", doc="accumulates per image until the first output spike"),
    price("macs", doc="multiply-accumulates per image: analog first layer, computed once"),
    price("energy_mj", doc="mJ per image at 4.6 pJ per MAC, 0.9 pJ per AC"),
    price("energy_exit_mj", doc="the same with early exit"),
    N_TEST,
)
OF_LAYER = place("layer", minimum=0, doc="0 is the first spike of any output neuron")
SPIKE_TIMES = kit.schema(
    "spike_times",
    (*RUN, OF_LAYER, place("step", minimum=1, doc="T + 1: no spike")),
    share("share", doc="of neurons times images", rtol=5e-2),
)
OVER_EPOCHS = (
    size("train_loss", decimals=5, doc="mean over the batches of the epoch; empty before training"),
    percent("train_accuracy", doc="% over the batches of the epoch"),
    size("validation_loss", decimals=5),
    percent("validation_accuracy", doc="%"),
    percent("silent_percent", doc="images without an output spike", atol=0.5),
    share("firing_last_hidden", doc="share of neurons that fire"),
)
CURVES, FIGURE4, FIGURE8 = (
    kit.schema(name, (*keys, SEED, EPOCH), *OVER_EPOCHS, version=version, optional=("train_loss", "train_accuracy"))
    for name, version, keys in (("curves", 1, RUN), ("figure4", 2, (ENCODING, INITIALIZATION)), ("figure8", 1, (INITIALIZATION,)))
)
STEP = place("step", minimum=0, doc="training step; 0 is the first batch")
FIGURE9 = kit.schema("figure9", (INITIALIZATION, LAYER, STEP), share("firing", doc="share of neurons that fire"))
STATE = (ENCODING, INITIALIZATION, LAYER)
FIGURE1 = kit.schema(
    "figure1",
    STATE,
    share("fired", doc="share of neurons that fire", atol=1e-4),
    Column("mean", "float", 4, atol=1e-3, doc="membrane potential before firing, in units of the threshold"),
    size("variance", decimals=4, atol=1e-3, doc="of the potential over neurons, images and steps"),
    size("current_variance", decimals=5, atol=1e-4, doc="Var(X[t]), which ETTFS sets to 1"),
)
POTENTIAL = Column("potential", "float", 4, nullable=False, doc="middle of the bin, in thresholds; ends are open")
FIGURE2 = kit.schema("figure2", (*STATE, POTENTIAL), size("density", decimals=5, rtol=5e-2, atol=1e-3))
MEDIAN = price("median", decimals=3, doc="median |dL/dw| over the weights of the layer, one batch")
FIGURE5 = kit.schema("figure5", STATE, MEDIAN, price("mean", decimals=3, doc="mean |dL/dw|"))
ANALYTIC = analytic_schema(Column("value", "float", 5, doc="see quantity", rtol=1e-6, atol=1e-5))
