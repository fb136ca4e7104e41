"""Verdicts: known statuses, and what follows from the settings that held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tables.claims import (
    NOT_REPRODUCED,
    NOT_TESTED,
    REPRODUCED,
    STAND_IN,
    Check,
    Tables,
    Verdict,
    brief,
    checks,
    judge,
    table_of,
)


def test_a_verdict_needs_a_known_status() -> None:
    with pytest.raises(ValueError, match="probably"):
        Verdict("probably", "")


@given(st.lists(st.booleans(), min_size=1), st.booleans(), st.booleans())
def test_judging(held: list[bool], stand_in: bool, complete: bool) -> None:
    status = judge(held, stand_in, "", complete).status
    assert status.startswith(STAND_IN) == stand_in
    plain = status.removeprefix(STAND_IN)
    assert (plain == REPRODUCED) == (all(held) and complete)
    assert (plain == NOT_REPRODUCED) == (sum(held) < len(held) / 2)


def test_a_brief_status_has_the_reason_without_the_advice() -> None:
    assert brief("not run: no weights for a on b (recipe c needs a GPU); give --weights") == "not run: no weights for a on b"
    assert brief("not run: no ImageNet; use --profile paper") == "not run: no ImageNet"
    assert brief("not run: method not available yet: COS") == "not run: method not available yet: COS"


def test_judging_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        judge([], False, "")


def test_a_check_stands_among_the_claims_of_its_room() -> None:
    claims: dict[str, Check] = {}

    @checks(claims, "A01")
    def found(tables: Tables) -> Verdict:
        return judge([len(table_of(tables, "table1")) > 0], False, "")

    assert list(claims) == ["A01"] and claims["A01"]({}).status == NOT_TESTED
