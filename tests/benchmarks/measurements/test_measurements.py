"""Measurements: held to slow, direct computations on a network of four layers."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import single_step_spikes, watching
from torch import Tensor, nn

from benchmarks.measurements import (
    ConversionLoss,
    EncodingError,
    LiveMemory,
    Measurement,
    PipelinedAccuracy,
    ResidualPotential,
    merge,
)
from benchmarks.measurements.lab import Lab
from benchmarks.measurements.residual_potential import BIN_WIDTH, BINS, density
from benchmarks.methods import method, threshold_rule
from benchmarks.profiles import NetworkChoice, load_profile
from snncore import SpikingNetwork
from snncore.conversion import Calibration, OperationCounter, calibrate
from snncore.energy import TMN_TABLE, Operations

CHOICE = NetworkChoice("CIFAR-10", "ResNet-20", "sklearn/digits", "resnet20-thin", "weights")
IMAGES, BATCH = 6, 2


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Linear(48, 4)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.stem(x))
        x = self.relu2(self.branch(x) + x)
        return self.last(torch.flatten(x, 1))


class Bench:
    """Stands in for a lab: one network, six random images."""

    device = "cpu"

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.net = Net().eval()
        source = torch.Generator().manual_seed(6)
        self.images = torch.randn(IMAGES, 1, 4, 4, generator=source)
        self.labels = torch.randint(0, 4, (IMAGES,), generator=source)
        self.calibrated = calibrate(self.net, [self.images])

    def calibration(self, choice: NetworkChoice) -> Calibration:
        return self.calibrated

    def network(self, choice: NetworkChoice) -> nn.Module:
        return self.net

    def converted(self, choice: NetworkChoice, rule: str, name: str, options: Any, timesteps: int) -> SpikingNetwork:
        found = method(name)
        return found.convert(self.calibrated, threshold_rule(rule), timesteps, lambda limit: [self.images], **dict(options))

    def test_batches(self, choice: NetworkChoice, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.images[start:stop].split(BATCH), self.labels[start:stop].split(BATCH), strict=True)


@pytest.fixture
def bench() -> Any:
    return Bench()


def loss(name: str, timesteps: tuple[int, ...], count: bool = False) -> ConversionLoss:
    return ConversionLoss(CHOICE, "maximum", None, name, (), timesteps, count)


# ---- accuracy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rate", "OPI"])
def test_prefixes_of_a_long_run_are_the_short_runs(bench: Any, name: str) -> None:
    steps = (1, 2, 3, 5, 16)
    together = loss(name, steps).run(bench, 0, IMAGES)
    for i, timesteps in enumerate(steps):
        alone = loss(name, (timesteps,)).run(bench, 0, IMAGES)
        assert alone["each_snn"].shape == (IMAGES, 1)
        assert np.array_equal(together["each_snn"][:, i], alone["each_snn"][:, 0])
        assert np.array_equal(together["each_ann"], alone["each_ann"])
    assert len({tuple(column) for column in together["each_snn"].T}) > 1  # the steps do differ


def test_correctness_is_that_of_the_two_networks(bench: Any) -> None:
    measured = loss("TMN", (4,)).run(bench, 0, IMAGES)
    snn = bench.converted(CHOICE, "maximum", "TMN", (), 4)
    assert measured["each_ann"].tolist() == (bench.net(bench.images).argmax(1) == bench.labels).tolist()
    assert measured["each_snn"][:, 0].tolist() == (snn(bench.images).argmax(1) == bench.labels).tolist()


def test_counts_are_those_of_one_run_over_all_images(bench: Any) -> None:
    measured = loss("TMN", (4,), count=True).run(bench, 0, IMAGES)
    snn = bench.converted(CHOICE, "maximum", "TMN", (), 4)
    with OperationCounter(snn) as counts:
        snn(bench.images)
    assert measured["acs"] == sum(counts.accumulates.values()) > 0
    assert measured["macs"] == sum(counts.multiplications.values()) == IMAGES * (3 * 9 * 16 + 3 * 16)
    assert measured["neurons"] == 2 * 48 * IMAGES
    assert measured["spikes"].tolist() == np.sum(list(counts.spikes.values()), axis=0).tolist()
    assert TMN_TABLE.millijoules(Operations(float(measured["macs"]), float(measured["acs"]))) > 0


def test_what_was_adjusted_comes_with_the_accuracy(bench: Any) -> None:
    options = (("precharge", 0), ("negative_spikes", False), ("adjustment", 2))
    measured = ConversionLoss(CHOICE, "maximum", None, "TSA", options, (4,)).run(bench, 0, IMAGES)
    made = bench.converted(CHOICE, "maximum", "TSA", options, 4).adjusted
    rounds, unsettled, worst, largest = measured["same_adjustment"]
    assert (rounds, unsettled) == (made.rounds, len(made.unsettled)) == (2, sum(r > 1 for r in made.residuals.values()))
    assert (worst, largest) == (max(made.residuals.values()), max(made.factors.values())) and largest > 1
    assert "same_adjustment" not in loss("TSA", (4,)).run(bench, 0, IMAGES)


# ---- pipelined accuracy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [0, 1, 3])
def test_the_last_output_of_the_pipeline_is_that_of_the_conversion(bench: Any, silent: int) -> None:
    options = (("precharge", silent),)
    measured = PipelinedAccuracy(CHOICE, "maximum", None, "TSA", options, 5).run(bench, 0, IMAGES)
    whole = ConversionLoss(CHOICE, "maximum", None, "TSA", options, (5,)).run(bench, 0, IMAGES)
    assert measured["each_snn"].shape == (IMAGES, 5)
    assert measured["each_snn"][:, -1].tolist() == whole["each_snn"][:, 0].tolist()
    assert measured["each_ann"].tolist() == whole["each_ann"].tolist()
    assert measured["same_first"] == 2 * silent + 1  # two layers of neurons wait before the output layer


def test_outputs_of_the_pipeline_are_read_after_every_step(bench: Any) -> None:
    measured = PipelinedAccuracy(CHOICE, "maximum", None, "TSA", (), 5).run(bench, 0, IMAGES)
    snn = bench.converted(CHOICE, "maximum", "TSA", (), 5)
    value = torch.zeros(IMAGES, 4)
    for step, (output,) in enumerate(single_step_spikes(snn, bench.images)[1]):
        value = 1.5 * value + output
        assert measured["each_snn"][:, step].tolist() == (value.argmax(1) == bench.labels).tolist()
    assert len({tuple(column) for column in measured["each_snn"].T}) > 1  # the steps do differ


# ---- encoding error ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TMN", "OPI"])
def test_encoding_error_is_that_of_a_direct_computation(bench: Any, name: str) -> None:
    steps = (2, 4)
    measured = EncodingError(CHOICE, "percentile-99.9", None, name, (), steps).run(bench, 0, IMAGES)
    with watching((bench.net.relu1, bench.net.relu2)) as expected:
        bench.net(bench.images)
    for i, timesteps in enumerate(steps):
        snn = bench.converted(CHOICE, "percentile-99.9", name, (), timesteps)
        with watching(snn.neurons.values()) as trains:
            snn(bench.images)
        beta = 2.0 if name == "TMN" else 1.0
        for layer, (train, neuron) in enumerate(zip(trains, snn.neurons.values(), strict=True)):
            value = torch.zeros_like(train[0], dtype=torch.float64)
            for step in train:
                value = beta * value + step
            value *= neuron.threshold / sum(beta**t for t in range(timesteps))
            squares = ((value - expected[layer]) / neuron.threshold).square().sum()
            assert measured["squared_error"][i, layer] == pytest.approx(float(squares), rel=1e-4)
    assert measured["values"].tolist() == [48.0 * IMAGES] * 2 and measured["images"] == IMAGES


def test_no_observer_is_left_behind(bench: Any) -> None:
    snn = bench.converted(CHOICE, "maximum", "TMN", (), 3)
    bench.converted = lambda *_: snn
    EncodingError(CHOICE, "maximum", None, "TMN", (), (3,)).run(bench, 0, 2)
    ResidualPotential(CHOICE, "maximum", None, "TMN", (), 3).run(bench, 0, 2)
    assert all(neuron.observer is None for neuron in snn.neurons.values())


# ---- residual potential -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.4, 0.55])
def test_residual_potential_is_that_of_neurons_stepped_one_by_one(bench: Any, ratio: float) -> None:
    options = (("ratio", ratio),)
    measured = ResidualPotential(CHOICE, "maximum", None, "TMN", options, 3).run(bench, 0, IMAGES)
    snn = bench.converted(CHOICE, "maximum", "TMN", options, 3)
    with watching(snn.neurons.values(), inputs=True) as currents:
        snn(bench.images)
    sums, per_neuron = np.zeros((2, 5)), []
    for neuron, current in zip(snn.neurons.values(), currents, strict=True):
        state, fired = neuron.start(current[0]), torch.zeros_like(current[0], dtype=torch.bool)
        for t in range(3 + neuron.delay):
            spikes, state = neuron.step(current[t] if t < 3 else None, state)
            if spikes is not None:
                fired |= spikes != 0
        size = neuron.residual(state).abs().double()
        for scope, chosen in enumerate((size.flatten(), size[fired])):
            sums[scope] += [len(chosen), chosen.sum(), chosen.square().sum(), (chosen > 0.5).sum(), (chosen > 1).sum()]
        per_neuron.append(size.sum(0).flatten())
    np.testing.assert_allclose(measured["sums"], sums, rtol=1e-5)
    np.testing.assert_allclose(measured["neurons"], torch.cat(per_neuron), rtol=1e-5)
    assert 0 < sums[1, 0] < sums[0, 0] == 2 * 48 * IMAGES


def test_density_holds_every_neuron_and_integrates_to_one() -> None:
    arrays = {"neurons": np.array([0.0, 0.01, 0.03, 5.0]) * 2, "images": np.array(2.0)}
    found = density(arrays)
    assert len(found) == BINS and found.sum() * BIN_WIDTH == pytest.approx(1)
    assert found[0] * BIN_WIDTH == pytest.approx(0.5) and found[-1] * BIN_WIDTH == pytest.approx(0.25)


# ---- shards, identity -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measurement",
    [
        loss("rate", (2, 4), count=True),
        EncodingError(CHOICE, "maximum", None, "TMN", (), (2, 3)),
        ResidualPotential(CHOICE, "maximum", None, "TMN", (), 3),
        PipelinedAccuracy(CHOICE, "maximum", None, "TSA", (), 4),
        LiveMemory(CHOICE, "maximum", None, "TSA", (), 4),
        ConversionLoss(CHOICE, "maximum", None, "TSA", (("precharge", 0), ("negative_spikes", False), ("adjustment", 2)), (4,)),
    ],
    ids=lambda m: type(m).__name__,
)
def test_shards_joined_in_order_are_the_whole(bench: Any, measurement: Measurement) -> None:
    whole = measurement.run(bench, 0, IMAGES)
    joined = merge([measurement.run(bench, 0, 2), measurement.run(bench, 2, IMAGES)])
    assert joined.keys() == whole.keys()
    for name in whole:
        np.testing.assert_allclose(joined[name], whole[name], rtol=1e-12)
    assert measurement.cost() > 0


def test_merge_appends_what_is_each_and_adds_what_is_not() -> None:
    parts = [{"each_x": np.array([1, 2]), "sum": np.array([1.0, 2.0])}, {"each_x": np.array([3]), "sum": np.array([10.0, 20.0])}]
    joined = merge(parts)  # type: ignore[arg-type]
    assert joined["each_x"].tolist() == [1, 2, 3] and joined["sum"].tolist() == [11.0, 22.0]


def test_merge_keeps_what_is_the_same_in_all_shards() -> None:
    parts = [{"same_first": np.array(20), "same_made": np.array([1.0, 2.0]), "sum": np.array(n)} for n in (1, 2, 3)]
    joined = merge(parts)  # type: ignore[arg-type]
    assert (joined["same_first"], joined["same_made"].tolist(), joined["sum"]) == (20, [1.0, 2.0], 6)
    assert merge(parts[:1]) == parts[0]  # type: ignore[arg-type]


def test_what_a_network_stands_for_is_no_part_of_a_measurement() -> None:
    other = NetworkChoice("ImageNet", "VGG-16", "sklearn/digits", "resnet20-thin", "weights")
    first, second = loss("TMN", (4,)), ConversionLoss(other, "maximum", None, "TMN", (), (4,))
    assert first.identity() == second.identity()
    assert first.identity() != loss("TMN", (5,)).identity() != loss("TMN", (5,), count=True).identity()
    assert first.identity()["measurement"] == "ConversionLoss"


def test_a_lab_travels_without_what_it_has_made() -> None:
    lab = Lab(load_profile("embedded"), (("a", "b"),), True)
    lab._once("something", lambda: object())
    copied = pickle.loads(pickle.dumps(lab))
    assert copied == lab and copied._made == {} and lab._made != {}
