"""Canonical order, fingerprints, subsets and normalised batches."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.data import ImageSet, normalised_batches
from benchmarks.data.images import image_set
from benchmarks.errors import CannotRun


def _samples(n: int, shape: tuple[int, int, int] = (3, 2, 2), seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, *shape), generator=generator).to(torch.uint8)
    return pixels, torch.randint(0, 5, (n,), generator=generator)


def _set(n: int, shape: tuple[int, int, int] = (3, 2, 2)) -> ImageSet:
    return image_set("some/data", "test", *_samples(n, shape), "made up")


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(12)))
def test_order_of_samples_does_not_matter(order: list[int]) -> None:
    images, labels = _samples(12)
    one = image_set("some/data", "test", images, labels, "here")
    other = image_set("some/data", "test", images[order], labels[order], "there")
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_each_image_keeps_its_label() -> None:
    images, labels = _samples(30)
    images[:, 0, 0, 0] = labels.to(torch.uint8)
    assert (ordered := image_set("some/data", "test", images, labels, "here")).labels.tolist() != labels.tolist()
    assert torch.equal(ordered.images[:, 0, 0, 0].to(torch.int64), ordered.labels)


def test_fingerprint_of_one_sample_by_hand() -> None:
    single = image_set("some/data", "test", torch.tensor([[[[7, 9]]]], dtype=torch.uint8), torch.tensor([4]), "here")
    sample = hashlib.blake2b(b"1x1x2:4:\x07\x09", digest_size=16).digest()
    assert single.fingerprint == hashlib.blake2b(sample, digest_size=16).hexdigest()


def test_subsets_are_cut_from_the_canonical_order() -> None:
    whole = _set(10)
    first, middle = whole.take(4), whole.slice(4, 7)
    assert torch.equal(torch.cat((first.images, middle.images)), whole.images[:7])
    assert torch.equal(torch.cat((first.labels, middle.labels)), whole.labels[:7])
    assert (len(first), len(middle)) == (4, 3)
    assert first.source == "made up [0:4]"
    again = image_set("some/data", "test", first.images.flip(0), first.labels.flip(0), "here")
    assert first.fingerprint == again.fingerprint
    assert len({whole.fingerprint, first.fingerprint, middle.fingerprint}) == 3
    assert whole.take(10) is whole


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (-1, 5), (5, 5), (6, 5), (0, 0)])
def test_subsets_that_are_not_there_are_refused(start: int, stop: int) -> None:
    with pytest.raises(CannotRun, match=r"some/data: .* 10 here"):
        _set(10).slice(start, stop)


def test_wrong_arrays_are_refused() -> None:
    images, labels = _samples(4)
    for bad_images, bad_labels in (
        (images.float(), labels),
        (images[0], labels),
        (images, labels.int()),
        (images, labels[:3]),
        (images[:0], labels[:0]),
    ):
        with pytest.raises(ValueError, match="must be"):
            image_set("some/data", "test", bad_images, bad_labels, "here")


def test_batches_are_normalised_per_channel() -> None:
    whole = _set(10)
    mean, std = [0.5, 0.25, 0.0], [0.5, 0.2, 2.0]
    batches = list(normalised_batches(whole, mean, std, 4))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    images = torch.cat([batch for batch, _ in batches])
    assert torch.equal(torch.cat([labels for _, labels in batches]), whole.labels)
    assert images.dtype == torch.float32
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch, _ in batches)
    for channel in range(3):
        exact = (whole.images[:, channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(images[:, channel].double(), exact, rtol=1e-5, atol=1e-6)


def test_batches_leave_the_images_alone_and_do_not_depend_on_the_batch_size() -> None:
    whole = _set(7)
    before = whole.images.clone()
    by_two = torch.cat([batch for batch, _ in normalised_batches(whole, [0.1] * 3, [0.3] * 3, 2)])
    at_once = torch.cat([batch for batch, _ in normalised_batches(whole, [0.1] * 3, [0.3] * 3, 100)])
    assert torch.equal(by_two, at_once)
    assert torch.equal(whole.images, before)


@pytest.mark.parametrize(
    ("mean", "std", "batch_size", "complaint"),
    [
        ([0.5], [0.5], 4, r"3 channel\(s\)"),
        ([0.5] * 3, [0.5] * 2, 4, r"3 channel\(s\)"),
        ([0.5] * 3, [0.5, 0.0, 0.5], 4, "std"),
        ([0.5] * 3, [0.5] * 3, 0, "batch size"),
    ],
)
def test_bad_normalisation_is_refused_at_the_call(mean: list[float], std: list[float], batch_size: int, complaint: str) -> None:
    with pytest.raises(CannotRun, match=complaint):
        normalised_batches(_set(3), mean, std, batch_size)
