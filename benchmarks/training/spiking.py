"""Train a spiking classifier directly, on the training set less a fixed validation part, with checkpoints and curves.

The validation images are the last of the canonical order of the training set. They are measured after every epoch and are
what every choice is made on; the test set is not seen here. The network is the one after the last epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.methods.direct import DirectMethod, SpikingClassifier
from benchmarks.training.batches import Batches, LabelledImages
from benchmarks.training.fit import Learner, Progress, fit
from benchmarks.training.optimization import device_of, threads, without_denormals
from benchmarks.training.processes import across_processes, summed
from benchmarks.training.randomness import generator
from benchmarks.training.recipes import Recipe

History = dict[str, NDArray[Any]]
SAMPLES_PER_EPOCH = 8
"""How often per epoch the firing rates of a training batch are noted."""
EVALUATION_BATCH = 250


class TrainingFailed(Exception):
    """Why training ended without a network that can be used: layer, firing rates, epoch."""


@dataclass(frozen=True)
class Split:
    """Training and validation images (see ``LabelledImages``) with labels int64 ``[N]``; see ``split``."""

    images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    fingerprint: str


def split(dataset: LabelledImages, validation: int, training: int | None = None) -> Split:
    """The last ``validation`` images of a training set, and the first ``training`` (all others if None).

    Raises CannotRun where there are not enough images for both.
    """
    there = len(dataset.labels)
    training = there - validation if training is None else training
    if validation < 1 or training < 2 or validation + training > there:
        raise CannotRun(f"cannot split {there} training images into {training} to train on and {validation} to validate on")
    images, labels = dataset.images, dataset.labels
    validating = images[there - validation :], labels[there - validation :]
    return Split(images[:training], labels[:training], *validating, dataset.fingerprint)


@across_processes
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
    test: tuple[Tensor, Tensor] | None = None,
    teacher: SpikingClassifier | None = None,
) -> tuple[SpikingClassifier, History]:
    """Train a network of a layout such as ``784-400-10``, by a recipe with ``timesteps``; see the module docstring.

    ``tolerant``: go on although layers are silent (to show that a network does not learn); ``checkpoint`` and ``progress`` as
    for ``fit``. ``test``: images and labels on which the accuracy is noted after every epoch, and which nothing else depends on.
    ``teacher``: the trained network that ``method.teacher`` asks for.

    Returns:
        the network on the CPU in float32, and what was noted on the way: ``train_loss``, ``train_accuracy`` ``[E]``, over the
        batches of an epoch; ``validation_loss``, ``validation_accuracy``, ``validation_silent`` ``[E + 1]``, the first before
        training (accuracies and shares in percent); ``firing [E + 1, L]``, the share of validation neurons that fire, by layer;
        ``step [K]`` and ``step_firing [K, L]``, the same on training batches; ``test_accuracy [E + 1]`` where there is ``test``.

    Raises:
        TrainingFailed: the loss is not finite, a layer is dead, or most outputs are silent.
        CannotRun: a recipe, layout or option that makes no sense.
    """
    if method.teacher and teacher is None:
        raise CannotRun(f"{method.name} learns from a network that {method.teacher} trains; hand that over as teacher")
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
        if teacher is not None:
            network.learn_from(teacher.to(device, dtype).eval())
        batches = Batches(data, recipe, seed, [0.0], [1.0], device)
        learner = _Spiking(method, network, recipe, data, batches, tolerant, test)
        fit(learner, batches, recipe, seed, checkpoint, progress)
    network.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)
    return network.eval(), {name: np.array(values) for name, values in learner.history.items()}


class _Spiking(Learner):
    """A spiking classifier with the loss of its method; it is validated after every epoch, and its firing rates are noted."""

    def __init__(
        self,
        method: DirectMethod,
        network: SpikingClassifier,
        recipe: Recipe,
        data: Split,
        batches: Batches,
        tolerant: bool,
        test: tuple[Tensor, Tensor] | None,
    ) -> None:
        super().__init__(network, recipe)
        self.method, self.data, self.batches, self.tolerant, self.test = method, data, batches, tolerant, test
        if recipe.precision.endswith("-mixed"):
            for neuron in _neurons(network):
                neuron.register_forward_pre_hook(in_float32)
        self.right = torch.zeros((), dtype=torch.int64, device=batches.device)

    def groups(self) -> list[dict[str, Any]]:
        return self.method.groups(self.network, self.recipe.weight_decay)

    def forward(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        epoch = step // self.batches.per_epoch + 1
        noted = step % max(1, self.batches.per_epoch // SAMPLES_PER_EPOCH) == 0
        try:
            with _firing_rates(self.network, noted) as rates:
                scores, named = self.network.answers(images)
        except ValueError:
            if not self.finite():  # a neuron has met NaN
                raise self.failure(epoch) from None
            raise
        loss = self.method.loss(scores, labels, self.network)
        self.right += (named == labels).sum()
        if noted:
            over_all = summed(torch.tensor(rates, dtype=torch.float64, device=images.device)) / self.recipe.processes
            self.note(step=step, step_firing=over_all.tolist())
            if not loss.isfinite():
                raise self.failure(epoch)
        return loss

    def after_epoch(self, epoch: int, loss: float) -> None:
        if epoch:
            self.note(
                train_loss=loss, train_accuracy=100 * int(summed(self.right)) / (self.batches.per_epoch * self.batches.size)
            )
            self.right.zero_()
        loss, accuracy, silent, firing = self.measured(self.data.validation_images, self.data.validation_labels)
        self.note(validation_loss=loss, validation_accuracy=accuracy, validation_silent=silent, firing=firing)
        if self.test is not None:
            self.note(test_accuracy=self.measured(*self.test)[1])
        if self.tolerant:
            return
        # A layer that is dead after two epochs in a row does not come back: no spike, and no input to the next layer.
        recent = zip(*self.history["firing"][-2:], strict=True)
        dead = [layer for layer, rates in enumerate(recent, start=1) if max(rates) == 0]
        if epoch >= 2 and dead:
            where = f"layer {dead[0]} of {len(self.history['firing'][-1])} is dead after epoch {epoch}"
            raise TrainingFailed(f"{where}: no neuron of it fires for any validation image ({self.firing()})")
        if epoch == self.recipe.epochs and silent > 50:
            raise TrainingFailed(f"no output neuron fires for {silent:.1f} % of the validation images ({self.firing()})")

    @torch.no_grad()
    def measured(self, all_images: Tensor, all_labels: Tensor) -> tuple[float, float, float, list[float]]:
        """Loss, accuracy and share of silent answers in %, and firing rates by layer, over images that are not trained on."""
        self.network.eval()
        loss, right, silent, fired = 0.0, 0, 0, []
        for pixels, labels in zip(all_images.split(EVALUATION_BATCH), all_labels.split(EVALUATION_BATCH), strict=True):
            labels = labels.to(self.batches.device)
            images = self.batches.prepared(pixels)
            with _firing_rates(self.network) as rates:
                scores, named, quiet = self.network.evaluated(images)
            loss += float(self.method.loss(scores, labels, self.network)) * len(labels)
            right += int((named == labels).sum())
            silent += int(quiet.sum())
            fired.append([rate * len(labels) for rate in rates])
        count = len(all_labels)
        firing = [sum(layer) / count for layer in zip(*fired, strict=True)]
        return loss / count, 100 * right / count, 100 * silent / count, firing

    def failure(self, epoch: int) -> TrainingFailed:
        return TrainingFailed(
            f"the loss is not finite in epoch {epoch} of {self.recipe.epochs} ({self.firing()}); lower the learning "
            f"rate ({self.recipe.learning_rate:g})"
        )

    def firing(self) -> str:
        rates = ", ".join(f"{100 * rate:.2g} %" for rate in self.history["firing"][-1])
        return f"neurons that fire, by layer: {rates}"


@contextmanager
def _firing_rates(network: SpikingClassifier, active: bool = True) -> Iterator[list[float]]:
    """Share of neurons that fire, a number for each layer that runs inside the block; nothing unless ``active``."""
    rates: list[float] = []
    neurons = _neurons(network) if active else []
    handles = [each.register_forward_hook(lambda _, __, spikes: rates.append(network.share(spikes.detach()))) for each in neurons]
    try:
        yield rates
    finally:
        for handle in handles:
            handle.remove()


def _neurons(network: SpikingClassifier) -> list[nn.Module]:
    return [module for module in network.layers.modules() if hasattr(module, "threshold")]


def in_float32(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Hook before a neuron: currents that a convolution gave in half precision become potentials in float32."""
    return tuple(each.float() if each.dtype in (torch.float16, torch.bfloat16) else each for each in inputs)
