"""Claims that bound a measure of rows or of pairs of rows of a table, as ``published/claims.csv`` states them.

``rows`` names rows of a table (``table2: 19, 20``), ``measure`` a column of it or an expression of its columns (``snn_metric -
accuracy_paper``), ``least`` and ``most`` the bounds: one for all rows, or one for each (``0.3; 0.5``); an empty one is open, and
``above 1`` does not hold at 1 itself.

Pairs are rows that differ in one column and agree in others, ``table3: method = TMN / COS, Fast-SNN by dataset``, of rows that
further columns choose (``; timesteps = 4``). Columns of the second row are called ``other_...``: ``energy_mj / other_energy_mj``.

Conditions on columns name all rows that meet them, each with bounds of its own (``forced: trained == 'forced'``); of ``analytic``
those of the claim, whose measure may also use what a case names (``value * T / 2``).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from math import inf
from typing import Any

import pandas as pd

from benchmarks.published import read_published
from benchmarks.tables.analytic import analytic, parameters
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, brief, claim, is_stand_in, judge, table_of
from benchmarks.tables.columns import accuracy_text, loss_text, marked, printed_loss
from benchmarks.tables.markdown import enumeration, number, sentence, small
from benchmarks.tables.status import NOT_RUN, measured

MOST = 4  # cases or pairs that are named one by one
SLACK = 1e-9  # values in tables are rounded decimals: a bound includes its own edge

Said = dict[str, str]
"""What ``claims.csv`` says of a claim, by column; texts."""
_BOUNDS = ("rows", "measure", "least", "most")
_PAIRS = re.compile(r"(?P<table>\w+): (?P<column>\w+) = (?P<one>.+) / (?P<others>.+) by (?P<by>[\w, ]+)(?P<chosen>(; \w+ = .+)*)")


def printed_claims(paper: str) -> dict[str, Said]:
    """What ``claims.csv`` says, by id."""
    found = read_published(paper, "claims", as_text=True)
    lines = ({str(name): str(text) for name, text in line.items()} for line in found.to_dict("records"))
    return {line["id"]: dict.fromkeys(_BOUNDS, "") | line for line in lines}


def checks_of(paper: str) -> dict[str, Check]:
    """The checks of a paper's claims, in their order: those of its room, and the bounds of ``claims.csv``."""
    own: dict[str, Check] = importlib.import_module(f"benchmarks.{paper}.claims").CLAIMS
    said = printed_claims(paper)
    checked = [name for name, line in said.items() if name in own or line["rows"]]
    return {name: own[name] if name in own else bounded(paper, name) for name in checked}


def bounded(paper: str, name: str) -> Check:
    """The check of a claim that has rows and bounds in ``claims.csv``: every row lies within them."""
    said = printed_claims(paper)[name]
    return claim(lambda tables: _of_rows(tables, said))


def _of_rows(tables: Tables, said: Said) -> Verdict:
    table, numbers = rows_of(said)
    if not numbers:
        return (_of_pairs if _PAIRS.fullmatch(said["rows"]) else _of_conditions)(tables, said)
    return judged_rows(tables, table, numbers, lambda rows: _measured(rows, said, bounds(said, numbers).loc[rows.index])[1])


def judged_rows(tables: Tables, table: str, numbers: list[int], held: Callable[[pd.DataFrame], list[bool]]) -> Verdict:
    """The verdict on rows of a table by number, with their losses as evidence: ``held(rows)`` of those that were measured."""
    rows, missing = chosen_rows(tables, table, numbers)
    evidence = sentence(*(evidence_of(row) for _, row in rows.iterrows()), *missing)
    return judge(held(rows), is_stand_in(rows), evidence, complete=not missing)


def _of_pairs(tables: Tables, said: Said) -> Verdict:
    pairs, places = paired_rows(tables, said["rows"])
    values, held = _measured(pairs, said, bounds(said, pairs.index))
    each = [f"{place}: {number(value)}" for place, value in zip(places, values, strict=True)]
    evidence = "; ".join(each)
    if len(pairs) > MOST:
        evidence = f"{number(values.min())} to {number(values.max())} in {len(pairs)} pairs"
        if off := [text for text, good in zip(each, held, strict=True) if not good]:
            evidence += f", {len(off)} of them outside the bounds" + (f" ({'; '.join(off)})" if len(off) <= MOST else "")
    if not all(held) and "snn_metric" in said["measure"]:
        worse = pairs[[not good for good in held]]
        inside = worse["loss"].between(worse["other_loss_ci95_low"], worse["other_loss_ci95_high"])
        inside &= worse["other_loss"].between(worse["loss_ci95_low"], worse["loss_ci95_high"])
        evidence += f"; {sum(inside)} of {len(worse)} with each loss inside the other's 95 % interval"
    return judge(held, is_stand_in(pairs), sentence(evidence))


def _measured(rows: pd.DataFrame, said: Said, limits: Any) -> tuple[pd.Series, list[bool]]:
    """The measure of each row, and whether it lies within the bounds."""
    values = pd.Series(rows.eval(said["measure"]), dtype="float64")
    return values, list(values.ge(limits["least"] - SLACK) & values.le(limits["most"] + SLACK))


def paired_rows(tables: Tables, said: str) -> tuple[pd.DataFrame, list[str]]:
    """The pairs that a claim names, and how each is called. Raises NotTested where there is none."""
    found = _PAIRS.fullmatch(said)
    assert found is not None
    column, by, others = found["column"], found["by"].split(", "), found["others"].split(", ")
    rows = table_of(tables, found["table"])
    for name, _, value in (chosen.partition(" = ") for chosen in found["chosen"].split("; ")[1:]):
        rows = rows[rows[name].astype(str) == value]
    each = rows[column].astype(str)
    second = rows[each.isin(others)].add_prefix("other_")
    pairs = rows[each == found["one"]].merge(second, left_on=by, right_on=[f"other_{name}" for name in by])
    if pairs.empty:
        raise NotTested(f"`{found['table']}` has no pair of {column} = {found['one']} and {found['others']}.")
    pairs.loc[pairs["other_status"] == "stand-in", "status"] = "stand-in"
    places = []
    for _, row in pairs.iterrows():
        words = [f"{name.replace('_', ' ')} {row[name]}" for name in by if name not in ("dataset", "architecture")]
        network = [marked(row)] if "dataset" in by else []
        places.append(", ".join([*network, *words, *([f"against {row[f'other_{column}']}"] if len(others) > 1 else [])]))
    return pairs, places


def _of_conditions(tables: Tables, said: Said) -> Verdict:
    table, conditions = conditions_of(said)
    frame = parameters(analytic(tables, said["id"])) if table == "analytic" else table_of(tables, table)
    limits, held, evidence = bounds(said, conditions), [], []
    for condition in conditions:
        rows = frame.query(condition, engine="python")
        if rows.empty:
            raise NotTested(f"`{table}` has no row with {condition}.")
        values, within = _measured(rows, said, limits.loc[condition])
        held += within
        evidence.append(f"{_named(rows, said['measure'])}: {_ends(values)}")
    return judge(held, is_stand_in(frame), sentence(*evidence))


def _named(rows: pd.DataFrame, measure: str) -> str:
    """A measure, with the cases or with what it was measured on."""
    if "case" not in rows:
        return f"`{measure}` ({'; '.join(dict.fromkeys(marked(row) for _, row in rows.iterrows()))})"
    what = enumeration(list(rows["quantity"].unique())) + ("" if measure == "value" else f", `{measure}`")
    return f"{what} ({'; '.join(rows['case']) if len(rows) <= MOST else f'{len(rows)} cases'})"


def _ends(values: pd.Series) -> str:
    return " to ".join(dict.fromkeys(small(value, 3) for value in (values.min(), values.max())))


def conditions_of(said: Said) -> tuple[str, list[str]]:
    """The table and the conditions that a claim names."""
    table, _, conditions = said["rows"].partition(": ")
    return table, conditions.split("; ")


def rows_of(said: Said) -> tuple[str, list[int]]:
    """The table and the rows that a claim names; no row where it names pairs or conditions."""
    table, _, numbers = said["rows"].partition(": ")
    return table, [int(number) for number in numbers.split(", ")] if numbers[:1].isdigit() else []


def bounds(said: Said, rows: Any) -> pd.DataFrame:
    """The columns ``least`` and ``most``: the bounds of each of these rows. Raises ValueError for another number of bounds."""
    ends = {end: [_end(part, open_end) for part in said[end].split("; ")] for end, open_end in (("least", -inf), ("most", inf))}
    return pd.DataFrame({end: limits * (len(rows) if len(limits) == 1 else 1) for end, limits in ends.items()}, index=rows)


def _end(text: str, open_end: float) -> float:
    return float(text.removeprefix("above ")) + 2 * SLACK * text.startswith("above") if text else open_end


def tolerance(said: Said) -> str:
    """What we call reproduced, in words: from the bounds of a claim where it has some."""
    if not (rows_of(said)[1] or _PAIRS.fullmatch(said["rows"])):
        return said["tolerance"]
    least, most = said["least"], said["most"]
    if least == f"-{most}":
        words = f"within {most} of zero"
    else:
        ends = [f"at {end} {enumeration(limit.split('; '))}" for end, limit in (("least", least), ("most", most)) if limit]
        words = " and ".join(ends).replace("at least above", "above")
    return f"{words} ({said['tolerance']})" if said["tolerance"] else words


def chosen_rows(tables: Tables, table: str, numbers: list[int]) -> tuple[pd.DataFrame, list[str]]:
    """Measured rows of a table by number, and why the others are missing. Raises NotTested if all are."""
    if table not in tables:
        raise NotTested(f"`{table}` was not run yet.")
    frame = tables[table].set_index("row", drop=False)
    status = frame["status"].to_dict()
    found = [n for n in numbers if n in set(measured(frame)["row"])]
    missing = [f"row {n}: {brief(status.get(n, 'not run yet').removeprefix(NOT_RUN))}" for n in numbers if n not in found]
    if not found:
        raise NotTested(f"`{table}`, {'; '.join(missing)}.")
    return frame.loc[found], missing


def evidence_of(row: pd.Series) -> str:
    """The loss of a row or, without one, its accuracy, with what it was measured on and what is printed."""
    if "loss" not in row:
        what = f"{row['method']}, {marked(row)}, T = {row['timesteps']}, {row['n_test']:,} images"
        trained = f"{row['training_images']:,} training images, {row['epochs']} epochs, seeds {row['seeds']}"
        printed = "" if pd.isna(row["accuracy_paper"]) else f", printed {number(row['accuracy_paper'])}"
        return f"row {row['row']} ({what}; {trained}): {accuracy_text(row)} %{printed}"
    where = marked(row) if row["status"] == "stand-in" else f"{row['architecture']} on {row['dataset']}"
    what = f"{row['method']}, {where}, T = {row['timesteps']}, {row['n_test']:,} images"
    return f"row {row['row']} ({what}): loss {loss_text(row)} points, printed {number(printed_loss(row))}"
