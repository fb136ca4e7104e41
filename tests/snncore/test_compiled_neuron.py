"""Compiled updates: the same bits as uncompiled ones, asked for by the environment, said once, done without where impossible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snncore.neurons import compiled, leaky
from snncore.neurons.leaky import LIFNeuron, TernaryLIFNeuron
from snncore.surrogate import ATan, Rectangle, Sigmoid, StraightThrough, Surrogate, Triangle

CONVENTIONS = ("abs", "spikes", "detached")
Convention = Literal["abs", "spikes", "detached"]


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Whether there is a compiler is asked again in every test."""
    compiled._possible.cache_clear()
    yield
    compiled._possible.cache_clear()


def results(neuron: LIFNeuron, currents: Tensor) -> list[Tensor]:
    """Spikes, and gradients of currents and amplitude."""
    x = currents.clone().requires_grad_()
    spikes = neuron(x.expand(4, *x.shape[1:]) if len(x) == 1 else x)
    weights = torch.linspace(-1, 1, spikes.numel(), dtype=x.dtype).reshape(spikes.shape)
    wanted = [x] if neuron.amplitude is None else [x, neuron.amplitude]
    return [spikes.detach(), *torch.autograd.grad((spikes * weights).sum(), wanted)]


def both_ways(monkeypatch: pytest.MonkeyPatch, neuron: LIFNeuron, currents: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Results without and with compilation."""
    found = []
    for value in ("0", "1"):
        monkeypatch.setenv("SNNCORE_COMPILE", value)
        found.append(results(neuron, currents))
    return found[0], found[1]


def neuron_of(ternary: bool, surrogate: Surrogate, convention: Convention, trained: bool, decay: float = 0.3) -> LIFNeuron:
    neuron = (TernaryLIFNeuron if ternary else LIFNeuron)(0.7, decay, surrogate, trained, convention)
    if neuron.amplitude is not None:
        neuron.amplitude.data.fill_(1.3)
    return neuron


def random_currents(steps: int, dtype: torch.dtype, size: int = 37) -> Tensor:
    return torch.randn(steps, 2, 3, size, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ternary", "surrogate", "convention", "trained", "dtype"),
    [
        (True, StraightThrough(1.5, 0.5), "abs", True, torch.float32),
        (False, Rectangle(0.7), "spikes", False, torch.float32),
        (True, Triangle(0.3, 2.1), "spikes", True, torch.float32),
        (False, Triangle(0.3, 2.1), "abs", False, torch.float64),
        (True, Rectangle(0.7), "detached", False, torch.float64),
        (False, StraightThrough(), "spikes", True, torch.float64),
        (True, ATan(), "abs", False, torch.float32),
        (False, Sigmoid(), "abs", False, torch.float32),
    ],
)
def test_compiled_neurons_have_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, ternary: bool, surrogate: Surrogate, convention: Convention, trained: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setenv("SNNCORE_COMPILE", "1")
    if not compiled.compiling():
        pytest.skip("torch finds no C++ compiler here")
    neuron = neuron_of(ternary, surrogate, convention, trained).to(dtype)
    plain, fast = both_ways(monkeypatch, neuron, random_currents(3, dtype))
    assert all(map(torch.equal, plain, fast))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.sampled_from((1, 2, 5)), st.booleans(), st.booleans(), st.sampled_from(CONVENTIONS), st.floats(0, 1),
    st.sampled_from((Rectangle(0.7), StraightThrough(1.5, 0.5), Triangle(0.3, 2.1))),
)  # fmt: skip
def test_updates_at_once_are_those_in_blocks(
    steps: int, ternary: bool, trained: bool, convention: Convention, decay: float, surrogate: Surrogate
) -> None:
    """The compiled way without the compiler; one step is a current that stays."""
    currents = random_currents(steps, torch.float32).contiguous(memory_format=torch.channels_last_3d)
    neuron = neuron_of(ternary, surrogate, convention, trained, decay)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snncore.neurons.blocks.BLOCK_ELEMENTS", 100)
        plain = results(neuron, currents)
        patch.setattr(leaky, "compiling", lambda: True)
        patch.setattr(leaky, "compiled", lambda function: function)
        assert all(map(torch.equal, plain, results(neuron, currents)))


def test_no_compiler_is_said_once_and_changes_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any, **__: Any) -> Callable[..., Any]:
        raise RuntimeError("no working C++ compiler\nsecond line")

    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING):
        plain, fast = both_ways(monkeypatch, TernaryLIFNeuron(), random_currents(2, torch.float32))
        results(TernaryLIFNeuron(), random_currents(2, torch.float32))
    assert all(map(torch.equal, plain, fast))
    assert [record.getMessage() for record in caplog.records] == [
        "SNNCORE_COMPILE: nothing can be compiled here (no working C++ compiler); neurons run uncompiled, with the same results"
    ]


def test_surrogates_that_round_otherwise_when_compiled_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaky, "compiling", lambda: pytest.fail("compiled"))
    for surrogate in (ATan(), Sigmoid()):
        results(LIFNeuron(surrogate=surrogate), random_currents(2, torch.float32))
