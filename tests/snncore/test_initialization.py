"""Initialisation: variances by fan-in, the same bits every time, and what a stack of first-spike layers makes of them."""

import math

import pytest
import torch
from torch import Tensor, nn

from snncore.initialization import Variance, ettfs, fan_in, initialize, kaiming
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import Conv2d


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Sequential:
    return nn.Sequential(Conv2d(8, 60, 5), nn.Sequential(nn.Linear(400, 300), nn.ReLU()), nn.Linear(300, 90, bias=False))


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Linear(7, 3), 7),
        (nn.Conv2d(3, 4, 5), 75),
        (nn.Conv2d(6, 4, (2, 3), groups=2), 18),
        (nn.Conv1d(2, 3, 4), 8),
        (nn.Conv3d(2, 3, 2), 16),
    ],
)
def test_the_fan_in_is_the_number_of_inputs_of_one_output(layer: nn.Module, inputs: int) -> None:
    assert fan_in(layer.weight) == inputs


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, True])
def test_bad_timesteps(timesteps: object) -> None:
    with pytest.raises(ValueError, match="timesteps must be a whole number"):
        ettfs(timesteps)  # type: ignore[arg-type]


@pytest.mark.parametrize(("variance", "numerator"), [(ettfs(8), 8), (kaiming, 2)])
def test_weights_are_uniform_with_the_variance_of_their_fan_in(variance: Variance, numerator: int) -> None:
    made = network()
    initialize(made, variance, source())
    for layer, inputs in ((made[0], 200), (made[1][0], 400), (made[2], 300)):
        weights = layer.weight.detach().double()
        assert weights.var().item() == pytest.approx(numerator / inputs, rel=0.05)
        assert abs(weights.mean().item()) < 4 * math.sqrt(numerator / inputs / weights.numel())
        bound = math.sqrt(3 * numerator / inputs)
        assert 0.99 * bound < weights.abs().max().item() <= bound
        assert (weights.abs() < bound / 2).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert not made[0].bias.any() and not made[1][0].bias.any()


def test_the_bits_do_not_depend_on_the_precision_or_on_torchs_own_generator() -> None:
    single, double = network(), network().double()
    before = torch.get_rng_state()
    initialize(single, ettfs(4), source())
    initialize(double, ettfs(4), source())
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(a, b.float())


def test_layers_share_one_stream_in_the_order_of_the_network() -> None:
    made = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 5))
    stream = source()
    initialize(made, ettfs(6), stream)
    drawn = torch.rand(16, generator=source(), dtype=torch.float64)
    expected = [(2 * drawn[:6] - 1) * math.sqrt(3 * 6 / 3), (2 * drawn[6:] - 1) * math.sqrt(3 * 6 / 2)]
    for layer, values in zip(made, expected, strict=True):
        assert torch.equal(layer.weight.flatten(), values.float())


def single_spikes(shape: tuple[int, ...], timesteps: int) -> Tensor:
    """Trains ``[T, ...]`` in which every input fires once."""
    step = torch.randint(0, timesteps, shape, generator=source(9))
    return nn.functional.one_hot(step, timesteps).movedim(-1, 0).double()


def stack(timesteps: int, variance: Variance, forced: bool, draws: int = 3) -> tuple[list[float], list[float]]:
    """Share of neurons that fire and variance of their currents, by layer."""
    fired, variances = torch.zeros(10), torch.zeros(10)
    for draw in range(draws):
        layers = nn.Sequential(*[nn.Linear(400, 400, bias=False, dtype=torch.float64) for _ in range(10)])
        initialize(layers, variance, source(draw))
        spikes = single_spikes((16, 400), timesteps)
        with torch.no_grad():
            for index, layer in enumerate(layers):
                currents = layer(spikes)
                spikes = FirstSpikeNeuron(1.0, timesteps, forced_spike=forced)(currents)
                fired[index] += spikes.sum(0).mean() / draws
                variances[index] += currents.var() / draws
    return fired.tolist(), variances.tolist()


# An independent simulation of the same stack, printed with three decimals: shares that fire in layers 1, 2, 3, 5 and 10, and
# the variance of the currents of layers 1, 5 and 10.
SIMULATED = [
    (4, kaiming, [0.331, 0.168, 0.058, 0.0, 0.0], [0.497, 0.001, 0.0]),
    (8, kaiming, [0.367, 0.206, 0.093, 0.0, 0.0], [0.250, 0.003, 0.0]),
    (8, ettfs(8), [0.584, 0.524, 0.509, 0.426, 0.393], [1.0, 0.459, 0.370]),
    (16, ettfs(16), [0.701, 0.631, 0.600, 0.492, 0.461], [1.001, 0.533, 0.433]),
]


@pytest.mark.parametrize(("timesteps", "variance", "fired", "variances"), SIMULATED)
def test_a_stack_fires_as_in_an_independent_simulation(
    timesteps: int, variance: Variance, fired: list[float], variances: list[float]
) -> None:
    found, spread = stack(timesteps, variance, forced=False)
    assert [found[i] for i in (0, 1, 2, 4, 9)] == pytest.approx(fired, abs=0.1)
    assert [spread[i] for i in (0, 4, 9)] == pytest.approx(variances, abs=0.12)
    if variance is kaiming:
        assert found[4] < 0.01  # the fifth layer is dead
    else:
        assert found[9] > 0.3


@pytest.mark.parametrize(("variance", "expected"), [(ettfs(8), 1.0), (kaiming, 2 / 8)])
def test_with_a_forced_spike_the_variance_of_the_currents_is_kept(variance: Variance, expected: float) -> None:
    found, spread = stack(8, variance, forced=True, draws=2)
    assert found == pytest.approx([1.0] * 10)
    assert spread == pytest.approx([expected] * 10, rel=0.15)
