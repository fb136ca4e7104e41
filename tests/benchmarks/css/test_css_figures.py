"""Figures of the CSS report: what they draw, and that they draw it the same way twice."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.css import figures
from benchmarks.tables.drawing import svg

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]

DRAWINGS: dict[str, tuple[str, Callable[[pd.DataFrame], Figure]]] = {
    "steps and latency": ("figure1", figures.steps_and_latency),
    "negative spikes": ("figure2", figures.negative_spikes),
    "betas": ("beta", figures.betas),
    "comparison": ("comparison", figures.comparison),
    "pipeline": ("pipeline", figures.pipeline),
}


def draw(tables: Tables, name: str) -> Figure:
    artifact, drawing = DRAWINGS[name]
    return drawing(tables[artifact])


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.fixture
def tables(css_tables: Make) -> Tables:
    return css_tables()


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_table_gives_the_same_bytes_whatever_the_users_settings(tables: Tables, name: str) -> None:
    first = svg(lambda: draw(tables, name))
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": "mine", "lines.linewidth": 9, "figure.dpi": 300}):
        assert svg(lambda: draw(tables, name)) == first
    assert first.startswith(b"<?xml") and b"<text" not in first


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 4), slice(3, None, 2)])
def test_part_of_a_table_can_be_drawn(tables: Tables, name: str, rows: slice) -> None:
    draw({artifact: table.iloc[rows].reset_index(drop=True) for artifact, table in tables.items()}, name).canvas.draw()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_stand_in_is_named_in_a_title(css_tables: Make, name: str) -> None:
    assert "resnet20-thin on sklearn/digits (stand-in)" in draw(css_tables(stand_in=True), name).axes[0].get_title()
    assert "ResNet-20 on CIFAR-10" in draw(css_tables(), name).axes[0].get_title()


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_network_has_panels_of_its_own(tables: Tables, name: str) -> None:
    artifact, drawing = DRAWINGS[name]
    one = tables[artifact]
    two = pd.concat([one, one.assign(dataset="CIFAR-100", dataset_used="uoft-cs/cifar100")], ignore_index=True)
    figure = drawing(two)
    assert len(figure.axes) == 2 * len(drawing(one).axes)
    figure.canvas.draw()
    assert sum("CIFAR-100" in axes.get_title() for axes in figure.axes) >= 1


def curves(figure: Figure, panel: int) -> dict[tuple[str, str], list[float]]:
    """Places on the x-axis of each line by colour and style; without markers and the lines that only guide the eye."""
    return {
        (str(line.get_color()), str(line.get_linestyle())): list(line.get_xdata())
        for line in figure.axes[panel].lines
        if line.get_linestyle() in ("-", "--") and len(line.get_xdata()) > 1
    }


def test_steps_and_latency_have_a_panel_each_and_dash_what_is_not_silent(tables: Tables) -> None:
    figure = figures.steps_and_latency(tables["figure1"])
    assert [axes.get_xlabel() for axes in figure.axes] == ["coding steps T", "latency, steps"]
    none, one = figures.SILENT[:2]
    assert curves(figure, 0) == {(none, "--"): [4, 8, 12, 16, 24], (one, "-"): [4, 8, 12, 16, 24]}
    assert curves(figure, 1) == {(none, "--"): [4, 8, 12, 16, 24], (one, "-"): [24, 28, 32, 36, 44]}
    assert labels(figure) == ["no silent period", "silent period of 1", "trained network"]


def test_negative_spikes_are_solid_and_what_did_not_settle_is_hollow(tables: Tables) -> None:
    figure = figures.negative_spikes(tables["figure2"])
    (axes,) = figure.axes
    assert {style for _, style in curves(figure, 0)} == {"-", "--"} and len(curves(figure, 0)) == 7
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in hollow] == [[12.0]]
    assert labels(figure)[:3] == ["with, no silent period", "with, silent period of 1", "without, no silent period"]


def test_accuracy_grows_upwards_and_everything_is_seen(tables: Tables) -> None:
    for name in DRAWINGS:
        figure = draw(tables, name)
        figure.canvas.draw()
        for axes in figure.axes:
            ticks = [
                (float(tick.get_text()), place) for tick, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
            ]
            assert sorted(ticks) == sorted(ticks, key=lambda pair: pair[1]) and len(ticks) > 1
            low, high = axes.get_ylim()
            drawn = np.concatenate(
                [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if line.get_color() != figures.GREY]
            )
            assert drawn.min() >= low and drawn.max() <= high


def test_a_network_that_gains_by_conversion_is_drawn(tables: Tables) -> None:
    figure = figures.steps_and_latency(tables["figure1"].assign(snn_metric=lambda rows: rows["ann_metric"] + 0.3))
    figure.canvas.draw()
    assert all(np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all() for axes in figure.axes for line in axes.lines)


def test_betas_have_a_panel_per_silent_period_a_curve_per_t_and_the_paper_marked(tables: Tables) -> None:
    figure = figures.betas(tables["beta"])
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == ["no silent period", "silent period of 1"]
    for axes in figure.axes:
        assert [list(line.get_xdata()) for line in axes.lines] == [[1.2, 1.3, 1.5, 1.8, 2.0, 2.5]] * 2 + [[1.5, 1.5]]
    assert labels(figure) == ["T = 6", "T = 8"]


def test_comparison_has_three_panels_with_energy_in_microjoule(tables: Tables) -> None:
    figure = figures.comparison(tables["comparison"])
    assert [axes.get_xlabel() for axes in figure.axes] == ["coding steps T", "latency, steps", "energy, µJ per image"]
    tsa, tmn = curves(figure, 2).values()
    assert tsa == pytest.approx([5, 6, 7, 8, 10, 12]) and tmn == pytest.approx([5, 6, 7, 8])


def test_the_pipeline_marks_the_latency_of_the_rule(tables: Tables) -> None:
    figure = figures.pipeline(tables["pipeline"])
    (axes,) = figure.axes
    marked = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":" and line.get_color() != figures.GREY]
    assert sorted(marked) == [12, 32]
    assert [places[-1] for places in curves(figure, 0).values()] == [12, 31]
