"""Residual spiking networks: sizes as published, the time axis, and which amplitudes can matter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.errors import CannotRun
from benchmarks.methods import direct_method
from benchmarks.models.folding import folded
from benchmarks.models.spiking_resnet import SpikingResNet, initialize, residual_layout
from snncore.neurons.leaky import LIFNeuron, TernaryLIFNeuron
from snncore.time_first import AvgPool2d, BatchNorm2d, StepBatchNorm2d, ThresholdBatchNorm2d


def network(name: str, classes: int = 10, timesteps: int = 2, trained: bool = False) -> SpikingResNet:
    """A ternary network with plain normalisation, initialised."""
    neuron = lambda channels, reaches_sum: TernaryLIFNeuron(trainable_amplitude=trained)  # noqa: E731
    made = SpikingResNet(name, 3, classes, timesteps, neuron, lambda channels, adds: BatchNorm2d(channels))
    initialize(made, torch.Generator().manual_seed(0))
    return made


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "neurons"),
    [
        ("ResNet20", 10, 11_247_946, 19),
        ("ResNet19", 10, 12_569_226, 17),
        ("ResNet18", 1000, 11_689_512, 17),
        ("ResNet34", 1000, 21_797_672, 33),
    ],
)
def test_sizes_are_those_of_the_authors_code(name: str, classes: int, parameters: int, neurons: int) -> None:
    made = network(name, classes)
    assert sum(each.numel() for each in made.parameters()) == parameters
    assert sum(isinstance(each, LIFNeuron) for each in made.modules()) == neurons


def test_an_image_is_the_same_frame_at_every_step() -> None:
    made = network("ResNet20-w8-s1", timesteps=3).double().eval()
    image = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(made(image), made(image[:, None].expand(-1, 3, -1, -1, -1)), rtol=1e-12)


def test_amplitudes_before_a_normalisation_change_nothing() -> None:
    """Six of nineteen reach a sum or the classifier; the scale of the others is taken away by the next normalisation."""
    made = network("ResNet20-w8", trained=True).double()
    images = torch.randn(8, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    nn.functional.cross_entropy(made(images).mean(0), torch.arange(8)).backward()
    slopes = {name: abs(float(p.grad)) for name, p in made.named_parameters() if name.endswith("amplitude") and p.grad is not None}
    assert len(slopes) == 19
    acting = {name for name, slope in slopes.items() if slope > 1e-4}
    assert acting == {"stem_neurons.2.amplitude"} | {f"blocks.{block}.neuron2.amplitude" for block in (0, 2, 4, 6, 7)}
    assert max(slope for name, slope in slopes.items() if name not in acting) < 1e-5


def test_the_control_trains_just_those() -> None:
    control = direct_method("Ternary spike, scalars on shortcuts and logits").build("ResNet20-w8", (3, 16, 16), 10, 2)
    names = {name for name, _ in control.layers.named_parameters() if name.endswith("amplitude")}
    assert names == {"stem_neurons.2.amplitude"} | {f"blocks.{block}.neuron2.amplitude" for block in (0, 2, 4, 6, 7)}


def test_normalisation_over_time_and_by_threshold() -> None:
    x = torch.randn(3, 4, 2, 5, 5, dtype=torch.float64) * 3 + 1
    over_time, scaled = BatchNorm2d(2).double(), ThresholdBatchNorm2d(2, 0.5).double()
    mean, variance = x.mean((0, 1, 3, 4), keepdim=True), x.var((0, 1, 3, 4), unbiased=False, keepdim=True)
    expected = (x - mean) / (variance + over_time.eps).sqrt()
    assert torch.allclose(over_time(x), expected)
    assert torch.allclose(scaled(x), 0.5 * expected)
    assert torch.allclose(scaled.running_mean, over_time.running_mean)  # type: ignore[arg-type]


def test_a_stem_normalised_step_by_step() -> None:
    """As if batch normalisation were called T times; an image that stays is computed once."""
    x = torch.randn(3, 4, 2, 5, 5, dtype=torch.float64) * 3 + 1
    plain, steps = nn.BatchNorm2d(2).double(), StepBatchNorm2d(2, 3).double()
    assert torch.allclose(steps(x), torch.stack([plain(step) for step in x]))
    still = steps(x[:1])
    expected = [plain(x[0]) for _ in range(3)]
    assert still.shape == x[:1].shape and torch.allclose(still[0], expected[0])
    for name, value in plain.state_dict().items():
        assert torch.allclose(steps.state_dict()[name], value), name
    assert torch.allclose(steps.eval()(x), plain.eval()(x.flatten(0, 1)).unflatten(0, x.shape[:2]))


def test_the_stem_per_step_is_an_option_of_methods() -> None:
    made = direct_method("Ternary spike").build("ResNet20-w2", (3, 16, 16), 10, 2, stem_per_step=True)
    common = direct_method("Ternary spike").build("ResNet20-w2", (3, 16, 16), 10, 2)
    assert made.state_dict().keys() == common.state_dict().keys()
    assert [type(stage[1]) for stage in made.layers.stem] == [StepBatchNorm2d] * 3
    assert [type(stage[1]) for stage in common.layers.stem] == [BatchNorm2d] * 3
    assert made.answers(torch.rand(2, 3, 16, 16))[0].shape == (2, 2, 10)


@pytest.mark.parametrize("name", ["ResNet21", "ResNet20-w0", "ResNet20-s3", "resnet20", "ResNet20-w16-s2-x"])
def test_unknown_layouts_name_the_known_ones(name: str) -> None:
    with pytest.raises(CannotRun, match="ResNet20-w16-s2"):
        residual_layout(name)


def test_a_stand_in_keeps_the_blocks() -> None:
    layout = residual_layout("ResNet20-w16-s2")
    assert (layout.width, layout.stem, layout.pooling, layout.blocks) == (16, ((3, 2),), None, (2, 2, 2, 2))
    assert network("ResNet20-w16-s2")(torch.zeros(1, 3, 32, 32)).shape == (2, 1, 10)
    assert network("ResNet18-w8")(torch.zeros(1, 3, 64, 64)).shape == (2, 1, 10)


@pytest.mark.parametrize("name", ["ResNet20-w8", "ResNet19-w8", "ResNet18-w4", "ResNet20-w4-s1"])
def test_folded_amplitudes_leave_spikes_and_logits_as_they_are(name: str) -> None:
    made = network(name, trained=True).double()
    for number, neuron in enumerate(each for each in made.modules() if isinstance(each, LIFNeuron)):
        assert neuron.amplitude is not None
        neuron.amplitude.data.fill_(0.6 + 0.1 * number)
    images = torch.randn(16, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        made(images)  # the running statistics follow
    plain, left = folded(made.eval())
    trains: dict[SpikingResNet, list[torch.Tensor]] = {made: [], plain: []}
    for each, seen in trains.items():
        for neuron in (module for module in each.modules() if isinstance(module, LIFNeuron)):
            neuron.register_forward_hook(lambda _, __, spikes, seen=seen: seen.append(spikes.sign()))
    with torch.no_grad():
        logits, expected = plain(images), made(images)
    assert torch.allclose(logits, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    assert len(trains[plain]) > 15 and all(map(torch.equal, trains[plain], trains[made]))
    assert not any("amplitude" in key for key in plain.state_dict()) and made.stem_neurons[0].amplitude is not None
    identities = sum(not len(block.shortcut) for block in made.blocks)
    assert sum("shortcut: spikes times" in line for line in left) == identities
    assert ("block 0, conv1: means of spikes" in left) == isinstance(made.pooling, AvgPool2d)
    assert left[-1] == "classifier: means of spikes"


def test_sums_of_spikes_have_no_factor() -> None:
    sew = direct_method("SEW ResNet").build("ResNet20-w2", (3, 16, 16), 10, 2)
    with pytest.raises(ValueError, match="cannot be folded"):
        folded(sew.layers)
