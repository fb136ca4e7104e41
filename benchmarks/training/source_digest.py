"""A digest of the code that determines a trained network."""

from __future__ import annotations

import ast
import hashlib
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
