"""Quantised networks: made once from a trained network, kept in the cache, and better after fine-tuning than before."""

import importlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models import build_model, read_metadata
from benchmarks.training import QuantizedTask, Recipe, quantized_network, quantizer, recipe_names
from benchmarks.training import recipe as recipe_of
from benchmarks.training.randomness import initialize
from benchmarks.training.train import channel_statistics, train
from snncore.conversion import quantize, record
from snncore.quantization import ActivationQuantizer, ClipFloorShift, UniformQuantizer

NET = "resnet20-thin"
module = importlib.import_module("benchmarks.training.quantized")


@pytest.fixture(autouse=True)
def _quick_recipes(quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = replace(quick, name="quick-quantized", epochs=1, learning_rate=0.01, nesterov=False, options={"calibration_images": 16})
    recipes = {"quick-quantized": tuned, "plain": replace(tuned, name="plain", options={})}
    monkeypatch.setattr(module, "recipe", recipes.__getitem__)
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))


@pytest.fixture
def base() -> nn.Module:
    network = build_model(NET, 2, 1)
    initialize(network, 0)
    return network.eval().requires_grad_(False)


def task(samples: Any, **changes: Any) -> QuantizedTask:
    mean, std = channel_statistics(samples.images)
    return replace(QuantizedTask(NET, "0" * 64, tuple(mean), tuple(std), "qcfs-4", "quick-quantized", 0), **changes)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("fine-tuned again")

    monkeypatch.setattr(module, "fine_tune", fail)


def test_a_network_is_quantised_once(base: nn.Module, samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = quantized_network(base, samples, task(samples))
    forbid(monkeypatch)
    second = quantized_network(base, samples, task(samples))
    assert first.checkpoint_path == second.checkpoint_path and first.sha == second.sha
    assert first.checkpoint_path.parent == tmp_path / "networks"
    quantizers = [m for m in second.model.modules() if isinstance(m, ActivationQuantizer)]
    assert len(quantizers) == 19 and {q.levels for q in quantizers} == {4}
    assert not any(type(m) is nn.ReLU for m in second.model.modules())
    assert not second.model.training
    metadata = read_metadata(second.checkpoint_path)
    assert (metadata["base"], metadata["quantizer"], metadata["seed"]) == ("0" * 64, "qcfs-4", "0")
    assert metadata["dataset_fingerprint"] == samples.fingerprint and metadata["mean"].startswith("[")


def test_the_same_bytes_again_and_after_damage(base: nn.Module, samples: Any, caplog: pytest.LogCaptureFixture) -> None:
    first = quantized_network(base, samples, task(samples))
    first.checkpoint_path.write_bytes(b"garbage")
    with caplog.at_level(logging.WARNING):
        again = quantized_network(base, samples, task(samples))
    assert again.sha == first.sha and "again" in caplog.text


def test_every_cause_of_a_network_has_its_own_file(base: nn.Module, samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = quantize(record(base, samples.images[:1].float()), None, quantizer("qcfs-4"))
    monkeypatch.setattr(module, "fine_tune", lambda *_: start)
    changes = [{}, {"base": "1" * 64}, {"seed": 1}, {"mean": (0.5,)}, {"quantizer": "uniform-3"}, {"quantizer": "qcfs-7"}]
    paths = [quantized_network(base, samples, task(samples, **change)).checkpoint_path for change in changes]
    paths.append(quantized_network(base, replace(samples, fingerprint="1" * 32), task(samples)).checkpoint_path)
    monkeypatch.setattr(module, "_code", lambda: "another version")
    paths.append(quantized_network(base, samples, task(samples)).checkpoint_path)
    assert len(set(paths)) == len(paths)


def test_fine_tuning_lowers_the_loss(samples: Any, quick: Recipe) -> None:
    trained = train(NET, samples, replace(quick, epochs=4), 0)
    mean, std = channel_statistics(samples.images)
    x = (samples.images.float() / 255 - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)
    tuned = quantized_network(trained, samples, task(samples, quantizer="uniform-1")).model
    start = quantize(trained, [x], quantizer("uniform-1"))
    with torch.no_grad():
        losses = [float(nn.functional.cross_entropy(network(x), samples.labels)) for network in (start, tuned)]
    assert losses[1] < losses[0]


def test_quantisers_by_name() -> None:
    assert isinstance(quantizer("qcfs-4")(2.0), ClipFloorShift) and quantizer("qcfs-4")(2.0).levels == 4
    assert isinstance(quantizer("uniform-3")(1.0), UniformQuantizer) and quantizer("uniform-3")(1.0).levels == 7


@pytest.mark.parametrize("name", ["qcfs", "qcfs-0", "qcfs-x", "uniform-9", "lsq-4", "", "qcfs--4"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(CannotRun, match=r"there is no quantiser called .*; known: qcfs-1 to qcfs-255, uniform-1 to uniform-8"):
        quantizer(name)


def test_a_recipe_of_another_kind_is_refused(base: nn.Module, samples: Any) -> None:
    with pytest.raises(CannotRun, match="recipe plain cannot quantise a network: it lacks the option calibration_images"):
        quantized_network(base, samples, task(samples, recipe="plain"))


def test_a_clip_that_is_lost_is_a_failure(base: nn.Module, samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(model: nn.Module) -> None:
        for m in model.modules():
            if isinstance(m, ActivationQuantizer):
                m.clip.data.neg_()

    monkeypatch.setattr(module, "fit", lambda learner, *_: lose(learner.network))
    with pytest.raises(NotAvailable, match="the clip of .* is no longer positive; lower the recipe's learning rate"):
        quantized_network(base, samples, task(samples))


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.endswith("-quantized")])
def test_recipes_for_quantised_networks_say_how_many_images_they_calibrate_on(name: str) -> None:
    assert {"calibration_images"} <= recipe_of(name).options.keys() <= {"calibration_images", "distillation", "images"}


def test_distillation_follows_the_trained_network(quick: Recipe) -> None:
    """The loss is 0 where both answer alike, and t**2 times the divergence at that temperature elsewhere, whatever the labels."""
    recipe = replace(quick, options={"calibration_images": 16, "distillation": 2.0})
    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)
    x, labels = torch.randn(5, 3), torch.zeros(5, dtype=torch.int64)
    assert float(module.Distilled(teacher, recipe, teacher)(x, labels, 0)) == pytest.approx(0, abs=1e-6)
    p, q = ((net(x) / 2).softmax(1) for net in (teacher, student))
    expected = 4 * (p * (p / q).log()).sum(1).mean()
    assert float(module.Distilled(student, recipe, teacher)(x, labels, 0)) == pytest.approx(float(expected), rel=1e-4)
