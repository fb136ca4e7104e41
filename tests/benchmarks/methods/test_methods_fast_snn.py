"""Fast-SNN's fine-tuning: layer by layer towards the quantised network, and no further away."""

from functools import partial

import pytest
import torch
from small_networks import build, images, multi_step_spikes, points, quantized_mlp, watching
from torch import Tensor, nn

from benchmarks.methods import method, threshold_rule
from benchmarks.methods.fast_snn import FineTuning, fine_tune_layers
from benchmarks.methods.signed_rate import signed_rate
from snncore import ConversionError, convert
from snncore.conversion import calibrate, quantize, record
from snncore.quantization import ActivationQuantizer, UniformQuantizer


def rates(network: nn.Module, x: Tensor, timesteps: int) -> dict[str, Tensor]:
    converted = convert(network, [x], signed_rate(1e-3), timesteps)
    return {n: s.mean(0) * converted.neurons[n].threshold for n, s in multi_step_spikes(converted, x).items()}


def levels_of(network: nn.Module, x: Tensor) -> list[Tensor]:
    with watching(m for m in network.modules() if isinstance(m, ActivationQuantizer)) as levels:
        network(x)
    return levels


@pytest.mark.parametrize("head", ["flatten", "view", "global pool"])
def test_each_layer_comes_no_further_from_the_quantised_network(head: str) -> None:
    ann, x = build(["plain", "projected residual", "residual"], head, "module", 7), images(8, count=12)
    network = quantize(ann, [x], partial(UniformQuantizer, 2))
    expected = levels_of(network, x)
    neuron = signed_rate(1e-3).quantized
    assert neuron is not None
    tuned = fine_tune_layers(network, [x[:6], x[6:]], neuron, 3, FineTuning(epochs=15, learning_rate=0.05))
    before, after = rates(network, x, 3), rates(tuned, x, 3)
    errors = [
        (float((b - e).square().mean()), float((a - e).square().mean()))
        for b, a, e in zip(before.values(), after.values(), expected, strict=True)
    ]
    assert errors[0] == (0.0, 0.0) or errors[0][0] == errors[0][1]  # the first layer is left alone
    assert errors[1][1] <= errors[1][0]  # tuned on the input that it had before
    assert sum(a for _, a in errors) < sum(b for b, _ in errors)
    assert all(torch.equal(a, b) for a, b in zip(levels_of(network, x), expected, strict=True))  # left as it was


def test_without_training_the_network_stays_as_it_is() -> None:
    x = points(3)
    network = record(quantized_mlp(2, 3), x)
    tuned = fine_tune_layers(network, [x], signed_rate().quantized, 3, FineTuning(epochs=0))  # type: ignore[arg-type]
    assert torch.equal(tuned(x), network(x))


def test_fine_tuning_refuses_what_is_not_quantised_and_no_images() -> None:
    neuron = signed_rate().quantized
    assert neuron is not None
    with pytest.raises(ConversionError, match="fine-tuning needs quantised activations"):
        fine_tune_layers(record(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).double(), points(0)), [points(0)], neuron, 3)
    with pytest.raises(ConversionError, match="no images were given"):
        fine_tune_layers(record(quantized_mlp(0, 3), points(0)), [], neuron, 3)


def test_fast_snn_is_fine_tuned_and_the_others_are_taken_as_they_are() -> None:
    ann, batches = build(["plain", "projected residual", "residual"], "flatten", "module", 7), list(images(8, count=12).split(6))
    network = quantize(ann, batches, partial(UniformQuantizer, 2))
    calibration, rule = calibrate(network, batches), threshold_rule("maximum")

    def weights(name: str, **options: int) -> list[Tensor]:
        made = method(name).convert(calibration, rule, 3, lambda limit: batches, **options)
        return [layer.weight for layer in made.layers.values() if hasattr(layer, "weight")]

    plain, untuned, tuned = weights("QCFS"), weights("Fast-SNN, not fine-tuned"), weights("Fast-SNN", epochs=20)
    assert len(plain) == len(untuned) == 7 and all(torch.equal(a, b) for a, b in zip(plain, untuned, strict=True))
    assert torch.equal(tuned[0], plain[0])  # the first layer is left alone
    assert any(not torch.equal(a, b) for a, b in zip(tuned, plain, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights("QCFS"), plain, strict=True))  # and so is the calibrated network
