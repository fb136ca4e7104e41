"""What the TMN report shows of its tables: views, grids and the few numbers of its text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.measurements.residual_potential import SCOPES
from benchmarks.published import read_published
from benchmarks.tables.claims import Tables
from benchmarks.tables.columns import LOSSES, each_network, loss_text, marked, printed_loss, verdict
from benchmarks.tables.markdown import DASH, enumeration, number, plain, ranges, small, table
from benchmarks.tables.views import View, grid, least_in_bold, shown
from benchmarks.tmn import detection, transformers  # noqa: F401 (the template's)
from benchmarks.tmn.artifacts import TABLE2, TABLE3
from benchmarks.tmn.claims import CALIBRATION, RESIDUALS, SCOPE_NAMES, error_ratios, toy_grid
from benchmarks.tmn.settings import PAPER
from snncore.energy import TERNARY_SPIKE_TABLE, TMN_TABLE

CODES = {"rate": "rate", "ttfs": "TTFS", "binary": "binary weights", "css": "CSS (TMN)"}
NAMES = {"TMN": "TMN", "rate": "rate coding from zero", "OPI": "rate coding from half threshold (OPI)"}
OTHERS = ("COS", "Fast-SNN")
LARGER = 0.5  # points above the printed loss


def _steps(row: pd.Series) -> str:
    """``7 + 1`` with pre-charge, ``4 (+ 8 before)`` with pre-simulation, ``64`` with neither."""
    extra = (("precharge_steps", " + {}"), ("presimulation_steps", " (+ {} before)"))
    more = [text.format(row[name]) for name, text in extra if pd.notna(row[name]) and row[name] > 0]
    return f"{row['timesteps']}{''.join(more)}"


table2 = View(
    TABLE2,
    ("Row", "row"),
    ("Method", "method"),
    ("Network", lambda row: row["architecture"] + ("" if row["no_quant"] == "yes" else ", quantised"), "l"),
    ("T", _steps),
    ("Latency", "latency"),
    *LOSSES,
    ("Diff.", lambda row: number(row["loss"] - printed_loss(row), sign=True)),
    ("Verdict", verdict, "l"),
    ours=4,
)


def last_losses(rows: pd.DataFrame) -> str:
    """The loss of TMN and of rate coding at the largest T of a network."""
    parts = []
    for name, words in NAMES.items():
        curve = rows[rows["method"] == name].sort_values("timesteps").tail(2 if name == "TMN" else 1)
        if losses := [f"{loss_text(row)} at T = {row['timesteps']}" for _, row in curve.iterrows()]:
            parts.append(f"{words}: {enumeration(losses)}")
    return "; ".join(parts)


def losses(rows: pd.DataFrame) -> dict[tuple[str, int], str]:
    """The losses of a network by method and T."""
    return {(row["method"], row["timesteps"]): loss_text(row) for _, row in rows.iterrows()}


def smaller_at(rows: pd.DataFrame) -> str:
    """At which T the point estimates favour TMN over rate coding with 2^T steps; nothing where none can be compared."""
    loss = {(row["method"], int(row["timesteps"])): row["loss"] for _, row in rows.iterrows()}
    parts = []
    for name in ("rate", "OPI"):
        if both := [t for t in range(1, 17) if ("TMN", t) in loss and (name, 2**t) in loss]:
            smaller = [t for t in both if loss["TMN", t] < loss[name, 2**t]]
            where = "every T" if smaller == both else f"T = {ranges(smaller)}" if smaller else "no T"
            parts.append(f"{NAMES[name]} with 2^T steps at {where} of {ranges(both)}")
    return ", and less than ".join(parts)


def scaled_thresholds(rows: pd.DataFrame) -> str:
    """The losses of RMP-SNN with its own and with scaled thresholds, at the largest T of both; nothing without one."""
    found = []
    for network in each_network(rows):
        full, scaled = (network[network["method"] == name].set_index("timesteps") for name in ("RMP-SNN", "RMP-SNN, scaled"))
        for last in sorted(full.index.intersection(scaled.index))[-1:]:
            losses = f"{loss_text(full.loc[last])} points with them and {loss_text(scaled.loc[last])} with scaled ones"
            found.append(f"{marked(network.iloc[0])} at T = {last}: {losses}")
    return "; ".join(found)


def calibrations(rows: pd.DataFrame) -> str:
    """Losses of TMN by calibration option and T."""
    losses = by_calibration(rows)
    name = lambda option: f"`{option}` (the paper's)" if option == CALIBRATION else f"`{option}`"  # noqa: E731
    return least_in_bold(losses, ["Loss in points", *(f"T = {t}" for t in losses)], name, number, "l")


def by_calibration(rows: pd.DataFrame) -> pd.DataFrame:
    """The losses as numbers."""
    losses = rows.pivot(index="calibration", columns="timesteps", values="loss")
    return losses.reindex(rows["calibration"].unique())


_enumerated = lambda row: f"{row['enumerated']:,}"  # noqa: E731
capacities = partial(grid, down="code", across="timesteps", cell=_enumerated, headings=["Values at T"], left=CODES.__getitem__,
                     sort=False, align="l")  # fmt: skip


def precharge(rows: pd.DataFrame, column: str, scale: float = 1, decimals: int = 2) -> str:
    """A column over T, by predictive spiking and pre-charge length."""
    cell = lambda row: number(row[column] * scale, decimals)  # noqa: E731
    left = lambda switch, length: [{"yes": "with", "no": "without"}[switch], str(length)]  # noqa: E731
    down, headings = ["predictive_spiking", "precharge_steps"], ["Predictive spiking", "L"]
    return grid(rows, down, "timesteps", cell, headings, left=left, top="T = {}".format, sort=False, align="lr")


def error_ratio(rows: pd.DataFrame, rate: str, timesteps: int) -> list[str]:
    """Error of TMN over that of rate coding, geometric mean over depth, and at how many depths it is lower."""
    of = error_ratios(rows, rate).get(timesteps)
    return [DASH] * 2 if of is None else [small(np.exp(np.log(of).mean())), f"{(of < 1).sum()} of {len(of)} layers"]


def residuals(rows: pd.DataFrame) -> str:
    """Residual potentials by predictive threshold."""
    measures = {**RESIDUALS, "share_above_half": "share with |u| > v/2"}
    cells = rows.pivot(index="ratio", columns="scope", values=list(measures))
    cells = cells[[(measure, scope) for scope in SCOPES for measure in measures if (measure, scope) in cells.columns]]
    return _by_ratio(cells, [f"{measures[measure]}, {SCOPE_NAMES[scope]}" for measure, scope in map(tuple, cells.columns)])


def toy_model(tables: Tables) -> str:
    """Theorem 3.2's residual by predictive threshold and spread of currents."""
    return _by_ratio(toy_grid(tables), [f"currents within ± {spread} v" for spread in toy_grid(tables)])


def _by_ratio(cells: pd.DataFrame, headings: list[str]) -> str:
    return least_in_bold(cells, ["Predictive threshold / v", *headings], "{:.2f}".format, partial(small, digits=3))


def identities(rows: pd.DataFrame) -> str:
    """Claims that need no data, without Theorem 3.2; nothing if there are none."""
    rows = rows[rows["claim"] != "T02"]
    cases = rows["case"].str.extract(r"(?P<kind>.*?)(?:, T=(?P<steps>\d+))?$").assign(value=rows["value"].map("{:g}".format))
    lines = []
    for (claim, quantity, kind), part in cases.groupby([rows["claim"], rows["quantity"], cases["kind"]], sort=False):
        steps = ranges(map(int, part["steps"].dropna()))
        lines.append([str(claim), plain(str(quantity)), str(kind), steps or DASH, ", ".join(part["value"])])
    return table(["Claim", "Quantity", "Case", "T", "Values"], lines) if lines else ""


def _millions(value: float) -> str:
    return DASH if pd.isna(value) or not value else f"{value / 1e6:.4g}M"


def _energy(row: pd.Series, column: str = "energy_mj") -> str:
    return DASH if pd.isna(row[column]) else f"{row[column]:.4g}"


def _presimulated(row: pd.Series) -> str:
    """Energy with pre-simulation, where there is one and it was counted."""
    steps = row["presimulation_steps"]
    return DASH if pd.isna(steps) or steps == 0 else _energy(row, "energy_presimulated_mj")


table3 = View(
    TABLE3,
    ("Row", "row"),
    ("Method", lambda row: f"{row['method']}, {row['dataset']}", "l"),
    ("T", "timesteps"),
    ("Latency", "latency"),
    ("Accuracy: paper", "accuracy_paper"),
    ("ours", lambda row: number(row["ann_metric"] if pd.isna(row["snn_metric"]) else row["snn_metric"])),
    ("ACs: paper", lambda row: shown(row["acs_paper"] or None)),
    ("ours", lambda row: _millions(row["acs"])),
    ("MACs: paper", "macs_paper", "r"),
    ("ours", lambda row: _millions(row["macs"])),
    ("mJ: paper", lambda row: f"{row['energy_mj_paper']:g}"),
    ("ours", _energy),
    ("pre-simulation charged", _presimulated),
    ("first layer once", lambda row: _energy(row, "energy_once_mj")),
)


def over_others(rows: pd.DataFrame, ways: Mapping[str, str]) -> str:
    """Energy of TMN over that of other methods, by heading and column; nothing where there is none to compare."""
    lines = []
    for dataset, group in rows.groupby("dataset", sort=False):
        by = {row["method"]: row for _, row in group.iterrows()}
        for other in OTHERS:
            if {"TMN", other} <= set(by):
                lines.append([str(dataset), other, *(number(by["TMN"][way] / by[other][way], 3) for way in ways.values())])
    return table(["Data set", "TMN over", *ways], lines, "ll" + "r" * len(ways)) if lines else ""


def equal_energies(rows: pd.DataFrame) -> str:
    """The energies from where on methods lose no more than ``LARGER`` points; TMN counts at its least T alone."""
    columns = ["energy_mj", "energy_presimulated_mj", "energy_once_mj"]
    lines = []
    for _, group in rows.groupby("dataset", sort=False):
        curves = {str(name): curve.sort_values("timesteps") for name, curve in group.groupby("method", sort=False)}
        counted = {name: curve.head(1) if name == "TMN" else curve for name, curve in curves.items()}
        for name, curve in counted.items():
            tmn, row = (counted[each].pipe(_without_loss) if each in counted else None for each in ("TMN", name))
            lines.append([marked(group.iloc[0]), name, ranges(map(int, curves[name]["timesteps"]))])
            if row is None:
                lines[-1] += ["none", f"{loss_text(curve.iloc[-1])} at T = {curve.iloc[-1]['timesteps']}", *[DASH] * 6]
                continue
            lines[-1] += [str(row["timesteps"]), loss_text(row), _energy(row), _presimulated(row), _energy(row, "energy_once_mj")]
            lines[-1] += [DASH] * 3 if tmn is None or name == "TMN" else [number(tmn[each] / row[each], 3) for each in columns]
    header = ["Network", "Method", "T measured", "T", "Loss [95 %]", "mJ", "mJ, pre-simulation charged", "mJ, first layer once"]
    header += ["TMN over it", "TMN over it, pre-simulation charged", "TMN over it, first layer once"]
    return table(header, lines, "llrrrrrrrrr")


def _without_loss(curve: pd.DataFrame) -> pd.Series | None:
    """Of rows in the order of T the first from which on at most ``LARGER`` points are lost; None if there is none."""
    kept = curve[curve["loss"].gt(LARGER)[::-1].cumsum()[::-1] == 0]
    return None if kept.empty else kept.iloc[0]


def printed_count(text: str) -> tuple[float, float]:
    """``258.35M`` as a number, and half a unit in its last printed place; nothing printed is 0."""
    digits, unit = (text[:-1], {"M": 1e6, "G": 1e9}[text[-1]]) if text[-1:] in ("M", "G") else (text, 1.0)
    return (float(digits) * unit, 0.5 * 10.0 ** -len(digits.partition(".")[2]) * unit) if text else (0.0, 0.0)


def _printed() -> pd.DataFrame:
    """Table 3 as printed, and what its counts alone say; spikes are not printed, so that signs cost nothing.

    Energies in mJ: ``recomputed``, with the first layer ``once``, by the constants of ``ternary_spike``. Whether the printed
    one ``follows`` up to the last digits, or what accumulates are ``implied`` by it. The ``least`` and ``most`` that one first
    layer may be if there are T of them.
    """
    rows = read_published(PAPER, "table3")
    names, steps = ("acs_paper", "macs_paper", "energy_mj_paper"), rows["timesteps"].astype("float64")
    (acs, d_acs), (macs, d_macs), (mj, d_mj) = (zip(*rows[name].astype(str).map(printed_count), strict=True) for name in names)
    counts = pd.DataFrame({"acs": acs, "macs": macs, "mj": mj, "d_acs": d_acs, "d_macs": d_macs, "d_mj": d_mj})
    price = lambda macs, acs, by=TMN_TABLE: (macs * by.mac_pj + acs * by.ac_pj) * 1e-9  # noqa: E731
    rows["recomputed"] = price(counts["macs"], counts["acs"])
    rows["once"] = price(counts["macs"] / steps, counts["acs"])
    rows["ternary_spike"] = price(counts["macs"], counts["acs"], TERNARY_SPIKE_TABLE)
    rows["follows"] = (rows["recomputed"] - counts["mj"]).abs() <= price(counts["d_macs"], counts["d_acs"]) + counts["d_mj"]
    rows["implied"] = (counts["mj"] * 1e9 - counts["macs"] * TMN_TABLE.mac_pj) / TMN_TABLE.ac_pj
    return rows.assign(least=(counts["macs"] - counts["d_macs"]) / steps, most=(counts["macs"] + counts["d_macs"]) / steps)


def _audit(row: pd.Series) -> str:
    off = (row["energy_mj_paper"] / row["recomputed"] - 1) * 100
    return "follows" if row["follows"] else f"**does not follow** ({off:+.2f} %)"


PRINTED = _printed()
audited = View(
    TABLE3,
    ("Row", "row"),
    ("Data set", "dataset"),
    ("Method", "method"),
    ("T", "timesteps"),
    ("ACs", lambda row: row["acs_paper"] or DASH),
    ("MACs", "macs_paper", "r"),
    ("Printed, mJ", lambda row: str(row["energy_mj_paper"])),
    ("Recomputed, mJ", lambda row: f"{row['recomputed']:.4f}"),
    ("Audit", _audit, "l"),
)
