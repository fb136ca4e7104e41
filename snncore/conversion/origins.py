"""Where in the user's code something stands, and what is told when ``torch.export`` fails."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from snncore.conversion.errors import ConversionError, first_line

_NOT_THE_USERS = (Path(torch.__file__).parent, Path(__file__).parent)


@torch.no_grad()
def why(error: Exception, network: nn.Module, name: str, example: Tensor, images: Tensor) -> ConversionError:
    """The error of a network of that name that export failed for, whose first ``images`` made the ``example``."""
    fixed = "works for a fixed number of images alone; keep the first dimension of every signal, whatever its size"
    try:
        network(example)
    except Exception as real:
        try:
            network(images)
        except Exception:
            return ConversionError(f"{_place(real)}the trained network fails: {first_line(real)}")
        return ConversionError(f"{_place(real)}{name} {fixed}, and write x.size(0) for len(x)")
    said, place = f"{type(error).__name__} {error}", _place(error)
    if "data-dependent" in said or "DataDependent" in said:
        why = "decides by the values of its signals what to compute; remove that from its forward"
        return ConversionError(f"{place}{name} {why}")
    if "specialized" in said:
        return ConversionError(f"{place}{name} {fixed}, and write x.size(0) for len(x)")
    return ConversionError(f"{place}{name} cannot be read by torch.export of torch {torch.__version__}: {first_line(error)}")


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f"{_shown(frames[-1].filename, frames[-1].lineno or 0)}: " if frames else ""


def _is_users(file: str) -> bool:
    return file.endswith(".py") and not any(folder in Path(file).parents for folder in _NOT_THE_USERS)


def _shown(file: str, line: int) -> str:
    return f"{Path(file).name}:{line} `{linecache.getline(file, line).strip()[:80]}`"


def origin_of(node: fx.Node) -> str:
    """The user's source line of an operation, and its module."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    lines = [_shown(file, int(line)) for file, line in frames if _is_users(file)]
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    module = f"{path.removeprefix('network.')} ({str(kind).rpartition('.')[2]})" if path.startswith("network.") else ""
    return ", ".join(part for part in (*lines[-1:], module) if part)
