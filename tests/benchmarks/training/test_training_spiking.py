"""Direct training: the same bits for the same seed, resumed or not; failures that say why; the cache of trained networks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.data import load
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import DIRECT_METHODS, direct_method
from benchmarks.methods.deep import DeepMethod
from benchmarks.methods.direct import SpikingClassifier
from benchmarks.models.checkpoint_files import read_checkpoint, write_torch
from benchmarks.training import Recipe, recipe, spiking_cache
from benchmarks.training.randomness import generator
from benchmarks.training.spiking import History, Split, TrainingFailed, in_float32, split, train_spiking
from benchmarks.training.spiking_cache import SpikingTask, trained_spiking
from snncore.decoding import winner
from snncore.neurons.leaky import LIFNeuron

LAYOUT, EPOCHS = "64-16-2", 3
OPTIONS = {"timesteps": 4, "decoder": "exponential-2", "scale": 5.0, "threshold": 0.5}
EPOCH_NAMES = ("train_loss", "train_accuracy")
STATE_NAMES = ("validation_loss", "validation_accuracy", "validation_silent", "firing")
Trained = tuple[SpikingClassifier, History]


@pytest.fixture
def small() -> Recipe:
    """Three epochs of two batches."""
    return replace(recipe("ettfs-digits"), name="small", epochs=EPOCHS, batch_size=12, learning_rate=0.01, options=OPTIONS)


@pytest.fixture
def parts(samples: Any) -> Split:
    return split(samples, 8)


def trained(parts: Split, chosen: Recipe, seed: int = 0, layout: str = LAYOUT, tolerant: bool = True, **others: Any) -> Trained:
    """Tolerant, because so short a training leaves most outputs silent."""
    return train_spiking(direct_method("ETTFS"), layout, 2, parts, chosen, seed, tolerant=tolerant, **others)


def with_options(chosen: Recipe, **options: Any) -> Recipe:
    return replace(chosen, options=chosen.options | options)


def same_weights(a: SpikingClassifier, b: SpikingClassifier) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def same_history(a: History, b: History) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# ---- split ------------------------------------------------------------------------------------------------------------


def test_the_last_images_validate_and_are_never_among_the_others(samples: Any) -> None:
    parts = split(samples, 8)
    assert torch.equal(torch.cat([parts.images, parts.validation_images]), samples.images)
    assert torch.equal(torch.cat([parts.labels, parts.validation_labels]), samples.labels)
    fewer = split(samples, 8, 10)
    assert torch.equal(fewer.images, samples.images[:10]) and torch.equal(fewer.labels, samples.labels[:10])
    assert torch.equal(fewer.validation_images, parts.validation_images)


@pytest.mark.parametrize(("validation", "training"), [(0, None), (-1, None), (32, None), (31, None), (8, 25), (8, 1), (8, 0)])
def test_a_split_for_which_there_are_not_enough_images(samples: Any, validation: int, training: int | None) -> None:
    with pytest.raises(CannotRun, match="cannot split 32 training images into"):
        split(samples, validation, training)


# ---- seeds and validation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "dropout"), [("float32", 0.0), ("float64", 0.0), ("float64", 0.5)])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(parts: Split, small: Recipe, precision: Any, dropout: float) -> None:
    chosen = with_options(replace(small, precision=precision), dropout=dropout)
    runs = []
    for noise, seed in enumerate((1, 1, 2)):
        torch.manual_seed(noise)  # torch's own random numbers play no part
        runs.append(trained(parts, chosen, seed))
    (first, history), (again, history_again), (other, _) = runs
    assert same_weights(first, again) and same_history(history, history_again)
    assert not same_weights(first, other)
    assert not first.training
    assert {p.dtype for p in first.parameters()} == {torch.float32}


def test_dropout_changes_what_is_trained(parts: Split, small: Recipe) -> None:
    options = dict(small.options)
    with_dropout, _ = trained(parts, replace(small, options=options | {"dropout": 0.5}))
    assert not same_weights(with_dropout, trained(parts, small)[0])


def test_validation_images_are_not_trained_on(parts: Split, small: Recipe) -> None:
    network, history = trained(parts, small)
    noise = torch.randint(0, 256, (5, 1, 8, 8), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    others = replace(parts, validation_images=noise, validation_labels=torch.zeros(5, dtype=torch.int64))
    again, other_history = trained(others, small)
    assert same_weights(network, again)
    assert np.array_equal(history["train_loss"], other_history["train_loss"])
    assert not np.array_equal(history["validation_loss"], other_history["validation_loss"])


def test_it_learns_and_notes_what_it_does(parts: Split, small: Recipe) -> None:
    network, history = trained(parts, replace(small, epochs=12))
    assert {name: history[name].shape for name in EPOCH_NAMES} == {name: (12,) for name in EPOCH_NAMES}
    assert {name: history[name].shape for name in STATE_NAMES[:3]} == {name: (13,) for name in STATE_NAMES[:3]}
    assert history["firing"].shape == (13, 2)
    assert history["step"].tolist() == list(range(24)) and history["step_firing"].shape == (24, 2)
    assert ((history["firing"] >= 0) & (history["firing"] <= 1)).all()
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["train_accuracy"][-1] == history["validation_accuracy"][-1] == 100
    with torch.no_grad():
        currents, spikes = network.output(parts.validation_images.float() / 255)
        named = winner(network.decode(spikes), currents, spikes)
    assert torch.equal(named, parts.validation_labels)
    assert history["firing"][-1][1] == pytest.approx(float(spikes.sum()) / spikes[0].numel())


@pytest.mark.parametrize("name", DIRECT_METHODS)
def test_what_is_minimised_is_what_the_method_scores(parts: Split, small: Recipe, name: str) -> None:
    """Not what its spikes decode to: the exact times of STDBP's outputs carry its gradients, its grid does not."""
    method = direct_method(name)
    still = replace(small, epochs=1, learning_rate=1e-300, weight_decay=0.0, options={"timesteps": 8})
    network, history = train_spiking(method, LAYOUT, 2, parts, still, 0, tolerant=True)
    network.double()
    images, labels = parts.images.double() / 255, parts.labels
    with torch.no_grad():
        loss = float(method.loss(network(images), labels))
        right = (network.answers(images)[1] == labels).double().mean()
    assert history["train_loss"][0] == pytest.approx(loss, rel=1e-5)  # two batches of all 24 images; float32 weights
    assert history["train_accuracy"][0] == pytest.approx(100 * float(right))


def test_before_training_nothing_is_learnt(parts: Split, small: Recipe) -> None:
    _, history = trained(parts, small)
    method = direct_method("ETTFS")
    network = method.build(LAYOUT, (1, 8, 8), 2, **OPTIONS).double()
    method.initialize(network, generator(0, "initialization"))
    with torch.no_grad():
        _, spikes = network.output(parts.validation_images.double() / 255)
    loss = float(method.loss(network.decode(spikes), parts.validation_labels))
    assert history["validation_loss"][0] == pytest.approx(loss, rel=1e-9)
    assert history["validation_silent"][0] == pytest.approx(100 * float((spikes.amax((0, 2)) == 0).double().mean()))


def test_a_convolutional_network_is_trained(parts: Split, small: Recipe) -> None:
    for pooling in ("average", "max"):
        network, history = trained(parts, with_options(small, pooling=pooling), layout="3C3-P2-8-2")
        assert history["firing"].shape == (EPOCHS + 1, 3)
        assert all(p.is_contiguous() for p in network.parameters())


def test_the_number_of_threads_is_that_of_before(parts: Split, small: Recipe) -> None:
    before = torch.get_num_threads()
    trained(parts, replace(small, threads=1, epochs=1))
    assert torch.get_num_threads() == before


# ---- checkpoints ------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


def kill_after(steps: int) -> Callable[[int, int], None]:
    def progress(step: int, _: int) -> None:
        if step > steps:
            raise Killed

    return progress


@pytest.mark.parametrize(
    ("steps", "change"),
    [
        (2, {}),
        (3, {}),
        (3, {"shift": 1, "flip": True}),
        (3, {"options": {"timesteps": 4, "dropout": 0.5}}),
        (5, {"optimizer": "sgd", "momentum": 0.9, "precision": "float32"}),
    ],
)
def test_a_killed_run_resumes_and_ends_with_the_same_bits(
    parts: Split, small: Recipe, tmp_path: Path, steps: int, change: dict[str, Any]
) -> None:
    chosen, path = replace(small, **change), tmp_path / "run.pt"
    whole, history = trained(parts, chosen)
    with pytest.raises(Killed):
        trained(parts, chosen, checkpoint=path, progress=kill_after(steps))
    seen: list[int] = []
    resumed, resumed_history = trained(parts, chosen, checkpoint=path, progress=lambda step, _: seen.append(step))
    assert seen == list(range(2 * (steps // 2) + 1, 7))  # from the last whole epoch
    assert same_weights(whole, resumed) and same_history(history, resumed_history)


def test_a_run_killed_in_its_first_epoch_begins_anew(parts: Split, small: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Killed):
        trained(parts, small, checkpoint=path, progress=kill_after(0))
    assert not path.exists()
    assert same_weights(trained(parts, small, checkpoint=path)[0], trained(parts, small)[0])


def test_a_finished_checkpoint_is_only_read(parts: Split, small: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    network, history = trained(parts, small, checkpoint=path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]
    before = path.read_bytes()
    again, history_again = trained(parts, small, checkpoint=path, progress=kill_after(0))
    assert same_weights(network, again) and same_history(history, history_again)
    assert path.read_bytes() == before


def rewritten(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], object]:
    return lambda path: write_torch(path, change(torch.load(path, weights_only=True)))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"not a checkpoint"),
    "poor": rewritten(lambda state: {name: value for name, value in state.items() if name != "generators"}),
    "other": rewritten(lambda state: state | {"network": {name: tensor[:1] for name, tensor in state["network"].items()}}),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_checkpoint_is_named(parts: Split, small: Recipe, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Killed):
        trained(parts, small, checkpoint=path, progress=kill_after(2))
    DAMAGES[damage](path)
    with pytest.raises(CannotRun, match="this unfinished training cannot be read; delete the file to begin anew") as refused:
        trained(parts, small, checkpoint=path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


# ---- failures ---------------------------------------------------------------------------------------------------------

RATES = r"\(neurons that fire, by layer: [\d.e-]+ %, [\d.e-]+ %\)"


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_learning_rate_at_which_weights_overflow(parts: Split, small: Recipe, optimizer: Any) -> None:
    chosen = replace(small, learning_rate=1e308, warmup=0.0, optimizer=optimizer)
    with pytest.raises(TrainingFailed, match=rf"not finite in epoch 1 of 3 {RATES}; lower the learning rate \(1e\+308\)"):
        trained(parts, chosen, tolerant=False)


@pytest.mark.parametrize("tolerant", [False, True])
def test_a_loss_that_is_not_finite(parts: Split, small: Recipe, tolerant: bool) -> None:
    with pytest.raises(TrainingFailed, match=rf"the loss is not finite in epoch 1 of 3 {RATES}; lower the learning rate"):
        trained(parts, with_options(replace(small, precision="float32"), scale=1e300), tolerant=tolerant)


def test_a_layer_that_is_dead_is_named_with_all_rates(parts: Split, small: Recipe) -> None:
    """Kaiming's variance in a deep network."""
    chosen = with_options(small, timesteps=16, initialization="kaiming", threshold=2.0)
    layout = "64-" + "30-" * 12 + "2"
    with pytest.raises(TrainingFailed) as failed:
        trained(parts, replace(chosen, learning_rate=1e-5), layout=layout, tolerant=False)
    message = str(failed.value)
    assert "of 13 is dead after epoch 2: no neuron of it fires for any validation image (neurons that fire, by layer: " in message
    rates = [float(rate.strip(" %)")) for rate in message.partition("by layer: ")[2].split(",")]
    assert len(rates) == 13 and rates[0] > 0
    assert rates.index(0) + 1 == int(message.split()[1])


def test_silent_outputs_after_a_single_epoch(parts: Split, small: Recipe) -> None:
    with pytest.raises(TrainingFailed, match=rf"no output neuron fires for 100.0 % of the validation images {RATES}"):
        trained(parts, replace(with_options(small, threshold=1e6), epochs=1), tolerant=False)


def test_tolerance_goes_on_in_silence_and_silence_is_never_right(parts: Split, small: Recipe) -> None:
    _, history = trained(parts, with_options(small, threshold=1e6))
    assert history["validation_silent"].tolist() == [100.0] * (EPOCHS + 1)
    assert history["validation_accuracy"].tolist() == [0.0] * (EPOCHS + 1)
    assert not history["firing"].any()


@pytest.mark.parametrize("timesteps", [None, 4.0])
def test_a_recipe_without_timesteps(parts: Split, small: Recipe, timesteps: Any) -> None:
    with pytest.raises(CannotRun, match="recipe small lacks timesteps among its options"):
        trained(parts, with_options(small, timesteps=timesteps))


def test_a_recipe_for_a_gpu_that_is_not_there(parts: Split, small: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NotAvailable, match="recipe small needs a GPU"):
        trained(parts, replace(small, device="cuda"))


# ---- the cache --------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpikingTask:
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    chosen = replace(small, batch_size=50, options={"timesteps": 4})
    return SpikingTask("sklearn/digits", "64-20-10", "ETTFS", chosen, 0, validation=60, training=150, tolerant=True)


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / "networks").glob(f"*{suffix}"))


def never(*_: Any) -> Any:
    raise AssertionError("trained again")


def test_a_network_is_trained_once_and_then_read(task: SpikingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained_spiking(task)
    assert not files(tmp_path, ".pt")
    (path,) = files(tmp_path, ".safetensors")
    metadata = read_checkpoint(path)[1]
    assert metadata["seed"] == "0" and json.loads(metadata["split"]) == [150, 60]
    assert json.loads(metadata["recipe"])["options"] == {"timesteps": 4}
    monkeypatch.setattr(spiking_cache, "train_spiking", never)
    again = trained_spiking(task)
    assert first.network is not None and again.network is not None and first.failed == again.failed == ""
    assert same_weights(first.network, again.network) and same_history(first.history, again.history)
    assert first.sha == again.sha and not again.network.training
    assert first.history["firing"].shape == (EPOCHS + 1, 2)


def test_the_network_is_the_trained_one_and_the_test_set_is_not_touched(task: SpikingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = []

    def noted(name: str, part: str, offline: bool = False) -> Any:
        splits.append(part)
        return load(name, part, offline)

    monkeypatch.setattr(spiking_cache, "load", noted)
    found = trained_spiking(task)
    assert splits == ["train"] and found.network is not None
    parts = split(load("sklearn/digits", "train"), 60, 150)
    network, history = train_spiking(direct_method("ETTFS"), task.layout, 10, parts, task.recipe, 0, tolerant=True)
    assert same_weights(found.network, network) and same_history(found.history, history)


def test_what_is_trained_belongs_to_the_key(task: SpikingTask, tmp_path: Path) -> None:
    variants = [
        {},
        {"seed": 1},
        {"layout": "64-21-10"},
        {"validation": 59},
        {"training": 149},
        {"tolerant": False},
        {"recipe": replace(task.recipe, learning_rate=0.03)},
        {"recipe": replace(task.recipe, options={"timesteps": 5})},
    ]
    quick = replace(task, recipe=replace(task.recipe, epochs=1))
    for count, change in enumerate(variants, start=1):
        recipe_of = replace(change.get("recipe", task.recipe), epochs=1)
        trained_spiking(replace(quick, **{**change, "recipe": recipe_of}))
        assert len(files(tmp_path, ".safetensors")) == count


def test_a_killed_training_resumes_from_the_cache(task: SpikingTask, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained_spiking(task, progress=kill_after(4))
    assert len(files(tmp_path, ".pt")) == 1 and not files(tmp_path, ".safetensors")
    seen: list[int] = []
    resumed = trained_spiking(task, progress=lambda step, _: seen.append(step))
    assert seen == list(range(4, 10)) and not files(tmp_path, ".pt")
    (path,) = files(tmp_path, ".safetensors")
    path.unlink()
    whole = trained_spiking(task)
    assert whole.sha == resumed.sha


def test_exact_spike_times_count_as_one_spike(parts: Split) -> None:
    """STDBP's trains share a spike between two steps."""
    chosen = replace(recipe("stdbp-digits"), epochs=1, batch_size=12)
    _, history = train_spiking(direct_method("STDBP"), LAYOUT, 2, parts, chosen, 0, tolerant=True)
    assert 0 < history["firing"].max() <= 1


def test_a_deep_network_resumes_too(parts: Split, tmp_path: Path) -> None:
    chosen = replace(recipe("ettfs-digits"), epochs=2, batch_size=12, optimizer="sgd", momentum=0.9, options={"timesteps": 2})
    arguments = (direct_method("Trainable ternary spike"), "ResNet20-w2-s1", 2, parts, chosen, 0)
    network, history = train_spiking(*arguments)
    with pytest.raises(Killed):
        train_spiking(*arguments, tmp_path / "unfinished.pt", progress=kill_after(3))
    resumed, again = train_spiking(*arguments, tmp_path / "unfinished.pt")
    assert same_history(history, again)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in network.state_dict().items())
    assert history["firing"].shape == (3, 17) and 0 < history["firing"].mean() < 1


class Deaf(DeepMethod):
    """Neurons that never fire."""

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> torch.nn.Module:
        return LIFNeuron(threshold=1e6)


def test_a_deep_network_that_is_silent_or_diverges_is_named_with_layer_and_rates(parts: Split) -> None:
    chosen = replace(recipe("ternary-digits"), epochs=2, batch_size=12)
    dead = r"layer 1 of 17 is dead after epoch 2: no neuron of it fires for any validation image \(neurons that fire, by layer: (0 %, ){16}0 %\)"
    with pytest.raises(TrainingFailed, match=dead):
        train_spiking(Deaf(), "ResNet20-w2-s1", 2, parts, chosen, 0)
    hot = replace(chosen, learning_rate=1e308, warmup=0.0)
    with pytest.raises(TrainingFailed, match=r"the loss is not finite in epoch 1 of 2 \(neurons that fire, by layer: ([\d.e-]+ %, ){16}"):
        train_spiking(direct_method("Ternary spike"), "ResNet20-w2-s1", 2, parts, hot, 0)


def test_what_is_noted_on_the_test_set_changes_nothing_else(parts: Split, small: Recipe) -> None:
    network, history = trained(parts, small)
    test = parts.images[:9], parts.labels[:9]
    again, noted = trained(parts, small, test=test)
    accuracies = noted.pop("test_accuracy")
    assert same_weights(network, again) and same_history(history, noted)
    with torch.no_grad():
        right = again.answers(test[0].float() / 255)[1] == test[1]
    assert len(accuracies) == EPOCHS + 1 and accuracies[-1] == pytest.approx(100 * float(right.double().mean()))


def test_potentials_are_float32_where_convolutions_are_half_precision() -> None:
    network = direct_method("Ternary spike").build("ResNet20-w2-s1", (1, 8, 8), 2, 2)
    seen: list[tuple[torch.dtype, torch.dtype, torch.dtype]] = []

    def note(_: Any, before: tuple[torch.Tensor, ...], spikes: torch.Tensor) -> None:
        seen.append((before[0].dtype, in_float32(_, before)[0].dtype, spikes.dtype))

    for neuron in network.layers.blocks[0].neuron1, network.layers.blocks[0].neuron2:
        neuron.register_forward_hook(note)
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        network.answers(images)
        assert {dtypes[0] for dtypes in seen} == {torch.bfloat16}  # as autocast has it
        for neuron in network.layers.blocks[0].neuron1, network.layers.blocks[0].neuron2:
            neuron.register_forward_pre_hook(in_float32)
        seen.clear()
        network.answers(images)
    assert set(seen) == {(torch.float32, torch.float32, torch.float32)}


def test_a_failure_is_remembered(task: SpikingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = replace(task, recipe=with_options(task.recipe, threshold=1e6), tolerant=False)
    first = trained_spiking(dead)
    assert first.network is None and first.history == {} and "layer 1 of 2 is dead after epoch 2" in first.failed
    assert not files(tmp_path, ".pt")
    monkeypatch.setattr(spiking_cache, "train_spiking", never)
    assert trained_spiking(dead) == first


def test_a_damaged_network_is_trained_again_with_a_warning(task: SpikingTask, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = trained_spiking(task)
    (path,) = files(tmp_path, ".safetensors")
    path.write_bytes(path.read_bytes()[:100])
    again = trained_spiking(task)
    assert again.sha == first.sha and same_weights(again.network, first.network)  # type: ignore[arg-type]
    assert "training again" in caplog.text and str(path) in caplog.text
