"""Atomic writes: old bytes or new bytes, never a mixture, and nothing left behind."""

import errno
import os
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.errors import CannotRun
from benchmarks.files import atomic_write_bytes, pack_arrays, unpack_arrays


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_into_new_folders_and_tells_whether_bytes_changed(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "table.csv"
    assert atomic_write_bytes(path, b"one")
    assert not atomic_write_bytes(path, b"one")
    assert atomic_write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["table.csv"]


def test_equal_bytes_leave_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    atomic_write_bytes(path, b"same")
    os.utime(path, (1, 1))
    before = path.stat()
    assert not atomic_write_bytes(path, b"same")
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        atomic_write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(previous)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    assert atomic_write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some disk space"), (errno.EROFS, "read-only"), (errno.EACCES, "writable")],
)
def test_a_failure_names_the_path_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, advice: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(CannotRun) as caught:
        atomic_write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["table.csv"]


def test_the_system_stopping_a_write_halfway_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(CannotRun, match=r"table\.csv: cannot be written \(File too large\)"):
            atomic_write_bytes(path, b"n" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["table.csv"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["table.csv"]


def test_a_kill_in_the_middle_keeps_the_old_file_and_the_next_write_works(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from benchmarks.files import atomic_write_bytes\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_write_bytes(Path(sys.argv[1]), b'new')"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    killed = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "folder", tmp_path / "file" / "table.csv"):
        with pytest.raises(CannotRun, match="cannot be written") as caught:
            atomic_write_bytes(path, b"new")
        assert str(path) in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]


arrays = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8),
    hnp.arrays(
        st.sampled_from([np.dtype(name) for name in ("bool", "int64", "uint8", "float32", "float64")]),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(arrays)
def test_packed_arrays_come_back_bit_by_bit(content: dict[str, np.ndarray]) -> None:
    data = pack_arrays(content)
    back = unpack_arrays(data)
    assert back.keys() == content.keys()
    for name, array in content.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
    assert pack_arrays(dict(reversed(content.items()))) == data


def test_packed_arrays_have_no_date_and_numpy_reads_them(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(pack_arrays({"a": np.arange(3), "b": np.array("text")}))
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(tmp_path / "x.npz") as loaded:
        assert loaded["a"].tolist() == [0, 1, 2]
        assert str(loaded["b"]) == "text"


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    content = {"logits": np.random.default_rng(0).normal(size=(20, 3))}
    packed = bytearray(pack_arrays(content))
    if data.draw(st.booleans()):
        damaged = bytes(packed[: data.draw(st.integers(0, len(packed) - 1))])
    else:
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        damaged = bytes(packed)
    try:
        back = unpack_arrays(damaged)
    except ValueError:
        return
    # Some bytes of the container (dates, attributes) carry nothing; what is read is right all the same.
    assert np.array_equal(back.popitem()[1], content["logits"])


def test_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        pack_arrays({"a": np.array([object()])})
