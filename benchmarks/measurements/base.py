"""What a row needs: measurements of trained networks, in shards that are cached one by one, and experiments, each whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.profiles import NetworkChoice

if TYPE_CHECKING:
    from benchmarks.measurements.lab import Lab

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Measurement:
    """Subclass with the parameters as fields; they are the measurement's identity in the cache.

    ``network`` is run on the first ``test_images`` test images (all if None) in the canonical order of the data.
    """

    network: NetworkChoice
    calibration: str
    test_images: int | None

    def identity(self) -> dict[str, Any]:
        """Parameters as JSON types; of the network only what is run, not what it stands for."""
        parameters = asdict(self)
        network = {"dataset": self.network.dataset, "architecture": self.network.architecture}
        return {"measurement": type(self).__name__} | parameters | {"network": network}

    def cost(self) -> float:
        """Expected time per image in units of the trained network's own forward pass."""
        raise NotImplementedError

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Measure test images ``start`` to ``stop``.

        Returns:
            arrays by name; those whose name starts with ``each_`` have one entry per image in their first dimension, those
            with ``same_`` describe the network and do not depend on the images, the others are sums over images.
        """
        raise NotImplementedError


Note = Callable[[float, str], None]
"""``(share, text)``: how far an experiment is, from 0 to 1, and where it stands in a few words."""


@dataclass(frozen=True)
class Experiment:
    """A piece of work that is not cut into shards, such as a training; subclass it with the parameters as fields.

    ``dataset`` is the data set that it needs, training and test part; empty if it needs none. ``seed`` is that of all its
    random numbers.
    """

    dataset: str
    seed: int

    def identity(self) -> dict[str, Any]:
        """Parameters as JSON types."""
        return {"experiment": type(self).__name__} | asdict(self)

    def cost(self) -> float:
        """Expected time, in the units of ``Measurement.cost`` times images."""
        raise NotImplementedError

    def run(self, lab: Lab, note: Note) -> Arrays:
        """The measured arrays by name.

        Raises:
            NotAvailable: it cannot be run here, and why.
        """
        raise NotImplementedError


def merge(parts: Sequence[Arrays]) -> Arrays:
    """Join shards in order: ``each_*`` arrays are concatenated, ``same_*`` arrays kept, the others added."""
    if len(parts) == 1:
        return dict(parts[0])
    joined: Arrays = {}
    for name, first in parts[0].items():
        if name.startswith("each_"):
            joined[name] = np.concatenate([part[name] for part in parts])
        elif name.startswith("same_"):
            joined[name] = first
        else:
            joined[name] = np.sum([part[name] for part in parts], axis=0)
    return joined
