"""Methods with a training of their own: gradients of means; KDSNN's loss by hand, its teacher and the teacher's place in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks.errors import CannotRun
from benchmarks.methods import direct_method
from benchmarks.methods.kdsnn import KDSNN, ReLUTeacher, Student
from benchmarks.models.checkpoint_files import read_checkpoint
from benchmarks.training import recipe, spiking_cache
from benchmarks.training.batches import LabelledImages
from benchmarks.training.randomness import generator
from benchmarks.training.spiking import TrainingFailed, split, train_spiking
from benchmarks.training.spiking_cache import SpikingTask, TrainedSpiking, trained_spiking

LAYOUT, SHAPE = "ResNet20-w2-s1", (1, 8, 8)


def pair() -> tuple[Student, Any]:
    """A network in training and its teacher, untrained, in float64."""
    made = []
    for number, method in enumerate((KDSNN(), ReLUTeacher())):
        network = method.build(LAYOUT, SHAPE, 3, 4).double()
        method.initialize(network, generator(number, "initialization"))
        made.append(network)
    student, teacher = made
    assert isinstance(student, Student)
    student.learn_from(teacher.eval())
    return student, teacher


def test_the_loss_by_hand() -> None:
    student, teacher = pair()
    images, labels = torch.rand(5, *SHAPE, generator=generator(2, "images"), dtype=torch.float64), torch.arange(5) % 3
    scores, _ = student.answers(images)
    found = KDSNN().loss(scores, labels, student)
    outputs: dict[Any, list[torch.Tensor]] = {student: [], teacher: []}
    for network, seen in outputs.items():
        for block in network.layers.blocks:
            block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.detach()))
        network(images)
    q, p = ((logits.detach() / 4).softmax(1) for logits in (scores.mean(0), teacher(images)))
    kl = 16 * (p * (p / q).log()).sum(1).mean()
    squares = [(s.mean(0) - t[0]).square().mean() for s, t in zip(outputs[student], outputs[teacher], strict=False)]
    assert len(squares) == 8 and float(sum(squares)) > 0 and float(kl) > 0
    expected = F.cross_entropy(scores.mean(0), labels) + 0.1 * kl + 0.1 * sum(squares) / 8
    assert torch.allclose(found, expected, rtol=1e-12)


def test_the_teacher_is_seen_in_training_alone_and_is_no_part_of_the_network() -> None:
    student, teacher = pair()
    alone = KDSNN().build(LAYOUT, SHAPE, 3, 4)
    assert student.state_dict().keys() == alone.state_dict().keys() and teacher.timesteps == 1
    images, labels = torch.rand(5, *SHAPE, dtype=torch.float64), torch.arange(5) % 3
    scores, _ = student.answers(images)
    KDSNN().loss(scores, labels, student).backward()
    assert all(each.grad is None for each in teacher.parameters()) and all(each.grad is not None for each in student.parameters())
    scores, _ = student.eval().answers(images)
    assert torch.equal(KDSNN().loss(scores, labels, student), F.cross_entropy(scores.mean(0), labels))


@pytest.mark.parametrize("name", ["DSR", "Tandem learning"])
def test_gradients_of_means_train_a_network(samples: LabelledImages, name: str) -> None:
    chosen = replace(recipe("ternary-digits"), name="short", batch_size=12, epochs=8, options={"timesteps": 5})
    _, history = train_spiking(direct_method(name), "ResNet20-w4-s1", 2, split(samples, 8), chosen, 0, tolerant=True)
    assert history["train_loss"][-1] < 0.9 * history["train_loss"][0]


def test_it_learns_from_its_teacher_and_not_without(samples: LabelledImages) -> None:
    chosen = replace(recipe("ternary-digits"), name="short", batch_size=12, epochs=8)
    what = ("ResNet20-w4-s1", 2, split(samples, 8), chosen, 0)
    teacher, taught = train_spiking(ReLUTeacher(), *what)
    assert taught["train_accuracy"][-1] == 100 and taught["firing"].shape == (9, 0)
    _, history = train_spiking(KDSNN(), *what, teacher=teacher)
    assert history["train_loss"][-1] < 0.8 * history["train_loss"][0]
    with pytest.raises(CannotRun, match="KDSNN learns from a network that benchmarks.methods.kdsnn:ReLUTeacher trains"):
        train_spiking(KDSNN(), *what)


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpikingTask:
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    chosen = replace(recipe("ternary-digits"), name="short", epochs=1)
    return SpikingTask("sklearn/digits", LAYOUT, "KDSNN", chosen, 0, validation=30, training=64)


def test_a_teacher_is_trained_once_for_a_task(task: SpikingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def noted(method: Any, *rest: Any) -> Any:
        trained.append(method.name)
        return train_spiking(method, *rest)

    monkeypatch.setattr(spiking_cache, "train_spiking", noted)
    network = trained_spiking(task).network
    assert network is not None and trained == ["ReLU", "KDSNN"]
    files = sorted((tmp_path / "networks").glob("*.safetensors"))
    assert [read_checkpoint(path)[1]["method"] for path in files] == ["KDSNN", direct_method("KDSNN").teacher]
    trained_spiking(task)
    files[0].unlink()
    again = trained_spiking(task).network
    assert trained == ["ReLU", "KDSNN", "KDSNN"] and again is not None
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))
    trained_spiking(replace(task, seed=1))
    assert trained[3:] == ["ReLU", "KDSNN"]


def test_a_teacher_that_fails_is_the_reason(task: SpikingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(method: Any, *rest: Any) -> TrainedSpiking:
        raise TrainingFailed("the loss is not finite")

    monkeypatch.setattr(spiking_cache, "train_spiking", failing)
    assert trained_spiking(task).failed == "of its teacher: the loss is not finite"
