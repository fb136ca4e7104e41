"""A lab does what takes long once: a network is read once however many methods convert it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.measurements import LiveMemory
from benchmarks.measurements.lab import Lab, Progress, TrainedNetwork
from benchmarks.methods import METHODS, fast_snn, method
from benchmarks.models import build_model
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.profiles import NetworkChoice, load_profile
from snncore.conversion import recording
from snncore.quantization import ClipFloorShift

CHOICE = NetworkChoice("CIFAR-10", "ResNet-20", "sklearn/digits", "resnet20-thin", "weights")
T = 4
QUANTIZED = [name for name in METHODS if not method(name).traits().full_precision]
PLAIN = [name for name in METHODS if name not in QUANTIZED]


class SmallLab(Lab):
    """One small network and eight random images; notes how many images are asked for."""

    asked: list[int]
    model: nn.Module

    def trained(self, choice: NetworkChoice, progress: Progress | None = None) -> TrainedNetwork:
        return TrainedNetwork(self.model, (0.5,), (1.0,), "small", "0")

    def calibration_batches(self, choice: NetworkChoice, limit: int) -> Iterator[Tensor]:
        self.asked.append(limit)
        yield torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def lab_with(monkeypatch: pytest.MonkeyPatch, quantized: bool) -> tuple[SmallLab, list[str]]:
    """A lab, and what is exported and fine-tuned in it."""
    torch.manual_seed(0)
    first, second = (ClipFloorShift(3), ClipFloorShift(3)) if quantized else (nn.ReLU(), nn.ReLU())
    layers = [nn.Conv2d(2, 3, 3), first, nn.Conv2d(3, 3, 3), second, nn.Flatten(), nn.Linear(12, 4)]
    lab, done = SmallLab(load_profile("embedded")), []
    object.__setattr__(lab, "model", nn.Sequential(*layers).eval().requires_grad_(False))
    object.__setattr__(lab, "asked", [])
    export, tune = recording.export, fast_snn.fine_tune_layers
    monkeypatch.setattr(recording, "export", lambda *args, **kwargs: done.append("export") or export(*args, **kwargs))
    monkeypatch.setattr(fast_snn, "fine_tune_layers", lambda *args: done.append("fine-tune") or tune(*args))
    return lab, done


def test_several_methods_read_a_network_once_and_nobody_tunes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, done = lab_with(monkeypatch, quantized=False)
    for name in PLAIN:
        lab.asked.clear()
        lab.converted(CHOICE, "maximum", name, (), T)
        assert lab.asked[name == PLAIN[0] :] == ([128] if method(name).layerwise else []), name  # the first is calibrated
    lab.converted(CHOICE, "percentile-99.9", "TMN", (), T + 1)
    assert done == ["export"]


def test_only_the_method_of_fine_tuning_tunes_a_quantised_network(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, done = lab_with(monkeypatch, quantized=True)
    for name in ["TMN", *QUANTIZED]:
        lab.converted(CHOICE, "maximum", name, (), T)
    assert done == ["export", "fine-tune"]
    assert lab.asked == [lab.profile.calibration_images] * 2  # for the calibration, and for the tuning


def test_amplitudes_are_adjusted_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, done = lab_with(monkeypatch, quantized=False)
    lab.converted(CHOICE, "maximum", "TSA", (), T)
    lab.converted(CHOICE, "maximum", "TSA", (("adjustment", 2),), T)
    assert lab.asked == [lab.profile.calibration_images, 128] and done == ["export"]


def test_networks_and_images_have_the_precision_of_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(tmp_path))
    weights = {"mean": json.dumps([0.3]), "std": json.dumps([0.4])}
    write_checkpoint(tmp_path / "weights.safetensors", build_model("resnet20-thin", 10, 1).state_dict(), weights)
    choice = replace(CHOICE, weights="weights")
    lab = Lab(replace(load_profile("embedded"), precision="float64", calibration_images=8))
    images, _ = next(lab.test_batches(choice, 0, 4))
    spiking = lab.converted(choice, "maximum", "TMN", (), T)
    assert images.dtype == spiking(images).dtype == torch.float64
    assert {weight.dtype for weight in spiking.parameters()} == {torch.float64}
    found = LiveMemory(choice, "maximum", 4, "TMN", (), T).run(lab, 0, 4)
    single = Lab(replace(lab.profile, precision="float32"))
    assert found["same_bytes"] == LiveMemory(choice, "maximum", 4, "TMN", (), T).run(single, 0, 4)["same_bytes"]
