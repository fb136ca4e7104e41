"""A training run with its test, and networks before training: held to direct computations, image by image."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.data import load
from benchmarks.data.images import ImageSet
from benchmarks.errors import CannotRun
from benchmarks.measurements import direct_training
from benchmarks.measurements.direct_training import DirectTraining, evaluate
from benchmarks.measurements.initial_state import BINS, HIGH, LOW, InitialState
from benchmarks.measurements.lab import Lab
from benchmarks.methods import direct_method
from benchmarks.methods.direct import SpikingClassifier
from benchmarks.profiles import load_profile
from benchmarks.training import recipe
from benchmarks.training.randomness import generator
from snncore.coding import latency_spikes
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import Conv2d

T, DIGITS = 6, "sklearn/digits"


@pytest.fixture
def lab(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    return Lab(load_profile("embedded"))


def some_digits(count: int) -> ImageSet:
    return load(DIGITS, "test").take(count)


def network(layout: str, **options: Any) -> SpikingClassifier:
    method = direct_method("ETTFS")
    made = method.build(layout, (1, 8, 8), 10, T, **options)
    method.initialize(made, torch.Generator().manual_seed(1), **options)
    return made.eval()


# ---- the test of a trained network ------------------------------------------------------------------------------------


def run_stepwise(made: SpikingClassifier, image: Tensor) -> tuple[list[Tensor], list[list[float]]]:
    """Spikes ``[T, N]`` of every layer of neurons, and the potentials ``[T][K]`` of the output neurons."""
    states: dict[int, Any] = {}
    trains: dict[int, list[Tensor]] = {}
    potentials: list[list[float]] = []
    encoded = made.encode(image[None])
    for t in range(T):
        x = encoded[min(t, len(encoded) - 1)][None]
        for index, layer in enumerate(made.layers):
            if isinstance(layer, FirstSpikeNeuron):
                spikes, states[index] = layer.step(x[0], states.get(index) or layer.start(x[0]))
                x = spikes[None]
                trains.setdefault(index, []).append(x.flatten().clone())
            else:
                x = layer(x)
        potentials.append(states[len(made.layers) - 1][0][0].tolist())
    return [torch.stack(train) for train in trains.values()], potentials


def named_by_loops(spikes: list[list[float]], potentials: list[list[float]], weights: list[float]) -> tuple[int, int, bool]:
    """Class (-1 for silence), step of the first spike from 1, and whether the highest score is shared."""
    times = [next((t for t in range(T) if spikes[t][k]), T) for k in range(10)]
    first = min(times)
    if first == T:
        return -1, T + 1, False
    scores = [weights[t] if t < T else 0.0 for t in times]
    best = [k for k in range(10) if scores[k] == max(scores)]
    return max(best, key=lambda k: potentials[times[k]][k] if times[k] < T else -np.inf), first + 1, len(best) > 1


LAYOUTS = [("3C3-P2-4C2-10", {}), ("3C3-P2-10", {"pooling": "max"}), ("64-12-10", {"encoding": "latency", "forced_spike": True}), ("64-12-10", {"threshold": 3.0})]


@pytest.mark.parametrize(("layout", "options"), LAYOUTS)
def test_evaluation_is_that_of_a_machine_that_goes_step_by_step(layout: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made, test = network(layout, **options), some_digits(12)
    monkeypatch.setattr(direct_training, "BATCH", 5)
    found = evaluate(made, test)
    weights = made.decode.weights.tolist()
    neurons = [m for m in made.layers if isinstance(m, FirstSpikeNeuron)]
    steps = np.zeros((len(neurons), T + 1))
    correct, other, decision, tied, silent = [], [], [], 0, 0
    with torch.no_grad():
        for image, label in zip(test.images.float() / 255, test.labels.tolist(), strict=True):
            trains, potentials = run_stepwise(made, image)
            for layer, train in enumerate(trains):
                steps[layer] += [*train.sum(1).tolist(), int((train.sum(0) == 0).sum())]
            named, first, shared = named_by_loops(trains[-1].tolist(), potentials, weights)
            correct.append(named == label)
            decision.append(first)
            tied, silent = tied + shared, silent + (named < 0)
            for neuron in neurons:
                neuron.forced_spike = not neuron.forced_spike
            trains, potentials = run_stepwise(made, image)
            other.append(named_by_loops(trains[-1].tolist(), potentials, weights)[0] == label)
            for neuron in neurons:
                neuron.forced_spike = not neuron.forced_spike
    assert found["correct"].tolist() == correct and found["correct_other"].tolist() == other
    assert found["decision"].tolist() == decision
    assert (int(found["tied"]), int(found["silent"])) == (tied, silent)
    assert np.array_equal(found["spike_steps"], steps)
    assert {neuron.forced_spike for neuron in neurons} == {options.get("forced_spike", False)}


def windows(size: int, kernel: int, stride: int) -> Tensor:
    """In how many windows each position of a map lies."""
    count = torch.zeros(size, size, dtype=torch.float64)
    for row, column in product(range(0, size - kernel + 1, stride), repeat=2):
        count[row : row + kernel, column : column + kernel] += 1
    return count


def test_operations_are_counted_on_merged_pooling_and_until_the_decision() -> None:
    """3C3 makes maps of 6x6; merged with the pooling, 4C2 has kernels of 4x4 at stride 2; its maps of 2x2 go to 10 neurons."""
    made, test = network("3C3-P2-4C2-10", threshold=0.3), some_digits(20)
    found = evaluate(made, test)
    fan_outs = [(4 * windows(6, 4, 2)).expand(3, 6, 6).flatten(), torch.full((16,), 10.0, dtype=torch.float64)]
    whole = until = 0.0
    with torch.no_grad():
        for number, image in enumerate(test.images.float() / 255):
            trains, _ = run_stepwise(made, image)
            for train, fan_out in zip(trains[:-1], fan_outs, strict=True):
                each = train.double() @ fan_out
                whole += float(each.sum())
                until += float(each[: found["decision"][number]].sum())
    assert found["accumulates"].tolist() == [whole, until]
    assert 0 < until < whole
    assert found["multiplications"] == 20 * (27 * 36 + 3 * 36)


def test_latency_coded_images_cost_accumulates_alone() -> None:
    found = evaluate(network("64-12-10", encoding="latency"), some_digits(10))
    bright = (some_digits(10).images > 0).sum()
    hidden = found["spike_steps"][0, :-1].sum()
    assert found["multiplications"] == 0
    assert found["accumulates"][0] == 12 * bright + 10 * hidden


def test_spikes_between_two_steps_count_once_and_after_their_time() -> None:
    method, options, test = direct_method("STDBP"), {"fan_in_weights": [4.0, 1.0]}, some_digits(20)
    made = method.build("64-12-10", (1, 8, 8), 10, T, **options)
    method.initialize(made, torch.Generator().manual_seed(1), **options)
    found = evaluate(made.eval(), test)
    with torch.no_grad():
        x = test.images.float() / 255
        hidden = made.layers[1].times(made.layers[0](x.flatten(1)))
        times = made.layers[3].times(made.layers[:3](x.flatten(1)))
        correct = made(x).argmax(1) == test.labels
    for layer, each in enumerate((hidden, times)):
        assert (each != each.round()).any() and (each == T).any()
        steps = torch.bincount(each.ceil().long().flatten(), minlength=T + 1)
        assert found["spike_steps"][layer].tolist() == steps.tolist()
    assert found["decision"].tolist() == (times.amin(1).ceil().long() + 1).tolist()
    assert found["correct"].tolist() == correct.tolist()
    assert found["accumulates"][0] == 12 * (test.images > 0).sum() + 10 * (hidden < T).sum()


def test_a_silent_network_is_never_right() -> None:
    found = evaluate(network("64-12-10", threshold=1e6), some_digits(12))
    assert not found["correct"].any() and found["silent"] == 12 and found["tied"] == 0
    assert found["decision"].tolist() == [T + 1] * 12 and found["accumulates"].tolist() == [0, 0]
    assert found["spike_steps"].tolist() == [[0] * T + [12 * 12], [0] * T + [12 * 10]]


# ---- the experiment ---------------------------------------------------------------------------------------------------

EXPERIMENT = DirectTraining(DIGITS, 0, "64-20-10", "ETTFS", "ettfs-digits", (("epochs", 2), ("timesteps", 4)), 60, 150)


def test_an_experiment_trains_then_tests(lab: Lab) -> None:
    notes: list[tuple[float, str]] = []
    found = EXPERIMENT.run(lab, lambda share, text: notes.append((share, text)))
    assert str(found["failed"]) == ""
    assert len(found["correct"]) == len(load(DIGITS, "test")) and found["spike_steps"].shape == (2, 5)
    assert found["train_loss"].shape == (2,) and found["firing"].shape == (3, 2)
    assert [round(share, 2) for share, _ in notes[:4]] == [0.12, 0.25, 0.38, 0.5] and notes[-1][0] == 1.0
    assert notes[0][1] == f"{DIGITS} 64-20-10 ETTFS seed 0, 12 %" and notes[-1][1].endswith("test")
    again = EXPERIMENT.run(lab, lambda *_: None)
    assert found.keys() == again.keys() and all(np.array_equal(found[name], again[name]) for name in found)


def test_a_failure_has_no_accuracy(lab: Lab) -> None:
    dead = replace(EXPERIMENT, options=(*EXPERIMENT.options, ("threshold", 1e6)))
    found = dead.run(lab, lambda *_: None)
    assert found.keys() == {"failed"}
    assert "layer 1 of 2 is dead after epoch 2" in str(found["failed"])


def test_options_go_over_those_of_the_recipe() -> None:
    chosen = EXPERIMENT.chosen()
    base = recipe("ettfs-digits")
    assert (chosen.epochs, chosen.options) == (2, base.options | {"timesteps": 4})
    assert replace(chosen, epochs=base.epochs, options=base.options) == base
    assert replace(EXPERIMENT, options=()).chosen() == base


def test_the_identity_holds_all_that_matters() -> None:
    changes: list[dict[str, Any]] = [{}, {"seed": 1}, {"layout": "64-10"}, {"options": ()}, {"validation": 61}, {"training": None}, {"tolerant": True}]
    identities = [json.dumps(replace(EXPERIMENT, **change).identity(), sort_keys=True) for change in changes]
    assert len(set(identities)) == len(identities)
    identity = json.loads(identities[0])
    assert identity["experiment"] == "DirectTraining" and identity["recipe"]["learning_rate"] == recipe("ettfs-digits").learning_rate


def test_costs_order_what_is_long() -> None:
    assert 0 < EXPERIMENT.cost() < replace(EXPERIMENT, options=(("epochs", 3),)).cost() < replace(EXPERIMENT, options=(), training=None).cost()
    assert replace(EXPERIMENT, layout="3C3-10").cost() > EXPERIMENT.cost()
    assert 0 < STATE.cost() < replace(EXPERIMENT, options=()).cost()


# ---- before training --------------------------------------------------------------------------------------------------

STATE = InitialState(DIGITS, 0, "64-30-20-10", T, "ettfs", images=12)


def nothing(*_: object) -> None:
    pass


def currents_of(state: InitialState) -> list[Tensor]:
    """Currents ``[T, B, N]`` of every layer, from weights drawn here."""
    weights, source = [], generator(state.seed, "initialization")
    for inputs, outputs in ((64, 30), (30, 20), (20, 10)):
        bound = (3 * (T if state.initialization == "ettfs" else 2) / inputs) ** 0.5
        weights.append((2 * torch.rand(outputs, inputs, generator=source, dtype=torch.float64) - 1) * bound)
    pixels = (load(DIGITS, "train").images[: state.images].float() / 255).double().flatten(1)
    x = latency_spikes(pixels, T) if state.encoding == "latency" else pixels.expand(T, -1, -1)
    found = []
    for weight in weights:
        found.append(x @ weight.T)
        x = FirstSpikeNeuron(1.0, T, forced_spike=state.forced_spike)(found[-1])
    return found


@pytest.mark.parametrize("change", [{}, {"initialization": "kaiming"}, {"encoding": "latency"}, {"forced_spike": True}])
def test_the_initial_state_is_that_of_weights_drawn_by_hand(lab: Lab, change: dict[str, Any]) -> None:
    state = replace(STATE, **change)
    found = state.run(lab, nothing)
    for layer, currents in enumerate(currents_of(state)):
        potential = currents.cumsum(0)
        fired = 1.0 if state.forced_spike else float((potential.amax(0) >= 1).double().mean())
        assert found["fired"][layer] == pytest.approx(fired)
        assert found["mean"][layer] == pytest.approx(float(potential.mean()), rel=1e-6, abs=1e-9)
        assert found["variance"][layer] == pytest.approx(float(potential.var()), rel=1e-3)
        assert found["current_variance"][layer] == pytest.approx(float(currents.var()), rel=1e-2)
        edges = np.linspace(LOW, HIGH, BINS + 1)
        assert found["potential"][layer].tolist() == np.histogram(potential.clamp(LOW, HIGH - 1e-9), edges)[0].tolist()
    assert found["gradient"].shape == found["gradient_mean"].shape == (3,)
    assert (found["gradient_mean"] > 0).all()


def test_gradients_are_those_of_the_loss(lab: Lab) -> None:
    found = STATE.run(lab, nothing)
    method = direct_method("ETTFS")
    made = method.build(STATE.layout, (1, 8, 8), 10, T).double()
    method.initialize(made, generator(0, "initialization"))
    train = load(DIGITS, "train")
    method.loss(made((train.images[:12].float() / 255).double()), train.labels[:12]).backward()
    weights = [m.weight.grad.abs() for m in made.layers if isinstance(m, nn.Linear | Conv2d)]
    assert found["gradient"].tolist() == pytest.approx([float(w.median()) for w in weights], abs=1e-12)
    assert found["gradient_mean"].tolist() == pytest.approx([float(w.mean()) for w in weights])


def test_random_inputs_fire_once_and_do_not_depend_on_the_image(lab: Lab) -> None:
    random = replace(STATE, encoding="random", images=60, forced_spike=True)
    found = random.run(lab, nothing)
    assert found["current_variance"].tolist() == pytest.approx([1, 1, 1], rel=0.3)
    assert np.array_equal(found["fired"], random.run(lab, nothing)["fired"])
    assert not np.array_equal(found["variance"], replace(random, seed=1).run(lab, nothing)["variance"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "rate"}, "encoding must be one of direct, latency, random, got 'rate'"),
        ({"initialization": "xavier"}, "initialization must be one of ettfs, kaiming"),
        ({"layout": "65-10"}, "takes 65 inputs"),
        ({"timesteps": 1}, "at least 2 timesteps"),
    ],
)
def test_states_that_make_no_sense(lab: Lab, change: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRun, match=message):
        replace(STATE, **change).run(lab, nothing)
