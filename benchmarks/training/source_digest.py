"""Digests of the code that determines a trained network."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmarks import models, training

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(files: Iterable[Path]) -> str:
    """SHA-256 over the syntax trees of Python files in the order of their names, without comments and docstrings."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: (path.parent.name, path.name)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        digest.update(f"{path.parent.name}/{path.name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()


@cache
def training_code() -> str:
    """``code_digest`` of benchmarks/models and benchmarks/training."""
    folders = (Path(folder) for package in (models, training) for folder in package.__path__)
    return code_digest(path for folder in folders for path in folder.glob("*.py"))


def import_closure(modules: Iterable[str]) -> list[Path]:
    """Files of the given modules and of all modules of this project that they import, directly or not; sorted.

    A package counts only where a name is imported from its ``__init__``. Imports are read from the source, wherever they
    stand; other packages do not count.
    """
    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ValueError(f"there is no module {name!r}")
        found[name] = Path(spec.origin)
        for node in ast.walk(ast.parse(found[name].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                pending += [alias.name for alias in node.names if _ours(alias.name)]
            elif isinstance(node, ast.ImportFrom) and node.module and _ours(node.module):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                submodules = [each for each in inner if _is_module(each)]
                pending += submodules
                if len(submodules) < len(inner):
                    pending.append(node.module)
    return sorted(found.values())


def _ours(module: str) -> bool:
    return module.partition(".")[0] in ("benchmarks", "snncore")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False
