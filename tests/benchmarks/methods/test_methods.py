"""Methods: found by name, import path or entry point, and how they count their steps."""

from __future__ import annotations

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
from snncore.neurons import IntegrateFireNeuron, MomentumNeuron
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


def test_tmn_is_the_papers_neuron() -> None:
    neuron = method("TMN").conversion(threshold_rule("maximum")).neuron(3.0, 4)
    assert isinstance(neuron, MomentumNeuron)
    assert (neuron.threshold, neuron.beta, neuron.delay, neuron.ratio) == (3.0, 2.0, 1, 0.5)
    assert neuron.ternary and neuron.gate == "first-spike"


def test_options_reach_the_neuron() -> None:
    made = method("TMN").conversion(threshold_rule("maximum"), precharge=3, ratio=0.6, ternary=False).neuron(1.0, 4)
    assert isinstance(made, MomentumNeuron)
    assert (made.delay, made.ratio, made.ternary) == (3, 0.6, False)


@pytest.mark.parametrize(("name", "initial"), [("rate", 0.0), ("OPI", 0.5)])
def test_rate_methods_differ_in_where_the_membrane_starts(name: str, initial: float) -> None:
    conversion = method(name).conversion(threshold_rule("maximum"))
    neuron = conversion.neuron(2.0, 4)
    assert isinstance(neuron, IntegrateFireNeuron) and neuron.initial == initial and conversion.anytime


def test_steps_are_counted_apart() -> None:
    assert method("TMN").steps(8, 20) == Steps(coding=8, precharge=1, presimulation=0, latency=28)
    assert method("TMN").steps(8, 16, precharge=2) == Steps(8, 2, 0, 40)
    assert method("TMN").steps(8, 16, precharge=0, ratio=1.0) == Steps(8, 0, 0, 8)
    assert method("OPI").steps(64, 20) == method("rate").steps(64, 20) == Steps(64, 0, 0, 64)


def test_fs_conversion_sends_binary_digits() -> None:
    neuron = method("FS-Conversion").conversion(threshold_rule("maximum")).neuron(3.0, 10)
    assert isinstance(neuron, MomentumNeuron)
    assert (neuron.threshold, neuron.code.timesteps, neuron.delay, neuron.ratio, neuron.ternary) == (3.0, 10, 10, 1, False)
    assert neuron.gate == "none"


@pytest.mark.parametrize(
    ("name", "options", "grid"),
    [
        ("TTFS Mapping", {}, "nearest"),
        ("TTFS Mapping", {"exact_times": True}, "continuous"),
        ("LC-TTFS", {}, "down"),
        ("LC-TTFS, centred", {}, "nearest"),
    ],
)
def test_one_spike_codes_differ_in_how_times_are_rounded(name: str, options: dict[str, bool], grid: str) -> None:
    neuron = method(name).conversion(threshold_rule("maximum"), **options).neuron(2.0, 7)
    assert isinstance(neuron, TimeWindowNeuron)
    assert (neuron.grid, neuron.threshold, neuron.delay) == (grid, 8.0, 7)


@pytest.mark.parametrize(("name", "timesteps"), [("FS-Conversion", 10), ("TTFS Mapping", 64), ("LC-TTFS", 50)])
def test_layers_that_wait_for_whole_trains_take_a_window_each(name: str, timesteps: int) -> None:
    assert method(name).default_timesteps == timesteps
    assert method(name).steps(timesteps, 16) == Steps(timesteps, timesteps, 0, 16 * timesteps)


@pytest.mark.parametrize("name", ["TTFS Mapping", "LC-TTFS"])
def test_one_step_carries_no_time(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"{name} needs at least 2 timesteps per layer, one carries no time; got 1"):
        method(name).steps(1, 20)
def test_quantised_methods_count_their_steps() -> None:
    assert method("QCFS").steps(16, 18) == method("QFFS").steps(16, 18) == method("Fast-SNN").steps(16, 18) == Steps(16, 0, 0, 16)
    assert method("COS").steps(4, 18) == Steps(4, 0, 4, 4 * 18 + 4)
    assert method("COS").steps(16, 16, presimulation=8) == Steps(16, 0, 8, 8 * 16 + 16)
    assert method("COS, long pre-simulation").steps(16, 18) == Steps(16, 0, 16, 16 * 18 + 16)
    assert method("TSA").steps(12, 20) == Steps(12, 1, 0, 32)


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
