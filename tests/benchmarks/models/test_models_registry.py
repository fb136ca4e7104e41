"""The networks: sizes against the published definitions, shapes, and what a converter relies on."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models import MODELS, build_model, load_checkpoint, model_spec
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.models.resnet_cifar import PadShortcut
from snncore import convert, tmn

OTHERS = ("fastestdet", "vit-small-images", "vit-thin")  # have tests of their own
DEPTHS = {"torchvision/squeezenet1_1": 18}  # networks whose names have no number of layers, and their weight layers in a row
CLASSIFIERS = [name for name in MODELS if name not in OTHERS]
SMALL = [name for name in CLASSIFIERS if not name.startswith("torchvision/")]
ANY_SIZE = [name for name in SMALL if not name.startswith("vgg16") or name.endswith("-thin")]


def on_meta(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    with torch.device("meta"):
        return build_model(name, num_classes, in_channels).eval()


def macs(model: nn.Module, *shape: int) -> int:
    counts = []

    def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        positions = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        counts.append(positions * layer.weight.numel())

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    model(torch.empty(1, *shape, device="meta"))
    return sum(counts)


@pytest.mark.parametrize(
    ("name", "millions_of_parameters", "millions_of_macs"),
    [
        ("resnet20", 0.27, 40.8),
        ("resnet20-pad", 0.27, 40.6),
        ("resnet20-wide", 4.3, 647.7),
        ("resnet20-ternary", 11.2, 215.7),
        ("resnet18", 11.17, 555.4),
        ("vgg16", 14.7, 313.2),
        ("vgg16-max", 14.7, 313.2),
        ("vgg16-qcfs", 33.6, 332.1),
    ],
)
def test_sizes_are_those_of_the_definition(name: str, millions_of_parameters: float, millions_of_macs: float) -> None:
    model = on_meta(name, 10)
    digits = len(str(millions_of_parameters).split(".")[1])
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, digits) == millions_of_parameters
    assert macs(model, 3, 32, 32) / 1e6 == pytest.approx(millions_of_macs, abs=0.06)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("torchvision/resnet34", 21_797_672),
        ("torchvision/resnet50", 25_557_032),
        ("torchvision/vgg16", 138_357_544),
        ("torchvision/vgg16_bn", 138_365_992),
        ("torchvision/squeezenet1_1", 1_235_496),
    ],
)
def test_imagenet_networks_are_torchvisions(name: str, parameters: int) -> None:
    model = on_meta(name, 1000)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_layers_is_the_number_in_the_name(name: str) -> None:
    spec = model_spec(name)
    assert spec.name == name
    assert spec.layers == DEPTHS.get(name) or spec.paper_name.endswith(f"-{spec.layers}")
    assert spec.definition.endswith(".")


@pytest.mark.parametrize(("name", "depth"), DEPTHS.items())
def test_depth_is_the_longest_way_through_layers_of_weights(name: str, depth: int) -> None:
    spiking = convert(build_model(name, 1000).eval(), [torch.rand(1, 3, 64, 64)], tmn(), timesteps=4)
    assert spiking.latency == 4 + depth == 4 + model_spec(name).layers


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_without_a_number_has_no_layers(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"{name} has no number of layers"):
        _ = model_spec(name).layers


def test_definitions_tell_the_networks_apart() -> None:
    assert len({spec.definition for spec in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize("size", [(8, 8), (8, 16), (28, 28), (32, 32)])
@pytest.mark.parametrize("name", ANY_SIZE)
def test_small_and_oblong_images_are_taken(name: str, size: tuple[int, int]) -> None:
    assert on_meta(name, 7, 1)(torch.empty(2, 1, *size, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", SMALL)
def test_only_the_max_variant_pools_by_maximum(name: str) -> None:
    pools = [module for module in on_meta(name, 10).modules() if isinstance(module, nn.MaxPool2d)]
    assert bool(pools) == name.endswith("-max")


def test_pad_shortcut_takes_every_second_pixel_and_adds_zeros_on_both_sides() -> None:
    x = torch.randn(2, 4, 6, 8)
    y = PadShortcut(4, 8, stride=2)(x)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


def test_resnet20_has_the_names_that_public_checkpoints_use() -> None:
    shapes = {name: tuple(value.shape) for name, value in on_meta("resnet20", 10).state_dict().items()}
    assert shapes["conv1.weight"] == (16, 3, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (32, 16, 1, 1)
    assert shapes["layer3.0.downsample.1.running_var"] == (64,)
    assert shapes["layer3.2.bn2.weight"] == (64,)
    assert shapes["fc.bias"] == (10,)
    assert len(shapes) == 128  # 22 weights, 1 bias and 21 BatchNorms of 5


@pytest.mark.parametrize(("checkpoint", "classes"), [("cifar10_resnet20", 10), ("cifar100_resnet20", 100)])
def test_resnet20_takes_the_public_checkpoints(checkpoint: str, classes: int) -> None:
    path = Path(os.environ.get("SNNBENCH_WEIGHTS", "")) / f"{checkpoint}.safetensors"
    if not path.is_file():
        pytest.skip("SNNBENCH_WEIGHTS holds no such checkpoint")
    model = build_model("resnet20", classes)
    metadata = load_checkpoint(model, path)
    assert {"mean", "std"} <= set(metadata)
    assert model.bn1.num_batches_tracked > 0


def test_squeezenet_takes_the_public_weights_in_half_precision_and_refuses_others(tmp_path: Path) -> None:
    name, path = "torchvision/squeezenet1_1", tmp_path / "imagenet_squeezenet1_1.safetensors"
    torch.manual_seed(0)
    halved = build_model(name, 1000).half()
    write_checkpoint(path, halved.state_dict(), {})
    model = build_model(name, 1000)
    assert load_checkpoint(model, path) == {} and {"mean", "std"} == set(model_spec(name).metadata)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    assert torch.equal(model.features[0].weight, halved.features[0].weight.float())
    for changed, said in (
        ({"classifier.1.bias": torch.zeros(10, dtype=torch.half)}, r"classifier\.1\.bias \[10\] instead of \[1000\]"),
        ({"features.0.bias": torch.full((64,), torch.inf, dtype=torch.half)}, r"features\.0\.bias holds values that are not finite"),
    ):
        write_checkpoint(path, halved.state_dict() | changed, {})
        with pytest.raises(CannotRun, match=said) as caught:
            load_checkpoint(model, path, name)
        assert "\n" not in str(caught.value)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CannotRun, match=r"'resnet21'.*resnet20, resnet20-pad.*vgg16-thin"):
        build_model("resnet21", 10)


def test_imagenet_networks_refuse_gray_images() -> None:
    with pytest.raises(CannotRun, match="3 input channels"):
        build_model("torchvision/resnet34", 10, 1)
