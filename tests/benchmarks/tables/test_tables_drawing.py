"""The scale of accuracies: order and distances that a reader relies on, and labels that do not touch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from benchmarks.tables.drawing import AccuracyScale, heading, svg

accuracies = st.floats(0, 100)


@given(ann=accuracies, values=st.lists(accuracies, min_size=2, max_size=8))
def test_a_higher_accuracy_is_never_lower_on_the_axis(ann: float, values: list[float]) -> None:
    scale = AccuracyScale(ann, min(values), max(values))
    heights = scale(np.array(sorted(values)))
    assert np.isfinite(heights).all() and (np.diff(heights) >= 0).all()


@given(ann=accuracies, values=st.lists(accuracies, min_size=2, max_size=8, unique=True))
def test_accuracies_that_are_shown_keep_apart(ann: float, values: list[float]) -> None:
    scale = AccuracyScale(ann, min(values), max(values))
    near, far = sorted(abs(np.array(sorted(values)[-2:]) - ann))
    if far - near > 1e-3:
        assert len(set(np.round(scale(np.array(values)), 12))) > 1


def test_a_tenth_below_the_trained_network_is_as_visible_as_many_points_near_chance() -> None:
    scale = AccuracyScale(92.0, 10.0, 92.0)
    assert scale(92.0) - scale(91.9) > scale(42.0) - scale(12.0)


@given(lowest=st.floats(0, 90), ann=st.floats(90, 100))
def test_ticks_name_the_trained_network_and_do_not_touch(lowest: float, ann: float) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    scale = AccuracyScale(ann, lowest, ann)
    axes.plot([0, 1], scale(np.array([lowest, ann])))
    bottom, top = axes.get_ylim()
    scale.ticks(axes)
    labels = {label.get_text(): label.get_position()[1] for label in axes.get_yticklabels()}
    assert labels[f"{ann:.1f}"] == scale(ann)
    places = np.sort(list(labels.values()))
    assert (np.diff(places) > 0.05 * (top - bottom) - 1e-12).all()


def test_a_figure_has_its_heading() -> None:
    def draw() -> Figure:
        figure = Figure()
        heading(figure, "what it shows")
        return figure

    assert draw().get_suptitle() == "what it shows"
    assert svg(draw) == svg(draw)
