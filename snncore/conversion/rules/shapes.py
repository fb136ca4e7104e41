"""Operations that move values without changing them, and those that are linear and nothing else."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from snncore.conversion.graph import Node
from snncore.conversion.rewriting import Rewriter, rule
from snncore.conversion.signals import Signal

MOVES = (
    *("reshape", "permute", "transpose", "slice", "select", "narrow", "flip", "rot90", "roll", "index", "index_select"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "expand", "repeat", "tile"),
    *("im2col", "unfold", "repeat_interleave", "constant_pad_nd", "pad", "mT", "t"),
    *(f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)),
    *(f"{kind}{n}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)),
)
rule(  # differences, and weighted means of neighbours: on currents
    *("sub", "rsub", "neg", "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)(Rewriter.linear)


@rule(*MOVES)
def move(rewriter: Rewriter, node: Node) -> Signal:
    """Spikes stay spikes; padding with zeros is silence."""
    _check_images_apart(rewriter, node)
    source = rewriter.signals[node.source]
    if source.kind == "analog":
        return rewriter.operation(node, [source], "analog")
    if node.get("value", 0.0) != 0 or (amplitude := _amplitude(rewriter, node, source)) is None:
        return rewriter.linear(node)
    return rewriter.operation(node, [source], "spikes", amplitude=amplitude, signed=source.signed)


def _amplitude(rewriter: Rewriter, node: Node, source: Signal) -> Tensor | None:
    if source.kind == "spikes" and source.offset is None and source.amplitude.dim() == 0:
        return source.amplitude  # type: ignore[no-any-return]
    padded = "value" in node.arguments and node.get("mode", "constant") == "constant"
    zeros_have_none = node.arguments | ({"value": torch.nan} if padded else {})
    return rewriter.amplitude_behind(replace(node, arguments=zeros_have_none), [source])


@rule("every_image")
def constant(rewriter: Rewriter, node: Node) -> Signal:
    """A constant that is joined to every image, such as a class token."""
    return rewriter.operation(node, [Signal(node["images"].name, "analog", rewriter.network.image)], "analog")


def _check_images_apart(rewriter: Rewriter, node: Node) -> None:
    """Refuse what moves values from one image to another."""
    shape, parts = rewriter.signals[node.source].shape, rewriter.network.nodes[node.source].parts
    values = torch.arange(2 * parts * torch.Size(shape).numel(), dtype=torch.float64).view(2 * parts, *shape)
    try:
        both = rewriter.result(node, {node.source: values})
        apart = torch.cat([rewriter.result(node, {node.source: each}) for each in values.split(parts)])
    except (RuntimeError, IndexError):
        both, apart = values, values[:1]
    if not torch.equal(both, apart):
        raise rewriter.refuse(node, "moves values between the images of a batch", "keep the first dimension of every signal")
