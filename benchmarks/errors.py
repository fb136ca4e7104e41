"""Errors that a user can cause and can fix."""

from __future__ import annotations

from pathlib import Path


class CannotRun(Exception):
    """Something needed is missing or malformed: one line saying what, where and what to do (exit code 2)."""


class NotAvailable(CannotRun):
    """One row of a table cannot be measured here; its ``status`` becomes ``not run: <reason>`` and other rows go on."""


def unreadable(path: Path, error: OSError) -> CannotRun:
    """The error that tells a user why ``path`` cannot be read and what to do."""
    try:
        refuse_broken_link(path)
    except CannotRun as broken:
        return broken
    advice = "check its permissions" if isinstance(error, PermissionError) else "restore it or correct the path"
    return CannotRun(f"{path}: cannot be read ({error.strerror or error}); {advice}")


def refuse_broken_link(path: Path) -> None:
    """Raise CannotRun where ``path`` or a folder above it is a symbolic link that points nowhere."""
    for part in (*reversed(path.parents), path):
        if part.is_symlink() and not part.exists():
            raise CannotRun(f"{part} is a link that points nowhere (to {part.readlink()}); restore its target or remove the link")
