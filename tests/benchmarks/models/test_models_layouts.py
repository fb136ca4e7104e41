"""Layouts as papers write them: read layer by layer, and refused where they do not fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.errors import CannotRun
from benchmarks.models.layouts import Convolution, Dense, Pooling, parse_layout

GREY = (1, 28, 28)


def test_a_perceptron() -> None:
    assert parse_layout("784-400-10", GREY, 10) == [Dense(784, 400), Dense(400, 10)]
    assert parse_layout("784-10", GREY, 10) == [Dense(784, 10)]


def test_a_convolutional_network() -> None:
    assert parse_layout("16C5-P2-32C5-P2-800-128-10", GREY, 10) == [
        Convolution(1, 16, 5),  # 28 -> 24
        Pooling(2),  # 12
        Convolution(16, 32, 5),  # 8
        Pooling(2),  # 4
        Dense(32 * 4 * 4, 800),
        Dense(800, 128),
        Dense(128, 10),
    ]


def test_odd_maps_lose_their_rest_and_need_not_be_square() -> None:
    assert parse_layout("4C2-P3-7", (3, 8, 12), 7) == [Convolution(3, 4, 2), Pooling(3), Dense(4 * 2 * 3, 7)]
    assert parse_layout("P8-5", (2, 8, 17), 5) == [Pooling(8), Dense(2 * 1 * 2, 5)]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=6))
def test_every_perceptron_is_a_chain(sizes: list[int]) -> None:
    layers = parse_layout("-".join(map(str, [784, *sizes])), GREY, sizes[-1])
    assert layers == [Dense(a, b) for a, b in zip([784, *sizes], sizes, strict=False)]


@pytest.mark.parametrize("layout", ["", "784-", "-784-10", "784--10", "784-4x-10", "784-010", "16c5-10", "C5-10", "16C-10", "P-10", "0-10", "16C0-10", "P0-10", "16C5 -10", "784.0-10", "１０"])
def test_what_is_no_layout(layout: str) -> None:
    with pytest.raises(CannotRun, match=r"cannot read '.*'; write it like 784-400-10"):
        parse_layout(layout, GREY, 10)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("783-400-10", "layout '783-400-10' takes 783 inputs, the images have 784"),
        ("400-10", "takes 400 inputs, the images have 784"),
        ("784-400-P2-10", "'P2' cannot follow a linear layer"),
        ("784-16C5-10", "'16C5' cannot follow a linear layer"),
        ("16C29-10", "'16C29' does not fit maps of 28x28"),
        ("16C25-P5-10", "'P5' does not fit maps of 4x4"),
        ("P14-16C3-10", "'16C3' does not fit maps of 2x2"),
        ("784-400-100", "must end with a linear layer of 10 neurons, one per class"),
        ("784", "must end with a linear layer of 10 neurons"),
        ("16C5-P2", "must end with a linear layer of 10 neurons"),
        ("16C5", "must end with a linear layer of 10 neurons"),
    ],
)
def test_what_does_not_fit_the_images_or_the_classes(layout: str, message: str) -> None:
    with pytest.raises(CannotRun, match=message) as refused:
        parse_layout(layout, GREY, 10)
    assert repr(layout) in str(refused.value) and "\n" not in str(refused.value)


def test_a_number_of_inputs_equal_to_the_classes_is_no_network() -> None:
    with pytest.raises(CannotRun, match="must end with a linear layer"):
        parse_layout("4", (1, 2, 2), 4)


def test_frames_of_events_are_refused() -> None:
    with pytest.raises(CannotRun, match="takes images, not frames of events; use a residual one"):
        parse_layout("784-10", (10, 2, 34, 34), 10)
