"""Memory that a converted network needs while it runs, in bytes of tensors alive at the same time."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab
from snncore.conversion import Mode


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made inside the block: ``with LiveBytes() as live: ...; live.peak``.

    Tensors that share memory count once; ``known`` ones (weights) and what kernels allocate inside count nothing. The same on
    every machine, unlike the size of a process. Memory that grows after it was made (``resize_``) keeps its first size.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._kept = [tensor.untyped_storage() for tensor in known]
        self._known = weakref.WeakSet(self._kept)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See ``TorchDispatchMode``."""
        out = func(*args, **kwargs or {})
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage()) not in self._known:
                self._known.add(storage)
                size = storage.nbytes()
                self.alive += size
                self.peak = max(self.peak, self.alive)
                weakref.finalize(storage, self._free, size)
        return out

    def _free(self, size: int) -> None:
        self.alive -= size


@dataclass(frozen=True)
class LiveMemory(Measurement):
    """Peak of ``LiveBytes`` over one batch of test images, in float32.

    ``mode`` as in ``SpikingNetwork``; ``method``, ``options`` and ``timesteps`` as in ``ConversionLoss``.
    """

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: int = 12
    mode: Mode = "single-step"

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 2.0 * self.timesteps

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """``same_bytes`` at the peak, of ``same_images`` images."""
        shared = lab.converted(self.network, self.calibration, self.method, self.options, self.timesteps)
        snn, (images, _) = copy.deepcopy(shared).float(), next(lab.test_batches(self.network, start, stop))
        snn.mode, images = self.mode, images.float()
        with LiveBytes([*snn.parameters(), *snn.buffers(), images]) as live, torch.no_grad():
            snn(images)
        return {"same_bytes": np.array(live.peak), "same_images": np.array(len(images))}
