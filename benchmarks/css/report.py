"""Sections of the CSS report: what the paper shows, what was measured, as Markdown tables and figures."""

from __future__ import annotations

from functools import partial

import pandas as pd

from benchmarks.css import figures
from benchmarks.css.claims import EQUAL, RUN, SMALL_LOSS, best_betas
from benchmarks.methods.layerwise import LAYERWISE_IMAGES
from benchmarks.methods.spike_norm import RMPSNNScaled
from benchmarks.profiles import Profile
from benchmarks.tables.claims import Tables, brief
from benchmarks.tables.columns import footnotes, loss_text, loss_verdict, marked, with_controls
from benchmarks.tables.columns import networks as networks
from benchmarks.tables.markdown import DASH, count, enumeration, number, plain, small, table
from benchmarks.tables.sections import NOT_RUN, Body, Drawing, Section, measured

NAME = "CSS / TSA"
REFERENCE = (
    "*Canonic Signed Spike Coding for Efficient Spiking Neural Networks*, [arXiv 2408.17245](https://arxiv.org/abs/2408.17245v2)"
    " v2, the predecessor of TMN."
)
READING = (
    "Loss is the accuracy of the trained network minus that of the converted one on the same test images, in percentage points;"
    " `[low, high]` is its 95 % interval over paired images (Agresti and Min).",
    "Latency: steps from the first input to the complete output. With CSS coding it is the number of layers times the silent"
    " period, plus T; with TTFS and FS coding layers times T; with rate and TSC coding T. Layers: the number in the network's"
    " name, as the paper counts.",
)
MEANING = {"potential": "spike train (Theorem 2)", "direct": "constant current"}


def setup(profile: Profile) -> list[str]:
    """What holds for all tables that do not say otherwise."""
    return [
        "Unless a table says otherwise: β = 1.5, one silent step, images as spike trains by Theorem 2, amplitudes not adjusted,"
        f" thresholds from the `{profile.calibration}` of the activations on the first {profile.calibration_images:,} training"
        " images."
    ]


def headlines(tables: Tables, profile: Profile) -> list[str]:
    """The few numbers that a reader wants first."""
    lines = []
    if "table2" in tables:
        rows = measured(tables["table2"])
        own = rows[rows["method"] == "TSA"]
        for _, row in own.drop_duplicates(["dataset_used", "architecture_used", "timesteps"]).iterrows():
            lines.append(
                f"TSA on {marked(row)}, T = {row['timesteps']}, latency {row['latency']}: {number(row['ann_metric'])} →"
                f" {number(row['snn_metric'])} %, loss {loss_text(row)} points (printed"
                f" {number(row['ann_metric_paper'] - row['snn_metric_paper'])})."
            )
    if "comparison" in tables:
        for _, network in measured(tables["comparison"]).groupby(["dataset", "architecture"], sort=False):
            lines += _fewest(network)
    return lines


def _fewest(rows: pd.DataFrame) -> list[str]:
    parts = []
    for name in ("TMN", "TSA"):
        tried = rows[rows["method"] == name]
        good = tried[tried["loss"] <= SMALL_LOSS]
        if good.empty:
            parts.append(f"{name} none up to T = {tried['timesteps'].max()}" if len(tried) else f"{name} not run")
        else:
            row = good.sort_values("timesteps").iloc[0]
            parts.append(f"{name} T = {row['timesteps']} (latency {row['latency']}, {row['energy_mj'] * 1000:.3g} µJ)")
    return [f"Fewest steps with a loss of at most {SMALL_LOSS} points, {marked(rows.iloc[0])}: {enumeration(parts)}."]


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(tables: Tables, profile: Profile) -> Body:
    """One table per data set: the printed row and ours, with both latencies."""
    frame = tables["table2"]
    parts: list[str] = [
        "T: coding steps. Quoted rows of other methods are measured on *our* network, so that only losses can be compared; where"
        " another network stands for the printed one, latency is that of *its* layers."
    ]
    header = ["Row", "Method", "Network", "T", "Latency: paper", "ours", "Paper: ANN → SNN", "Loss", "Ours: ANN → SNN"]
    header += ["Loss [95 %]", "Verdict"]
    for dataset, rows in frame.groupby("dataset", sort=False):
        lines = [_table2_row(row) for _, row in rows.iterrows()]
        parts += [f"**{dataset}**", table(header, lines, "rllrrrrrrrl")]
    return [*parts, *footnotes("css", "table2", frame)]


WHY_LARGER = {
    "TTRBR": (
        "As defined here its membranes start empty, so that every layer rounds its rates down, and neurons that meet at a sum"
        " share a threshold, which is that of the widest of them. The controls take that back one after the other: *centred*"
        " starts from half the threshold, *unshared* searches every threshold by itself. Its own paper trains the network for it"
        " and its code is not at hand, so that this is a verdict on our reading:"
    ),
    "RMP-SNN": (
        "Its thresholds are the largest currents that spikes bring about, in deep layers several times the largest activations,"
        f" so that rates are low and slow to settle. *RMP-SNN, scaled* has {RMPSNNScaled.factor:g} of them, chosen on training"
        " images of CIFAR-10:"
    ),
}
"""Why a method may lose more here than its own paper prints; its controls, which are measured, follow the colon."""


def larger_losses(tables: Tables, profile: Profile) -> Body:
    """What methods lose with and without that which is to blame."""
    rows, controls = measured(tables["table2"]), measured(tables["controls"])
    ran = {name: why for name, why in WHY_LARGER.items() if (rows["method"] == name).any()}
    shown = [f"**{name}.** {why} {with_controls(rows, controls, name)}." for name, why in ran.items()]
    return [*shown, "TSC, LC-TTFS, TTFS mapping and OPI have their controls in TMN's report."]


def _table2_row(row: pd.Series) -> list[str]:
    printed = row["ann_metric_paper"] - row["snn_metric_paper"]
    known = [
        str(row["row"]),
        "**TSA**" if row["method"] == "TSA" else row["method"],
        row["architecture"],
        str(row["timesteps"]),
        str(row["latency_paper"]),
        DASH if pd.isna(row["latency"]) else str(row["latency"]),
        f"{number(row['ann_metric_paper'])} → {number(row['snn_metric_paper'])}",
        number(printed),
    ]
    if row["status"].startswith(NOT_RUN):
        return [*known, DASH, DASH, plain(brief(row["status"]))]
    verdict = loss_verdict(printed, row["loss_ci95_low"], row["loss_ci95_high"])
    ours = f"{number(row['ann_metric'])} → {number(row['snn_metric'])}"
    if row["status"] == "stand-in":
        return [*known, f"*{ours}* †", f"*{loss_text(row)}*", f"*stand-in: {verdict}*"]
    return [*known, ours, loss_text(row), f"**{verdict}**"]


# ---- Figures 1 and 2 --------------------------------------------------------------------------------------------------


def figure1(tables: Tables, profile: Profile) -> Body:
    """Coding steps against latency."""
    rows = measured(tables["figure1"])
    parts: list[str | Drawing] = [
        "The paper's trade: a silent step delays every layer by one step and saves coding steps. Amplitudes are adjusted (App."
        " A.3) with and without the silent step, since without it the paper relies on that."
        f" {_images(rows)}",
        Drawing(
            "figure1",
            "Accuracy over coding steps (left) and over latency (right), with and without silent period",
            partial(figures.steps_and_latency, rows),
        ),
    ]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        parts += [f"Loss in points [95 %], {marked(network.iloc[0])}:", _by_steps(network, ["silent_steps"])]
    return [*parts, *_adjusted(rows, profile, ["silent_steps"])]


def _by_steps(rows: pd.DataFrame, kinds: list[str]) -> str:
    steps = sorted(rows["timesteps"].unique())
    header = ["T", *(_kind(dict(zip(kinds, _tuple(kind), strict=True))) for kind, _ in rows.groupby(kinds, sort=False))]
    lines = []
    for t in steps:
        line = [str(t)]
        for _, part in rows.groupby(kinds, sort=False):
            at = part[part["timesteps"] == t]
            cells = [f"{loss_text(row)}{_unsettled(row)} (latency {row['latency']})" for _, row in at.iterrows()]
            line.append(cells[0] if cells else DASH)
        lines.append(line)
    return table(header, lines, "r" * len(header))


def _unsettled(row: pd.Series) -> str:
    return "‡" if pd.notna(row["unsettled"]) and row["unsettled"] > 0 else ""


def _tuple(kind: object) -> tuple[object, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _kind(kind: dict[str, object]) -> str:
    words = []
    if "negative_spikes" in kind:
        words.append(f"{'with' if kind['negative_spikes'] == 'yes' else 'without'} negative spikes")
    if "silent_steps" in kind:
        words.append("no silent period" if kind["silent_steps"] == 0 else f"silent period {kind['silent_steps']}")
    return ", ".join(words)


def _adjusted(rows: pd.DataFrame, profile: Profile, kinds: list[str]) -> list[str]:
    """What became of the amplitudes, one line per kind of setting."""
    done = rows[rows["adjusted_in"].notna()]
    if done.empty:
        return []
    lines = []
    for kind, part in done.groupby(["dataset", "architecture", *kinds], sort=False):
        settled = part[part["unsettled"] == 0]
        low, high = settled["adjusted_in"].min(), settled["adjusted_in"].max()
        rounds = DASH if settled.empty else f"{low}" if low == high else f"{low} to {high}"
        off = part[part["unsettled"] > 0]
        left = "; ".join(f"T = {row['timesteps']}: {count(int(row['unsettled']), 'layer')}" for _, row in off.iterrows())
        names = dict(zip(kinds, _tuple(kind)[2:], strict=True))
        lines.append(
            [marked(part.iloc[0]), _kind(names), f"{len(settled)} of {len(part)}", rounds, small(part["largest_factor"].max(), 3),
             left or DASH]
        )  # fmt: skip
    header = ["Network", "Setting", "Settled", "Rounds", "Largest factor", "Layers that did not settle"]
    listed = table(header, lines, "llrrrl")
    text = (
        "An amplitude grows until the 99.9th percentile of its layer's residual potentials, on"
        f" {min(LAYERWISE_IMAGES, profile.calibration_images)} training images, no longer exceeds it (App. A.3; we read its"
        " potentials as those that the code leaves, in units of the amplitude). It is a heuristic and need not settle within the"
        " profile's limit of rounds: ‡ in tables, hollow in figures; the accuracy is then that of the last round."
    )
    return [f"<details>\n<summary>Adjusted amplitudes (‡: did not settle)</summary>\n\n{text}\n\n{listed}\n\n</details>"]


def _images(rows: pd.DataFrame) -> str:
    counts = sorted(rows["n_test"].dropna().unique())
    return f"Test images: {enumeration([f'{n:,}' for n in counts])}." if counts else ""


def figure2(tables: Tables, profile: Profile) -> Body:
    """Negative spikes against longer silent periods."""
    rows = measured(tables["figure2"])
    parts: list[str | Drawing] = [
        "With negative spikes a neuron fires ±1 at half its threshold; without them +1 at the full one, which is our reading: the"
        " paper does not give that threshold. The images' own trains keep both signs. Amplitudes are adjusted in every setting,"
        f" as in the paper. {_images(rows)}",
        Drawing(
            "figure2",
            "Accuracy over latency with (solid) and without (dashed) negative spikes, a colour per silent period",
            partial(figures.negative_spikes, rows),
        ),
    ]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        lines = []
        for (kind, silent), part in network.groupby(["negative_spikes", "silent_steps"], sort=False):
            best = part.sort_values(["snn_metric", "latency"], ascending=[False, True]).iloc[0]
            near = part[part["snn_metric"] >= network["snn_metric"].max() - EQUAL - 1e-9]
            lines.append(
                [
                    "yes" if kind == "yes" else "no",
                    str(silent),
                    f"{number(best['snn_metric'])}{_unsettled(best)} at T = {best['timesteps']}",
                    DASH if near.empty else f"{near['latency'].min()} (T = {near.sort_values('latency').iloc[0]['timesteps']})",
                ]
            )
        header = ["Negative spikes", "Silent period", "Highest accuracy, %", f"Latency to within {EQUAL} points of the best"]
        parts += [f"{marked(network.iloc[0])}, {number(network.iloc[0]['ann_metric'])} % before conversion:"]
        parts += [table(header, lines, "lrrr")]
    return [*parts, *_adjusted(rows, profile, ["negative_spikes", "silent_steps"])]


def residual(tables: Tables, profile: Profile) -> Body:
    """Temporal coupling."""
    rows = measured(tables["residual"])
    lines = []
    for (_, _, silent, t), part in rows.groupby(RUN, sort=False):
        by = {row["negative_spikes"]: row for _, row in part.iterrows()}
        if {"yes", "no"} <= set(by):
            ratio = by["no"]["share_above"] / by["yes"]["share_above"] if by["yes"]["share_above"] else float("inf")
            cells = [f"{small(by[kind]['mean_abs'], 3)}, {100 * by[kind]['share_above']:.3g} %" for kind in ("yes", "no")]
            lines.append([marked(part.iloc[0]), str(silent), str(t), *cells, "∞" if ratio == float("inf") else f"{ratio:.1f}"])
    header = ["Network", "Silent period", "T", "With negative spikes: mean size, share above 1", "Without", "Ratio of shares"]
    return [
        "Membrane potential left after T steps, in units of the spike amplitude, over all neurons; amplitudes are not adjusted"
        " here.",
        table(header, lines, "lrrrrr"),
    ]


# ---- what else is varied ----------------------------------------------------------------------------------------------


def beta(tables: Tables, profile: Profile) -> Body:
    """The amplification factor."""
    rows = measured(tables["beta"])
    best = best_betas(rows)
    lines = [
        [marked(row), str(row["silent_steps"]), str(row["timesteps"]), f"{row['beta']:g}", number(row["snn_metric"]),
         number(_at(rows, row, 1.5)), number(_at(rows, row, 2.0))]
        for _, row in best.iterrows()
    ]  # fmt: skip
    header = ["Network", "Silent period", "T", "Best β", "accuracy, %", "at β = 1.5", "at β = 2"]
    return [
        "The paper expects a larger β to couple steps in time and a smaller one to code more coarsely. Amplitudes are not"
        f" adjusted here; the gate is TSA-ReLU's for every β. {_images(rows)}",
        Drawing("beta", "Accuracy over the amplification factor, by silent period and T", partial(figures.betas, rows)),
        table(header, lines, "lrrrrrr"),
    ]


def _at(rows: pd.DataFrame, like: pd.Series, value: float) -> float:
    same = rows[(rows[RUN] == like[RUN]).all(axis=1) & (rows["beta"] == value)]
    return float(same["snn_metric"].iloc[0]) if len(same) else float("nan")


def encoding(tables: Tables, profile: Profile) -> Body:
    """Spike trains and constant currents as input."""
    rows = measured(tables["encoding"])
    parts = ["Loss in points [95 %] with images fed in as spike trains of the same code, and as constant currents."]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        lines = [
            [str(t), *(_of(part, "encoding", name) for name in MEANING)] for t, part in network.groupby("timesteps", sort=True)
        ]
        parts += [f"{marked(network.iloc[0])}. {_images(network)}", table(["T", *MEANING.values()], lines, "rrr")]
    return parts


def _of(rows: pd.DataFrame, column: str, value: str) -> str:
    found = rows[rows[column] == value]
    return DASH if found.empty else loss_text(found.iloc[0])


def pipeline(tables: Tables, profile: Profile) -> Body:
    """Latency as it is measured."""
    rows = measured(tables["pipeline"])
    lines = []
    for _, part in rows.groupby(RUN, sort=False):
        ordered = part.sort_values("step")
        last = ordered.iloc[-1]
        settled = _settles(ordered)
        lines.append(
            [marked(last), str(last["silent_steps"]), str(last["timesteps"]), str(last["latency"]), str(ordered.iloc[0]["step"]),
             str(last["step"]), str(settled), number(last["snn_metric"])]
        )  # fmt: skip
    header = [
        "Network",
        "Silent period",
        "T",
        "Latency by rule",
        "First output",
        "Last output",
        "Accuracy final at",
        "Accuracy, %",
    ]
    return [
        "All layers work at once, each on what the layer before sends; the output is decoded from what has come so far."
        " *Accuracy final at*: the step from which it stays within 0.1 points of the last. The rule counts a silent period"
        " of the output layer as well; here its currents are read as they come, which saves that. The first steps weigh most.",
        Drawing(
            "pipeline", "Accuracy of the output after each step of the pipelined simulation", partial(figures.pipeline, rows)
        ),
        table(header, lines, "lrrrrrrr"),
    ]


def _settles(rows: pd.DataFrame) -> int:
    """The first step from which accuracy stays within 0.1 points of the last."""
    far = (rows["snn_metric"] - rows["snn_metric"].iloc[-1]).abs() > 0.1 + 1e-9
    later = rows[~far[::-1].cummax()[::-1]]
    return int(later["step"].iloc[0])


def memory(tables: Tables, profile: Profile) -> Body:
    """Memory over T."""
    rows = measured(tables["memory"])
    parts = ["Kilobytes of tensors alive at the same time, per image, without weights and kernels' own buffers."]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        by = network.pivot(index="mode", columns="timesteps", values="kilobytes")
        names = {"single-step": "pipelined, all layers at once", "multi-step": "layer by layer, all steps at once"}
        lines = [
            [text, *(number(float(value), 0) for value in by.loc[name].to_numpy())]
            for name, text in names.items()
            if name in by.index
        ]
        parts += [
            f"{marked(network.iloc[0])}:",
            table(["", *(f"T = {t}" for t in by.columns)], lines, "l" + "r" * len(by.columns)),
        ]
    return parts


def comparison(tables: Tables, profile: Profile) -> Body:
    """TSA and TMN side by side."""
    rows = measured(tables["comparison"])
    parts: list[str | Drawing] = [
        "Two versions of one idea: TSA amplifies by 1.5 (a shift and an addition in hardware) and takes images as spike trains;"
        " TMN amplifies by 2 (a shift) and takes them as constant currents; their ReLU gates differ as well. Both wait one step"
        " per layer. Energy: 4.6 pJ per multiply-accumulate of the first layer at each step (TMN), 0.9 pJ per accumulate; TSA's"
        " first layer sees spikes and only accumulates. Neither the amplification nor the encoding of images is charged.",
        Drawing(
            "comparison",
            "Accuracy of TSA and TMN over coding steps, latency and energy",
            partial(figures.comparison, rows),
        ),
    ]
    for _, network in rows.groupby(["dataset", "architecture"], sort=False):
        lines = [
            [row["method"], str(row["timesteps"]), str(row["latency"]), loss_text(row), number(row["spikes_per_neuron"], 2),
             f"{100 * row['negative_share']:.1f} %", f"{row['acs'] / 1e6:.4g}M", f"{row['macs'] / 1e6:.4g}M",
             f"{row['energy_mj'] * 1000:.4g}", f"{row['energy_once_mj'] * 1000:.4g}"]
            for _, row in network.iterrows()
        ]  # fmt: skip
        header = ["", "T", "Latency", "Loss [95 %]", "Spikes per neuron", "negative", "ACs", "MACs", "µJ", "first layer once"]
        parts += [f"{marked(network.iloc[0])}, per image. {_images(network)}", table(header, lines, "lrrrrrrrrr")]
    return parts


def analytic(tables: Tables, profile: Profile) -> Body:
    """Theorem 2 and Lemma 1."""
    rows = tables["analytic"]
    lines = [
        [str(claim), plain(str(quantity)), plain(", ".join(part["case"]) if len(part) < 4 else f"{len(part)} cases"),
         f"{part['value'].min():g} to {part['value'].max():g}"]
        for (claim, quantity), part in rows[rows["claim"] != "Lemma 1"].groupby(["claim", "quantity"], sort=False)
    ]  # fmt: skip
    parts = [table(["Claim", "Quantity", "Cases", "Values"], lines, "lllr")] if lines else []
    lemma = rows[rows["claim"] == "Lemma 1"]
    if not lemma.empty:
        by = lemma.pivot(index="case", columns="quantity", values="value")[list(dict.fromkeys(lemma["quantity"]))]
        cells = [[plain(str(case)), *(f"{value:,.0f}" for value in line)] for case, line in by.iterrows()]
        parts += [
            "Lemma 1 says that its condition (Eq. 9 at every t0) and a residual below ε are equivalent. From the residual follows"
            " the condition. The other way it holds for ε no smaller than the spike amplitude: below, a potential between ε and"
            " the threshold meets the condition and stays. Counted over every train of inputs from -1 to 2 in halves, one neuron"
            " of amplitude 1, β = 2:",
            table(["Case", *by.columns], cells, "l" + "r" * len(by.columns)),
        ]
    return parts


SECTIONS = (
    Section("Table 2: coding steps and latency", ("table2",), table2, always=True),
    Section("Why a method loses more than printed", ("controls", "table2"), larger_losses),
    Section("Figure 1: coding steps against latency", ("figure1",), figure1),
    Section("Figure 2: negative spikes", ("figure2",), figure2),
    Section("Temporal coupling", ("residual",), residual),
    Section("The amplification factor", ("beta",), beta),
    Section("TSA and TMN on the same networks", ("comparison",), comparison),
    Section("Input coding", ("encoding",), encoding),
    Section("Latency as measured", ("pipeline",), pipeline),
    Section("Memory of the pipelined simulation", ("memory",), memory),
    Section("Analytic claims", ("analytic",), analytic),
)
