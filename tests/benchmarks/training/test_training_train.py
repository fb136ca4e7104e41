"""Training: the same network every time, on one thread or two; clear refusals; nothing left behind."""

import importlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.data import load
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.training import Recipe, recipe
from benchmarks.training.optimization import learning_rate, round_significant
from benchmarks.training.train import channel_statistics, train

NET = "resnet20-thin"
train_module = importlib.import_module("benchmarks.training.train")


def same(a: nn.Module, b: nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


def test_it_learns_and_returns_a_float32_network_for_evaluation(samples: Any, quick: Recipe) -> None:
    model = train(NET, samples, replace(quick, epochs=8), seed=0)
    assert not model.training
    assert all(p.dtype == torch.float32 and p.is_contiguous() for p in model.parameters())
    mean, std = channel_statistics(samples.images)
    with torch.no_grad():
        predicted = model((samples.images / 255 - mean[0]) / std[0]).argmax(1)
    assert (predicted == samples.labels).float().mean() > 0.9


def test_the_seed_alone_decides(samples: Any, quick: Recipe) -> None:
    quick = replace(quick, shift=1, flip=True)
    torch.manual_seed(1)
    first = train(NET, samples, quick, seed=0)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert same(first, train(NET, samples, quick, seed=0))
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(first, train(NET, samples, quick, seed=1))


def test_dropout_follows_the_seed(samples: Any, quick: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str, num_classes: int, in_channels: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, num_classes))

    monkeypatch.setattr(train_module, "build_model", small)
    first = train("any", samples, quick, seed=0)
    torch.manual_seed(5)
    assert same(first, train("any", samples, quick, seed=0))


def test_float_noise_does_not_change_the_network(samples: Any, quick: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    original = train_module.initialize

    def changes(recipe: Recipe, noise: float) -> bool:
        def perturbed(model: nn.Module, seed: int) -> None:
            original(model, seed)
            with torch.no_grad():
                for weights in model.parameters():
                    weights.mul_(1 + noise)

        before = train(NET, samples, recipe, seed=0)
        with monkeypatch.context() as patch:
            patch.setattr(train_module, "initialize", perturbed)
            return not same(before, train(NET, samples, recipe, seed=0))

    assert not changes(quick, 1e-15)
    # The same noise relative to float32, which is why the embedded recipes do not use it.
    assert changes(replace(quick, precision="float32"), 5e-7)


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_network(samples: Any, quick: Recipe) -> None:
    assert same(train(NET, samples, quick, seed=0), train(NET, samples, replace(quick, threads=2), seed=0))


def test_the_number_of_threads_is_put_back(samples: Any, quick: Recipe) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(NET, samples, replace(quick, epochs=1), seed=0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_killed_training_resumes_and_ends_with_the_same_bits(
    samples: Any, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: str, num_classes: int, in_channels: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, num_classes))

    def kill(step: int, _: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "build_model", small)
    chosen, path = replace(quick, epochs=3, shift=1, flip=True), tmp_path / "unfinished.pt"
    whole = train("any", samples, chosen, 0)
    with pytest.raises(KeyboardInterrupt):
        train("any", samples, chosen, 0, kill, checkpoint=path)
    seen: list[int] = []
    assert same(whole, train("any", samples, chosen, 0, lambda step, _: seen.append(step), checkpoint=path))
    assert seen == [5, 6]  # from the last whole epoch
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CannotRun, match="unfinished training cannot be read; delete the file to begin anew"):
        train("any", samples, chosen, 0, checkpoint=path)


def test_progress_counts_the_steps(samples: Any, quick: Recipe) -> None:
    seen: list[tuple[int, int]] = []
    train(NET, samples, replace(quick, batch_size=15), seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, 4) for step in (1, 2, 3, 4)]  # 32 images: two full batches of 15 per epoch


@pytest.mark.parametrize("optimizer", [{"optimizer": "adam", "momentum": 0.0, "nesterov": False}, {}])
def test_a_loss_that_is_not_finite_names_epoch_and_recipe(
    samples: Any, quick: Recipe, optimizer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("benchmarks.training.fit"), "learning_rate", lambda *_: 1e200)
    with pytest.raises(CannotRun, match=r"recipe quick failed in epoch 1 of 2.*not finite"):
        train(NET, samples, replace(quick, **optimizer), seed=0)


def test_adam_trains(samples: Any, quick: Recipe) -> None:
    adam = replace(quick, optimizer="adam", momentum=0.0, nesterov=False, learning_rate=0.01)
    assert not same(train(NET, samples, adam, seed=0), train(NET, samples, replace(adam, learning_rate=0.02), seed=0))


def test_a_gpu_recipe_without_a_gpu_is_not_available(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NotAvailable, match=r"cifar-resnet needs a GPU.*SNNBENCH_WEIGHTS"):
        train("resnet20", samples, recipe("cifar-resnet"), seed=0)


def test_a_network_that_does_not_take_the_images_is_refused(samples: Any, quick: Recipe) -> None:
    with pytest.raises(CannotRun, match=r"vgg16 does not take images of 1x8x8"):
        train("vgg16", samples, quick, seed=0)


def test_one_image_or_constant_images_are_refused(samples: Any, quick: Recipe) -> None:
    with pytest.raises(CannotRun, match="at least 2"):
        train(NET, replace(samples, images=samples.images[:1], labels=samples.labels[:1]), quick, seed=0)
    with pytest.raises(CannotRun, match="constant"):
        train(NET, replace(samples, images=torch.zeros_like(samples.images)), quick, seed=0)


def test_the_number_of_classes_can_be_given(samples: Any, quick: Recipe) -> None:
    model = train(NET, samples, replace(quick, epochs=1), seed=0, num_classes=5)
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 5)


def test_statistics_are_those_of_numpy() -> None:
    images = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    scaled = images.numpy() / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-12)


@settings(deadline=None)
@given(st.floats(-1e30, 1e30).filter(lambda value: value == 0 or abs(value) > 1e-30), st.integers(8, 24))
def test_rounding_keeps_the_given_number_of_bits(value: float, bits: int) -> None:
    rounded = round_significant(torch.tensor([value], dtype=torch.float64), bits).item()
    mantissa, exponent = math.frexp(value)
    scaled = mantissa * 2**bits
    assert abs(math.ldexp(rounded, bits - exponent) - scaled) <= 0.5
    assert math.ldexp(math.frexp(rounded)[0], bits).is_integer()


@settings(deadline=None)
@given(st.floats(-(2.0**100), 2.0**100, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30))
def test_rounding_float32_to_24_bits_changes_nothing(value: float) -> None:
    assert round_significant(torch.tensor([value]), 24).item() == value


def test_the_rate_rises_over_the_warmup_and_falls_to_nothing() -> None:
    chosen = replace(recipe("digits"), learning_rate=1.0, warmup=0.2)
    rates = [learning_rate(chosen, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert np.argmax(rates) in (18, 19, 20)
    assert all(later < earlier for earlier, later in zip(rates[20:], rates[21:], strict=False))
    assert rates[-1] < 1e-3
    assert learning_rate(replace(chosen, warmup=0.0), 0, 100) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "model_name", "least"),
    [
        ("digits", "resnet20-thin", 0.97),
        ("digits", "resnet18-thin", 0.97),
        ("digits", "vgg16-thin", 0.97),
        ("digit-pairs", "resnet20-thin", 0.90),
        ("digit-pairs", "resnet34-thin", 0.90),
        ("digit-pairs", "vgg16-thin", 0.90),
    ],
)
def test_the_embedded_networks_are_accurate(dataset: str, model_name: str, least: float) -> None:
    training, test = load(f"sklearn/{dataset}", "train"), load(f"sklearn/{dataset}", "test")
    model = train(model_name, training, recipe(dataset), seed=0)
    mean, std = channel_statistics(training.images)
    with torch.no_grad():
        correct = [(model(images).argmax(1) == labels) for images, labels in test.batches(mean, std, 100)]
    assert torch.cat(correct).float().mean() >= least
