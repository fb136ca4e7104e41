"""Figures of the Ternary Spike report say when another network stands in."""

from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.ternary_spike import figures


@pytest.mark.parametrize("draw", [figures.methods, figures.gradients, figures.amplitudes, figures.potentials, figures.curves])
@pytest.mark.parametrize("status", ["measured", "stand-in"])
def test_headings_name_stand_ins(draw: Callable[[pd.DataFrame], Figure], status: str) -> None:
    line = {
        "architecture": "a",
        "timesteps": 2,
        "method": "Ternary spike",
        "snn_metric": 90.0,
        "ci95_low": 80.0,
        "ci95_high": 95.0,
    }
    line |= {"potential": 0.125, "density": 0.5, "validation": 9.0, "amplitude": 1.5, "status": status}
    rows = pd.DataFrame([line | {"layer": layer, "epoch": layer, "gradient": 1 / layer} for layer in (1, 2)])
    figure = draw(rows)
    title = figure.get_suptitle() or " ".join(text.get_text() for text in figure.texts)
    assert ("(stand-in)" in title) == (status == "stand-in") and title
