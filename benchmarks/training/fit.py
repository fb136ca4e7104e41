"""The training loop of every network: batches, learning rate, step, rounding, checkpoint and resume, validation, failure.

What differs from one kind of network to another is in a ``Learner``. The network is the one after the last epoch, and nothing
is chosen here. In float64 it does not depend on the machine (see recipes.toml); in float32, and on a GPU, it does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models.checkpoint_files import write_torch
from benchmarks.training.batches import Batches
from benchmarks.training.optimization import forward_precision, learning_rate, optimizer_of, repeatable, round_state
from benchmarks.training.processes import rank, shared, summed
from benchmarks.training.randomness import fresh_random_numbers
from benchmarks.training.recipes import Recipe
from benchmarks.training.streamed import StreamedBatches

Progress = Callable[[int, int], None]


class Learner(nn.Module):
    """A network and what it minimises: cross-entropy of its logits here; a subclass has its own, validates, and takes notes.

    ``history``: lists of what is noted on the way, kept in checkpoints.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network: Any = network
        self.recipe = recipe
        self.history: dict[str, list[Any]] = {}

    def note(self, **values: Any) -> None:
        """Append to the lists of the history."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)

    def groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimizer, with options of their own where they have any."""
        return [{"params": list(self.network.parameters())}]

    def forward(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """The loss of a batch, to be differentiated."""
        return F.cross_entropy(self.network(images), labels)

    def after_epoch(self, epoch: int, loss: float) -> None:
        """Called before training, with epoch 0, and after every epoch, with its mean loss. May raise what ends the training."""

    def finite(self) -> bool:
        """Whether no weight is infinite or NaN."""
        return all(bool(weights.isfinite().all()) for weights in self.network.parameters())

    def failure(self, epoch: int) -> Exception:
        """What to raise where the loss or a weight stops being finite."""
        return NotAvailable(
            f"training with recipe {self.recipe.name} failed in epoch {epoch} of {self.recipe.epochs}: the loss or a weight is "
            f"not finite; lower the recipe's learning rate ({self.recipe.learning_rate:g})"
        )


@repeatable()
def fit(
    learner: Learner,
    batches: Batches | StreamedBatches,
    recipe: Recipe,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Train the learner's network in place, by the recipe.

    ``checkpoint`` is written after every epoch and resumed from, and removed by nobody; ``progress(done, total)`` is called
    after every step. Raises the learner's failure, and CannotRun for a checkpoint that cannot be read.
    """
    network = learner.network
    optimizer = optimizer_of(learner.groups(), recipe)
    scaler = torch.amp.GradScaler(recipe.device, enabled=recipe.precision == "float16-mixed")
    trained = shared(learner) if recipe.processes > 1 else learner
    steps, done = recipe.epochs * batches.per_epoch, 0
    if checkpoint is not None and checkpoint.exists():
        done = _resume(checkpoint, learner, optimizer, scaler, batches)
    else:
        learner.after_epoch(0, 0.0)
    for epoch in range(done + 1, recipe.epochs + 1):
        network.train()
        total = torch.zeros((), dtype=torch.float64, device=batches.device)
        with fresh_random_numbers(seed, f"dropout {epoch - 1}{f' {rank()}' if rank() else ''}", batches.device):
            for step, (images, labels) in enumerate(batches.epoch(), (epoch - 1) * batches.per_epoch):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(recipe, step, steps)
                with forward_precision(recipe):
                    loss = trained(images, labels, step)
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                total += loss.detach()
                if progress is not None:
                    progress(step + 1, steps)
        if not (total.isfinite() and learner.finite()):
            raise learner.failure(epoch)
        round_state(network, optimizer, recipe.significant_bits)
        learner.after_epoch(epoch, float(summed(total)) / (batches.per_epoch * recipe.processes))
        if checkpoint is not None and rank() == 0:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
            state["scaler"] = scaler.state_dict()
            generators = [batches.order.get_state(), batches.augmentation.get_state()]
            write_torch(checkpoint, state | {"generators": generators, "history": learner.history})


def _resume(
    path: Path,
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batches: Batches | StreamedBatches,
) -> int:
    """Put everything back as it was after the epoch that is returned."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        learner.network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        batches.order.set_state(state["generators"][0])
        batches.augmentation.set_state(state["generators"][1])
        learner.history = state["history"]
        return int(state["epoch"])
    except Exception as error:
        raise CannotRun(f"{path}: this unfinished training cannot be read; delete the file to begin anew") from error
