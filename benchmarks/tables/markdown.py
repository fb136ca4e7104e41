"""GitHub-flavoured Markdown from plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

DASH = "\u2013"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A table; cells are Markdown, with bars escaped and line breaks made spaces.

    Args:
        header: one cell per column.
        rows: cells, as many as the header has.
        align: one letter per column, ``l``, ``c`` or ``r``; all left if empty.

    Raises:
        ValueError: a row or ``align`` has another number of columns.
    """
    rules = {"l": "---", "c": ":-:", "r": "--:"}
    lines = [list(header), [rules[letter] for letter in align or "l" * len(header)], *map(list, rows)]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"every row needs {len(header)} cells")
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def plain(text: str) -> str:
    """Text that shows as it is: characters with a meaning in Markdown or HTML are escaped."""
    return re.sub(r"([\\*_`<~\[\]])", r"\\\1", text)


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """A number with fixed decimals, never ``-0.00``; a dash where it is missing."""
    if value is None or value != value:
        return DASH
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    return text.replace("-", "").replace("+", "") if float(text) == 0 else text


def small(value: float, digits: int = 2) -> str:
    """A number of any size with so many digits, as ``0.0123`` or ``1.2e-07``."""
    return DASH if value != value else f"{value:.{digits}g}"


def interval(value: float, low: float, high: float, decimals: int = 2, sign: bool = False) -> str:
    """``0.14 [0.02, 0.26]``; without the interval where it is missing."""
    ends = f" [{number(low, decimals)}, {number(high, decimals)}]" if low == low else ""
    return number(value, decimals, sign) + ends


def count(number: int, one: str, many: str = "") -> str:
    """``1 row``, ``2 rows``; ``many`` where an s is not enough."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def enumeration(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def sentence(*parts: str) -> str:
    """Parts as one sentence, with semicolons between them."""
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def ranges(numbers: Iterable[int]) -> str:
    """``1-3, 7``: sorted whole numbers with runs joined."""
    runs: list[list[int]] = []
    for value in sorted(set(numbers)):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
