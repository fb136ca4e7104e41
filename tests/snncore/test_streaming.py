"""Single-step mode: the spikes of multi-step mode, bit for bit, in memory that does not grow with T."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from small_networks import EXACT_ASSORTED, Step, assorted, build, conv, fill, flat, images, multi_step_spikes, single_step_spikes
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from snncore import ConversionMethod, MomentumNeuron, SpikingNetwork, convert, opi, rate, tmn, tsa
from snncore.coding import Code
from snncore.conversion import Calibration, calibrate
from snncore.conversion.calibration import ActivationHistogram


def power_of_two(histogram: ActivationHistogram, code: Code) -> float:
    """A threshold below the largest activation that keeps all sums exact."""
    return 2.0 ** torch.tensor(histogram.maximum).log2().floor().item() if histogram.maximum else 0.0


METHODS: dict[str, ConversionMethod] = {
    "TMN L=0": tmn(0, threshold=power_of_two),
    "TMN L=1": tmn(1, threshold=power_of_two),
    "TMN L=2": tmn(2, threshold=power_of_two),
    "TMN L=3": tmn(3, threshold=power_of_two),
    "TMN binary": tmn(1, ratio=1.0, ternary=False, threshold=power_of_two),
    "TSA L=0": tsa(0, threshold=power_of_two),
    "TSA L=1": tsa(1, threshold=power_of_two),
    "TSA L=3": tsa(3, threshold=power_of_two),
    "rate": rate(threshold=power_of_two),
    "OPI": opi(threshold=power_of_two),
    "FS": ConversionMethod("FS", MomentumNeuron.few_spikes, power_of_two),
}


def assert_same_spikes(network: nn.Module, x: Tensor, method: ConversionMethod, timesteps: int, calibration: Calibration | None = None) -> None:
    converted = convert(network, calibration or [x], method, timesteps, mode="single-step")
    before = x.clone()
    expected = multi_step_spikes(converted, x)
    spikes, steps = single_step_spikes(converted, x)
    assert list(spikes) == list(expected)
    for name, train in spikes.items():
        assert torch.equal(train, expected[name]), name
    assert len(steps) == timesteps
    out = flat(converted(x))
    again = flat(converted(x))
    converted.mode = "multi-step"
    for streamed, repeated, layered in zip(out, again, flat(converted(x)), strict=True):
        assert torch.equal(streamed, repeated)
        assert torch.allclose(streamed, layered, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


@pytest.mark.filterwarnings("ignore:.*no calibration image activates")
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("name", list(EXACT_ASSORTED))
def test_single_step_and_multi_step_spikes_are_the_same_bits(name: str, method: str) -> None:
    longest = max(int(method[-1]), 1) if "L=" in method else 2  # a pre-charge lasts no longer than the input; time takes two
    network, x, calibration = assorted(name, exact=True)
    for timesteps in {longest, 3 + len(name) % 4}:
        assert_same_spikes(network, x, METHODS[method], max(timesteps, longest), calibration)


def test_float32_networks_stream_the_same_spikes() -> None:
    network = build(["residual", "projected residual"], "view", "module", seed=2, exact=True).float()
    assert_same_spikes(network, images(2, exact=True).float(), METHODS["TMN L=1"], 5)


def test_branches_of_very_different_depth() -> None:
    """The shallow branch of the sum waits for several neurons; the image itself joins last."""

    def forward(self: Any, x: Tensor) -> Tensor:
        first = self.relu(self.inner(x))
        deep = first
        for layer in self.layers:
            deep = self.relu(layer(deep))
        y = self.relu(deep + first + self.skip(x))
        return torch.cat([y, first, self.skip(x)], 1)

    parts = {"inner": conv(2, 2), "skip": conv(2, 2), "layers": nn.ModuleList(conv(2, 2) for _ in range(4))}
    network = Step(forward, **parts, relu=nn.ReLU(inplace=True)).double().eval()
    fill(network, 0, exact=True)
    x = images(0, exact=True)
    calibration = calibrate(network, [x])
    for method in ("TMN L=0", "TMN L=3", "TSA L=1", "OPI"):
        assert_same_spikes(network, x, METHODS[method], 6, calibration)
    converted = convert(network, calibration, METHODS["TMN L=3"], 6)
    assert converted.latency == 6 + 3 * 6


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_one_network_may_run_in_two_threads_at_once(mode: Any) -> None:
    network = build(["residual", "padded residual"], "mean", "module", 0)
    converted = convert(network, [images(0)], timesteps=6, mode=mode)
    expected = [converted(images(seed)) for seed in range(4)]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda seed: converted(images(seed % 4)), range(16)))
    assert all(torch.equal(output, expected[seed % 4]) for seed, output in enumerate(found))


class PeakMemory(TorchFunctionMode):
    """Largest number of bytes that tensors made under it held at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            storage = out.untyped_storage()
            self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: (ref, size) for key, (ref, size) in self._alive.items() if not ref.expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


def peak_bytes(converted: SpikingNetwork, x: Tensor) -> int:
    with PeakMemory() as memory:
        converted(x)
    return memory.peak


def test_the_measurement_sees_what_is_held_and_what_is_freed() -> None:
    with PeakMemory() as memory:
        for _ in range(5):
            x = torch.zeros(100, dtype=torch.float64) + 1
        del x
        kept = [torch.zeros(1000, dtype=torch.float64) for _ in range(3)]
    assert len(kept) == 3
    assert 24_000 <= memory.peak <= 25_600


@functools.cache
def joined(*blocks: str) -> tuple[nn.Module, Calibration]:
    network = build(blocks, "joined", "module", 0)
    return network, calibrate(network, [images(0)])


@pytest.mark.parametrize("method", [tmn(0), tmn(3), tsa(1), opi()], ids=["L=0", "L=3", "TSA", "OPI"])
@pytest.mark.parametrize("blocks", [["residual", "residual"], ["padded residual", "arithmetic"]], ids=" ".join)
def test_single_step_memory_does_not_grow_with_the_timesteps(blocks: list[str], method: ConversionMethod) -> None:
    (network, calibration), x = joined(*blocks), images(0)
    peaks = {}
    for mode in ("single-step", "multi-step"):
        for timesteps in (24, 72):  # the pipeline is at most 18 steps deep: it is full in both
            converted = convert(network, calibration, method, timesteps, mode)  # type: ignore[arg-type]
            peaks[mode, timesteps] = peak_bytes(converted, x)
    assert peaks["single-step", 72] == peaks["single-step", 24]
    assert peaks["multi-step", 72] > 2 * peaks["multi-step", 24]


def test_neuron_state_is_a_fixed_number_of_potentials() -> None:
    like = torch.zeros(5, 3)
    for timesteps in (4, 64):
        with PeakMemory() as memory:
            state = MomentumNeuron.tmn(1.0, timesteps).start(like)
        assert memory.peak == 2 * like.numel() * 4
        assert state.potential.shape == like.shape
