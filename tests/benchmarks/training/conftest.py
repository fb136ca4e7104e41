"""A data set and a recipe small enough to train on within a second."""

from dataclasses import dataclass, replace

import pytest
import torch

from benchmarks.training import Recipe, recipe


@dataclass(frozen=True)
class Samples:
    """Labelled images without the rest of a data set."""

    images: torch.Tensor
    labels: torch.Tensor
    fingerprint: str = "0" * 32


@pytest.fixture
def samples() -> Samples:
    """Bright left or right halves under noise, 8x8 pixels: uint8 [32, 1, 8, 8], two classes."""
    source = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (32, 1, 8, 8), generator=source)
    labels = torch.arange(32) % 2
    images[labels == 0, :, :, :4] += 120
    images[labels == 1, :, :, 4:] += 120
    return Samples(images.to(torch.uint8), labels)


@pytest.fixture
def quick() -> Recipe:
    """Four steps, otherwise as for the digits."""
    return replace(recipe("digits"), name="quick", epochs=2, batch_size=16)
