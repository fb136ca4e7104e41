"""Whole Transformers of torch, in any spelling, with padding and several inputs; tiny ones with random weights."""

from functools import partial
from typing import Any

import pytest
import torch
from small_networks import relative_error
from torch import Tensor, nn

from snncore import ConversionError, calibrate, convert, tmn
from snncore.conversion import Maximum, quantize, rate
from snncore.quantization import ClipFloorShift, SignedQuantizer

METHOD = tmn(precharge=4, threshold=Maximum())


def encoder(**arguments: Any) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, **arguments)
    nested = arguments.get("batch_first", False) and not arguments.get("norm_first", False)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested).double().eval()


def sequences() -> Tensor:
    return torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Turned(nn.Module):
    """Sequences first inside, images first outside."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder(norm_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x.transpose(0, 1)).transpose(0, 1)


class Attention(nn.Module):
    """``nn.MultiheadAttention`` that gives its weights, in a user's network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, weights = self.inner(x, x, x)
        return self.head(y.mean(1)), weights


@pytest.mark.parametrize(
    "network",
    [encoder(batch_first=True), encoder(batch_first=True, activation="gelu", norm_first=True), Turned()],
    ids=["post-norm, fast path", "GELU, pre-norm", "sequences first"],
)
def test_an_encoder_of_torch(network: nn.Module) -> None:
    x = sequences()
    with torch.no_grad():
        expected = network(x)
    assert relative_error(convert(network, [x], METHOD, 12)(x), expected) < 1e-3
    with torch.no_grad():
        assert torch.equal(network(x), expected)


def test_multihead_attention_in_a_users_network() -> None:
    network, x = Attention().double().eval(), sequences()
    with torch.no_grad():
        output, weights = network(x)
    found, of_softmax = convert(network, [x], METHOD, 12)(x)
    assert relative_error(found, output) < 1e-3
    assert relative_error(of_softmax, weights) < 1e-3


class Padded(nn.Module):
    """Token ids and a mask of padding to a class, as a text classifier takes them."""

    def __init__(self, positions: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.positions = nn.Embedding(20, 8), nn.Embedding(positions, 8)
        self.encoder, self.head = encoder(batch_first=True), nn.Linear(8, 3)

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        return self.head(self.encoder(x, src_key_padding_mask=padding)[:, 0])


def sentences(length: int = 6) -> dict[str, Tensor]:
    tokens = torch.randint(20, (4, 6), generator=torch.Generator().manual_seed(0))
    padding = torch.zeros(4, 6, dtype=torch.bool)
    padding[:, 4:] = True
    return {"tokens": tokens[:, :length], "padding": padding[:, :length]}


def test_padded_and_unpadded_sentences_give_the_same_logits_by_name_and_by_position() -> None:
    network = Padded().double().eval()
    padded, short = sentences(), sentences(4)
    snn = convert(network, [padded], METHOD, 12)
    with torch.no_grad():
        expected = network(**padded)
    assert relative_error(snn(**padded), expected) < 1e-3
    unpadded = convert(network, [short], METHOD, 12, neurons=snn.neurons)
    assert torch.allclose(unpadded(**short), snn(**padded), rtol=0, atol=1e-12)
    by_position = convert(network, [tuple(padded.values())], METHOD, 12, mode="single-step")
    assert torch.allclose(by_position(*padded.values()), snn(**padded), rtol=0, atol=1e-12)
    state = convert(network, [padded], tmn(precharge=4), 12)
    state.load_state_dict(snn.state_dict())
    assert torch.equal(state(**padded), snn(**padded))
    with pytest.raises(ValueError, match=r"recorded with the inputs \(tokens, padding\) and got \(tokens\); pass the same"):
        snn(tokens=padded["tokens"])
    with pytest.raises(ValueError, match=r"recorded for images \[B, 6\] and got \[4, 4\]"):
        snn(**short)


def test_a_sequence_that_is_longer_than_the_positions() -> None:
    with pytest.raises(ConversionError, match=r"test_transformers.py:\d+ `x = self.tokens\(tokens\).*: the trained network fails: index out"):
        calibrate(Padded(positions=5).double(), [sentences()])


HUGGING_FACE = ["ViTForImageClassification", "BertForSequenceClassification", "RobertaForSequenceClassification"]


def hugging_face(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A tiny network of ``transformers`` and a batch for it, with padding."""
    transformers = pytest.importorskip("transformers")
    # An installed torchaudio of another CUDA version would keep transformers from being imported.
    for module in (transformers.utils, transformers.utils.import_utils):
        module.is_torchaudio_available = lambda: False
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    generator = torch.Generator().manual_seed(0)
    tokens, mask = torch.randint(3, 20, (4, 6), generator=generator), torch.ones(4, 6, dtype=torch.int64)
    tokens[1, 4:], mask[1, 4:] = 1, 0
    batch = {"input_ids": tokens, "attention_mask": mask}
    if "ViT" in name:
        sizes |= {"image_size": 8, "patch_size": 4}
        batch = {"pixel_values": torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)}
    else:
        sizes |= {"vocab_size": 20, "max_position_embeddings": 12}
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    return kind(kind.config_class(**sizes, num_labels=3)).double().eval(), batch


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_transformers_of_hugging_face(name: str) -> None:
    network, batch = hugging_face(name)
    with torch.no_grad():
        expected = network(**batch).logits
    snn = convert(network, [batch], METHOD, 12)
    assert relative_error(snn(**batch).logits, expected) < 1e-3


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_transformers_of_torchvision(name: str) -> None:
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(0)
    made = models.VisionTransformer(8, 4, 2, 2, 8, 12) if name == "vit" else models.SwinTransformer([2, 2], 8, [1, 2], [1, 2], [2, 2])
    network = made.double().eval()
    if name == "vit":
        nn.init.normal_(network.heads.head.weight)  # zero as it is made
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        expected = network(x)
    assert relative_error(convert(network, [x], METHOD, 12)(x), expected) < 1e-3


# ---- quantised to 32 values -------------------------------------------------------------------------------------------


class Patches(nn.Module):
    """Patches, an encoder and a head."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.encoder = encoder(batch_first=True, **arguments)
        self.patches, self.head = nn.Conv2d(1, 8, 2, 2).double(), nn.Linear(8, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize(("arguments", "places"), [({}, 2 * 10 - 1 + 1), ({"norm_first": True}, 2 * 10 + 2)], ids=["post-norm", "pre-norm"])
def test_a_transformer_is_quantised_where_spikes_are_read_or_summed(arguments: dict[str, Any], places: int) -> None:
    """In a block: q, k, v, softmax, AV, both norms, the activation, and the outputs of attention and MLP."""
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    network = quantize(Patches(**arguments).eval(), [x], partial(ClipFloorShift, 31)).double()
    found = [network.quantizer(node) for node in network.activations]
    signed = [each for each in found if isinstance(each, SignedQuantizer)]
    assert all(each.levels == 15 and each.least == -16 for each in signed)
    assert all(each.levels == 31 and each.least == 0 for each in found if each not in signed)
    assert len(found) - len(signed) == 4  # softmax and ReLU of two blocks
    assert not calibrate(network, [x]).placement.sites  # nothing is left to be coded otherwise
    expected = network(x).detach()
    errors = [float((convert(network, [x], tmn(precharge), 5)(x) - expected).abs().max()) for precharge in (1, 4)]
    assert errors[1] < 1e-9 < errors[0]
    assert torch.allclose(convert(network, [x], tmn(5), 6)(x), expected, atol=1e-9)  # one digit more, saturated
    neurons = convert(network, [x], tmn(4), 5).neurons.values()
    assert {(neuron.least, neuron.most) for neuron in neurons} == {(-16, 15), (None, None)}


def test_a_quantiser_of_either_sign_in_a_users_network() -> None:
    x, network = sequences(), nn.Sequential(nn.LayerNorm(8), SignedQuantizer(15, 2.0), nn.Linear(8, 3)).double().eval()
    assert torch.allclose(convert(network, [x], tmn(4), 5)(x), network(x), atol=1e-9)
    with pytest.raises(ConversionError, match="with T = 4, TMN can represent 15 non-zero levels, but the network has 16"):
        convert(network, [x], tmn(2), 4)
    with pytest.raises(ConversionError, match="rate has no neuron of quantised signals of either sign"):
        convert(network, [x], rate(), 5)
