"""Figures of the TMN report: what they draw, and that they draw it the same way twice."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.tables.drawing import svg
from benchmarks.tmn import figures

Tables = dict[str, pd.DataFrame]
Make = Callable[..., Tables]

DRAWINGS: dict[str, Callable[[Tables], Figure]] = {
    "capacity": lambda t: figures.capacity(t["figure1d"]),
    "precharge": lambda t: figures.precharge(t["figure4a"], "a network"),
    "depth": lambda t: figures.depth(t["figure4b"], "a network"),
    "residual": lambda t: figures.residual(t["figure4c"], t["figure4c_density"], "a network"),
    "losses": lambda t: figures.losses(as_in_paper(t)),
    "calibrations": lambda t: figures.calibrations(figures.compared(t["timesteps"]), "percentile-99.99"),
}


def as_in_paper(tables: Tables) -> pd.DataFrame:
    rows = tables["timesteps"]
    return rows[rows["calibration"] == "percentile-99.99"]


@pytest.fixture
def tables(tmn_tables: Make) -> Tables:
    return tmn_tables()


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_table_gives_the_same_bytes_whatever_the_users_settings(tables: Tables, name: str) -> None:
    first = svg(lambda: DRAWINGS[name](tables))
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": "mine", "lines.linewidth": 9, "figure.dpi": 300}):
        assert svg(lambda: DRAWINGS[name](tables)) == first
    assert first.startswith(b"<?xml") and b"<dc:date>" not in first and b"<text" not in first


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 4)])
def test_part_of_a_table_can_be_drawn(tables: Tables, name: str, rows: slice) -> None:
    figure = DRAWINGS[name]({artifact: table.iloc[rows] for artifact, table in tables.items()})
    figure.canvas.draw()


def test_capacity_is_logarithmic_and_shows_formula_and_count(tables: Tables) -> None:
    (axes,) = figures.capacity(tables["figure1d"]).axes
    assert axes.get_yscale() == "log"
    assert len(axes.lines) == 2 * 4
    highest = max(axes.lines, key=lambda line: max(line.get_ydata()))
    assert max(highest.get_ydata()) == 2047


def test_precharge_has_solid_accuracies_and_dashed_energies(tables: Tables) -> None:
    figure = figures.precharge(tables["figure4a"], "a network")
    curves = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 3]
    assert sum(line.get_linestyle() == "-" for line in curves) == 8
    assert sum(line.get_linestyle() == "--" for line in curves) == 8
    assert "a network" in figure.get_suptitle()


def test_depth_has_a_logarithmic_panel_per_t_with_three_curves(tables: Tables) -> None:
    panels = [axes for axes in figures.depth(tables["figure4b"], "a network").axes if axes.axison]
    assert len(panels) == 4
    assert all(axes.get_yscale() == "log" and len(axes.lines) == 3 for axes in panels)


def test_the_minimum_of_each_residual_is_circled(tables: Tables) -> None:
    moved = tables["figure4c"].copy()
    moved.loc[(moved["ratio"] == 0.60) & (moved["scope"] == "all"), "mean_abs"] = 0.001
    figure = figures.residual(moved, tables["figure4c_density"], "a network")
    circled = [float(line.get_xdata()[0]) for line in figure.axes[1].lines if len(line.get_xdata()) == 1]
    assert sorted(circled) == [0.5, 0.5, 0.5, 0.6]


def test_losses_have_a_panel_per_network_and_a_band_per_method(tables: Tables) -> None:
    figure = figures.losses(as_in_paper(tables))
    assert [axes.get_title() for axes in figure.axes] == ["ResNet-20 on CIFAR-10", "ResNet-20 on CIFAR-100"]
    assert all(len(axes.collections) == 3 for axes in figure.axes)


def test_the_legend_names_methods_of_every_panel(tables: Tables) -> None:
    rows = as_in_paper(tables)
    first = rows["dataset"] == rows["dataset"].iloc[0]
    assert not first.all()
    figure = figures.losses(rows[~(first & (rows["method"] == "OPI"))])  # OPI in the last panels alone
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["TMN", "rate, from zero", "rate, from half threshold (OPI)"]


def test_a_stand_in_is_named_in_the_title(tmn_tables: Make) -> None:
    figure = figures.losses(as_in_paper(tmn_tables(stand_in=True)))
    assert figure.axes[0].get_title() == "resnet20-thin on sklearn/digits (stand-in)"


def test_calibrations_draw_a_curve_per_option(tables: Tables) -> None:
    figure = figures.calibrations(figures.compared(tables["timesteps"]), "percentile-99.99")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["percentile-99.99 (paper)", "maximum", "least-squares"]


def test_any_number_of_networks_and_lengths_fits(tables: Tables) -> None:
    rows = as_in_paper(tables)
    copies = [rows.assign(dataset=f"{rows['dataset'].iloc[0]} {i}") for i in range(2)]
    many = pd.concat([rows, *(copy[copy["architecture"] == "ResNet-20"].iloc[:34] for copy in copies)])
    assert len([axes for axes in figures.losses(many).axes if axes.axison]) == 4
    assert len(figures.depth(tables["figure4b"].query("tmn_timesteps == 4"), "a network").axes) == 1
