"""Readers of event files, on bytes written by hand, and what they refuse."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data.events import Events, read_aedat2, read_bin, write_bin
from benchmarks.errors import CannotRun

SIZE = (34, 34)


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(data)
    return path


def _tuples(events: Events) -> list[tuple[int, ...]]:
    return [tuple(map(int, each)) for each in zip(*events, strict=True)]


def test_an_event_of_nmnist_has_forty_bits(tmp_path: Path) -> None:
    data = bytes([5, 7, 0b1000_0001, 0x02, 0x03, 33, 0, 0b0111_1111, 0xFF, 0xFF])
    assert _tuples(read_bin(_file(tmp_path, data), SIZE)) == [(0x010203, 5, 7, 1), (2**23 - 1, 33, 0, 0)]


def test_an_event_of_aedat_2_has_an_address_and_a_time(tmp_path: Path) -> None:
    off = (9 << 8 | 5 << 1 | 1).to_bytes(4, "big") + (7).to_bytes(4, "big")
    on = (127 << 8 | 126 << 1).to_bytes(4, "big") + (1 << 24).to_bytes(4, "big")
    header = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n"
    assert _tuples(read_aedat2(_file(tmp_path, header + off + on))) == [(7, 5, 9, 0), (1 << 24, 126, 127, 1)]


events_of = st.lists(st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 33), st.integers(0, 33), st.integers(0, 1)), min_size=1)


@given(events_of)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[int, ...]]) -> None:
    made = Events(*np.array(sorted(listed), np.int64).T)
    path = _file(tmp_path_factory.mktemp("events"), write_bin(made))
    assert _tuples(read_bin(path, SIZE)) == sorted(listed)


def test_what_does_not_fit_is_not_written() -> None:
    with pytest.raises(ValueError, match="t < 2"):
        write_bin(Events(*np.array([[2**23], [0], [0], [0]])))


GOOD = bytes([1, 1, 0, 0, 9])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there are no events"),
        (GOOD + b"123", "cut off in the event at byte 5: 3 of 5 bytes"),
        (GOOD + bytes([34, 3, 0, 0, 10]), "event at byte 5 is at pixel x 34, y 3, but the sensor has 34 x 34"),
        (GOOD + bytes([1, 1, 0, 0, 8]), "event at byte 5 is of 8 us, after one of 9 us"),
        (b"#!AER-DAT2.0\r\n" + GOOD, "is an AEDAT file"),
    ],
)
def test_refused_bin_files(tmp_path: Path, data: bytes, words: str) -> None:
    path = _file(tmp_path, data)
    with pytest.raises(CannotRun, match=words) as error:
        read_bin(path, SIZE)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"#!AER-DAT4.0\r\n1234", "expected AEDAT version 2.0, as CIFAR10-DVS is published in, found version 4.0"),
        (b"12345678", "found version none"),
        (b"#!AER-DAT2.0\r\n", "there are no events in it .it ends at byte 14"),
        (b"#!AER-DAT2.0\r\n123456789", "cut off in the event at byte 22: 1 of 8 bytes"),
        (b"#!AER-DAT2.0\r\n" + bytes([0, 0, 0, 0, 0, 0, 0, 9] * 2)[:15] + b"\3", "event at byte 22 is of 3 us, after one of 9 us"),
    ],
)
def test_refused_aedat_files(tmp_path: Path, data: bytes, words: str) -> None:
    path = _file(tmp_path, data)
    with pytest.raises(CannotRun, match=words) as error:
        read_aedat2(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="nowhere.bin"):
        read_bin(tmp_path / "nowhere.bin", SIZE)
