"""Recording a network: every spelling, folded batch norms, in-place operations without surprises, and whatever wraps it."""

import threading
import time
import types
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import ASSORTED, Step, assorted, build, conv, fill, flat, full_precharge, images, relative_error
from torch import Tensor, nn
from torch.export import ExportedProgram

from snncore import calibrate, convert, tmn
from snncore.conversion import ConversionError, RecordedNetwork, record


def recorded_equals(network: nn.Module, x: Tensor) -> RecordedNetwork:
    """The recorded network computes the same, for any number of images; returns it."""
    network = network.double().eval()
    before = x.clone()
    made = record(network, x)
    assert torch.equal(x, before)
    for batch in (x, x[:1], torch.cat([x, x.flip(0)])):
        with torch.no_grad():
            expected, before = network(batch.clone()), batch.clone()
            outputs = flat(made(batch)), flat(made(batch))  # twice: nothing is overwritten
        assert torch.equal(batch, before)
        for output in outputs:
            assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(output, flat(expected), strict=True))
    return made


def operations(made: RecordedNetwork, *kinds: str) -> list[str]:
    """Operations in order, the input left out; of some kinds alone where these are given."""
    found = [node.operation for node in made.nodes.values() if node.operation != "input"]
    return [operation for operation in found if not kinds or operation in kinds]


def features(count: int = 5, width: int = 6) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", list(ASSORTED))
def test_the_recorded_network_computes_the_same(name: str) -> None:
    network, x, calibration = assorted(name)
    with torch.no_grad():
        for batch in (x, images(1, count=1), images(2, count=5)):
            for a, b in zip(flat(calibration.network(batch)), flat(network(batch.clone())), strict=True):
                assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)
    nodes = calibration.network.nodes
    assert next(iter(nodes.values())).operation == "input"
    for position, node in enumerate(nodes.values()):
        assert all(source in list(nodes)[:position] for source in node.inputs)


def test_layers_alone_are_recorded_in_one_pass_as_with_operations_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def layers(in_place: bool) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(in_place), nn.Flatten(), nn.Linear(72, 3))

    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    twice = recorded_equals(layers(True), x)
    monkeypatch.delattr(ExportedProgram, "run_decompositions")
    once = recorded_equals(layers(False), x)
    assert operations(once) == operations(twice) and torch.equal(once(x), twice(x))


def test_batch_norm_by_the_batch_at_hand_is_refused() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y: Tensor = F.batch_norm(x, self.norm.running_mean, self.norm.running_var, training=True)
        return y

    with pytest.raises(ConversionError):
        record(Step(forward, norm=nn.BatchNorm2d(2)).double().eval(), images(0))


def test_batch_norm_folds_into_the_convolution_before_it() -> None:
    made = recorded_equals(build(["residual", "projected residual", "normalised"], "view", "module", 0), images(0))
    assert operations(made, "batch_norm", "affine") == []
    assert not any("norm" in name or "running" in name for name in made.state_dict())


def test_batch_norm_that_cannot_fold_stays_an_affine_map() -> None:
    made = recorded_equals(build(["pre activation"], "mean", "module", 0), images(0))
    assert operations(made, "affine", "batch_norm") == ["affine", "affine"]

    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y  # folding would change what the sum sees

    made = recorded_equals(fill(Step(forward, conv=conv(2, 4), norm=nn.BatchNorm2d(4))), images(0))
    assert operations(made) == ["conv2d", "affine", "add"]


def test_a_layer_before_two_batch_norms_and_two_batch_norms_in_a_row() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.one(y) * 2 + self.two(self.three(self.conv(x)))

    parts = {name: nn.BatchNorm2d(4) for name in ("one", "two", "three")}
    made = recorded_equals(fill(Step(forward, conv=conv(2, 4), **parts)), images(0))
    assert operations(made, "affine", "batch_norm") == []


def test_folded_weights_do_not_take_the_place_of_a_layer_of_that_name() -> None:
    forward = lambda self, x: self.conv2d(self.norm(self.first(x)))  # noqa: E731
    made = recorded_equals(fill(Step(forward, first=conv(2, 2), norm=nn.BatchNorm2d(2), conv2d=conv(2, 2))), images(0))
    assert operations(made) == ["conv2d", "conv2d"]  # the first is called conv2d as the module of the second is


def test_a_layer_that_is_an_output_itself_keeps_its_weights() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        y = self.conv(x)
        return y, self.norm(y)

    made = recorded_equals(fill(Step(forward, conv=conv(2, 4), norm=nn.BatchNorm2d(4))), images(0))
    assert operations(made) == ["conv2d", "affine"]


def test_batch_norm_without_affine_part() -> None:
    network = fill(nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.ReLU()))
    plain = nn.Sequential(network[0], nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.BatchNorm2d(4, affine=False))
    recorded_equals(plain, images(0))


def test_batch_norm_after_a_linear_layer_over_tokens_keeps_its_dimension() -> None:
    network = fill(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU()))
    made = recorded_equals(network, torch.randn(4, 6, 6, dtype=torch.float64))
    assert operations(made) == ["linear", "affine", "relu"]
    made = recorded_equals(fill(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())), features())
    assert operations(made) == ["linear", "relu"]


def test_shared_layers_share_their_weights_unless_these_are_folded() -> None:
    made = recorded_equals(build(["shared"], "mean", "module", 0), images(0))
    assert len([name for name in made.state_dict() if "weight" in name]) == 2  # the convolution that runs twice, and the head
    assert operations(made, "conv2d") == ["conv2d"] * 2


def test_what_does_nothing_at_inference_is_dropped() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.alpha(self.identity(self.dropout(self.conv(x.contiguous()))))
        y = F.dropout(y.contiguous().clone().detach(), 0.5, self.training).to(y.dtype)
        y = F.dropout3d(F.dropout2d(y, 0.1, training=self.training)[:, :, None], 0.5, False)[:, :, 0]
        return F.relu(y[:].view(y.shape).expand_as(y)[:, 0:])

    parts = {"identity": nn.Identity(), "dropout": nn.Dropout2d(), "alpha": nn.FeatureAlphaDropout()}
    made = recorded_equals(fill(Step(forward, conv=conv(2, 4), **parts)), images(0))
    assert set(operations(made)) <= {"conv2d", "reshape", "select", "relu"}
    assert operations(made)[-1] == "relu"


def test_functional_layers_and_unused_ones() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, stride=2, padding=1, groups=2)
        self.unused(x).relu()
        y = F.conv2d(weight=self.plain, input=y, dilation=(1, 1))
        return F.linear(y.flatten(1), bias=self.last_bias, weight=self.last)

    shapes = {"weight": (4, 1, 3, 3), "bias": (4,), "plain": (2, 4, 1, 1), "last": (3, 18), "last_bias": (3,)}
    parameters = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    made = recorded_equals(fill(Step(forward, **parameters, unused=conv(2, 2))), images(0))
    assert operations(made) == ["conv2d", "conv2d", "reshape", "linear"]
    assert {tuple(tensor.shape) for tensor in made.state_dict().values()} == set(shapes.values())
    assert all(isinstance(tensor, nn.Parameter) for tensor in made.parameters())


def test_expressions_of_parameters_are_computed_once() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.scale).view(1, -1, 1, 1)
        weight = self.weight / self.weight.norm()
        weight[0] = weight[1] * 2
        return F.conv2d(x * scale, weight, padding=1) + (self.scale[:1] * 2 - 1)

    network = fill(Step(forward, scale=nn.Parameter(torch.zeros(2)), weight=nn.Parameter(torch.zeros(3, 2, 3, 3))))
    made = recorded_equals(network, images(0))
    assert operations(made) == ["mul", "conv2d", "add"]


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


def slice_changed(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    y[:, :3].relu_()
    y[:, 3:] *= 2
    return self.c(y)


def out_argument(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    torch.add(y, x, out=y)
    return self.c(y)


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
    [
        *(relu_as_statement, function_as_statement, input_read_after_relu, method_as_statement),
        *(alias_of_a_sum, input_changed, view_changed, base_read_after_view_changed, view_read_after_base_changed),
        dropout_shares_memory,
    ],
    ids=lambda f: f.__name__,
)
def test_in_place_operations_mean_what_they_do(forward: Any) -> None:
    recorded_equals(fill(Step(forward, **layers())), features())


@pytest.mark.parametrize("forward", [slice_changed, out_argument, dropped_maps_share_memory], ids=lambda f: f.__name__)
def test_other_writes_into_memory_are_recorded_as_they_are_or_refused(forward: Any) -> None:
    try:
        recorded_equals(fill(Step(forward, **layers())), features())
    except ConversionError as error:
        assert "\n" not in str(error)


# ---- networks as users have them --------------------------------------------------------------------------------------


def classifier() -> nn.Module:
    return fill(nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))).double().eval()


class Flagged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = classifier()

    def forward(self, x: Tensor, augment: bool = False, *rest: Any, scale: float = 1.0, **more: Any) -> Tensor:
        return self.model(x.flip(3)) if augment else self.model(x) * scale


def own_forward() -> nn.Module:
    def short(self: Any, x: Tensor) -> Tensor:
        return self.other(torch.flatten(self[2](self[0](x)), 1))

    network = classifier()
    network.other = nn.Linear(144, 5).double()
    fill(network.other, 1)
    network.forward = types.MethodType(short, network)
    return network


def averaged() -> nn.Module:
    network = torch.optim.swa_utils.AveragedModel(classifier())
    network.update_parameters(network.module)
    return network


WRAPPED: dict[str, Any] = {
    "DataParallel": lambda: nn.DataParallel(classifier()),
    "compiled": lambda: torch.compile(classifier(), backend="eager"),
    "compiled part": lambda: nn.Sequential(torch.compile(classifier(), backend="eager"), nn.ReLU()),
    "AveragedModel": averaged,
    "forward with flags": Flagged,
    "a forward of its own": own_forward,
    "in training mode": lambda: classifier().train(),
    "in training mode in part": lambda: nn.Sequential(classifier().train(), nn.Dropout(0.5)),
    "parameters frozen": lambda: classifier().requires_grad_(False),
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_wrapped_networks(name: str) -> None:
    network, x = WRAPPED[name](), images(0)
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    converted = convert(network, [x], full_precharge(14), 14)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    with torch.no_grad():
        expected = network.eval()(x)
    assert relative_error(converted(x), expected) < 2e-3


def deep(operations: int) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(operations // 2):
        layers += [nn.Linear(8, 8), nn.ReLU(inplace=True)]
    network = fill(nn.Sequential(*layers, nn.Linear(8, 3)).double().eval())
    return network


def test_two_hundred_in_place_operations_convert() -> None:
    x = torch.rand(4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    converted = convert(deep(220), [x], timesteps=2)
    assert len(converted.neurons) == 110
    converted.mode = "single-step"
    assert converted(x).shape == (4, 3)


@pytest.mark.slow
def test_hundreds_of_in_place_operations_convert_in_time_linear_in_their_number() -> None:
    x = torch.rand(4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    convert(deep(4), [x], timesteps=4)
    seconds = []
    for size in (100, 400):
        start = time.process_time()
        converted = convert(deep(size), [x], timesteps=4)
        seconds.append(time.process_time() - start)
        assert len(converted.neurons) == size // 2
        assert converted(x).shape == (4, 3)
    assert seconds[1] < 4 * 2 * seconds[0]


def test_two_threads_convert_at_the_same_time() -> None:
    x = images(0)
    networks = [build(["plain", "residual"], "mean", "inplace module", seed) for seed in range(3)]
    expected = [convert(network, [x], timesteps=4)(x) for network in networks]
    found: dict[int, Any] = {}

    def work(index: int) -> None:
        try:
            found[index] = convert(networks[index], [x], timesteps=4)(x)
        except Exception as error:  # shown by the comparison
            found[index] = error

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[index], expected[index]) for index in range(3)), found


# ---- telling networks apart -------------------------------------------------------------------------------------------


def test_descriptions_depend_on_the_operations_and_not_on_the_weights() -> None:
    blocks, x = ["residual", "plain"], images(0)
    first = record(build(blocks, "mean", "module", 0), x).describe()
    assert record(build(blocks, "mean", "module", 1), x).describe() == first
    assert record(build(blocks, "two means", "module", 0), x).describe() != first
    one, other = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    assert record(one, torch.rand(2, 3)).describe() != record(other, torch.rand(2, 3)).describe()


def test_a_recorded_network_is_a_network() -> None:
    network, x = build(["residual"], "view", "module", 0), images(0)
    made = record(network, x)
    assert record(made, x) is made
    assert torch.equal(convert(made, [x], timesteps=4)(x), convert(network, [x], timesteps=4)(x))
    loss = made.requires_grad_(True)(x).square().sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in made.parameters())
    changed = made.changed()
    changed.load_state_dict(made.state_dict())
    assert changed.fingerprint is None
    assert torch.equal(changed(x), made(x))


def test_a_calibration_follows_weights_that_change_in_place() -> None:
    network, x = build(["normalised"], "mean", "module", 0), images(0)
    calibration = calibrate(network, [x])
    before = convert(network, calibration, tmn(), 4)(x)
    with torch.no_grad():
        network[-1].out.weight.mul_(2)
        network[-1].out.bias.mul_(2)
    assert torch.allclose(convert(network, calibration, tmn(), 4)(x), 2 * before)
