"""A profile, a checkpoint and a few test images small enough to run a whole paper within seconds."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from benchmarks.data import Images, open_images
from benchmarks.harness import cli
from benchmarks.harness import run as running
from benchmarks.measurements import lab
from benchmarks.models import build_model
from benchmarks.models.checkpoint_files import write_checkpoint

TEST_IMAGES = 40
PROFILE = """
name = "tiny"
title = "A few digits, random weights"
calibration = "percentile-99.99"
calibration_images = 40
batch = 20
shard = 20

[[networks]]
paper_dataset = "CIFAR-10"
paper_architecture = "ResNet-20"
dataset = "sklearn/digits"
architecture = "resnet20-thin"
weights = "tiny"

[missing]
"CIFAR-10" = "too large for a test"
"CIFAR-100" = "too large for a test"
ImageNet = "too large for a test"

[papers.tmn.timesteps]
networks = [["CIFAR-10", "ResNet-20"]]
methods = { TMN = [2, 3], rate = [2, 4] }

[papers.tmn.timesteps.calibration]
rules = ["maximum"]
timesteps = [2]
test_images = 20

[papers.tmn.figure4a]
network = ["CIFAR-10", "ResNet-20"]
timesteps = [2]
precharge = [0, 1]
test_images = 20

[papers.tmn.figure4b]
network = ["CIFAR-10", "ResNet-20"]
timesteps = [2]

[papers.tmn.figure4c]
network = ["CIFAR-10", "ResNet-20"]
timesteps = 2
ratios = [0.40, 0.50]
test_images = 20
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line that says why the command cannot run."""
        assert self.code == 2, (self.code, self.out, self.err)
        (line,) = [line for line in self.err.splitlines() if line.strip()]
        assert line.startswith("snnbench: "), self.err
        assert "Traceback" not in self.err
        return line


@dataclass(frozen=True)
class Bench:
    """A folder to work in, with a profile, weights, results and reports."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny" / "tmn"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def call(self, *arguments: str) -> Ran:
        """One command in this process, which forgets what earlier ones loaded."""
        running._LABS.clear()
        self.patch.setattr(sys, "argv", ["snnbench", *arguments])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = self.capture.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, captured.out, captured.err)

    def run(self, *arguments: str, profile: str = "tiny.toml") -> Ran:
        return self.call("run", "tmn", *arguments, "--profile", profile, "--jobs", "1", "--no-report", "--json")

    def check(self, *arguments: str, profile: str = "tiny.toml") -> Ran:
        return self.call("check", "tmn", *arguments, "--profile", profile, "--jobs", "1", "--json")

    def write_profile(self, *changes: tuple[str, str], name: str = "changed.toml") -> str:
        """The tiny profile with texts replaced, in a file of its own."""
        text = PROFILE
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of change of all results."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(self.results.iterdir())}

    def tables(self) -> dict[str, bytes]:
        """Content of what must not depend on how often a run was killed: tables and correctness."""
        return {name: content for name, (content, _) in self.files().items() if not name.endswith(".json")}


@pytest.fixture(scope="session")
def few_images() -> Callable[..., Images]:
    made: dict[tuple[str, str], Images] = {}

    def few(name: str, split: str, offline: bool = False) -> Images:
        if not name.startswith("sklearn/"):
            return open_images(name, split, offline)
        if (name, split) not in made:
            made[name, split] = open_images(name, split).take(TEST_IMAGES)
        return made[name, split]

    return few


def tiny_weights(path: Path, seed: int = 0, mean: str = "[0.5]", std: str = "[0.25]") -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_model("resnet20-thin", 10, 1)
    write_checkpoint(path, network.state_dict(), {"mean": mean, "std": std})


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    tiny_weights(folder / "tiny.safetensors")
    return folder


@pytest.fixture
def bench(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    few_images: Callable[..., Images],
    weights_folder: Path,
) -> Iterator[Bench]:
    """An empty bench: nothing in the cache, no results."""
    for name in ("SNNBENCH_DATA", "SNNBENCH_IMAGENET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(weights_folder))
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)  # pytest's own stays
    monkeypatch.setattr(lab, "open_images", few_images)
    (tmp_path / "tiny.toml").write_text(PROFILE, encoding="utf-8")
    yield Bench(tmp_path, capsys, monkeypatch)
    running._LABS.clear()


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def finished(bench: Bench, finished_folder: Path) -> Bench:
    """A bench on which the whole paper has been run: its results and its cache."""
    if not (finished_folder / "results").exists():
        ran = bench.run()
        assert ran.code == 0, ran.err
        assert all(entry["changed"] for entry in json.loads(ran.out))
        for name in ("cache", "results"):
            shutil.copytree(bench.folder / name, finished_folder / name, copy_function=shutil.copy2)
    else:
        for name in ("cache", "results"):
            shutil.copytree(finished_folder / name, bench.folder / name, copy_function=shutil.copy2)
    return bench
