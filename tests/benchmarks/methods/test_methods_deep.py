"""Methods of direct training of deep networks: their neurons by hand, and that the loss reaches every parameter."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks.errors import CannotRun
from benchmarks.methods import DEEP_METHODS, direct_method
from benchmarks.methods.deep import DeepMethod
from benchmarks.methods.diet_snn import DietNeuron
from benchmarks.methods.glif import GLIFNeuron
from benchmarks.methods.im_loss import IMLoss, ObservedNeuron
from benchmarks.methods.inflor import InfLoRNeuron, rectified
from benchmarks.methods.mpbn import MPBNNeuron
from benchmarks.methods.plif import PLIFNeuron
from benchmarks.methods.real_spike import RealSpikeNeuron
from benchmarks.methods.rmp_loss import RMPLoss
from benchmarks.methods.tet import TET
from benchmarks.training.randomness import generator

NAMES = list(DEEP_METHODS)
LAYOUT, SHAPE = "ResNet20-w8-s1", (1, 8, 8)


def built(name: str) -> tuple[DeepMethod, Any]:
    """A method and its small network, initialised, for two steps if the method allows."""
    method = direct_method(name)
    assert isinstance(method, DeepMethod)
    network = method.build(LAYOUT, SHAPE, 10, max(2, method.least_timesteps))
    method.initialize(network, generator(0, "initialization"))
    return method, network


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_reaches_every_parameter(name: str) -> None:
    method, network = built(name)
    images, labels = torch.rand(16, *SHAPE, generator=generator(1, "images")), torch.arange(16) % 10
    scores, named = network.answers(images)
    assert scores.shape == (network.timesteps, 16, 10) and torch.equal(named, scores.detach().mean(0).argmax(1))
    method.loss(scores, labels, network).backward()
    for key, each in network.named_parameters():
        assert each.grad is not None and each.grad.isfinite().all(), key
        assert each.dim() < 2 or each.grad.any(), key


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_what_it_trains_and_decays_weights_alone(name: str) -> None:
    method, network = built(name)
    assert method.name == name and method.definition and method.reference
    decayed, others = method.groups(network, 5e-4)
    assert decayed["weight_decay"] == 5e-4 and others["weight_decay"] == 0
    assert {each.dim() for each in decayed["params"]} == {2, 4}
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_plif_by_hand() -> None:
    #  u: 0.8 / 2 = 0.4,  0.4 + (2.0 - 0.4) / 2 = 1.2 fires,  0.6 / 2 = 0.3
    assert PLIFNeuron()(torch.tensor([[0.8], [2.0], [0.6]])).flatten().tolist() == [0, 1, 0]


def test_diet_by_hand() -> None:
    neuron = DietNeuron()
    neuron.v.data.fill_(2.0)
    neuron.leak.data.fill_(0.5)
    #  u: 1.9,  0.95 + 1.2 = 2.15 fires and keeps 0.15,  0.075 + 1.95 = 2.025 fires
    assert neuron(torch.tensor([[1.9], [1.2], [1.95]])).flatten().tolist() == [0, 1, 1]


def test_gates_at_their_ends_make_glif_a_lif_neuron() -> None:
    neuron = GLIFNeuron(1, 3).double()
    for gate in "ac":  # exponential decay, hard reset
        getattr(neuron, gate).data.fill_(50.0)
    neuron.g.data.fill_(-50.0)  # no conductance
    currents = torch.tensor([0.4, 0.45, 0.3], dtype=torch.float64).reshape(3, 1, 1, 1, 1)
    #  u: 0.4,  0.1 + 0.45 = 0.55 fires,  0.3
    assert neuron(currents).flatten().tolist() == [0, 1, 0]


def test_the_rectifier_of_inflor() -> None:
    u = torch.tensor([8.0, 1.0, 0.5, 0.0, -7.0], dtype=torch.float64)
    assert torch.allclose(rectified(u), torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0], dtype=torch.float64))
    neuron = InfLoRNeuron()
    #  u: 0.4,  0.4 + 0.4 = 0.8 fires and keeps -0.2,  -0.2 + 0.6 = 0.4
    assert neuron(torch.tensor([[0.4], [0.4], [0.6]])).flatten().tolist() == [0, 1, 0]


def test_mpbn_compares_the_normalised_potential_and_resets_the_raw_one() -> None:
    neuron = MPBNNeuron(1).eval()
    assert isinstance(neuron.norm.running_mean, torch.Tensor)
    neuron.norm.running_mean.fill_(1.0)
    currents = torch.tensor([1.4, 1.3, 1.4]).reshape(3, 1, 1, 1, 1)
    #  u - 1: 0.4,  0.35 + 1.3 - 1 = 0.65 fires,  0.4
    assert neuron(currents).flatten().tolist() == [0, 1, 0]


def test_real_spike_scales_channels() -> None:
    neuron = RealSpikeNeuron(2)
    neuron.channel_amplitude.data = torch.tensor([0.5, 3.0]).reshape(2, 1, 1)
    assert neuron(torch.ones(1, 1, 2, 1, 1)).flatten().tolist() == [0.5, 3.0]


def test_sew_adds_spikes_to_spikes() -> None:
    _, network = built("SEW ResNet")
    seen: list[torch.Tensor] = []
    for block in network.layers.blocks:
        block.register_forward_hook(lambda _, __, spikes: seen.append(spikes.detach()))
    network.answers(torch.rand(8, *SHAPE))
    values = {float(value) for spikes in seen for value in spikes.unique()}
    assert values <= {0.0, 1.0, 2.0, 3.0} and 2.0 in values


def test_losses_by_hand() -> None:
    logits, labels = torch.randn(3, 4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    steps = sum(F.cross_entropy(step, labels) for step in logits) / 3
    assert torch.allclose(TET().loss(logits, labels), (1 - 1e-3) * steps + 1e-3 * (logits - 1).square().mean())
    common = F.cross_entropy(logits.mean(0), labels)
    network = torch.nn.Sequential(*(ObservedNeuron() for _ in range(4)))
    for layer, mean in zip(network, (9.0, 0.5, 0.1, 9.0), strict=True):
        layer.mean = torch.tensor(mean, dtype=torch.float64)
    expected = common + 0.005 * ((0.5 - 1 / 6) ** 2 + (0.1 - 1 / 6) ** 2) / 2
    assert torch.allclose(IMLoss().loss(logits, labels, network), expected)
    neuron = RMPLoss().neuron(1, False, 2)
    neuron(torch.tensor([[0.2], [0.9]], dtype=torch.float64))  # u: 0.2, 0.95
    penalty = 0.1 * (0.2**2 + 0.05**2) / 2
    assert math.isclose(float(RMPLoss().loss(logits, labels, torch.nn.Sequential(neuron)) - common), penalty, rel_tol=1e-9)


def test_frames_of_events_have_as_many_steps_as_the_network() -> None:
    method = direct_method("Ternary spike")
    network = method.build("ResNet18-w4", (3, 2, 18, 18), 10, 3)
    method.initialize(network, generator(0, "initialization"))
    frames = torch.rand(2, 3, 2, 18, 18, generator=generator(0, "frames"))
    logits, _ = network.train().answers(frames)
    assert logits.shape == (3, 2, 10)
    first, _ = network.answers(torch.cat([frames[:, :1], frames[:, :1], frames[:, 2:]], 1))
    assert not torch.equal(first[1], logits[1])  # every step sees its own frame
    with pytest.raises(CannotRun, match="4 timesteps do not go with 3 frames of events; make both the same"):
        method.build("ResNet18-w4", (3, 2, 18, 18), 10, 4)
