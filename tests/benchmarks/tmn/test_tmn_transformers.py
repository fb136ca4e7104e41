"""A vision Transformer in the TMN room: what is measured, the table, and claim T08."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.harness.cli import main
from benchmarks.harness.results import read_table
from benchmarks.measurements.answers import Answers
from benchmarks.measurements.lab import Lab
from benchmarks.models import build_model
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.profiles import load_profile
from benchmarks.tables.bounds import checks_of
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN
from benchmarks.tmn.transformers import TRANSFORMERS, shown, transformers

PROFILE = """
name = "small"
title = "a Transformer with random weights"
calibration = "maximum"
calibration_images = 20
batch = 10
shard = 25

[[networks]]
paper_dataset = "digits"
paper_architecture = "ViT"
dataset = "sklearn/digits"
architecture = "vit-thin"
weights = "digits_vit"

[papers.tmn.transformers]
networks = [["digits", "ViT"]]
conversions = [["maximum", 2, 5], ["maximum", 4, 12]]
test_images = 50
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights and a profile."""
    torch.manual_seed(0)
    metadata = {"mean": "[0.3]", "std": "[0.4]"}
    write_checkpoint(tmp_path / "digits_vit.safetensors", build_model("vit-thin", 10, 1).state_dict(), metadata)
    (tmp_path / "small.toml").write_text(PROFILE)
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_measurement_compares_both_networks_image_by_image(machine: Path) -> None:
    lab = Lab(load_profile(str(machine / "small.toml")))
    (choice,) = lab.profile.networks
    arrays = Answers(choice, "maximum", None, "TMN", (("precharge", 2),), 5).run(lab, 10, 32)
    snn = lab.converted(choice, "maximum", "TMN", (("precharge", 2),), 5)
    exact, spiking, labels = [], [], []
    for images, named in lab.test_batches(choice, 10, 32):
        with torch.no_grad():
            exact.append(lab.network(choice)(images))
        spiking.append(snn(images))
        labels.append(named)
    ann, converted, right = torch.cat(exact), torch.cat(spiking), torch.cat(labels)
    np.testing.assert_array_equal(arrays["each_ann"], (ann.argmax(1) == right).numpy())
    np.testing.assert_array_equal(arrays["each_snn"], (converted.argmax(1) == right).numpy())
    np.testing.assert_array_equal(arrays["each_same"], (ann.argmax(1) == converted.argmax(1)).numpy())
    assert arrays["squared_error"] / arrays["squares"] == pytest.approx(
        float((converted - ann).norm() / ann.norm()) ** 2, rel=1e-4
    )
    assert arrays["same_latency"] == snn.latency > 5 + 2 * 10


def test_a_run_writes_the_table(machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    where = ["--profile", str(machine / "small.toml"), "--results", str(machine / "results"), "--jobs", "1", "--no-report"]
    monkeypatch.setattr(sys, "argv", ["snnbench", "run", "tmn", "transformers", *where])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr()
    rows = read_table(machine / "results" / "small" / "tmn" / "transformers.csv", TRANSFORMERS)
    assert rows["status"].tolist() == ["measured"] * 2 and rows["n_test"].tolist() == [50, 50]
    coarse, fine = rows.to_dict("records")
    assert fine["logit_error"] < 1e-2 < coarse["logit_error"]  # at T = 12, L = 4 hardly an error is left
    assert fine["agreement"] == 100 and fine["ann_metric"] == fine["snn_metric"]
    assert "| 12 | 4 |" in shown(rows)


def test_a_profile_without_a_transformer_says_so() -> None:
    assert ["names no network for CIFAR-10 ViT" in row.reason for row in transformers(load_profile("gpu"))] == [True]


@pytest.mark.parametrize(
    ("accuracies", "status"),
    [
        ({5: (93.0, 93.0, 93.1), 8: (93.0, 93.5, 93.4)}, STAND_IN + REPRODUCED),
        ({5: (93.1, 93.0, 93.0), 8: (93.0, 93.5, 93.4)}, STAND_IN + PARTLY),
        ({5: (93.0, 93.5, 93.61)}, STAND_IN + NOT_REPRODUCED),
        ({5: (93.0, 93.5)}, NOT_TESTED),
    ],
)
def test_the_claim_of_two_precharge_steps(accuracies: dict[int, tuple[float, ...]], status: str) -> None:
    known = {"dataset": "d", "architecture": "a", "calibration": "maximum", "status": "measured", "n_test": 1000}
    rows = [
        known | {"timesteps": t, "precharge_steps": steps, "snn_metric": found}
        for t, listed in accuracies.items()
        for steps, found in enumerate(listed, start=1)
    ]
    assert checks_of("tmn")["T08"]({"transformers": pd.DataFrame(rows)}).status == status
    twice = [row | {"architecture": name} for name in ("a", "b") for row in rows]  # networks are judged one by one
    assert checks_of("tmn")["T08"]({"transformers": pd.DataFrame(twice)}).status == status


@pytest.mark.parametrize(("losses", "status"), [((0.3, 0.0), REPRODUCED), ((0.31, 0.3), NOT_REPRODUCED), ((0.3, -0.1), NOT_REPRODUCED)])
def test_the_claim_of_quantised_transformers(losses: tuple[float, float], status: str) -> None:
    known = {"dataset": "d", "architecture": "a", "status": "measured"}
    made = zip((("TMN", 2, 5), ("ST-BIF", 0, 64)), losses, strict=True)
    rows = [known | {"method": m, "precharge_steps": n, "timesteps": t, "loss": loss} for (m, n, t), loss in made]
    assert checks_of("tmn")["T21"]({"quantized_transformers": pd.DataFrame(rows)}).status == STAND_IN + status
    assert checks_of("tmn")["T21"]({"quantized_transformers": pd.DataFrame(rows[:1])}).status == NOT_TESTED
