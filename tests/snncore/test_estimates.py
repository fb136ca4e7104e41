"""Functions and products of signals on running estimates: one by one, against increments, counted, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import Step, fill, relative_error
from torch import Tensor, nn

from snncore import ConversionError, MomentumNeuron, SpikingNetwork, calibrate, convert, rate, tmn, tsa
from snncore.conversion import Maximum, OperationCounter
from snncore.conversion.estimating import EstimatingNetwork
from snncore.conversion.operations import Estimating, PresentConstant
from snncore.conversion.signals import Layout

WIDTH = 8
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "layer_norm": lambda x: F.layer_norm(x, (WIDTH,), torch.linspace(0.5, 2, WIDTH, dtype=x.dtype), torch.ones(WIDTH, dtype=x.dtype)),
    "group_norm": lambda x: F.group_norm(x, 2),
    "rms_norm spelled out": lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-3).rsqrt(),
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "silu spelled out": lambda x: x * x.sigmoid(),
    "sigmoid in place": lambda x: torch.sigmoid_(x + 0),
    "tanh": torch.tanh,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "power": lambda x: x**2,
    "quotient": lambda x: x / (x.pow(2) + 1),
    "reciprocal": lambda x: 1 / (x.exp() + 1),
    "product of two signals": lambda x: x * (x.flip(1) + 1),
    "product with itself": lambda x: x * x,
    "gate per channel": lambda x: x * x.mean(1, keepdim=True).sigmoid(),
    "matrix product": lambda x: (x[:, None] @ x[:, :, None]).flatten(1).expand(-1, WIDTH),
    "bmm": lambda x: torch.bmm(x[:, :, None], x[:, None]).mean(1),
    "einsum": lambda x: torch.einsum("bi,bj->bj", x, x.tanh()),
    "attention": lambda x: F.scaled_dot_product_attention(*(3 * x.view(-1, 1, 4, 2),) * 3).flatten(1),
    "causal attention": lambda x: F.scaled_dot_product_attention(*(x.view(-1, 1, 4, 2),) * 3, is_causal=True).flatten(1),
    "masked softmax": lambda x: x.masked_fill(torch.arange(WIDTH) > 5, -torch.inf).softmax(1),
    "padded": lambda x: F.pad(x.tanh(), (1, 1), value=0.5)[:, 1:-1],
}


def points(count: int = 6) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def every_function(self: Any, x: Tensor) -> dict[str, Tensor]:
    y = self.first(F.relu(self.zeroth(x)))
    return {name: self.last(function(y)) for name, function in FUNCTIONS.items()}


def network() -> nn.Module:
    return fill(Step(every_function, zeroth=nn.Linear(4, 6), first=nn.Linear(6, WIDTH), last=nn.Linear(WIDTH, 3))).double().eval()


@pytest.fixture(scope="module")
def converted() -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Outputs of the trained network and of the converted one in both modes."""
    ann, x = network(), points()
    calibration = calibrate(ann, [x])
    method = tmn(precharge=4, threshold=Maximum())
    multi, single = (convert(ann, calibration, method, 14, mode=mode)(x) for mode in ("multi-step", "single-step"))
    with torch.no_grad():
        return ann(x), multi, single


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_every_operation_alone_is_exact_up_to_coding(name: str, converted: Any) -> None:
    ann, multi, single = converted
    assert relative_error(multi[name], ann[name]) < 1e-3
    assert torch.allclose(multi[name], single[name], rtol=0, atol=1e-12)


def attention_block(self: Any, x: Tensor) -> Tensor:
    """Post-norm, [B, 4] to [B, 2]."""
    y = F.layer_norm(self.embed(x).view(-1, 4, 6), (6,))
    q, k, v = self.qkv(y).chunk(3, -1)
    y = F.layer_norm(y + F.scaled_dot_product_attention(q, k, v), (6,))
    y = F.layer_norm(y + self.fc2(F.relu(self.fc1(y))), (6,))
    return self.head(F.gelu(self.mix(y[:, 0])))


def transformer() -> nn.Module:
    parts = {"qkv": nn.Linear(6, 18), "fc1": nn.Linear(6, 8), "fc2": nn.Linear(8, 6), "mix": nn.Linear(6, 6), "head": nn.Linear(6, 2)}
    return fill(Step(attention_block, embed=nn.Linear(4, 24), **parts)).double().eval()


def small(precharge: int = 2, timesteps: int = 5, **arguments: Any) -> SpikingNetwork:
    return convert(transformer(), [points()], tmn(precharge=precharge, threshold=Maximum()), timesteps, **arguments)


def by_increments(snn: SpikingNetwork, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Spikes ``[T, B, ...]`` of every neuron and the decoded output, from currents at each of T steps.

    An operation adds up its inputs' currents, and its own are ``(F[t] - F[t-1]) / w[t]`` with ``F[0] = 0``; neurons run in steps.
    """
    weights = (snn.code.weights() / snn.code.total).tolist()
    constants, currents, spikes = {"images": images}, dict[str, Tensor](), dict[str, Tensor]()

    def increments(estimates: Tensor) -> Tensor:
        changes = torch.diff(estimates, dim=0, prepend=torch.zeros_like(estimates[:1]))
        return torch.stack([change / w for change, w in zip(changes, weights, strict=True)])

    def estimates(name: str) -> Tensor:
        if name in constants:
            return constants[name].expand(len(weights), *constants[name].shape)
        return torch.stack([w * z for w, z in zip(weights, currents[name], strict=True)]).cumsum(0)

    for step in snn.steps:
        layer = snn.layers[step.name]
        if step.kind == "analog":
            constants[step.name] = layer(*(constants[name] for name in step.inputs))
        elif isinstance(layer, Estimating):
            spikes[step.name] = layer.neuron(increments(estimates(step.inputs[0])))
            currents[step.name] = spikes[step.name] * layer.neuron.threshold
        elif isinstance(layer, PresentConstant):
            currents[step.name] = increments(estimates(step.inputs[0]))
        else:
            currents[step.name] = increments(torch.stack([layer(*each) for each in zip(*map(estimates, step.inputs), strict=True)]))
    return spikes, estimates(snn.outputs.name)[-1]


@pytest.mark.parametrize("precharge", [0, 2, 4])
def test_both_modes_fire_the_spikes_of_increments(precharge: int) -> None:
    snn, x = small(precharge), points()
    spikes, output = by_increments(snn, x)
    found: dict[str, Tensor] = {}

    def observe(step: Any, value: Tensor, at: Any) -> None:
        if step is not None and step.name in spikes:
            found[step.name] = value.unflatten(0, (5, -1))

    snn.observer = observe
    assert torch.allclose(snn(x), output, rtol=0, atol=1e-12)
    assert len(spikes) == 9 and all(torch.equal(found[name], train) for name, train in spikes.items())
    assert torch.allclose(small(precharge, mode="single-step")(x), output, rtol=0, atol=1e-12)


def test_neurons_stand_before_operations_with_synapses_and_behind_relus() -> None:
    snn = small()
    gates = [neuron.gate for neuron in snn.neurons.values() if isinstance(neuron, MomentumNeuron)]
    assert gates.count("first-spike") == 1 and gates.count("none") == 8  # norm, q, k, v, softmax, norm, class, gelu
    assert isinstance(snn, EstimatingNetwork) and snn.frames == 3
    assert snn.latency == 5 + 2 * 7  # norm, q|k|v, softmax, norm, ReLU, class, GELU one behind the other
    assert [name.partition("_")[0] for name in snn.dense_layers] == ["softmax", "layer", "layer", "gelu"]
    with pytest.raises(ValueError, match="makes no output at its first steps"):
        snn(points(), every_step=True)


def test_spikes_are_accumulates_and_functions_are_counted_as_often_as_they_are_evaluated() -> None:
    snn, x = small(), points()
    with OperationCounter(snn) as counts:
        snn(x)
    multiplications, images = counts.current_multiplications, len(x)
    assert multiplications["softmax"] == 3 * images * 4 * 4
    assert multiplications["layer_norm_1"] == 3 * images * 4 * 6
    assert multiplications["gelu"] == 3 * images * 6
    assert set(multiplications) == {*snn.dense_layers}
    assert counts.multiplications == {"linear": images * 4 * 24, "layer_norm": images * 4 * 6}  # constants, once
    spikes, _ = by_increments(snn, x)
    by_name = {name: float(train.abs().sum()) for name, train in spikes.items()}
    fired = {name: sum(each) for name, each in counts.spikes.items()}
    assert fired == pytest.approx(by_name)
    names = list(spikes)  # norm, q, k, softmax, v, norm, ReLU, class token, gelu
    product = counts.layers["matmul"]
    queries, keys = (by_name[name] for name in names[1:3])
    assert sum(product.accumulates) == pytest.approx(4 * (queries + keys))  # each reaches four of the other side
    assert product.synapses == 2 * product.dense == 2 * 4 * 4 * 6
    snn.mode = "single-step"
    with pytest.raises(RuntimeError, match="counted in multi-step mode"), OperationCounter(snn):
        snn(x)


@pytest.mark.parametrize("outer", [1, 3])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_frames_are_taken_out_of_the_dimension_of_the_images_and_put_back(dim: int, outer: int) -> None:
    layout = Layout(dim, outer)
    once = torch.arange(2 * 30 * 5).view(2, 30, 5).movedim(1, dim)
    twice = layout.repeated(once, 4)
    assert twice.shape[dim] == 120
    frames = layout.frames(twice, 4)
    assert all(torch.equal(frame, once.movedim(dim, 0)) for frame in frames)
    assert torch.equal(layout.joined(frames), twice)


# ---- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [tsa(), rate(), tmn(ternary=False)])
def test_methods_without_signed_neurons(method: Any) -> None:
    with pytest.raises(ConversionError, match=r"\w+.py:\d+ `.*`: needs signed neurons, which .* does not have; convert with tmn"):
        convert(transformer(), [points()], method, 5)


def test_a_precharge_of_all_steps() -> None:
    with pytest.raises(ConversionError, match=r"\w+.py:\d+ `.*`: a pre-charge of 5 steps leaves none of T = 5 to be read; use"):
        small(precharge=5)


def test_an_unknown_operation_between_attentions() -> None:
    ann = Step(lambda self, x: self.last(torch.sin(F.layer_norm(self.first(x), (4,)) * 2)), first=nn.Linear(4, 4), last=nn.Linear(4, 4))
    hidden = Step(lambda self, x: self.ann(F.relu(self.zero(x))), ann=ann, zero=nn.Linear(4, 4)).double()
    with pytest.raises(ConversionError, match=r"\w+.py:\d+ `.*`, ann \(Step\): 'sin' \(node sin\) has no spiking counterpart"):
        convert(hidden, [points()])


def test_attention_among_the_images_of_a_batch() -> None:
    ann = Step(lambda self, x: self.last((self.first(x) @ self.first(x).T).softmax(-1) @ x), first=nn.Linear(4, 4), last=nn.Linear(4, 4))
    with pytest.raises(ConversionError, match="mixes the images of a batch|depends on the others of its batch"):
        convert(ann.double(), [points()])


def test_a_mask_that_hides_a_whole_row() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        scores = self.first(F.relu(self.zero(x)))
        return self.last(scores.masked_fill(x > 5, -torch.inf).softmax(-1))

    ann = Step(forward, zero=nn.Linear(4, 4), first=nn.Linear(4, 4), last=nn.Linear(4, 4)).double()
    snn, x = convert(ann, [points()], tmn(precharge=2), 5), points()
    assert torch.isfinite(snn(x)).all()
    x[1] = 6.0
    for call in (lambda: snn(x), lambda: convert(ann, [x], tmn(precharge=2), 5)):
        with pytest.raises(ConversionError, match=r"test_estimates.py:\d+ `return self.last\(.*: a mask hides every entry of a row"):
            call()
