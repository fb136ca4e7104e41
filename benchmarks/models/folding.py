"""Residual spiking networks without amplitudes: ternary again, as far as they can be."""

from __future__ import annotations

import copy
from typing import Any

from benchmarks.models.spiking_resnet import SpikingResNet
from snncore.amplitude import Scale, fold
from snncore.time_first import AvgPool2d, Conv2d


def folded(network: SpikingResNet) -> tuple[SpikingResNet, list[str]]:
    """A copy with all amplitudes folded into kernels, and where inputs are not in {-1, 0, 1} in spite of it.

    An identity shortcut keeps the factor of its source; a convolution behind an average pooling, and the classifier, which
    reads means, get fractions. ValueError for blocks that add spikes after the neuron (SEW), whose sums have no one factor.
    """
    if any(block.sew for block in network.blocks):
        raise ValueError("amplitudes cannot be folded where blocks add spikes to spikes")
    made: Any = copy.deepcopy(network)
    left: list[str] = []
    for neuron, stage in zip(made.stem_neurons, made.stem[1:], strict=False):
        fold(neuron, stage[0])
    source, pooled = made.stem_neurons[-1], isinstance(made.pooling, AvgPool2d)
    for number, block in enumerate(made.blocks):
        convolutions = [layer for layer in block.shortcut if isinstance(layer, Conv2d)]
        factor = fold(source, block.conv1, *convolutions)
        if not convolutions:
            block.shortcut = Scale(factor)
            left.append(f"block {number}, shortcut: spikes times {factor:.4g}")
        averaged = convolutions and isinstance(block.shortcut[0], AvgPool2d)
        due = {"conv1": pooled, "shortcut": convolutions and (pooled or averaged)}
        left += [f"block {number}, {name}: means of spikes" for name, means in due.items() if means]
        fold(block.neuron1, block.conv2)
        source, pooled = block.neuron2, False
    fold(source, made.classifier)
    return made, [*left, "classifier: means of spikes"]
