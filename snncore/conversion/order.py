"""Running named steps one after another, with no more values alive than somebody still reads."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any


def needed(order: dict[str, list[str]], targets: Iterable[str], known: Container[str]) -> dict[str, list[str]]:
    """The part of ``order``, names with those that they read, that leads to the targets from what is known."""
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in known:
            found.add(name)
            waiting += order.get(name, [])
    return {name: inputs for name, inputs in order.items() if name in found}


def execute(
    order: dict[str, list[str]], call: Callable[[str], Any], values: dict[str, Any], keep: Container[str]
) -> dict[str, Any]:
    """Compute ``values`` by name in order; what nothing reads any more is dropped unless it is to be kept."""
    last = {source: name for name, inputs in order.items() for source in inputs}
    for name, inputs in order.items():
        values[name] = call(name)
        for source in set(inputs):
            if last[source] == name and source not in keep:
                del values[source]
    return values
