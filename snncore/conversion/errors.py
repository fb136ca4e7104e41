"""The error of a network that cannot be converted."""

from __future__ import annotations


class ConversionError(ValueError):
    """The network cannot be converted; one line that names the operation and says what can be done."""


def first_line(error: BaseException) -> str:
    """The first line of a message, or the kind of error where there is none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
