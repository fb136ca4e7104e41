"""ImageNet from an image folder or from files in the Hub's layout, streamed.

Looked for in this order: ``SNNBENCH_IMAGENET``, a folder with ``val/<synset>/*.JPEG`` and
``train/<synset>/*.JPEG``; parquet files in the mirror ``SNNBENCH_DATA``; what ``datasets`` has downloaded
before. It is never downloaded from here: that would fetch all 150 GB, also where the 6 GB of the validation
set are enough.

The "test" split is the validation set, on which the papers report.

``imagenet-sample-1000`` is one training image per class, ``val/<synset>/*.JPEG`` in the mirror: ordered by the digest of the
synset, the first 200 calibrate ("train") and the other 800 are the test.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.data.decoding import check_labels, one_line
from benchmarks.data.hub import check_columns, hub_files, library_mode, mirror_files
from benchmarks.data.registry import IMAGENET_SAMPLE, DatasetSpec, check_split, dataset_spec, describe_found
from benchmarks.data.stream import Entry, ImageStream, Source, in_order
from benchmarks.errors import CannotRun, refuse_broken_link, unreadable
from benchmarks.files import read_given
from benchmarks.paths import data_mirror, mirror_folder

IMAGENET = "ILSVRC/imagenet-1k"

_FOLDERS = {"train": "train", "test": "val"}


def open_imagenet(split: str) -> ImageStream:
    """ImageNet's ``split`` ("train" or "test") from wherever it is on this machine, else CannotRun."""
    if folder := folder_from_environment(split):
        return from_folder(folder, split)
    spec = dataset_spec(IMAGENET)
    files = mirror_files(spec, split) or hub_files(spec, split, offline=True)
    return from_tables(files.files, split, files.where)


def folder_from_environment(split: str) -> Path | None:
    """The split's folder below ``SNNBENCH_IMAGENET``, None when unset; CannotRun where it does not exist."""
    check_split(IMAGENET, split)
    root = os.environ.get("SNNBENCH_IMAGENET")
    if not root:
        return None
    folder = Path(root) / _FOLDERS[split]
    refuse_broken_link(folder)
    if not folder.is_dir():
        raise CannotRun(f"SNNBENCH_IMAGENET: {folder} is not a folder; it must hold one folder of images per class")
    return folder


def from_folder(folder: Path, split: str, classes: int = 1000) -> ImageStream:
    """Images of ``folder/<synset>/``; labels count the synsets in order, as on the Hub.

    CannotRun where the folders are not ``classes`` synsets (n01440764, ...), since labels would be wrong.
    """
    return _stream(dataset_spec(IMAGENET), *_listed(folder, classes), split, "image folder")


def open_sample(split: str) -> ImageStream:
    """``imagenet-sample-1000``'s ``split`` ("train" or "test"); CannotRun where it is missing or not one image per class."""
    spec, root = dataset_spec(IMAGENET_SAMPLE), mirror_folder(IMAGENET_SAMPLE)
    if root is None:
        raise CannotRun(f"{spec.name} was not found below SNNBENCH_DATA={data_mirror() or ''}; {spec.how_to_get}")
    return sample_from_folder(root / "val", split, spec)


def sample_from_folder(folder: Path, split: str, spec: DatasetSpec) -> ImageStream:
    """The images of a ``split`` of ``folder/<synset>/``, one in each; CannotRun where a class has none or several."""
    entries, read = _listed(folder, spec.classes)
    synsets = sorted(path.name for path in folder.iterdir() if path.is_dir())
    label, images = Counter(entry.label for entry in entries).most_common(1)[0]
    if images > 1:
        raise CannotRun(f"{folder / synsets[label]} holds {images} images, but {spec.name} has one of each class; keep one")
    ordered = in_order(replace(entry, file_name=synsets[entry.label]) for entry in entries)
    first = spec.count("train")
    return _stream(spec, ordered[:first] if split == "train" else ordered[first:], read, split, "image folder")


def _listed(folder: Path, classes: int) -> tuple[list[Entry], Source]:
    """Entries and reader of ``folder/<synset>/``; raises as ``from_folder``."""
    from torchvision.datasets import ImageFolder

    advice = f"it must hold {classes:,} folders named by synset (n01440764, ...), each with its images"
    try:
        for path in folder.iterdir():
            refuse_broken_link(path)
        listing = ImageFolder(str(folder))
    except OSError as error:
        raise CannotRun(f"{folder}: {one_line(error)}; {advice}") from error
    strangers = [name for name in listing.classes if not re.fullmatch(r"n\d{8}", name)]
    if strangers or len(listing.classes) != classes:
        also = f", among them {strangers[0]!r}" if strangers else ""
        raise CannotRun(f"{folder} has {len(listing.classes):,} class folders{also}; {advice}")
    paths = [Path(path) for path, _ in listing.samples]
    entries = [
        Entry(path.name, _size(path), label, place)
        for place, (path, (_, label)) in enumerate(zip(paths, listing.samples, strict=True))
    ]

    def read(place: int) -> tuple[bytes, str]:
        return read_given(paths[place]), str(paths[place])

    return entries, read


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def from_tables(files: Sequence[Path], split: str, where: str) -> ImageStream:
    """Images of parquet or Arrow files with the Hub's columns, mapped into memory by ``datasets``.

    Of parquet files ``datasets`` keeps an Arrow copy, as large as they are, in its own cache.

    CannotRun for damaged files, missing columns, images without file names, and labels out of range.
    """
    import pyarrow.compute

    spec = dataset_spec(IMAGENET)
    rows = _mapped_rows(files).with_format("arrow")
    check_columns(rows.column_names, [spec.image_column, spec.label_column], files[0])
    table = rows[:]
    images, labels = table.column(spec.image_column), table.column(spec.label_column).to_pylist()
    check_labels(labels, spec, str(files[0].parent))
    names = pyarrow.compute.struct_field(images, "path").to_pylist()
    sizes = pyarrow.compute.binary_length(pyarrow.compute.struct_field(images, "bytes")).to_pylist()
    if None in names or None in sizes:
        raise CannotRun(f"{files[0].parent}: an image has no bytes or no file name, as the Hub's copy has; get it again")
    entries = [Entry(*row) for row in zip(names, sizes, labels, range(len(labels)), strict=True)]
    encoded = rows.select_columns(spec.image_column)

    def read(place: int) -> tuple[bytes, str]:
        image = encoded[place].column(0)[0].as_py()
        return image["bytes"], f"{files[0].parent}, {image['path']}"

    return _stream(spec, entries, read, split, where)


def _mapped_rows(files: Sequence[Path]) -> Any:
    with library_mode(offline=True) as datasets:
        try:
            if files[0].suffix != ".parquet":
                return datasets.concatenate_datasets([datasets.Dataset.from_file(str(file)) for file in files])
            return datasets.load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        except Exception as error:  # the library wraps what it meets in errors of its own
            cause = error.__cause__ or error
            raise CannotRun(
                f"{files[0].parent}: a file of {files[0].name} to {files[-1].name} is truncated or damaged"
                f" ({one_line(cause)}); get it again"
            ) from error


def _stream(spec: DatasetSpec, entries: Iterable[Entry], reader: Source, split: str, where: str) -> ImageStream:
    ordered = in_order(entries)
    if not ordered:
        raise CannotRun(f"{spec.name}: the {split} split is empty ({where}); {spec.how_to_get}")
    words = describe_found(spec, split, len(ordered))
    return ImageStream(spec.name, split, ordered, reader, f"{where}: {words}")
