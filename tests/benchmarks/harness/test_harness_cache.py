"""The cache: the same arrays back, nothing damaged or stale, from several processes too."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.errors import CannotRun
from benchmarks.files import pack_arrays
from benchmarks.harness.cache import MeasurementCache

KEY = MeasurementCache.key(method="TMN", timesteps=8)
ARRAYS = {"correct": np.arange(50) % 3 == 0, "spikes": np.array(12.5)}


def same(a: dict[str, Any] | None, b: dict[str, Any]) -> bool:
    return a is not None and a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_put_and_get(tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path / "deep" / "cache")
    assert cache.get(KEY) is None
    assert not (tmp_path / "deep").exists()
    cache.put(KEY, ARRAYS)
    assert same(cache.get(KEY), ARRAYS)
    assert same(MeasurementCache(tmp_path / "deep" / "cache").get(KEY), ARRAYS)
    assert cache.get(MeasurementCache.key(method="TMN", timesteps=4)) is None
    cache.put(KEY, {"correct": np.zeros(3)})
    assert same(cache.get(KEY), {"correct": np.zeros(3)})
    cache.put(KEY, {})
    assert cache.get(KEY) == {}


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_entry_is_missing_and_written_anew(tmp_path: Path, damage: bytes | None) -> None:
    cache = MeasurementCache(tmp_path)
    cache.put(KEY, ARRAYS)
    (entry,) = tmp_path.rglob("*.npz")
    entry.write_bytes(entry.read_bytes()[:-20] if damage is None else damage)
    assert cache.get(KEY) is None
    cache.put(KEY, ARRAYS)
    assert same(cache.get(KEY), ARRAYS)


def test_an_entry_of_another_key_and_one_without_a_key_are_missing(tmp_path: Path) -> None:
    cache, other = MeasurementCache(tmp_path), MeasurementCache.key(method="TMN", timesteps=4)
    cache.put(other, ARRAYS)
    cache.put(KEY, {"correct": np.zeros(3)})
    first, second = (tmp_path / key[:2] / f"{key}.npz" for key in (other, KEY))
    second.write_bytes(first.read_bytes())
    assert same(cache.get(other), ARRAYS) and cache.get(KEY) is None
    first.write_bytes(pack_arrays(ARRAYS))
    assert cache.get(other) is None


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_gives_the_same_arrays_or_none(place: int, bit: int) -> None:
    with TemporaryDirectory() as folder:
        cache = MeasurementCache(Path(folder))
        cache.put(KEY, ARRAYS)
        (entry,) = Path(folder).rglob("*.npz")
        content = bytearray(entry.read_bytes())
        content[place % len(content)] ^= 1 << bit
        entry.write_bytes(content)
        found = cache.get(KEY)
        assert found is None or same(found, ARRAYS)


def test_an_entry_that_cannot_be_read_is_not_missing(tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path)
    cache.put(KEY, ARRAYS)
    (entry,) = tmp_path.rglob("*.npz")
    entry.unlink()
    entry.mkdir()
    with pytest.raises(CannotRun, match="cannot be read") as caught:
        cache.get(KEY)
    assert str(entry) in str(caught.value)


def test_objects_and_foreign_keys_are_refused(tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path)
    with pytest.raises(ValueError, match="Object arrays"):
        cache.put(KEY, {"a": np.array([None])})
    for key in ("../../x", "", "a/b", "a.b"):
        with pytest.raises(ValueError, match="not a cache key"):
            cache.get(key)


def test_processes_that_write_and_read_one_entry_see_whole_ones(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from benchmarks.harness.cache import MeasurementCache\n"
        "cache, value = MeasurementCache(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for i in range(15):\n"
        "    cache.put('key', {'a': np.full(5000, value), 'b': np.full(5000, value)})\n"
        "    entry = cache.get('key')\n"
        "    assert entry is not None and len({*entry['a'].tolist(), *entry['b'].tolist()}) == 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(i)], env=environment) for i in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert not list(tmp_path.rglob("*.tmp"))
    assert MeasurementCache(tmp_path).get("key") is not None


def test_a_key_does_not_depend_on_order_process_or_list_type() -> None:
    key = MeasurementCache.key(a=1, b={"x": [1, 2.5, None], "y": "\u00e9"})
    assert key == MeasurementCache.key(b={"y": "\u00e9", "x": (1, 2.5, None)}, a=1)
    assert MeasurementCache.key(a=1) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, False), (0.0, -0.0), (1, "1"), (None, "null"), ([1, 2], [2, 1]), ([], {}), ("a", "A")],
)
def test_different_parts_give_different_keys(one: Any, other: Any) -> None:
    assert MeasurementCache.key(a=one) != MeasurementCache.key(a=other)
    assert MeasurementCache.key(a=one) != MeasurementCache.key(b=one)


@settings(deadline=None, max_examples=60)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_floats_count_to_the_last_bit(x: float) -> None:
    assert MeasurementCache.key(x=x) == MeasurementCache.key(x=float(repr(x)))
    assert MeasurementCache.key(x=x) != MeasurementCache.key(x=float(np.nextafter(x, np.inf)))


@pytest.mark.parametrize(
    "part",
    [
        np.zeros(2), np.float32(1), np.float64(1), np.int64(1), {1}, Path("x"), b"x", object(), float("nan"),
        float("inf"), {1: 2}, {"a": [{"b": {2}}]},
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_is_refused(part: Any) -> None:
    with pytest.raises(TypeError, match="^part"):
        MeasurementCache.key(part=part)
