"""The paper's claims that are more than bounds (``benchmarks/tables/bounds.py``), each a check on the stored tables.

Statements and tolerances are those of ``published/claims.csv``; each check says how it reads its tables. A claim whose rows
were measured on stand-ins gets a verdict that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from math import inf, isnan
from typing import NamedTuple

import pandas as pd

from benchmarks.ettfs.settings import PAPER, variant_of
from benchmarks.published import read_published
from benchmarks.tables import claims as kit
from benchmarks.tables.bounds import SLACK, bounded
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, checks, is_stand_in, judge, table_of
from benchmarks.tables.columns import marked
from benchmarks.tables.differences import Difference, differences
from benchmarks.tables.markdown import DASH, count, number, ranges, sentence, small

CLAIMS: dict[str, Check] = {}
SIGNIFICANT, LEAST_GAIN = 0.05, 0.3
DEPTH = 5  # the layer of E03 and Figure 4
CONVERGED, FAILED, LATER = 80.0, 20.0, 5  # of E04: training accuracies in %, epochs


def pairs(rows: pd.DataFrame, value: str, *index: str) -> pd.DataFrame:
    """Means of a value under Kaiming's and the paper's initialisation, and their ``ratio``, where there are both."""
    cells = rows.pivot_table(index=list(index), columns="initialization", values=value, sort=False)
    cells = cells.reindex(columns=["kaiming", "ettfs"]).dropna()
    return cells.assign(ratio=cells["ettfs"] / cells["kaiming"])


def seed_count(row: pd.Series) -> int:
    """How many training seeds a row is a mean of."""
    return len(str(row["seeds"]).split(", "))


def effort(row: pd.Series) -> str:
    """On how much a network was trained."""
    return f"{row['training_images']:,} training images, {count(row['epochs'], 'epoch')}"


def spread(values: pd.Series, decimals: int = 2) -> str:
    """``1.00 to 2.00``, least to largest."""
    return f"{number(values.min(), decimals)} to {number(values.max(), decimals)}"


# ---- before training --------------------------------------------------------------------------------------------------


def stacks(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of random stacks, with their initialisation, T and layer."""
    cases = rows["case"].str.extract(r"(?P<initialization>\w+), T = (?P<T>\d+), .*layer (?P<layer>\d+)")
    return rows.join(cases).dropna(subset=["layer"]).astype({"T": int, "layer": int})


@checks(CLAIMS, "E03")
def firing_collapses_under_kaiming(tables: Tables) -> Verdict:
    """For every encoding, layer 5 of the untrained network below 0.05 (Kaiming) and above 0.2 (the paper's)."""
    rows = table_of(tables, "figure1")
    cells = pairs(rows[rows["layer"] == DEPTH], "fired", "encoding")
    if cells.empty:
        raise NotTested(f"`figure1` lacks layer {DEPTH} under both initialisations.")
    drawn = stacks(tables.get("analytic", pd.DataFrame({"case": []}, dtype="str")))
    drawn = pairs(drawn[(drawn["claim"] == "E03") & (drawn["layer"] == DEPTH)], "value", "T") if len(drawn) else drawn
    both = [f"{number(kaiming, 3)} and {number(ours, 3)} ({encoding} input)" for encoding, kaiming, ours, _ in cells.itertuples()]
    also = [f"{number(kaiming, 3)} and {number(ours, 3)} (T = {t})" for t, kaiming, ours, _ in drawn.itertuples()]
    which = " (the output layer)" if rows["layer"].max() == DEPTH else ""
    evidence = f"Share that fires in layer {DEPTH}{which} under Kaiming's and the paper's: {'; '.join(both)}"
    evidence += f"; in random stacks {', '.join(also)}." if also else "."
    return judge([*(cells["kaiming"] < 0.05), *(cells["ettfs"] > 0.2)], is_stand_in(rows), evidence)


@checks(CLAIMS, "E05")
def gradients_vanish_under_kaiming(tables: Tables) -> Verdict:
    """For every encoding and layer from the second on, the ratio of medians is at least 100; 0 against 0 is not."""
    rows = table_of(tables, "figure5")
    ratios = pairs(rows[rows["layer"] >= 2], "median", "encoding", "layer")["ratio"]
    if ratios.empty:
        raise NotTested("`figure5` lacks layers from the second on under both initialisations.")
    held, listed = ratios >= 100 - 100 * SLACK, []
    for encoding, part in ratios.groupby("encoding", sort=False):
        finite, dead = part[part < inf], part[part == inf].index.get_level_values("layer")
        shown = f"{finite.min():,.0f} to {finite.max():,.0f}" if len(finite) else "infinite"
        zero = f", infinite in layer {ranges(map(int, dead))} (Kaiming's median is 0)" if len(dead) and len(finite) else ""
        listed.append(f"{encoding} input {shown}{zero}")
    return judge(held, is_stand_in(rows), f"At least 100 in {held.sum()} of {len(held)} layers: {'; '.join(listed)}.")


# ---- over training ----------------------------------------------------------------------------------------------------


def convergence(rows: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of each encoding, initialisation and seed, and that of ``crossing`` 80 % training accuracy (NaN: none)."""
    names = ["encoding", "initialization", "seed"]
    trained = rows[rows["epoch"] >= 1].sort_values("epoch", kind="stable")
    crossing = trained[trained["train_accuracy"] >= CONVERGED].drop_duplicates(names)[[*names, "epoch"]]
    found = trained.drop_duplicates(names, keep="last").merge(crossing, "left", names, suffixes=("", "_crossing"))
    return found.rename(columns={"epoch_crossing": "crossing"}).astype({"crossing": "float64"})


@checks(CLAIMS, "E04")
def deep_network_converges(tables: Tables) -> Verdict:
    """By encoding and seed, on the accuracy over the batches of an epoch; "later" also where Kaiming never reaches 80 %."""
    rows = table_of(tables, "figure4")
    found = convergence(rows)
    ours, theirs = (found[found["initialization"] == name] for name in ("ettfs", "kaiming"))
    both = ours.merge(theirs, on=["encoding", "seed"], suffixes=("", "_kaiming"))
    if both.empty:
        raise NotTested("`figure4` lacks one of the initialisations.")
    later = both["crossing_kaiming"].fillna(both["epoch_kaiming"].astype("float64")) - both["crossing"] >= LATER
    both["held"] = (both["train_accuracy"] > CONVERGED) & ((both["train_accuracy_kaiming"] < FAILED) | later)
    parts = [
        f"{encoding} input, training accuracy after {part['epoch'].iloc[0]} epochs: the paper's {_finals(part, '')},"
        f" Kaiming's {_finals(part, '_kaiming')}, {part['held'].sum()} of {count(len(part), 'seed')} as claimed"
        for encoding, part in both.groupby("encoding", sort=False)
    ]
    return judge(both["held"], is_stand_in(rows), sentence(*parts))


def _finals(rows: pd.DataFrame, whose: str) -> str:
    finals, reached = rows[f"train_accuracy{whose}"], rows[f"crossing{whose}"].dropna()
    shown = spread(finals, 1) if len(finals) > 1 else number(finals.iloc[0], 1)
    if reached.empty:
        return f"{shown} % (80 % never)"
    never = f", never in {len(rows) - len(reached)}" if len(reached) < len(rows) else ""
    return f"{shown} % (80 % in epoch {ranges(map(int, reached))}{never})"


@checks(CLAIMS, "E06")
def convolutional_network_learns_faster(tables: Tables) -> Verdict:
    """Mean over seeds higher after every epoch from the second on, on validation images; firing at step 0 (first batch)."""
    held, parts, frames, missing = [], [], [], []
    for name, check in (("figure8", _higher_throughout), ("figure9", _fires_more)):
        try:
            rows = table_of(tables, name)
            holds, evidence = check(rows)
        except NotTested as reason:
            missing.append(str(reason).rstrip("."))
            continue
        frames.append(rows)
        held.append(holds)
        parts.append(evidence)
    if not held:
        raise NotTested(f"{'; '.join(missing)}.")
    return judge(held, is_stand_in(*frames), sentence(*parts, *missing), complete=not missing)


def _higher_throughout(rows: pd.DataFrame) -> tuple[bool, str]:
    means = pairs(rows[rows["epoch"] >= 2], "validation_accuracy", "epoch").sort_index()
    if means.empty:
        raise NotTested("`figure8` has no epoch from the second on under both initialisations.")
    gain = means["ettfs"] - means["kaiming"]
    by, last = (number(gain.iloc[place], sign=True) for place in (0, -1))
    evidence = (
        f"validation accuracy (the test set is run once, after training) higher after {(gain > 0).sum()} of {len(gain)} epochs,"
        f" by {by} points after epoch {gain.index[0]} and {last} after epoch {gain.index[-1]}"
    )
    return bool((gain > 0).all()), evidence


def _fires_more(rows: pd.DataFrame) -> tuple[bool, str]:
    first = pairs(rows[rows["step"] == 0], "firing", "step")
    if first.empty:
        raise NotTested("`figure9` lacks step 0 under both initialisations.")
    kaiming, ours, times = first.iloc[0]
    ratio = f"{small(times, 3)} times" if times < inf else "against 0"
    evidence = f"share that fires before training, mean of the layers, {number(ours, 3)} against {number(kaiming, 3)} ({ratio})"
    return bool(times >= 3 - SLACK), evidence


def gains_over_epochs(rows: pd.DataFrame) -> list[Difference]:
    """By epoch, validation accuracy under the paper's initialisation minus Kaiming's."""
    return differences(rows, "initialization", "ettfs", "kaiming", ["epoch"], "validation_accuracy")


# ---- Table III --------------------------------------------------------------------------------------------------------


class Effect(NamedTuple):
    """What ``part`` of the method adds to what is ``beside`` it: the difference of two ``rows`` of Table III, and as printed."""

    part: str
    beside: str
    rows: tuple[int, int]
    found: Difference
    printed: float


POOLING, INITIALIZATION = "average pooling", "the paper's initialisation"
EFFECTS = {
    "E09": ((POOLING, "Kaiming's initialisation", (3, 1)), (POOLING, INITIALIZATION, (4, 2))),
    "E10": ((INITIALIZATION, "max pooling", (2, 1)), (INITIALIZATION, POOLING, (4, 3))),
}


def effects(runs: pd.DataFrame, *names: str) -> list[Effect]:
    """The effects of claims whose two variants share at least one seed, from training runs."""
    printed = read_published(PAPER, "table3").set_index("row")["accuracy_paper"]
    return [
        Effect(part, beside, (better, worse), found, float(printed[better] - printed[worse]))
        for name in names
        for part, beside, (better, worse) in EFFECTS[name]
        for found in differences(runs, "variant", variant_of(better), variant_of(worse), ["dataset", "network", "method"])
    ]


def _gain(name: str, tables: Tables) -> Verdict:
    """Both effects of a claim are significant and large enough; with one seed there is no test."""
    found = effects(table_of(tables, "runs"), name)
    if not found:
        raise NotTested("`runs` lacks the variants of Table III with equal seeds.")
    tested = [effect.found for effect in found if not isnan(effect.found.p)]
    listed = [_effect(*effect) for effect in found]
    if not tested:
        raise NotTested(f"A paired test needs at least two seeds ({'; '.join(listed)}).")
    complete = len(tested) == len(EFFECTS[name])
    listed += [] if complete else ["the other comparison was not run over seeds"]
    held = [each.p < SIGNIFICANT and each.points.estimate >= LEAST_GAIN - SLACK for each in tested]
    stand_in = is_stand_in(pd.DataFrame([each.row for each in tested]))
    return judge(held, stand_in, sentence(*listed, effort(tested[0].row)), complete)


for claimed in EFFECTS:
    checks(CLAIMS, claimed)(partial(_gain, claimed))


def _effect(part: str, beside: str, _: tuple[int, int], found: Difference, printed: float) -> str:
    word = "under" if beside.endswith("initialisation") else "with"
    p = f"p {p_value(found.p)}, " if not isnan(found.p) else ""
    return f"{word} {beside} {found.gain} points ({p}{count(found.seeds, 'seed')}; printed {number(printed, sign=True)})"


def p_value(p: float) -> str:
    """``= 0.012``; ``< 0.0001`` where it is smaller, a dash where there is none."""
    return DASH if isnan(p) else "< 0.0001" if p < 1e-4 else f"= {small(p)}"


# ---- Tables I and II --------------------------------------------------------------------------------------------------


@checks(CLAIMS, "E13")
def best_on_fashion(tables: Tables) -> Verdict:
    """At best partly, since what other perceptrons reach is unknown."""
    found = bounded(PAPER, "E13")(tables)
    note = "; for the SMLP the marks of STDBP and TQ-TTFS are unknown, so the best verdict is partly."
    partly = {kit.REPRODUCED: kit.PARTLY, kit.STAND_IN + kit.REPRODUCED: kit.STAND_IN + kit.PARTLY}
    status = partly.get(found.status, found.status)
    return found if status == kit.NOT_TESTED else Verdict(status, found.evidence.removesuffix(".") + note)


# ---- decoding and the forced spike ------------------------------------------------------------------------------------


@checks(CLAIMS, "E14")
def exponential_weights_fire_earlier(tables: Tables) -> Verdict:
    """Against linear and against uniform weights: first output spike 10 % earlier, accuracy at most 0.3 points lower.

    The paper's base is lost: ours is 4 if it was run, else the largest of at least 2.
    """
    rows = table_of(tables, "decoders")
    held, listed, compared, networks = [], [], [], rows.groupby(["dataset", "network"], sort=False)
    for _, network in networks:
        by = network.set_index("decoder", drop=False)
        chosen, rivals = chosen_exponential(by.index), by.loc[[name for name in ("linear", "uniform") if name in by.index]]
        if chosen is None or rivals.empty:
            continue
        ours = network[network["decoder"] == chosen].iloc[0]
        earlier = ours["decision_step"] <= 0.9 * rivals["decision_step"] + SLACK
        held += list(earlier & (ours["snn_metric"] >= rivals["snn_metric"] - 0.3 - SLACK))
        compared.append(by.loc[[chosen, *rivals.index]])
        each = [f"{n} {number(row['decision_step'])} and {number(row['snn_metric'])} %" for n, row in compared[-1].iterrows()]
        own = f"{marked(ours)} for " if ours["status"] == "stand-in" else ""
        listed.append(f"{', '.join(each)} ({own}{ours['network']} on {ours['dataset']}, {count(seed_count(ours), 'seed')})")
    if not held:
        raise NotTested("`decoders` lacks exponential weights of base 2 or more, or anything to compare them with.")
    evidence = f"Step of the first output spike and accuracy: {'; '.join(listed)}."
    return judge(held, is_stand_in(*compared), evidence, complete=len(held) == 2 * len(networks))


def chosen_exponential(names: Iterable[str]) -> str | None:
    """Which decoder stands for the paper's, whose base is lost: base 4, else the largest; None without one of at least 2."""
    bases = {float(name.partition("-")[2]): name for name in names if name.startswith("exponential-")}
    known = [base for base in bases if base >= 2]
    return bases[4.0 if 4.0 in known else max(known)] if known else None
