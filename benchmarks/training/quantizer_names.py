"""Names of quantisers: ``qcfs-4`` has 4 levels above 0, ``uniform-3`` has 3 bits, ``clip-64`` is a ReLU with a clip."""

from __future__ import annotations

from benchmarks.errors import CannotRun

LARGEST = {"qcfs": 255, "uniform": 8, "clip": 4096}
"""The largest number that a kind takes here."""


def parse_quantizer(name: str) -> tuple[str, int]:
    """Kind and number of a quantiser. Raises CannotRun for a name that is none."""
    kind, _, number = name.partition("-")
    if not number.isdecimal() or not 1 <= int(number) <= LARGEST.get(kind, 0):
        known = ", ".join(f"{kind}-1 to {kind}-{largest}" for kind, largest in LARGEST.items())
        raise CannotRun(f"there is no quantiser called {name!r}; known: {known}")
    return kind, int(number)
