"""The paper's claims that are more than bounds (``benchmarks/tables/bounds.py``), each a check on the stored tables.

Statements and tolerances are those of ``published/claims.csv``; each check says how it reads its tables. A claim whose rows
were measured on stand-ins gets a verdict that says so.
"""

from __future__ import annotations

from math import inf

import pandas as pd

from benchmarks.tables.analytic import analytic
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import measured_on
from benchmarks.tables.markdown import enumeration, number, small
from benchmarks.tables.status import measured

EQUAL = 0.2  # points: accuracies that near count as matched
LOSSES = (0.2, 0.5, 1.0, 2.0)  # points; equal accuracy is the smallest loss that all compared curves reach
SMALL_LOSS = 0.3  # points


# ---- analytic ---------------------------------------------------------------------------------------------------------


@claim
def potential_is_coded(tables: Tables) -> Verdict:
    """S02: below 1 with binary spikes, at most one half with ternary ones, at every beta and T."""
    rows = analytic(tables, "S02")
    ternary = rows["case"].str.startswith("ternary")
    if ternary.all() or not ternary.any():
        raise NotTested("`analytic` lacks binary or ternary spikes.")
    held = (rows["value"] < 1) & (~ternary | (rows["value"] <= 0.5))
    parts = [
        f"{small(part['value'].max(), 6)} with {name} spikes ({len(part)} cases)"
        for name, part in (("binary", rows[~ternary]), ("ternary", rows[ternary]))
    ]
    return judge(held, False, f"Largest error over a grid, in exact fractions: {enumeration(parts)}.")


@claim
def latency_by_rule(tables: Tables) -> Verdict:
    """S12: no difference in any row; the simulation takes the steps of the rule, less the silent period of the output layer.

    The rule takes the layers from a network's name; the simulation is compared on ResNets alone: a VGG-16 for CIFAR has 14.
    """
    rows = analytic(tables, "S12")
    held = list(rows["value"] == 0)
    evidence = f"The rules give the printed latency in {sum(held)} of {len(held)} rows"
    runs = tables["pipeline"] if "pipeline" in tables else pd.DataFrame(columns=["status", "architecture"])
    runs = measured(runs[runs["architecture"].str.startswith("ResNet")])
    if runs.empty:
        return judge(held, False, f"{evidence}; no ResNet was simulated.", complete=False)
    last = runs.loc[runs.groupby(RUN, sort=False)["step"].idxmax()]
    held += list(last["step"] == last["latency"] - last["silent_steps"])
    shown = enumeration([f"{row['step']} of {row['latency']} ({_where(row)})" for _, row in last.iterrows()])
    evidence += (
        f"; in the pipelined simulation the last output comes at step {shown}: the rule also counts a silent period of the output"
        " layer, whose currents are read as they come here"
    )
    return judge(held, is_stand_in(runs), f"{evidence}.")


RUN = ["dataset", "architecture", "silent_steps", "timesteps"]


def _networks(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each network, with its name."""
    return [(measured_on(part.iloc[0]), part) for _, part in rows.groupby(["dataset", "architecture"], sort=False)]


def _where(row: pd.Series) -> str:
    return f"{measured_on(row)}, T = {row['timesteps']}, silent period {row['silent_steps']}"


# ---- negative spikes --------------------------------------------------------------------------------------------------


@claim
def residuals_are_large_without(tables: Tables) -> Verdict:
    """S03: with a silent period of 0 or 1, at least 1 % of neurons without and 5 times as many as with negative spikes."""
    rows = table_of(tables, "residual")
    held, parts = [], []
    for _, part in rows[rows["silent_steps"] <= 1].groupby(RUN, sort=False):
        by = {row["negative_spikes"]: row for _, row in part.iterrows()}
        if {"yes", "no"} <= set(by):
            without, with_them = (float(by[kind]["share_above"]) for kind in ("no", "yes"))
            held.append(without >= 0.01 and without >= 5 * with_them)
            parts.append(f"{_percent(without)} against {_percent(with_them)} ({_where(by['no'])})")
    if not held:
        raise NotTested("`residual` lacks pairs with and without negative spikes at a silent period of 0 or 1.")
    return judge(held, is_stand_in(rows), f"Share of neurons without against with negative spikes: {enumeration(parts)}.")


def _percent(share: float) -> str:
    return f"{small(100 * share)} %"


@claim
def negative_spikes_save_latency(tables: Tables) -> Verdict:
    """S04: the least latency, over silent periods and T, at the smallest loss of ``LOSSES`` that both kinds of spikes reach.

    Where only negative spikes reach one, the longest latency without them that was tried bounds what they save from below.
    """
    rows = table_of(tables, "figure2")
    held, parts, missing = [], [], []
    for network, part in _networks(rows):
        kinds = {kind: part[part["negative_spikes"] == kind] for kind in ("yes", "no")}
        least = {loss: [_least(kinds[kind], loss) for kind in ("yes", "no")] for loss in LOSSES}
        both = [loss for loss in LOSSES if max(least[loss]) < inf]
        ours = [loss for loss in LOSSES if least[loss][0] < inf]
        if kinds["yes"].empty or kinds["no"].empty:
            missing.append(network)
            continue
        low, high = SAVED.get(str(part.iloc[0]["architecture"]), (1, inf))
        if both:
            with_them, without = least[both[0]]
            held.append(low <= without - with_them <= high)
            parts.append(f"{network}: {number(without, 0)} against {number(with_them, 0)} steps at a loss of {both[0]} points")
        elif ours and kinds["no"]["latency"].max() - least[ours[-1]][0] >= low:
            held.append(True)
            longest = number(kinds["no"]["latency"].max(), 0)
            parts.append(f"{network}: none up to {longest} against {number(least[ours[-1]][0], 0)} at {ours[-1]} points")
        else:
            missing.append(network)
    return _judged(held, missing, rows, "Least latency without against with negative spikes", parts)


SAVED = {"ResNet-20": (25, 100), "ResNet-34": (50, inf)}
"""Latency that negative spikes save by the paper, nearly 50 and over 100 steps, within a factor of 2."""


def _least(rows: pd.DataFrame, loss: float, column: str = "latency") -> float:
    """The least latency (or T) with at most that loss; infinite where there is none."""
    good = rows[rows["loss"] <= loss + 1e-9]
    return float(good[column].min()) if len(good) else inf


def _judged(held: list[bool], missing: list[str], rows: pd.DataFrame, what: str, parts: list[str]) -> Verdict:
    """The verdict over several networks, of which some may not tell. Raises NotTested where none does."""
    untold = f"{enumeration(missing)}: what was tried does not reach far enough to tell" if missing else ""
    if not held:
        raise NotTested(f"{untold or 'No network was run'}.")
    evidence = f"{what}: {'; '.join([*parts, untold] if untold else parts)}."
    return judge(held, is_stand_in(rows), evidence, complete=not missing)


@claim
def silent_period_of_three(tables: Tables) -> Verdict:
    """S05, ResNet-20 on CIFAR-10: the shortest silent period whose highest accuracy over T is within 0.2 points of the highest.

    The highest with negative spikes, over all their silent periods and T.
    """
    rows = _of_twenty_layers(table_of(tables, "figure2"), "figure2")
    best = rows.groupby(["negative_spikes", "silent_steps"])["snn_metric"].max()
    if not {"yes", "no"} <= set(best.index.get_level_values(0)):
        raise NotTested("`figure2` lacks one kind of spikes.")
    target, without = best["yes"].max(), best["no"]
    near = [int(silent) for silent in without.index if without[silent] >= target - EQUAL - 1e-9]
    shown = "; ".join(f"{silent}: {number(value)}" for silent, value in without.items())
    found = f"{min(near)}" if near else f"none up to {max(without.index)}"
    evidence = (
        f"{measured_on(rows.iloc[0])}: {found}. Highest accuracy with negative spikes {number(target)} %, without, by silent"
        f" period, {shown}."
    )
    return judge([bool(near) and 2 <= min(near) <= 5], is_stand_in(rows), evidence)


# ---- silent period ----------------------------------------------------------------------------------------------------


@claim
def silent_period_halves_steps(tables: Tables) -> Verdict:
    """S06: least T of the silent periods 0 and 1 at the smallest loss of ``LOSSES`` that both reach; at least 1.5 times.

    Where period 0 reaches none, the longest T tried bounds its steps from below.
    """
    rows = _of_twenty_layers(table_of(tables, "figure1"), "figure1")
    found = _equal_accuracy(rows, "timesteps")
    what = f"Fewest coding steps without against with the silent step, {measured_on(rows.iloc[0])}"
    if found is not None:
        loss, without, silent = found
        evidence = f"{what}: {number(without, 0)} against {number(silent, 0)} at a loss of {loss} points."
        return judge([without >= 1.5 * silent], is_stand_in(rows), evidence)
    with_step = _least(rows[rows["silent_steps"] == 1], LOSSES[-1], "timesteps")
    longest = int(rows[rows["silent_steps"] == 0]["timesteps"].max())
    if longest < 1.5 * with_step:
        raise NotTested(f"`figure1` does not reach far enough to tell: no loss of {LOSSES[-1]} points in both settings.")
    evidence = f"{what}: none up to {longest} against {number(with_step, 0)} at a loss of {LOSSES[-1]} points."
    return judge([True], is_stand_in(rows), evidence)


@claim
def silent_period_costs_little_latency(tables: Tables) -> Verdict:
    """S07: the same rows, in latency by rule: each within 8 steps of the printed one."""
    rows = _of_twenty_layers(table_of(tables, "figure1"), "figure1")
    found = _equal_accuracy(rows, "latency")
    if found is None:
        raise NotTested(f"`figure1` has no loss of up to {LOSSES[-1]} points that both silent periods reach.")
    loss, without, silent = found
    evidence = (
        f"Least latency without and with the silent step, {measured_on(rows.iloc[0])}: {number(without, 0)} and"
        f" {number(silent, 0)} at a loss of {loss} points."
    )
    return judge([abs(without - 20) <= 8, abs(silent - 30) <= 8], is_stand_in(rows), evidence)


def _of_twenty_layers(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of ResNet-20 on CIFAR-10, which the paper speaks of. Raises NotTested where there are none of both kinds."""
    chosen = rows[(rows["dataset"] == "CIFAR-10") & (rows["architecture"] == "ResNet-20")]
    if not {0, 1} <= set(chosen["silent_steps"]):
        raise NotTested(f"`{name}` lacks ResNet-20 on CIFAR-10 with or without silent step.")
    return chosen


def _equal_accuracy(rows: pd.DataFrame, column: str) -> tuple[float, float, float] | None:
    """The smallest loss that silent periods 0 and 1 both reach, and the least T or latency of each; None if there is none."""
    for loss in LOSSES:
        without, silent = (_least(rows[rows["silent_steps"] == length], loss, column) for length in (0, 1))
        if max(without, silent) < inf:
            return loss, without, silent
    return None


# ---- beta -------------------------------------------------------------------------------------------------------------


@claim
def beta_is_a_compromise(tables: Tables) -> Verdict:
    """S14: for every network and T measured without silent period, the beta of highest accuracy lies in [1.3, 1.8]."""
    rows = table_of(tables, "beta")
    rows = rows[rows["silent_steps"] == 0]
    best = best_betas(rows)
    if best.empty:
        raise NotTested("`beta` has no rows without silent period.")
    held = (best["beta"] >= 1.3) & (best["beta"] <= 1.8)
    parts = [
        f"{row['beta']:g} ({measured_on(row)}, T = {row['timesteps']}, {number(row['snn_metric'])} %)"
        for _, row in best.iterrows()
    ]
    return judge(held, is_stand_in(rows), f"β of the highest accuracy without silent period: {enumeration(parts)}.")


def best_betas(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of highest accuracy of each network, silent period and T; of equal ones the smallest beta."""
    ordered = rows.sort_values(["snn_metric", "beta"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates(RUN).sort_index()


@claim
def two_needs_fewer_steps(tables: Tables) -> Verdict:
    """X02: for every network, the fewest T with a loss of at most 0.3 points, TMN against TSA.

    That TSA needs more must show: a network tells only if TSA loses more at TMN's T or beyond, or is there with no more steps.
    """
    rows = table_of(tables, "comparison")
    held, parts, missing = [], [], []
    for network, part in _networks(rows):
        ours, theirs = (part[part["method"] == name] for name in ("TMN", "TSA"))
        if ours.empty or theirs.empty:
            missing.append(network)
            continue
        steps, other = _least(ours, SMALL_LOSS, "timesteps"), _least(theirs, SMALL_LOSS, "timesteps")
        if min(steps, other) == inf or (steps < other and not theirs["timesteps"].between(steps, other, "left").any()):
            missing.append(network)
            continue
        held.append(steps < other)
        shown = [
            number(value, 0) if value < inf else f"none up to {int(of['timesteps'].max())}"
            for value, of in ((steps, ours), (other, theirs))
        ]
        parts.append(f"{network}: {shown[0]} with TMN (β = 2) and {shown[1]} with TSA (β = 1.5, spike trains as input)")
    return _judged(held, missing, rows, f"Fewest steps with a loss of at most {SMALL_LOSS} points", parts)


CLAIMS: dict[str, Check] = {
    "S02": potential_is_coded,
    "S03": residuals_are_large_without,
    "S04": negative_spikes_save_latency,
    "S05": silent_period_of_three,
    "S06": silent_period_halves_steps,
    "S07": silent_period_costs_little_latency,
    "S12": latency_by_rule,
    "S14": beta_is_a_compromise,
    "X02": two_needs_fewer_steps,
}
