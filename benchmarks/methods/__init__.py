"""Methods by the name that tables print, by entry point (group ``snnbench.methods``) or by import path."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods.base import Method, Steps, threshold_rule
from benchmarks.methods.rate import OPI, Rate
from benchmarks.methods.tmn import TMN

METHODS: dict[str, type[Method]] = {m.name: m for m in (TMN, Rate, OPI)}

__all__ = ["METHODS", "Method", "Steps", "method", "threshold_rule"]


def method(name: str) -> Method:
    """The method of that name, or of an import path ``package.module:Class``.

    Raises:
        NotAvailable: no method of that name (other rows of a table go on).
        CannotRun: an import path that leads nowhere or not to a ``Method``.
    """
    if name in METHODS:
        return METHODS[name]()
    if ":" in name:
        return _imported(name)
    for point in entry_points(group="snnbench.methods"):
        if point.name == name:
            return _imported(point.value)
    raise NotAvailable(f"method not available yet: {name}")


def _imported(path: str) -> Method:
    module_name, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise CannotRun(f"method {path!r} cannot be imported ({error}); give package.module:Class") from error
    made = found() if isinstance(found, type) else found
    if not isinstance(made, Method):
        raise CannotRun(f"method {path!r} is not a benchmarks.methods.Method; subclass it")
    return made
