"""Train a spiking classifier directly, on the training set less a fixed validation part, with checkpoints and curves.

The validation images are the last of the canonical order of the training set. They are measured after every epoch and are
what every choice is made on; the test set is not seen here. The network is the one after the last epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.data.images import network_input
from benchmarks.errors import CannotRun
from benchmarks.methods.direct import DirectMethod, SpikingClassifier
from benchmarks.models.checkpoint_files import write_torch
from benchmarks.training.labelled import LabelledImages
from benchmarks.training.optimization import device_of, learning_rate, optimizer_of, round_state, threads, without_denormals
from benchmarks.training.randomness import augment, derived_seed, generator
from benchmarks.training.recipes import Recipe

Progress = Callable[[int, int], None]
History = dict[str, NDArray[Any]]
SAMPLES_PER_EPOCH = 8
"""How often per epoch the firing rates of a training batch are noted."""
EVALUATION_BATCH = 250


class TrainingFailed(Exception):
    """Why training ended without a network that can be used: layer, firing rates, epoch."""


@dataclass(frozen=True)
class Split:
    """Training and validation images (see ``LabelledImages``) with labels int64 ``[N]``."""

    images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor


def split(dataset: LabelledImages, validation: int, training: int | None = None) -> Split:
    """The last ``validation`` images of a training set, and the first ``training`` (all others if None).

    Raises CannotRun where there are not enough images for both.
    """
    there = len(dataset.labels)
    training = there - validation if training is None else training
    if validation < 1 or training < 2 or validation + training > there:
        raise CannotRun(f"cannot split {there} training images into {training} to train on and {validation} to validate on")
    images, labels = dataset.images, dataset.labels
    return Split(images[:training], labels[:training], images[there - validation :], labels[there - validation :])


def train_spiking(
    method: DirectMethod,
    layout: str,
    classes: int,
    data: Split,
    recipe: Recipe,
    seed: int,
    checkpoint: Path | None = None,
    tolerant: bool = False,
    progress: Progress | None = None,
) -> tuple[SpikingClassifier, History]:
    """Train a network of a layout such as ``784-400-10``, by a recipe with ``timesteps``; see the module docstring.

    ``checkpoint`` is written after every epoch and resumed from, and removed by nobody; ``tolerant``: go on although layers are
    silent (to show that a network does not learn); ``progress(done, total)`` is called after every step.

    Returns:
        the network on the CPU in float32, and what was noted on the way: ``train_loss``, ``train_accuracy`` ``[E]``, over the
        batches of an epoch; ``validation_loss``, ``validation_accuracy``, ``validation_silent`` ``[E + 1]``, the first before
        training (accuracies and shares in percent); ``firing [E + 1, L]``, the share of validation neurons that fire, by layer;
        ``step [K]`` and ``step_firing [K, L]``, the same on training batches.

    Raises:
        TrainingFailed: the loss is not finite, a layer is dead, or most outputs are silent.
        CannotRun: a recipe, layout or option that makes no sense.
    """
    if recipe.precision not in ("float32", "float64"):
        raise CannotRun(f"recipe {recipe.name}: spiking networks train in float32 or float64, not in {recipe.precision}")
    device, dtype = device_of(recipe), recipe.dtype
    options = dict(recipe.options)
    timesteps = options.pop("timesteps", None)
    if not isinstance(timesteps, int):
        raise CannotRun(f"recipe {recipe.name} lacks timesteps among its options")
    with threads(recipe.threads), without_denormals():
        network = method.build(layout, tuple(data.images.shape[1:]), classes, timesteps, **options)
        network.to(dtype)
        method.initialize(network, generator(seed, "initialization"), **options)
        network.to(device).to(memory_format=torch.channels_last)
        run = _Run(method, network, data, recipe, seed, device, dtype, tolerant)
        if checkpoint is not None and checkpoint.exists():
            run.resume(checkpoint)
        else:
            run.begin()
        while run.epoch < recipe.epochs:
            with run.dropout():
                run.train_epoch(progress)
            if checkpoint is not None:
                run.save(checkpoint)
        run.finish()
    network.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)
    return network.eval(), {name: np.array(values) for name, values in run.history.items()}


class _Run:
    """The state of a training run between epochs."""

    def __init__(
        self,
        method: DirectMethod,
        network: SpikingClassifier,
        data: Split,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        tolerant: bool,
    ) -> None:
        self.method, self.network, self.recipe, self.dtype, self.tolerant = method, network, recipe, dtype, tolerant
        self.data = replace(data, images=data.images.to(device), labels=data.labels.to(device))
        self.optimizer = optimizer_of(network, recipe, method.groups(network, recipe.weight_decay))
        self.order, self.augmentation = generator(seed, "order"), generator(seed, "augmentation")
        self.seed, self.epoch = seed, 0
        names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_silent")
        self.history: dict[str, list[Any]] = {name: [] for name in (*names, "firing", "step", "step_firing")}
        self.size = min(recipe.batch_size, len(data.labels))
        self.per_epoch = len(data.labels) // self.size

    def begin(self) -> None:
        self.evaluate()

    def save(self, path: Path) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": [self.order.get_state(), self.augmentation.get_state()],
            "epoch": self.epoch,
            "history": self.history,
        }
        write_torch(path, state)

    def resume(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.order.set_state(state["generators"][0])
            self.augmentation.set_state(state["generators"][1])
            self.epoch, self.history = state["epoch"], state["history"]
        except Exception as error:
            raise CannotRun(f"{path}: this unfinished training cannot be read; delete the file to begin anew") from error

    @contextmanager
    def dropout(self) -> Iterator[None]:
        """Torch's own random numbers, which dropout takes, from a stream of this run and this epoch."""
        devices = [self.data.images.device] if self.data.images.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(derived_seed(self.seed, f"dropout {self.epoch}"))
            yield

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.data.labels), generator=self.order)[: self.per_epoch * self.size]
        for chosen in order.to(self.data.labels.device).split(self.size):
            pixels = self.data.images[chosen]
            if self.recipe.shift or self.recipe.flip:
                pixels = augment(pixels, self.recipe.shift, self.recipe.flip, self.augmentation, self.recipe.wrap)
            yield network_input(pixels, self.dtype), self.data.labels[chosen]

    def train_epoch(self, progress: Progress | None) -> None:
        self.network.train()
        steps = self.recipe.epochs * self.per_epoch
        step = self.epoch * self.per_epoch
        total = torch.zeros((), dtype=torch.float64, device=self.data.labels.device)
        right = torch.zeros((), dtype=torch.int64, device=self.data.labels.device)
        every = max(1, self.per_epoch // SAMPLES_PER_EPOCH)
        for images, labels in self.batches():
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.recipe, step, steps)
            noted = step % every == 0
            try:
                with _FiringRates(self.network, noted) as firing:
                    scores, named = self.network.answers(images)
            except ValueError:
                if not self.finite_weights():  # a neuron has met NaN
                    self.diverged()
                raise
            loss = self.method.loss(scores, labels, self.network)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
            right += (named == labels).sum()
            if noted:
                self.history["step"].append(step)
                self.history["step_firing"].append(firing.rates)
                if not loss.isfinite():
                    self.diverged()
            step += 1
            if progress is not None:
                progress(step, steps)
        if not (total.isfinite() and self.finite_weights()):
            self.diverged()
        self.epoch += 1
        round_state(self.network, self.optimizer, self.recipe.significant_bits)
        self.history["train_loss"].append(float(total) / self.per_epoch)
        self.history["train_accuracy"].append(100 * int(right) / (self.per_epoch * self.size))
        self.evaluate()
        self.check_alive()

    @torch.no_grad()
    def evaluate(self) -> None:
        self.network.eval()
        images, labels = self.data.validation_images, self.data.validation_labels
        device = self.data.labels.device
        loss, right, silent, fired = 0.0, 0, 0, []
        for start in range(0, len(labels), EVALUATION_BATCH):
            part = labels[start : start + EVALUATION_BATCH].to(device)
            with _FiringRates(self.network, True) as firing:
                pixels = images[start : start + EVALUATION_BATCH].to(device)
                scores, named, quiet = self.network.evaluated(network_input(pixels, self.dtype))
            loss += float(self.method.loss(scores, part, self.network)) * len(part)
            right += int((named == part).sum())
            silent += int(quiet.sum())
            fired.append([rate * len(part) for rate in firing.rates])
        count = len(labels)
        self.history["validation_loss"].append(loss / count)
        self.history["validation_accuracy"].append(100 * right / count)
        self.history["validation_silent"].append(100 * silent / count)
        self.history["firing"].append([sum(layer) / count for layer in zip(*fired, strict=True)])

    def finite_weights(self) -> bool:
        """Whether no weight is infinite or NaN."""
        return all(bool(weights.isfinite().all()) for weights in self.network.parameters())

    def diverged(self) -> None:
        raise TrainingFailed(
            f"the loss is not finite in epoch {self.epoch + 1} of {self.recipe.epochs} ({self.firing()}); lower the learning "
            f"rate ({self.recipe.learning_rate:g})"
        )

    def check_alive(self) -> None:
        """A layer that is dead after two epochs in a row does not come back: no spike, and no input to the next layer."""
        recent = self.history["firing"][-2:]
        if self.epoch >= 2 and not self.tolerant:
            for layer, rates in enumerate(zip(*recent, strict=True), start=1):
                if max(rates) == 0:
                    raise TrainingFailed(
                        f"layer {layer} of {len(recent[0])} is dead after epoch {self.epoch}: no neuron of it fires for any "
                        f"validation image ({self.firing()})"
                    )

    def finish(self) -> None:
        silent = self.history["validation_silent"][-1]
        if silent > 50 and not self.tolerant:
            raise TrainingFailed(f"no output neuron fires for {silent:.1f} % of the validation images ({self.firing()})")

    def firing(self) -> str:
        rates = ", ".join(f"{100 * rate:.2g} %" for rate in self.history["firing"][-1])
        return f"neurons that fire, by layer: {rates}"


class _FiringRates:
    """Share of neurons that fire, per layer, while a network runs; does nothing unless ``active``."""

    def __init__(self, network: SpikingClassifier, active: bool) -> None:
        self.neurons: list[nn.Module] = [m for m in network.layers.modules() if hasattr(m, "threshold")] if active else []
        self.rates: list[float] = []
        self.share = network.share

    def __enter__(self) -> _FiringRates:
        self.handles = [neuron.register_forward_hook(self._note) for neuron in self.neurons]
        return self

    def _note(self, _: nn.Module, __: Any, spikes: Tensor) -> None:
        self.rates.append(self.share(spikes.detach()))

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
