"""Methods that train spiking networks directly: how a layout becomes a network, how it starts, and what it minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.models.layouts import Convolution, Pooling, parse_layout
from snncore.decoding import winner
from snncore.time_first import Conv2d, Dropout, Flatten

Encoder = Callable[[Tensor], Tensor]
"""Images ``[B, C, H, W]`` in [0, 1] -> currents or spikes ``[T or 1, B, C, H, W]``."""


class SpikingClassifier(nn.Module):
    """Images in, scores out, spike trains in between.

    Args:
        timesteps: T.
        encode: images to what the first layer sees.
        layers: time-first layers in order; the last one gives the trains of the output neurons.
        decode: output spikes ``[T, B, K]`` to scores ``[B, K]``; see `snncore.decoding.winner` for who wins.

    ``forced``: whether an output layer that stays silent is taken to fire after the last step.
    """

    forced: ClassVar[bool] = False

    def __init__(self, timesteps: int, encode: Encoder, layers: nn.Sequential, decode: nn.Module) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.encode = encode
        self.layers = layers
        self.decode = decode

    def output(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Currents and spikes of the output neurons, ``[T, B, K]`` each."""
        currents: Tensor = self.layers[:-1](self.encode(images))
        spikes: Tensor = self.layers[-1](currents)
        return currents, spikes

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What training needs: scores ``[B, K]`` to be differentiated, and the classes ``[B]`` that they name, -1 for none."""
        currents, spikes = self.output(images)
        scores: Tensor = self.decode(spikes)
        with torch.no_grad():
            return scores, self.named(scores, currents, spikes)

    @staticmethod
    def share(spikes: Tensor) -> float:
        """The share of neurons that fire, of trains ``[T, B, ...]`` that sum to 1 where they do."""
        return float(spikes.sum()) / spikes[0].numel()

    def evaluated(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores ``[B, K]``, the classes ``[B]`` that they name, -1 for none, and whether all outputs are silent ``[B]``."""
        currents, trains = self.output(images)
        scores: Tensor = self.decode(trains)
        return scores, self.named(scores, currents, trains), trains.amax((0, 2)) == 0

    def named(self, scores: Tensor, currents: Tensor, spikes: Tensor) -> Tensor:
        """The classes ``[B]`` that output spikes with these scores and currents name, -1 for none."""
        return winner(scores, currents, spikes, self.forced)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[B, K]``."""
        return self.answers(images)[0]


class DirectMethod:
    """A method of direct training; subclass it, set the class attributes and write ``build`` and ``initialize``.

    Attributes:
        name: as tables print it.
        reference: who published it.
        definition: in a sentence, what is trained here under this name.
        options: names and defaults of what ``build`` and ``initialize`` take.
        teacher: name of the method whose network, trained likewise, is handed to ``learn_from`` of this one's; empty if none.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    definition: ClassVar[str]
    options: ClassVar[dict[str, Any]]
    teacher: ClassVar[str] = ""

    def build(self, layout: str, shape: Sequence[int], classes: int, timesteps: int, **options: Any) -> Any:
        """The network of a layout for images ``[C, H, W]``, not initialised: ``SpikingClassifier`` or one with its interface."""
        raise NotImplementedError

    def initialize(self, network: Any, generator: torch.Generator, **options: Any) -> None:
        """Draw all weights from ``generator``."""
        raise NotImplementedError

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """What training minimises, for the network's scores of a batch and its labels ``[B]``."""
        return F.cross_entropy(scores, labels)

    def groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters for the optimizer, and their weight decay."""
        return [{"params": list(network.parameters()), "weight_decay": weight_decay}]


def time_first_layers(
    layout: str,
    shape: Sequence[int],
    classes: int,
    neuron: Callable[[], nn.Module],
    pooling: Callable[[int], nn.Module],
    linear: type[nn.Linear] = nn.Linear,
    bias: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """A layout as time-first layers, ``neuron()`` after every layer with weights, ``pooling(window)`` for every pooling.

    Args:
        layout, shape, classes: see ``parse_layout``, which refuses what does not fit.
        neuron, pooling: what to put there.
        linear: kind of linear layers.
        bias: whether layers have one.
        dropout: before every linear layer but one that sees the input.
    """
    made: list[nn.Module] = []
    flat = False
    for layer in parse_layout(layout, shape, classes):
        if isinstance(layer, Pooling):
            made.append(pooling(layer.window))
        elif isinstance(layer, Convolution):
            made += [Conv2d(layer.inputs, layer.channels, layer.kernel, bias=bias), neuron()]
        else:
            made += [Dropout(dropout)] if dropout and made else []
            made += [] if flat else [Flatten()]
            made += [linear(layer.inputs, layer.neurons, bias=bias), neuron()]
            flat = True
    return nn.Sequential(*made)
