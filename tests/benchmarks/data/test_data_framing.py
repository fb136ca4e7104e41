"""Frames of events against a slow count, one event at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data.events import Events
from benchmarks.data.framing import frames, parse_framing
from benchmarks.data.registry import dataset_spec
from benchmarks.errors import CannotRun

SIDE = 6
listed_events = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(0, 1)), min_size=1, max_size=60
)


def _slow(listed: list[tuple[int, ...]], by: str, steps: int, axes: str) -> np.ndarray:
    made, first, last = np.zeros((steps, 2, SIDE, SIDE)), listed[0][0], listed[-1][0]
    for place, (t, x, y, p) in enumerate(listed):
        length, position = (len(listed) // steps, place) if by == "count" else ((last - first) // steps, t - first)
        step = min(position // length, steps - 1) if length else steps - 1
        other = SIDE - 1 - x
        row, column = {"address": (y, x), "tet": (other, y), "spikingjelly": (other, SIDE - 1 - y)}[axes]
        made[step, p, row, column] += 1
    return made


@given(listed_events, st.sampled_from(["count", "time"]), st.integers(1, 12), st.sampled_from(["address", "tet", "spikingjelly"]))
def test_frames_are_those_of_a_slow_count(listed: list[tuple[int, ...]], by: str, steps: int, axes: str) -> None:
    listed = sorted(listed)
    events = Events(*np.array(listed).T)
    expected = _slow(listed, by, steps, axes)
    text = f"by={by}&frames={steps}&axes={axes}"
    made = frames(events, (SIDE, SIDE), parse_framing(text, "official"))
    assert np.array_equal(made, expected) and made.sum() == len(listed)
    most = frames(events, (SIDE, SIDE), parse_framing(text + "&normalised=maximum", "official"))
    for scaled, counted in zip(most, expected, strict=True):
        assert scaled.max() == (1 if counted.any() else 0)
        assert np.allclose(scaled * counted.max(), counted, rtol=1e-15)


def test_resizing_takes_the_nearest_pixel() -> None:
    events = Events(*np.array([[0, 0], [2, 3], [4, 0], [1, 1]]))
    made = frames(events, (SIDE, SIDE), parse_framing("by=count&frames=1&resized=3", "official"))
    assert made.shape == (1, 2, 3, 3) and made.sum() == 1 and made[0, 1, 2, 1] == 1  # x 3 lies between the pixels taken


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sklearn/digit-events", r"say how they become frames, such as sklearn/digit-events\?by=count&frames=10"),
        ("sklearn/digit-events?by=luck&frames=10", "by must be 'count' or 'time', got 'luck'"),
        ("sklearn/digit-events?by=count", "lacks the entry 'frames'"),
        ("sklearn/digit-events?by=count&frames=0", "frames must be greater than or equal to 1, got '0'"),
        ("sklearn/digit-events?by=count&frames=2&frames=3", "names an option twice"),
        ("sklearn/digit-events?by", "is not of the form"),
        ("sklearn/digit-events?by=count&frames=2&colour=red", "unknown entry 'colour'"),
        ("nmnist-subset?by=count&frames=2&split=fold5", "has no split 'fold5'; known: official, folds, fold0"),
        ("cifar10-dvs?by=count&frames=2&split=official", "has no split 'official'; known: last-tenth, first-tenth"),
        ("ylecun/mnist?by=count&frames=2", "has images, not events"),
    ],
)
def test_refused_names(name: str, words: str) -> None:
    with pytest.raises(CannotRun, match=words) as error:
        dataset_spec(name)
    assert "\n" not in str(error.value)
