"""What every training loop shares: optimizer, schedule, rounding, device and threads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.errors import NotAvailable
from benchmarks.training.recipes import Recipe


def optimizer_of(parameters: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or Adam by the recipe, on groups of parameters that may have options of their own."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        parameters,
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rate of step ``step`` of ``steps``, from 0: cosine to 0, times a linear rise over the warm-up."""
    cosine = (1 + math.cos(math.pi * step / steps)) / 2
    rise = min(1.0, (step + 1) / (recipe.warmup * steps)) if recipe.warmup else 1.0
    return recipe.learning_rate * cosine * rise


@torch.no_grad()
def round_state(model: nn.Module, optimizer: torch.optim.Optimizer, bits: int) -> None:
    """Round parameters, buffers and the optimizer's state to so many significant bits, in place."""
    states = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
    for tensor in (*model.parameters(), *model.buffers(), *states):
        if tensor.is_floating_point() and tensor.ndim:  # Adam counts its steps in a scalar
            tensor.copy_(round_significant(tensor, bits))


def round_significant(values: Tensor, bits: int) -> Tensor:
    """``values``, float32 or float64 of any shape, rounded to ``bits`` significant bits.

    Veltkamp's splitting (Dekker, 1971): multiplication and subtraction alone, so exact on every machine.
    """
    precision = {torch.float32: 24, torch.float64: 53}[values.dtype]
    spread = values * (2.0 ** (precision - bits) + 1)
    return spread - (spread - values)


def device_of(recipe: Recipe) -> torch.device:
    """Where a recipe trains. Raises NotAvailable where it needs a GPU and there is none."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise NotAvailable(
            f"training recipe {recipe.name} needs a GPU and torch sees none; run it where there is one, or supply the "
            "trained weights as NAME=FILE or as NAME.safetensors in the folder SNNBENCH_WEIGHTS"
        )
    return torch.device(recipe.device)


def forward_precision(recipe: Recipe) -> torch.autocast:
    """Context of a forward pass: convolutions and products in half precision where the recipe says so."""
    half = torch.float16 if recipe.precision == "float16-mixed" else torch.bfloat16
    return torch.autocast(recipe.device, half, enabled=recipe.precision.endswith("-mixed"))


@contextmanager
def repeatable() -> Iterator[None]:
    """On a GPU, convolutions by algorithms that give the same bits every time, of inputs in TF32; on a CPU nothing changes."""
    backend = torch.backends.cudnn
    before = backend.deterministic, backend.allow_tf32
    backend.deterministic = backend.allow_tf32 = True
    try:
        yield
    finally:
        backend.deterministic, backend.allow_tf32 = before


@contextmanager
def without_denormals() -> Iterator[None]:
    """Take numbers below the smallest normal one as 0, where the processor can.

    Weights of inputs that are always 0 decay until they are denormal, and then every product with them is many times slower.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with so many CPU threads; 0 for as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
