"""Where in the user's code something stands, and what is told when ``torch.export`` fails."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from snncore.conversion.graph import ConversionError

_NOT_THE_USERS = (Path(torch.__file__).parent, Path(__file__).parent)


def first_line(error: BaseException) -> str:
    """The first line of a message, or the kind of error where there is none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@torch.no_grad()
def why(error: Exception, network: nn.Module, name: str, example: Any, images: Any) -> ConversionError:
    """The error of a network of that name that export failed for; arguments of three images and of all ``images``."""
    fixed = "works for a fixed number of images alone; keep the first dimension of every signal, whatever its size"
    fixed, said = f"{fixed}, and write x.size(0) for len(x)", f"{type(error).__name__} {error}"
    try:
        network(*example)
    except Exception as real:
        try:
            network(*images)
        except Exception:
            return ConversionError(f"{_place(real)}the trained network fails: {first_line(real)}")
        return ConversionError(f"{_place(real)}{name} {fixed}")
    why = f"cannot be read by torch.export of torch {torch.__version__}: {first_line(error)}"
    if "data-dependent" in said or "DataDependent" in said:
        why = "decides by the values of its signals what to compute; remove that from its forward"
    elif "specialized" in said:
        why = fixed
    return ConversionError(f"{_place(error)}{name} {why}")


def _place(error: BaseException) -> str:
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return "".join(f"{line}: " for line in _users_lines(frames)[-1:])


def _users_lines(frames: list[tuple[str, int | None]] | list[tuple[str, str]]) -> list[str]:
    """The lines of these files and numbers that are neither PyTorch's nor ours."""
    paths = [(Path(file), int(line or 0)) for file, line in frames if file.endswith(".py")]
    users = [(path, line) for path, line in paths if not any(folder in path.parents for folder in _NOT_THE_USERS)]
    return [f"{path.name}:{line} `{linecache.getline(str(path), line).strip()[:80]}`" for path, line in users]


def origin_of(node: fx.Node) -> str:
    """The user's source line of an operation, and its module."""
    lines = _users_lines(re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or ""))
    path, kind = [("", ""), *(node.meta.get("nn_module_stack") or {}).values()][-1]
    module = f"{path.removeprefix('network.')} ({str(kind).rpartition('.')[2]})" if path.startswith("network.") else ""
    return ", ".join(part for part in (*lines[-1:], module) if part)
