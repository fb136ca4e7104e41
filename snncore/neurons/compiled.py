"""Updates compiled into one pass over memory, on a CPU with a C++ compiler: the same bits in less time (``SNNCORE_COMPILE=1``).

Compiling takes some 20 seconds for each kind of neuron and number of steps, which pays in a training of minutes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

_log = logging.getLogger(__name__)
KINDS = 64
"""How many kinds of neurons, numbers of steps and types are compiled at most; torch stops at 8."""


def compiling() -> bool:
    """Whether ``SNNCORE_COMPILE`` asks for it and torch can compile here."""
    return os.environ.get("SNNCORE_COMPILE", "0") not in ("", "0") and _possible()


@cache
def _possible() -> bool:
    """Whether torch can compile here; says once which of the two ways is taken."""
    try:
        torch.compile(torch.neg, fullgraph=True)(torch.ones(2))
    except Exception as error:  # whatever is wrong with compiler or cache
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        _log.warning("SNNCORE_COMPILE: nothing can be compiled here (%s); neurons run uncompiled, with the same results", reason)
        return False
    _log.warning("SNNCORE_COMPILE: neurons are compiled, which takes some 20 seconds for each kind")
    return True


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of flat trains ``[T, N]``, compiled for any N when it is first called."""
    made: Callable[..., Any] = torch.compile(  # type: ignore[call-overload]  # torch's hints lack the limit
        function, dynamic=True, fullgraph=True, recompile_limit=KINDS
    )
    return made
