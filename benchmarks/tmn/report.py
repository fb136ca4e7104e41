"""Sections of the TMN report: what the paper shows, what was measured, as Markdown tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.methods.spike_norm import RMPSNNScaled
from benchmarks.profiles import Profile
from benchmarks.published import read_published
from benchmarks.tables.claims import Tables, brief
from benchmarks.tables.columns import footnotes, loss_text, loss_verdict, marked, measured_on, titled, with_controls
from benchmarks.tables.columns import networks as networks
from benchmarks.tables.markdown import DASH, count, enumeration, number, plain, ranges, small, table
from benchmarks.tables.sections import NOT_RUN, Body, Drawing, Section, measured, reasons
from benchmarks.tmn import figures
from benchmarks.tmn.claims import CALIBRATION, RESIDUALS, SCOPES, energy_ratios, error_ratios, toy_grid
from benchmarks.tmn.energy_audit import audit

NAME = "TMN"
REFERENCE = (
    "*TMN: A Lightweight Neuron Model for Efficient Nonlinear Spike Representation*,"
    " [arXiv 2408.17245](https://arxiv.org/abs/2408.17245) v3."
)
OUR_CHOICE = "The paper does not say on which network; this one is the choice of the profile."
CODES = {"rate": "rate", "ttfs": "TTFS", "binary": "binary weights", "css": "CSS (TMN)"}
NAMES = {"TMN": "TMN", "rate": "rate coding from zero", "OPI": "rate coding from half threshold (OPI)"}
OPI = (
    "OPI's own paper trains its network with a clipped ReLU whose bound becomes the threshold. Here only its initial potential "
    "is taken over, on the network and with the thresholds that TMN gets, so a larger loss than printed is no verdict on that "
    "paper."
)
WHY_LARGER = {
    "OPI": (
        "Two things may be to blame: thresholds that the network was not trained for, and neurons that answer before all input"
        " has come. *OPI, clipped* has the first as OPI's own paper has it, on the network fine-tuned with clipped ReLUs. *TTFS"
        " Mapping* has the network, the thresholds and the number of levels of the row, but its layers wait for all their input:"
    ),
    "TSC": (
        "TSC sends each pixel as one interval that begins with the window, so the first steps show every pixel at full strength"
        " and the last ones only the strongest. Neurons answer the first steps with spikes that the rest would not have caused,"
        " which a soft reset cannot take back; more steps do not help. *TSC, spread* is the same with each pixel on in as many"
        " steps, spread evenly over the window:"
    ),
    "TTFS Mapping": (
        "Rounding spike times to the steps of a window rounds activations in every layer, for which the authors fine-tune the"
        " network. *TTFS Mapping, exact* does not round; what is left are activations above the calibrated threshold:"
    ),
    "LC-TTFS": (
        "LC-TTFS fires at the first step at which the falling threshold is reached, which rounds every activation down, layer"
        " after layer; its authors train the network for that. *LC-TTFS, centred* has thresholds lower by half a step, which"
        " rounds to the nearest step:"
    ),
    "QCFS": (
        "The network computes exactly what the sums of spikes over all steps would give; but neurons answer before all input has"
        " come, and a spike sent too early is not taken back. COS is the same network with neurons that start from a potential"
        " which undoes just that, found in pre-simulation steps:"
    ),
    "COS": (
        "COS corrects neurons that would fire once too often or too rarely, by what its pre-simulation shows of a layer's input:"
        " all of it or, where it is shorter than T, a part. The README of its code lists losses of 4.79 points at T = 4 and 2.80"
        " at T = 8 for its own ResNet-20 on CIFAR-100, of 0.37 at T = 8 for its VGG-16 on ImageNet. *COS, long pre-simulation*"
        " sees all T steps:"
    ),
    "QFFS": (
        "QFFS meets the same uneven arrival with negative spikes, which come after the spikes that they take back: in as many"
        " steps as levels there is no time for them to run through all layers. COS on the same network, with pre-simulation:"
    ),
    "Fast-SNN": (
        "Its neurons take early spikes back too, and its layers are fine-tuned for what that leaves. *TTFS Mapping* has the same"
        " network and its levels, in as many steps, but its layers wait for all their input:"
    ),
}
"""Why a method may lose more here than its own paper prints; its controls, which are measured, follow the colon."""
LARGER = 0.5  # points above the printed loss
RULES = {
    "percentile-99.99": "the paper's 99.99th percentile of the activations (it does not say whether zeros count; here they do)",
    "percentile-99.9": "the 99.9th percentile",
    "percentile-99.999": "the 99.999th percentile",
    "percentile-99.9-positive": "the 99.9th percentile of positive activations",
    "percentile-99.99-positive": "the 99.99th percentile of positive activations",
    "maximum": "the largest activation",
    "least-squares": "per layer and T, the threshold with the least squared coding error",
}


READING = (
    "Loss is the accuracy of the trained network minus that of the converted one on the same test images, in percentage points;"
    " `[low, high]` is its 95 % interval over paired images (Agresti and Min). It covers the choice of test images, not that of"
    " training runs.",
    "Tables: *consistent* = the printed loss lies in our interval; *smaller loss*, *larger loss* = ours lies below or above it,"
    " interval included. The paper prints no interval of its own, and its networks are other ones than ours.",
)
"""How to read the numbers of the tables."""


def setup(profile: Profile) -> list[str]:
    """What holds for all tables that do not say otherwise."""
    images = f"{profile.calibration_images:,}"
    return [
        f"Thresholds: `{profile.calibration}` of the activations on the first {images} training images, where a table does not"
        " say otherwise."
    ]


def headlines(tables: Tables, profile: Profile) -> list[str]:
    """The few numbers that a reader wants first."""
    lines = []
    if "timesteps" in tables:
        rows = measured(tables["timesteps"])
        rows = rows[rows["calibration"] == CALIBRATION]
        for _, network in rows.groupby(["dataset", "architecture"], sort=False):
            lines.append(_headline(network))
    if "table2" in tables:
        frame = tables["table2"]
        own, stand_ins = ((frame["status"] == status).sum() for status in ("measured", "stand-in"))
        printed = len(read_published("tmn", "table2"))
        lines.append(
            f"Table 2: {count(int(own), 'row')} of {printed} measured on the paper's data set and architecture,"
            f" {stand_ins} on stand-ins, {printed - own - stand_ins} not run."
        )
    return lines


def _headline(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    parts = []
    for name in NAMES:
        curve = rows[rows["method"] == name].sort_values("timesteps").tail(2 if name == "TMN" else 1)
        losses = [f"{loss_text(row)} at T = {row['timesteps']}" for _, row in curve.iterrows()]
        if losses:
            parts.append(f"{NAMES[name]}: {enumeration(losses)}")
    used = f"*{measured_on(first)}* †" if first["status"] == "stand-in" else f"**{measured_on(first)}**"
    return f"{used}, {number(first['ann_metric'])} % before conversion. Loss in points: {'; '.join(parts)}."


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(tables: Tables, profile: Profile) -> Body:
    """One table per data set: the printed row, ours, the difference of the losses and a verdict."""
    frame = tables["table2"]
    parts = [
        "Accuracies in %, losses in points with their 95 % interval. T + 1: coding steps and pre-charge steps of each layer,"
        " which the paper leaves out of T; latency: steps until the output is complete. Quoted rows of other methods are"
        " measured on *our* network, so that only losses can be compared."
    ]
    header = ["Row", "Method", "Network", "T", "Latency", "Paper: ANN → SNN", "Loss"]
    header += ["Ours: ANN → SNN", "Loss [95 %]", "Diff.", "Verdict"]
    for dataset, rows in frame.groupby("dataset", sort=False):
        lines = [_table2_row(row) for _, row in rows.iterrows()]
        parts += [f"**{dataset}**", table(header, lines, "rllrrrrrrrl")]
    if (measured(frame)["method"] == "OPI").any():
        parts.append(OPI)
    return [*parts, *footnotes("tmn", "table2", frame)]


def larger_losses(tables: Tables, profile: Profile) -> Body:
    """A paragraph for each method that loses clearly more than printed, with the control that shows why."""
    rows, controls = measured(tables["table2"]), measured(tables["controls"])
    excess = rows["loss"] - (rows["ann_metric_paper"] - rows["snn_metric_paper"])
    methods = set(rows["method"][excess > LARGER])
    parts = [f"Methods of which a row of Table 2 loses over {LARGER} points more than printed, and what is to blame."]
    for name, why in WHY_LARGER.items():
        if name in methods:
            parts.append(f"**{name}.** {why} {with_controls(rows, controls, name)}.")
    return parts


def _table2_row(row: pd.Series) -> list[str]:
    printed = row["ann_metric_paper"] - row["snn_metric_paper"]
    network = row["architecture"] if row["no_quant"] == "yes" else f"{row['architecture']}, quantised"
    known = [
        str(row["row"]),
        row["method"],
        network,
        _steps(row),
        DASH if pd.isna(row["latency"]) else str(row["latency"]),
        f"{number(row['ann_metric_paper'])} → {number(row['snn_metric_paper'])}",
        number(printed),
    ]
    if row["status"].startswith(NOT_RUN):
        return [*known, DASH, DASH, DASH, plain(brief(row["status"]).removesuffix(f": {row['method']}"))]
    accuracies = f"{number(row['ann_metric'])} → {number(row['snn_metric'])}"
    ours = [accuracies, loss_text(row), number(row["loss"] - printed, sign=True)]
    verdict = loss_verdict(printed, row["loss_ci95_low"], row["loss_ci95_high"])
    if row["status"] == "stand-in":
        return [*known, *(f"*{cell}* †" for cell in ours[:1]), *(f"*{cell}*" for cell in ours[1:]), f"*stand-in: {verdict}*"]
    return [*known, *ours, f"**{verdict}**"]


def _steps(row: pd.Series) -> str:
    """``7 + 1`` with pre-charge, ``4 (+ 8)`` with pre-simulation, ``64`` with neither."""
    text = str(row["timesteps"])
    if pd.notna(row["precharge_steps"]) and row["precharge_steps"] > 0:
        text += f" + {row['precharge_steps']}"
    if pd.notna(row["presimulation_steps"]) and row["presimulation_steps"] > 0:
        text += f" (+ {row['presimulation_steps']} before)"
    return text


# ---- loss over timesteps ----------------------------------------------------------------------------------------------


def timesteps(tables: Tables, profile: Profile) -> Body:
    """TMN against rate coding at equal and at 2^T steps, on the same network."""
    rows = measured(tables["timesteps"])
    if (chosen := rows[rows["calibration"] == CALIBRATION]).empty:
        return [f"No row was measured with {CALIBRATION}."]
    alt = "Conversion loss over timesteps of TMN, rate coding from zero and rate coding from half threshold"
    parts: list[str | Drawing] = [
        "Every code on the same trained network, images and thresholds. Rate coding gets T steps and, since T ternary spikes"
        " weighted by powers of two hold as many levels as about 2^T plain ones, also 2^T steps.",
        Drawing("timesteps", alt, partial(figures.losses, rows, CALIBRATION)),
    ]
    for _, network in chosen.groupby(["dataset", "architecture"], sort=False):
        parts += [f"Loss in points [95 %], {marked(network.iloc[0])}:", _same_and_exponential_steps(network)]
        parts += _smaller_at(network)
    return parts


def codes(tables: Tables, profile: Profile) -> Body:
    """What each code buys: the loss of every method over its timesteps."""
    rows = measured(tables["timesteps"])
    rows = rows[rows["calibration"] == CALIBRATION]
    if set(rows["method"]) <= set(NAMES):
        return ["No other method was measured."]
    parts: list[str | Drawing] = [
        "Methods on the same trained network and images; methods of quantised networks on that network quantised and fine-tuned,"
        " with the loss against *its* accuracy. T counts the steps of a train; a code that starts a layer only after the one"
        " before has finished takes as many times longer as there are layers (latency).",
        Drawing("codes", "Conversion loss over timesteps of every method", partial(figures.codes, rows, CALIBRATION)),
    ]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        lines = [_code_line(str(name), part) for name, part in network.groupby("method", sort=False)]
        header = ["Method", "Before, %", "Test images", "Loss in points [95 %] at T (latency)"]
        parts += [f"{marked(network.iloc[0])}:", table(header, lines, "lrrl")]
    return parts + scaled_thresholds(rows)


def scaled_thresholds(rows: pd.DataFrame) -> list[str]:
    """What RMP-SNN's thresholds cost it: the losses with them and with scaled ones, at the largest T of both."""
    found = []
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        full, scaled = (network[network["method"] == name].set_index("timesteps") for name in ("RMP-SNN", "RMP-SNN, scaled"))
        if not (both := full.index.intersection(scaled.index)).empty:
            last = both.max()
            losses = f"{loss_text(full.loc[last])} points with them and {loss_text(scaled.loc[last])} with scaled ones"
            found.append(f"{marked(network.iloc[0])} at T = {last}: {losses}")
    text = (
        "RMP-SNN's thresholds are the largest currents that spikes bring about, in deep layers several times the largest"
        f" activations. *RMP-SNN, scaled* has {RMPSNNScaled.factor:g} of them, chosen on training images of CIFAR-10. Loss on "
    )
    return [text + "; ".join(found) + "."] if found else []


def _code_line(name: str, rows: pd.DataFrame) -> list[str]:
    before = dict.fromkeys(number(value) for value in rows["ann_metric"])
    images = dict.fromkeys(f"{count:,}" for count in rows["n_test"])
    losses = [f"{row['timesteps']} ({row['latency']}): {loss_text(row)}" for _, row in rows.sort_values("timesteps").iterrows()]
    return [name, ", ".join(before), ", ".join(images), "; ".join(losses)]


def _same_and_exponential_steps(rows: pd.DataFrame) -> str:
    by = {(row["method"], int(row["timesteps"])): loss_text(row) for _, row in rows.iterrows()}
    lines = [
        [str(t), by["TMN", t], *(by.get((name, steps), DASH) for steps in (t, 2**t) for name in ("rate", "OPI"))]
        for t in sorted(steps for name, steps in by if name == "TMN")
    ]
    header = ["T", "TMN, T steps", "rate, T steps", "OPI, T steps", "rate, 2^T steps", "OPI, 2^T steps"]
    return table(header, lines, "rrrrrr")


def _smaller_at(rows: pd.DataFrame) -> list[str]:
    """At which T the point estimates favour TMN over rate coding with 2^T steps."""
    loss = {(row["method"], int(row["timesteps"])): row["loss"] for _, row in rows.iterrows()}
    parts = []
    for name in ("rate", "OPI"):
        both = [t for t in range(1, 17) if ("TMN", t) in loss and (name, 2**t) in loss]
        smaller = [t for t in both if loss["TMN", t] < loss[name, 2**t]]
        if both:
            where = "every T" if smaller == both else f"T = {ranges(smaller)}" if smaller else "no T"
            parts.append(f"{NAMES[name]} with 2^T steps at {where} of {ranges(both)}")
    return [f"TMN with T steps loses less than {', and less than '.join(parts)}."] if parts else []


def calibrations(tables: Tables, profile: Profile) -> Body:
    """Named calibration options of TMN side by side."""
    rows = measured(tables["timesteps"])
    if (rows["method"] != "TMN").all():
        return ["No row of TMN was measured."]
    rows = figures.compared(rows)
    if rows["calibration"].nunique() == 1:
        return [f"Only one option was measured so far: `{rows['calibration'].iloc[0]}`."]
    options = [f"- `{name}`: {RULES.get(name, 'an option of its own')}" for name in dict.fromkeys(rows["calibration"])]
    parts: list[str | Drawing] = [
        "Where the threshold of a layer lies; everything else is the same. Bold: least loss for this T.",
        "\n".join(options),
        Drawing(
            "calibration",
            "Conversion loss of TMN with each calibration option, at several T, with intervals",
            partial(figures.calibrations, rows, CALIBRATION),
        ),
    ]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        losses = network.pivot(index="calibration", columns="timesteps", values="loss")
        losses = losses.reindex(list(dict.fromkeys(network["calibration"])))
        least = losses.min()
        lines = [
            [_calibration(str(name)), *(_bold(line[t], least[t]) for t in losses.columns)] for name, line in losses.iterrows()
        ]
        header = ["Loss in points", *(f"T = {t}" for t in losses.columns)]
        parts += [f"{marked(network.iloc[0])}:", table(header, lines, "l" + "r" * len(losses.columns))]
        parts += _best(network, losses)
    return parts


def _calibration(name: str) -> str:
    return f"`{name}` (the paper's)" if name == CALIBRATION else f"`{name}`"


def _bold(value: float, least: float) -> str:
    return f"**{number(value)}**" if value == least else number(value)


def _best(rows: pd.DataFrame, losses: pd.DataFrame) -> list[str]:
    """What the best option buys over the paper's, on average over the T at which all were measured."""
    common = losses.dropna(axis="columns")
    if CALIBRATION not in common.index or common.empty or len(common) < 2:
        return []
    average = common.mean(axis="columns")
    best, gain = str(average.idxmin()), average[CALIBRATION] - average.min()
    where = f"On average over T = {ranges(map(int, common.columns))}"
    if gain == 0:
        return [f"{where} the paper's option loses least."]
    own = rows[(rows["calibration"] == CALIBRATION) & rows["timesteps"].isin(common.columns)]
    half = ((own["loss_ci95_high"] - own["loss_ci95_low"]) / 2).mean()
    return [
        f"{where} `{best}` loses least, {number(gain)} points less than the paper's option; the 95 % interval of a single loss"
        f" is about ± {number(half)}."
    ]


# ---- figures ----------------------------------------------------------------------------------------------------------


def figure1d(tables: Tables, profile: Profile) -> Body:
    """Coding capacity."""
    rows = measured(tables["figure1d"])
    equal = int((rows["capacity"] == rows["enumerated"]).sum())
    counts = rows.pivot(index="code", columns="timesteps", values="enumerated")
    counts = counts.reindex([code for code in CODES if code in counts.index])
    shown = [t for t in (1, 2, 4, 6, 8, 10) if t in counts.columns]
    lines = [[CODES[str(code)], *(f"{line[t]:,}" for t in shown)] for code, line in counts.iterrows()]
    return [
        f"Lines: number of values by formula; points: counted over every spike train. The two agree in {equal} of {len(rows)}"
        " cases. The paper prints the figure without numbers.",
        Drawing("figure1d", "Number of distinguishable values over timesteps for four codes", partial(figures.capacity, rows)),
        table(["Values at T", *map(str, shown)], lines, "l" + "r" * len(shown)),
    ]


def figure4a(tables: Tables, profile: Profile) -> Body:
    """Accuracy and energy over timesteps by predictive spiking and pre-charge."""
    rows = measured(tables["figure4a"])
    first = rows.iloc[0]
    what = f"{titled(first)}, {int(first['n_test']):,} test images"
    return [
        "Predictive spiking fires at half the threshold, with both signs, and resets by the full one; without it a neuron"
        " fires at the full threshold, with positive spikes only. L: pre-charge steps per layer."
        f" {OUR_CHOICE} Energy: 4.6 pJ per multiply-accumulate of the first layer at each step, 0.9 pJ per accumulate.",
        Drawing(
            "figure4a",
            "Accuracy (solid) and energy (dashed) over timesteps, with and without predictive spiking, by pre-charge length",
            partial(figures.precharge, rows, what),
        ),
        f"Accuracy in %, {marked(first)}:",
        _grid(rows, "snn_metric", 2),
        _details(
            "Energy and spike rate",
            ["Energy in µJ per image:", _grid(rows.assign(energy_mj=rows["energy_mj"] * 1000), "energy_mj", 2)],
            ["With the first layer computed once:", _grid(rows.assign(once=rows["energy_once_mj"] * 1000), "once", 2)],
            ["Spikes per neuron and step:", _grid(rows, "spike_rate", 4)],
        ),
    ]


def _grid(rows: pd.DataFrame, value: str, decimals: int) -> str:
    cells = rows.pivot(index=["predictive_spiking", "precharge_steps"], columns="timesteps", values=value)
    cells = cells.sort_index(ascending=[False, True])
    lines = [
        [{"yes": "with", "no": "without"}[switch], str(length), *(number(v, decimals) for v in line)]
        for (switch, length), line in zip(cells.index, cells.to_numpy(dtype="float64", na_value=np.nan), strict=True)
    ]
    header = ["Predictive spiking", "L", *(f"T = {t}" for t in cells.columns)]
    return table(header, lines, "l" + "r" * (len(header) - 1))


def _details(summary: str, *parts: Sequence[str]) -> str:
    body = "\n\n".join(text for part in parts for text in part)
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def figure4b(tables: Tables, profile: Profile) -> Body:
    """Encoding error over depth."""
    rows = measured(tables["figure4b"])
    first = rows.iloc[0]
    what = f"{titled(first)}, {int(first['n_test']):,} test images"
    zero, half = error_ratios(rows, "rate"), error_ratios(rows, "OPI")
    lines = [
        [f"{t}", f"{2 ** int(t)}", *_ratio_cells(zero, t), *_ratio_cells(half, t)] for t in sorted(rows["tmn_timesteps"].unique())
    ]
    header = ["T", "2^T", "TMN / rate from zero", "TMN lower at", "TMN / rate from half threshold", "TMN lower at"]
    return [
        "Mean squared error of each layer's decoded output against the trained network's activation, in units of the threshold"
        " squared; a layer inherits the errors before it. The text lost both step counts of the paper's claim; T and 2^T is our"
        f" reading. {OUR_CHOICE}",
        Drawing(
            "figure4b",
            "Encoding error over depth, TMN at T steps against rate coding at 2^T steps, one panel per T",
            partial(figures.depth, rows, what),
        ),
        f"Ratio of errors (geometric mean over depth, below 1 where TMN is better), {marked(first)}:",
        table(header, lines, "rrrrrr"),
    ]


def _ratio_cells(ratios: pd.Series, t: int) -> list[str]:
    if ratios.empty or t not in ratios.index.get_level_values(0):
        return [DASH, DASH]
    of = ratios.loc[t]
    return [small(float(np.exp(np.log(of).mean()))), f"{(of < 1).sum()} of {len(of)} layers"]


def figure4c(tables: Tables, profile: Profile) -> Body:
    """Residual potential over the predictive threshold."""
    rows, density = measured(tables["figure4c"]), measured(tables["figure4c_density"])
    first = rows.iloc[0]
    what = f"{titled(first)}, {int(first['n_test']):,} test images"
    return [
        "What is left on the membranes after the last step, for several predictive thresholds. *All neurons* include those that"
        " code a negative value and are silenced by the gate; *neurons that spiked* sent at least one spike for the image."
        f" Circled in the figure, bold below: the least value. {OUR_CHOICE}",
        Drawing(
            "figure4c",
            "Distribution of the residual potential by predictive threshold; its means with their minima",
            partial(figures.residual, rows, density, what),
        ),
        f"Residuals in units of the full threshold v, {marked(first)}:",
        _residuals(rows),
    ]


def _residuals(rows: pd.DataFrame) -> str:
    measures = {**RESIDUALS, "share_above_half": "share with |u| > v/2"}
    cells = rows.pivot(index="ratio", columns="scope", values=list(measures))
    columns = [(measure, scope) for scope in SCOPES for measure in measures if (measure, scope) in cells.columns]
    least = {column: cells[column].min() for column in columns}
    lines = [
        [f"{ratio:.2f}", *(f"**{small(line[c], 3)}**" if line[c] == least[c] else small(line[c], 3) for c in columns)]
        for ratio, line in cells.iterrows()
    ]
    header = ["Predictive threshold / v", *(f"{measures[measure]}, {SCOPES[scope]}" for measure, scope in columns)]
    return table(header, lines, "r" * len(header))


def analytic(tables: Tables, profile: Profile) -> Body:
    """Identities and the toy model of Theorem 3.2."""
    rows = tables["analytic"]
    parts: list[str] = ["No data and no network: exact identities, and a toy model."]
    exact = rows[rows["claim"] != "T02"]
    kinds = exact["case"].str.replace(r", T=\d+$", "", regex=True)
    lines = [
        [str(claim), plain(str(quantity)), str(kind), _steps_of(part), ", ".join(f"{value:g}" for value in part["value"])]
        for (claim, quantity, kind), part in exact.groupby(["claim", "quantity", kinds], sort=False)
    ]
    if lines:
        parts.append(table(["Claim", "Quantity", "Case", "T", "Values"], lines, "lllll"))
    if (rows["claim"] == "T02").any():
        grid = toy_grid(tables)
        least = grid.min()
        cells = [[f"{ratio:.2f}", *(_least(line[s], least[s]) for s in grid.columns)] for ratio, line in grid.iterrows()]
        header = ["Predictive threshold / v", *(f"currents within ± {s} v" for s in grid.columns)]
        parts += [
            "Theorem 3.2: E[u²]/v² after 10 steps of independent uniform currents (bold: least). Its proof assumes that the"
            " potential stays within the threshold, which holds for currents within ± 0.5 v only.",
            table(header, cells, "r" * len(header)),
        ]
    return parts


def _steps_of(rows: pd.DataFrame) -> str:
    steps = [case.rpartition(", T=")[2] for case in rows["case"] if ", T=" in case]
    return ranges(map(int, steps)) if steps else DASH


def _least(value: float, least: float) -> str:
    return f"**{small(value, 3)}**" if value == least else small(value, 3)


# ---- Tables 3 and 4 ---------------------------------------------------------------------------------------------------


def table3(tables: Tables, profile: Profile) -> Body:
    """Table 3: counted operations and their energy, and the audit of the printed ones."""
    frame = tables["table3"]
    rows = measured(frame)
    if rows.empty:
        return [f"Not measured: {reasons(frame['status'])}.", AUDIT, *audit()]
    used = dict.fromkeys(
        f"{marked(row)}, `{row['quantizer']}`, for {row['dataset']} ({row['n_test']:,} test images)" for _, row in rows.iterrows()
    )
    header = ["Row", "Method", "T", "Latency", "Accuracy: paper", "ours", "ACs: paper", "ours", "MACs: paper", "ours"]
    header += ["mJ: paper", "ours", "pre-simulation charged", "first layer once"]
    lines = [_table3_row(row) for _, row in frame.iterrows()]
    parts = [
        "Every method of a data set on *one* quantised network, so that energies compare on equal terms:"
        f" {'; '.join(used)}. An accumulate (AC) is one spike over one synapse, padding excluded; a multiply-accumulate (MAC)"
        " is one of the first layer, charged at each of the T steps as in the paper. 4.6 pJ per MAC, 0.9 pJ per AC. The trained"
        " network (ANN) is charged its weights and biases, not its pooling. The paper does not say whether its T of COS includes"
        " pre-simulation steps; here they come on top of it. Its MACs, 6 times one first layer, leave them out, as COS's code"
        " does: it keeps the currents of these steps, and so do the columns of operations. *Pre-simulation charged* is what"
        " a machine uses that has their spikes sent twice instead.",
        table(header, lines, "rlrrrrrrrrrrrr"),
    ]
    ratios = energy_ratios(rows)
    if ratios:
        header = ["Data set", "TMN over", "printed", "first layer at each step", "pre-simulation charged", "first layer once"]
        header += ["Ternary Spike's constants, once"]
        lines = [[dataset, other, *(number(value, 3) for value in each)] for (dataset, other), each in ratios.items()]
        parts += ["Energy of TMN over that of the other method, and the same as printed:", table(header, lines, "llrrrrr")]
        parts += _unequal(rows)
    if not_run := frame[frame["status"].str.startswith(NOT_RUN)]["status"].tolist():
        parts.append(f"Not run: {reasons(pd.Series(not_run))}.")
    return [*parts, AUDIT, *audit()]


EQUAL = f"Energy at a loss of at most {LARGER} points"
AUDIT = "**Audit of the printed energies.**"


def _unequal(rows: pd.DataFrame) -> list[str]:
    """Which method is less accurate than TMN in these rows, so that equal energy would not buy the same."""
    found = []
    for _, group in rows.groupby("dataset", sort=False):
        accuracy = group.set_index("method")["snn_metric"]
        for other in ("COS", "Fast-SNN"):
            if {"TMN", other} <= set(accuracy.index) and (gap := accuracy["TMN"] - accuracy[other]) > 0:
                found.append(f"{other} is {number(gap)} points less accurate than TMN on {marked(group.iloc[0])}")
    text = f"These are energies at the printed T, not at equal accuracy: {'; '.join(found)}. See *{EQUAL}* below."
    return [text] if found else []


def energy(tables: Tables, profile: Profile) -> Body:
    """Energy over accuracy, and the energies from where on methods lose no more than ``LARGER`` points."""
    rows = measured(tables["energy"])
    first = rows.drop_duplicates("dataset")
    used = "; ".join(f"{marked(row)} ({row['n_test']:,} test images)" for _, row in first.iterrows())
    header = ["Network", "Method", "T measured", "T", "Loss [95 %]", "mJ", "mJ, pre-simulation charged", "mJ, first layer once"]
    header += ["TMN over it", "TMN over it, pre-simulation charged", "TMN over it, first layer once"]
    lines = [line for _, group in rows.groupby("dataset", sort=False) for line in _at_equal_accuracy(group)]
    return [
        f"Table 3 compares energies at its printed T, where accuracies differ. Here each method runs at several T: {used}. COS"
        " has 4 pre-simulation steps at each of them, since T = 6 and 7 of Table 3 leave no room for the 8 of Table 2.",
        Drawing(
            "energy",
            "Conversion loss over energy per image of TMN, COS and Fast-SNN, one point per T",
            partial(figures.energies, rows),
        ),
        f"Each method at the least T from which on it loses at most {LARGER} points at every T measured, and the energy of TMN"
        " over its own. Losses are compared as measured; their intervals may reach over the limit. TMN counts at its least T"
        " alone, which follows from the levels of the network (3 for 3 bits): with more steps its code reaches beyond the clip,"
        " so that the network clips no longer where it was trained to.",
        table(header, lines, "llrrrrrrrrr"),
    ]


def _at_equal_accuracy(rows: pd.DataFrame) -> list[list[str]]:
    network = marked(rows.iloc[0])
    columns = ["energy_mj", "energy_presimulated_mj", "energy_once_mj"]
    curves = {str(name): curve.sort_values("timesteps") for name, curve in rows.groupby("method", sort=False)}
    counted = curves | {name: curve.head(1) for name, curve in curves.items() if name == "TMN"}
    chosen = {name: _without_loss(curve) for name, curve in counted.items()}
    tmn = chosen.get("TMN")
    lines = []
    for name, row in chosen.items():
        known = [network, name, ranges(map(int, curves[name]["timesteps"]))]
        if row is None:
            last = counted[name].iloc[-1]
            lines.append([*known, "none", f"{loss_text(last)} at T = {last['timesteps']}", *[DASH] * 6])
            continue
        known += [str(row["timesteps"]), loss_text(row), f"{row['energy_mj']:.4g}", _presimulated(row)]
        known.append(f"{row['energy_once_mj']:.4g}")
        ratios = [DASH] * 3 if tmn is None or name == "TMN" else [number(tmn[each] / row[each], 3) for each in columns]
        lines.append(known + ratios)
    return lines


def _without_loss(curve: pd.DataFrame) -> pd.Series | None:
    """Of rows in the order of T the first from which on at most ``LARGER`` points are lost; None if there is none."""
    more = curve[curve["loss"] > LARGER]["timesteps"].max()
    found = curve if pd.isna(more) else curve[curve["timesteps"] > more]
    return None if found.empty else found.iloc[0]


def _table3_row(row: pd.Series) -> list[str]:
    known = [str(row["row"]), f"{row['method']}, {row['dataset']}", DASH if pd.isna(row["timesteps"]) else str(row["timesteps"])]
    if row["status"].startswith(NOT_RUN):
        printed = [_printed_acs(row), DASH, row["macs_paper"], DASH, f"{row['energy_mj_paper']:g}", DASH, DASH, DASH]
        return [*known, DASH, number(row["accuracy_paper"]), DASH, *printed]
    accuracy = row["ann_metric"] if pd.isna(row["snn_metric"]) else row["snn_metric"]
    return [
        *known,
        DASH if pd.isna(row["latency"]) else str(row["latency"]),
        number(row["accuracy_paper"]),
        number(accuracy),
        _printed_acs(row),
        _millions(row["acs"]) if row["acs"] else DASH,
        row["macs_paper"],
        _millions(row["macs"]),
        f"{row['energy_mj_paper']:g}",
        f"{row['energy_mj']:.4g}",
        _presimulated(row),
        f"{row['energy_once_mj']:.4g}",
    ]


def _presimulated(row: pd.Series) -> str:
    """Energy with pre-simulation, where there is one and it was counted."""
    none = pd.isna(row["presimulation_steps"]) or row["presimulation_steps"] == 0 or pd.isna(row["energy_presimulated_mj"])
    return DASH if none else f"{row['energy_presimulated_mj']:.4g}"


def _printed_acs(row: pd.Series) -> str:
    return DASH if pd.isna(row["acs_paper"]) or not row["acs_paper"] else row["acs_paper"]


def _millions(value: float) -> str:
    return f"{value / 1e6:.4g}M"


def table4(tables: Tables, profile: Profile) -> Body:
    """Table 4: not measured yet."""
    return [f"Not measured yet: {reasons(tables['table4']['status'])}."]


SECTIONS = (
    Section("Table 2: image classification with converted networks", ("table2",), table2, always=True),
    Section("Why a method loses more than printed", ("table2", "controls"), larger_losses),
    Section("TMN against rate coding on the same network", ("timesteps",), timesteps),
    Section("What each code buys", ("timesteps",), codes),
    Section("Calibration options", ("timesteps",), calibrations),
    Section("Figure 1(d): coding capacity", ("figure1d",), figure1d),
    Section("Figure 4(a): pre-charge and predictive spiking", ("figure4a",), figure4a),
    Section("Figure 4(b): encoding error over depth", ("figure4b",), figure4b),
    Section("Figure 4(c): residual potential", ("figure4c", "figure4c_density"), figure4c),
    Section("Analytic claims", ("analytic",), analytic),
    Section("Table 3: energy", ("table3",), table3, always=True),
    Section(EQUAL, ("energy",), energy),
    Section("Table 4: detection, Transformers, language", ("table4",), table4, always=True),
)
