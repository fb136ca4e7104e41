"""The paper that CONTRIBUTING adds runs as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

import benchmarks
from benchmarks.models import build_model
from benchmarks.models.checkpoint_files import write_checkpoint

ROOT = Path(benchmarks.__file__).parent.parent
BLOCK = re.compile(r"```\w+\n(?:# |\{# )(benchmarks/nibble/\S+?)(?: #\})?\n(.*?)```", re.DOTALL)


def test_the_skeleton_of_a_paper_is_measured_and_reported(tmp_path: Path) -> None:
    for package in ("benchmarks", "snncore"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = dict(BLOCK.findall(said))
    assert len(files) == 7 and sum(text.count("\n") for text in files.values()) <= 150
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    shipped = (ROOT / "benchmarks" / "profiles" / "embedded.toml").read_text(encoding="utf-8")
    own = shipped.replace('name = "embedded"', 'name = "tiny"').replace('recipe = "digits"', 'weights = "tiny"')
    (tmp_path / "tiny.toml").write_text(f"{own}\n[papers.nibble.table1]\n", encoding="utf-8")
    torch.manual_seed(0)
    weights = {"mean": json.dumps([0.3]), "std": json.dumps([0.4])}
    write_checkpoint(tmp_path / "tiny.safetensors", build_model("resnet20-thin", 10, 1).state_dict(), weights)
    command = [sys.executable, "-m", "benchmarks.harness.cli", "run", "nibble", "--profile", "tiny.toml", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SNNBENCH_CACHE": str(tmp_path / "cache"), "SNNBENCH_WEIGHTS": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reports" / "tiny" / "nibble.md").read_text(encoding="utf-8")
    assert "| TMN | 4 | 1.73 |" in page and "stand-in:" in page and "N01" in page
    assert "conversion loss in points: at most 3.0" in page
    assert (tmp_path / "reports" / "tiny" / "nibble" / "losses.svg").exists()
