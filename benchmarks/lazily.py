"""Packages whose names are imported when they are first asked for, so that what is known of things takes no torch to read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def lazily(package: str, **names: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562) with these names of its modules, as in ``images="Images ImageSet"``."""
    homes = {name: f"{package}.{module}" for module, listed in names.items() for name in listed.split()}

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return found
