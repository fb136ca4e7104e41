"""Methods: found by name, import path or entry point, and how they count their steps."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import methods
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import METHODS, Method, Steps, method, threshold_rule
from benchmarks.methods.base import THRESHOLD_RULES
from benchmarks.methods.time_window import TimeWindowNeuron
from snncore.neurons import IntegrateFireNeuron, MomentumNeuron, SpikingNeuron
from snncore.thresholds import ActivationHistogram

OWN = """
from benchmarks.methods.tmn import TMN

class Own(TMN):
    name = "own"

instance = Own()
number = 3
class Unrelated: ...
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_methods_under_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_methods_under_test", raising=False)
    return "own_methods_under_test"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is(name: str) -> None:
    found = method(name)
    assert found.name == name and found.reference and found.coding in ("CSS", "rate", "FS", "TTFS", "TSC")
    conversion = found.conversion(threshold_rule("maximum"))
    assert found.layerwise or not conversion.full_precision or conversion.threshold is THRESHOLD_RULES["maximum"]


NEURONS: list[tuple[str, dict[str, Any], type[SpikingNeuron], dict[str, Any]]] = [
    ("TMN", {}, MomentumNeuron, {"threshold": 2, "beta": 2, "delay": 1, "ratio": 0.5, "ternary": True, "gate": "first-spike"}),
    ("TMN", {"precharge": 3, "ratio": 0.6, "ternary": False}, MomentumNeuron, {"delay": 3, "ratio": 0.6, "ternary": False}),
    ("FS-Conversion", {}, MomentumNeuron, {"threshold": 2, "delay": 7, "ratio": 1, "ternary": False, "gate": "none"}),
    ("rate", {}, IntegrateFireNeuron, {"initial": 0}),
    ("OPI", {}, IntegrateFireNeuron, {"initial": 0.5}),
    ("TTFS Mapping", {}, TimeWindowNeuron, {"grid": "nearest", "threshold": 8, "delay": 7}),
    ("TTFS Mapping", {"exact_times": True}, TimeWindowNeuron, {"grid": "continuous", "threshold": 8, "delay": 7}),
    ("LC-TTFS", {}, TimeWindowNeuron, {"grid": "down", "threshold": 8, "delay": 7}),
    ("LC-TTFS, centred", {}, TimeWindowNeuron, {"grid": "nearest", "threshold": 8, "delay": 7}),
]


@pytest.mark.parametrize(("name", "options", "kind", "expected"), NEURONS)
def test_a_method_has_the_neuron_of_its_paper(name: str, options: Any, kind: type[SpikingNeuron], expected: dict[str, Any]) -> None:
    neuron = method(name).conversion(threshold_rule("maximum"), **options).neuron(2.0, 7)
    assert isinstance(neuron, kind) and neuron.code.timesteps == 7
    assert {attribute: getattr(neuron, attribute) for attribute in expected} == expected


ANYTIME = ("rate", "OPI", "SpikeNorm", "RMP-SNN", "RMP-SNN, scaled")
ONE_LENGTH = ("SNN Calibration", "SNN Calibration (light)", "TTRBR", "TSC")


@pytest.mark.parametrize("name", ANYTIME + ONE_LENGTH)
def test_all_layers_of_rate_coding_work_in_one_window_and_some_methods_at_any_length_of_it(name: str) -> None:
    assert method(name).steps(64, 20) == Steps(coding=64, precharge=0, presimulation=0, latency=64)
    assert method(name).conversion(threshold_rule("maximum")).anytime == (name in ANYTIME)


def test_steps_are_counted_apart() -> None:
    assert method("TMN").steps(8, 20) == Steps(coding=8, precharge=1, presimulation=0, latency=28)
    assert method("TMN").steps(8, 16, precharge=2) == Steps(8, 2, 0, 40)
    assert method("TMN").steps(8, 16, precharge=0, ratio=1.0) == Steps(8, 0, 0, 8)
    assert method("QCFS").steps(16, 18) == method("QFFS").steps(16, 18) == method("Fast-SNN").steps(16, 18) == Steps(16, 0, 0, 16)
    assert method("COS").steps(4, 18) == Steps(4, 0, 4, 4 * 18 + 4)
    assert method("COS").steps(16, 16, presimulation=8) == Steps(16, 0, 8, 8 * 16 + 16)
    assert method("COS, long pre-simulation").steps(16, 18) == Steps(16, 0, 16, 16 * 18 + 16)
    assert not method("COS, long pre-simulation").traits().anytime  # its pre-simulation is as long as T
    assert method("TSA").steps(12, 20) == Steps(12, 1, 0, 32)
    for name, timesteps in (("FS-Conversion", 10), ("TTFS Mapping", 64), ("LC-TTFS", 50)):  # a window per layer
        assert method(name).default_timesteps == timesteps
        assert method(name).steps(timesteps, 16) == Steps(timesteps, timesteps, 0, 16 * timesteps)


@pytest.mark.parametrize("name", ["TTFS Mapping", "LC-TTFS", "TSC"])
def test_one_step_carries_no_time(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"{name} needs at least 2 timesteps"):
        method(name).steps(1, 20)


@pytest.mark.parametrize("name", ["QCFS", "COS", "QFFS", "Fast-SNN", "Fast-SNN, not fine-tuned"])
def test_quantised_methods_refuse_full_precision(name: str) -> None:
    method(name).check(4, 4)
    with pytest.raises(NotAvailable, match=f"{name} converts quantised networks, and this one has full precision"):
        method(name).check(None, 4)


@pytest.mark.parametrize(
    ("name", "levels", "timesteps", "options"),
    [("TMN", 4, 2, {}), ("TMN", 16, 4, {}), ("COS", 4, 3, {}), ("COS", 4, 4, {"presimulation": 5}), ("TMN", None, 2, {"precharge": 3})],
)
def test_levels_and_steps_that_do_not_fit_are_refused(name: str, levels: int | None, timesteps: int, options: Any) -> None:
    with pytest.raises(NotAvailable, match=f"{name} cannot run here: "):
        method(name).check(levels, timesteps, **options)


@pytest.mark.parametrize(("name", "levels", "timesteps"), [("TMN", 4, 3), ("TMN", 16, 5), ("TMN", None, 1), ("OPI", 4, 8), ("TSA", 4, 8)])
def test_levels_and_steps_that_fit_are_not(name: str, levels: int | None, timesteps: int) -> None:
    method(name).check(levels, timesteps)


def test_an_unknown_method_leaves_the_other_rows_alone() -> None:
    with pytest.raises(NotAvailable, match="method not available yet: Nobody's"):
        method("Nobody's")


def test_a_method_by_import_path(own: str) -> None:
    found = method(f"{own}:Own")
    assert found.name == "own" and isinstance(found, Method)
    assert method(f"{own}:instance").name == "own"


@pytest.mark.parametrize("attribute", ["number", "Unrelated"])
def test_something_else_by_import_path(own: str, attribute: str) -> None:
    with pytest.raises(CannotRun, match="is not a benchmarks.methods.Method; subclass it"):
        method(f"{own}:{attribute}")


@pytest.mark.parametrize("path", ["no_such_module_at_all:Own", "json:NoSuchClass"])
def test_an_import_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(CannotRun, match=r"cannot be imported .* give package.module:Class"):
        method(path)


def test_a_method_by_entry_point(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", f"{own}:Own", "snnbench.methods")
    monkeypatch.setattr(methods, "entry_points", lambda group: [point] if group == "snnbench.methods" else [])
    assert method("mine").name == "own"
    with pytest.raises(NotAvailable):
        method("thine")


def test_threshold_rules_by_name() -> None:
    histogram = ActivationHistogram()
    histogram.update(torch.linspace(0.001, 1.0, 1000))
    code = method("TMN").conversion(threshold_rule("maximum")).neuron(1.0, 4).code
    thresholds = {name: rule(histogram, code) for name, rule in THRESHOLD_RULES.items()}
    assert thresholds["maximum"] == 1.0
    assert thresholds["percentile-99.9"] < thresholds["percentile-99.99"] <= thresholds["percentile-99.999"] <= 1.0
    assert all(0.5 < value <= 1.0 for value in thresholds.values())
    with pytest.raises(CannotRun, match="unknown calibration 'median'; known: percentile-99.9"):
        threshold_rule("median")
