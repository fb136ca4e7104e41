"""What a profile says about this room: read, and refused with place and name where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.ettfs.settings import Choice, choice, choices, settings
from benchmarks.profiles import Profile, load_profile

NETWORK: dict[str, Any] = {
    "paper_dataset": "MNIST",
    "network": "SMLP",
    "dataset": "sklearn/digits",
    "layout": "64-20-10",
    "recipes": {"ETTFS": "ettfs-digits"},
    "seeds": {"default": [0, 1]},
    "validation": 60,
}
INITIAL = {"dataset": "sklearn/digits", "layout": "64-20-10", "timesteps": 4, "images": 20, "encodings": ["direct"]}


def profile(**section: Any) -> Profile:
    return Profile("own", "", "maximum", 1, 1, 1, (), {}, {"ettfs": section} if section else {}, "")


def with_network(**changes: Any) -> Profile:
    entry = {name: value for name, value in (NETWORK | changes).items() if value is not None}
    return profile(networks=[entry])


def test_a_network() -> None:
    (found,) = choices(with_network(training=100))
    assert found == Choice(**NETWORK, training=100)
    assert found.stand_in
    assert choices(with_network())[0].training is None
    assert choice(with_network(), "MNIST", "SMLP") == choices(with_network())[0]


def test_seeds_by_method() -> None:
    (found,) = choices(with_network(seeds={"default": [3], "ETTFS": [0, 1, 2]}))
    assert found.seeds_of("ETTFS") == [0, 1, 2] and found.seeds_of("S4NN") == [3]


def test_the_papers_own_data_set_is_no_stand_in() -> None:
    (found,) = choices(with_network(dataset="ylecun/mnist", layout="784-400-10"))
    assert not found.stand_in
    assert choices(with_network(dataset="ylecun/mnist", layout="784-400-10", paper_dataset="Fashion-MNIST"))[0].stand_in


def test_a_network_that_the_profile_does_not_name() -> None:
    with pytest.raises(NotAvailable, match="profile own names no network for MNIST SCNN"):
        choice(with_network(), "MNIST", "SCNN")
    assert choices(profile()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": "64-10"}, "has the unknown entry 'layers'"),
        ({"layouts": "64-10"}, "layouts must be a table, got '64-10'"),
        ({"layouts": {"ETTFS": "64-9"}}, "must end with a linear layer of 10 neurons"),
        ({"layouts": {"S4NN": "64-10"}}, "layouts and seeds are of methods with a recipe, not of S4NN"),
        ({"validation": None}, "lacks the entry 'validation'"),
        ({"validation": 0}, "validation must be greater than or equal to 1, got 0"),
        ({"training": -1}, "training must be greater than or equal to 1, got -1"),
        ({"recipes": ["ettfs-digits"]}, "recipes must be a table, got "),
        ({"dataset": "sklearn/digit"}, "no data set is called 'sklearn/digit'"),
        ({"layout": "65-20-10"}, "takes 65 inputs, the images have 64"),
        ({"layout": "64-20-9"}, "must end with a linear layer of 10 neurons"),
        ({"recipes": {"ETTFS": "ettfs-digit"}}, "there is no training recipe called 'ettfs-digit'"),
        ({"recipes": {"ETTFS": "digits"}}, "recipe digits has no timesteps: it is not for spiking networks"),
        ({"seeds": {"default": [0, 0]}}, "seeds.default must not repeat a value"),
        ({"recipes": {"STDBP-of-nobody": "ettfs-digits"}}, "method not available yet: STDBP-of-nobody"),
        ({"seeds": {"ETTFS": [0]}}, "seeds lacks the entry 'default'"),
        ({"seeds": {"default": 0}}, "seeds.default must be a valid list, got 0"),
        ({"seeds": {"default": [0], "ETTFS2": [1]}}, "layouts and seeds are of methods with a recipe, not of ETTFS2"),
        ({"seeds": {"default": [0], "ETTFS": ["1"]}}, "seeds.ETTFS.0 must be a valid integer, got '1'"),
    ],
)
def test_networks_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRun, match=message) as refused:
        choices(with_network(**changes))
    assert not isinstance(refused.value, NotAvailable) and "\n" not in str(refused.value)


def test_a_network_that_is_no_table() -> None:
    with pytest.raises(CannotRun, match=r"profile own, \[\[papers.ettfs.networks\]\]: must be a table, got 'SMLP'"):
        choices(profile(networks=["SMLP"]))


def test_a_section() -> None:
    assert settings(profile(initial=INITIAL), "initial") == INITIAL
    assert settings(profile(initial=INITIAL), "forced") == {"networks": []}
    assert settings(profile(), "initial") == dict.fromkeys(INITIAL, [])


@pytest.mark.parametrize(
    ("name", "section", "value"),
    [
        ("forced", {"networks": ["MNIST"]}, "['MNIST']"),
        ("initial", INITIAL | {"encodings": []}, "[]"),
        ("initial", INITIAL | {"images": 0}, "0"),
        ("figure4", {"network": ["MNIST", "SMLP"], "encodings": ["random"]}, "['random']"),
        ("table3", {"network": ["MNIST", "SMLP"], "variants": ["bothe"]}, "['bothe']"),
        ("decoders", {"networks": [["MNIST", "SMLP"]], "decoders": ["exponential-1"], "seeds": [0]}, "['exponential-1']"),
        ("decoders", {"networks": [["MNIST", "SMLP"]], "decoders": [2], "seeds": [0]}, "[2]"),
        ("stacks", {"width": 4, "depth": 2, "timesteps": [1], "draws": 1}, "[1]"),
    ],
)
def test_lists_are_checked_to_their_elements(name: str, section: Any, value: str) -> None:
    with pytest.raises(CannotRun) as refused:
        settings(profile(**{name: section}), name)
    said = str(refused.value)
    assert said.startswith(f"profile own, [papers.ettfs.{name}]: ") and f", got {value}; see benchmarks/profiles/" in said


def test_a_network_named_twice() -> None:
    with pytest.raises(CannotRun, match="names MNIST SMLP twice"):
        choices(profile(networks=[NETWORK, NETWORK]))


def test_an_unknown_section() -> None:
    with pytest.raises(CannotRun, match=r"profile own, \[papers.ettfs\] has the unknown entry 'figure3'; known: table3, decoders"):
        settings(profile(figure3={}), "initial")


def test_the_layout_of_a_method() -> None:
    (found,) = choices(with_network(layouts={"ETTFS": "64-8-10"}))
    assert (found.layout, found.of("ETTFS").layout, found.of("S4NN").layout) == ("64-20-10", "64-8-10", "64-20-10")
    assert found.of("ETTFS").recipes == found.recipes


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\ntitle = "t"\ncalibration = "maximum"\ncalibration_images = 1\nbatch = 1\nshard = 1\nnetworks = []\n'
        '[[papers.ettfs.networks]]\npaper_dataset = "MNIST"\nnetwork = "SMLP"\ndataset = "sklearn/digits"\nlayout = "64-20-10"\n'
        'recipes = { ETTFS = "ettfs-digits" }\nseeds = { default = [0, 1] }\nvalidation = 60\n', encoding="utf-8"
    )
    assert choices(load_profile(str(path))) == [Choice(**NETWORK)]
