"""Data sets in the Hugging Face Hub's layout, through the ``datasets`` library.

Looked for in this order: the folder ``SNNBENCH_DATA``, which mirrors the Hub
(``<org>/<name>/<split>-NNNNN-of-MMMMM.parquet``, or in one folder below, as ``hf download`` leaves it); then
the Hub by name. Offline, "the Hub" means what ``datasets`` has downloaded before. Decoded images are cached,
keyed by the bytes of the files they came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow.ipc
import pyarrow.parquet
import torch

from benchmarks.data.decoded_cache import cached_set, files_digest
from benchmarks.data.decoding import check_labels, decode_image, one_line
from benchmarks.data.images import ImageSet, image_set
from benchmarks.data.registry import DatasetSpec, describe_found
from benchmarks.errors import CannotRun, refuse_broken_link, unreadable
from benchmarks.paths import data_mirror

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class SourceFiles:
    """The files (parquet or Arrow) that hold one split, in order, and where they are, in words."""

    where: str
    files: tuple[Path, ...]


def load_hub(spec: DatasetSpec, split: str, offline: bool = False) -> ImageSet:
    """All images of ``split`` of a data set on the Hub: uint8 [N, C, H, W]; CannotRun where any are missing or damaged."""
    found = mirror_files(spec, split) or hub_files(spec, split, offline)
    stored = cached_set(spec, split, files_digest(found.files), lambda: _decode(spec, split, found))
    return replace(stored, source=f"{found.where}: {describe_found(spec, split, len(stored))}")


def mirror_files(spec: DatasetSpec, split: str) -> SourceFiles | None:
    """The split's files in the mirror, None where it has none.

    CannotRun where the mirror is no folder, or where the files are not all the shards of the split, each once.
    """
    root, prefix = data_mirror(), f"{spec.hub_split(split)}-"
    if root is None:
        return None
    refuse_broken_link(root / spec.name)
    if not root.is_dir():
        raise CannotRun(f"SNNBENCH_DATA={root} is not a folder; set it to one that mirrors the Hub, or unset it")
    present = list(_files_below(root / spec.name))
    files = sorted(path for path in present if path.name.startswith(prefix) and path.suffix == ".parquet")
    for path in files or present:
        refuse_broken_link(path)
    folders = sorted({path.parent for path in files})
    if len(folders) > 1:
        listed = ", ".join(map(str, folders))
        raise CannotRun(f"{root / spec.name} has {prefix}*.parquet in several folders: {listed}; keep the files in one")
    if not files:
        return None
    _check_shards(files, prefix)
    return SourceFiles("local mirror", tuple(files))


def _files_below(root: Path) -> Iterator[Path]:
    """Files at any depth, links that point nowhere among them; links to folders are followed, each folder once."""

    def refuse(error: OSError) -> None:
        raise unreadable(Path(error.filename), error)

    seen = set()
    for folder, below, names in os.walk(root, followlinks=True, onerror=refuse) if root.is_dir() else ():
        if (real := os.path.realpath(folder)) in seen:
            below.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name) for name in names)


def _check_shards(files: Sequence[Path], prefix: str) -> None:
    """Raise CannotRun unless these are all files ``<prefix>NNNNN-of-MMMMM[-<hash>].parquet``, each once."""
    shards: dict[str, Path] = {}
    for file in files:
        shard = re.fullmatch(rf"({re.escape(prefix)}\d{{5}}-of-\d{{5}})(-[0-9a-f]+)?\.parquet", file.name)
        if shard is None:
            raise CannotRun(
                f"{file}: files of the Hub are called {prefix}NNNNN-of-MMMMM.parquet;"
                " remove this one if it is a copy, else give it its name on the Hub"
            )
        if shard[1] in shards:
            raise CannotRun(f"{file} and {shards[shard[1]].name} are the same part of the split; remove one")
        shards[shard[1]] = file
    total = int(next(iter(shards))[-5:])
    due = [f"{prefix}{number:05}-of-{total:05}" for number in range(total)]
    if strangers := [file for name, file in shards.items() if name not in due]:
        raise CannotRun(f"{strangers[-1]} is not one of the {total:,} files of {files[0].name}; keep the files of one download")
    if missing := [name for name in due if name not in shards]:
        raise CannotRun(
            f"{files[0].parent / missing[0]}.parquet is missing (here are {len(files):,} of {total:,} files);"
            " get it, or remove the others"
        )


def hub_files(spec: DatasetSpec, split: str, offline: bool = False) -> SourceFiles:
    """The split's files in the cache of ``datasets``, downloaded unless ``offline``; CannotRun on failure."""
    with library_mode(offline) as datasets:
        try:
            # The scheme, so that no folder of this name in the working directory stands in for the Hub.
            name, hub_split = f"hf://datasets/{spec.name}", spec.hub_split(split)
            table = datasets.load_dataset(name, split=hub_split, keep_in_memory=False)
            files = tuple(Path(entry["filename"]) for entry in table.cache_files)
        except Exception as error:  # network, login, disk and server errors of several libraries
            raise CannotRun(_nowhere(spec, split, offline, error)) from error
    return SourceFiles("Hugging Face Hub", files)


def read_batches(file: Path, spec: DatasetSpec) -> Iterator[pyarrow.RecordBatch]:
    """Image and label columns of ``file``, in row order; CannotRun for a damaged file or a missing column."""
    wanted = [spec.image_column, spec.label_column]
    try:
        if file.suffix == ".parquet":
            parquet = pyarrow.parquet.ParquetFile(file)
            check_columns(parquet.schema_arrow.names, wanted, file)
            yield from parquet.iter_batches(_ROWS_AT_ONCE, columns=wanted)
        else:
            stream = pyarrow.ipc.open_stream(pyarrow.memory_map(str(file)))
            check_columns(stream.schema.names, wanted, file)
            yield from (batch.select(wanted) for batch in stream)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise CannotRun(f"{file}: truncated or damaged ({one_line(error)}); get the file again") from error


def check_columns(found: Sequence[str], wanted: Sequence[str], file: Path) -> None:
    """Raise CannotRun, naming the file, unless every wanted column was found."""
    if missing := [column for column in wanted if column not in found]:
        raise CannotRun(
            f"{file}: there is no column {' and no column '.join(missing)};"
            f" expected {', '.join(wanted)}, found {', '.join(found) or 'none'}"
        )


def _decode(spec: DatasetSpec, split: str, found: SourceFiles) -> ImageSet:
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    for file in found.files:
        file_images, file_labels = _decode_file(file, spec)
        images += file_images
        labels += file_labels
    if not images:
        raise CannotRun(f"{spec.name}: the {split} split is empty ({', '.join(map(str, found.files))})")
    return image_set(spec.name, split, torch.from_numpy(np.stack(images)), torch.tensor(labels), found.where)


def _decode_file(file: Path, spec: DatasetSpec) -> tuple[list[npt.NDArray[np.uint8]], list[int]]:
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    for batch in read_batches(file, spec):
        column = batch.column(spec.image_column)
        if not (pyarrow.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0):
            raise CannotRun(
                f"{file}: column {spec.image_column} holds {column.type};"
                " expected encoded images, a struct with a field bytes, as on the Hub"
            )
        for image in column.to_pylist():
            encoded = image["bytes"] if image else None
            images.append(decode_image(encoded, spec, f"{file}, row {len(images)}"))
        labels += batch.column(spec.label_column).to_pylist()
    check_labels(labels, spec, str(file))
    return images, labels


def _nowhere(spec: DatasetSpec, split: str, offline: bool, error: Exception) -> str:
    mirror = data_mirror()
    pattern = f"{spec.hub_split(split)}-*.parquet"
    searched = f"{mirror / spec.name} holds no {pattern}" if mirror else "SNNBENCH_DATA is not set"
    hub = "not downloaded before, and offline" if offline else one_line(error)
    return f"{spec.name}, {split} split, was not found: {searched}; Hugging Face Hub: {hub}; {spec.how_to_get}"


@contextmanager
def library_mode(offline: bool) -> Iterator[ModuleType]:
    """``datasets``, quiet and, where asked, kept off the network; its settings are put back afterwards."""
    import datasets  # here, because it takes seconds to import and a warm load does not need it

    verbosity, silent = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    datasets.config.HF_HUB_OFFLINE = offline or was_offline
    try:
        yield datasets
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline
        if not silent:
            datasets.enable_progress_bars()
        datasets.logging.set_verbosity(verbosity)
