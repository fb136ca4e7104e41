"""Random numbers of training: separate streams, initial weights, augmentation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.models import build_model
from benchmarks.training.randomness import augment, cut_out, generator, initialize


def test_streams_depend_on_seed_and_purpose_alone() -> None:
    def draw(seed: int, purpose: str) -> list[int]:
        return torch.randint(1 << 30, (4,), generator=generator(seed, purpose)).tolist()

    assert draw(0, "order") == draw(0, "order")
    assert len({tuple(draw(seed, purpose)) for seed in (0, 1, -1, 11) for purpose in ("order", "1order")}) == 8


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int, noise: int) -> torch.Tensor:
        torch.manual_seed(noise)
        model = build_model("resnet20-thin", 10, 1).double()
        initialize(model, seed)
        return nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(weights(0, 1), weights(0, 2))
    assert not torch.equal(weights(0, 1), weights(1, 1))


def test_initial_weights_have_the_variance_of_the_source() -> None:
    model = build_model("vgg16-thin", 10, 1).double()
    initialize(model, 0)
    hidden = model.features[-3].weight  # 64 x 64 x 3 x 3
    assert hidden.var().item() == pytest.approx(2 / (64 * 9), rel=0.03)
    last = model.classifier[-1]
    assert last.weight.abs().max().item() <= (3 / 64) ** 0.5
    assert last.weight.var().item() == pytest.approx(1 / 64, rel=0.15)
    assert not last.bias.any()


def translated(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    channels, height, width = image.shape
    canvas = torch.zeros(channels, height + 2 * abs(down), width + 2 * abs(right), dtype=image.dtype)
    top, left = abs(down) + down, abs(right) + right
    canvas[:, top : top + height, left : left + width] = image
    return canvas[:, abs(down) : abs(down) + height, abs(right) : abs(right) + width]


@settings(deadline=None, max_examples=40)
@given(shift=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 100), height=st.integers(3, 6))
def test_every_image_is_moved_and_mirrored_by_itself(shift: int, flip: bool, seed: int, height: int) -> None:
    images = torch.randint(1, 256, (6, 2, height, 5), dtype=torch.uint8)
    moved = augment(images, shift, flip, generator(seed, "augmentation"))
    assert moved.shape == images.shape
    assert moved.dtype == images.dtype
    for image, result in zip(images, moved, strict=True):
        candidates = [
            translated(source, down, right)
            for source in ([image, image.flip(2)] if flip else [image])
            for down in range(-shift, shift + 1)
            for right in range(-shift, shift + 1)
        ]
        assert any(torch.equal(result, candidate) for candidate in candidates)


def test_augmentation_reaches_every_offset_and_both_sides() -> None:
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 2, 1] = 1  # off the middle column, so that mirroring shows
    moved = augment(image.repeat(2000, 1, 1, 1), 1, True, generator(0, "augmentation"))
    positions = {tuple(position[2:].tolist()) for position in moved.nonzero()}
    assert positions == {(row, column) for row in (1, 2, 3) for column in (0, 1, 2, 3, 4)}


def test_a_square_is_cut_out_of_every_image_and_reaches_over_the_border() -> None:
    cut = cut_out(torch.ones(3000, 2, 6, 5), 4, generator(0, "augmentation")) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    shapes = set()
    for hole in cut[:, 0]:
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns)  # a rectangle
        assert all(int(side.int().diff().ne(0).sum()) <= 2 for side in (rows, columns))  # in one piece
        shapes.add((int(rows.sum()), int(columns.sum())))
    assert shapes == {(row, column) for row in (2, 3, 4) for column in (2, 3, 4)}
    assert cut.any(0).all()


@pytest.mark.parametrize("flip", [False, True])
def test_frames_are_rolled_and_mirrored_alike(flip: bool) -> None:
    frames = torch.rand(50, 3, 2, 5, 6, generator=torch.Generator().manual_seed(1))
    moved = augment(frames, 2, flip, generator(0, "augmentation"), wrap=True)
    offsets = set()
    for before, after in zip(frames, moved, strict=True):
        found = [
            (down, right, mirrored)
            for down in range(-2, 3)
            for right in range(-2, 3)
            for mirrored in ([False, True] if flip else [False])
            if torch.equal((before.flip(3) if mirrored else before).roll((down, right), (2, 3)), after)
        ]
        assert found
        offsets.add(found[0])
    assert len(offsets) > 10
