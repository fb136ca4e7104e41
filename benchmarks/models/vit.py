"""A small vision Transformer of plain torch modules: patches, a class token, learned positions, post-norm layers with ReLU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. (ICLR 2021) with torch's ``nn.TransformerEncoderLayer``: LayerNorm after each sum, as in BERT.

    Args:
        classes, channels: of the answer and of the images.
        size, patch: sides of the square images and of their patches, in pixels.
        width, depth, heads, hidden: of the tokens, number of layers, of heads, and units between the two linear maps.
    """

    def __init__(
        self, classes: int, channels: int, size: int, patch: int, width: int, depth: int, heads: int, hidden: int
    ) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, patch)})  # a name of the checkpoint
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.rand(1, (size // patch) ** 2 + 1, width) * 2 - 1)
        layers = [nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True) for _ in range(depth)]
        self.transformer = nn.ModuleDict({"layers": nn.Sequential(*layers)})
        self.mlp_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of images ``[B, channels, size, size]``."""
        patches = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)  # [B, patches, width]
        tokens = torch.cat((self.cls_token.expand(images.shape[0], -1, -1), patches), 1) + self.pos_embed
        logits: Tensor = self.mlp_head(self.transformer["layers"](tokens)[:, 0])
        return logits
