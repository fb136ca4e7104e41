"""The error of a network that cannot be converted."""

from __future__ import annotations


class ConversionError(ValueError):
    """The network cannot be converted; one line that names the operation and says what can be done."""
