"""What syops-counter 0.0.5 would say, from our counts: its rule written down, with each correction that it takes.

syops multiplies the dense operations of a layer by the mean of its input tensor, if that holds at most two values, all within
[0, 1]; then they are accumulates, otherwise multiply-accumulates. Ours are exact, so that four corrections lead from ours to its:

1. *Padding.* Zeros of padding count as inputs, and a spike at the border as one that reaches as many outputs as any other.
2. *Bias.* A bias costs one operation per output, times the rate of the input.
3. *Bias of linear layers.* It is added once per call, not once per image and step.
4. *Pooled spikes.* They take more than two values, so that every input costs a multiply-accumulate.
"""

from __future__ import annotations

import math

from torch import nn

from snncore.counts import Counts


def accumulates(counts: Counts, name: str, layer: nn.Module) -> float:
    """Accumulates of a layer behind binary spikes by syops's rule, for one call over all steps and images."""
    found = counts.layers[name]
    arrived = math.fsum(found.positive)
    if isinstance(layer, nn.Linear):
        bias = layer.out_features if layer.bias is not None else 0
        rate = arrived / (found.inputs * counts.timesteps * counts.images)
        return found.synapses / found.inputs * arrived + bias * rate
    return found.dense * arrived / found.inputs


def of_pooled_spikes(counts: Counts, name: str, layer: nn.Module) -> float:
    """Multiply-accumulates of a layer behind pooled spikes by syops's rule, for one call over all steps and images."""
    found, calls = counts.layers[name], counts.timesteps * counts.images
    if isinstance(layer, nn.Linear):
        return float(found.synapses * calls + (layer.out_features if layer.bias is not None else 0))
    return float(found.dense * calls)


def multiplications(counts: Counts, name: str, layer: nn.Module) -> float:
    """Multiply-accumulates of a layer behind real values by syops's rule, for one call over all images."""
    total = math.fsum(counts.layers[name].multiplications)
    if isinstance(layer, nn.Linear) and layer.bias is not None:
        return total - layer.out_features * (counts.images - 1)
    return total
