"""The profiles that come with the project: complete, consistent and runnable."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.data import DATASETS, dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.harness.artifacts import PAPERS, artifacts_of
from benchmarks.models import MODELS, model_spec
from benchmarks.profiles import load_profile, profile_names
from benchmarks.training import recipe, recipe_names

NAMES = ("embedded", "paper", "workstation")


def test_these_profiles_come_with_the_project() -> None:
    assert tuple(profile_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_a_profile_is_known(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name and profile.title and profile.digest
    assert set(profile.papers) <= set(PAPERS)
    for choice in profile.networks:
        assert choice.dataset in DATASETS and choice.architecture in MODELS
        assert choice.recipe is None or choice.recipe in recipe_names()
        assert choice.weights or choice.recipe, "neither weights nor a recipe"


@pytest.mark.parametrize("name", NAMES)
def test_every_artifact_has_rows(name: str) -> None:
    profile = load_profile(name)
    for paper in PAPERS:
        for artifact in artifacts_of(paper).values():
            assert artifact.rows(profile), artifact.name


def test_the_embedded_profile_downloads_nothing_and_stands_in_for_everything() -> None:
    profile = load_profile("embedded")
    assert all(dataset_spec(choice.dataset).embedded and choice.stand_in and not choice.weights for choice in profile.networks)
    assert all(recipe(choice.recipe or "").device == "cpu" for choice in profile.networks)


@pytest.mark.parametrize("name", ["paper", "workstation"])
def test_the_other_profiles_run_what_the_papers_name(name: str) -> None:
    for choice in load_profile(name).networks:
        assert dataset_spec(choice.dataset).paper_name == choice.paper_dataset
        assert model_spec(choice.architecture).paper_name == choice.paper_architecture
        assert not choice.stand_in


def test_a_missing_network_says_why() -> None:
    workstation = load_profile("workstation")
    with pytest.raises(NotAvailable, match="use --profile paper"):
        workstation.network("ImageNet", "ResNet-34")
    with pytest.raises(NotAvailable, match="profile workstation names no network for SVHN LeNet"):
        workstation.network("SVHN", "LeNet")


def test_a_copy_of_a_profile_must_be_renamed_once_it_is_changed(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml"
    text = shipped.read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    assert load_profile(str(own)).digest == load_profile("embedded").digest
    own.write_text(text.replace("batch = 100", "batch = 50"), encoding="utf-8")
    with pytest.raises(CannotRun, match="the name 'embedded' is that of a profile of the project; choose another"):
        load_profile(str(own))
    own.write_text(text.replace("batch = 100", "batch = 50").replace('name = "embedded"', 'name = "own"'), encoding="utf-8")
    assert load_profile(str(own)).batch == 50


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[[networks", b""])
def test_files_that_are_no_profile(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.toml").write_bytes(content)
    with pytest.raises(CannotRun, match=r"own\.toml"):
        load_profile(str(tmp_path / "own.toml"))
