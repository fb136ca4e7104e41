"""What the TMN report shows of its tables: views, grids and the few numbers of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.published import read_published
from benchmarks.tables.claims import Tables
from benchmarks.tables.columns import loss_text, marked, printed_loss, titled, verdict
from benchmarks.tables.markdown import DASH, count, enumeration, number, plain, ranges, small, table
from benchmarks.tables.views import View, grid, shown
from benchmarks.tmn.artifacts import TABLE2, TABLE3
from benchmarks.tmn.claims import CALIBRATION, RESIDUALS, SCOPES, energy_ratios, error_ratios, toy_grid
from benchmarks.tmn.energy_audit import ACCOUNTS, OTHERS, first_layers, follows, implied_accumulates, printed_energy
from benchmarks.tmn.energy_audit import ratios as printed_ratios

CODES = {"rate": "rate", "ttfs": "TTFS", "binary": "binary weights", "css": "CSS (TMN)"}
NAMES = {"TMN": "TMN", "rate": "rate coding from zero", "OPI": "rate coding from half threshold (OPI)"}
LARGER = 0.5  # points above the printed loss


def subject(rows: pd.DataFrame) -> str:
    """What a figure was measured on."""
    return f"{titled(rows.iloc[0])}, {int(rows['n_test'].iloc[0]):,} test images"


def _networks(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (part for _, part in rows.groupby(["dataset", "architecture"], sort=False))


def _least_in_bold(cells: pd.DataFrame, headings: list[str], name: Callable[..., str], show: Callable[[float], str],
                   align: str = "r") -> str:  # fmt: skip
    """A table of numbers, the least of each column in bold."""
    lines = [
        [
            name(place),
            *(f"**{show(value)}**" if value == least else show(value) for value, least in zip(line, cells.min(), strict=True)),
        ]
        for place, line in cells.iterrows()
    ]
    return table(headings, lines, align + "r" * len(cells.columns))


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


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
    ("Paper: ANN → SNN", lambda row: f"{number(row['ann_metric_paper'])} → {number(row['snn_metric_paper'])}"),
    ("Loss", lambda row: number(printed_loss(row))),
    ("Ours: ANN → SNN", lambda row: f"{number(row['ann_metric'])} → {number(row['snn_metric'])}"),
    ("Loss [95 %]", loss_text),
    ("Diff.", lambda row: number(row["loss"] - printed_loss(row), sign=True)),
    ("Verdict", verdict, "l"),
    ours=4,
)


def how_many(frame: pd.DataFrame) -> str:
    """Rows that were measured, on the paper's networks and on stand-ins."""
    own, stand_ins = (int((frame["status"] == status).sum()) for status in ("measured", "stand-in"))
    printed = len(read_published("tmn", "table2"))
    return (
        f"{count(own, 'row')} of {printed} measured on the paper's data set and architecture,"
        f" {stand_ins} on stand-ins, {printed - own - stand_ins} not run"
    )


def larger(rows: pd.DataFrame) -> set[str]:
    """Methods with a row that loses clearly more than printed."""
    excess = rows["loss"] - (rows["ann_metric_paper"] - rows["snn_metric_paper"])
    return set(rows["method"][excess > LARGER])


# ---- loss over timesteps ----------------------------------------------------------------------------------------------


def as_in_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the paper's calibration."""
    return rows[rows["calibration"] == CALIBRATION]


def last_losses(rows: pd.DataFrame) -> str:
    """The loss of TMN and of rate coding at the largest T of a network."""
    parts = []
    for name, words in NAMES.items():
        curve = rows[rows["method"] == name].sort_values("timesteps").tail(2 if name == "TMN" else 1)
        if losses := [f"{loss_text(row)} at T = {row['timesteps']}" for _, row in curve.iterrows()]:
            parts.append(f"{words}: {enumeration(losses)}")
    return "; ".join(parts)


def same_and_exponential_steps(rows: pd.DataFrame) -> str:
    """TMN against rate coding at equal and at 2^T steps."""
    by = {(row["method"], int(row["timesteps"])): loss_text(row) for _, row in rows.iterrows()}
    lines = [
        [str(t), by["TMN", t], *(by.get((name, steps), DASH) for steps in (t, 2**t) for name in ("rate", "OPI"))]
        for t in sorted(steps for name, steps in by if name == "TMN")
    ]
    return table(["T", "TMN, T steps", "rate, T steps", "OPI, T steps", "rate, 2^T steps", "OPI, 2^T steps"], lines, "rrrrrr")


def smaller_at(rows: pd.DataFrame) -> str:
    """At which T the point estimates favour TMN over rate coding with 2^T steps; nothing where none can be compared."""
    loss = {(row["method"], int(row["timesteps"])): row["loss"] for _, row in rows.iterrows()}
    parts = []
    for name in ("rate", "OPI"):
        both = [t for t in range(1, 17) if ("TMN", t) in loss and (name, 2**t) in loss]
        smaller = [t for t in both if loss["TMN", t] < loss[name, 2**t]]
        if both:
            where = "every T" if smaller == both else f"T = {ranges(smaller)}" if smaller else "no T"
            parts.append(f"{NAMES[name]} with 2^T steps at {where} of {ranges(both)}")
    return ", and less than ".join(parts)


def only_rate_codes(rows: pd.DataFrame) -> bool:
    """Whether nothing but TMN and rate coding was measured."""
    return set(rows["method"]) <= set(NAMES)


def codes(rows: pd.DataFrame) -> str:
    """The loss of every method over its timesteps."""
    lines = []
    for name, part in rows.groupby("method", sort=False):
        before, images = dict.fromkeys(map(number, part["ann_metric"])), dict.fromkeys(f"{n:,}" for n in part["n_test"])
        ordered = part.sort_values("timesteps")
        losses = [f"{row['timesteps']} ({row['latency']}): {loss_text(row)}" for _, row in ordered.iterrows()]
        lines.append([str(name), ", ".join(before), ", ".join(images), "; ".join(losses)])
    return table(["Method", "Before, %", "Test images", "Loss in points [95 %] at T (latency)"], lines, "lrrl")


def scaled_thresholds(rows: pd.DataFrame) -> str:
    """The losses of RMP-SNN with its own and with scaled thresholds, at the largest T of both; nothing without one."""
    found = []
    for network in _networks(rows):
        full, scaled = (network[network["method"] == name].set_index("timesteps") for name in ("RMP-SNN", "RMP-SNN, scaled"))
        if not (both := full.index.intersection(scaled.index)).empty:
            last = both.max()
            losses = f"{loss_text(full.loc[last])} points with them and {loss_text(scaled.loc[last])} with scaled ones"
            found.append(f"{marked(network.iloc[0])} at T = {last}: {losses}")
    return "; ".join(found)


def calibrations(rows: pd.DataFrame) -> str:
    """Losses of TMN by calibration option and T."""
    losses = _by_calibration(rows)
    names = {option: f"`{option}` (the paper's)" if option == CALIBRATION else f"`{option}`" for option in losses.index}
    return _least_in_bold(losses, ["Loss in points", *(f"T = {t}" for t in losses)], names.__getitem__, number, "l")


def best_calibration(rows: pd.DataFrame) -> str:
    """What the best option buys over the paper's, on average over the T at which all were measured; nothing if none."""
    common = _by_calibration(rows).dropna(axis="columns")
    if CALIBRATION not in common.index or common.empty or len(common) < 2:
        return ""
    average = common.mean(axis="columns")
    best, gain = str(average.idxmin()), average[CALIBRATION] - average.min()
    where = f"On average over T = {ranges(map(int, common.columns))}"
    if gain == 0:
        return f"{where} the paper's option loses least."
    own = rows[(rows["calibration"] == CALIBRATION) & rows["timesteps"].isin(common.columns)]
    half = ((own["loss_ci95_high"] - own["loss_ci95_low"]) / 2).mean()
    return (
        f"{where} `{best}` loses least, {number(gain)} points less than the paper's option; the 95 % interval of a single loss"
        f" is about ± {number(half)}."
    )


def _by_calibration(rows: pd.DataFrame) -> pd.DataFrame:
    losses = rows.pivot(index="calibration", columns="timesteps", values="loss")
    return losses.reindex(list(dict.fromkeys(rows["calibration"])))


# ---- figures ----------------------------------------------------------------------------------------------------------


def capacities(rows: pd.DataFrame) -> str:
    """How many values each code has at some T."""
    some = rows[rows["timesteps"].isin((1, 2, 4, 6, 8, 10))]
    enumerated = lambda row: f"{row['enumerated']:,}"  # noqa: E731
    return grid(some, "code", "timesteps", enumerated, ["Values at T"], left=CODES.__getitem__, sort=False, align="l")


def precharge(rows: pd.DataFrame, column: str, scale: float = 1, decimals: int = 2) -> str:
    """A column over T, by predictive spiking and pre-charge length."""
    return grid(
        rows,
        ["predictive_spiking", "precharge_steps"],
        "timesteps",
        lambda row: number(row[column] * scale, decimals),
        ["Predictive spiking", "L"],
        left=lambda switch, length: [{"yes": "with", "no": "without"}[switch], str(length)],
        top="T = {}".format,
        sort=False,
        align="lr",
    )


def depth(rows: pd.DataFrame) -> str:
    """Errors of TMN over those of rate coding, by T."""
    lines = [
        [f"{t}", f"{2 ** int(t)}", *(cell for rate in ("rate", "OPI") for cell in _ratio(error_ratios(rows, rate), t))]
        for t in sorted(rows["tmn_timesteps"].unique())
    ]
    header = ["T", "2^T", "TMN / rate from zero", "TMN lower at", "TMN / rate from half threshold", "TMN lower at"]
    return table(header, lines, "rrrrrr")


def _ratio(ratios: pd.Series, t: int) -> list[str]:
    if ratios.empty or t not in ratios.index.get_level_values(0):
        return [DASH, DASH]
    of = ratios.loc[t]
    return [small(float(np.exp(np.log(of).mean()))), f"{(of < 1).sum()} of {len(of)} layers"]


_three_digits = partial(small, digits=3)


def residuals(rows: pd.DataFrame) -> str:
    """Residual potentials by predictive threshold."""
    measures = {**RESIDUALS, "share_above_half": "share with |u| > v/2"}
    cells = rows.pivot(index="ratio", columns="scope", values=list(measures))
    columns = [(measure, scope) for scope in SCOPES for measure in measures if (measure, scope) in cells.columns]
    headings = ["Predictive threshold / v", *(f"{measures[measure]}, {SCOPES[scope]}" for measure, scope in columns)]
    return _least_in_bold(cells[columns], headings, "{:.2f}".format, _three_digits)


def toy_model(tables: Tables) -> str:
    """Theorem 3.2's residual by predictive threshold and spread of currents."""
    cells = toy_grid(tables)
    headings = ["Predictive threshold / v", *(f"currents within ± {spread} v" for spread in cells)]
    return _least_in_bold(cells, headings, "{:.2f}".format, _three_digits)


def identities(rows: pd.DataFrame) -> str:
    """Claims that need no data, without Theorem 3.2; nothing if there are none."""
    rows = rows[rows["claim"] != "T02"]
    kinds = rows["case"].str.replace(r", T=\d+$", "", regex=True)
    lines = []
    for (claim, quantity, kind), part in rows.groupby(["claim", "quantity", kinds], sort=False):
        steps = ranges(int(case.rpartition(", T=")[2]) for case in part["case"] if ", T=" in case)
        lines.append(
            [str(claim), plain(str(quantity)), str(kind), steps or DASH, ", ".join(f"{value:g}" for value in part["value"])]
        )
    return table(["Claim", "Quantity", "Case", "T", "Values"], lines) if lines else ""


# ---- Table 3 and energy over timesteps --------------------------------------------------------------------------------


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
    ("ours", lambda row: _energy(row)),
    ("pre-simulation charged", _presimulated),
    ("first layer once", lambda row: _energy(row, "energy_once_mj")),
)


def priced_on(rows: pd.DataFrame) -> str:
    """The networks of Table 3."""
    used = (
        f"{marked(row)}, `{row['quantizer']}`, for {row['dataset']} ({row['n_test']:,} test images)" for _, row in rows.iterrows()
    )
    return "; ".join(dict.fromkeys(used))


def run_on(rows: pd.DataFrame) -> str:
    """The network of each data set."""
    return "; ".join(f"{marked(row)} ({row['n_test']:,} test images)" for _, row in rows.drop_duplicates("dataset").iterrows())


def ratios(rows: pd.DataFrame) -> str:
    """Energy of TMN over that of other methods; nothing where there is none to compare."""
    found = energy_ratios(rows)
    header = ["Data set", "TMN over", "printed", "first layer at each step", "pre-simulation charged", "first layer once"]
    header += ["Ternary Spike's constants, once"]
    lines = [[dataset, other, *(number(value, 3) for value in each)] for (dataset, other), each in found.items()]
    return table(header, lines, "llrrrrr") if found else ""


def less_accurate(rows: pd.DataFrame) -> str:
    """Which method is less accurate than TMN in these rows, so that equal energy would not buy the same."""
    found = []
    for _, group in rows.groupby("dataset", sort=False):
        accuracy = group.set_index("method")["snn_metric"]
        for other in OTHERS:
            if {"TMN", other} <= set(accuracy.index) and (gap := accuracy["TMN"] - accuracy[other]) > 0:
                found.append(f"{other} is {number(gap)} points less accurate than TMN on {marked(group.iloc[0])}")
    return "; ".join(found)


def equal_energies(rows: pd.DataFrame) -> str:
    """The energies from where on methods lose no more than ``LARGER`` points; TMN counts at its least T alone."""
    columns = ["energy_mj", "energy_presimulated_mj", "energy_once_mj"]
    lines = []
    for _, group in rows.groupby("dataset", sort=False):
        curves = {str(name): curve.sort_values("timesteps") for name, curve in group.groupby("method", sort=False)}
        counted = {name: curve.head(1) if name == "TMN" else curve for name, curve in curves.items()}
        chosen = {name: _without_loss(curve) for name, curve in counted.items()}
        tmn = chosen.get("TMN")
        for name, row in chosen.items():
            known = [marked(group.iloc[0]), name, ranges(map(int, curves[name]["timesteps"]))]
            if row is None:
                last = counted[name].iloc[-1]
                lines.append([*known, "none", f"{loss_text(last)} at T = {last['timesteps']}", *[DASH] * 6])
                continue
            known += [str(row["timesteps"]), loss_text(row), _energy(row), _presimulated(row), _energy(row, "energy_once_mj")]
            compared = [DASH] * 3 if tmn is None or name == "TMN" else [number(tmn[each] / row[each], 3) for each in columns]
            lines.append(known + compared)
    header = ["Network", "Method", "T measured", "T", "Loss [95 %]", "mJ", "mJ, pre-simulation charged", "mJ, first layer once"]
    header += ["TMN over it", "TMN over it, pre-simulation charged", "TMN over it, first layer once"]
    return table(header, lines, "llrrrrrrrrr")


def _without_loss(curve: pd.DataFrame) -> pd.Series | None:
    """Of rows in the order of T the first from which on at most ``LARGER`` points are lost; None if there is none."""
    more = curve[curve["loss"] > LARGER]["timesteps"].max()
    found = curve if pd.isna(more) else curve[curve["timesteps"] > more]
    return None if found.empty else found.iloc[0]


# ---- the audit of Table 3 ---------------------------------------------------------------------------------------------


def audited() -> str:
    """Each row of Table 3 with the energy that follows from its counts."""
    lines = []
    for _, row in read_published("tmn", "table3").iterrows():
        energy, _ = printed_energy(row["acs_paper"], row["macs_paper"])
        printed = Decimal(str(row["energy_mj_paper"]))
        found = "follows" if follows(row) else f"**does not follow** ({(printed / energy - 1) * 100:+.2f} %)"
        known = [str(row["row"]), row["dataset"], row["method"], shown(row["timesteps"]), row["acs_paper"] or DASH]
        lines.append([*known, row["macs_paper"], f"{printed}", f"{energy:.4f}", found])
    header = ["Row", "Data set", "Method", "T", "ACs", "MACs", "Printed, mJ", "Recomputed, mJ", "Audit"]
    return table(header, lines, "rllrrrrrl")


def doubtful() -> str:
    """The rows of Table 3 whose energy does not follow, and what it would need."""
    rows = [row for _, row in read_published("tmn", "table3").iterrows() if not follows(row)]
    implied = [f"row {row['row']} would need {implied_accumulates(row) / 10**6:,.2f}M ACs" for row in rows]
    return f"Rows {enumeration([str(row['row']) for row in rows])} do not: {', '.join(implied)}"


def printed_first_layers() -> str:
    """Between what bounds one first layer lies."""
    found = first_layers(read_published("tmn", "table3")).items()
    return ", ".join(f"{low / 10**6:.3f}M to {high / 10**6:.3f}M on {name}" for name, (low, high) in found)


def accounts() -> str:
    """Energy of TMN over that of other methods, from the printed counts."""
    found = printed_ratios(read_published("tmn", "table3")).items()
    lines = [[dataset, other, *(f"{value:.3f}" for value in each.values())] for (dataset, other), each in found]
    return table(["Data set", "TMN over", *ACCOUNTS], lines, "ll" + "r" * len(ACCOUNTS))
