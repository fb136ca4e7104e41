"""What the Ternary Spike report shows of its tables."""

from __future__ import annotations

from math import log10

import pandas as pd

from benchmarks.methods import DEEP_METHODS, direct_method
from benchmarks.methods.deep import DeepMethod
from benchmarks.profiles import Profile
from benchmarks.tables.columns import accuracy_text
from benchmarks.tables.differences import differences
from benchmarks.tables.markdown import DASH, number, plain, small
from benchmarks.tables.status import stands_for
from benchmarks.tables.views import View
from benchmarks.ternary_spike.artifacts import ANALYTIC, FOLDING, METHODS, TABLE1
from benchmarks.ternary_spike.claims import SETTING, text
from benchmarks.ternary_spike.settings import Choice, choices
from benchmarks.training.recipes import Recipe, recipe

OURS = (
    ("Ours [95 %]", accuracy_text),
    ("Std", "std"),
    ("Firing, %", "firing_percent"),
    ("Epochs", "epochs"),
    ("Seeds", "seeds"),
)
table1 = View(
    TABLE1, ("Network", "architecture"), ("Method", "method"), ("T", "timesteps"), ("Printed", "accuracy_paper"), *OURS, ours=5
)
methods = View(METHODS, ("Method", "method"), ("T", "timesteps"), *OURS, ours=5)
folding = View(FOLDING, ("Method", "method"), ("T", "timesteps"), ("Same logits, %", "same_percent"), "images", ours=2)
analytic = View(
    ANALYTIC, ("Claim", "claim"), ("Quantity", "quantity"), ("Case", lambda row: plain(row["case"]), "l"),
    ("Value", lambda row: small(row["value"], 4)),
)  # fmt: skip


def gains(runs: pd.DataFrame, method: str, other: str) -> list[str]:
    """What a method gains over another, by setting."""
    return [text(each) for each in differences(runs, "method", method, other, SETTING)]


def growth(gradients: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """By how much gradients grow from the last layer to the first, beside the accuracy after training; steadiest first."""
    ends = gradients.groupby("method", sort=False)["gradient"].agg(["first", "last"])
    found = (ends["first"] / ends["last"]).rename("growth").to_frame().join(trained.set_index("method")["snn_metric"])
    return found.loc[found["growth"].map(log10).abs().sort_values(kind="stable").index]


def definitions() -> list[DeepMethod]:
    """Methods of direct training of deep networks."""
    made = (direct_method(name) for name in DEEP_METHODS)
    return [each for each in made if isinstance(each, DeepMethod)]


def recipes(profile: Profile) -> list[tuple[Choice, str, Recipe]]:
    """The networks, what each stands for, and how it was trained."""
    return [(c, stands_for(c.architecture, c.paper_dataset, c.stand_in), recipe(c.recipe)) for c in choices(profile)]


def acting(rows: pd.DataFrame, most: float = 0.01) -> str:
    """Layers whose amplitude moved by more than ``most``, and how many did not."""
    moved = rows[(rows["amplitude"] - 1).abs() > most]
    listed = ", ".join(f"{row['layer']} ({number(row['amplitude'])})" for _, row in moved.iterrows())
    return f"layers {listed or DASH}; {len(rows) - len(moved)} of {len(rows)} stayed within {most:g} of 1"
