"""Methods by the name that tables print, by entry point (group ``snnbench.methods``) or by import path."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TypeVar

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods.base import Method, Steps, threshold_rule
from benchmarks.methods.cos import COS, COSLong
from benchmarks.methods.direct import DirectMethod
from benchmarks.methods.ettfs import ETTFS
from benchmarks.methods.fast_snn import FastSNN, FastSNNUntuned
from benchmarks.methods.fs_conversion import FSConversion
from benchmarks.methods.lc_ttfs import LCTTFS, LCTTFSCentred
from benchmarks.methods.qcfs import QCFS
from benchmarks.methods.rate import OPI, OPIClipped, Rate
from benchmarks.methods.signed_rate import QFFS
from benchmarks.methods.snn_calibration import SNNCalibration, SNNCalibrationLight
from benchmarks.methods.spike_norm import RMPSNN, RMPSNNScaled, SpikeNorm
from benchmarks.methods.spike_time import BS4NN, S4NN, STDBP, TQTTFS
from benchmarks.methods.tmn import TMN
from benchmarks.methods.tsa import TSA
from benchmarks.methods.tsc import TSC, TSCSpread
from benchmarks.methods.ttfs_mapping import TTFSMapping, TTFSMappingExact
from benchmarks.methods.ttrbr import TTRBR, TTRBRCentred, TTRBRUnshared

Kind = TypeVar("Kind")
CSS = (TMN, TSA)
RATE = (Rate, SpikeNorm, RMPSNN, RMPSNNScaled, OPI, SNNCalibration, SNNCalibrationLight, TTRBR, TTRBRCentred, TTRBRUnshared)
TEMPORAL = (TSC, TSCSpread, TTFSMapping, TTFSMappingExact, LCTTFS, LCTTFSCentred, FSConversion)
QUANTIZED = (OPIClipped, QFFS, QCFS, COS, COSLong, FastSNN, FastSNNUntuned)
METHODS: dict[str, type[Method]] = {m.name: m for m in (*CSS, *RATE, *TEMPORAL, *QUANTIZED)}
DIRECT_METHODS: dict[str, type[DirectMethod]] = {m.name: m for m in (ETTFS, S4NN, BS4NN, STDBP, TQTTFS)}

__all__ = ["DIRECT_METHODS", "METHODS", "DirectMethod", "Method", "Steps", "direct_method", "method", "threshold_rule"]


def method(name: str) -> Method:
    """The method of that name, or of an import path ``package.module:Class``.

    Raises:
        NotAvailable: no method of that name (other rows of a table go on).
        CannotRun: an import path that leads nowhere or not to a ``Method``.
    """
    return _found(name, METHODS, Method)


def direct_method(name: str) -> DirectMethod:
    """The method of direct training of that name; raises as ``method`` does."""
    return _found(name, DIRECT_METHODS, DirectMethod)


def _found(name: str, known: dict[str, type[Kind]], kind: type[Kind]) -> Kind:
    if name in known:
        return known[name]()
    if ":" in name:
        return _imported(name, kind)
    for point in entry_points(group="snnbench.methods"):
        if point.name == name:
            return _imported(point.value, kind)
    raise NotAvailable(f"method not available yet: {name}")


def _imported(path: str, kind: type[Kind]) -> Kind:
    module_name, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise CannotRun(f"method {path!r} cannot be imported ({error}); give package.module:Class") from error
    made = found() if isinstance(found, type) else found
    if not isinstance(made, kind):
        raise CannotRun(f"method {path!r} is not a benchmarks.methods.{kind.__name__}; subclass it")
    return made
