"""Tables of training runs: lines of arrays, and differences that are paired over seeds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.tables.differences import differences
from benchmarks.tables.runs import cells


def test_cells_are_numbered_or_named_along_each_axis_and_hold_all_columns() -> None:
    found = list(cells({"layer": 1, "step": [0, 20]}, firing=np.array([[0.1, 0.2], [0.3, 0.4]]), other=[[1, 2], [3, 4]]))
    assert found[1] == {"layer": 1, "step": 20, "firing": 0.2, "other": 2.0}
    assert [(line["layer"], line["step"]) for line in found] == [(1, 0), (1, 20), (2, 0), (2, 20)]


def test_names_of_places_must_fit_the_array() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(cells({"step": [0, 20, 40]}, firing=[0.1, 0.2]))


def test_differences_are_those_of_common_seeds_in_each_setting_whatever_the_order_of_rows() -> None:
    lines = [("a", "ours", 0, 3.0), ("a", "ours", 1, 5.0), ("a", "theirs", 0, 1.0), ("a", "theirs", 1, 2.0), ("a", "ours", 2, 9.0)]
    lines += [("b", "ours", 0, 1.0), ("b", "theirs", 0, 2.0), ("c", "ours", 0, 1.0)]
    rows = pd.DataFrame(lines, columns=["place", "kind", "seed", "snn_metric"])
    first, second = differences(rows, "kind", "ours", "theirs", ["place"])
    assert (first.row["place"], first.seeds, first.points.estimate) == ("a", 2, 2.5) and 0 < first.p < 1
    assert first.gain.startswith("+2.50 [")
    assert (second.row["place"], second.seeds, second.gain) == ("b", 1, "-1.00") and math.isnan(second.p)
    (shuffled,) = differences(rows.query("place == 'a'").sample(frac=1, random_state=2), "kind", "ours", "theirs", ["place"])
    assert (shuffled.points, shuffled.p) == (first.points, first.p)
