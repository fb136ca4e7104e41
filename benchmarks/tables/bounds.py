"""Claims that bound a measure of rows of a table, as ``published/claims.csv`` states them.

``rows`` names rows of a table (``table2: 19, 20``), ``measure`` a column of it or an expression of its columns (``snn_metric -
accuracy_paper``), ``least`` and ``most`` the bounds: one for all rows, or one for each (``0.3; 0.5``); an empty one is open.
"""

from __future__ import annotations

import importlib
from math import inf

import pandas as pd

from benchmarks.published import read_published
from benchmarks.tables.claims import Check, NotTested, Tables, Verdict, brief, claim, is_stand_in, judge
from benchmarks.tables.columns import loss_text, marked, printed_loss
from benchmarks.tables.markdown import enumeration, number
from benchmarks.tables.status import NOT_RUN, measured

SLACK = 1e-9  # values in tables are rounded decimals: a bound includes its own edge

Said = dict[str, str]
"""What ``claims.csv`` says of a claim, by column; texts."""
_BOUNDS = ("rows", "measure", "least", "most")


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
    table, numbers = rows_of(said)

    @claim
    def check(tables: Tables) -> Verdict:
        rows, missing = chosen_rows(tables, table, numbers)
        limits = pd.DataFrame(dict(zip(("least", "most"), bounds(said), strict=True)), index=numbers).loc[rows.index]
        values = rows.eval(said["measure"])
        held = list(values.ge(limits["least"] - SLACK) & values.le(limits["most"] + SLACK))
        evidence = "; ".join([*(evidence_of(row) for _, row in rows.iterrows()), *missing])
        return judge(held, is_stand_in(rows), f"{evidence[0].upper()}{evidence[1:]}.", complete=not missing)

    return check


def rows_of(said: Said) -> tuple[str, list[int]]:
    """The table and the rows that a claim names."""
    table, _, numbers = said["rows"].partition(": ")
    return table, [int(number) for number in numbers.split(", ")]


def bounds(said: Said) -> tuple[list[float], list[float]]:
    """The least and the largest value of each row of a claim."""
    count = len(rows_of(said)[1])
    least, most = ([float(part) if part else open_end for part in said[end].split("; ")]
                   for end, open_end in (("least", -inf), ("most", inf)))  # fmt: skip
    return least * (count if len(least) == 1 else 1), most * (count if len(most) == 1 else 1)


def tolerance(said: Said) -> str:
    """What we call reproduced, in words: from the bounds of a claim where it has some."""
    if not said["rows"]:
        return said["tolerance"]
    least, most = said["least"], said["most"]
    if least == f"-{most}":
        words = f"within {most} of zero"
    else:
        words = " and ".join(
            f"at {end} {enumeration(limit.split('; '))}" for end, limit in (("least", least), ("most", most)) if limit
        )
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
    """The loss of a row, with what it was measured on and what is printed."""
    where = marked(row) if row["status"] == "stand-in" else f"{row['architecture']} on {row['dataset']}"
    what = f"{row['method']}, {where}, T = {row['timesteps']}, {row['n_test']:,} images"
    return f"row {row['row']} ({what}): loss {loss_text(row)} points, printed {number(printed_loss(row))}"
