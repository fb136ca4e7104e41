"""The Ternary Spike room: rows are training runs, differences are paired over seeds, analytic numbers are those of print."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.data import load
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements.deep_training import DeepTraining
from benchmarks.measurements.initial_gradients import InitialGradients
from benchmarks.measurements.lab import Lab
from benchmarks.methods import DEEP_METHODS, direct_method
from benchmarks.profiles import load_profile
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN
from benchmarks.tables.differences import differences
from benchmarks.ternary_spike.analytic import energy, entropy, table5
from benchmarks.ternary_spike.artifacts import ARTIFACTS
from benchmarks.ternary_spike.claims import CLAIMS, SETTING
from benchmarks.ternary_spike.settings import choice, choices
from snncore.energy import TERNARY_SPIKE_TABLE

EMBEDDED = load_profile("embedded")
ROWS = {artifact.name: artifact.rows(EMBEDDED) for artifact in ARTIFACTS}
TERNARY, BINARY, TRAINABLE = "Ternary spike", "Binary spike", "Trainable ternary spike"


def runs(**accuracies: list[float]) -> dict[str, pd.DataFrame]:
    """A table of runs at T = 2, a seed for each accuracy."""
    names = {"ternary": TERNARY, "binary": BINARY, "trainable": TRAINABLE}
    lines = [
        {"dataset": "d", "architecture": "a", "method": names[name], "timesteps": 2, "seed": seed, "snn_metric": value}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return {"runs": pd.DataFrame(lines).assign(dataset_used="d", architecture_used="a", status="stand-in")}


def arrays(correct: int = 3) -> dict[str, np.ndarray]:
    """What a run of a network of two layers gives."""
    return {
        "correct": np.arange(4) < correct,
        "fired": np.array([0.5, 0.1]),
        "sizes": np.array([10, 30]),
        "amplitudes": np.array([1.5, np.nan]),
        "folded": np.array([True, True, False, True]),
        "validation_accuracy": np.array([10.0, 80.0]),
        "train_loss": np.array([0.5]),
        "training_images": np.array(100),
        "failed": np.array(""),
    }


def test_a_row_of_table_1_is_a_run_for_each_seed_of_the_stand_in() -> None:
    row = ROWS["table1"][5]
    assert [
        (m.layout, m.method, m.seed, dict(m.options)["timesteps"]) for m in row.measurements if isinstance(m, DeepTraining)
    ] == [("ResNet18-w8-s1", TRAINABLE, seed, 4) for seed in (0, 1, 2)]
    assert ROWS["table1"][11].reason == "profile embedded names no network for ResNet34 on ImageNet"
    named = {m for each in ("runs", "curves", "amplitudes", "folding") for row in ROWS[each] for m in row.measurements}
    assert named <= {m for row in ROWS["table1"] for m in row.measurements}  # nothing is trained for them alone
    assert [row.key["method"] for row in ROWS["methods"]] == list(DEEP_METHODS)


def test_a_fold_is_a_training_run_with_its_own_test_part() -> None:
    (artifact,) = (each for each in ARTIFACTS if each.name == "events")
    rows = artifact.rows(load_profile("workstation"))
    assert [(row.key["method"], row.key["seed"]) for row in rows] == [(m, k) for m in (BINARY, TERNARY, TRAINABLE) for k in range(5)]
    for row in rows:
        (run,) = row.measurements
        assert isinstance(run, DeepTraining) and dict(run.options) == {"timesteps": 10}
        assert run.dataset == f"nmnist-subset?by=count&frames=10&split=fold{run.seed}"


def test_a_row_is_the_mean_over_seeds_and_firing_that_over_neurons() -> None:
    fill = ROWS["table1"][0].fill
    assert fill is not None
    (line,) = fill([arrays(3), arrays(4), arrays(2)])
    assert (line["snn_metric"], line["std"], line["validation"], line["n_test"]) == (75.0, 25.0, 80.0, 4)
    assert math.isclose(line["firing_percent"], 100 * (0.5 * 10 + 0.1 * 30) / 40)
    assert fill([arrays(), arrays() | {"failed": np.array("layer 1 is dead")}])[0]["status"] == (
        "not run: training failed: layer 1 is dead"
    )


def test_the_best_epoch_on_the_test_set_stands_beside_the_last_where_it_was_measured() -> None:
    fill = ROWS["runs"][0].fill
    assert fill is not None
    (line,) = fill([arrays(3) | {"test_accuracy": np.array([99.0, 80.0, 75.0])}])  # before training, no epoch
    assert (line["snn_metric"], line["best_on_test"]) == (75.0, 80.0)
    assert "best_on_test" not in fill([arrays(3)])[0]
    assert all(m.test_every_epoch for m in ROWS["runs"][0].measurements if isinstance(m, DeepTraining))


def test_curves_are_means_over_seeds_before_training_and_after_each_epoch() -> None:
    fill = ROWS["curves"][0].fill
    assert fill is not None
    lines = fill([arrays(), arrays() | {"validation_accuracy": np.array([20.0, 90.0])}])
    assert [(line["epoch"], line["validation"]) for line in lines] == [(0, 15.0), (1, 85.0)]


def test_folding_counts_images_of_all_seeds() -> None:
    fill = ROWS["folding"][0].fill
    assert fill is not None
    (line,) = fill([arrays(), arrays()])
    assert (line["same_percent"], line["images"]) == (75.0, 8)


def test_gradients_grow_through_binary_spikes_behind_a_wide_window_and_stay_through_ternary_ones() -> None:
    lab, growth = Lab(EMBEDDED, offline=True), {}
    for row in ROWS["gradients"]:
        if row.key["method"] in (TERNARY, BINARY, f"{BINARY}, wide surrogate"):
            (measured,) = row.measurements
            assert isinstance(measured, InitialGradients) and row.fill is not None
            lines = row.fill([replace(measured, images=32).run(lab, lambda share, text: None)])
            assert [line["layer"] for line in lines] == list(range(1, 18))
            growth[row.key["method"]] = lines[0]["gradient"] / lines[-1]["gradient"]
    assert growth[TERNARY] < 20 < growth[BINARY] < 500 < growth[f"{BINARY}, wide surrogate"]


def test_differences_are_paired_over_seeds() -> None:
    (found,) = differences(runs(ternary=[50.0, 60.0, 70.0], binary=[40.0, 49.0, 61.0, 99.0])["runs"], "method", TERNARY, BINARY, SETTING)
    assert found.seeds == 3 and found.points.estimate == 10.0 and found.points.high - found.points.low < 5.1


@pytest.mark.parametrize(
    ("name", "accuracies", "status"),
    [
        ("N03", {"ternary": [50, 60, 70], "binary": [40, 49, 61]}, STAND_IN + REPRODUCED),
        ("N03", {"ternary": [50, 60, 70], "binary": [50, 59, 71]}, STAND_IN + NOT_REPRODUCED),
        ("N03", {"ternary": [50], "binary": [40]}, NOT_TESTED),
        ("N04", {"trainable": [50, 60, 70], "ternary": [48, 58.1, 68]}, STAND_IN + REPRODUCED),
        ("N04", {"trainable": [48, 58.1, 68], "ternary": [50, 60, 70]}, STAND_IN + NOT_REPRODUCED),
        ("N04", {"trainable": [50, 60, 70], "ternary": [49, 61, 70]}, NOT_TESTED),
    ],
)
def test_claims_about_differences(name: str, accuracies: dict[str, list[float]], status: str) -> None:
    assert CLAIMS[name](runs(**accuracies)).status == status


def test_a_setting_that_is_not_resolved_leaves_a_claim_in_part() -> None:
    clear = runs(trainable=[50, 60, 70], ternary=[48, 58.1, 68])["runs"]
    noise = runs(trainable=[50, 60, 70], ternary=[49, 61, 70])["runs"].assign(timesteps=4)
    assert CLAIMS["N04"]({"runs": pd.concat([clear, noise])}).status == STAND_IN + PARTLY


def test_energies_are_those_of_print_and_entropies_those_by_hand() -> None:
    for row in table5().values():
        assert round(energy(row, TERNARY_SPIKE_TABLE), 2) == row["energy_uj"]
    assert entropy(0.5, 0.25, 0.25) == 1.5 and math.isclose(entropy(*[1 / 3] * 3), math.log2(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "ResNet50"}, "unknown spiking network 'ResNet50'"),
        ({"architecture": "VGG"}, "unknown architecture 'VGG'; known: ResNet20"),
        ({"recipe": "none"}, "no training recipe called 'none'"),
        ({"dataset": "nobody/none"}, "nobody/none"),
        ({"seeds": []}, "seeds must have at least 1 item"),
        ({"seeds": [0, 0]}, "seeds must not repeat a value"),
        ({"width": 3}, "unknown entry 'width'"),
        ({"test_every_epoch": "yes"}, "test_every_epoch must be a valid boolean"),
    ],
)
def test_a_wrong_network_of_a_profile_is_one_line(change: dict[str, object], message: str) -> None:
    entry = EMBEDDED.papers["ternary_spike"]["networks"][0] | change
    profile = replace(EMBEDDED, papers={"ternary_spike": {"networks": [entry]}})
    with pytest.raises(CannotRun, match=message):
        choices(profile)


def test_without_a_network_there_is_no_row_to_run() -> None:
    with pytest.raises(NotAvailable, match="names no network for ResNet34"):
        choice(EMBEDDED, "ImageNet", "ResNet34")


def test_images_that_are_too_small_are_refused_in_one_line() -> None:
    with pytest.raises(CannotRun, match="ResNet20-w8-s2 does not take images of 1x8x8"):
        direct_method(BINARY).build("ResNet20-w8-s2", (1, 8, 8), 10, 2)


def test_evaluation_counts_spikes_of_every_layer_and_names_the_amplitudes() -> None:
    test = load("sklearn/digits", "test")
    network = direct_method(TRAINABLE).build("ResNet18-w2-s1", (1, 8, 8), 10, 2)
    network.layers.blocks[0].neuron2.amplitude.data.fill_(1.25)
    measured = ROWS["runs"][0].measurements[0]
    assert isinstance(measured, DeepTraining)
    found = measured.tested(network.eval(), test)
    assert found["correct"].shape == (len(test),) and found["sizes"].tolist()[:2] == [128, 128]
    assert found["amplitudes"].tolist() == [1, 1, 1.25] + [1] * 14 and ((found["fired"] >= 0) & (found["fired"] <= 1)).all()
    assert found["folded"].shape == (250,) and found["folded"].all()
    plain = direct_method(BINARY).build("ResNet18-w2-s1", (1, 8, 8), 10, 2)
    assert "folded" not in measured.tested(plain.eval(), test)


def test_the_neuron_that_contributing_adds_is_trained_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n# mypackage/slow.py\n(.*?)```", said, flags=re.DOTALL)
    (tmp_path / "slow.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    section = EMBEDDED.papers["ternary_spike"]
    added = section | {"methods": section["methods"] | {"added": ["slow:SlowLIF"]}}
    rows = {each.name: each for each in ARTIFACTS}["methods"].rows(replace(EMBEDDED, papers={"ternary_spike": added}))
    assert len(rows) == len(DEEP_METHODS) + 1 and rows[-1].key["method"] == "slow:SlowLIF"
    network = direct_method("slow:SlowLIF").build("ResNet18-w2-s1", (1, 8, 8), 10, 2)
    assert network.layers.blocks[0].neuron1.decay == 0.5
    assert network(torch.rand(3, 1, 8, 8)).shape == (3, 10)
