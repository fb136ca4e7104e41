"""The vision Transformer: the checkpoint of the workstation fits, and it computes what its equations say."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.models import build_model, load_checkpoint
from benchmarks.models.vit import VisionTransformer


def by_hand(state: dict[str, Tensor], images: Tensor, patch: int, heads: int) -> Tensor:
    """Logits by the equations alone, without a module of torch."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}weight"].T + state[f"{name}bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        scaled = centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    width = state["cls_token"].shape[-1]
    kernel = state["patch_embed.proj.weight"].flatten(1)
    patches = F.unfold(images, patch, stride=patch).transpose(1, 2) @ kernel.T + state["patch_embed.proj.bias"]
    x = torch.cat((state["cls_token"].expand(images.shape[0], -1, -1), patches), 1) + state["pos_embed"]
    depth = len({name.split(".")[2] for name in state if name.startswith("transformer.layers.")})
    for layer in (f"transformer.layers.{number}" for number in range(depth)):
        q, k, v = linear(x, f"{layer}.self_attn.in_proj_").unflatten(-1, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        attention = torch.softmax(q @ k.transpose(-1, -2) / (width // heads) ** 0.5, -1)
        mixed = (attention @ v).transpose(1, 2).flatten(2)
        x = norm(x + linear(mixed, f"{layer}.self_attn.out_proj."), f"{layer}.norm1")
        x = norm(x + linear(linear(x, f"{layer}.linear1.").clamp(min=0), f"{layer}.linear2."), f"{layer}.norm2")
    return linear(norm(x[:, 0], "mlp_head.0"), "mlp_head.1.")


def test_logits_are_those_of_the_equations() -> None:
    torch.manual_seed(0)
    network = VisionTransformer(7, 2, 8, 4, 12, 2, 3, 20).double().eval()
    images = torch.randn(5, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(network(images), by_hand(network.state_dict(), images, 4, 3), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "channels", "size", "parameters"), [("vit-small-images", 3, 32, 810_000), ("vit-thin", 1, 8, 18_000)]
)
def test_sizes_are_those_of_the_definition(name: str, channels: int, size: int, parameters: int) -> None:
    network = build_model(name, 10, channels).eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=0.02)
    assert network(torch.rand(3, channels, size, size)).shape == (3, 10)


def test_the_checkpoint_of_the_workstation_fits() -> None:
    path = Path(os.environ.get("SNNBENCH_WEIGHTS", "")) / "cifar10_vit_relu.safetensors"
    if not path.is_file():
        pytest.skip("SNNBENCH_WEIGHTS holds no cifar10_vit_relu.safetensors")
    assert {"mean", "std"} <= set(load_checkpoint(build_model("vit-small-images", 10), path))
