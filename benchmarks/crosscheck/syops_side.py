"""The part that needs ``syops``: count operations of modules while they run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.errors import CannotRun


def engine() -> Any:
    """The counting part of syops.

    Raises:
        CannotRun: syops or what it needs is not installed.
    """
    try:
        return importlib.import_module("syops.engine")
    except ImportError as error:
        raise CannotRun(f"syops cannot be imported ({error}); run tox -e crosscheck, which makes its environment") from error


def _run(network: nn.Module, run: Callable[[], Any]) -> Any:
    prepared = engine().add_syops_counting_methods(network)
    prepared.start_syops_count(ost=None, verbose=False, ignore_list=[])
    with torch.no_grad():
        run()
    return prepared


def counted(network: nn.Module, run: Callable[[], Any]) -> dict[nn.Module, tuple[float, float]]:
    """Accumulates and multiply-accumulates of each module that syops knows, sums over all that ``run`` does.

    Raises:
        CannotRun: see ``engine``.
    """
    prepared = _run(network, run)
    found = {
        module: (float(sums[1]), float(sums[2]))
        for module in network.modules()
        if (sums := getattr(module, "__syops__", None)) is not None
    }
    prepared.stop_syops_count()
    return found


def per_image(network: nn.Module, run: Callable[[], Any]) -> tuple[float, float]:
    """Accumulates and multiply-accumulates of a network per image, divided by syops's own count of images."""
    prepared = _run(network, run)
    total, _ = prepared.compute_average_syops_cost()
    prepared.stop_syops_count()
    return float(total[1]), float(total[2])
