"""A paper's page as its template writes it: prose in ``benchmarks/<paper>/report.md.j2``, tables and figures called by name.

The template extends ``report.md.j2`` of the harness and has at hand

- ``section(title, artifact, ...)``, to be called with a block: the part of the page that shows these artifacts. Without one of
  them the section says how to get it; without a measured row, why (``always=True``: shown all the same);
- ``stored(artifact)``, all rows of a table, ``measured(artifact)``, those that were measured, and ``has(artifact)``;
- ``figure(name, alt, figures.<function>, ...)``: draws and links a figure;
- ``views``, the room's views and numbers (``views.py``), and ``figures``, its drawings (``figures.py``);
- the words that all papers share: ``marked``, ``number``, ``enumeration`` ... (``WORDS``).
"""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from jinja2 import nodes
from matplotlib.figure import Figure

from benchmarks.errors import CannotRun, unreadable
from benchmarks.profiles import Profile
from benchmarks.tables import columns, markdown
from benchmarks.tables.artifacts import artifacts_of
from benchmarks.tables.claims import Tables
from benchmarks.tables.status import measured, reasons

ROOT = Path(__file__).parents[1]


def images(rows: pd.DataFrame) -> str:
    """On how many test images rows were measured, in a sentence; nothing if that is not known."""
    counts = sorted(rows["n_test"].dropna().unique())
    return f"Test images: {markdown.enumeration([f'{n:,}' for n in counts])}." if counts else ""


WORDS: dict[str, Callable[..., Any]] = {
    "marked": columns.marked,
    "titled": columns.titled,
    "loss_text": columns.loss_text,
    "with_controls": columns.with_controls,
    "number": markdown.number,
    "interval": markdown.interval,
    "small": markdown.small,
    "count": markdown.count,
    "enumeration": markdown.enumeration,
    "ranges": markdown.ranges,
    "networks": columns.each_network,
    "groups": lambda rows, *names: rows.groupby(list(names) if len(names) > 1 else names[0], sort=False),
    "images": images,
    "each": lambda rows: (row for _, row in rows.iterrows()),
    "first": lambda rows: rows.iloc[0],
    "reasons": lambda *tables: reasons(pd.concat([rows["status"] for rows in tables])),
}


class Page:
    """What a template has at hand, and the drawings that it asked for."""

    def __init__(self, paper: str, tables: Tables, profile: Profile) -> None:
        self.paper, self.tables, self.profile = paper, tables, profile
        self.drawings: dict[str, Callable[[], Figure]] = {}
        self.names: dict[str, Any] = WORDS | {
            "section": self.section,
            "stored": lambda name: self.tables[name],
            "measured": lambda name: measured(self.tables[name]),
            "has": lambda name: name in self.tables,
            "footnotes": lambda name: "\n\n".join(columns.footnotes(paper, name, self.tables[name])),
            "figure": self.figure,
            "details": details,
            "tables": tables,
            "profile": profile,
            "views": importlib.import_module(f"benchmarks.{paper}.views"),
            "figures": importlib.import_module(f"benchmarks.{paper}.figures"),
        }

    def stand_for(self) -> Sequence[tuple[str, str, str]]:
        """Data sets and networks of the profile, and what of the paper they stand for."""
        found: Callable[[Profile], Sequence[tuple[str, str, str]]] = getattr(self.names["views"], "networks", columns.networks)
        return found(self.profile)

    def section(self, title: str, *artifacts: str, caller: Callable[[], str], always: bool = False) -> str:
        """A part of the page, or why there is none."""
        if missing := [name for name in artifacts if name not in self.tables]:
            command = f"snnbench run {self.paper} {' '.join(missing)} --profile {self.profile.name}"
            return f"## {title}\n\nNot run yet: `{command}`.\n\n"
        empty = [self.tables[name] for name in artifacts if measured(self.tables[name]).empty]
        if empty and not always:
            nothing = f"profile {self.profile.name} names nothing to measure here"
            return f"## {title}\n\nNot run: {reasons(pd.concat(each['status'] for each in empty)) or nothing}.\n\n"
        return f"## {title}\n\n{paragraphs(caller())}\n\n"

    def figure(self, name: str, alt: str, draw: Callable[..., Figure], *given: Any) -> str:
        """A link to the figure ``<paper>/<name>.svg``, which is drawn by ``draw(*given)``."""
        self.drawings[name] = partial(draw, *given)
        return f"![{alt}]({self.paper}/{name}.svg)"


def details(summary: str, caller: Callable[[], str]) -> str:
    """A part of a page that is folded away."""
    return f"<details>\n<summary>{summary}</summary>\n\n{paragraphs(caller())}\n\n</details>"


_STANDS_ALONE = ("|", "- ", "#", ">", "<", "```", "![")


def paragraphs(text: str) -> str:
    """Text whose paragraphs and lines of tables are a line each, however the template breaks them."""
    lines: list[str] = []
    for line in map(str.strip, text.strip().splitlines()):
        last = lines[-1] if lines else ""
        joined = last and line and not last.startswith(_STANDS_ALONE) and not line.startswith(_STANDS_ALONE)
        if joined or (last.startswith("|") and not last.endswith("|")):  # the line of a table may be broken before a cell
            lines[-1] += f" {line}"
        elif line or lines[-1:] != [""]:
            lines.append(line)
    return "\n".join(lines)


def environment() -> jinja2.Environment:
    """Where templates are looked for and how they are read."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([ROOT, ROOT / "harness" / "templates"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; what may hold special characters goes through markdown.plain
    )


def check_page(paper: str) -> None:
    """Refuse views of columns that tables do not have, and a template that names what is not there, before anything is run.

    Raises:
        CannotRun: with file and line.
    """
    path = ROOT / paper / "report.md.j2"
    try:
        importlib.import_module(f"benchmarks.{paper}.views")
    except ValueError as error:
        place = next(f for f in reversed(traceback.extract_tb(error.__traceback__)) if f"{paper}/views.py" in f.filename)
        raise CannotRun(f"{place.filename}:{place.lineno}: {error}") from error
    try:
        tree = environment().parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise unreadable(path, error) from error
    except jinja2.TemplateSyntaxError as error:
        raise CannotRun(f"{path}:{error.lineno}: {error.message}") from error
    for line, wrong in _unknown(tree, paper):
        raise CannotRun(f"{path}:{line}: {wrong}")


def _unknown(tree: nodes.Template, paper: str) -> Iterator[tuple[int, str]]:
    artifacts = artifacts_of(paper)
    columns_known = {name for artifact in artifacts.values() for name in artifact.schema.names}
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("section", "stored", "measured", "has", "footnotes"):
            named = [arg for arg in call.args if isinstance(arg, nodes.Const)]
            for arg in named[1:] if call.node.name == "section" else named:
                if arg.value not in artifacts:
                    yield call.lineno, f"{paper} has no artifact {arg.value!r}; it has {', '.join(artifacts)}"
    for found in tree.find_all(nodes.Getattr):
        source = found.node.node if isinstance(found.node, nodes.Call) else found.node
        name = source.name if isinstance(source, nodes.Name) else ""
        if name in ("views", "figures") and not hasattr(importlib.import_module(f"benchmarks.{paper}.{name}"), found.attr):
            yield found.lineno, f"benchmarks/{paper}/{name}.py has no {found.attr!r}"
        if name in ("row", "first") and found.attr not in columns_known:
            yield found.lineno, f"no table of {paper} has a column {found.attr!r}"


def tidy(text: str) -> str:
    """No more than one empty line between two others, and a line end at the end."""
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"
