"""Reports: a page of Markdown and its figures, a pure function of stored tables and published ones.

A paper's room gives the page's text (``benchmarks/<paper>/report.md.j2``, see ``benchmarks.tables.pages``) and its claims; this
module frames them with what all papers need.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.data.registry import DATASETS, describe_count
from benchmarks.errors import CannotRun
from benchmarks.files import atomic_write_bytes, cannot_write
from benchmarks.harness.environments import Records, environments
from benchmarks.harness.provenance import file_hash, read_provenance
from benchmarks.harness.results import read_table
from benchmarks.models.registry import MODELS
from benchmarks.profiles import Profile
from benchmarks.tables import markdown
from benchmarks.tables.artifacts import Artifact, artifacts_of
from benchmarks.tables.bounds import checks_of, printed_claims, tolerance
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN, STATUSES, Tables, Verdict
from benchmarks.tables.drawing import svg
from benchmarks.tables.pages import Page, check_page, environment, tidy
from benchmarks.tables.status import NOT_RUN, measured, reasons

MARKS = {"reproduced": "✔", "partly": "◐", "not reproduced": "✘", NOT_TESTED: markdown.DASH}


def render(paper: str, profile: Profile, results: Path, reports: Path) -> list[Path]:
    """Write ``<reports>/<profile>/<paper>.md`` and ``<reports>/<profile>/<paper>/<figure>.svg`` from stored tables; run nothing.

    Files whose bytes stay the same are not touched; figures that the page no longer shows are removed. CannotRun as in `compose`,
    and where files cannot be written.
    """
    text, drawings = compose(paper, profile, results)
    path = reports / profile.name / f"{paper}.md"
    # Figures first: a page never refers to one that is not there yet.
    figures = {path.with_suffix("") / f"{name}.svg": draw for name, draw in drawings.items()}
    for file, draw in figures.items():
        atomic_write_bytes(file, svg(draw))
    atomic_write_bytes(path, text.encode())
    _remove_others(path.with_suffix(""), figures)
    return [path, *figures]


def compose(paper: str, profile: Profile, results: Path) -> tuple[str, dict[str, Callable[[], Figure]]]:
    """The page and, by name, what draws its figures.

    CannotRun for an unknown paper, where no table of it is stored, and where a table or provenance is damaged.
    """
    artifacts = artifacts_of(paper)
    folder = results / profile.name / paper
    tables = stored(artifacts, folder)
    if not tables:
        command = f"snnbench run {paper} --profile {profile.name}"
        raise CannotRun(f"{folder}: there is no table of {paper} to report on; write them with `{command}`")
    records = {name: read_provenance(path) for name in tables if (path := folder / f"{name}.json").exists()}
    verdicts = {name: check(tables) for name, check in checks_of(paper).items()}
    check_page(paper)
    page = Page(paper, tables, profile)
    frame: dict[str, Any] = {
        "paper": paper,
        "example": next(iter(artifacts)),
        "opening": _opening(paper, verdicts),
        "counts": _counts(verdicts),
        "claims": _claims(paper, verdicts),
        "stand_ins": any((frame["status"] == "stand-in").any() for frame in tables.values()),
        "networks_used": _networks(tables, records, page.stand_for()),
        "definitions": _definitions(tables),
        "environments": environments(records),
        "notes": _notes(artifacts, tables, records, folder),
        "not_run": _not_run(artifacts, tables, paper, profile),
        "needs_data": _needs_data(tables, profile),
    }
    return tidy(environment().get_template(f"{paper}/report.md.j2").render(page.names | frame)), page.drawings


def stored(artifacts: dict[str, Artifact], folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a paper that are in a folder, by artifact. CannotRun for a damaged one."""
    paths = {name: folder / f"{name}.csv" for name in artifacts}
    return {name: read_table(path, artifacts[name].schema) for name, path in paths.items() if path.exists()}


def _remove_others(folder: Path, kept: Container[Path]) -> None:
    for path in folder.glob("*.svg"):
        if path not in kept:
            try:
                path.unlink()
            except OSError as error:
                raise cannot_write(path, error) from error


# ---- claims -----------------------------------------------------------------------------------------------------------


def _opening(paper: str, verdicts: dict[str, Verdict]) -> list[str]:
    """What holds, what does not and what could not be told, a sentence each."""
    said = printed_claims(paper)

    def named(*kinds: str) -> list[str]:
        return [name for name, verdict in verdicts.items() if verdict.status.removeprefix(STAND_IN) in kinds]

    def told(names: Sequence[str]) -> str:
        return markdown.plain("; ".join(f"{name} ({said[name]['statement']})" for name in names))

    holds, fails, untested = named(REPRODUCED), named(PARTLY, NOT_REPRODUCED), named(NOT_TESTED)
    own = [name for name in holds if not verdicts[name].status.startswith(STAND_IN)]
    where = "none of them" if not own else "all of them" if own == holds else f"{markdown.enumeration(own)}"
    tested = len(verdicts) - len(untested)
    return [
        f"Of {markdown.count(tested, 'claim')} tested {len(holds)} held, {where} in the paper's own setting.",
        f"Not reproduced, or only in part: {told(fails)}." if fails else "None of them failed.",
        f"Not tested: {markdown.enumeration(untested)}." if untested else "Every claim was tested.",
    ]


def _counts(verdicts: dict[str, Verdict]) -> str:
    statuses = [verdict.status for verdict in verdicts.values()]
    parts = [f"{statuses.count(status)} {status}" for status in STATUSES if status in statuses]
    return f"{markdown.count(len(statuses), 'claim')}: {', '.join(parts)}"


def _claims(paper: str, verdicts: dict[str, Verdict]) -> str:
    printed = printed_claims(paper)
    rows = []
    for name, verdict in verdicts.items():
        statement, where, metric = (markdown.plain(printed[name][column]) for column in ("statement", "where", "metric"))
        says = f"{statement} ({where}).<br><sub>{metric}: {markdown.plain(tolerance(printed[name]))}</sub>"
        rows.append([f"**{name}**", says, mark(verdict.status), verdict.evidence])
    header = ["", "What the paper says<br><sub>what we call reproduced</sub>", "Verdict", "Evidence"]
    return markdown.table(header, rows)


def mark(status: str) -> str:
    """A verdict with its sign; in brackets and italics on a stand-in."""
    plain = status.removeprefix(STAND_IN)
    return f"({MARKS[plain]}) *{status}*" if plain != status else f"{MARKS[plain]} **{status}**"


# ---- what was run on what ---------------------------------------------------------------------------------------------


def _used(tables: Tables) -> pd.DataFrame:
    """Every network that was run, with the accuracy on the most test images."""
    columns = ["dataset_used", "architecture_used", "seeds", "ann_metric", "n_test"]
    frames = [measured(frame).reindex(columns=columns) for frame in tables.values() if "dataset_used" in frame]
    rows = pd.concat(frames, ignore_index=True).dropna(subset=columns[:2]) if frames else pd.DataFrame(columns=columns)
    best = rows.sort_values("n_test", ascending=False, kind="stable", na_position="last")
    return best.drop_duplicates(columns[:2]).sort_index()


def _networks(tables: Tables, records: Records, stand_for: Sequence[tuple[str, str, str]]) -> str:
    """``stand_for``: data set, network and what of the paper it stands for."""
    data, weights = _merged(r["datasets"] for r in records.values()), _merged(r["checkpoints"] for r in records.values())
    rows = []
    for _, used in _used(tables).iterrows():
        dataset, architecture = used["dataset_used"], used["architecture_used"]
        same = [text for *network, text in stand_for if network == [dataset, architecture]]
        rows.append(
            [
                f"`{architecture}`",
                ", ".join(same) or markdown.DASH,
                _test_data(dataset, used["n_test"]),
                _shortened(data.get(f"{dataset} test", [])) or markdown.DASH,
                f"{markdown.number(used['ann_metric'])} %" if pd.notna(used["ann_metric"]) else markdown.DASH,
                _weights(f"{architecture} on {dataset} (", weights),
            ]
        )
    header = ["Network", "Stands for", "Test data", "Fingerprint", "ANN accuracy", "Weights"]
    return markdown.table(header, rows, "llllrl") if rows else ""


def _merged(named: Iterable[dict[str, str]]) -> dict[str, list[str]]:
    """Every digest under a name, in the order of the tables: more than one where tables rest on different data or weights."""
    merged: dict[str, list[str]] = {}
    for name, digest in (pair for digests in named for pair in digests.items()):
        if digest not in merged.setdefault(name, []):
            merged[name].append(digest)
    return merged


def _shortened(digests: list[str]) -> str:
    return " and ".join(f"`{digest[:12]}`" for digest in digests)


def _test_data(dataset: str, images: int) -> str:
    if dataset not in DATASETS or pd.isna(images):  # of events, the options are told and how many there are is not
        return f"`{dataset}`"
    return f"`{dataset}`, {describe_count(DATASETS[dataset], 'test', int(images))}"


def _weights(prefix: str, known: dict[str, list[str]]) -> str:
    found = [f"{name.removeprefix(prefix)[:-1]} ({_shortened(known[name])})" for name in sorted(known) if name.startswith(prefix)]
    return ", ".join(found) or markdown.DASH


def _needs_data(tables: Tables, profile: Profile) -> bool:
    """Whether there is something to download: for a network of the profile, or behind a table."""
    names = [*(choice.dataset for choice in profile.networks), *_used(tables)["dataset_used"]]
    return any(not DATASETS[base].embedded for name in names if (base := name.partition("?")[0]) in DATASETS)


def _definitions(tables: Tables) -> list[str]:
    names = dict.fromkeys(_used(tables)["architecture_used"])
    return [f"`{name}`: {MODELS[name].definition}" for name in names if name in MODELS]


# ---- provenance -------------------------------------------------------------------------------------------------------


def _notes(artifacts: dict[str, Artifact], tables: Tables, records: Records, folder: Path) -> list[str]:
    """What a reader must know before trusting the tables."""
    changed = [name for name, r in records.items() if r.get("table_sha256") != file_hash(folder / f"{name}.csv")]
    old = [name for name, r in records.items() if r.get("schema_version") != artifacts[name].schema.version]
    notes = {
        "No provenance is stored for": [name for name in tables if name not in records],
        "Changed after the run that the provenance describes:": changed,
        "Written under another version of the columns:": old,
    }
    return [f"{note} {markdown.enumeration([f'`{name}`' for name in names])}." for note, names in notes.items() if names]


# ---- what was not run -------------------------------------------------------------------------------------------------


def _not_run(artifacts: dict[str, Artifact], tables: Tables, paper: str, profile: Profile) -> str:
    """A table of reasons; those that differ only after a colon share a line."""
    groups: dict[str, tuple[list[pd.Series], list[str]]] = {}
    for name, frame in tables.items():
        skipped = frame[frame["status"].str.startswith(NOT_RUN)]
        heads = [status.removeprefix(NOT_RUN).partition(": ")[0] for status in skipped["status"]]
        for head in dict.fromkeys(heads):
            rows = skipped[[other == head for other in heads]]
            status, where = groups.setdefault(head, ([], []))
            status.append(rows["status"])
            where.append(_which(artifacts[name], rows))
    lines = [[reasons(pd.concat(status)), "; ".join(where)] for status, where in groups.values()]
    for name in artifacts:
        if name not in tables:
            command = f"snnbench run {paper} {name} --profile {profile.name}"
            lines.append([f"not run yet: `{command}`", _short(artifacts[name])])
    return markdown.table(["Why", "What"], lines) if lines else ""


def _which(artifact: Artifact, rows: pd.DataFrame) -> str:
    if "row" in rows:
        return f"{_short(artifact)}, {'row' if len(rows) == 1 else 'rows'} {markdown.ranges(map(int, rows['row']))}"
    return f"{_short(artifact)}, {markdown.count(len(rows), 'row')}"


def _short(artifact: Artifact) -> str:
    return artifact.title.partition(":")[0]
