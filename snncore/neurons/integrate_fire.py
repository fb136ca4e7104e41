"""Integrate-and-fire neuron: rate coding.

    u~[t] = u[t-1] + z[t] + c      integrate                       (TMN paper, Eq. 1 with plain integration)
    s[t]  = 1 if u~[t] >= v        fire
    u[t]  = u~[t] - v s[t]         soft reset: by subtraction
    u[t]  = u~[t] (1 - s[t])       hard reset: to 0; what exceeds the threshold is lost

``u[0] = initial * v``. ``initial = 0`` is the plain neuron; ``initial = 0.5`` is the optimised potential initialisation
of Bu et al. (AAAI 2022), which centres the quantisation error. ``c`` is a current of the neuron's own, the same at every
step: a correction of the bias of the layer before it, found by calibration (Li et al., ICML 2021).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from snncore.coding import RateCode
from snncore.neurons.base import SpikingNeuron

Reset = Literal["soft", "hard"]


class IntegrateFireNeuron(SpikingNeuron):
    """Integrate-and-fire neuron with spikes in {0, 1}.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T.
        initial: ``u[0]`` as a fraction of ``v``: one number, or a tensor that broadcasts against one sample, such as
            ``[C, H, W]`` for a number per neuron.
        reset: ``"soft"`` or ``"hard"``.
        current: ``c``, in units of the currents; one number or a tensor like ``initial``, such as ``[C, 1, 1]``.

    Raises:
        ValueError: a parameter out of range.
    """

    initial: float | Tensor
    current: float | Tensor

    def __init__(
        self,
        threshold: float,
        timesteps: int,
        initial: float | Tensor = 0.0,
        reset: Reset = "soft",
        current: float | Tensor = 0.0,
    ) -> None:
        super().__init__(threshold, RateCode(timesteps))
        if reset not in get_args(Reset):
            raise ValueError(f"unknown reset {reset!r}; known: {', '.join(get_args(Reset))}")
        self.reset = reset
        for name, value in (("initial", initial), ("current", current)):
            if not torch.as_tensor(value).isfinite().all():
                raise ValueError(f"{name} must be finite, got {value!r}")
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, float(value))

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return (
            f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, initial={_shown(self.initial)}, "
            f"reset={self.reset}, current={_shown(self.current)}"
        )

    def start(self, like: Tensor) -> Tensor:
        """Membrane potential ``u[0] [B, ...]``. Raises ValueError for parameters of a layer of another shape."""
        _spread(self.current, like)
        return torch.zeros_like(like).add_(_spread(self.initial, like)).mul_(self.threshold)

    def step(self, current: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """Integrate, fire, reset; see the module docstring."""
        return self.update(current, state.clone())

    def update(self, current: Tensor | None, state: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``step`` in place."""
        if current is not None:
            state.add_(current)
            if isinstance(self.current, Tensor) or self.current:
                state.add_(_spread(self.current, state))
        spikes = torch.ge(state, self.threshold, out=torch.empty_like(state) if out is None else out)
        if self.reset == "soft":
            return spikes, state.sub_(spikes, alpha=self.threshold)
        return spikes, state.addcmul_(state, spikes, value=-1)

    def residual(self, state: Tensor) -> Tensor:
        """``u[T] / v``."""
        return state / self.threshold


def _shown(value: float | Tensor) -> str:
    return f"{value:g}" if isinstance(value, float) else f"tensor of shape {tuple(value.shape)}"


def _spread(value: float | Tensor, like: Tensor) -> float | Tensor:
    """A parameter of the neurons of one sample as a view for a whole batch ``like [B, ...]``; a single number as it is."""
    if not isinstance(value, Tensor):
        return value
    try:
        return value.to(like.dtype).expand(like.shape)
    except RuntimeError as error:
        shapes = f"{tuple(value.shape)}, not of {tuple(like.shape[1:])}"
        why = f"the neurons have parameters for a layer of shape {shapes}; calibrate with images of this size"
        raise ValueError(why) from error
