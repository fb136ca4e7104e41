"""The paper's claims, each a check on the stored tables.

Statements and tolerances are those of ``published/claims.csv``; each check says how it reads its tables. A claim whose rows
were measured on stand-ins gets a verdict that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import inf, isnan

import pandas as pd

from benchmarks.ettfs.settings import PAPER, VARIANTS, variant_of
from benchmarks.published import read_published
from benchmarks.tables import claims as kit
from benchmarks.tables.bounds import bounded
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import marked
from benchmarks.tables.markdown import count, number, ranges, small
from benchmarks.tables.statistics import Interval, paired_difference

SLACK = 1e-9  # values in tables are rounded decimals: a tolerance includes its own edge
SIGNIFICANT, LEAST_GAIN = 0.05, 0.3
DEPTH = 5  # the layer of E03 and Figure 4
CONVERGED, FAILED, LATER = 80.0, 20.0, 5  # of E04: training accuracies in %, epochs


def pairs(rows: pd.DataFrame, value: str, *index: str) -> pd.DataFrame:
    """Means of a value under Kaiming's and the paper's initialisation, side by side where there are both."""
    cells = rows.pivot_table(index=list(index), columns="initialization", values=value, sort=False)
    return cells.reindex(columns=["kaiming", "ettfs"]).dropna()


def seed_count(row: pd.Series) -> int:
    """How many training seeds a row is a mean of."""
    return len(str(row["seeds"]).split(", "))


def effort(row: pd.Series) -> str:
    """On how much a network was trained."""
    return f"{row['training_images']:,} training images, {count(row['epochs'], 'epoch')}"


def _sentence(*parts: str) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


# ---- before training --------------------------------------------------------------------------------------------------


def stacks(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of random stacks, with their initialisation, T and layer."""
    cases = rows["case"].str.extract(r"(?P<initialization>\w+), T = (?P<T>\d+), .*layer (?P<layer>\d+)")
    return rows.join(cases).dropna(subset=["layer"]).astype({"T": int, "layer": int})


@claim
def firing_collapses_under_kaiming(tables: Tables) -> Verdict:
    """E03: for every encoding, layer 5 of the untrained network below 0.05 (Kaiming) and above 0.2 (the paper's)."""
    rows = table_of(tables, "figure1")
    cells = pairs(rows[rows["layer"] == DEPTH], "fired", "encoding")
    if cells.empty:
        raise NotTested(f"`figure1` lacks layer {DEPTH} under both initialisations.")
    which = " (the output layer)" if rows["layer"].max() == DEPTH else ""
    evidence = f"Share that fires in layer {DEPTH}{which} under Kaiming's and the paper's: {'; '.join(_both(cells, '{} input'))}"
    if "analytic" in tables:
        drawn = stacks(tables["analytic"])
        drawn = pairs(drawn[(drawn["claim"] == "E03") & (drawn["layer"] == DEPTH)], "value", "T")
        evidence += f"; in random stacks {', '.join(_both(drawn, 'T = {}'))}" if len(drawn) else ""
    return judge([*(cells["kaiming"] < 0.05), *(cells["ettfs"] > 0.2)], is_stand_in(rows), f"{evidence}.")


def _both(cells: pd.DataFrame, where: str) -> list[str]:
    return [f"{number(kaiming, 3)} and {number(ours, 3)} ({where.format(at)})" for at, kaiming, ours in cells.itertuples()]


@claim
def gradients_vanish_under_kaiming(tables: Tables) -> Verdict:
    """E05: for every encoding and layer from the second on, the ratio of medians is at least 100; 0 against 0 is not."""
    rows = table_of(tables, "figure5")
    cells = gradient_ratios(rows[rows["layer"] >= 2])
    if cells.empty:
        raise NotTested("`figure5` lacks layers from the second on under both initialisations.")
    held, listed = cells["ratio"] >= 100 - 100 * SLACK, []
    for encoding, part in cells.groupby("encoding", sort=False):
        finite, dead = part["ratio"][part["ratio"] < inf], part[part["ratio"] == inf].index.get_level_values("layer")
        shown = f"{finite.min():,.0f} to {finite.max():,.0f}" if len(finite) else "infinite"
        zero = f", infinite in layer {ranges(map(int, dead))} (Kaiming's median is 0)" if len(dead) and len(finite) else ""
        listed.append(f"{encoding} input {shown}{zero}")
    return judge(held, is_stand_in(rows), f"At least 100 in {held.sum()} of {len(held)} layers: {'; '.join(listed)}.")


def gradient_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Median gradients ``kaiming``, ``ettfs`` and their ``ratio`` by encoding and layer."""
    cells = pairs(rows, "median", "encoding", "layer")
    return cells.assign(ratio=cells["ettfs"] / cells["kaiming"])


# ---- over training ----------------------------------------------------------------------------------------------------


def convergence(rows: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of each encoding, initialisation and seed, and that of ``crossing`` 80 % training accuracy (NaN: none)."""
    names = ["encoding", "initialization", "seed"]
    trained = rows[rows["epoch"] >= 1].sort_values("epoch", kind="stable")
    crossing = trained[trained["train_accuracy"] >= CONVERGED].drop_duplicates(names)[[*names, "epoch"]]
    found = trained.drop_duplicates(names, keep="last").merge(crossing, "left", names, suffixes=("", "_crossing"))
    return found.rename(columns={"epoch_crossing": "crossing"}).astype({"crossing": "float64"})


@claim
def deep_network_converges(tables: Tables) -> Verdict:
    """E04: by encoding and seed, on the accuracy over the batches of an epoch; "later" also where Kaiming never reaches 80 %."""
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
    return judge(both["held"], is_stand_in(rows), _sentence(*parts))


def _finals(rows: pd.DataFrame, whose: str) -> str:
    finals, reached = rows[f"train_accuracy{whose}"], rows[f"crossing{whose}"].dropna()
    shown = number(finals.iloc[0], 1) if len(finals) == 1 else f"{number(finals.min(), 1)} to {number(finals.max(), 1)}"
    if reached.empty:
        return f"{shown} % (80 % never)"
    never = f", never in {len(rows) - len(reached)}" if len(reached) < len(rows) else ""
    return f"{shown} % (80 % in epoch {ranges(map(int, reached))}{never})"


@claim
def convolutional_network_learns_faster(tables: Tables) -> Verdict:
    """E06: mean over seeds higher after every epoch from the second on, on validation images; firing at step 0 (first batch)."""
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
    return judge(held, is_stand_in(*frames), _sentence(*parts, *missing), complete=not missing)


def _higher_throughout(rows: pd.DataFrame) -> tuple[bool, str]:
    means = pairs(rows[rows["epoch"] >= 2], "validation_accuracy", "epoch")
    gain = (means["ettfs"] - means["kaiming"]).sort_index()
    if gain.empty:
        raise NotTested("`figure8` has no epoch from the second on under both initialisations.")
    evidence = (
        f"validation accuracy (the test set is run once, after training) higher after {(gain > 0).sum()} of {len(gain)} epochs,"
        f" by {number(gain.iloc[0], sign=True)} points after epoch {gain.index[0]} and {number(gain.iloc[-1], sign=True)} after"
        f" epoch {gain.index[-1]}"
    )
    return bool((gain > 0).all()), evidence


def _fires_more(rows: pd.DataFrame) -> tuple[bool, str]:
    first = pairs(rows[rows["step"] == 0], "firing", "step")
    if first.empty:
        raise NotTested("`figure9` lacks step 0 under both initialisations.")
    (kaiming, ours), times = first.iloc[0], (first["ettfs"] / first["kaiming"]).iloc[0]
    evidence = (
        f"share that fires before training, mean of the layers, {number(ours, 3)} against {number(kaiming, 3)}"
        f" ({f'{small(times, 3)} times' if times < inf else 'against 0'})"
    )
    return bool(times >= 3 - SLACK), evidence


def gains_over_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """By epoch, validation accuracy under the paper's initialisation minus Kaiming's over common seeds, with its interval."""
    cells = pairs(rows, "validation_accuracy", "epoch", "seed").astype("float64").groupby("epoch")
    gains = {epoch: astuple(paired_difference(part["ettfs"].to_numpy(), part["kaiming"].to_numpy())[0]) for epoch, part in cells}
    return pd.DataFrame.from_dict(gains, orient="index", columns=["estimate", "low", "high"], dtype="float64")


# ---- Table III --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """What ``part`` of the method adds to what is ``beside`` it: the difference of two ``rows`` of Table III in points.

    Paired over ``seeds``, with the 95 % interval and the two-sided p-value of the t test (NaN for one seed); ``printed`` is the
    paper's difference.
    """

    part: str
    beside: str
    rows: tuple[int, int]
    gain: Interval
    p: float
    seeds: int
    printed: float


EFFECTS = {
    "E09": (
        ("average pooling", "Kaiming's initialisation", (3, 1)),
        ("average pooling", "the paper's initialisation", (4, 2)),
    ),
    "E10": (
        ("the paper's initialisation", "max pooling", (2, 1)),
        ("the paper's initialisation", "average pooling", (4, 3)),
    ),
}


def effects(runs: pd.DataFrame, name: str) -> list[Effect]:
    """The effects of a claim whose two variants share at least one seed, from training runs."""
    by_variant = ablated(runs).pivot(index="seed", columns="variant", values="snn_metric").reindex(columns=list(VARIANTS))
    printed = read_published(PAPER, "table3").set_index("row")["accuracy_paper"]
    found = []
    for part, beside, (better, worse) in EFFECTS[name]:
        cells = by_variant[[variant_of(better), variant_of(worse)]].dropna().to_numpy(dtype="float64")
        if len(cells):
            difference = float(printed[better] - printed[worse])
            found.append(Effect(part, beside, (better, worse), *paired_difference(*cells.T), len(cells), difference))
    return found


def ablated(runs: pd.DataFrame) -> pd.DataFrame:
    """ETTFS's runs on the network of which there are variants."""
    runs = runs[runs["method"] == "ETTFS"]
    where = runs[runs["variant"] != "both"].head(1)
    return runs.merge(where[["dataset", "network"]])


def gain_of(name: str) -> Check:
    """Both effects of a claim are significant and large enough; with one seed there is no test."""

    @claim
    def check(tables: Tables) -> Verdict:
        runs = table_of(tables, "runs")
        found = effects(runs, name)
        if not found:
            raise NotTested("`runs` lacks the variants of Table III with equal seeds.")
        tested = [effect for effect in found if not isnan(effect.p)]
        listed = list(map(_effect, found))
        if not tested:
            raise NotTested(f"A paired test needs at least two seeds ({'; '.join(listed)}).")
        complete = len(tested) == len(EFFECTS[name])
        if not complete:
            listed.append("the other comparison was not run over seeds")
        rows = ablated(runs)
        held = [effect.p < SIGNIFICANT and effect.gain.estimate >= LEAST_GAIN - SLACK for effect in tested]
        return judge(held, is_stand_in(rows), _sentence(*listed, effort(rows.iloc[0])), complete)

    return check


def _effect(effect: Effect) -> str:
    word = "under" if effect.beside.endswith("initialisation") else "with"
    p = f"{p_value(effect.p)}, " if not isnan(effect.p) else ""
    printed = f"{count(effect.seeds, 'seed')}; printed {number(effect.printed, sign=True)}"
    return f"{word} {effect.beside} {signed_interval(effect.gain)} points ({p}{printed})"


def signed_interval(gain: Interval) -> str:
    """``+1.05 [0.80, 1.30]``; without an interval for a single seed."""
    if isnan(gain.low):
        return number(gain.estimate, sign=True)
    return f"{number(gain.estimate, sign=True)} [{number(gain.low)}, {number(gain.high)}]"


def p_value(p: float) -> str:
    """``p = 0.012``; ``p < 0.0001`` where it is smaller."""
    return "p < 0.0001" if p < 1e-4 else f"p = {small(p)}"


# ---- Tables I and II --------------------------------------------------------------------------------------------------


def best_on_fashion(tables: Tables) -> Verdict:
    """E13: at best partly, since what other perceptrons reach is unknown."""
    found = bounded(PAPER, "E13")(tables)
    note = "; for the SMLP the marks of STDBP and TQ-TTFS are unknown, so the best verdict is partly."
    partly = {kit.REPRODUCED: kit.PARTLY, kit.STAND_IN + kit.REPRODUCED: kit.STAND_IN + kit.PARTLY}
    status = partly.get(found.status, found.status)
    return found if status == kit.NOT_TESTED else Verdict(status, found.evidence.removesuffix(".") + note)


# ---- decoding and the forced spike ------------------------------------------------------------------------------------


@claim
def exponential_weights_fire_earlier(tables: Tables) -> Verdict:
    """E14: against linear and against uniform weights: first output spike 10 % earlier, accuracy at most 0.3 points lower.

    The paper's base is lost: ours is 4 if it was run, else the largest of at least 2.
    """
    rows = table_of(tables, "decoders")
    held, listed, frames = [], [], []
    networks = [network for _, network in rows.groupby(["dataset", "network"], sort=False)]
    for network in networks:
        by = {str(row["decoder"]): row for _, row in network.iterrows()}
        chosen = chosen_exponential(list(by))
        rivals = [name for name in ("linear", "uniform") if name in by]
        if chosen is None or not rivals:
            continue
        ours = by[chosen]
        frames.append(network[network["decoder"].isin([chosen, *rivals])])
        for other in (by[name] for name in rivals):
            earlier = ours["decision_step"] <= 0.9 * other["decision_step"] + SLACK
            held.append(bool(earlier and ours["snn_metric"] >= other["snn_metric"] - 0.3 - SLACK))
        compared = [f"{n} {number(by[n]['decision_step'])} and {number(by[n]['snn_metric'])} %" for n in (chosen, *rivals)]
        listed.append(f"{', '.join(compared)} ({_on(network.iloc[0])})")
    if not held:
        raise NotTested("`decoders` lacks exponential weights of base 2 or more, or anything to compare them with.")
    evidence = f"Step of the first output spike and accuracy: {'; '.join(listed)}."
    return judge(held, is_stand_in(*frames), evidence, complete=len(held) == 2 * len(networks))


def chosen_exponential(names: Sequence[str]) -> str | None:
    """Which decoder stands for the paper's, whose base is lost: base 4, else the largest; None without one of at least 2."""
    bases = {float(name.partition("-")[2]): name for name in names if name.startswith("exponential-")}
    known = [base for base in bases if base >= 2]
    return bases[4.0 if 4.0 in known else max(known)] if known else None


def _on(row: pd.Series) -> str:
    own = f"{marked(row)} for " if row["status"] == "stand-in" else ""
    return f"{own}{row['network']} on {row['dataset']}, {count(seed_count(row), 'seed')}"


CLAIMS: dict[str, Check] = {
    "E03": firing_collapses_under_kaiming,
    "E04": deep_network_converges,
    "E05": gradients_vanish_under_kaiming,
    "E06": convolutional_network_learns_faster,
    "E09": gain_of("E09"),
    "E10": gain_of("E10"),
    "E13": best_on_fashion,
    "E14": exponential_weights_fire_earlier,
}
