"""Quantised activations against exact arithmetic and hand-written derivatives, and how they get into a network."""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, conv, fill, images
from torch import Tensor, nn

from snncore import ConversionError
from snncore.conversion import calibrate, quantize, record
from snncore.quantization import ActivationQuantizer, ClipFloorShift, ClippedReLU, SignedQuantizer, UniformQuantizer

quick = settings(deadline=None, derandomize=True, max_examples=25)


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def reference(x: Fraction, clip: Fraction, levels: int, rounding: Callable[[Fraction], int]) -> Fraction:
    return rounding(min(max(x / clip, Fraction(0)), Fraction(1)) * levels) * clip / levels


@quick
@given(st.data())
def test_values_are_those_of_rational_arithmetic(data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 4))
    levels = data.draw(st.sampled_from([1, 2, 4, 8, 16]))
    clip = data.draw(st.sampled_from([Fraction(1), Fraction(4), Fraction(3, 8)]))
    x = [Fraction(k, 64) * clip for k in data.draw(st.lists(st.integers(-64, 128), min_size=1, max_size=20))]
    given_x = torch.tensor([float(value) for value in x], dtype=torch.float64)
    shifted = ClipFloorShift(levels, float(clip)).double()(given_x).tolist()
    assert shifted == [float(reference(value, clip, levels, half_up)) for value in x]
    uniform = UniformQuantizer(bits, float(clip)).double()(given_x).tolist()
    expected = [float(reference(value, clip, 2**bits - 1, round)) for value in x]  # Python rounds halves to even too
    assert uniform == pytest.approx(expected, rel=1e-14)


def test_a_clipped_relu_is_not_rounded_and_learns_its_clip_from_what_it_clips() -> None:
    x = torch.tensor([-1.0, 0.3, 1.9, 2.5, 7.0], dtype=torch.float64, requires_grad=True)
    relu = ClippedReLU(64, 2.0).double()
    out = relu(x)
    assert torch.allclose(out, x.clamp(0, 2), rtol=1e-15)
    out.backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64))
    assert x.grad is not None and relu.clip.grad is not None
    assert torch.allclose(x.grad, torch.tensor([0.0, 2.0, 3.0, 0.0, 0.0], dtype=torch.float64))
    assert relu.clip.grad.item() == pytest.approx(4.0 + 5.0)


def test_either_sign_has_one_value_more_below_zero_than_above() -> None:
    x = torch.tensor([-9.0, -4.1, -2.2, 0.3, 2.9, 9.0], dtype=torch.float64, requires_grad=True)
    quantizer = SignedQuantizer(3, 3.0).double()
    q = quantizer(x)
    assert q.tolist() == [-4, -4, -2, 0, 3, 3]
    assert torch.autograd.grad(q.sum(), x, retain_graph=True)[0].tolist() == [0, 0, 1, 1, 1, 0]
    # of the step c / L, as LSQ has it: (q - x) / step inside, else the bound
    expected = [-4, -4, 0.2, -0.3, 0.1, 3]
    for each, slope in zip(q, expected, strict=True):
        (to_clip,) = torch.autograd.grad(each, quantizer.clip, retain_graph=True)
        assert 3 * float(to_clip) == pytest.approx(slope)


@pytest.mark.parametrize("quantizer", [ClipFloorShift(4, 2.0), UniformQuantizer(2, 2.0)])
def test_derivatives_are_straight_through(quantizer: ActivationQuantizer) -> None:
    quantizer = quantizer.double()
    x = torch.tensor([-1.0, 0.1, 0.7, 1.9, 2.5], dtype=torch.float64, requires_grad=True)
    q = quantizer(x)
    to_x = torch.autograd.grad(q.sum(), x, retain_graph=True)[0]
    assert to_x.tolist() == [0, 1, 1, 1, 0]
    inside = (q - x).detach() / 2.0
    for i, expected in enumerate([0.0, *inside[1:4].tolist(), 1.0]):
        (to_clip,) = torch.autograd.grad(q[i], quantizer.clip, retain_graph=True)
        assert float(to_clip) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("levels", [0, -1, 2.5, True])
def test_bad_levels(levels: object) -> None:
    with pytest.raises(ValueError, match="levels must be a whole number"):
        ClipFloorShift(levels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bits must be a whole number"):
        UniformQuantizer(levels)  # type: ignore[arg-type]


@pytest.mark.parametrize("clip", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_clip(clip: float) -> None:
    with pytest.raises(ValueError, match="clip must be positive and finite"):
        ClipFloorShift(4, clip)


def quantizers(network: nn.Module) -> list[ActivationQuantizer]:
    return [module for module in network.modules() if isinstance(module, ActivationQuantizer)]


def test_clips_start_at_the_least_squared_error() -> None:
    ann, x = nn.Sequential(conv(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).double(), images(3, count=20)
    fill(ann, 4)
    (quantizer,) = quantizers(quantize(ann.eval(), [x], partial(ClipFloorShift, 4)))
    activations = ann[1](ann[0](x))

    def error(clip: float) -> float:
        return (ClipFloorShift(4, clip).double()(activations) - activations).square().mean().item()

    searched = min(error(activations.max().item() * k / 200) for k in range(1, 201))
    assert error(quantizer.clip.item()) <= 1.02 * searched


def test_a_quantised_network_can_be_recorded_calibrated_and_quantised_again() -> None:
    ann, x = build(["pre activation", "residual"], "flatten", "F.relu", 5), images(6)
    network = quantize(ann, [x], partial(UniformQuantizer, 2))
    again = record(nn.Sequential(network), x)
    assert [q.levels for q in quantizers(again)] == [3] * len(quantizers(network))
    assert torch.equal(again(x), network(x))
    assert calibrate(network, [x]).histograms.keys() == calibrate(ann, [x]).histograms.keys()
    assert {q.levels for q in quantizers(quantize(network, [x], partial(ClipFloorShift, 5)))} == {5}


def test_a_dead_layer_is_told() -> None:
    ann = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        ann[0].bias.fill_(-100.0)
    with pytest.warns(UserWarning, match="no calibration image activates this layer"):
        quantize(ann, [torch.rand(3, 4)], partial(ClipFloorShift, 4))


def test_a_calibration_of_another_network_is_refused() -> None:
    x: Tensor = images(1)
    other = calibrate(build(["plain", "plain"], "flatten", "module", 0), [x])
    with pytest.raises(ConversionError, match="comes from another network"):
        quantize(build(["plain"], "flatten", "module", 0), other, partial(ClipFloorShift, 4))
