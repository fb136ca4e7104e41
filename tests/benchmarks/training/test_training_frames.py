"""Training on frames of events: every step sees its own frame, and recipes and frames have the same T."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from benchmarks.errors import CannotRun
from benchmarks.methods import direct_method
from benchmarks.training import recipe
from benchmarks.training.spiking import split, train_spiking


class Frames(NamedTuple):
    images: Tensor
    labels: Tensor
    fingerprint: str = ""


def test_a_network_learns_what_only_the_last_frame_tells() -> None:
    labels = torch.arange(96) % 2
    images = torch.randint(0, 2, (96, 3, 2, 16, 16), generator=torch.Generator().manual_seed(0)).half()
    images[labels == 0, 2, 0] += 3
    images[labels == 1, 2, 1] += 3
    chosen = replace(recipe("ternary-digit-events"), epochs=6, batch_size=8, shift=2, wrap=True, options={"timesteps": 3})
    parts = split(Frames(images, labels), 32)
    _, history = train_spiking(direct_method("Ternary spike"), "ResNet18-w4", 2, parts, chosen, 0)
    assert history["validation_accuracy"][-1] > 90
    with pytest.raises(CannotRun, match="4 timesteps do not go with 3 frames of events; make both the same"):
        train_spiking(direct_method("Ternary spike"), "ResNet18-w2", 2, parts, replace(chosen, options={"timesteps": 4}), 0)
