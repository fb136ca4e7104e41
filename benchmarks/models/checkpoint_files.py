"""Checkpoint files: reading without running code, writing with the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmarks.errors import CannotRun, refuse_broken_link
from benchmarks.files import atomic_write_bytes

SUFFIXES = (".safetensors", ".pt", ".pth")
HOW_TO_CONVERT = "save it as safetensors.torch.save_file(model.state_dict(), 'NAME.safetensors') where you trust it"

WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
"""Keys under which training scripts save a state dict beside other things."""

Checkpoint = tuple[dict[str, Tensor], dict[str, str]]


def read_checkpoint(path: Path) -> Checkpoint:
    """Tensors by name, and the metadata, of a ``.safetensors``, ``.pt`` or ``.pth`` file.

    CannotRun where the file is missing, of another kind, damaged, or a pickle of more than tensors.
    """
    if path.suffix not in SUFFIXES:
        raise CannotRun(f"{path}: a checkpoint ends in {', '.join(SUFFIXES)}; {HOW_TO_CONVERT}")
    refuse_broken_link(path)
    if not path.is_file():
        raise CannotRun(f"{path}: there is no such checkpoint file; check the path")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``.safetensors`` atomically; the same tensors and metadata give the same bytes."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic_write_bytes(path, _with_sorted_metadata(save(contiguous, dict(metadata))))


def write_torch(path: Path, state: Mapping[str, Any]) -> None:
    """Write a ``.pt`` file of tensors and plain values atomically, for ``torch.load(path, weights_only=True)``."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    atomic_write_bytes(path, buffer.getvalue())


def checkpoint_hash(path: Path) -> str:
    """SHA-256 over the names, types, shapes and values of the tensors of a file; raises as ``read_checkpoint``."""
    digest = hashlib.sha256()
    for name, tensor in sorted(read_checkpoint(path)[0].items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _with_sorted_metadata(content: bytes) -> bytes:
    # The safetensors writer keeps metadata in a hash map, whose order changes from call to call.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _damaged(path: Path, error: Exception) -> CannotRun:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return CannotRun(f"{path}: the checkpoint is damaged or cut short ({reason}); get the file again")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_torch(path: Path) -> Checkpoint:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CannotRun(
            f"{path}: refused, because it holds more than tensors and loading it could run code; {HOW_TO_CONVERT}"
        ) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise CannotRun(f"{path}: it is a TorchScript program, not a state dict; {HOW_TO_CONVERT}") from error
        raise _damaged(path, error) from error
    except (EOFError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    metadata: dict[str, str] = {}
    if isinstance(content, dict) and (key := next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)):
        metadata = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, str)}
        content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise CannotRun(
            f"{path}: it does not hold a state dict of tensors by name, alone or under {', '.join(WRAPPERS)}; {HOW_TO_CONVERT}"
        )
    return dict(content), metadata
