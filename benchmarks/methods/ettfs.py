"""ETTFS: time-to-first-spike neurons with their own initialisation, temporal weighting and average pooling.

What the paper leaves open is an option here, and its default is ours: see ``OPTIONS``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import CannotRun
from benchmarks.methods.direct import DirectMethod, Encoder, SpikingClassifier, time_first_layers
from snncore.coding import latency_spikes
from snncore.decoding import TemporalWeighting, weights
from snncore.initialization import ettfs, initialize, kaiming
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.surrogate import ATan
from snncore.time_first import AvgPool2d, MaxPool2d

OPTIONS: dict[str, Any] = {
    "initialization": "ettfs",  # or kaiming: what the paper compares with
    "pooling": "average",  # or max: what the paper compares with
    "decoder": "exponential-2",  # the paper does not print the base
    "scale": 5.0,  # inverse temperature of the softmax over decoded outputs
    "encoding": "direct",  # or latency: one spike per pixel
    "mean": 0.0,  # of pixels, subtracted from them before they are currents
    "std": 1.0,  # of pixels, by which they are then divided
    "threshold": 1.0,  # the variance of the currents that the initialisation aims at
    "alpha": 2.0,  # SpikingJelly's default for ATan
    "dropout": 0.0,  # share of neurons that are left out before a linear layer, in training
    "forced_spike": False,  # whether silent neurons fire at the last step
    "mask_gradient": True,  # full backpropagation through time
}
CHOICES = {"initialization": ("ettfs", "kaiming"), "pooling": ("average", "max"), "encoding": ("direct", "latency")}


class SingleSpikeWarning(UserWarning):
    """A network in which more than one spike stands for a neuron or a window."""


class ETTFS(DirectMethod):
    """The ETTFS framework; ``options`` switch its parts off one by one."""

    name = "ETTFS"
    reference = "ETTFS, arXiv 2410.23619 v1"
    definition = (
        "First-spike IF neurons without reset, ATan surrogate, weights of variance T/N, spikes of the output neurons weighted by "
        "an exponential of their time, average pooling, cross-entropy"
    )
    options = OPTIONS

    def build(self, layout: str, shape: Sequence[int], classes: int, timesteps: int, **options: Any) -> SpikingClassifier:
        """See ``DirectMethod.build``. Raises CannotRun for an unknown option or value; warns of max pooling."""
        chosen = self._checked(options)
        if chosen["pooling"] == "max" and "P" in layout:
            why = f"{self.name}, {layout}: max pooling lets a window fire more than once (ETTFS, Eq. 24)"
            warnings.warn(why, SingleSpikeWarning, stacklevel=2)
        try:
            neuron = partial(
                FirstSpikeNeuron,
                chosen["threshold"],
                timesteps,
                ATan(chosen["alpha"]),
                chosen["forced_spike"],
                chosen["mask_gradient"],
            )
            decode = TemporalWeighting(weights(chosen["decoder"], timesteps), chosen["scale"])
            pooling = AvgPool2d if chosen["pooling"] == "average" else MaxPool2d
            layers = time_first_layers(layout, shape, classes, neuron, pooling, dropout=chosen["dropout"])
        except ValueError as error:
            raise CannotRun(f"{self.name}: {error}") from error
        if chosen["encoding"] == "latency":
            encode: Encoder = partial(_latency, timesteps=timesteps)
        else:
            encode = partial(_direct, mean=chosen["mean"], std=chosen["std"])
        return SpikingClassifier(timesteps, encode, layers, decode)

    def initialize(self, network: SpikingClassifier, generator: torch.Generator, **options: Any) -> None:
        """Variance T/N, or 2/N with ``initialization = kaiming``; biases 0."""
        chosen = self._checked(options)
        variance = ettfs(network.timesteps) if chosen["initialization"] == "ettfs" else kaiming
        initialize(network, variance, generator)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        chosen = self.options | options
        for name, value in chosen.items():
            if name not in OPTIONS:
                raise CannotRun(f"{self.name} has no option {name!r}; known: {', '.join(OPTIONS)}")
            if name in CHOICES and value not in CHOICES[name]:
                raise CannotRun(f"{self.name}: {name} must be one of {', '.join(CHOICES[name])}, got {value!r}")
        mean, std = chosen["mean"], chosen["std"]
        if not (isfinite(mean) and 0 < std < inf):
            raise CannotRun(f"{self.name}: mean must be finite and std positive and finite, got {mean!r} and {std!r}")
        if chosen["encoding"] == "latency" and (mean, std) != (0, 1):
            raise CannotRun(f"{self.name}: mean and std are for direct encoding; spikes have no mean to subtract")
        return chosen


def _direct(images: Tensor, mean: float, std: float) -> Tensor:
    """Standardised pixels as currents that stay the same at every step: ``[1, B, C, H, W]``."""
    return ((images - mean) / std)[None]


def _latency(images: Tensor, timesteps: int) -> Tensor:
    return latency_spikes(images, timesteps)
