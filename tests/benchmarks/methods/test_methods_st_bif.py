"""ST-BIF against SpikingJelly's neuron, its two forms against each other, and the network of many steps against the quantised one."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.errors import NotAvailable
from benchmarks.methods import method, threshold_rule
from benchmarks.methods.st_bif import STBIFNeuron
from snncore.conversion import ConversionError, convert, quantize
from snncore.neurons.estimates import Estimator
from snncore.quantization import ClipFloorShift

SIGNS = pytest.mark.parametrize(("least", "most"), [(-16, 15), (0, 31)])
ST_BIF = method("ST-BIF").conversion(threshold_rule("maximum"))


def currents(seed: int, timesteps: int = 40) -> torch.Tensor:
    """Trains of multiples of an eighth of a step, so that sums are exact and ties occur; they drive neurons to both bounds."""
    generator = torch.Generator().manual_seed(seed)
    drift = torch.linspace(-1.5, 1.5, 300)
    noise = 2 * torch.randn(timesteps, 300, generator=generator) * torch.linspace(1, 0, timesteps)[:, None]
    return torch.round(8 * (noise + drift)) / 8 * 0.25


@SIGNS
def test_it_is_the_neuron_of_spikingjelly(least: int, most: int) -> None:
    spikezip = pytest.importorskip("spikingjelly.activation_based.neuron.spikezip")
    theirs = spikezip.STBIFNode(0.25, level=32, sym=least < 0, step_mode="s")
    given = currents(0)
    expected = torch.stack([theirs(z) for z in given]) / 0.25
    spikes = STBIFNeuron(0.25, len(given), least, most)(given)
    assert torch.equal(spikes, expected)
    assert set(spikes.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert (spikes.sum(0).min(), spikes.sum(0).max()) == (least, most)


@SIGNS
def test_on_running_sums_it_fires_the_same_spikes(least: int, most: int) -> None:
    given = currents(1)
    neuron = STBIFNeuron(0.25, len(given), least, most)
    spikes = torch.empty_like(given)
    sent = Estimator(neuron)(given.cumsum(0), spikes)
    assert torch.equal(spikes, neuron(given))
    assert torch.equal(sent, 0.25 * spikes.cumsum(0))
    estimator, state = Estimator(neuron), Estimator(neuron).start(given[0])
    for t, z in enumerate(given.cumsum(0)):
        out, state = estimator.update(z, state)
        assert torch.equal(out, sent[t])


def transformer() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)).double().eval()


def test_after_many_steps_a_network_is_the_quantised_one() -> None:
    x = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    network = quantize(transformer(), [x], partial(ClipFloorShift, 31)).double()
    errors = [float((convert(network, [x], ST_BIF, t)(x) - network(x).detach()).abs().max()) for t in (8, 32, 400)]
    assert errors[0] > 1e-2 and max(errors[1:]) < 1e-9
    snn = convert(network, [x], ST_BIF, 40)
    assert snn.latency == 40  # no neuron waits
    together = snn(x)
    snn.mode = "single-step"
    assert torch.allclose(snn(x), together, atol=1e-12)


def test_a_network_of_full_precision_is_refused() -> None:
    with pytest.raises(ConversionError, match="ST-BIF"):
        convert(transformer(), [torch.randn(4, 5, 8, dtype=torch.float64)], ST_BIF, 16)
    with pytest.raises(NotAvailable, match="ST-BIF converts quantised networks"):
        method("ST-BIF").check(None, 16)
