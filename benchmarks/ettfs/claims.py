"""The paper's claims, each a check on stored tables."""

from __future__ import annotations

from benchmarks.harness.claims import Check

CLAIMS: dict[str, Check] = {}
