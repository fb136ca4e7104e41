"""Progress of work in other processes: what is noted is read, added up and told."""

import pickle
import threading
from pathlib import Path

import pytest

from benchmarks.harness import progress
from benchmarks.harness.progress import LogLines, Note, Notes, watched


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that `time.monotonic` gives, to be set."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_notes_of_unfinished_pieces_are_added_up_by_cost(tmp_path: Path) -> None:
    notes = Notes(tmp_path, [10.0, 20.0, 40.0])
    assert notes.read() == (0, "")
    notes.note(0)(0.5, "first")
    notes.note(2)(0.25, "third")
    assert notes.read() == (15.0, "first; third")
    notes.done.add(0)
    assert notes.read() == (10.0, "third")


def test_a_piece_notes_at_most_once_a_second(tmp_path: Path, clock: list[float]) -> None:
    notes = Notes(tmp_path, [1.0])
    note = notes.note(0)
    for second, share in ((0.0, 0.1), (0.5, 0.2), (0.99, 0.3), (1.0, 0.4), (1.5, 0.5)):
        clock[0] = 1000 + second
        note(share, f"at {second}")
    assert notes.read() == (0.4, "at 1.0")


def test_a_note_works_in_another_process(tmp_path: Path) -> None:
    notes = Notes(tmp_path, [1.0, 4.0])
    pickle.loads(pickle.dumps(notes.note(1)))(0.5, "there")
    assert notes.read() == (2.0, "there")


def test_half_written_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    notes = Notes(tmp_path, [1.0, 1.0, 1.0])
    notes.note(0)(0.5, "whole")
    (tmp_path / "1").write_text('[0.7, "ha', encoding="utf-8")
    (tmp_path / "2.new").write_text('[0.7, "being written"]', encoding="utf-8")
    (tmp_path / "other").write_text("", encoding="utf-8")
    assert notes.read() == (0.5, "whole")


def test_a_note_that_cannot_be_written_is_dropped(tmp_path: Path) -> None:
    note = Note(tmp_path / "gone" / "0")
    note(0.5, "text")
    assert not list(tmp_path.iterdir())


def test_watching_tells_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.01)
    told: list[tuple[float, str]] = []
    heard = threading.Event()

    def tell(share: float, text: str) -> None:
        told.append((share, text))
        if text:
            heard.set()

    with watched([8.0], tell) as notes:
        folder = notes.folder
        notes.note(0)(0.25, "a quarter")
        assert heard.wait(30)
    assert told[-1] == (2.0, "a quarter")
    count = len(told)
    assert not folder.exists()
    threading.Event().wait(0.05)
    assert len(told) == count


def test_the_folder_goes_also_when_the_work_fails() -> None:
    with pytest.raises(RuntimeError), watched([1.0], lambda *_: None) as notes:
        notes.note(0)(0.5, "text")
        assert notes.folder.exists()
        raise RuntimeError
    assert not notes.folder.exists()


def test_a_log_gets_a_line_every_half_minute_with_the_time_left(clock: list[float]) -> None:
    lines: list[str] = []
    log = LogLines(lines.append)
    for second, done, text in ((0, 0.0, ""), (29, 5.0, "too soon"), (60, 10.0, "T = 8"), (89, 20.0, ""), (240, 40.0, "")):
        clock[0] = 1000 + second
        log("measure", done, 50.0, text)
    assert lines == ["measure: 20 %, about 4 min left (T = 8)", "measure: 80 %, about 1 min left"]


def test_a_log_times_each_stage_from_its_own_start(clock: list[float]) -> None:
    lines: list[str] = []
    log = LogLines(lines.append)
    for second, stage, done in ((0, "train", 0.0), (600, "measure", 0.0), (660, "measure", 1.0)):
        clock[0] = 1000 + second
        log(stage, done, 2.0, "")
    assert lines == ["measure: 50 %, about 1 min left"]
