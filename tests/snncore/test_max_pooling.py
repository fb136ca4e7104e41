"""Max-pooling of spike trains is max-pooling of what they stand for, and spikes stay spikes."""

import copy
import functools
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Recorder, Step, conv, fill, images, layer_of, relative_error, trained_output
from torch import Tensor, nn

from snncore import ConversionMethod, CSSCode, MomentumNeuron, RateCode, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.conversion import Calibration, Maximum
from snncore.conversion.operations import MaxPool
from snncore.conversion.rewriting import SpikingLayer

quick = settings(deadline=None, derandomize=True, max_examples=25)
POOLS = [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1, 1, dilation=1), nn.MaxPool2d((2, 3), ceil_mode=True)]
METHODS: dict[str, tuple[ConversionMethod, int, float]] = {  # with steps, and the error that they leave
    "TMN": (tmn(threshold=Maximum()), 12, 5e-3),
    "TSA": (tsa(threshold=Maximum(), encoding="direct"), 20, 5e-3),
    "rate": (rate(threshold=Maximum()), 64, 0.15),
    "OPI": (opi(threshold=Maximum()), 64, 0.1),
    "FS": (ConversionMethod("FS", MomentumNeuron.few_spikes, Maximum()), 14, 5e-3),
}


def digits(seed: int, steps: int, low: int) -> Tensor:
    """Random trains ``[T, 2, 3, 5, 6]`` of digits from ``low`` to 1."""
    return torch.randint(low, 2, (steps, 2, 3, 5, 6), generator=torch.Generator().manual_seed(seed)).double()


@quick
@given(
    st.sampled_from(POOLS),
    st.sampled_from(["rate", "css", "tsa"]),
    st.integers(1, 9),
    st.sampled_from([-1, 0]),
    st.integers(0, 2**16),
)
def test_pooled_trains_decode_to_the_pooled_values_after_every_step(
    pool: nn.Module, name: str, steps: int, low: int, seed: int
) -> None:
    code = {"rate": RateCode(steps), "css": CSSCode(steps), "tsa": CSSCode(steps, 1.5)}[name]
    trains = digits(seed, steps, low)
    pooled = MaxPool(pool, steps, code.recurrences)(trains.flatten(0, 1)).unflatten(0, (steps, 2))
    values = code.decode_prefixes(trains)
    assert torch.allclose(code.decode_prefixes(pooled), torch.stack([pool(value) for value in values]), atol=1e-12)
    if name != "tsa":
        assert set(pooled.unique().tolist()) <= set(range(low, 2))  # digits of the same kind


def test_by_hand() -> None:
    """Binary numbers 5 = 101b and 6 = 110b; signed 1 -1 -1 = 1 and 0 1 1 = 3, which overtakes at the end."""
    pool = MaxPool(nn.MaxPool1d(2), 3, (2.0,))
    trains = torch.tensor([[[1.0, 1], [1, 0]], [[0, 1], [-1, 1]], [[1, 0], [-1, 1]]])  # [T, windows, neurons]
    assert pool(trains)[:, :, 0].T.tolist() == [[1, 1, 0], [1, -1, 1]]
    counts = MaxPool(nn.MaxPool1d(2), 4, (1.0,))(torch.tensor([[[1.0, 0]], [[0, 1]], [[0, 1]], [[1, 0]]]))
    assert counts.flatten().tolist() == [1, 0, 1, 0]  # two spikes each


def vgg() -> nn.Module:
    """Max-pooling after the first and after later activations, and right before the classifier."""
    pool = nn.MaxPool2d(3, 2, 1)
    layers = nn.Sequential(conv(2, 4), nn.ReLU(), pool, conv(4, 6), nn.ReLU(), conv(6, 6), nn.ReLU(), pool)
    return nn.Sequential(layers, nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))


@functools.cache
def pooled() -> tuple[nn.Module, Tensor, Calibration]:
    network, x = fill(vgg().double().eval()), images(0)
    return network, x, calibrate(network, [x])


def trains_of(converted: SpikingNetwork, x: Tensor) -> list[Tensor]:
    return [v for n, v in Recorder(converted).run(x).items() if converted.kind(n) == "spikes"]


@pytest.mark.parametrize("name", METHODS)
def test_every_code_pools(name: str) -> None:
    network, x, calibration = pooled()
    method, steps, tolerance = METHODS[name]
    expected = trained_output(network, x)
    converted = convert(network, calibration, method, steps)
    for mode in ("single-step", "multi-step"):
        converted.mode = mode  # type: ignore[assignment]
        assert relative_error(converted(x), expected) < tolerance
    assert sum(isinstance(m, MaxPool) for m in converted.modules()) == 1  # the first is analog
    assert len(converted.neurons) == 4
    allowed = {-1.0, 0.0, 1.0} if name in ("TMN", "TSA") else {0.0, 1.0}
    assert all(set(train.unique().tolist()) <= allowed for train in trains_of(converted, x))


def test_pools_of_residual_sums_of_concatenations_and_of_everything() -> None:
    """None of them right behind a ReLU of its own, so that spikes, channels of several amplitudes and currents are pooled."""

    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(self.a(x))
        z = F.relu(self.b(y))
        both = F.max_pool2d(torch.cat([y, z], 1), 3, 1, 1)
        summed = self.pool(y + z)
        return self.out(F.adaptive_max_pool2d(torch.cat([self.c(both)[:, :, ::2, ::2], summed], 1), 1).flatten(1))

    parts = {"a": conv(2, 3), "b": conv(3, 3), "c": conv(6, 3), "out": nn.Linear(6, 3), "pool": nn.MaxPool2d(2)}
    network, x = fill(Step(forward, **parts).double().eval()), images(0)
    expected = trained_output(network, x)
    calibration = calibrate(network, [x])
    for method, steps, tolerance in METHODS.values():
        for mode in ("multi-step", "single-step"):
            converted = convert(network, calibration, method, steps, mode)  # type: ignore[arg-type]
            assert relative_error(converted(x), expected) < 2 * tolerance, method.name


def test_where_a_pool_would_break_spikes_it_comes_before_the_neuron() -> None:
    """beta = 1.5: the pooled sum of a window can change by something else than a spike."""
    network, x = fill(nn.Sequential(conv(2, 3), nn.ReLU(), conv(3, 3), nn.ReLU(), nn.MaxPool2d(2), conv(3, 3)).double().eval()), images(0)
    for method, pooled_first in ((tsa(), True), (tmn(), False)):
        converted = convert(network, [x], method, 6)
        layers = [layer_of(converted, step.name) for step in converted.steps]
        order = [type(layer) for layer in layers if isinstance(layer, (MaxPool, SpikingLayer))]
        assert order == [SpikingLayer, *([MaxPool, SpikingLayer] if pooled_first else [SpikingLayer, MaxPool])]
        assert len(converted.neurons) == 2


def test_of_negative_amplitudes_currents_are_pooled() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.out(F.max_pool2d(-F.relu(self.a(x)), 2).flatten(1))

    network, x = fill(Step(forward, a=conv(2, 3), out=nn.Linear(27, 3)).double().eval()), images(0)
    expected = trained_output(network, x)
    assert relative_error(convert(network, [x], tmn(threshold=Maximum()), 12)(x), expected) < 5e-3


def test_series_and_volumes() -> None:
    series = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 3, 1), nn.ReLU(), nn.MaxPool1d(2))
    volumes = nn.Sequential(nn.Conv3d(2, 3, 3), nn.ReLU(), nn.Conv3d(3, 3, 1), nn.ReLU(), nn.AdaptiveMaxPool3d(2))
    for network, shape in ((series, (3, 2, 10)), (volumes, (3, 2, 6, 6, 6))):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        with torch.no_grad():
            expected = fill(network.double().eval())(x)
        assert relative_error(convert(network, [x], tmn(threshold=Maximum()), 12)(x), expected) < 5e-3


def test_copies_and_pickles_run_and_keep_no_state() -> None:
    network, x, calibration = pooled()
    for mode in ("multi-step", "single-step"):
        converted = convert(network, calibration, tmn(), 6, mode)  # type: ignore[arg-type]
        expected = converted(x)
        for other in (converted, copy.deepcopy(converted), pickle.loads(pickle.dumps(converted))):
            assert torch.equal(other(x), expected)
