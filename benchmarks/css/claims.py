"""The paper's claims, each a check on the stored tables.

Statements and tolerances are those of ``published/claims.csv``; each check says how it reads its tables. A claim whose rows
were measured on stand-ins gets a verdict that says so.
"""

from __future__ import annotations

from math import inf

import pandas as pd

from benchmarks.harness.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.harness.columns import measured_on
from benchmarks.harness.markdown import count, enumeration, interval, number, small

EQUAL = 0.2  # points: accuracies that near count as matched
LOSSES = (0.2, 0.5, 1.0, 2.0)  # points; equal accuracy is the smallest loss that all compared curves reach
SMALL_LOSS = 0.3  # points


# ---- analytic ---------------------------------------------------------------------------------------------------------


@claim
def potential_is_coded(tables: Tables) -> Verdict:
    """S02: below 1 with binary spikes, at most one half with ternary ones, at every beta and T."""
    rows = _analytic(tables, "S02")
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
    """S12: no difference in any row; the simulation takes the steps of the rule, less the silent period of the output layer."""
    rows = _analytic(tables, "S12")
    held = list(rows["value"] == 0)
    evidence = f"The rules give the printed latency in {sum(held)} of {len(held)} rows"
    if "pipeline" not in tables:
        return judge(held, False, f"{evidence}; the simulation was not run.", complete=False)
    runs = table_of(tables, "pipeline")
    last = runs.loc[runs.groupby(RUN, sort=False)["step"].idxmax()]
    held += list(last["step"] == last["latency"] - last["silent_steps"])
    shown = enumeration([f"{row['step']} of {row['latency']} ({_where(row)})" for _, row in last.iterrows()])
    evidence += (
        f"; in the pipelined simulation the last output comes at step {shown}: the rule also counts a silent period of the output"
        " layer, which sends no spikes here"
    )
    return judge(held, is_stand_in(runs), f"{evidence}.")


RUN = ["dataset", "architecture", "silent_steps", "timesteps"]


def _networks(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each network, with its name."""
    return [(measured_on(part.iloc[0]), part) for _, part in rows.groupby(["dataset", "architecture"], sort=False)]


def _where(row: pd.Series) -> str:
    return f"{row['dataset']}, {row['architecture']}, T = {row['timesteps']}, silent period {row['silent_steps']}"


def _analytic(tables: Tables, name: str) -> pd.DataFrame:
    rows = table_of(tables, "analytic")
    rows = rows[rows["claim"] == name].reset_index(drop=True)
    if rows.empty:
        raise NotTested(f"`analytic` has no row of {name}.")
    return rows


# ---- negative spikes --------------------------------------------------------------------------------------------------


@claim
def residuals_are_large_without(tables: Tables) -> Verdict:
    """S03: at every network, silent period and T, the share without negative spikes is at least 5 times that with them."""
    rows = table_of(tables, "residual")
    pairs = rows.pivot(index=RUN, columns="negative_spikes", values="share_above").dropna()
    if pairs.empty or set(pairs.columns) != {"yes", "no"}:
        raise NotTested("`residual` lacks pairs with and without negative spikes.")
    held = list(pairs["no"] >= 5 * pairs["yes"])
    parts = [
        f"{_percent(row['no'])} against {_percent(row['yes'])} (silent period {row['silent_steps']}, {row['dataset']}"
        f" {row['architecture']})"
        for _, row in pairs.reset_index().iterrows()
    ]
    return judge(held, is_stand_in(rows), f"Share of neurons without against with negative spikes: {enumeration(parts)}.")


def _percent(share: float) -> str:
    return f"{small(100 * share)} %"


@claim
def negative_spikes_save_latency(tables: Tables) -> Verdict:
    """S04: the least latency, over silent periods and T, that reaches the smallest loss of ``LOSSES`` that both kinds reach."""
    rows = _settled(table_of(tables, "figure2"))
    held, parts = [], []
    for network, part in _networks(rows):
        least = {loss: {kind: _least(part[part["negative_spikes"] == kind], loss) for kind in ("yes", "no")} for loss in LOSSES}
        reached = [loss for loss in LOSSES if max(least[loss].values()) < inf]
        with_only = [loss for loss in LOSSES if least[loss]["yes"] < inf]
        if not with_only:
            raise NotTested(f"`figure2` reaches no loss of {LOSSES[-1]} points on {network}.")
        if not reached:
            held.append(True)
            parts.append(f"{network}: without negative spikes no setting reaches {LOSSES[-1]} points")
            continue
        without, with_them = least[reached[0]]["no"], least[reached[0]]["yes"]
        held.append(25 <= without - with_them <= 100)
        parts.append(f"{network}: {number(without, 0)} against {number(with_them, 0)} steps at a loss of {reached[0]} points")
    evidence = f"Least latency without against with negative spikes: {enumeration(parts)}"
    return judge(held, is_stand_in(rows), f"{evidence}.")


def _least(rows: pd.DataFrame, loss: float, column: str = "latency") -> float:
    """The least latency (or T) with at most that loss; infinite where there is none."""
    good = rows[rows["loss"] <= loss + 1e-9]
    return float(good[column].min()) if len(good) else inf


def _settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose amplitudes settled, or were not adjusted."""
    good = rows[rows["unsettled"].isna() | (rows["unsettled"] == 0)]
    if good.empty:
        raise NotTested("in no row did the amplitudes settle.")
    return good


@claim
def silent_period_of_three(tables: Tables) -> Verdict:
    """S05: the shortest silent period whose highest accuracy over T is within 0.2 points of the highest with negative spikes.

    With negative spikes the highest of all silent periods counts. Rows whose amplitudes did not settle count as well: a
    longer period that settles is no better for it.
    """
    rows = table_of(tables, "figure2")
    held, parts = [], []
    for network, part in _networks(rows):
        best = part.groupby(["negative_spikes", "silent_steps"])["snn_metric"].max()
        if not {"yes", "no"} <= set(best.index.get_level_values(0)):
            raise NotTested("`figure2` lacks one kind of spikes.")
        target, without = best["yes"].max(), best["no"]
        near = [int(silent) for silent in without.index if without[silent] >= target - EQUAL - 1e-9]
        held.append(bool(near) and 2 <= min(near) <= 5)
        shown = "; ".join(f"{silent}: {number(value)}" for silent, value in without.items())
        found = f"{min(near)}" if near else f"none up to {max(without.index)}"
        parts.append(f"{network}: {found} (highest accuracy with negative spikes {number(target)} %, without {shown})")
    return judge(held, is_stand_in(rows), f"Shortest silent period that matches: {enumeration(parts)}.")


# ---- silent period ----------------------------------------------------------------------------------------------------


@claim
def silent_period_halves_steps(tables: Tables) -> Verdict:
    """S06: least T of the silent periods 0 and 1 at the smallest loss of ``LOSSES`` that both reach; at least 1.5 times."""
    rows = table_of(tables, "figure1")
    held, parts = [], []
    for network, part in _of_twenty_layers(rows):
        found = _equal_accuracy(part, "timesteps")
        if found is None:
            reached = _least(part[part["silent_steps"] == 1], LOSSES[-1], "timesteps")
            longest = int(part[part["silent_steps"] == 0]["timesteps"].max())
            held.append(longest >= 1.5 * reached)
            parts.append(f"{network}: no T up to {longest} without, {number(reached, 0)} with it, at {LOSSES[-1]} points")
            continue
        loss, without, silent = found
        held.append(without >= 1.5 * silent)
        parts.append(f"{network}: {number(without, 0)} against {number(silent, 0)} at a loss of {loss} points")
    return judge(held, is_stand_in(rows), f"Fewest coding steps without against with the silent step: {enumeration(parts)}.")


@claim
def silent_period_costs_little_latency(tables: Tables) -> Verdict:
    """S07: the same rows, in latency by rule: each within 8 steps of the printed one."""
    rows = table_of(tables, "figure1")
    held, parts = [], []
    for network, part in _of_twenty_layers(rows):
        found = _equal_accuracy(part, "latency")
        if found is None:
            raise NotTested(f"`figure1` has no loss of up to {LOSSES[-1]} points that both silent periods reach on {network}.")
        loss, without, silent = found
        held += [abs(without - 20) <= 8, abs(silent - 30) <= 8]
        parts.append(f"{network}: {number(without, 0)} and {number(silent, 0)} at a loss of {loss} points")
    return judge(held, is_stand_in(rows), f"Least latency without and with the silent step: {enumeration(parts)}.")


def _of_twenty_layers(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of ResNet-20 on CIFAR-10, which the paper speaks of; raises NotTested where there are none."""
    chosen = rows[(rows["dataset"] == "CIFAR-10") & (rows["architecture"] == "ResNet-20")]
    if not {0, 1} <= set(chosen["silent_steps"]):
        raise NotTested("`figure1` lacks ResNet-20 on CIFAR-10 with or without silent step.")
    return [(measured_on(chosen.iloc[0]), chosen)]


def _equal_accuracy(rows: pd.DataFrame, column: str) -> tuple[float, float, float] | None:
    """The smallest loss that silent periods 0 and 1 both reach, and the least T or latency of each; None if there is none."""
    for loss in LOSSES:
        without, silent = (_least(rows[rows["silent_steps"] == length], loss, column) for length in (0, 1))
        if max(without, silent) < inf:
            return loss, without, silent
    return None


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


@claim
def resnet_20_loses_nothing(tables: Tables) -> Verdict:
    """S08: row 8."""
    return _losses(tables, {8: (-inf, 0.2)})


@claim
def larger_networks_lose_nothing(tables: Tables) -> Verdict:
    """S09: rows 9 and 10."""
    return _losses(tables, {9: (-0.2, 0.2), 10: (-0.2, 0.2)})


@claim
def imagenet_loses_little(tables: Tables) -> Verdict:
    """S11: rows 19 to 21."""
    return _losses(tables, {19: (-inf, 0.3), 20: (-inf, 0.5), 21: (-inf, 1.6)})


def _losses(tables: Tables, bounds: dict[int, tuple[float, float]]) -> Verdict:
    rows = table_of(tables, "table2")
    found = rows[rows["row"].isin(bounds)]
    if found.empty:
        raise NotTested(f"Row {', '.join(map(str, bounds))} of Table 2 was not run.")
    held, parts = [], []
    for _, row in found.iterrows():
        low, high = bounds[int(row["row"])]
        held.append(bool(low - 1e-9 <= row["loss"] <= high + 1e-9))
        loss = interval(row["loss"], row["loss_ci95_low"], row["loss_ci95_high"])
        parts.append(f"{loss} ({measured_on(row)}, T = {row['timesteps']}, {row['n_test']:,} images)")
    missing = len(bounds) - len(found)
    evidence = f"Loss in points [95 %]: {enumeration(parts)}" + (f"; not run: {count(missing, 'row')}" if missing else "")
    return judge(held, is_stand_in(found), f"{evidence}.", complete=not missing)


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
    parts = [f"{row['beta']:g} ({_short(row)}, {number(row['snn_metric'])} %)" for _, row in best.iterrows()]
    return judge(held, is_stand_in(rows), f"β of the highest accuracy without silent period: {enumeration(parts)}.")


def best_betas(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of highest accuracy of each network, silent period and T; of equal ones the smallest beta."""
    ordered = rows.sort_values(["snn_metric", "beta"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates(RUN).sort_index()


def _short(row: pd.Series) -> str:
    return f"{row['dataset']}, T = {row['timesteps']}"


@claim
def two_needs_fewer_steps(tables: Tables) -> Verdict:
    """X02: for every network, the fewest T with a loss of at most 0.3 points, TMN against TSA."""
    rows = table_of(tables, "comparison")
    held, parts = [], []
    for network, part in _networks(rows):
        steps = {name: _least(part[part["method"] == name], SMALL_LOSS, "timesteps") for name in ("TMN", "TSA")}
        if min(steps.values()) == inf:
            raise NotTested(f"`comparison` reaches no loss of {SMALL_LOSS} points on {network}.")
        held.append(steps["TMN"] < steps["TSA"])
        shown = {name: number(value, 0) if value < inf else f"none up to {_longest(part, name)}" for name, value in steps.items()}
        parts.append(f"{network}: {shown['TMN']} (β = 2) and {shown['TSA']} (β = 1.5)")
    return judge(held, is_stand_in(rows), f"Fewest steps with a loss of at most {SMALL_LOSS} points: {enumeration(parts)}.")


def _longest(rows: pd.DataFrame, name: str) -> int:
    return int(rows[rows["method"] == name]["timesteps"].max())


CLAIMS: dict[str, Check] = {
    "S02": potential_is_coded,
    "S03": residuals_are_large_without,
    "S04": negative_spikes_save_latency,
    "S05": silent_period_of_three,
    "S06": silent_period_halves_steps,
    "S07": silent_period_costs_little_latency,
    "S08": resnet_20_loses_nothing,
    "S09": larger_networks_lose_nothing,
    "S11": imagenet_loses_little,
    "S12": latency_by_rule,
    "S14": beta_is_a_compromise,
    "X02": two_needs_fewer_steps,
}
