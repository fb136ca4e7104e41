"""Digests of the code that determines a trained network or a measurement: of what is imported, not of what lies beside it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterable
from pathlib import Path

from torch import nn

REGISTRIES = {
    *("benchmarks.data", "benchmarks.data.registry", "benchmarks.measurements", "benchmarks.methods"),
    *("benchmarks.models", "benchmarks.models.registry", "benchmarks.training"),
}
"""Modules that name others: no code follows from them, so that a new method, network or data set leaves every digest alone."""

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


def training_code(network: nn.Module) -> str:
    """Digest of the code that trains a network: the training loop, what it imports, and the classes and sizes of the network."""
    classes = {type(module) for module in network.modules() if not type(module).__module__.startswith("torch.")}
    own = {Path(inspect.getfile(kind)) for kind in classes}
    code = code_digest({*import_closure(["benchmarks.training.train"]), *own})
    return hashlib.sha256(f"{code}\n{network}".encode()).hexdigest()


def import_closure(modules: Iterable[str], within: tuple[str, ...] = ("benchmarks", "snncore")) -> list[Path]:
    """Files of the given modules and of all modules of the packages ``within`` that they import, directly or not; sorted.

    A package counts only where a name is imported from its ``__init__``. Imports are read from the source, wherever they
    stand. ``REGISTRIES`` do not count.
    """

    def ours(module: str) -> bool:
        return any(f"{module}.".startswith(f"{package}.") for package in within)

    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name in found or name in REGISTRIES:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ValueError(f"there is no module {name!r}")
        found[name] = Path(spec.origin)
        for node in ast.walk(ast.parse(found[name].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                pending += [alias.name for alias in node.names if ours(alias.name)]
            elif isinstance(node, ast.ImportFrom) and node.module and ours(node.module):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                submodules = [each for each in inner if _is_module(each)]
                pending += submodules
                if len(submodules) < len(inner):
                    pending.append(node.module)
    return sorted(found.values())


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False
