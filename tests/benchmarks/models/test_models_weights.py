"""Checkpoints: what is loaded, what is refused, and that the same content gives the same bytes."""

import copy
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.models import build_model, checkpoint_hash, find_checkpoint, load_checkpoint, read_metadata
from benchmarks.models.checkpoint_files import write_checkpoint

METADATA = {"mean": "[0.1]", "std": "[0.2]", "dataset": "digits"}


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(1)
    return build_model("resnet20-thin", 10, 1)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(2)
    return build_model("resnet20-thin", 10, 1)


def same(a: nn.Module, b: nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


def refused(model: nn.Module, path: Path) -> str:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CannotRun) as caught:
        load_checkpoint(model, path, "resnet20-thin")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_safetensors_with_metadata(trained: nn.Module, model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, trained.state_dict(), METADATA)
    assert load_checkpoint(model, path) == METADATA
    assert same(model, trained)
    assert read_metadata(path) == METADATA


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("key", ["", "state_dict", "model", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_torch_files(trained: nn.Module, model: nn.Module, tmp_path: Path, suffix: str, key: str, prefix: str) -> None:
    state: dict[str, Tensor] = {f"{prefix}{name}": value for name, value in trained.state_dict().items()}
    path = tmp_path / f"net{suffix}"
    torch.save({key: state, "optimizer": {"state": {}}, "epoch": 3, 4: "", "mean": "[0.1]"} if key else state, path)
    assert load_checkpoint(model, path) == ({"mean": "[0.1]"} if key else {})
    assert same(model, trained)


def compiled(network: nn.Module) -> nn.Module:
    return torch.compile(network)  # type: ignore[return-value]


def compiled_and_parallel_parts(network: nn.Module) -> nn.Module:
    network.layer1, network.layer2 = compiled(network.layer1), nn.DataParallel(network.layer2)
    return network


@pytest.mark.parametrize(
    "wrap",
    [
        compiled,
        nn.DataParallel,
        lambda network: compiled(nn.DataParallel(network)),
        lambda network: nn.DataParallel(compiled(network)),
        compiled_and_parallel_parts,
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_wrapped_networks(
    trained: nn.Module, model: nn.Module, tmp_path: Path, suffix: str, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    path, state = tmp_path / f"net{suffix}", wrap(copy.deepcopy(trained)).state_dict()
    assert state.keys() != model.state_dict().keys()
    if suffix == ".pt":
        torch.save(state, path)
    else:
        write_checkpoint(path, state, {})
    load_checkpoint(model, path)
    assert same(model, trained)


def test_a_tensor_under_two_names_is_refused(trained: nn.Module, model: nn.Module, tmp_path: Path) -> None:
    path, state = tmp_path / "net.safetensors", trained.state_dict()
    write_checkpoint(path, state | {"_orig_mod.fc.bias": state["fc.bias"] + 1}, {})
    assert "it holds fc.bias twice, once as " in refused(model, path)


def test_batch_counters_may_be_missing(trained: nn.Module, model: nn.Module, tmp_path: Path) -> None:
    state = {name: value for name, value in trained.state_dict().items() if "num_batches" not in name}
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, state, {})
    load_checkpoint(model, path)
    assert same(model, trained)


class _Code:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_with_code_is_refused_and_not_run(model: nn.Module, tmp_path: Path, bare: bool) -> None:
    path, marker = tmp_path / "net.pt", tmp_path / "ran"
    content = {"conv1.weight": _Code(marker)}
    if bare:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    message = refused(model, path)
    assert "refused" in message
    assert "safetensors.torch.save_file" in message
    assert not marker.exists()


def test_a_file_without_a_state_dict_is_refused(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save([torch.zeros(2)], path)
    assert "state dict" in refused(model, path)
    torch.save({"weights": model.state_dict(), "epoch": 3}, path)
    assert "alone or under state_dict, model, model_state_dict, net; save it as" in refused(model, path)
    torch.save({"model": {"epoch": 3}}, path)
    assert "state dict" in refused(model, path)


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_is_refused_as_what_it_is(model: nn.Module, tmp_path: Path) -> None:
    torch.jit.trace(model, torch.zeros(1, 1, 8, 8)).save(tmp_path / "net.pt")
    assert "TorchScript program, not a state dict" in refused(model, tmp_path / "net.pt")


def test_another_network_is_refused_with_what_differs(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, build_model("resnet18-thin", 10, 1).state_dict(), {})
    message = refused(model, path)
    assert "resnet20-thin" in message
    assert "does not fit" in message and "missing layer1.2.conv1.weight, layer1.2.bn1.weight" in message
    assert "unexpected layer4.0" in message
    assert "more" in message


def test_another_number_of_classes_is_refused_with_the_shapes(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, build_model("resnet20-thin", 100, 1).state_dict(), {})
    assert "fc.weight [100, 32] instead of [10, 32]" in refused(model, path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kept", [0.0, 0.0005, 0.5, 0.99])
def test_a_truncated_file_is_refused(trained: nn.Module, model: nn.Module, tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        torch.save(trained.state_dict(), path)
    else:
        write_checkpoint(path, trained.state_dict(), METADATA)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(model, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(trained: nn.Module, model: nn.Module, tmp_path: Path, value: float) -> None:
    state = trained.state_dict()
    state["layer2.0.bn1.running_var"][3] = value
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, state, {})
    assert re.search(r"layer2\.0\.bn1\.running_var.* holds values that are not finite", refused(model, path))


def test_a_missing_file_and_another_kind_of_file_are_refused(model: nn.Module, tmp_path: Path) -> None:
    assert "no such" in refused(model, tmp_path / "net.safetensors")
    other = tmp_path / "net.ckpt"
    other.write_bytes(b"")
    assert ".safetensors, .pt, .pth" in refused(model, other)


def test_the_same_content_gives_the_same_bytes(trained: nn.Module, tmp_path: Path) -> None:
    metadata = {f"key{i}": str(i) for i in range(20)}
    paths = [tmp_path / f"{i}.safetensors" for i in range(5)]
    for path in paths:
        write_checkpoint(path, trained.state_dict(), metadata)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_hash_is_that_of_the_tensors(trained: nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    write_checkpoint(tmp_path / "a.safetensors", state, {"code": "1"})
    write_checkpoint(tmp_path / "b.safetensors", dict(reversed(state.items())), {"code": "2"})
    torch.save(state, tmp_path / "c.pt")
    assert len({checkpoint_hash(path) for path in tmp_path.iterdir()}) == 1
    name = next(iter(state))
    write_checkpoint(tmp_path / "d.safetensors", state | {name: state[name] + 1}, {"code": "1"})
    assert checkpoint_hash(tmp_path / "d.safetensors") != checkpoint_hash(tmp_path / "a.safetensors")


def test_a_failed_write_leaves_the_old_file_alone(trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CannotRun, match="disk full"):
        write_checkpoint(path, trained.state_dict(), {})
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]
    assert path.read_bytes() == b"old"


def test_hash_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="no such checkpoint"):
        checkpoint_hash(tmp_path / "net.pt")


def test_an_explicit_checkpoint_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "torchvision").mkdir()
    for file in ("net.safetensors", "net.pt", "other.pth", "torchvision/vgg16.pt", "mine.pt"):
        (tmp_path / file).touch()
    assert find_checkpoint("net", {"net": tmp_path / "mine.pt"}) == tmp_path / "mine.pt"
    assert find_checkpoint("net", {"other": tmp_path / "mine.pt"}) == tmp_path / "net.safetensors"
    assert find_checkpoint("other", {}) == tmp_path / "other.pth"
    assert find_checkpoint("torchvision/vgg16", {}) == tmp_path / "torchvision" / "vgg16.pt"
    assert find_checkpoint("none", {}) is None
    monkeypatch.delenv("SNNBENCH_WEIGHTS")
    assert find_checkpoint("net", {}) is None


@pytest.mark.parametrize("link", ["", "torchvision", "torchvision/vgg16.safetensors", "torchvision/vgg16.pt"])
def test_a_link_that_points_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: nn.Module, link: str) -> None:
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(tmp_path / "weights"))
    broken = tmp_path / "weights" / link
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.symlink_to("gone")
    said = rf"{broken} is a link that points nowhere \(to gone\)"
    path = tmp_path / "weights" / "torchvision" / "vgg16.pt"
    with pytest.raises(CannotRun, match=said):
        find_checkpoint("torchvision/vgg16", {})
    if link in ("", "torchvision", "torchvision/vgg16.pt"):
        for read in (checkpoint_hash, read_metadata, lambda path: find_checkpoint("net", {"net": path})):
            with pytest.raises(CannotRun, match=said):
                read(path)


def test_a_missing_explicit_file_or_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRun, match=r"net=.*gone\.pt does not exist"):
        find_checkpoint("net", {"net": tmp_path / "gone.pt"})
    monkeypatch.setenv("SNNBENCH_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(CannotRun, match="SNNBENCH_WEIGHTS"):
        find_checkpoint("net", {})
