"""What a profile says about a paper: each kind of value told from what is none, and refusals that name place and remedy."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.errors import CannotRun
from benchmarks.profiles import Profile
from benchmarks.tables.settings import (
    NETWORK,
    NETWORKS,
    TABLE,
    TEXT,
    Check,
    check_table,
    hundredths,
    is_whole,
    list_of,
    must,
    read_section,
    sections_of,
    whole,
    wholes,
)

CHECKS: dict[str, Check] = {"steps": wholes(1), "images": whole(1)}
GOOD = {"steps": [1, 2], "images": 5}


def profile(papers: dict[str, Any]) -> Profile:
    return Profile("own", "", "maximum", 1, 1, 1, (), {}, papers, "")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (whole(1), [1, 10**9], [0, -1, 1.0, True, "1", None, [1]]),
        (whole(0), [0, 1], [-1, False, 0.0]),
        (wholes(1), [[1], [3, 2]], [[], [0], [1, 1], [True], [1.5], 1, "12", (1, 2), None]),
        (TEXT, ["a"], ["", 3, None, ["a"]]),
        (TABLE, [{}, {"a": 1}], [[], "a", None]),
        (NETWORK, [["CIFAR-10", "VGG-16"]], [["CIFAR-10"], ["CIFAR-10", ""], ["CIFAR-10", 16], ["a", "b", "c"], "ab", None]),
        (NETWORKS, [[["a", "b"]], [["a", "b"], ["a", "c"]]], [[], ["ab"], [["a", "b"], ["a", "b"]], [["a"]]]),
        (list_of(lambda value: value in (1, 2.0), "of them"), [[1], [2, 1]], [[1, 1.0], [3], [[1]]]),
        (list_of(hundredths(0, 1), "of them"), [[0.01, 1], [1.0]], [[0], [1.01], [0.401], [True], ["1"], 0.5]),
        (must(lambda value: value == 3, "three"), [3], [4]),
    ],
)
def test_kinds_of_values(check: Check, good: list[Any], bad: list[Any]) -> None:
    assert [check(value) for value in good] == [""] * len(good)
    assert all(check(value) for value in bad)


def test_truth_values_are_no_numbers() -> None:
    assert is_whole(1, 1) and not is_whole(True, 0) and not is_whole(1, 2)


def test_a_good_section_is_read_and_is_a_copy() -> None:
    papers = {"tmn": {"curve": GOOD}}
    found = read_section(profile(papers), "tmn", "curve", {"curve": CHECKS})
    assert found == GOOD
    found["steps"] = []
    assert papers["tmn"]["curve"] == GOOD | {"steps": [1, 2]}


@pytest.mark.parametrize("papers", [{}, {"tmn": {}}, {"tmn": {"curve": {}}}, {"css": {"curve": 3}}])
def test_no_section_is_an_empty_one(papers: dict[str, Any]) -> None:
    assert read_section(profile(papers), "tmn", "curve", {"curve": CHECKS}) == {}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (3, r"\[papers.tmn.curve\] must be a table, got 3; see "),
        ([], r"\[papers.tmn.curve\] must be a table, got \[\]; see "),
        (GOOD | {"image": 5}, r"\[papers.tmn.curve\] has the unknown entry 'image'; known: steps, images$"),
        (GOOD | {"images": 0}, r"\[papers.tmn.curve\]: images must be a whole number of at least 1, got 0; see "),
        ({"steps": [1]}, r"\[papers.tmn.curve\] lacks the entry 'images'; see benchmarks/profiles/embedded.toml$"),
    ],
)
def test_a_section_that_makes_no_sense(section: Any, said: str) -> None:
    with pytest.raises(CannotRun, match=rf"^profile own, {said}"):
        read_section(profile({"tmn": {"curve": section}}), "tmn", "curve", {"curve": CHECKS})


def test_entries_that_may_lack() -> None:
    papers = {"tmn": {"curve": {"steps": [1]}}}
    assert read_section(profile(papers), "tmn", "curve", {"curve": CHECKS}, optional=("images",)) == {"steps": [1]}


def test_a_section_that_is_not_known() -> None:
    with pytest.raises(CannotRun, match=r"^profile own, \[papers.tmn\] has the unknown entry 'curves'; known: curve, table$"):
        sections_of(profile({"tmn": {"curves": {}}}), "tmn", ("curve", "table"))
    assert sections_of(profile({}), "tmn", ("curve",)) == {}
    assert sections_of(profile({"tmn": {"curve": 3}}), "tmn", ("curve",)) == {"curve": 3}


def test_a_paper_that_is_no_table() -> None:
    with pytest.raises(CannotRun, match=r"\[papers.tmn\] must be a table, got 'curve'"):
        check_table("curve", {}, "profile own, [papers.tmn]")
