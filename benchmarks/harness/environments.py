"""What a report says of the machines, versions and commits behind its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness.provenance import Record
from benchmarks.tables import markdown

Records = dict[str, Record]
"""Provenance by artifact."""


def environments(records: Records) -> list[str]:
    """On what machine, with which versions and commits tables were measured, and the effort."""
    if not records:
        return []
    longest = max(record["wall_time_s"] for record in records.values())
    memory = max(record["peak_memory_mb"] or 0.0 for record in records.values())
    effort = f"The longest run behind these tables took {_duration(longest)} and {memory / 1000:.1f} GB in its largest process."
    parts = (("Machine", _machine), ("Versions", _versions), ("Code", _commit))
    return [*(f"{title}: {_groups(part, records)}." for title, part in parts), effort]


def _groups(part: Callable[[Record], str], records: Records) -> str:
    """What all records have in common, or each variant with the tables behind it."""
    groups: dict[str, list[str]] = {}
    for name, record in records.items():
        groups.setdefault(part(record), []).append(f"`{name}`")
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in groups.items())


def _machine(record: Record) -> str:
    return _with_earlier(*(_one_machine(each) for each in (record, *reversed(record.get("earlier_machines", [])))))


def _one_machine(record: Mapping[str, Any]) -> str:
    cpu = record["cpu"]
    gpu = ", ".join(record["gpu"]) or "no GPU"
    return f"{cpu['model']}, {markdown.count(cpu['cores'], 'core')}, {cpu['capability']}, {gpu}, {record['system']}"


def _versions(record: Record) -> str:
    packages = [f"{name} {version}" for name, version in record["packages"].items() if version]
    return f"Python {record['python']}, {', '.join(packages)}"


def _commit(record: Record) -> str:
    git = record["git"]
    return "commit " + _with_earlier(*(_one_commit(each) for each in (git, *reversed(git.get("earlier", [])))))


def _with_earlier(now: str, *earlier: str) -> str:
    return now + (f", earlier rows {markdown.enumeration(earlier)}" if earlier else "")


def _one_commit(git: Mapping[str, Any]) -> str:
    if not git["commit"]:
        return "unknown"
    return f"`{git['commit'][:10]}`" + (" with uncommitted changes" if git["dirty"] else "")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
