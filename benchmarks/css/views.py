"""What the CSS report shows of its tables: views, grids and the few numbers of its text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.css.artifacts import COMPARISON, TABLE2
from benchmarks.css.claims import EQUAL, RUN, SMALL_LOSS, best_betas
from benchmarks.tables.columns import LOSSES, loss_text, marked, verdict
from benchmarks.tables.markdown import DASH, count, enumeration, number, plain, small, table
from benchmarks.tables.status import measured
from benchmarks.tables.views import View, grid

ENCODINGS = {"potential": "spike train (Theorem 2)", "direct": "constant current"}
MODES = {"single-step": "pipelined, all layers at once", "multi-step": "layer by layer, all steps at once"}

table2 = View(
    TABLE2,
    ("Row", "row"),
    ("Method", lambda row: "**TSA**" if row["method"] == "TSA" else row["method"], "l"),
    ("Network", "architecture"),
    ("T", "timesteps"),
    ("Latency: paper", "latency_paper"),
    ("ours", "latency"),
    *LOSSES,
    ("Verdict", verdict, "l"),
    ours=3,
)

comparison = View(
    COMPARISON,
    ("", "method"),
    ("T", "timesteps"),
    ("Latency", "latency"),
    ("Loss [95 %]", loss_text),
    ("Spikes per neuron", lambda row: number(row["spikes_per_neuron"], 2)),
    ("negative", lambda row: f"{100 * row['negative_share']:.1f} %"),
    ("ACs", lambda row: f"{row['acs'] / 1e6:.4g}M"),
    ("MACs", lambda row: f"{row['macs'] / 1e6:.4g}M"),
    ("µJ", lambda row: f"{row['energy_mj'] * 1000:.4g}"),
    ("first layer once", lambda row: f"{row['energy_once_mj'] * 1000:.4g}"),
)


def own_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """TSA's rows of Table 2, each network and T once."""
    rows = measured(frame)
    return rows[rows["method"] == "TSA"].drop_duplicates(["dataset_used", "architecture_used", "timesteps"])


def fewest(rows: pd.DataFrame) -> str:
    """The least T of TMN and TSA with a small loss on a network."""
    parts = []
    for name in ("TMN", "TSA"):
        tried = rows[rows["method"] == name]
        good = tried[tried["loss"] <= SMALL_LOSS]
        if good.empty:
            parts.append(f"{name} none up to T = {tried['timesteps'].max()}" if len(tried) else f"{name} not run")
        else:
            row = good.sort_values("timesteps").iloc[0]
            parts.append(f"{name} T = {row['timesteps']} (latency {row['latency']}, {row['energy_mj'] * 1000:.3g} µJ)")
    return enumeration(parts)


# ---- Figures 1 and 2 --------------------------------------------------------------------------------------------------


def by_steps(rows: pd.DataFrame) -> str:
    """Losses over T, a column for each silent period."""
    cell = lambda row: f"{loss_text(row)}{_unsettled(row)} (latency {row['latency']})"  # noqa: E731
    return grid(rows, "timesteps", "silent_steps", cell, ["T"], top=_silent)


def best_by_kind(network: pd.DataFrame) -> str:
    """The highest accuracy with and without negative spikes, by silent period, and the latency that comes near the best."""
    lines = []
    for (kind, silent), part in network.groupby(["negative_spikes", "silent_steps"], sort=False):
        best = part.sort_values(["snn_metric", "latency"], ascending=[False, True]).iloc[0]
        near = part[part["snn_metric"] >= network["snn_metric"].max() - EQUAL - 1e-9].sort_values("latency")
        reached = DASH if near.empty else f"{near.iloc[0]['latency']} (T = {near.iloc[0]['timesteps']})"
        highest = f"{number(best['snn_metric'])}{_unsettled(best)} at T = {best['timesteps']}"
        lines.append([str(kind), str(silent), highest, reached])
    header = ["Negative spikes", "Silent period", "Highest accuracy, %", f"Latency to within {EQUAL} points of the best"]
    return table(header, lines, "lrrr")


def adjusted(rows: pd.DataFrame, *kinds: str) -> str:
    """What became of the amplitudes, one line for each network and kind of setting; nothing if none was adjusted."""
    lines = []
    for kind, part in rows[rows["adjusted_in"].notna()].groupby(["dataset", "architecture", *kinds], sort=False):
        settled, off = part[part["unsettled"] == 0], part[part["unsettled"] > 0]
        low, high = settled["adjusted_in"].min(), settled["adjusted_in"].max()
        rounds = DASH if settled.empty else f"{low}" if low == high else f"{low} to {high}"
        left = "; ".join(f"T = {row['timesteps']}: {count(int(row['unsettled']), 'layer')}" for _, row in off.iterrows())
        words = ", ".join(WORDS[name](value) for name, value in zip(kinds, kind[2:], strict=True))
        lines.append([marked(part.iloc[0]), words, f"{len(settled)} of {len(part)}", rounds,
                      small(part["largest_factor"].max(), 3), left or DASH])  # fmt: skip
    header = ["Network", "Setting", "Settled", "Rounds", "Largest factor", "Layers that did not settle"]
    return table(header, lines, "llrrrl") if lines else ""


def _unsettled(row: pd.Series) -> str:
    return "‡" if pd.notna(row["unsettled"]) and row["unsettled"] > 0 else ""


def _negative(kind: str) -> str:
    return f"{'with' if kind == 'yes' else 'without'} negative spikes"


def _silent(silent: int) -> str:
    return "no silent period" if silent == 0 else f"silent period {silent}"


WORDS: dict[str, Callable[..., str]] = {"negative_spikes": _negative, "silent_steps": _silent}


# ---- what else is varied ----------------------------------------------------------------------------------------------


def residual(rows: pd.DataFrame) -> str:
    """Residual potentials with and without negative spikes beside each other."""
    lines = []
    for (_, _, silent, t), part in rows.groupby(RUN, sort=False):
        by = {row["negative_spikes"]: row for _, row in part.iterrows()}
        if {"yes", "no"} <= set(by):
            ratio = by["no"]["share_above"] / by["yes"]["share_above"] if by["yes"]["share_above"] else np.inf
            cells = [f"{small(by[kind]['mean_abs'], 3)}, {100 * by[kind]['share_above']:.3g} %" for kind in ("yes", "no")]
            lines.append([marked(part.iloc[0]), str(silent), str(t), *cells, "∞" if ratio == np.inf else f"{ratio:.1f}"])
    header = ["Network", "Silent period", "T", "With negative spikes: mean size, share above 1", "Without", "Ratio of shares"]
    return table(header, lines, "lrrrrr")


def beta(rows: pd.DataFrame) -> str:
    """The best amplification factor of each network, silent period and T."""

    def at(like: pd.Series, value: float) -> str:
        same = rows[(rows[RUN] == like[RUN]).all(axis=1) & (rows["beta"] == value)]
        return number(float(same["snn_metric"].iloc[0])) if len(same) else DASH

    lines = [
        [marked(row), str(row["silent_steps"]), str(row["timesteps"]), f"{row['beta']:g}", number(row["snn_metric"]),
         at(row, 1.5), at(row, 2.0)]
        for _, row in best_betas(rows).iterrows()
    ]  # fmt: skip
    return table(["Network", "Silent period", "T", "Best β", "accuracy, %", "at β = 1.5", "at β = 2"], lines, "lrrrrrr")


encoding = partial(grid, down="timesteps", across="encoding", cell=loss_text, headings=["T"], top=ENCODINGS.__getitem__)


def pipeline(rows: pd.DataFrame) -> str:
    """First and last output of the pipelined simulation, and the step from which accuracy stays near its last value."""
    lines = []
    for _, part in rows.groupby(RUN, sort=False):
        ordered = part.sort_values("step")
        last = ordered.iloc[-1]
        far = (ordered["snn_metric"] - last["snn_metric"]).abs() > 0.1 + 1e-9
        settled = ordered[~far[::-1].cummax()[::-1]].iloc[0]
        known = [last[name] for name in ("silent_steps", "timesteps", "latency")]
        steps = [*known, ordered.iloc[0]["step"], last["step"], settled["step"]]
        lines.append([marked(last), *map(str, steps), number(last["snn_metric"])])
    header = ["Network", "Silent period", "T", "Latency by rule", "First output", "Last output", "Accuracy final at"]
    return table([*header, "Accuracy, %"], lines, "lrrrrrrr")


def memory(rows: pd.DataFrame) -> str:
    """Kilobytes over T in both modes."""
    ordered = pd.concat([rows[rows["mode"] == mode] for mode in MODES])
    kilobytes = lambda row: number(row["kilobytes"], 0)  # noqa: E731
    return grid(ordered, "mode", "timesteps", kilobytes, [""], left=MODES.__getitem__, top="T = {}".format, sort=False, align="l")


def identities(rows: pd.DataFrame) -> str:
    """Claims that need no data, without Lemma 1; nothing if there are none."""
    lines = [
        [str(claim), plain(str(quantity)), plain(", ".join(part["case"]) if len(part) < 4 else f"{len(part)} cases"),
         f"{part['value'].min():g} to {part['value'].max():g}"]
        for (claim, quantity), part in rows[rows["claim"] != "Lemma 1"].groupby(["claim", "quantity"], sort=False)
    ]  # fmt: skip
    return table(["Claim", "Quantity", "Cases", "Values"], lines, "lllr") if lines else ""


def lemma(rows: pd.DataFrame) -> str:
    """Lemma 1, counted; nothing if it was not."""
    rows = rows[rows["claim"] == "Lemma 1"].sort_values("case", kind="stable")
    count_of = lambda row: f"{row['value']:,.0f}"  # noqa: E731
    return "" if rows.empty else grid(rows, "case", "quantity", count_of, ["Case"], left=plain, align="l")
