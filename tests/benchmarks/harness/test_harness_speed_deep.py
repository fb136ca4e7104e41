"""``snnbench speed-training`` with a residual layout: what it prints, what counts as saved, what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.errors import CannotRun
from benchmarks.harness.commands import speed_deep
from benchmarks.harness.commands.speed_deep import HERE, JELLY, _same_logits, _saved, _step
from snncore.time_first import Conv2d

COMMAND = ("speed-training", "--layout", "ResNet20-w2", "-T", "2", "--batch", "2", "--repeats", "1")


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_deep, "compiling", lambda: False)


def ternary_jelly() -> None:
    if not hasattr(pytest.importorskip("spikingjelly.activation_based.neuron"), "TernaryLIFNode"):
        pytest.skip("this SpikingJelly has no ternary neuron")


def test_times_and_saved_memory_of_both(bench: Any) -> None:
    ternary_jelly()
    measured = json.loads(bench.call(*COMMAND, "--json").out)
    assert (measured["layout"], measured["timesteps"], measured["batch"]) == ("ResNet20-w2", 2, 2)
    assert list(measured["networks"]) == [JELLY, HERE]
    here, there = measured["networks"][HERE], measured["networks"][JELLY]
    assert here["seconds"] > 0 and there["seconds"] > 0 and 0 < here["saved_mb"] < 0.55 * there["saved_mb"]
    assert JELLY in bench.call(*COMMAND).out


def test_networks_that_differ_are_not_compared() -> None:
    first, second = (Conv2d(1, 1, 3) for _ in range(2))
    _same_logits(first, first, torch.rand(1, 2, 1, 8, 8))
    with pytest.raises(CannotRun, match="different logits"):
        _same_logits(first, second, torch.rand(1, 2, 1, 8, 8))


def test_a_tensor_that_is_saved_twice_counts_once_and_weights_do_not() -> None:
    network = nn.Sequential(nn.Linear(50, 40, bias=False), nn.Tanh(), nn.Unflatten(1, (2, 20)))
    inputs, labels = torch.rand(10, 50), torch.zeros(20, dtype=torch.int64)
    step = lambda: _step(nn.Sequential(network, nn.Flatten(0, 1), nn.Unflatten(0, (1, 20))), inputs, labels)  # noqa: E731
    #  the images, what the tanh puts out, logarithms of probabilities, labels and the weight of the mean; not the weights
    expected = 4 * (10 * 50 + 10 * 40 + 20 * 20) + 8 * 20
    assert expected <= 1e6 * _saved(step, [network]) <= expected + 64


def test_without_spikingjelly_it_says_what_to_install(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(speed_deep.importlib, "import_module", missing)
    with pytest.raises(CannotRun, match="needs SpikingJelly 2 .*pip install"):
        speed_deep._jelly("ResNet20-w2", 2)


def test_an_unknown_layout(bench: Any) -> None:
    assert "unknown spiking network 'ResNet21'" in bench.call("speed-training", "--layout", "ResNet21").refusal
