"""A training that is killed, not interrupted: the next one goes on from the last whole epoch and ends with the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks

TRAIN = """
import sys, time
from dataclasses import replace
from benchmarks.training import recipe
from benchmarks.training.spiking_cache import SpikingTask, trained_spiking
chosen = replace(recipe("ternary-digits"), epochs=3, batch_size=50, shift=1, flip=True)
task = SpikingTask("sklearn/digits", "ResNet18-w2-s1", "Trainable ternary spike", chosen, 0, validation=60, training=200)

def progress(step, steps):
    print(step, flush=True)
    if sys.argv[1:] == [str(step)]:
        time.sleep(600)  # to be killed here

print(trained_spiking(task, progress=progress).sha)
"""


def start(cache: Path, *wait_at: str) -> subprocess.Popen[str]:
    environment = os.environ | {"SNNBENCH_CACHE": str(cache), "PYTHONPATH": str(Path(benchmarks.__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", TRAIN, *wait_at], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_that_is_killed_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole").communicate()[0].split()
    assert whole[:-1] == [str(step) for step in range(1, 13)]
    killed = start(tmp_path / "killed", "6")  # in the second epoch of three
    assert killed.stdout is not None
    assert [next(killed.stdout).strip() for _ in range(6)][-1] == "6"
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    (unfinished,) = (tmp_path / "killed" / "networks").glob("*.pt")
    resumed = start(tmp_path / "killed").communicate()[0].split()
    assert resumed[0] == "5" and resumed[-1] == whole[-1] and not unfinished.exists()
    (one,), (other,) = ([*(tmp_path / each / "networks").glob("*.safetensors")] for each in ("whole", "killed"))
    assert one.name == other.name and one.read_bytes() == other.read_bytes()
