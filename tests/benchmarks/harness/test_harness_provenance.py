"""Provenance: complete, silent about whose machine it was, and written only with its table."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.errors import CannotRun
from benchmarks.harness.provenance import collect, read_provenance, with_earlier, write_provenance


def record_of(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "schema_version": 3,
        "seeds": [0, 1],
        "profile_hash": "abc",
        "datasets": {"ylecun/mnist": "f1"},
        "checkpoints": {"lenet": "c1"},
        "wall_time_s": 12.3456,
    }
    return collect(**{**arguments, **changes})


ROOT = Path(__file__).parents[3]

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init")
    for name in ("code.py", "results/t.csv", "reports/t.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("old", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_a_record_is_complete() -> None:
    record = record_of()
    assert record["schema_version"] == 3
    assert record["seeds"] == [0, 1]
    assert record["profile_hash"] == "abc"
    assert record["datasets"] == {"ylecun/mnist": "f1"}
    assert record["checkpoints"] == {"lenet": "c1"}
    assert record["wall_time_s"] == 12.3
    assert record["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record["packages"]["numpy"]
    assert record["torch_threads"] == torch.get_num_threads()
    assert record["cpu"]["model"]
    assert 1 <= record["cpu"]["cores"] <= (os.cpu_count() or 1)
    assert len(record["gpu"]) == torch.cuda.device_count()
    assert record["python"].startswith("3.")
    json.dumps(record, allow_nan=False)


def test_peak_memory_is_in_megabytes() -> None:
    peak = record_of()["peak_memory_mb"]
    assert 50 < peak < 100_000
    status = Path("/proc/self/status")
    if status.exists():
        own_kib = int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0])
        assert record_of()["peak_memory_mb"] >= 0.99 * own_kib * 1024 / 1e6


def test_a_record_says_nothing_about_whose_machine_it_was(tmp_path: Path) -> None:
    record = record_of(checkpoints={str(tmp_path / "net.safetensors"): "c1"}, datasets={str(tmp_path / "mine"): "f1"})
    assert record["checkpoints"] == {"net.safetensors": "c1"}
    assert record["datasets"] == {"mine": "f1"}

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for item in value.items() for text in texts(list(item))]
        return [text for item in value for text in texts(item)] if isinstance(value, list) else [str(value)]

    for text in texts(record):
        assert not text.startswith(("/", "~", "C:"))
        assert str(Path.home()) not in text
        assert text not in (socket.gethostname(), getpass.getuser())


@needs_git
def test_the_commit_and_whether_it_is_what_ran(checkout: Path) -> None:
    state = record_of(root=checkout)["git"]
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, encoding="utf-8")
    assert state == {"commit": head.stdout.strip(), "dirty": False}
    (checkout / "results" / "t.csv").write_text("new", encoding="utf-8")
    (checkout / "results" / "u.csv").write_text("new", encoding="utf-8")
    (checkout / "reports" / "t.md").write_text("new", encoding="utf-8")
    assert record_of(root=checkout)["git"]["dirty"] is False
    (checkout / "method.py").write_text("", encoding="utf-8")  # a new file of code
    assert record_of(root=checkout)["git"]["dirty"] is True
    (checkout / "method.py").unlink()
    (checkout / "code.py").write_text("new", encoding="utf-8")
    assert record_of(root=checkout)["git"]["dirty"] is True


@needs_git
def test_what_tox_leaves_in_a_checkout_is_no_change(checkout: Path) -> None:
    shutil.copy(ROOT / ".gitignore", checkout)
    git(checkout, "add", ".gitignore")
    git(checkout, "commit", "-m", "ignore")
    (checkout / ".venv").write_text(".tox/test", encoding="utf-8")  # a file, by uv 0.13, which names the environment in it
    (checkout / ".tox").symlink_to(checkout / "reports")
    assert record_of(root=checkout)["git"]["dirty"] is False


@needs_git
def test_inside_a_git_hook_it_is_still_the_commit_of_the_packages(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = record_of(root=checkout)["git"]
    other = tmp_path_factory.mktemp("other")
    git(other, "init")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert record_of(root=checkout)["git"] == before


@needs_git
def test_no_commit_outside_a_checkout_inside_another_one_or_without_git(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {"commit": "", "dirty": None}
    installed = checkout / "site-packages"
    installed.mkdir()
    plain = tmp_path_factory.mktemp("plain")
    assert record_of(root=plain)["git"] == unknown
    assert record_of(root=installed)["git"] == unknown
    git(plain, "init")  # without a commit
    assert record_of(root=plain)["git"] == unknown
    monkeypatch.setenv("PATH", "")
    assert record_of(root=checkout)["git"] == unknown


@needs_git
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
@pytest.mark.parametrize("name", ["m\u00fcller".encode(), "m\u00fcller".encode("latin-1")])
@pytest.mark.parametrize("utf8", ["0", "1"])
def test_a_checkout_whose_path_the_locale_cannot_spell(checkout: Path, name: bytes, utf8: str) -> None:
    expected = record_of(root=checkout)["git"]
    moved = shutil.copytree(checkout, checkout / os.fsdecode(name))
    program = "import sys, pathlib; from benchmarks.harness.provenance import _git; print(_git(pathlib.Path(sys.argv[1])))"
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}
    told = subprocess.run([sys.executable, "-c", program, moved], env=environment, cwd=ROOT, capture_output=True, check=True)
    assert told.stdout.decode().strip() == str(expected)


def test_written_with_a_changed_table_and_left_alone_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "table1.json"
    assert write_provenance(path, {"b": 1, "a": "\u00e9"}, table_changed=False)
    assert path.read_bytes().decode() == '{\n  "a": "\u00e9",\n  "b": 1\n}\n'
    assert not write_provenance(path, {"a": 2}, table_changed=False)
    assert read_provenance(path) == {"a": "\u00e9", "b": 1}
    assert write_provenance(path, {"a": 2}, table_changed=True)
    assert read_provenance(path) == {"a": 2}


def test_a_run_killed_between_table_and_record_is_mended_by_the_next(tmp_path: Path) -> None:
    path, table = tmp_path / "table1.json", tmp_path / "table1.csv"
    table.write_text("first", encoding="utf-8")
    write_provenance(path, record_of(table=table), table_changed=True)
    table.write_text("second", encoding="utf-8")  # and killed before the record
    record = record_of(table=table)
    assert write_provenance(path, record, table_changed=False)
    assert read_provenance(path)["table_sha256"] == record["table_sha256"]
    assert not write_provenance(path, record_of(table=table, wall_time_s=99), table_changed=False)


def test_a_damaged_record_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table1.json"
    for content in (b"{", b"[]", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(CannotRun, match="is not") as caught:
            read_provenance(path)
        assert str(path) in str(caught.value)
        assert write_provenance(path, {"a": 1}, table_changed=False)
    assert read_provenance(path) == {"a": 1}
    with pytest.raises(CannotRun, match="there is no such file"):
        read_provenance(tmp_path / "none.json")


def test_a_run_of_some_rows_keeps_what_stands_behind_the_others(tmp_path: Path) -> None:
    path = tmp_path / "table1.json"

    def part(commit: str, dataset: str, checkpoint: str, seed: int) -> dict[str, Any]:
        known = record_of(datasets={dataset: "f"}, checkpoints={checkpoint: "c"}, seeds=[seed])
        return known | {"git": {"commit": commit, "dirty": False}}

    assert with_earlier(part("a", "mnist", "x", 1), path) == part("a", "mnist", "x", 1)
    for commit, dataset, checkpoint, seed in (("a", "mnist", "x", 1), ("b", "digits", "y", 0), ("a", "mnist", "x", 1), ("c", "svhn", "y", 2)):
        write_provenance(path, with_earlier(part(commit, dataset, checkpoint, seed), path), table_changed=True)
    record = read_provenance(path)
    earlier = [{"commit": commit, "dirty": False} for commit in "ba"]  # in the order of their last runs
    assert record["git"] == {"commit": "c", "dirty": False, "earlier": earlier}
    assert record["datasets"] == {"mnist": "f", "digits": "f", "svhn": "f"}
    assert record["checkpoints"] == {"x": "c", "y": "c"}
    assert record["seeds"] == [0, 1, 2]

    path.write_text("{", encoding="utf-8")
    assert with_earlier(part("a", "mnist", "x", 1), path) == part("a", "mnist", "x", 1)


def test_a_run_of_some_rows_keeps_the_machines_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "table1.json"
    known = record_of()
    for model in ("one", "two", "one", "three"):
        write_provenance(path, with_earlier(known | {"cpu": known["cpu"] | {"model": model}}, path), table_changed=True)
    record = read_provenance(path)
    assert record["cpu"]["model"] == "three"
    assert [machine["cpu"]["model"] for machine in record["earlier_machines"]] == ["two", "one"]
    assert all(machine["gpu"] == known["gpu"] and machine["system"] == known["system"] for machine in record["earlier_machines"])


def test_what_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_provenance(tmp_path / "x.json", {"a": float("nan")}, table_changed=True)
    with pytest.raises(TypeError):
        write_provenance(tmp_path / "x.json", {"a": tmp_path}, table_changed=True)
    assert not (tmp_path / "x.json").exists()
