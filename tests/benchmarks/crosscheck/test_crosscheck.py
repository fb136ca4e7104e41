"""syops's rule, written down twice: from our counts, and as syops reads it off the input tensor of each layer."""

import math
import sys

import pytest
import torch
from torch import Tensor, nn

from benchmarks.crosscheck import __main__ as command
from benchmarks.crosscheck import rule
from benchmarks.crosscheck.deviations import deviations
from benchmarks.crosscheck.networks import Shapes
from benchmarks.measurements.train_counter import TrainCounter
from snncore import convert, opi, time_first
from snncore.conversion import OperationCounter
from snncore.conversion.operations import Synapses


def by_syops(layer: nn.Module, x: Tensor, out: Tensor) -> float:
    """Dense operations, padding and bias included, times the mean of a tensor of zeros and ones."""
    if isinstance(layer, nn.Linear):
        dense = x.numel() * layer.out_features + (layer.out_features if layer.bias is not None else 0)
    else:
        assert isinstance(layer, nn.Conv2d)
        each = math.prod(layer.kernel_size) * layer.in_channels * layer.out_channels // layer.groups
        dense = out[:, 0].numel() * (each + (layer.out_channels if layer.bias is not None else 0))
    return dense * float(x.double().mean()) if len(x.unique()) <= 2 and x.min() >= 0 and x.max() <= 1 else float(dense)


def test_the_rule_from_our_counts_is_the_one_of_the_tensors() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 16, 16)
    snn = convert(Shapes().eval(), [images], opi(), 3)
    with OperationCounter(snn) as counts:
        snn(images)
    expected: dict[str, float] = {}
    layers = {name: command._module(layer) for name, layer in snn.layers.items() if isinstance(layer, Synapses)}
    assert len(layers) == 7
    snn.layers.update(layers)
    for name, module in layers.items():
        module.register_forward_hook(lambda m, x, y, name=name: expected.__setitem__(name, by_syops(m, x[0], y)))
    snn(images)
    first, _, _, dilated, *_ = layers
    found = {name: rule.accumulates(counts, name, layer) for name, layer in layers.items() if name != first}
    found[first] = rule.multiplications(counts, first, layers[first])
    assert found == pytest.approx(expected, rel=1e-6)
    assert counts.accumulates[dilated] < 0.8 * found[dilated]  # padding is what makes the difference


def test_deviations_are_explained_and_counted_by_hand() -> None:
    cases = {case.name: case for case in deviations()}
    assert len(cases) == len(deviations()) >= 14
    assert all(case.why and case.syops != case.exact for name, case in cases.items() if name != "neurons of other libraries")
    corner = torch.zeros(2, 1, 1, 3, 3)
    corner[0, 0, 0, 0, 0] = 1
    padded = nn.Sequential(time_first.Conv2d(1, 1, 3, padding=1, bias=False))
    with torch.no_grad(), TrainCounter(padded) as counter:
        padded(corner)
    assert float(counter.accumulates["0"].sum()) == cases["padding"].exact[0]


def test_without_syops_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "syops.engine", None)
    monkeypatch.setattr(command, "candidates", lambda: pytest.fail("work was done before the refusal"))
    assert command.main() == 2
    assert "run tox -e crosscheck" in capsys.readouterr().out
