"""KDSNN (Xu et al., CVPR 2023): a spiking network learns from a trained ReLU network of the same layout.

    L = CE(s, y) + a tau**2 KL(softmax(t / tau) || softmax(s / tau)) + b mean over blocks of MSE(spike rates, activations)

with mean logits ``s`` over time and the teacher's ``t``; rates and activations are those that leave a residual block. No code is
published; weights, temperature and layers are ours: a = b = 0.1, tau = 4. LIF neurons with threshold 1/2 and decay 1/4,
rectangle of width 1. The teacher is trained by the same loop, data, recipe and seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.methods.deep import DeepClassifier, DeepMethod
from snncore.neurons.leaky import LIFNeuron

RESPONSE, FEATURES, TEMPERATURE = 0.1, 0.1, 4.0


class ReLUTeacher(DeepMethod):
    """The same network with ReLUs; it sees an image once, frames one by one."""

    name, reference = "ReLU", "ours"
    definition = "the same network with ReLUs instead of neurons"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return nn.ReLU()

    def build(self, layout: str, shape: Sequence[int], classes: int, timesteps: int, **options: Any) -> DeepClassifier:
        """See ``DeepMethod.build``."""
        return super().build(layout, shape, classes, timesteps if len(shape) > 3 else 1, **options)


class Student(DeepClassifier):
    """A classifier that remembers, in training, what its blocks and those of its teacher put out.

    Attributes:
        blocks, taught_blocks: means over time of the outputs of the residual blocks, ``[B, C, H, W]`` each, of the last batch.
        taught: the teacher's mean logits ``[B, K]`` of the last batch; None without a teacher and in evaluation.
    """

    teacher: tuple[DeepClassifier, ...] = ()  # in a tuple, so that it is no part of the network

    def learn_from(self, teacher: DeepClassifier) -> None:
        """Watch the blocks of this network and of a trained one in its evaluation mode."""
        self.teacher = (teacher,)
        self.blocks: list[Tensor] = []
        self.taught_blocks: list[Tensor] = []
        for network, seen in ((self, self.blocks), (teacher, self.taught_blocks)):
            for block in network.layers.blocks:
                block.register_forward_hook(lambda _, __, outputs, seen=seen: seen.append(outputs.mean(0)))

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See ``DeepClassifier.answers``."""
        self.taught: Tensor | None = None
        if self.teacher:
            self.blocks.clear()
            self.taught_blocks.clear()
            if self.training:
                with torch.no_grad():
                    self.taught = self.teacher[0](images)
        return super().answers(images)


class KDSNN(DeepMethod):
    """LIF neurons, trained to answer and to fire as a ReLU network does."""

    name, reference = "KDSNN", "Xu et al., CVPR 2023"
    definition = "LIF neurons with threshold 1/2 and decay 1/4; logits and rates of blocks are pulled to those of a ReLU network"
    unconfirmed = "weights, temperature and layers of the distillation"
    teacher = f"{__name__}:ReLUTeacher"
    classifier = Student

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(reset_gradient="spikes")

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """See the module docstring; logits ``[T, B, K]``. Cross-entropy alone where no teacher has answered."""
        common = super().loss(scores, labels)
        if not isinstance(network, Student) or network.taught is None:
            return common
        own, taught = (F.log_softmax(logits / TEMPERATURE, 1) for logits in (scores.mean(0), network.taught))
        response = TEMPERATURE**2 * F.kl_div(own, taught, reduction="batchmean", log_target=True)
        features = [F.mse_loss(*pair) for pair in zip(network.blocks, network.taught_blocks, strict=True)]
        return common + RESPONSE * response + FEATURES * torch.stack(features).mean()
