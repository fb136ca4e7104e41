"""Figures of the ETTFS report: what they draw, and that they draw it the same way twice."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.ettfs import figures
from benchmarks.tables.drawing import svg

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]

DRAWINGS: dict[str, tuple[str, Callable[[pd.DataFrame], Figure]]] = {
    "depth": ("figure1", figures.depth),
    "potentials": ("figure2", figures.potentials),
    "convergence": ("figure4", figures.convergence),
    "gradients": ("figure5", figures.gradients),
    "learning": ("figure8", figures.learning),
    "firing": ("figure9", figures.firing),
    "decoders": ("decoders", figures.decoders),
    "decisions": ("spike_times", figures.decisions),
    "curves": ("curves", figures.curves),
    "runs": ("runs", figures.runs),
}


def draw(tables: Tables, name: str) -> Figure:
    artifact, drawing = DRAWINGS[name]
    return drawing(tables[artifact])


@pytest.fixture
def tables(ettfs_tables: Make) -> Tables:
    return ettfs_tables()


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_table_gives_the_same_bytes_whatever_the_users_settings(tables: Tables, name: str) -> None:
    first = svg(lambda: draw(tables, name))
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": "mine", "lines.linewidth": 9, "figure.dpi": 300}):
        assert svg(lambda: draw(tables, name)) == first
    assert first.startswith(b"<?xml") and b"<text" not in first


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 4)])
def test_part_of_a_table_can_be_drawn(tables: Tables, name: str, rows: slice) -> None:
    draw({artifact: table.iloc[rows] for artifact, table in tables.items()}, name).canvas.draw()


@pytest.mark.parametrize("name", ["learning", "decoders", "convergence", "runs"])
def test_a_single_seed_can_be_drawn(ettfs_tables: Make, name: str) -> None:
    draw(ettfs_tables(seeds=(0,)), name).canvas.draw()


@pytest.mark.parametrize("name", ["depth", "potentials", "convergence", "gradients", "learning", "firing"])
def test_a_stand_in_is_named_in_the_title(ettfs_tables: Make, name: str) -> None:
    assert "64-100-10 on sklearn/digits (stand-in)" in draw(ettfs_tables(stand_in=True), name).get_suptitle()
    assert "on Fashion-MNIST" in draw(ettfs_tables(), name).get_suptitle()


def test_depth_has_two_panels_per_encoding_that_show_everything(tables: Tables) -> None:
    figure = figures.depth(tables["figure1"])
    assert len(figure.axes) == 4
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        drawn = np.concatenate([line.get_ydata() for line in axes.lines])
        assert drawn.min() >= low and drawn.max() <= high


def test_potentials_have_a_panel_per_encoding_and_layer_with_the_threshold(tables: Tables) -> None:
    figure = figures.potentials(tables["figure2"])
    assert len(figure.axes) == 2 * 5
    assert all(len(axes.lines) == 3 and list(axes.lines[-1].get_xdata()) == [1.0, 1.0] for axes in figure.axes)


def test_zero_medians_are_hollow_at_a_tick_called_0(tables: Tables) -> None:
    figure = figures.gradients(tables["figure5"])
    figure.canvas.draw()
    axes = figure.axes[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in hollow] == [[5]]
    assert axes.get_yscale() == "log"
    low = float(hollow[0].get_ydata()[0])
    assert low < tables["figure5"]["median"][tables["figure5"]["median"] > 0].min()
    labels = {float(tick.get_position()[1]): tick.get_text() for tick in axes.get_yticklabels()}
    assert [text for place, text in labels.items() if np.isclose(place, low)] == ["0"]


def test_gradients_without_any_zero_or_all_zero_can_be_drawn(tables: Tables) -> None:
    for value in (1e-3, 0.0):
        figure = figures.gradients(tables["figure5"].assign(median=value, mean=value))
        figure.canvas.draw()


def test_convergence_has_a_line_per_seed_and_initialisation(tables: Tables) -> None:
    left, right = figures.convergence(tables["figure4"]).axes
    assert len(left.lines) == 2 * 5 + 1 and len(right.lines) == 2 * 5
    two = pd.concat([tables["figure4"], tables["figure4"].assign(encoding="latency")])
    assert [axes.get_ylabel() for axes in figures.convergence(two).axes[::2]] == ["direct input", "latency input"]


def test_learning_shows_the_mean_and_the_paired_difference(tables: Tables) -> None:
    left, right = figures.learning(tables["figure8"]).axes
    assert len(left.collections) == 2 and len(right.collections) == 1
    means = tables["figure8"].groupby(["initialization", "epoch"])["validation_accuracy"].mean()
    assert np.allclose(right.lines[0].get_ydata(), (means["ettfs"] - means["kaiming"]).to_numpy())


def test_firing_has_a_panel_per_layer_that_shows_everything(tables: Tables) -> None:
    high = tables["figure9"].copy()
    high.loc[high["layer"] == 5, "firing"] += 0.4
    panels = [axes for axes in figures.firing(high).axes if axes.axison]
    assert [axes.get_title() for axes in panels] == [*(f"layer {n}" for n in range(1, 5)), "layer 5 (output)"]
    assert panels[0].get_ylim()[1] > high["firing"].max()


def test_decoders_are_points_with_bars_and_accuracy_grows_upwards(tables: Tables) -> None:
    figure = figures.decoders(tables["decoders"])
    (axes,) = figure.axes
    assert len(axes.containers) == 4
    low, high = axes.get_ylim()
    assert low > high
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exponential-2", "exponential-4", "linear", "uniform"]


def test_decisions_leave_out_empty_steps_and_set_silence_apart(tables: Tables) -> None:
    figure = figures.decisions(tables["spike_times"])
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.axison]
    assert [len(axes.lines) for axes in panels] == [2, 2, 8]
    assert np.isnan(panels[0].lines[0].get_ydata()[-1])
    assert panels[0].get_xticklabels()[-1].get_text() == "none"


def test_runs_have_a_dot_per_seed_and_a_panel_per_data_set(tables: Tables) -> None:
    figure = figures.runs(tables["runs"])
    assert [axes.get_title() for axes in figure.axes] == ["MNIST", "Fashion-MNIST"]
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [5, 2]


def test_curves_have_a_line_and_a_band_per_variant_and_name_methods(tables: Tables) -> None:
    other = tables["curves"].assign(method="S4NN", variant="as published").query("network == 'SMLP' and dataset == 'MNIST'")
    figure = figures.curves(pd.concat([tables["curves"], other]))
    assert [(len(axes.lines), len(axes.collections)) for axes in figure.axes] == [(2, 2), (1, 1), (4, 4)]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["ETTFS", "S4NN"]
    titles = [axes.get_title() for axes in figure.axes]
    networks = tables["curves"].drop_duplicates(["dataset", "network"])["network"]
    assert all(f", {network}" in title for title, network in zip(titles, networks, strict=True))


def test_curves_name_the_layouts_of_methods_that_have_their_own(tables: Tables) -> None:
    rows = tables["curves"].query("network == 'SMLP' and dataset == 'MNIST'")
    main = rows["architecture_used"].iloc[0]

    def title(**layouts: str) -> str:
        methods = [rows.assign(method=name, variant="as published", architecture_used=used) for name, used in layouts.items()]
        (axes,) = figures.curves(pd.concat([rows, *methods])).axes
        assert axes.get_title().startswith(main)
        return axes.get_title()

    assert title(S4NN="784-9-10").endswith("\nothers: 784-9-10")
    assert title(S4NN="784-9-10", BS4NN="784-9-10").endswith("\nothers: 784-9-10")
    assert title(S4NN="784-9-10", BS4NN="784-9-10", STDBP=main).endswith("\nS4NN, BS4NN: 784-9-10")
    assert title(S4NN="784-9-10", BS4NN="784-8-10").endswith("\nS4NN: 784-9-10\nBS4NN: 784-8-10")
    assert title(S4NN=main).count("\n") == 1


def test_many_layers_networks_and_methods_fit(tables: Tables) -> None:
    other = tables["runs"].assign(method="S4NN", variant="as published")
    figures.runs(pd.concat([tables["runs"], other])).canvas.draw()
    times = tables["spike_times"]
    copies = [times.assign(dataset=f"other {index}") for index in range(2)]
    assert len([axes for axes in figures.decisions(pd.concat([times, *copies])).axes if axes.axison]) == 3 + 2 * 2
    assert len(figures.depth(tables["figure1"].query("encoding == 'direct'")).axes) == 2
