"""What a profile says about this room: read, and refused in one line with place and name where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.css.artifacts import ARTIFACTS
from benchmarks.css.settings import SECTIONS, settings_of
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.profiles import Profile, load_profile, profile_names

BASE: dict[str, Any] = {"networks": [["CIFAR-10", "ResNet-20"]], "timesteps": [4, 8], "test_images": 20}
GOOD: dict[str, dict[str, Any]] = {
    "table2": {"long": {"128": 25}},
    "figure1": BASE | {"silent": [0, 1], "adjustment": 5},
    "figure2": BASE | {"with_negative": [0], "without_negative": [0, 3], "adjustment": 5},
    "beta": BASE | {"betas": [1.25, 1.5, 2, 3], "silent": [0]},
    "encoding": BASE,
    "comparison": BASE | {"tmn": [3, 4]},
    "pipeline": BASE | {"silent": [0, 1]},
    "residual": BASE | {"silent": [0, 1]},
    "memory": BASE,
}


def profile(**sections: Any) -> Profile:
    return Profile("own", "", "maximum", 1, 1, 1, (), {}, {"css": sections} if sections else {}, "")


@pytest.mark.parametrize("name", SECTIONS)
def test_a_good_section_is_read_as_it_is(name: str) -> None:
    assert GOOD.keys() == SECTIONS.keys()
    assert settings_of(profile(**{name: GOOD[name]}), name) == GOOD[name]
    without_limit = {entry: value for entry, value in GOOD[name].items() if entry != "test_images"}
    assert settings_of(profile(**{name: without_limit}), name) == without_limit


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_not_there_is_empty(name: str) -> None:
    assert settings_of(profile(), name) == settings_of(profile(**{name: {}}), name) == {}


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("section", SECTIONS)
def test_shipped_profiles_are_read(name: str, section: str) -> None:
    shipped = load_profile(name)
    assert settings_of(shipped, section) == shipped.papers["css"].get(section, {})


def test_every_artifact_has_a_section_but_the_analytic_one_and_the_controls_of_table_2() -> None:
    assert {artifact.name for artifact in ARTIFACTS} == {*SECTIONS, "controls", "analytic"}


LIMITS = "a table of timesteps = test images, whole numbers of at least 1"
WHOLE = "a whole number of at least 1"
FROM_0, FROM_1 = "a list of different whole numbers of at least 0", "a list of different whole numbers of at least 1"
BETAS = "a list of different numbers in (1, 3] with two decimals"
BAD: list[tuple[str, str, Any, str]] = [
    ("table2", "long", {}, LIMITS),
    ("table2", "long", 128, LIMITS),
    ("table2", "long", {"128": 2.5}, LIMITS),
    ("table2", "long", {"128": True}, LIMITS),
    ("table2", "long", {"0": 25}, LIMITS),
    ("table2", "long", {"many": 25}, LIMITS),
    ("figure1", "silent", [], FROM_0),
    ("figure1", "silent", [0, 0], FROM_0),
    ("figure1", "silent", [-1], FROM_0),
    ("figure1", "silent", 1, FROM_0),
    ("figure1", "adjustment", 0, WHOLE),
    ("figure1", "timesteps", [0], FROM_1),
    ("figure1", "timesteps", [4, 4], FROM_1),
    ("figure1", "timesteps", [4.0], FROM_1),
    ("figure1", "test_images", 0, WHOLE),
    ("figure2", "with_negative", [True], FROM_0),
    ("figure2", "without_negative", ["0"], FROM_0),
    ("figure2", "adjustment", None, WHOLE),
    ("beta", "betas", [1.0], BETAS),
    ("beta", "betas", [3.01], BETAS),
    ("beta", "betas", [1.125], BETAS),
    ("beta", "betas", [1.5, 1.5], BETAS),
    ("beta", "betas", [2, 2.0], BETAS),
    ("beta", "betas", ["1.5"], BETAS),
    ("beta", "betas", [float("nan")], BETAS),
    ("comparison", "tmn", [0], FROM_1),
    ("encoding", "networks", [], "a list of different networks of the paper"),
    ("encoding", "networks", ["CIFAR-10"], "a list of different networks of the paper"),
    ("encoding", "networks", [["CIFAR-10"]], "a list of different networks of the paper"),
    ("encoding", "networks", [["CIFAR-10", 20]], "a list of different networks of the paper"),
    ("encoding", "networks", [["a", "b"], ["a", "b"]], "a list of different networks of the paper"),
    ("residual", "silent", [1.5], FROM_0),
    ("memory", "test_images", "all", WHOLE),
]


@pytest.mark.parametrize(("section", "entry", "value", "wanted"), BAD)
def test_values_that_make_no_sense(section: str, entry: str, value: Any, wanted: str) -> None:
    with pytest.raises(CannotRun) as refused:
        settings_of(profile(**{section: GOOD[section] | {entry: value}}), section)
    said = str(refused.value)
    assert said.startswith(f"profile own, [papers.css.{section}]: {entry} must be {wanted}")
    assert f", got {value!r}; see benchmarks/profiles/" in said
    assert not isinstance(refused.value, NotAvailable) and "\n" not in said


@pytest.mark.parametrize(
    ("section", "entry"), [(name, entry) for name in GOOD if name != "table2" for entry in GOOD[name] if entry != "test_images"]
)
def test_an_entry_that_lacks(section: str, entry: str) -> None:
    less = {name: value for name, value in GOOD[section].items() if name != entry}
    with pytest.raises(CannotRun, match=rf"profile own, \[papers.css.{section}\] lacks the entry '{entry}'; see bench"):
        settings_of(profile(**{section: less}), section)


@pytest.mark.parametrize("section", GOOD)
def test_an_unknown_entry(section: str) -> None:
    with pytest.raises(CannotRun) as refused:
        settings_of(profile(**{section: GOOD[section] | {"silence": 1}}), section)
    said = str(refused.value)
    assert said.startswith(f"profile own, [papers.css.{section}] has the unknown entry 'silence'; known: ")
    assert set(said.partition("known: ")[2].split(", ")) == set(GOOD[section])


def test_an_unknown_section_is_refused_whatever_is_asked() -> None:
    for name in SECTIONS:
        with pytest.raises(
            CannotRun, match=r"profile own, \[papers.css\] has the unknown entry 'figure3'; known: table2, figure1"
        ):
            settings_of(profile(figure3={}), name)


@pytest.mark.parametrize("value", [3, "all", [{}]])
def test_a_section_that_is_no_table(value: Any) -> None:
    with pytest.raises(CannotRun, match=r"\[papers.css.beta\] must be a table, got "):
        settings_of(profile(beta=value), "beta")
