"""A machine without network, downloads or mirrors, and small mirrors to put on it."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

Encode = Callable[..., bytes]
WriteParquet = Callable[..., Path]


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SNNBENCH_DATA", raising=False)
    monkeypatch.delenv("SNNBENCH_IMAGENET", raising=False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-datasets")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that ``SNNBENCH_DATA`` names."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("SNNBENCH_DATA", str(folder))
    return folder


@pytest.fixture
def encode() -> Encode:
    """Encode one image, uint8 [H, W] or [H, W, C]."""

    def encode(pixels: npt.NDArray[np.uint8], format: str = "PNG") -> bytes:
        stream = io.BytesIO()
        PIL.Image.fromarray(pixels).save(stream, format, lossless=True)
        return stream.getvalue()

    return encode


@pytest.fixture
def write_parquet(encode: Encode) -> WriteParquet:
    """Write images (arrays or encoded bytes) and labels to a parquet file with columns like the Hub's."""

    def write(
        path: Path,
        images: Sequence[npt.NDArray[np.uint8] | bytes | None],
        labels: Sequence[Any],
        columns: tuple[str, str] = ("img", "label"),
        format: str = "PNG",
        names: Sequence[str | None] | None = None,
    ) -> Path:
        encoded = [encode(image, format) if isinstance(image, np.ndarray) else image for image in images]
        cells = [{"bytes": image, "path": name} for image, name in zip(encoded, names or [None] * len(encoded), strict=True)]
        kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        column = pyarrow.array(labels, None if labels else pyarrow.int64())
        table = pyarrow.table({columns[0]: pyarrow.array(cells, kind), columns[1]: column})
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)
        return path

    return write
