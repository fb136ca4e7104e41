"""The regression check: is a stored table still what a re-run gives?

Exact are the set and order of rows, texts, whole numbers, and columns with ``rtol = atol = 0``. What a
re-run on other hardware may change is compared as follows.

Accuracies are never compared as numbers, but by what they come from, the per-sample correctness beside the
table:

1. Each stored accuracy, loss and interval must be, to its last digit, the one recomputed from the stored
   correctness. No network runs in this step, so it needs no tolerance: one test image more or less in the
   table is seen, and so is a changed definition of a column. The fresh table must pass the same step.
2. Stored and fresh correctness of the same samples are compared. Another order of summation moves logits in
   their last bits, so it turns only samples on a decision boundary: very few, and into either direction
   alike. Changes are float noise while they are both few, at most ``max(2, N / 500)`` samples, and balanced
   as the exact McNemar test sees it (p >= 0.05). A bug or another threshold turns many samples; a slight
   but systematic loss turns them one way (6 to 0 is p = 0.03). The first rule alone would let a steady
   drift of 0.2 points pass, the second alone a network that errs as often, but on other samples.

How far the limits lie from both sides was measured on 10 000 images of Fashion-MNIST (a network of three
convolutions, and its conversion to integrate-and-fire neurons at T = 16): float64 in place of float32,
narrower vector instructions and another batch size turned no sample; thresholds off by 0.1 % turned 31 (13
to 18) and off by 1 % turned 53, where 20 are the limit. What passes both rules (5 samples to 0, say) is a
note, never dropped. A correctness file that is missing on one side is a difference: a stored number cannot
escape by losing its evidence.

Other numbers (errors, residuals, energies) are compared as printed,
``|stored - fresh| <= atol + rtol max(|stored|, |fresh|)``, with the tolerances of their column. A column
needs enough decimals that its last digit is finer than that, and an ``atol`` where the exact value is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd

from benchmarks.harness.results import STATUS, correctness_key, format_cell, format_rows, row_key
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.statistics import Correct, accuracy_columns, mcnemar_exact

ALPHA = 0.05
NOISE_SAMPLES = 2
NOISE_ONE_IN = 500

Correctness = Mapping[str, Correct]
_NETWORKS: tuple[Literal["ann", "snn"], ...] = ("ann", "snn")
# The columns that step 2 compares through the correctness; the number of samples stays an exact number.
_ACCURACIES = frozenset(accuracy_columns(None, np.ones(1, dtype=np.bool_))) - {"n_test"}


@dataclass(frozen=True)
class Difference:
    """One place where the tables differ: the row's key cells, the column, the two cells as printed, and by which rule.

    ``column`` is ``rows`` or ``correctness`` where no column is at fault.
    """

    row: str
    column: str
    stored: str
    fresh: str
    reason: str

    def __str__(self) -> str:
        return f"{self.row} | {self.column}: stored {self.stored!r}, fresh {self.fresh!r}: {self.reason}"


@dataclass(frozen=True)
class Comparison:
    """The differences, which fail the check, and notes: changes within tolerance, which do not."""

    differences: list[Difference]
    notes: list[Difference]


def compare_tables(
    stored: pd.DataFrame, fresh: pd.DataFrame, schema: TableSchema, stored_correct: Correctness, fresh_correct: Correctness
) -> Comparison:
    """Compare a stored table with that of a re-run, whose values may have more digits, by the rules at the head of this module.

    Correctness is by `correctness_key`. CannotRun where one of the tables breaks the schema.
    """
    before, after = _rows(stored, schema, "stored"), _rows(fresh, schema, "fresh")
    found: list[tuple[bool, Difference]] = [(True, difference) for difference in _row_sets(before, after)]
    for key, old in before.items():
        if key in after:
            found += _compare_row(key, old, after[key], schema, stored_correct, fresh_correct)
    for which, rows, correct in (("stored", before, stored_correct), ("fresh", after, fresh_correct)):
        wrong = [it for key, row in rows.items() for it in _inconsistent(key, row, schema, correct, which)]
        found += [(True, it) for it in (*wrong, *_orphans(rows, correct, which))]
    return Comparison([it for fails, it in found if fails], [it for fails, it in found if not fails])


def noise_limit(n: int) -> int:
    """How many of ``n`` samples may change their correctness by float noise."""
    return max(NOISE_SAMPLES, n // NOISE_ONE_IN)


def _rows(frame: pd.DataFrame, schema: TableSchema, which: str) -> dict[str, dict[str, str]]:
    rows = format_rows(frame, schema, f"{which} table {schema.name}")
    return {row_key(row[: len(schema.keys)]): dict(zip(schema.names, row, strict=True)) for row in rows}


def _row_sets(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        there, again = key in before, key in after
        if there != again:
            which = "re-run" if there else "stored table"
            found = ("present" if there else "absent", "present" if again else "absent")
            yield Difference(key, "rows", *found, f"the {which} does not have this row")
    for old, new in zip((key for key in before if key in after), (key for key in after if key in before), strict=True):
        if old != new:
            yield Difference(old, "rows", old, new, "the order of rows differs, first here")
            return


def _inconsistent(
    key: str, row: Mapping[str, str], schema: TableSchema, correct: Correctness, which: str
) -> Iterator[Difference]:
    """Cells that do not follow from the correctness stored for the row."""
    ann, snn = (correct.get(correctness_key(key, network)) for network in _NETWORKS)
    if ann is None and snn is None:
        return
    try:
        due = accuracy_columns(ann, snn)
    except ValueError as error:
        yield Difference(key, "correctness", "", "", f"the {which} correctness cannot be used: {error}")
        return
    for column in schema.columns:
        if column.name in due:
            recomputed = format_cell(due[column.name], column)
            if row[column.name] != recomputed:
                reason = f"the {which} value must be what its per-sample correctness gives, {recomputed!r}"
                cells = row[column.name], recomputed
                yield Difference(key, column.name, *(cells if which == "stored" else cells[::-1]), reason)


def _compare_row(
    key: str,
    old: Mapping[str, str],
    new: Mapping[str, str],
    schema: TableSchema,
    stored_correct: Correctness,
    fresh_correct: Correctness,
) -> Iterator[tuple[bool, Difference]]:
    names = [correctness_key(key, network) for network in _NETWORKS]
    has_correctness = any(name in stored_correct or name in fresh_correct for name in names)
    both_ran = _not_run(old) == _not_run(new)
    for column in schema.measures:
        if has_correctness and column.name in _ACCURACIES:
            continue
        if both_ran or column.name in {STATUS, *schema.always}:
            yield from _compare_cell(key, column, old[column.name], new[column.name])
    if both_ran:
        for network, name in zip(_NETWORKS, names, strict=True):
            column_name = f"{network}_metric"
            cells = old.get(column_name, ""), new.get(column_name, "")
            arrays = stored_correct.get(name), fresh_correct.get(name)
            yield from _compare_correctness(key, column_name, cells, *arrays)


def _not_run(row: Mapping[str, str]) -> bool:
    return row.get(STATUS, "").startswith("not run")


def _compare_cell(key: str, column: Column, old: str, new: str) -> Iterator[tuple[bool, Difference]]:
    if old == new:
        return
    if column.kind in ("text", "int") or not (column.rtol or column.atol):
        yield True, Difference(key, column.name, old, new, "must be equal")
    elif "" in (old, new):
        yield True, Difference(key, column.name, old, new, "is empty in one of the tables")
    else:
        a, b = Decimal(old), Decimal(new)
        within = abs(a - b) <= Decimal(str(column.atol)) + Decimal(str(column.rtol)) * max(abs(a), abs(b))
        off = float(abs(a - b) / max(abs(a), abs(b)))
        tolerance = f"rtol {column.rtol:g}" + (f", atol {column.atol:g}" if column.atol else "")
        reason = f"{'within' if within else 'beyond'} tolerance: relative difference {off:.2g} ({tolerance})"
        yield not within, Difference(key, column.name, old, new, reason)


def _compare_correctness(
    key: str, column: str, cells: tuple[str, str], old: Correct | None, new: Correct | None
) -> Iterator[tuple[bool, Difference]]:
    if old is None and new is None:
        return
    if old is None or new is None:
        reason = f"there is no {'stored' if old is None else 'fresh'} per-sample correctness to compare"
        yield True, Difference(key, column, *cells, reason)
        return
    if len(old) != len(new):
        reason = f"the per-sample correctness is of {len(old)} stored and {len(new)} fresh samples"
        yield True, Difference(key, column, *cells, reason)
        return
    lost, won = int((old & ~new).sum()), int((~old & new).sum())
    if lost + won == 0:
        return
    p, limit = mcnemar_exact(old, new), noise_limit(len(old))
    noise = p >= ALPHA and lost + won <= limit
    reason = (
        f"{'' if noise else 'more than '}float noise: of {len(old)} samples {lost} are no longer right and "
        f"{won} newly are, p = {p:.2g} (tolerance: p >= {ALPHA:g} and at most {limit} changed)"
    )
    yield not noise, Difference(key, column, *cells, reason)


def _orphans(rows: Mapping[str, object], correct: Correctness, which: str) -> Iterator[Difference]:
    known = {correctness_key(key, network) for key in rows for network in _NETWORKS}
    for name in sorted(set(correct) - known):
        yield Difference(name, "correctness", "", "", f"the {which} per-sample correctness belongs to no row")
