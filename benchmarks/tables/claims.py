"""Verdicts on a paper's claims: a status and the evidence for it in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps

import pandas as pd

from benchmarks.tables.status import NOT_RUN, measured

REPRODUCED = "reproduced"
PARTLY = "partly"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested"
STAND_IN = "stand-in: "
_TESTED = (REPRODUCED, PARTLY, NOT_REPRODUCED)
STATUSES = (*_TESTED, *(STAND_IN + status for status in _TESTED), NOT_TESTED)

Tables = Mapping[str, pd.DataFrame]
"""Stored tables by artifact; an artifact that was not run is absent."""


@dataclass(frozen=True)
class Verdict:
    """One of ``STATUSES`` and one sentence with the numbers behind it. Raises ValueError for another status."""

    status: str
    evidence: str

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"{self.status!r} is no verdict; one of {', '.join(STATUSES)}")


def brief(status: str) -> str:
    """A status without the advice that follows its reason, as in ``not run: no weights for x (...); give ...``."""
    return re.split(r" \(|; ", status, maxsplit=1)[0]


Check = Callable[[Tables], Verdict]


class NotTested(Exception):
    """What a claim needs was not run, and why."""


def table_of(tables: Tables, name: str) -> pd.DataFrame:
    """The measured rows of a table. Raises NotTested with the reason if there is none."""
    if name not in tables:
        raise NotTested(f"`{name}` was not run yet.")
    frame = tables[name]
    rows = measured(frame)
    if rows.empty:
        reasons = list(dict.fromkeys(brief(status.removeprefix(NOT_RUN)) for status in frame["status"]))
        raise NotTested(f"`{name}` was not run: {'; '.join(reasons) or 'it is empty'}.")
    return rows


def is_stand_in(*frames: pd.DataFrame) -> bool:
    """Whether any of the rows was measured on a stand-in."""
    return any((rows["status"] == "stand-in").any() for rows in frames)


def checks(claims: dict[str, Check], name: str) -> Callable[[Check], Check]:
    """Enter a check among the ``claims`` of a room, by the name of its claim; see ``claim``."""

    def entered(check: Check) -> Check:
        claims[name] = claim(check)
        return claims[name]

    return entered


def claim(check: Check) -> Check:
    """Turn ``NotTested`` in a check into the verdict of that name."""

    @wraps(check)
    def checked(tables: Tables) -> Verdict:
        try:
            return check(tables)
        except NotTested as reason:
            return Verdict(NOT_TESTED, str(reason))

    return checked


def judge(held: Iterable[bool], stand_in: bool, evidence: str, complete: bool = True) -> Verdict:
    """The verdict on a statement about several settings, each of which held or did not.

    All held: reproduced. At least half: partly. Fewer: not reproduced. Where some part of the claim could not be tested
    (not ``complete``) the best verdict is partly; on stand-ins every verdict says so. Raises ValueError for no setting.
    """
    results = list(held)
    if not results:
        raise ValueError("a verdict needs at least one setting")
    if all(results) and complete:
        status = REPRODUCED
    elif 2 * sum(results) >= len(results):
        status = PARTLY
    else:
        status = NOT_REPRODUCED
    return Verdict(STAND_IN + status if stand_in else status, evidence)
