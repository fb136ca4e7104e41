"""Recording a network: every spelling, folded batch norms, in-place operations without surprises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from small_networks import RELUS, Step, build, conv, fill, flat, images, networks
from torch import Tensor, fx, nn

from snncore import ConversionError
from snncore.conversion.tracing import ChannelAffine, describe, module_of, trace_network

quick = settings(deadline=None, derandomize=True, max_examples=20)


def traced_equals(network: nn.Module, x: Tensor) -> fx.GraphModule:
    """The recorded network computes the same; returns it."""
    network = network.double().eval()
    with torch.no_grad():
        expected, before = network(x.clone()), x.clone()
        traced = trace_network(network)
        outputs = flat(traced(x)), flat(traced(x))  # twice: nothing is overwritten
    assert torch.equal(x, before)
    for output in outputs:
        assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(output, flat(expected), strict=True))
    return traced


def filled(network: nn.Module) -> nn.Module:
    fill(network, 0)
    return network


def modules_of(traced: fx.GraphModule, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for node in traced.graph.nodes if isinstance(module := module_of(traced, node), kind)]


def features(count: int = 5, width: int = 6) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@quick
@given(networks())
def test_the_recorded_network_computes_the_same(network: nn.Module) -> None:
    traced_equals(network, images(0))


@pytest.mark.parametrize("spelling", sorted(RELUS))
def test_every_relu_becomes_a_module_of_its_own(spelling: str) -> None:
    traced = traced_equals(build(["residual", "shared", "plain"], "view", spelling, 0), images(0))
    relus = modules_of(traced, nn.ReLU)
    assert len(relus) == 6
    assert len({id(relu) for relu in relus}) == 6
    assert not any(relu.inplace for relu in relus)  # type: ignore[union-attr]


def test_batch_norm_folds_into_the_convolution_before_it() -> None:
    traced = traced_equals(build(["residual", "projected residual", "normalised"], "mean", "module", 0), images(0))
    assert not modules_of(traced, nn.BatchNorm2d)
    assert not modules_of(traced, ChannelAffine)


def test_batch_norm_that_cannot_fold_stays_an_affine_map() -> None:
    traced = traced_equals(build(["pre-activation"], "mean", "module", 0), images(0))
    assert len(modules_of(traced, ChannelAffine)) == 2

    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y  # folding would change what the sum sees

    traced = traced_equals(filled(Step(forward, conv=conv(2, 4), norm=nn.BatchNorm2d(4))), images(0))
    assert len(modules_of(traced, ChannelAffine)) == 1


def test_batch_norm_without_affine_part() -> None:
    network = filled(nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.ReLU()))
    plain = nn.Sequential(network[0], nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.BatchNorm2d(4, affine=False))
    traced_equals(plain, images(0))


def test_batch_norm_after_a_linear_layer_over_tokens_keeps_its_dimension() -> None:
    network = filled(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU()))
    traced_equals(network, torch.randn(4, 6, 6, dtype=torch.float64))


def test_shared_layers_get_a_copy_per_call() -> None:
    traced = traced_equals(build(["shared"], "mean", "module", 0), images(0))
    convolutions = modules_of(traced, nn.Conv2d)
    assert len(convolutions) == 2
    assert convolutions[0] is not convolutions[1]


def test_what_does_nothing_at_inference_is_dropped() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.identity(self.dropout(self.conv(x)))
        y = F.dropout(y.contiguous().clone().detach(), 0.5, self.training)
        return F.dropout3d(F.dropout2d(F.dropout1d(y[0], training=False)[None], 0.1, training=self.training), 0.5, False)

    traced = traced_equals(filled(Step(forward, conv=conv(2, 4), identity=nn.Identity(), dropout=nn.Dropout2d())), images(0))
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", *["call_function"] * 2, "output"]


def test_functional_layers_become_modules() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, stride=2, padding=1, groups=2)
        y = F.conv2d(weight=self.plain, input=y, dilation=(1, 1))
        return F.linear(y.flatten(1), bias=self.last_bias, weight=self.last)

    shapes = {"weight": (4, 1, 3, 3), "bias": (4,), "plain": (2, 4, 1, 1), "last": (3, 18), "last_bias": (3,)}
    network = filled(Step(forward, **{name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}))
    traced = traced_equals(network, images(0))
    assert len(modules_of(traced, nn.Conv2d)) == 2
    assert len(modules_of(traced, nn.Linear)) == 1
    assert modules_of(traced, nn.Conv2d)[1].bias is None


def test_expressions_of_parameters_are_computed_once() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.scale).view(1, -1, 1, 1)
        return F.conv2d(x * scale, self.weight / self.weight.norm(), padding=1) + (self.scale[:1] * 2 - 1)

    network = filled(Step(forward, scale=nn.Parameter(torch.zeros(2)), weight=nn.Parameter(torch.zeros(3, 2, 3, 3))))
    traced = traced_equals(network, images(0))
    assert len(modules_of(traced, nn.Conv2d)) == 1
    assert sum(node.op not in ("placeholder", "output", "get_attr") for node in traced.graph.nodes) == 3


# ---- in-place operations ----------------------------------------------------------------------------------------------


def layers() -> dict[str, nn.Module]:
    return {"a": nn.Linear(6, 6), "b": nn.Linear(6, 6), "c": nn.Linear(6, 3), "relu": nn.ReLU(inplace=True)}


def relu_as_statement(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    self.relu(y)
    return self.c(y)


def function_as_statement(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    F.relu_(y)
    z = self.b(y)
    torch.relu_(z)
    z.relu_()
    return self.c(z) + self.c(y)


def input_read_after_relu(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    return self.c(self.relu(y)) + self.c(y)


def input_read_before_relu(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = self.c(y)
    return self.c(self.relu(y)) + z


def method_as_statement(self: Any, x: Tensor) -> Tensor:
    y = self.b(self.relu(self.a(x)))
    y.add_(x).mul_(0.5)
    y.sub_(1)
    return self.c(self.relu(y))


def alias_of_a_sum(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    alias = y
    y += self.b(x)
    y *= 2
    y /= 3
    y -= x
    return self.c(self.relu(y)) + self.c(alias)


def input_changed(self: Any, x: Tensor) -> Tensor:
    x -= 0.5
    return self.c(self.relu(self.a(x))) + self.c(x)


def view_changed(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = y.view(-1, 2, 3)
    z.mul_(2)
    return self.c(z.flatten(1))


def size_counted(self: Any, x: Tensor) -> Tensor:
    n = x.size(1)
    m = n
    m += 1
    return self.c(self.relu(self.a(x))) * n / m


@pytest.mark.parametrize(
    "forward",
    [
        *(relu_as_statement, function_as_statement, input_read_after_relu, input_read_before_relu, method_as_statement),
        *(alias_of_a_sum, input_changed, view_changed, size_counted),
    ],
    ids=lambda f: f.__name__,
)
def test_in_place_operations_mean_what_they_do(forward: Any) -> None:
    traced_equals(filled(Step(forward, **layers())), features())


def base_read_after_view_changed(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = y.view(-1, 2, 3)
    z.mul_(2)
    return self.c(y)


def view_read_after_base_changed(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = y[:, :3]
    y.mul_(2)
    return z + self.c(y)


def dropout_shares_memory(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = F.dropout(y, 0.5, training=False)
    self.relu(z)
    return self.c(y)


def dropped_maps_share_memory(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    z = F.dropout1d(y, 0.5, training=False)
    self.relu(z)
    return self.c(y)


@pytest.mark.parametrize(
    "forward",
    [base_read_after_view_changed, view_read_after_base_changed, dropout_shares_memory, dropped_maps_share_memory],
    ids=lambda f: f.__name__,
)
def test_changes_through_shared_memory_are_refused_rather_than_missed(forward: Any) -> None:
    with pytest.raises(ConversionError, match=r"changes \w+ in place while \w+ shares its memory and is read later; use the"):
        trace_network(Step(forward, **layers()))


def test_out_argument_is_refused() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.a(x)
        torch.add(y, x, out=y)
        return self.c(y)

    with pytest.raises(ConversionError, match="add: writes its result to out="):
        trace_network(Step(forward, **layers()))


# ---- telling networks apart -------------------------------------------------------------------------------------------


def test_descriptions_depend_on_the_operations_and_not_on_the_weights() -> None:
    blocks = ["residual", "plain"]
    first = describe(trace_network(build(blocks, "mean", "module", 0)))
    assert describe(trace_network(build(blocks, "mean", "module", 1))) == first
    assert describe(trace_network(build(blocks, "two means", "module", 0))) != first
    one, other = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    assert describe(trace_network(one)) != describe(trace_network(other))


def test_the_network_itself_is_not_touched() -> None:
    network = build(["normalised"], "mean", "inplace module", 0).train()
    names = [name for name, _ in network.named_modules()]
    trace_network(network)
    assert network.training
    assert [name for name, _ in network.named_modules()] == names
    assert any(isinstance(module, nn.BatchNorm2d) and module.training for module in network.modules())
