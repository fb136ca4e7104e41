"""Checkpoints: finding them, and loading them into the network they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from benchmarks.errors import CannotRun, refuse_broken_link
from benchmarks.models.checkpoint_files import SUFFIXES, read_checkpoint
from benchmarks.paths import weights_dir

_WRAPPERS = {"module", "_orig_mod"}  # what DataParallel and torch.compile put into the names of what they wrap
_SHOWN = 3


def find_checkpoint(name: str, explicit: Mapping[str, Path]) -> Path | None:
    """The checkpoint file called ``name``: ``explicit[name]``, else the one in ``SNNBENCH_WEIGHTS``, else None.

    CannotRun where the explicit file or the folder does not exist, or the file is a link that points nowhere.
    """
    if name in explicit:
        path = Path(explicit[name])
        refuse_broken_link(path)
        if not path.is_file():
            raise CannotRun(f"the checkpoint given as {name}={path} does not exist; check the path")
        return path
    folder = weights_dir()
    if folder is None:
        return None
    refuse_broken_link(folder)
    if not folder.is_dir():
        raise CannotRun(f"SNNBENCH_WEIGHTS={folder} is not a folder; correct or unset it")
    for path in (folder / f"{name}{suffix}" for suffix in SUFFIXES):
        refuse_broken_link(path)
        if path.is_file():
            return path
    return None


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a checkpoint file; CannotRun where it cannot be read. See ``read_checkpoint``."""
    return read_checkpoint(path)[1]


def load_checkpoint(
    model: nn.Module, path: Path, architecture: str = "", rename: Callable[[str], str] | None = None
) -> dict[str, str]:
    """Load the file into ``model`` and return its metadata (``mean`` and ``std`` are JSON lists, where given).

    Names may hold the ``module.`` of DataParallel and the ``_orig_mod.`` of torch.compile, around the network or a part.
    ``architecture``: the network's name, for messages; ``rename``: from a name in the file to one in the
    network. CannotRun, with ``model`` unchanged, where the file is
    missing, damaged, refused (see ``read_checkpoint``), does not fit the network, or holds a value that is not
    finite.
    """
    tensors, metadata = read_checkpoint(path)
    tensors = _unwrapped(tensors, path)
    if rename is not None:
        tensors = {rename(name): tensor for name, tensor in tensors.items()}
    _check_fit(model, tensors, path, architecture)
    _check_finite(tensors, path)
    model.load_state_dict(tensors, strict=False)  # only num_batches_tracked can be missing here
    return metadata


def _unwrapped(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors by their names in the network itself; CannotRun where two have the same."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if plain in found:
            raise CannotRun(f"{path}: it holds {plain} twice, once as {name}; save the state dict of one network")
        found[plain] = tensor
    return found


def _check_fit(model: nn.Module, tensors: Mapping[str, Tensor], path: Path, architecture: str) -> None:
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: list(tensor.shape) for name, tensor in tensors.items()}
    other = [name for name in expected if name in given and given[name] != expected[name]]
    found = {
        # Checkpoints older than torch 0.4.1 lack this counter, and inference does not use it.
        "missing": [name for name in expected if name not in given and not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": [f"{name} {given[name]} instead of {expected[name]}" for name in other],
    }
    problems = [
        f"{word} {', '.join(names[:_SHOWN])}" + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for word, names in found.items()
        if names
    ]
    if problems:
        parameters = sum(parameter.numel() for parameter in model.parameters())
        network = f"{architecture or type(model).__name__} ({parameters:,} parameters)"
        raise CannotRun(
            f"{path}: the checkpoint does not fit {network}: {'; '.join(problems)}; "
            "give the checkpoint of this network or choose the network that it was trained for"
        )


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CannotRun(f"{path}: {name} holds values that are not finite; use another checkpoint")
