"""Networks on running estimates and their two ways of running."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from snncore.coding import Code
from snncore.conversion.inputs import Given
from snncore.conversion.network import Mode, SpikingNetwork
from snncore.conversion.operations import Estimating, Evaluation
from snncore.conversion.signals import Program, Step


class EstimatingNetwork(SpikingNetwork):
    """A converted Transformer: between neurons, the trained network's operations on T - L estimates of each signal.

    Attributes:
        frames: T - L, how often each operation is evaluated whose input changes.
    """

    def __init__(self, program: Program, code: Code, mode: Mode, frames: int) -> None:
        super().__init__(program, code, mode)
        self.layouts, self.frames = program.layouts, frames
        self._trains: dict[str, Tensor] = {}

    @property
    def dense_layers(self) -> list[str]:
        """Operations that cost multiplications, ``frames`` times: softmax, normalisation and other functions."""
        evaluated = {step.name: self.layers[step.name] for step in self.steps if step.kind in ("spikes", "current")}
        return [name for name, layer in evaluated.items() if isinstance(layer, Evaluation) and not layer.free]

    def forward(self, *given: Any, every_step: bool = False, **named: Any) -> Any:
        """As ``SpikingNetwork.forward``; ValueError for ``every_step``: of the first L steps no estimate is made."""
        if every_step:
            raise ValueError("this network makes no output at its first steps; convert it with fewer timesteps instead")
        try:
            return super().forward(*given, **named)
        finally:
            self._trains.clear()

    def _multi_step(self, images: Given, every_step: bool) -> dict[str, Any]:
        values = self.run(images)
        for name in self._tapped:
            layout = self.layouts[name]
            values[name] = layout.joined(layout.frames(values[name], self.frames)[-1:])
        return values

    def _observed(self, step: Step, read: list[Any], value: Any) -> None:
        """Spikes of all T steps, images first; of other values their size alone matters."""
        if step.kind == "spikes":
            layer, layout = self.layers[step.name], self.layouts[step.name]
            given = read if isinstance(layer, Estimating) else [self._trains[name] for name in step.inputs]
            self._trains[step.name] = train = layer.fired(*given) if isinstance(layer, Estimating) else layer(*given)
            value = layout.frames(train, self.timesteps).flatten(0, 1)
        elif step.kind != "decoded":
            value = value.movedim(self.layouts[step.name].dim, 0)
        super()._observed(step, read, value)

    def _single_step(self, images: Given, every_step: bool) -> dict[str, Any]:
        if self.observer is not None:
            raise RuntimeError("operations of this network are counted in multi-step mode, where they are the same")
        analog = [step for step in self.steps if step.kind == "analog"]
        values = self._executed(images, analog, {*self.inputs.shapes, *self.kinds})
        values.update(self._timesteps(values))  # the last estimate of each stays
        return values
