"""What training needs of a data set."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class LabelledImages(Protocol):
    """What training needs of a data set."""

    @property
    def images(self) -> Tensor:
        """uint8 ``[N, C, H, W]``, or frames of events, float16 ``[N, T, C, H, W]``."""

    @property
    def labels(self) -> Tensor:
        """int64 ``[N]``, from 0."""

    @property
    def fingerprint(self) -> str:
        """Identifies the samples and their order."""
