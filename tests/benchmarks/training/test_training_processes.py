"""Training in several processes: what one process gives, and one line where it cannot be had."""

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.errors import CannotRun
from benchmarks.methods import direct_method
from benchmarks.training import Recipe, recipe
from benchmarks.training.batches import Batches
from benchmarks.training.spiking import Split, TrainingFailed, split, train_spiking
from benchmarks.training.train import train


@pytest.fixture
def parts(samples: Any) -> Split:
    return split(samples, 8)


@pytest.fixture
def three_steps() -> Recipe:
    digits = recipe("ternary-digits")
    return replace(digits, epochs=1, batch_size=8, significant_bits=24, shift=1, flip=True, options={"timesteps": 2})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Trainable ternary spike", "MPBN"])
def test_two_processes_equal_one_for_spiking_networks(parts: Split, three_steps: Recipe, name: str) -> None:
    pytest.importorskip("accelerate")
    what = direct_method(name), "ResNet20-w2-s1", 2, parts
    alone, history = train_spiking(*what, three_steps, 0)
    seen: list[tuple[int, int]] = []
    shared, shared_history = train_spiking(*what, replace(three_steps, processes=2), 0, progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for name_of, weights in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name_of], weights, rtol=0, atol=1e-9)
    assert history.keys() == shared_history.keys()
    for name_of, values in history.items():
        assert shared_history[name_of] == pytest.approx(values, rel=0, abs=1e-9), name_of


@pytest.mark.slow
def test_two_processes_equal_one_for_classifiers(parts: Split, quick: Recipe) -> None:
    pytest.importorskip("accelerate")
    chosen = replace(quick, epochs=1, batch_size=8, significant_bits=24)
    alone, shared = (train("resnet20-thin", parts, replace(chosen, processes=n), 0) for n in (1, 2))
    for name, weights in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], weights, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_failure_in_another_process_is_raised_here(parts: Split, three_steps: Recipe) -> None:
    pytest.importorskip("accelerate")
    hot = replace(three_steps, processes=2, learning_rate=1e308, warmup=0.0)
    with pytest.raises(TrainingFailed, match="the loss is not finite in epoch 1 of 1"):
        train_spiking(direct_method("Ternary spike"), "ResNet20-w2-s1", 2, parts, hot, 0)


def test_parts_of_processes_are_one_batch(parts: Split, three_steps: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def epoch(processes: int, number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        monkeypatch.setattr("benchmarks.training.batches.rank", lambda: number)
        chosen = replace(three_steps, processes=processes, cutout=3)
        return list(Batches(parts, chosen, 0, [0.0], [1.0], torch.device("cpu")).epoch())

    whole, first, second = epoch(1, 0), epoch(2, 0), epoch(2, 1)
    for (images, labels), (even, even_labels), (odd, odd_labels) in zip(whole, first, second, strict=True):
        assert torch.equal(images[::2], even) and torch.equal(images[1::2], odd)
        assert torch.equal(labels[::2], even_labels) and torch.equal(labels[1::2], odd_labels)


def test_more_gpus_than_there_are(samples: Any, quick: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CannotRun, match="recipe quick asks for 2 GPUs and torch sees 1; lower its processes"):
        train("resnet20-thin", samples, replace(quick, device="cuda", processes=2), 0)


def test_several_processes_need_accelerate(samples: Any, quick: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(CannotRun, match=r"trains in 2 processes, which needs accelerate; install it with pip install 'snnbench\[train\]'"):
        train("resnet20-thin", samples, replace(quick, processes=2), 0)
    train("resnet20-thin", samples, replace(quick, epochs=1), 0)  # one process does not


def test_batches_that_cannot_be_shared(quick: Recipe) -> None:
    with pytest.raises(CannotRun, match="batch_size 16 must be a multiple of processes"):
        replace(quick, processes=3)
