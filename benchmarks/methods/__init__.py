"""Methods by the name that tables print, by entry point (group ``snnbench.methods``) or by import path."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeVar

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.lazily import lazily
from benchmarks.methods.calibrations import check_calibration, threshold_rule

if TYPE_CHECKING:
    from benchmarks.methods.base import Method, Steps
    from benchmarks.methods.direct import DirectMethod
else:
    __getattr__ = lazily(__name__, base="Method Steps", direct="DirectMethod")

Kind = TypeVar("Kind")
METHODS = {
    "TMN": "tmn:TMN",
    "ST-BIF": "st_bif:STBIF",
    "TSA": "tsa:TSA",
    "rate": "rate:Rate",
    "SpikeNorm": "spike_norm:SpikeNorm",
    "RMP-SNN": "spike_norm:RMPSNN",
    "RMP-SNN, scaled": "spike_norm:RMPSNNScaled",
    "OPI": "rate:OPI",
    "SNN Calibration": "snn_calibration:SNNCalibration",
    "SNN Calibration (light)": "snn_calibration:SNNCalibrationLight",
    "TTRBR": "ttrbr:TTRBR",
    "TTRBR, centred": "ttrbr:TTRBRCentred",
    "TTRBR, centred, unshared": "ttrbr:TTRBRUnshared",
    "TSC": "tsc:TSC",
    "TSC, spread": "tsc:TSCSpread",
    "TTFS Mapping": "ttfs_mapping:TTFSMapping",
    "TTFS Mapping, exact": "ttfs_mapping:TTFSMappingExact",
    "LC-TTFS": "lc_ttfs:LCTTFS",
    "LC-TTFS, centred": "lc_ttfs:LCTTFSCentred",
    "FS-Conversion": "fs_conversion:FSConversion",
    "OPI, clipped": "rate:OPIClipped",
    "QFFS": "signed_rate:QFFS",
    "QCFS": "qcfs:QCFS",
    "COS": "cos:COS",
    "COS, long pre-simulation": "cos:COSLong",
    "Fast-SNN": "fast_snn:FastSNN",
    "Fast-SNN, not fine-tuned": "fast_snn:FastSNNUntuned",
}
"""Methods of conversion: file and class by the name that tables print. A method is imported when it is asked for."""
DIRECT_METHODS = {
    "ETTFS": "ettfs:ETTFS",
    "S4NN": "spike_time:S4NN",
    "BS4NN": "spike_time:BS4NN",
    "STDBP": "spike_time:STDBP",
    "TQ-TTFS": "spike_time:TQTTFS",
}
"""Methods that train networks whose neurons fire once; with layouts such as ``784-400-10``."""
DEEP_METHODS = {
    "Binary spike": "ternary_spike:BinarySpike",
    "Binary spike, wide surrogate": "ternary_spike:BinaryWide",
    "Ternary spike": "ternary_spike:TernarySpike",
    "Trainable ternary spike": "ternary_spike:TrainableTernarySpike",
    "Ternary spike, scalars on shortcuts and logits": "ternary_spike:TernaryScalars",
    "STBP-tdBN": "tdbn:STBPTdBN",
    "TET": "tet:TET",
    "PLIF": "plif:PLIF",
    "GLIF": "glif:GLIF",
    "Diet-SNN": "diet_snn:DietSNN",
    "Real Spike": "real_spike:RealSpike",
    "MPBN": "mpbn:MPBN",
    "InfLoR-SNN": "inflor:InfLoR",
    "IM-Loss": "im_loss:IMLoss",
    "SEW ResNet": "sew:SEW",
    "Dspike": "dspike:Dspike",
    "RMP-Loss": "rmp_loss:RMPLoss",
    "RecDis-SNN": "recdis:RecDis",
    "DSR": "dsr:DSR",
    "Tandem learning": "tandem:Tandem",
    "KDSNN": "kdsnn:KDSNN",
}
"""Methods that train residual networks, ``benchmarks/models/spiking_resnet.py``."""

__all__ = [
    "DEEP_METHODS",
    "DIRECT_METHODS",
    "METHODS",
    "DirectMethod",
    "Method",
    "Steps",
    "check_calibration",
    "direct_method",
    "method",
    "threshold_rule",
]


def method(name: str) -> Method:
    """The method of that name, or of an import path ``package.module:Class``.

    Raises:
        NotAvailable: no method of that name (other rows of a table go on).
        CannotRun: an import path that leads nowhere or not to a ``Method``.
    """
    from benchmarks.methods.base import Method

    return _found(name, METHODS, Method)


def direct_method(name: str) -> DirectMethod:
    """The method of direct training of that name; raises as ``method`` does."""
    from benchmarks.methods.direct import DirectMethod

    return _found(name, DIRECT_METHODS | DEEP_METHODS, DirectMethod)


def _found(name: str, known: dict[str, str], kind: type[Kind]) -> Kind:
    if name in known:
        return _imported(f"{__name__}.{known[name]}", kind)
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
