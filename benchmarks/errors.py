"""Errors that a user can cause and can mend."""

from __future__ import annotations


class CannotRun(Exception):
    """Something needed is missing or malformed: one line saying what, where and what to do (exit code 2)."""


class NotAvailable(CannotRun):
    """One row of a table cannot be measured here; its ``status`` becomes ``not run: <reason>`` and other rows go on."""
