"""Direct training of deep residual networks: what the methods of the Ternary Spike paper's tables have in common.

A method is a neuron, a normalisation, a loss and a connection; the network and the recipe are the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods.direct import DirectMethod
from benchmarks.models.spiking_resnet import SpikingResNet, initialize
from snncore.neurons.leaky import LIFNeuron
from snncore.time_first import BatchNorm2d


class DeepClassifier(nn.Module):
    """A residual network as the training loop sees it; the answer is the class of the largest mean logit."""

    def __init__(self, network: SpikingResNet) -> None:
        super().__init__()
        self.layers = network
        self.timesteps = network.timesteps

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[T, B, K]`` of images in [0, 1] or of frames, and the classes ``[B]`` that they name."""
        logits: Tensor = self.layers((images - 0.5) / 0.25 if images.dim() == 4 else images)
        return logits, logits.detach().mean(0).argmax(1)

    @staticmethod
    def share(spikes: Tensor) -> float:
        """The share of neurons and steps with a spike, of trains ``[T, B, ...]``."""
        return float(spikes.count_nonzero()) / spikes.numel()

    def evaluated(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, classes, and whether there is no answer ``[B]``: never."""
        logits, named = self.answers(images)
        return logits, named, torch.zeros_like(named, dtype=torch.bool)

    def forward(self, images: Tensor) -> Tensor:
        """Mean logits ``[B, K]``."""
        return self.answers(images)[0].mean(0)


class DeepMethod(DirectMethod):
    """Subclass it in a file of its own, and override what differs from a binary LIF neuron.

    Option: ``stem_per_step`` (False), see ``SpikingResNet``.

    Attributes:
        sew: whether spikes are added to spikes after the neuron (Fang et al., NeurIPS 2021) instead of currents before it.
        unconfirmed: what of the definition no published code confirms; empty if nothing.
        least_timesteps: the fewest steps at which the method makes sense.
        classifier: what is built around the network.
    """

    options: ClassVar[dict[str, Any]] = {"stem_per_step": False}
    sew: ClassVar[bool] = False
    unconfirmed: ClassVar[str] = ""
    least_timesteps: ClassVar[int] = 1
    classifier: ClassVar[type[DeepClassifier]] = DeepClassifier

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """The neuron of a layer.

        ``reaches_sum``: its spikes reach a shortcut or the classifier without a convolution and normalisation between.
        """
        return LIFNeuron()

    def norm(self, channels: int, adds: bool) -> nn.Module:
        """The normalisation after a convolution; ``adds``: its output is one of two branches that add up."""
        return BatchNorm2d(channels)

    def build(self, layout: str, shape: Sequence[int], classes: int, timesteps: int, **options: Any) -> DeepClassifier:
        """See ``DirectMethod.build``.

        CannotRun for images that are too small for the layout or frames of another T, NotAvailable for too few steps.
        """
        if timesteps < self.least_timesteps:
            raise NotAvailable(f"{self.name} needs at least {self.least_timesteps} timesteps, got {timesteps}")
        if len(shape) == 4 and shape[0] != timesteps:
            raise CannotRun(f"{timesteps} timesteps do not go with {shape[0]} frames of events; make both the same")

        def neuron(channels: int, reaches_sum: bool) -> nn.Module:
            return self.neuron(channels, reaches_sum, timesteps)

        per_step = bool(options.get("stem_per_step", False))
        made = self.classifier(SpikingResNet(layout, shape[-3], classes, timesteps, neuron, self.norm, self.sew, per_step))
        try:
            with torch.no_grad():
                made.eval().answers(torch.zeros(1, *shape))
        except RuntimeError as error:
            size = "x".join(map(str, shape))
            raise CannotRun(f"{layout} does not take images of {size}: {' '.join(str(error).split())}") from error
        return made.train()

    def initialize(self, network: nn.Module, generator: torch.Generator, **options: Any) -> None:
        """The initialisation of the Ternary Spike paper's code."""
        initialize(network, generator)

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """Cross-entropy of the mean over time of the logits ``[T, B, K]``."""
        return F.cross_entropy(scores.mean(0), labels)

    def groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """Weight decay on the weights of convolutions and linear layers alone, as in the authors' code."""
        decayed = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        known = {id(weight) for weight in decayed}
        others = [each for each in network.parameters() if id(each) not in known]
        return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
