"""Where things live: the user's cache, data mirror and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from benchmarks.errors import refuse_broken_link


def cache_dir() -> Path:
    """Folder for trained networks and finished measurements: ``SNNBENCH_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("SNNBENCH_CACHE") or platformdirs.user_cache_dir("snnbench"))


def data_mirror() -> Path | None:
    """``SNNBENCH_DATA``: a folder in the Hub's layout, ``<org>/<name>/<split>-*.parquet``; None when unset."""
    value = os.environ.get("SNNBENCH_DATA")
    return Path(value) if value else None


def mirror_folder(name: str) -> Path | None:
    """The folder of that name below ``SNNBENCH_DATA``; None where there is none, CannotRun for a broken link."""
    root = data_mirror()
    if root is None:
        return None
    refuse_broken_link(root / name)
    return root / name if (root / name).is_dir() else None


def weights_dir() -> Path | None:
    """``SNNBENCH_WEIGHTS``: a folder of checkpoints, ``<name>.safetensors``; None when unset."""
    value = os.environ.get("SNNBENCH_WEIGHTS")
    return Path(value) if value else None
