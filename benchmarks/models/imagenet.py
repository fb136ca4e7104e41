"""ImageNet networks: torchvision's, built without weights.

torchvision is imported when a network is built, so that everything else works where it is missing or broken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.errors import CannotRun, NotAvailable

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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


def torchvision_weights(name: str, weights: str) -> tuple[Any, Path]:
    """An entry such as ``IMAGENET1K_V1`` of torchvision's weights for ``torchvision/<network>``, and where its file is kept.

    CannotRun for a name that torchvision does not have.
    """
    from torchvision.models import get_model_weights

    network = name.removeprefix("torchvision/")
    try:
        entry = get_model_weights(network)[weights]
    except (KeyError, ValueError) as error:
        raise CannotRun(f"torchvision has no weights {weights!r} for {network}; see torchvision.models.list_models()") from error
    return entry, Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[1]


def pretrained(name: str, weights: str, offline: bool) -> tuple[nn.Module, Path]:
    """``torchvision/<network>`` with torchvision's own weights, and the file they are in; ``offline`` keeps off the network.

    Raises as ``torchvision_weights``, and NotAvailable where the file is not here and cannot be downloaded.
    """
    from torchvision.models import get_model

    network, (entry, path) = name.removeprefix("torchvision/"), torchvision_weights(name, weights)
    if offline and not path.exists():
        raise NotAvailable(f"torchvision's weights {weights} of {network} are not here; run once without --offline")
    try:
        model = get_model(network, weights=entry)
    except (OSError, RuntimeError) as error:
        raise NotAvailable(f"torchvision's weights {weights} of {network} cannot be downloaded; run once online") from error
    return model.eval(), path
