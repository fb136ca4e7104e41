"""What the Ternary Spike report shows of its tables."""

from __future__ import annotations

from functools import cache
from math import log10

import pandas as pd

from benchmarks.methods import DEEP_METHODS, direct_method
from benchmarks.methods.deep import DeepMethod
from benchmarks.profiles import Profile
from benchmarks.tables.analytic import ANALYTIC
from benchmarks.tables.columns import accuracy_text
from benchmarks.tables.differences import differences
from benchmarks.tables.markdown import DASH, number, plain, small
from benchmarks.tables.status import stands_for
from benchmarks.tables.views import View
from benchmarks.ternary_spike.claims import CONTROL, SETTING, TRAINABLE, text
from benchmarks.ternary_spike.schemas import ACCURACIES, EVENTS, FIGURE2, FOLDING, METHODS, TABLE5
from benchmarks.ternary_spike.settings import Choice, choices
from benchmarks.training.recipes import Recipe, recipe

OURS = (
    ("Ours [95 %]", accuracy_text),
    ("Std", "std"),
    ("Firing, %", "firing_percent"),
    ("Epochs", "epochs"),
    ("Seeds", "seeds"),
)


def _named(row: pd.Series) -> str:
    """A method, marked where no published code confirms our definition."""
    return f"{row['method']} ‡" if row["method"] in unconfirmed() else str(row["method"])


def _printed(row: pd.Series) -> str:
    deviation = row.get("std_paper")
    return number(row["accuracy_paper"]) + ("" if pd.isna(deviation) else f" ± {number(deviation)}")


NAMED = (("Row", "row"), ("Network", "architecture"), ("Method", _named, "l"), ("T", "timesteps"), ("Printed", _printed))
table1, table3, table4 = (View(ACCURACIES[name], *NAMED, *OURS, ours=5) for name in ("table1", "table3", "table4"))
table2 = View(ACCURACIES["table2"], ("Data set", "dataset"), *NAMED, *OURS, ours=5)
table5 = View(
    TABLE5,
    ("Method", "method"),
    ("Counted", "counted"),
    ("Rates", "rates"),
    ("Printed: MFLOPs", "flops_m"),
    ("MSOPs", "sops_m"),
    ("MSigns", "sign_m"),
    ("µJ", "energy_uj"),
    ("Ours: firing, %", lambda row: number(row["rate_percent"])),
    ("MFLOPs", lambda row: number(row["counted_flops_m"])),
    ("MSOPs", lambda row: number(row["counted_sops_m"])),
    ("MSigns", lambda row: number(row["counted_sign_m"])),
    ("µJ", lambda row: number(row["counted_energy_uj"])),
    ("µJ at 4.6 and 0.9 pJ", lambda row: number(row["energy_tmn_uj"])),
    ours=6,
)
spreads = View(FIGURE2, ("Method", "method"), ("T", "timesteps"), ("Layer", "layer"), "mean", ("Deviation", "std"), ours=2)
methods = View(METHODS, ("Method", "method"), ("T", "timesteps"), *OURS, ours=5)
events = View(
    EVENTS, ("Method", "method"), ("T", "timesteps"), ("Seed", "seed"), ("Ours [95 %]", accuracy_text),
    ("Firing, %", "firing_percent"), ("Epochs", "epochs"), ("Test recordings", "n_test"), ours=4,
)  # fmt: skip
folding = View(FOLDING, ("Method", "method"), ("T", "timesteps"), ("Same logits, %", "same_percent"), "images", ours=2)
analytic = View(
    ANALYTIC, ("Claim", "claim"), ("Quantity", "quantity"), ("Case", lambda row: plain(row["case"]), "l"),
    ("Value", lambda row: small(row["value"], 4)),
)  # fmt: skip


def gains(runs: pd.DataFrame, method: str, other: str) -> list[str]:
    """What a method gains over another, by setting."""
    return [text(each) for each in differences(runs, "method", method, other, SETTING)]


def control(controls: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """What amplitudes that act gain over amplitudes everywhere, by setting."""
    return gains(pd.concat([controls, runs]), CONTROL, TRAINABLE)


def growth(gradients: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """By how much gradients grow from the last layer to the first, beside the accuracy after training; steadiest first."""
    ends = gradients.groupby("method", sort=False)["gradient"].agg(["first", "last"])
    found = (ends["first"] / ends["last"]).rename("growth").to_frame().join(trained.set_index("method")["snn_metric"])
    return found.loc[found["growth"].map(log10).abs().sort_values(kind="stable").index]


def definitions() -> list[DeepMethod]:
    """Methods of direct training of deep networks."""
    made = (direct_method(name) for name in DEEP_METHODS)
    return [each for each in made if isinstance(each, DeepMethod)]


@cache
def unconfirmed() -> dict[str, str]:
    """What no published code confirms, by method."""
    return {each.name: each.unconfirmed for each in definitions() if each.unconfirmed}


def recipes(profile: Profile) -> list[tuple[Choice, str, Recipe]]:
    """The networks, what each stands for, and how it was trained."""
    return [(c, stands_for(c.architecture, c.paper_dataset, c.stand_in), recipe(c.recipe)) for c in choices(profile)]


def acting(rows: pd.DataFrame, most: float = 0.01) -> str:
    """Layers whose amplitude moved by more than ``most``, and how many did not."""
    moved = rows[(rows["amplitude"] - 1).abs() > most]
    listed = ", ".join(f"{row['layer']} ({number(row['amplitude'])})" for _, row in moved.iterrows())
    return f"layers {listed or DASH}; {len(rows) - len(moved)} of {len(rows)} stayed within {most:g} of 1"
