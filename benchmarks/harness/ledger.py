"""The ledger: every claim of every paper with the best evidence at hand, from stored tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import CannotRun
from benchmarks.harness.report import MARKS, mark, stored
from benchmarks.published import published_papers
from benchmarks.tables import markdown
from benchmarks.tables.artifacts import artifacts_of
from benchmarks.tables.bounds import checks_of, printed_claims, tolerance
from benchmarks.tables.claims import NOT_TESTED, STAND_IN, Verdict
from benchmarks.tables.pages import environment, tidy

PROFILES = ("paper", "gpu", "workstation", "embedded")
"""From the most to the least that a verdict is worth."""


@dataclass(frozen=True)
class Entry:
    """A claim with its verdicts by profile, the best evidence first; none where no stored table measures it.

    A verdict in the paper's own setting comes before one on a stand-in, both before a claim that was not tested; among equals
    they have the order of ``PROFILES``.
    """

    paper: str
    name: str
    said: dict[str, str]
    verdicts: dict[str, Verdict]

    @property
    def best(self) -> Verdict:
        """The verdict of the best evidence."""
        return next(iter(self.verdicts.values()), Verdict(NOT_TESTED, "No stored table measures it."))

    @property
    def measured_in(self) -> str:
        """The profile of the best evidence; empty where the claim was not tested."""
        return "" if self.kind == NOT_TESTED else next(iter(self.verdicts))

    @property
    def own(self) -> bool:
        """Whether that is in the paper's own setting."""
        return self.best.status != NOT_TESTED and not self.best.status.startswith(STAND_IN)

    @property
    def kind(self) -> str:
        """The verdict, be it on a stand-in or not."""
        return self.best.status.removeprefix(STAND_IN)


def ledger(results: Path) -> list[Entry]:
    """Every claim, in the order of the papers' names and their lists. CannotRun where a stored table is damaged."""
    return [entry for paper in published_papers() for entry in _of_paper(paper, results)]


def _of_paper(paper: str, results: Path) -> list[Entry]:
    found = {name: stored(artifacts_of(paper), results / name / paper) for name in _profiles(results)}
    known = {name: tables for name, tables in found.items() if tables}
    checks, entries = checks_of(paper), []
    for name, said in printed_claims(paper).items():
        verdicts = {profile: checks[name](tables) for profile, tables in known.items()} if name in checks else {}
        entries.append(Entry(paper, name, said, dict(sorted(verdicts.items(), key=lambda pair: _worth(pair[1])))))
    return entries


def _profiles(results: Path) -> list[str]:
    names = {folder.name for folder in results.iterdir() if folder.is_dir()} if results.is_dir() else set()
    return [*(name for name in PROFILES if name in names), *sorted(names.difference(PROFILES))]


def _worth(verdict: Verdict) -> int:
    """Lower is better evidence, whatever it says."""
    return 2 if verdict.status == NOT_TESTED else int(verdict.status.startswith(STAND_IN))


def page(entries: list[Entry]) -> str:
    """The ledger as a page of Markdown that links to the reports. CannotRun where nothing is stored."""
    if not any(entry.verdicts for entry in entries):
        raise CannotRun("no table is stored, so no claim was tested; write some with `snnbench run PAPER`")
    papers = dict.fromkeys(entry.paper for entry in entries)
    return tidy(
        environment()
        .get_template("ledger.md.j2")
        .render(
            papers={paper: _table([entry for entry in entries if entry.paper == paper]) for paper in papers},
            title=_title,
            entries=entries,
            kinds=[(MARKS[kind], kind, [entry for entry in entries if entry.kind == kind]) for kind in MARKS],
            names=lambda listed: markdown.enumeration([entry.name for entry in listed]),
        )
    )


def _title(paper: str) -> str:
    template = environment().get_template(f"{paper}/report.md.j2")
    return "".join(template.blocks["name"](template.new_context()))


def _table(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        statement, where = (markdown.plain(entry.said[column]) for column in ("statement", "where"))
        says = f"{statement} ({where}).<br><sub>{markdown.plain(tolerance(entry.said))}</sub>"
        tested = [name for name, verdict in entry.verdicts.items() if verdict.status != NOT_TESTED]
        links = [f"[{name}]({name}/{entry.paper}.md#claims)" for name in tested]
        others = [f"{link} {mark(entry.verdicts[name].status)}" for link, name in zip(links[1:], tested[1:], strict=True)]
        where_shown = f"{links[0]}: {entry.best.evidence}" if links else entry.best.evidence
        rows.append([f"**{entry.name}**", says, mark(entry.best.status), "<br>".join([where_shown, *others])])
    header = ["", "What the paper says<br><sub>what we call reproduced</sub>", "Verdict", "Best evidence, then the others"]
    return markdown.table(header, rows)
