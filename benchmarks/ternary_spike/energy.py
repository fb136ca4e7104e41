"""Table 5 from the definition of its network: the operations that the paper counts, and those that run.

    FLOPs = T F        F: multiply-accumulates of the first convolution, computed again at every step
    SOPs  = s T A      s: mean share of neurons with a spike, A: "the addition number in ANN"
    Signs = s T N k    N: neurons, k: comparisons for a spike, 1 of binary and 2 of ternary neurons (derived from the print)

The printed SOPs ask for A between 216.73 and 216.85 million. That is the sum of all convolutions, the first included (which
is then charged twice), two operations for each normalised value, one for each neuron, the inputs of poolings and the classifier.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor, nn

from benchmarks.measurements.train_counter import layer_operations
from benchmarks.methods import direct_method
from snncore.energy import Operations
from snncore.neurons.leaky import TrainableNeuron
from snncore.time_first import AvgPool2d, BatchNorm2d

SHAPE, CLASSES = (3, 32, 32), 10
AS_PRINTED, ONCE = "as printed", "once"
COUNTED = (AS_PRINTED, ONCE)
"""The paper's count; and the first convolution computed once, with synapses behind spikes as the only synaptic operations."""


@cache
def parts() -> dict[str, int]:
    """Operations of ResNet20 for one CIFAR image and one step, by what they are for."""
    found = dict.fromkeys(("first convolution", "other convolutions", "normalisation", "neurons", "pooling", "classifier"), 0)

    def note(part: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        match module:
            case nn.Conv2d() | nn.Linear():
                found[part] += layer_operations(module, output.shape[2:])
            case BatchNorm2d():
                found[part] += 2 * output.numel()
            case AvgPool2d():
                found[part] += inputs[0].numel()
            case _:
                found[part] += output.numel()

    network = direct_method("Binary spike").build("ResNet20", SHAPE, CLASSES, 1).eval()
    kinds = {nn.Conv2d: "other convolutions", BatchNorm2d: "normalisation", AvgPool2d: "pooling", nn.Linear: "classifier"}
    kinds[TrainableNeuron] = "neurons"
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    for module in network.modules():
        part = next((name for kind, name in kinds.items() if isinstance(module, kind)), "")
        if part:
            module.register_forward_hook(partial(note, "first convolution" if module is first else part))
    network.layers.blocks.register_forward_hook(partial(note, "pooling"))  # means of the last spikes
    with torch.no_grad():
        network(torch.zeros(1, *SHAPE))
    return found


def operations(method: str, counted: str, rate: float, timesteps: int) -> Operations:
    """Operations of a row of Table 5 for one image, at a mean share ``rate`` of neurons with a spike."""
    found, ternary = parts(), method != "Binary spike"
    fired = rate * timesteps
    signs = fired * found["neurons"] * (2 if ternary else 1)
    if counted == AS_PRINTED:
        return Operations(timesteps * found["first convolution"], fired * sum(found.values()), signs)
    return Operations(found["first convolution"], fired * (found["other convolutions"] + found["classifier"]), signs)
