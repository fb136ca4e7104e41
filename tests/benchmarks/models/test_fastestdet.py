"""FastestDet: the public checkpoint fits, boxes follow from the maps, and a converted one gives the same maps."""

import math
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.errors import CannotRun
from benchmarks.models import build_model, load_checkpoint
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.models.fastestdet import LEAST_SCORE, MOST, OVERLAP, FastestDet, decode, detections
from snncore.conversion import convert, tmn
from snncore.thresholds import Maximum


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def maps(seed: int, spread: float, classes: int = 3, size: int = 22) -> Tensor:
    return torch.randn(1, 5 + classes, size, size, generator=torch.Generator().manual_seed(seed)) * spread


def test_size_and_shapes() -> None:
    network = FastestDet(80).eval()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 0.24
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 96)).shape == (2, 85, 4, 6)


def test_the_public_checkpoint_fits() -> None:
    path = Path(os.environ.get("SNNBENCH_WEIGHTS", "")) / "coco_fastestdet.safetensors"
    if not path.is_file():
        pytest.skip("SNNBENCH_WEIGHTS holds no coco_fastestdet.safetensors")
    assert "architecture" in load_checkpoint(build_model("fastestdet", 80), path)


def test_a_checkpoint_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    write_checkpoint(path, build_model("resnet20-thin", 10).state_dict(), {})
    with pytest.raises(CannotRun, match=r"other.safetensors: the checkpoint does not fit FastestDet .* parameters") as refused:
        load_checkpoint(build_model("fastestdet", 80), path)
    assert "\n" not in str(refused.value)


def test_colours_are_seen_in_the_order_of_the_public_weights() -> None:
    network = FastestDet(2).eval()
    network.backbone.first_conv[0].weight.data[:, 1:] = 0  # sees the first channel alone, blue
    images = torch.rand(1, 3, 32, 32)
    other = images.clone()
    other[:, :2] = 0  # red and green
    with torch.no_grad():
        assert torch.equal(network(images), network(other))


def test_a_box_by_hand() -> None:
    seen = torch.full((1, 7, 2, 2), -20.0)
    seen[0, :, 1, 0] = torch.tensor([logit(0.5), math.atanh(0.5), 0.0, logit(0.25), logit(0.5), 0.0, math.log(3)])
    left, top, right, bottom, score, label = decode(seen)[0, 2].tolist()
    assert [left, top, right, bottom] == pytest.approx([0.25 - 0.125, 0.5 - 0.25, 0.25 + 0.125, 0.5 + 0.25])
    assert score == pytest.approx(0.5**0.6 * 0.75**0.4) and label == 1
    (found,) = detections(seen)
    assert found.shape == (MOST, 6)
    assert torch.allclose(found[0, :5], torch.tensor([left, top, right, bottom, score]))
    assert found[1:].isnan().all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 30.0]))
def test_boxes_keep_their_bounds(seed: int, spread: float) -> None:
    boxes = decode(maps(seed, spread, size=5))[0]
    assert ((boxes[:, 2:4] - boxes[:, :2] >= 0) & (boxes[:, 2:4] - boxes[:, :2] <= 1 + 1e-6)).all()
    centers = (boxes[:, :2] + boxes[:, 2:4]) / 2
    cells = torch.stack(torch.meshgrid(torch.arange(5), torch.arange(5), indexing="xy"), -1).flatten(0, 1)
    assert ((centers * 5 - cells).abs() <= 1 + 1e-5).all()
    assert ((boxes[:, 4] >= 0) & (boxes[:, 4] <= 1)).all()
    assert set(boxes[:, 5].tolist()) <= {0.0, 1.0, 2.0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 3.0]))
def test_kept_boxes_are_sorted_and_no_two_of_a_class_overlap(seed: int, spread: float) -> None:
    from torchvision.ops import box_iou

    (found,) = detections(maps(seed, spread))
    kept = found[~found[:, 0].isnan()]
    assert (kept[:, 4] > LEAST_SCORE).all() and (kept[:-1, 4] >= kept[1:, 4]).all()
    same = (kept[:, None, 5] == kept[None, :, 5]).triu(1)
    assert (box_iou(kept[:, :4], kept[:, :4])[same] <= OVERLAP + 1e-5).all()
    assert kept[0, 4] == decode(maps(seed, spread))[0, :, 4].max()


def test_the_converted_network_gives_the_same_maps() -> None:
    torch.manual_seed(0)
    network = FastestDet(4)
    images = torch.rand(8, 3, 64, 64)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over batches
    with torch.no_grad():
        network.train()(images)
        network.eval()
        exact = network(images)
    snn = convert(network, [images], tmn(precharge=4, threshold=Maximum()), timesteps=12)
    assert (snn(images) - exact).norm() / exact.norm() < 0.1
