"""Images as spike trains: what comes before the first layer of a network without constant currents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore.coding import CSSCode


class InputEncoder(nn.Module):
    """Turns images into spike trains in {-1, 0, 1} before the first layer; a subclass says which, in ``at``.

    Args:
        amplitude: that the spikes stand for.
        timesteps: T.
    """

    def __init__(self, amplitude: float, timesteps: int) -> None:
        super().__init__()
        self.amplitude, self.timesteps = amplitude, timesteps

    def at(self, images: Tensor, step: int) -> Tensor:
        """Spikes ``[B, ...]`` of a step, counted from 0, for images ``[B, ...]``."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """All steps: ``[B, ...]`` to ``[T*B, ...]``."""
        return torch.cat([self.at(images, step) for step in range(self.timesteps)])

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"amplitude={self.amplitude:g}, timesteps={self.timesteps}"


class PotentialEncoder(InputEncoder):
    """CSS code of a value that waits on the membrane as its initial potential (CSS paper, Theorem 2).

        u[0] = a / beta**T,    u~[t] = beta u[t-1],    s[t] = sign(u~[t]) where |u~[t]| >= theta / 2,    u[t] = u~[t] - theta s[t]

    with ``theta = A / sum_t beta**(T-t)``; values beyond the amplitude A are clipped. What the train leaves uncoded is at most
    ``theta / 2`` for ``beta <= 3``. ``ternary=False`` is the encoder of the paper's proof, for values from 0 up: spikes of one
    sign at the full threshold ``theta``, which leave less than ``theta`` for ``beta <= 2``.

    Args:
        amplitude: ``A``, the largest size of a value.
        timesteps: T.
        beta: of the code, in (1, 3]; in (1, 2] for binary spikes.
        ternary: spikes in {-1, 0, 1}; otherwise {0, 1}.

    Raises:
        ValueError: an amplitude that is not positive and finite; beta out of range.
    """

    def __init__(self, amplitude: float, timesteps: int, beta: float = 1.5, ternary: bool = True) -> None:
        if not 0 < amplitude < float("inf"):
            raise ValueError(f"amplitude must be positive and finite, got {amplitude!r}")
        if not 1 < beta <= (3 if ternary else 2):
            raise ValueError(f"beta must be in (1, {3 if ternary else 2}] for this encoder, got {beta!r}")
        super().__init__(amplitude, timesteps)
        self.code = CSSCode(timesteps, float(beta))
        self.ternary = ternary

    def start(self, images: Tensor) -> Tensor:
        """``u[0]`` in units of theta."""
        low = -self.amplitude if self.ternary else 0.0
        return images.clamp(low, self.amplitude) * (self.code.total / self.amplitude / self.code.beta**self.timesteps)

    def step(self, potential: Tensor) -> Tensor:
        """Spikes of one step; changes the potential in place."""
        potential.mul_(self.code.beta)
        if self.ternary:
            spikes = (potential >= 0.5).to(potential.dtype).sub_((potential <= -0.5).to(potential.dtype))
        else:
            spikes = (potential >= 1).to(potential.dtype)
        potential.sub_(spikes)
        return spikes

    def at(self, images: Tensor, step: int) -> Tensor:
        """See ``InputEncoder.at``; runs the steps before as well, on nothing but the image."""
        potential = self.start(images)
        for _ in range(step):
            self.step(potential)
        return self.step(potential)

    def forward(self, images: Tensor) -> Tensor:
        """See ``InputEncoder.forward``."""
        potential = self.start(images)
        return torch.cat([self.step(potential) for _ in range(self.timesteps)])
