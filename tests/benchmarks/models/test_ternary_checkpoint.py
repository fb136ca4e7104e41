"""Checkpoints by the names of the Ternary Spike code: the same logits as a network written step by step; refusals in one line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.errors import CannotRun
from benchmarks.models.ternary_checkpoint import load_ternary
from snncore.neurons.leaky import TernaryLIFNeuron

LAYOUT, BLOCKS, WIDTH = "ResNet18-w4", (2, 2, 2, 2), 4
Weights = dict[str, Tensor]
Trains = list[Tensor]


def random_weights(blocks: tuple[int, ...], width: int, classes: int, amplitudes: bool = False, seed: int = 0) -> Weights:
    """Weights and running statistics that keep all layers firing; amplitudes near 1."""
    generator = torch.Generator().manual_seed(seed)
    made: Weights = {}

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> None:
        made[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator) * (2 / (kernel**2 * outputs)) ** 0.5

    def normalisation(name: str, channels: int) -> None:
        for key, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
            made[f"{name}.{key}"] = torch.rand(channels, generator=generator) + low
        made[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def amplitude(name: str) -> None:
        if amplitudes:
            made[f"{name}.fire_ratio"] = 0.8 + torch.rand((), generator=generator)

    convolution("model.conv1.pool", 3, width, 7)
    normalisation("model.bn1.conv", width)
    amplitude("model.relu")
    inputs = width
    for stage, count in enumerate(blocks, start=1):
        for number in range(count):
            block, outputs = f"model.layer{stage}.{number}", width << (stage - 1)
            for k, (before, after) in enumerate(((inputs, outputs), (outputs, outputs)), start=1):
                convolution(f"{block}.conv{k}.pool", before, after, 3)
                normalisation(f"{block}.bn{k}.bn", after)
            if inputs != outputs:
                convolution(f"{block}.downsample.0.pool", inputs, outputs, 1)
                normalisation(f"{block}.downsample.1.bn", outputs)
            amplitude(f"{block}.relu1")
            amplitude(f"{block}.output_act")
            inputs = outputs
    made["model.fc.conv.weight"] = torch.randn(classes, inputs, generator=generator) / inputs**0.5
    made["model.fc.conv.bias"] = torch.randn(classes, generator=generator)
    return made


class Reference:
    """An ImageNet ResNet of ternary neurons in evaluation mode, written down step by step: logits of images; ``potentials`` are those of the last call, layer by layer, ``[T, B, C, H, W]``."""

    def __init__(self, weights: Weights, blocks: tuple[int, ...], timesteps: int) -> None:
        self.weights, self.blocks, self.timesteps = weights, blocks, timesteps
        self.potentials: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Mean logits ``[B, K]`` of normalised images."""
        self.potentials = []
        trains = self.fired("model.relu", self.currents([images] * self.timesteps, "conv1.pool", "bn1.conv", "model", 2, 3))
        trains = [F.avg_pool2d(spikes, 3, 2, 1) for spikes in trains]
        for stage, count in enumerate(self.blocks, start=1):
            for number in range(count):
                trains = self.block(f"model.layer{stage}.{number}", trains, 2 if stage > 1 and number == 0 else 1)
        features = [spikes.mean((2, 3)) for spikes in trains]
        weight, bias = self.weights["model.fc.conv.weight"], self.weights["model.fc.conv.bias"]
        return torch.stack([F.linear(each, weight, bias) for each in features]).mean(0)

    def block(self, name: str, trains: Trains, stride: int) -> Trains:
        hidden = self.fired(f"{name}.relu1", self.currents(trains, "conv1.pool", "bn1.bn", name, stride, 1))
        branch = self.currents(hidden, "conv2.pool", "bn2.bn", name, 1, 1)
        if f"{name}.downsample.0.pool.weight" in self.weights:
            trains = self.currents(trains, "downsample.0.pool", "downsample.1.bn", name, stride, 0)
        return self.fired(f"{name}.output_act", [a + b for a, b in zip(branch, trains, strict=True)])

    def currents(self, trains: Trains, convolution: str, norm: str, name: str, stride: int, padding: int) -> Trains:
        weight = self.weights[f"{name}.{convolution}.weight"]
        gamma, beta, mean, variance = (
            self.weights[f"{name}.{norm}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")
        )
        sums = (F.conv2d(spikes, weight, None, stride, padding) for spikes in trains)
        return [F.batch_norm(each, mean, variance, gamma, beta, False, 0.0, 1e-5) for each in sums]

    def fired(self, name: str, currents: Trains) -> Trains:
        potential, potentials, trains = torch.zeros_like(currents[0]), [], []
        amplitude = self.weights.get(f"{name}.fire_ratio", torch.ones((), dtype=potential.dtype))
        for current in currents:
            potential = potential * 0.25 + current
            potentials.append(potential)
            spikes = potential.sign() * (potential.abs() >= 0.5)
            potential = potential * (1 - spikes.abs())
            trains.append(spikes * amplitude)
        self.potentials.append(torch.stack(potentials))
        return trains


def saved(folder: Path, weights: Any, name: str = "snn-res18-4-320.pth") -> Path:
    torch.save(weights, folder / name)
    return folder / name


def images(count: int, size: int = 64) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def doubled(weights: Weights) -> Weights:
    return {name: each.double() if each.is_floating_point() else each for name, each in weights.items()}


@pytest.mark.parametrize("amplitudes", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_logits_are_those_of_the_network_step_by_step(tmp_path: Path, amplitudes: bool, prefix: str) -> None:
    weights = random_weights(BLOCKS, WIDTH, 10, amplitudes)
    path = saved(tmp_path, {prefix + name: each for name, each in weights.items()})
    network = load_ternary(path, LAYOUT, classes=10).double()
    expected = Reference(doubled(weights), BLOCKS, 4)(images(4))
    with torch.no_grad():
        found = network(images(4)).mean(0)
    assert float((found - expected).abs().max()) <= 1e-12 * float(expected.abs().max())
    neurons = [m for m in network.modules() if isinstance(m, TernaryLIFNeuron)]
    assert len(neurons) == 17 and all((neuron.amplitude is not None) == amplitudes for neuron in neurons)
    assert not network.training and float(expected.std()) > 0


def test_the_other_network_for_imagenet(tmp_path: Path) -> None:
    blocks = (3, 4, 6, 3)
    weights = random_weights(blocks, WIDTH, 10)
    network = load_ternary(saved(tmp_path, weights, "res34.pth"), "ResNet34-w4", 2, 10).double()
    expected = Reference(doubled(weights), blocks, 2)(images(2))
    with torch.no_grad():
        assert torch.allclose(network(images(2)).mean(0), expected, rtol=1e-12, atol=1e-12)


def test_refusals_are_one_line(tmp_path: Path) -> None:
    weights = random_weights(BLOCKS, WIDTH, 10)
    path = saved(tmp_path, weights)
    for arguments, said in (
        ((path, "ResNet34-w4", 4, 10), "does not fit ResNet34-w4 .* missing blocks.2.conv1.weight"),
        ((path, "ResNet18-w8", 4, 10), "does not fit ResNet18-w8 .* of another shape"),
        ((path, LAYOUT, 2, 10), "its name says T = 4, not 2; ask for 4 timesteps"),
        ((tmp_path / "none.pth", LAYOUT, 4, 10), "there is no such checkpoint file"),
        ((saved(tmp_path, random_weights((3, 4, 6, 3), WIDTH, 10), "34.pth"), LAYOUT, 4, 10), "unexpected model.layer1.2.conv1.pool"),
        ((saved(tmp_path, {"state_dict": Executes()}, "code.pth"), LAYOUT, 4, 10), "loading it could run code"),
    ):
        with pytest.raises(CannotRun, match=said) as refused:
            load_ternary(*arguments)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


class Executes:
    """Pickled code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (pickle.dumps("ran"),)


@pytest.mark.slow
def test_in_float32_nothing_differs_but_by_spikes_at_the_threshold(tmp_path: Path) -> None:
    """Logits follow from the last spikes alone: they are equal, or a spike has turned. 256 images."""
    weights = random_weights(BLOCKS, 16, 10)
    network, reference = load_ternary(saved(tmp_path, weights), "ResNet18-w16", classes=10), Reference(weights, BLOCKS, 4)
    trains: list[Tensor] = []
    order = [network.stem_neurons[0], *(n for block in network.blocks for n in (block.neuron1, block.neuron2))]
    for neuron in order:
        neuron.register_forward_hook(lambda _, __, spikes: trains.append(spikes))
    same = agree = 0
    for batch in images(256).float().split(64):
        trains.clear()
        with torch.no_grad():
            found, expected = network.to(memory_format=torch.channels_last)(batch).mean(0), reference(batch)
        same += int(((found - expected).abs().amax(1) <= 1e-4 * expected.abs().max()).sum())
        agree += int((found.argmax(1) == expected.argmax(1)).sum())
        for image in range(len(batch)):
            for spikes, potential in zip(trains, reference.potentials, strict=True):
                turned = spikes[:, image] != potential[:, image].sign() * (potential[:, image].abs() >= 0.5)
                if turned.any():  # the first layer, and there the first step
                    step = int(turned.flatten(1).any(1).nonzero()[0])
                    assert float((potential[step, image].abs() - 0.5).abs()[turned[step]].max()) <= 1e-5
                    break
    assert same >= 0.97 * 256 and agree >= 0.98 * 256
