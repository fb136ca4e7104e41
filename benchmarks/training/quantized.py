"""Quantised networks: a trained network whose ReLUs become quantisers, fine-tuned and kept in the user's cache folder.

The clips start at the least squared error over training images (``calibration_images`` of the recipe); then all weights and
clips are trained together, with batch normalisation folded into the convolutions. With the option ``distillation`` of a recipe
they learn the answers of the trained network at that temperature, not the labels; with ``images``, from the first so many.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.stream import ImageStream
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models.checkpoint_files import Checkpoint
from benchmarks.models.weights import load_checkpoint
from benchmarks.training.batches import Batches, LabelledImages
from benchmarks.training.cache import TrainedNetwork
from benchmarks.training.fit import Learner, Progress, fit
from benchmarks.training.optimization import device_of, threads
from benchmarks.training.processes import across_processes
from benchmarks.training.quantizer_names import parse_quantizer
from benchmarks.training.recipes import Recipe, content, recipe
from benchmarks.training.source_digest import code_digest, import_closure
from benchmarks.training.store import stored
from benchmarks.training.streamed import StreamedBatches
from snncore.conversion import RecordedNetwork, quantize, record
from snncore.quantization import ActivationQuantizer, ClipFloorShift, ClippedReLU, UniformQuantizer

_QUANTIZERS: dict[str, type[ClipFloorShift] | type[UniformQuantizer] | type[ClippedReLU]] = {
    "qcfs": ClipFloorShift,
    "uniform": UniformQuantizer,
    "clip": ClippedReLU,
}


@dataclass(frozen=True)
class QuantizedTask:
    """What becomes of a trained network; the whole identity of the result but for the images and the code.

    ``base``: hash of the trained weights; ``mean`` and ``std`` of its images, per channel; ``quantizer``: see there;
    ``recipe``: by name.
    """

    architecture: str
    base: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quantizer: str
    recipe: str
    seed: int


def quantizer(name: str) -> Callable[[float], ActivationQuantizer]:
    """The quantiser of that name, as a function of its clip: ``qcfs-4`` has 4 levels above 0, ``uniform-3`` has 3 bits.

    ``clip-64`` is a clipped ReLU, not rounded, whose clip starts where rounding to 64 levels would do the least harm.

    Raises:
        CannotRun: no such name.
    """
    kind, number = parse_quantizer(name)
    return partial(_QUANTIZERS[kind], number)


def quantized_network(
    base: nn.Module, images: LabelledImages | ImageStream, task: QuantizedTask, progress: Progress | None = None
) -> TrainedNetwork:
    """The quantised network from the cache, or fine-tuned now from ``base`` and put there; a damaged file is made again.

    CannotRun for an unknown quantiser or recipe, and for one without ``calibration_images``; NotAvailable where training fails or
    needs a GPU that is not there; ConversionError where the network cannot be recorded.
    """
    chosen = recipe(task.recipe)
    if "calibration_images" not in chosen.options:
        raise CannotRun(f"recipe {chosen.name} cannot quantise a network: it lacks the option calibration_images")
    metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asdict(task).items()}
    metadata |= {"dataset_fingerprint": images.fingerprint, "recipe": json.dumps(content(chosen)), "training_code": _code()}

    def load(path: Path) -> RecordedNetwork:
        model = _untrained(base, images, task)
        load_checkpoint(model, path, f"{task.architecture}, {task.quantizer}")
        return model

    def make(path: Path) -> Checkpoint:
        return fine_tune(base, images, task, chosen, progress, path.with_suffix(".pt")).state_dict(), {}

    return TrainedNetwork(*stored(f"{task.architecture}-{task.quantizer}", metadata, load, make))


class Distilled(Learner):
    """Learns what a trained network answers: ``t**2 KL(softmax(teacher / t) || softmax(network / t))`` (Hinton et al., 2015)."""

    def __init__(self, network: nn.Module, recipe: Recipe, teacher: nn.Module) -> None:
        super().__init__(network, recipe)
        self.teacher, self.temperature = teacher, recipe.options["distillation"]

    def forward(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """The loss of a batch, without its labels."""
        with torch.no_grad():
            wanted = F.log_softmax(self.teacher(images) / self.temperature, 1)
        found = F.log_softmax(self.network(images) / self.temperature, 1)
        return F.kl_div(found, wanted, reduction="batchmean", log_target=True) * self.temperature**2


@across_processes
def fine_tune(
    base: nn.Module,
    images: LabelledImages | ImageStream,
    task: QuantizedTask,
    recipe: Recipe,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> RecordedNetwork:
    """The quantised network after the last epoch: on the CPU, float32, in evaluation mode. Last arguments as for ``fit``."""
    device, dtype, options = device_of(recipe), recipe.dtype, recipe.options
    if "images" in options:
        images = images.take(options["images"])  # type: ignore[union-attr]
    with threads(recipe.threads):
        parts = recipe, task.seed, list(task.mean), list(task.std), device
        batches = StreamedBatches(images, *parts) if isinstance(images, ImageStream) else Batches(images, *parts)
        network = copy.deepcopy(base).to(device, dtype).eval()
        model = quantize(network, batches.first(options["calibration_images"]), quantizer(task.quantizer))
        model.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learner = Distilled(model, recipe, network) if "distillation" in options else Learner(model, recipe)
        fit(learner, batches, recipe, task.seed, checkpoint, progress)
    model.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for name, module in model.named_modules():
        if isinstance(module, ActivationQuantizer) and not module.clip.item() > 0:
            raise NotAvailable(
                f"fine-tuning with recipe {recipe.name} failed: the clip of {name} is no longer positive; lower the recipe's "
                f"learning rate ({recipe.learning_rate})"
            )
    return model.eval()


def _untrained(base: nn.Module, images: LabelledImages | ImageStream, task: QuantizedTask) -> RecordedNetwork:
    example = images.images[:1] if not isinstance(images, ImageStream) else next(iter(images.batches(task.mean, task.std, 1)))[0]
    return quantize(record(base, example.to(next(base.parameters()))), None, quantizer(task.quantizer)).eval()


@cache
def _code() -> str:
    return code_digest(import_closure([__name__]))
