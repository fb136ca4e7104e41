"""Trained networks in the cache: trained once, the same bytes again, one file per everything that matters."""

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks
from benchmarks.errors import CannotRun
from benchmarks.models import build_model, checkpoint_hash, read_metadata
from benchmarks.training import Recipe, store, trained_network
from benchmarks.training.source_digest import code_digest, import_closure, training_code

NET = "resnet20-thin"
cache_module = importlib.import_module("benchmarks.training.cache")


@pytest.fixture(autouse=True)
def _quick_recipes(quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = {"quick": replace(quick, epochs=1), "other": replace(quick, name="other", epochs=1, weight_decay=0.0)}
    monkeypatch.setattr(cache_module, "recipe", recipes.__getitem__)
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(cache_module, "train", fail)


def test_a_network_is_trained_once(samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained_network(NET, samples, "quick", 0)
    forbid_training(monkeypatch)
    model, path, sha = trained_network(NET, samples, "quick", 0)
    assert path == first.checkpoint_path
    assert path.parent == tmp_path / "networks"
    assert sha == first.sha == checkpoint_hash(path)
    assert not model.training
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(model(images), first.model(images))


def test_training_again_gives_the_same_bytes(samples: Any) -> None:
    first = trained_network(NET, samples, "quick", 0)
    first.checkpoint_path.unlink()
    assert trained_network(NET, samples, "quick", 0).sha == first.sha


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_trained_again_with_a_warning(
    samples: Any, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    first = trained_network(NET, samples, "quick", 0)
    path = first.checkpoint_path
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert trained_network(NET, samples, "quick", 0).sha == first.sha
    assert "again" in caplog.text


def test_a_flipped_bit_is_seen_and_trained_again(samples: Any, caplog: pytest.LogCaptureFixture) -> None:
    first = trained_network(NET, samples, "quick", 0)
    content = bytearray(first.checkpoint_path.read_bytes())
    content[-1] ^= 1  # of a number: still a readable file
    first.checkpoint_path.write_bytes(content)
    assert checkpoint_hash(first.checkpoint_path) != first.sha
    with caplog.at_level(logging.WARNING):
        assert trained_network(NET, samples, "quick", 0).sha == first.sha
    assert "not those that were written" in caplog.text


def test_a_file_without_a_seal_is_sealed_as_it_is(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained_network(NET, samples, "quick", 0)
    seal = first.checkpoint_path.with_suffix(".sha256")
    written = seal.read_text()
    seal.unlink()
    forbid_training(monkeypatch)
    assert trained_network(NET, samples, "quick", 0).sha == first.sha == seal.read_text() == written


def test_a_finished_network_needs_no_lock(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained_network(NET, samples, "quick", 0)
    monkeypatch.setattr(store, "FileLock", lambda path: pytest.fail("locked"))
    assert trained_network(NET, samples, "quick", 0).sha == first.sha


def test_every_cause_of_a_network_has_its_own_file(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def path(*arguments: Any, **named: Any) -> Path:
        return trained_network(*arguments, **named).checkpoint_path

    paths = [
        path(NET, samples, "quick", 0),
        path(NET, samples, "quick", 1),
        path(NET, samples, "other", 0),
        path("resnet18-thin", samples, "quick", 0),
        path(NET, replace(samples, fingerprint="1" * 32), "quick", 0),
        path(NET, samples, "quick", 0, num_classes=3),
    ]
    monkeypatch.setattr(cache_module, "training_code", lambda network: "another version")
    paths.append(path(NET, samples, "quick", 0))
    assert len(set(paths)) == len(paths)


def test_the_metadata_says_where_the_network_came_from(samples: Any) -> None:
    metadata = read_metadata(trained_network(NET, samples, "quick", 7).checkpoint_path)
    assert metadata["architecture"] == NET
    assert metadata["dataset_fingerprint"] == samples.fingerprint
    assert metadata["seed"] == "7"
    assert json.loads(metadata["recipe"])["learning_rate"] == 0.1
    assert json.loads(metadata["mean"])[0] == pytest.approx(samples.images.double().mean().item() / 255)
    assert len(json.loads(metadata["std"])) == 1


def test_a_failed_training_leaves_no_file(samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise CannotRun("the loss is not finite")

    monkeypatch.setattr(cache_module, "train", fail)
    with pytest.raises(CannotRun):
        trained_network(NET, samples, "quick", 0)
    assert not list((tmp_path / "networks").glob("*.safetensors"))


def test_the_digest_follows_code_and_not_comments(tmp_path: Path) -> None:
    file = tmp_path / "a.py"

    def digest(text: str) -> str:
        file.write_text(text, encoding="utf-8")
        return code_digest([file])

    base = digest("def f(x):\n    return x + 1\n")
    assert digest('"""Module."""\n\n\ndef f(x):\n    """One more."""\n    # why\n    return (x + 1)\n') == base
    assert digest("def f(x):\n    return x + 2\n") != base
    assert digest("def g(x):\n    return x + 1\n") != base


def test_the_digest_tells_networks_apart_and_not_registries() -> None:
    one, other = build_model("resnet20-thin", 10, 1), build_model("vgg16-thin", 10, 1)
    assert training_code(one) == training_code(build_model("resnet20-thin", 10, 1))
    assert len({training_code(one), training_code(other), training_code(build_model("resnet20-thin", 11, 1))}) == 3
    names = {file.name for file in import_closure(["benchmarks.training.train"])}
    assert "optimization.py" in names and not names & {"registry.py", "__init__.py", "vgg_cifar.py"}


PRINT_KEYS = """
from benchmarks.harness.run import _code_of
from benchmarks.measurements import ConversionLoss
from benchmarks.measurements.direct_training import DirectTraining
from benchmarks.models import build_model
from benchmarks.profiles import load_profile
from benchmarks.training.source_digest import training_code
from benchmarks.training.spiking_cache import spiking_code
choice = load_profile("embedded").networks[0]
print(_code_of(ConversionLoss(choice, "maximum", None, "TMN", (), (4,))), training_code(build_model("resnet20-thin", 10, 1)))
print(_code_of(DirectTraining("sklearn/digits", 0, "8-10", "ETTFS", "quick")), spiking_code("ETTFS"))
"""


def test_a_new_method_and_a_new_room_change_no_key(tmp_path: Path) -> None:
    root = Path(benchmarks.__file__).parent.parent
    for package in ("benchmarks", "snncore"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def keys() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", PRINT_KEYS]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    before = keys()
    registry = tmp_path / "benchmarks" / "methods" / "__init__.py"
    registry.write_text(registry.read_text().replace("METHODS = {\n", 'METHODS = {\n    "New": "new:New",\n', 1))
    (tmp_path / "benchmarks" / "methods" / "new.py").write_text("class New: ...\n")
    (tmp_path / "benchmarks" / "new_room" / "published").mkdir(parents=True)
    (tmp_path / "benchmarks" / "new_room" / "artifacts.py").write_text("ARTIFACTS = ()\n")
    assert keys() == before
    neuron = tmp_path / "snncore" / "neurons" / "momentum.py"
    neuron.write_text(neuron.read_text() + "\nMORE = 1\n")
    assert keys() != before
