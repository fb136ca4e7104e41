"""Progress of work in other processes: each piece keeps a small file up to date, and the run adds them up."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

INTERVAL_S = 1.0
LOG_INTERVAL_S = 30.0


class LogLines:
    """Progress for a log, which no bar fits: a line every half minute, with the time that is left at the speed so far."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.begun: dict[str, float] = {}
        self.last = time.monotonic()

    def __call__(self, stage: str, done: float, total: float, text: str) -> None:
        """Write how far ``stage`` is, in units of work, unless a line was written just before."""
        now = time.monotonic()
        begun = self.begun.setdefault(stage, now)
        if now - self.last < LOG_INTERVAL_S or not 0 < done <= total:
            return
        self.last = now
        minutes = (now - begun) * (total - done) / done / 60
        self.write(f"{stage}: {100 * done / total:.0f} %, about {minutes:.0f} min left" + (f" ({text})" if text else ""))


class Note:
    """Where a piece of work notes how far it is: ``note(share, text)``, at most once a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = 0.0

    def __call__(self, share: float, text: str) -> None:
        """Write share and text; a note that cannot be written is dropped, the work goes on."""
        now = time.monotonic()
        if now - self.last < INTERVAL_S:
            return
        self.last = now
        with contextlib.suppress(OSError):
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps([share, text]), encoding="utf-8")
            new.replace(self.path)


class Notes:
    """The notes of several pieces of work; ``done`` pieces are no longer read."""

    def __init__(self, folder: Path, costs: list[float]) -> None:
        self.folder, self.costs = folder, costs
        self.done: set[int] = set()

    def note(self, index: int) -> Note:
        """What piece ``index`` writes to."""
        return Note(self.folder / str(index))

    def read(self) -> tuple[float, str]:
        """Cost that unfinished pieces have worked off, and their texts."""
        total, texts = 0.0, []
        for path in sorted(self.folder.glob("[0-9]*")):
            index = int(path.stem)
            if path.suffix or index in self.done:
                continue
            with contextlib.suppress(OSError, ValueError):
                share, text = json.loads(path.read_text(encoding="utf-8"))
                total += share * self.costs[index]
                texts.append(text)
        return total, "; ".join(texts)


@contextlib.contextmanager
def watched(costs: list[float], tell: Callable[[float, str], None]) -> Iterator[Notes]:
    """Notes in a temporary folder, told about every second until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="snnbench-"))
    notes = Notes(folder, costs)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(INTERVAL_S):
            tell(*notes.read())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield notes
    finally:
        over.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)
