"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("snnbench", deadline=None)  # a busy machine is slow, which is no failure
settings.load_profile("snnbench")
