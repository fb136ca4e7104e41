"""The bench of one process: data, trained networks, calibrations and converted networks, each made once."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data import ImageSet, dataset_spec, load, open_images
from benchmarks.data.boxes import BoxSet
from benchmarks.data.stream import ImageStream
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import method, threshold_rule
from benchmarks.models import build_model, checkpoint_hash, find_checkpoint, load_checkpoint, model_spec, read_metadata
from benchmarks.models.imagenet import IMAGENET_MEAN, IMAGENET_STD, pretrained
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.training import QuantizedTask, quantized_network, trained_network
from benchmarks.training.source_digest import code_digest
from snncore.conversion import Calibration, ConversionError, RecordedNetwork, SpikingNetwork, calibrate

TORCHVISION = "torchvision:"
"""Weights of this prefix are torchvision's own, e.g. ``torchvision:IMAGENET1K_V1``."""

Progress = Callable[[int, int], None]
Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network in evaluation mode, with the normalisation of its images and the hash of its weights."""

    model: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checkpoint: str
    digest: str


@dataclass(frozen=True)
class Lab:
    """Resolves what measurements need, once each. Cheap to copy to another process, where it starts empty.

    ``weights`` maps names to checkpoint files given by the user. ``offline`` keeps data off the network. ``device`` is where
    networks are calibrated, converted and measured; where they are trained is up to their recipes.
    """

    profile: Profile
    weights: tuple[tuple[str, str], ...] = ()
    offline: bool = False
    device: str = "cpu"
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Lab], tuple[Any, ...]]:
        return type(self), (self.profile, self.weights, self.offline, self.device)

    @property
    def precision(self) -> torch.dtype:
        """In which numbers networks are calibrated, converted and measured."""
        found: torch.dtype = getattr(torch, self.profile.precision)
        return found

    def images(self, dataset: str, split: str) -> ImageSet | ImageStream | BoxSet:
        """All images of a split."""
        return self._once(("images", dataset, split), lambda: open_images(dataset, split, self.offline))

    def trained(self, choice: NetworkChoice, progress: Progress | None = None) -> TrainedNetwork:
        """The network of a choice: from a checkpoint, else trained by its recipe.

        NotAvailable where there is no checkpoint, and no recipe that can run here; CannotRun for damaged checkpoints and data.
        """

        def make() -> TrainedNetwork:
            found = self._trained(choice, progress)
            found.model.to(self.device, self.precision)
            return found

        return self._once(("trained", choice.unnamed), make)

    def network(self, choice: NetworkChoice) -> nn.Module:
        """The trained network itself, channels-last."""
        return self.trained(choice).model

    def test_batches(self, choice: NetworkChoice, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised test images ``start`` to ``stop`` in canonical order, on the device; their labels (or boxes), on the CPU."""
        trained = self.trained(choice)
        images = self.images(choice.dataset, "test").slice(start, stop)
        return ((x.to(self.device, self.precision), y) for x, y in images.batches(trained.mean, trained.std, self.profile.batch))

    def calibration(self, choice: NetworkChoice) -> Calibration:
        """Activation histograms over the first ``calibration_images`` training images in canonical order."""

        def make() -> Calibration:
            return calibrate(self.network(choice), self.calibration_batches(choice, self.profile.calibration_images))

        return self._once(("calibration", choice), make)

    def calibration_batches(self, choice: NetworkChoice, limit: int) -> Iterator[Tensor]:
        """The first ``limit`` training images in canonical order, or all if there are fewer; on the device."""
        trained = self.trained(choice)
        images = self.images(choice.dataset, "train")
        used = images.take(min(limit, len(images)))
        return (x.to(self.device, self.precision) for x, _ in used.batches(trained.mean, trained.std, self.profile.batch))

    def converted(
        self, choice: NetworkChoice, calibration: str, method_name: str, options: Options, timesteps: int
    ) -> SpikingNetwork:
        """The network of a choice, converted by a method; the last few are kept. NotAvailable where it cannot be converted."""
        key = ("converted", choice, calibration, method_name, options, timesteps)
        kept = [k for k in self._made if k[0] == "converted"]
        if key not in self._made and len(kept) >= 8:
            del self._made[kept[0]]

        def make() -> SpikingNetwork:
            most = self.profile.calibration_images

            def images(limit: int | None = None) -> Iterator[Tensor]:
                return self.calibration_batches(choice, min(limit or most, most))

            found, rule = method(method_name), threshold_rule(calibration)
            try:
                return found.convert(self.calibration(choice), rule, timesteps, images, **dict(options))
            except ConversionError as error:
                raise NotAvailable(f"{choice.architecture}: {error}") from error

        return self._once(key, lambda: make().to(self.device))

    def fingerprints(self, choice: NetworkChoice) -> dict[str, str]:
        """Fingerprints of the data, hash of the weights and digest of the network's operations behind a choice."""
        return {
            "network": _operations(self.network(choice)),
            "test": self.images(choice.dataset, "test").fingerprint,
            "train": self.images(choice.dataset, "train").fingerprint,
            "checkpoint": self.trained(choice).digest,
        }

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _quantized(self, choice: NetworkChoice, progress: Progress | None) -> TrainedNetwork:
        """The full-precision network with quantised activations, fine-tuned."""
        assert choice.quantizer is not None and choice.fine_tuning is not None

        def half(offset: int) -> Progress | None:
            return progress and (lambda done, total: progress(done + offset * total, 2 * total))

        base = self.trained(choice.full_precision, half(0))
        how = choice.quantizer, choice.fine_tuning, choice.seed
        task = QuantizedTask(choice.architecture, base.digest, base.mean, base.std, *how)
        images = self.images(choice.dataset, "train")
        if isinstance(images, BoxSet):
            raise NotAvailable(f"{choice.architecture} cannot be quantised: it would be fine-tuned on boxes")
        try:
            made = quantized_network(base.model, images, task, half(1))
        except ConversionError as error:
            raise NotAvailable(f"{choice.architecture} cannot be quantised: {error}") from error
        name = f"{base.checkpoint}, {choice.quantizer}, {choice.fine_tuning}, seed {choice.seed}"
        return _finished(made.model, read_metadata(made.checkpoint_path), name, made.sha, made.checkpoint_path)

    def _trained(self, choice: NetworkChoice, progress: Progress | None) -> TrainedNetwork:
        if choice.quantizer is not None:
            return self._quantized(choice, progress)
        explicit = {name: Path(path) for name, path in self.weights}
        if choice.weights and choice.weights.startswith(TORCHVISION):
            return _torchvision(choice.architecture, choice.weights.removeprefix(TORCHVISION), self.offline)
        path = find_checkpoint(choice.weights, explicit) if choice.weights else None
        classes = dataset_spec(choice.dataset).classes
        if path is not None:
            model = build_model(choice.architecture, classes, dataset_spec(choice.dataset).channels)
            metadata = model_spec(choice.architecture).metadata | load_checkpoint(model, path)
            return _finished(model, metadata, path.name, checkpoint_hash(path), path)
        try:
            if choice.recipe is None:
                raise NotAvailable("it has no recipe")
            images = load(choice.dataset, "train", self.offline)
            made = trained_network(choice.architecture, images, choice.recipe, choice.seed, progress, classes)
        except NotAvailable as error:
            get = f"; give --weights {choice.weights}=FILE or put it into SNNBENCH_WEIGHTS" if choice.weights else ""
            raise NotAvailable(f"no weights for {choice.architecture} on {choice.dataset} ({error}){get}") from error
        metadata = read_metadata(made.checkpoint_path)
        return _finished(made.model, metadata, f"{choice.recipe}, seed {choice.seed}", made.sha, made.checkpoint_path)


def _operations(network: nn.Module) -> str:
    """Digest of what a network computes, but for its weights: its modules and the files that define them."""
    if isinstance(network, RecordedNetwork):
        return hashlib.blake2b(network.describe().encode(), digest_size=16).hexdigest()
    kinds = {type(module) for module in network.modules()}
    files = sorted({inspect.getfile(kind) for kind in kinds if not kind.__module__.startswith("torch.")})
    return hashlib.blake2b(f"{network}\n{code_digest(Path(file) for file in files)}".encode(), digest_size=16).hexdigest()


def _torchvision(architecture: str, weights: str, offline: bool) -> TrainedNetwork:
    model, path = pretrained(architecture, weights, offline)
    metadata = {"mean": json.dumps(IMAGENET_MEAN), "std": json.dumps(IMAGENET_STD)}
    return _finished(model, metadata, f"torchvision {weights}", checkpoint_hash(path), path)


def _finished(model: nn.Module, metadata: dict[str, str], name: str, digest: str, path: Path) -> TrainedNetwork:
    try:
        mean, std = (tuple(float(x) for x in json.loads(metadata[key])) for key in ("mean", "std"))
    except (KeyError, ValueError, TypeError) as error:
        advice = "save it as safetensors with both as JSON lists"
        raise CannotRun(f"{path}: its metadata lack mean and std of the images ({error}); {advice}") from error
    model = model.eval().to(memory_format=torch.channels_last)
    return TrainedNetwork(model.requires_grad_(False), mean, std, name, digest)
