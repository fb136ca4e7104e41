"""Training in several processes of one machine, each on its own GPU or all on the CPU, through Hugging Face's accelerate.

Of every batch, process r of n takes the samples r, r + n, ...: batches, their order and their augmentation are those of one
process. Gradients are averaged, and batch normalisation sees the samples of all processes. What else a loss takes from a whole
batch, such as the mean currents of IM-Loss, it takes from the samples of its own process.
"""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing import get_context, start_processes
from torch.overrides import TorchFunctionMode

from benchmarks.errors import CannotRun
from benchmarks.training.recipes import Recipe

Training = TypeVar("Training", bound=Callable[..., Any])


def rank() -> int:
    """Which of the processes this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def summed(values: Tensor) -> Tensor:
    """The sum of what every process has."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def across_processes(train: Training) -> Training:
    """Let a function of ``recipe``, ``progress`` and ``checkpoint`` that calls ``fit`` run in the recipe's processes.

    They train up to the last checkpoint, from which this process goes on. What they raise is raised here. CannotRun where
    accelerate or a GPU is missing.
    """
    signature = inspect.signature(train)

    @wraps(train)
    def run(*args: Any, **named: Any) -> Any:
        given = signature.bind(*args, **named)
        given.apply_defaults()
        recipe = given.arguments["recipe"]
        if recipe.processes == 1 or dist.is_initialized():
            return train(*args, **named)
        with TemporaryDirectory() as folder:
            given.arguments["checkpoint"] = given.arguments["checkpoint"] or Path(folder) / "trained.pt"
            _launch(run, given, recipe)
            given.arguments["recipe"] = replace(recipe, processes=1)
            return train(*given.args, **given.kwargs)

    return cast(Training, run)


def _launch(run: Callable[..., Any], given: inspect.BoundArguments, recipe: Recipe) -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError as missing:
        needed = "which needs accelerate; install it with pip install 'snnbench[train]', or set processes to 1"
        raise CannotRun(f"recipe {recipe.name} trains in {recipe.processes} processes, {needed}") from missing
    if recipe.device == "cuda" and torch.cuda.device_count() < recipe.processes:
        there = torch.cuda.device_count()
        raise CannotRun(f"recipe {recipe.name} asks for {recipe.processes} GPUs and torch sees {there}; lower its processes")
    progress, messages = given.arguments["progress"], get_context("spawn").SimpleQueue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = dict(given.arguments) | {"progress": None}
    workers = start_processes(_work, (run, arguments, port, messages), recipe.processes, join=False, start_method="spawn")
    ended, failures, crash = False, [], None
    try:
        while not ended:
            try:
                ended = workers.join(timeout=0.2)
            except Exception as reason:  # one has failed; join has ended the others
                ended, crash = True, reason
            while not messages.empty():
                message = messages.get()
                if isinstance(message, Exception):
                    failures.append(message)
                elif progress is not None:
                    progress(*message)
    finally:
        for worker in workers.processes:
            worker.kill()
    if crash is not None:
        raise failures[0] if failures else crash  # others only follow: the first has left them alone


def _work(number: int, run: Callable[..., Any], arguments: dict[str, Any], port: int, messages: Any) -> None:
    from accelerate import Accelerator

    recipe = arguments["recipe"]
    place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": recipe.processes, "LOCAL_WORLD_SIZE": recipe.processes}
    os.environ |= {name: str(value) for name, value in (place | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}).items()}
    Accelerator(cpu=recipe.device == "cpu")
    try:
        run(**arguments | {"progress": (lambda *step: messages.put(step)) if number == 0 else None})
    except Exception as error:
        messages.put(error)
        raise
    finally:
        dist.destroy_process_group()


def shared(learner: nn.Module) -> nn.Module:
    """``learner`` with gradients averaged over all processes, and batch normalisation over the samples of all, in place."""
    from accelerate import Accelerator

    for module in learner.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.forward = _with_all_samples(module.forward)  # type: ignore[method-assign]
    averaging: nn.Module = Accelerator().prepare_model(learner)
    return averaging


def _with_all_samples(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(input: Tensor) -> Tensor:
        with _AllSamples():
            return forward(input)

    return run


class _AllSamples(TorchFunctionMode):
    """Inside, ``F.batch_norm`` takes its statistics over all processes; ``nn.SyncBatchNorm`` refuses CPU tensors."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (batch_norm if function is F.batch_norm else function)(*args, **(kwargs or {}))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` of ``[B, C, ...]`` with B samples in every process: one mean and variance a channel over all of them."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes, shape = [0, *range(2, input.ndim)], [1, -1, *[1] * (input.ndim - 2)]
    count = input.numel() // input.shape[1] * dist.get_world_size()
    values = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    mean = _Sum.apply(values.sum(axes)) / count  # [C]
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes)) / count  # [C]
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.detach(), momentum)
        running_var.lerp_(variance.detach() * (count / (count - 1)), momentum)
    normal = centred * (variance + eps).rsqrt().view(shape)
    normal = normal if weight is None else normal * weight.view(shape)
    return (normal if bias is None else normal + bias.view(shape)).to(input.dtype)


class _Sum(torch.autograd.Function):
    """Sum over processes, and of gradients on the way back: each is the gradient of its process's own loss."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return summed(values.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return summed(gradients[0].clone(memory_format=torch.contiguous_format))
