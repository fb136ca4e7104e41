"""Sentences of the TMN report that are made from measured rows."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.tmn.report import scaled_thresholds


@pytest.fixture
def rows() -> pd.DataFrame:
    shared = {"dataset": "CIFAR-10", "architecture": "ResNet-20", "dataset_used": "uoft-cs/cifar10", "architecture_used": "resnet20"}
    measured = [("RMP-SNN", 256, 80.0), ("RMP-SNN", 512, 60.0), ("RMP-SNN, scaled", 64, 9.0), ("RMP-SNN, scaled", 256, 1.5)]
    return pd.DataFrame(
        [
            shared
            | {"method": method, "timesteps": timesteps, "loss": loss, "status": "measured"}
            | {"loss_ci95_low": loss - 1, "loss_ci95_high": loss + 1}
            for method, timesteps, loss in measured
        ]
    )


def test_losses_with_and_without_scaled_thresholds_are_those_of_the_same_steps(rows: pd.DataFrame) -> None:
    (text,) = scaled_thresholds(rows)
    assert "ResNet-20 on CIFAR-10 at T = 256: 80.00 [79.00, 81.00] points with them and 1.50 [0.50, 2.50] with scaled ones." in text


def test_nothing_is_said_without_steps_in_common(rows: pd.DataFrame) -> None:
    assert scaled_thresholds(rows[rows["timesteps"] != 256]) == []
    assert scaled_thresholds(rows[rows["method"] == "RMP-SNN"]) == []
