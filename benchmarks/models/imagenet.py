"""ImageNet networks: torchvision's, built without weights.

torchvision is imported when a network is built, so that everything else works where it is missing or broken.
"""

from __future__ import annotations

from torch import nn

from benchmarks.errors import CannotRun


def torchvision_model(name: str, num_classes: int, in_channels: int) -> nn.Module:
    """``torchvision.models.<name>`` without weights. ``[B, 3, H, W] -> [B, num_classes]`` logits.

    CannotRun where ``in_channels`` is not 3 or torchvision cannot be imported.
    """
    if in_channels != 3:
        raise CannotRun(f"torchvision/{name} takes 3 input channels, the data set has {in_channels}; use color images")
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision built for another torch
        reason = " ".join(str(error).split())
        raise CannotRun(
            f"torchvision/{name} needs torchvision, which does not import ({reason}); "
            "install the torchvision release that belongs to the installed torch"
        ) from error
    return models.get_model(name, weights=None, num_classes=num_classes)
