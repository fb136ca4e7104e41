"""The converted network and its two ways of running."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from snncore.coding import Code
from snncore.conversion.graph import execute, names_in, structured
from snncore.conversion.inputs import Given, finite, tensors_of
from snncore.conversion.operations import MaxPool, PresentConstant, SpikingLayer
from snncore.conversion.signals import Kind, Program, Step
from snncore.encoders import InputEncoder
from snncore.neurons import SpikingNeuron

Mode = Literal["multi-step", "single-step"]
StepObserver = Callable[[Step | None, Any, int | None], None]


class SpikingNetwork(nn.Module):
    """A converted network: images in, decoded outputs out, as the trained network gives them.

    ``mode="multi-step"`` runs layer by layer, all timesteps in one call of each layer: fastest, memory grows with T.
    ``mode="single-step"`` runs all layers at once, one timestep after another, as pipelined hardware does: memory does
    not grow with T. The spikes are the same. The network is for inference: no gradients.

    Its state dict holds thresholds, amplitudes and T beside the weights; ``torch.save`` keeps all of it.

    Attributes:
        steps: what runs, in order, each a module of ``layers``.
        code: code of the spike trains and of the output.
        latency: steps of the pipelined simulation from the first input to the last output: T plus the delays of the
            neurons on the longest path.
        observer: called with each step (None: the images), its value and its timestep, from 0; the timestep is None for a value
            that holds all timesteps ``[T*B, ...]`` or is the same at each of them ``[B, ...]``. Counting attaches here.
    """

    def __init__(self, program: Program, code: Code, mode: Mode) -> None:
        super().__init__()
        if mode not in ("multi-step", "single-step"):
            raise ValueError(f"unknown mode {mode!r}; known: multi-step, single-step")
        self.steps, self.outputs, self.inputs = program.steps, program.outputs, program.inputs
        self.layers = nn.ModuleDict(program.modules)
        self.code = code
        self.mode: Mode = mode
        self.frames = code.timesteps  # values of a signal that changes, side by side in multi-step mode
        self.observer: StepObserver | None = None
        self.kinds: dict[str, Kind] = {step.name: step.kind for step in self.steps}
        self._decoded = [step for step in self.steps if step.kind == "decoded"]
        self._read_late = {name for step in self._decoded for name in step.inputs} | names_in(self.outputs)
        self._tapped = {name for name in self._read_late if self.kind(name) in ("spikes", "current")}  # what is decoded
        # Global timestep at which a step's inputs for its first timestep are all there, at which it answers (neurons lag), and
        # at which the last one that reads it does.
        self._arrivals: dict[str, int] = {}
        self._starts: dict[str, int] = {}
        self._reads: dict[str, int] = {}
        for step in self.steps:
            self._arrivals[step.name] = max((self._starts.get(name, 0) for name in step.inputs), default=0)
            self._starts[step.name] = self._arrivals[step.name] + getattr(_holder(self.layers[step.name]), "delay", 0)
            for name in (*step.inputs, step.name):
                self._reads[name] = max(self._arrivals[step.name], self._starts.get(name, 0), self._reads.get(name, 0))
        self.latency = max(self._starts[name] for name in self._tapped) + code.timesteps
        self.eval()

    @property
    def timesteps(self) -> int:
        """T, the firing steps of each neuron (without pre-charge)."""
        return self.code.timesteps

    @property
    def neurons(self) -> dict[str, SpikingNeuron]:
        """Neurons by the name of the activation that they replace, in the order of the network."""
        return {name: layer.neuron for name, layer in self.layers.items() if isinstance(layer, SpikingLayer)}

    @property
    def dense_layers(self) -> list[str]:
        """Layers with weights that see currents, which cost multiplications at every step."""
        return [s.name for s in self.steps if hasattr(self.layers[s.name], "weight") and self.kind(s.inputs[0]) == "current"]

    def kind(self, name: str) -> Kind:
        """What the step of that name puts out; the images are analog."""
        return self.kinds.get(name, "analog")

    @torch.no_grad()
    def forward(self, *given: Any, every_step: bool = False, **named: Any) -> Any:
        """Decoded output for a batch.

        Args:
            given, named: images ``[B, ...]``, or several inputs, as the trained network takes them.
            every_step: also decode every prefix of the output train: ``[T, B, ...]``. For codes whose trains do not
                depend on T (rate coding) entry t is the output of the same network with t+1 timesteps.

        Returns:
            ``[B, ...]`` (the structure of the trained network's output), or ``[T, B, ...]`` with ``every_step``.

        Raises:
            ValueError: NaN or infinity in the images; images of another size than the network was converted for.
        """
        images: Given = named or (given[0] if len(given) == 1 else given)
        self.inputs.of(images)
        if not finite(images):
            raise ValueError("the input contains NaN or infinity; look at the data and its normalisation")
        if self.observer is not None:
            self.observer(None, tensors_of(images)[0], None)
        values = self._single_step(images, every_step) if self.mode == "single-step" else self._multi_step(images, every_step)
        if not (every_step and self._decoded):
            return self._read_out(values)
        each = [self._read_out(values | {n: values[n][t] for n in self._tapped}) for t in range(self.timesteps)]
        return tree_map(lambda *train: torch.stack(train), *each)

    def _read_out(self, values: dict[str, Any]) -> Any:
        """Outputs, of which some are computed from decoded ones."""
        for step in self._decoded:
            values[step.name] = self.layers[step.name](*(values[name] for name in step.inputs))
        return structured(self.outputs, values)

    # ---- multi-step -----------------------------------------------------------------------------------------------

    def _multi_step(self, images: Given, every_step: bool) -> dict[str, Any]:
        decode = self.code.decode_prefixes if every_step else self.code.decode
        values = self.run(images)
        for name in self._tapped:
            values[name] = decode(values[name].unflatten(0, (self.timesteps, -1)))
        return values

    def run(self, images: Given) -> dict[str, Any]:
        """Values ``[T*B, ...]`` (analog ones ``[B, ...]``) of what is decoded or read when the last step is over."""
        return self._executed(images, [step for step in self.steps if step.kind != "decoded"], self._read_late)

    def _executed(self, images: Given, chosen: list[Step], keep: Container[str]) -> dict[str, Any]:
        values: dict[str, Any] = self.inputs.of(images)
        steps = {step.name: step for step in chosen}

        def call(name: str) -> Any:
            read = [values[source] for source in steps[name].inputs]
            value = self.layers[name](*read)
            if self.observer is not None:
                self._observed(steps[name], read, value)
            return value

        return execute({step.name: step.inputs for step in chosen}, call, values, keep)

    def _observed(self, step: Step, read: list[Any], value: Any) -> None:
        """Tell the observer what a step made, of what it read."""
        self.observer(step, value, None)  # type: ignore[misc]

    # ---- single-step ----------------------------------------------------------------------------------------------

    def _single_step(self, images: Given, every_step: bool) -> dict[str, Any]:
        """Weighted sums of what is decoded; one timestep is held at a time unless every prefix is asked for."""
        weights, total = self.code.weights().tolist(), self.code.total
        # What does not change over the timesteps is computed once.
        analog = [step for step in self.steps if step.kind == "analog"]
        values = self._executed(images, analog, {*self.inputs.shapes, *self.kinds})
        trains: dict[str, list[Tensor]] = {name: [] for name in self._tapped}
        seen = dict.fromkeys(self._tapped, 0)
        for name, value in self._timesteps(values):
            if every_step:
                trains[name].append(value)
                continue
            before = values[name] if name in values else torch.zeros_like(value)
            values[name] = torch.add(before, value, alpha=weights[seen[name]])
            seen[name] += 1
        for name in self._tapped:
            values[name] = self.code.decode_prefixes(torch.stack(trains[name])) if every_step else values[name] * (1.0 / total)
        return values

    def _timesteps(self, values: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
        """Currents that are decoded, timestep by timestep.

        Signals that arrive at a sum before their partners (residual connections across neurons with a pre-charge) are held
        as long as the difference, whatever T is.
        """
        moving = [step for step in self.steps if step.kind in ("spikes", "current")]
        analog, held, states = dict(values), dict[tuple[str, int], Tensor](), dict[str, Any]()
        for now in range(self.latency):
            for step in moving:
                at = now - self._starts[step.name]
                value = self._step_of(step, now - self._arrivals[step.name], at, analog, held, states)
                if value is None:
                    continue
                if self.observer is not None:
                    self.observer(step, value, at)
                held[step.name, at] = value
                if step.name in self._tapped:
                    yield step.name, value
            for step in moving:
                held.pop((step.name, now - self._reads[step.name]), None)

    def _step_of(
        self, step: Step, index: int, at: int, analog: dict[str, Any], held: dict[tuple[str, int], Tensor], states: dict[str, Any]
    ) -> Any:
        """Output ``at`` a timestep of ``step``, by its own timestep ``index``; None while it is not its turn."""
        if index < 0 or at >= self.frames:
            return None
        layer: Any = self.layers[step.name]
        given = [analog[name] if name in analog else held[name, index] for name in step.inputs if index < self.frames]
        if isinstance(layer, (InputEncoder, PresentConstant)):
            return layer.at(given[0], index)
        if not isinstance(layer, (SpikingLayer, MaxPool)):
            return layer(*given)
        stepper: Any = layer.stepper if isinstance(layer, SpikingLayer) else layer
        current = given[0] if given else None
        state = states.pop(step.name) if index else stepper.start(current)
        scratch = current if getattr(layer, "scratch", False) and not layer.constant else None
        value, state = stepper.update(current, state, scratch)
        if at < self.frames - 1:
            states[step.name] = state
        return value

    # ---- what one can keep and look at ----------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """What is no tensor: T, and the settings of neurons and amplitudes."""
        settings = {name: _settings(_holder(layer)) for name, layer in self.layers.items()}
        return {"code": [type(self.code).__name__, self.timesteps, float(self.code.beta)], "settings": settings}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take thresholds and amplitudes of another conversion of the same network.

        Raises:
            ValueError: another T, code or kind of neuron than this network has.
        """
        own = self.get_extra_state()
        if state["code"] != own["code"]:
            said = "{}, T = {}, beta = {:g}"
            raise ValueError(
                f"the state dict is that of a network in {said.format(*state['code'])}, and this one is in "
                f"{said.format(*own['code'])}; convert with the same method and timesteps first"
            )
        for name, settings in state["settings"].items():
            both = settings, own["settings"].get(name, {})
            theirs, ours = ({k: v for k, v in each.items() if type(v) is not float} for each in both)
            if theirs != ours:
                raise ValueError(f"the state dict does not fit layer {name}: it has {theirs}, the network {ours}")
            holder = _holder(self.layers[name])
            for key, value in settings.items():
                if type(value) is float:
                    setattr(holder, key, value)

    def __repr__(self) -> str:
        """Layers with what they see and put out."""
        rows = [("layer", "runs", "sees", "puts out")]
        for step in self.steps:
            runs = _holder(self.layers[step.name])
            sees = ", ".join(self.kind(name) for name in step.inputs)
            rows.append((step.name, str(runs).replace("\n", " "), sees, f"{step.kind} {list(step.shape)}"))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
        dense = ", ".join(self.dense_layers) or "none"
        title = f"SpikingNetwork: T = {self.timesteps}, latency {self.latency}, {len(self.neurons)} layers of neurons"
        return "\n".join([title, *lines, f"layers that see currents at every step, and multiply: {dense}"])


def _holder(layer: nn.Module) -> Any:
    return layer.neuron if isinstance(layer, SpikingLayer) else layer


def _settings(holder: nn.Module) -> dict[str, Any]:
    """Numbers, flags and words that a layer was made with."""
    found = {name: value for name, value in vars(holder).items() if isinstance(value, (bool, int, float, str))}
    for name in ("training", "scratch", "_is_full_backward_hook"):
        found.pop(name, None)
    return found | {"kind": type(holder).__name__}
