"""Checkpoints of the Ternary Spike paper's own code (``SpikeModel`` around a ResNet for ImageNet), loaded into ours.

Its file names say the number of steps, ``snn-res18-4-320.pth`` for T = 4 and 320 epochs; its tensors do not depend on it.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from benchmarks.errors import CannotRun
from benchmarks.models.checkpoint_files import read_checkpoint
from benchmarks.models.spiking_resnet import SpikingResNet, residual_layout
from benchmarks.models.weights import load_checkpoint
from snncore.neurons.leaky import TernaryLIFNeuron
from snncore.time_first import BatchNorm2d

_STEM = {
    "conv1.pool": "stem.0.0",
    "bn1.conv": "stem.0.1",
    "relu.fire_ratio": "stem_neurons.0.amplitude",
    "fc.conv": "classifier",
}
_BLOCK = {
    **{f"conv{k}.pool": f"conv{k}" for k in (1, 2)},
    **{f"bn{k}.bn": f"norm{k}" for k in (1, 2)},
    "downsample.0.pool": "shortcut.0",
    "downsample.1.bn": "shortcut.1",
    "relu1.fire_ratio": "neuron1.amplitude",
    "output_act.fire_ratio": "neuron2.amplitude",
}


def load_ternary(path: Path, layout: str = "ResNet18", timesteps: int = 4, classes: int = 1000) -> SpikingResNet:
    """A ternary network in evaluation mode with the weights of a checkpoint of the authors' code, for normalised images.

    Amplitudes are there if the checkpoint has them. CannotRun where the file is missing, damaged or could run code, belongs to
    another network, or is named for another number of steps.
    """
    said = re.search(r"-(\d+)-\d+$", path.stem)
    if said and int(said[1]) != timesteps:
        raise CannotRun(f"{path}: its name says T = {said[1]}, not {timesteps}; ask for {said[1]} timesteps, or rename the file")
    trained = any(name.endswith("fire_ratio") for name in read_checkpoint(path)[0])

    def neuron(channels: int, reaches_sum: bool) -> nn.Module:
        return TernaryLIFNeuron(trainable_amplitude=trained)

    network = SpikingResNet(layout, 3, classes, timesteps, neuron, lambda channels, adds: BatchNorm2d(channels))
    blocks = residual_layout(layout).blocks
    load_checkpoint(network, path, layout, lambda name: _renamed(name, blocks))
    return network.eval()


def _renamed(name: str, blocks: tuple[int, ...]) -> str:
    """The name of a tensor in our network; as it is where there is none."""
    found = re.fullmatch(r"model\.layer([1-4])\.(\d+)\.(.*)", name)
    if found and int(found[2]) >= blocks[int(found[1]) - 1]:
        return name
    own = f"blocks.{sum(blocks[: int(found[1]) - 1]) + int(found[2])}." if found else ""
    rest = found[3] if found else name.removeprefix("model.")
    for theirs, ours in (_BLOCK if found else _STEM).items():
        if rest == theirs or rest.startswith(f"{theirs}."):
            return own + ours + rest[len(theirs) :]
    return name
