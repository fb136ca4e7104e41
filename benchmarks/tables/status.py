"""What stands behind rows: which were measured, which were not and why, and what stands for what."""

from __future__ import annotations

import pandas as pd

from benchmarks.published import read_published
from benchmarks.tables import markdown

NOT_RUN = "not run: "


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that were measured, on the paper's setting or a stand-in."""
    return frame[frame["status"].isin(["measured", "stand-in"])].reset_index(drop=True)


def rows_to_come(paper: str, name: str, frame: pd.DataFrame) -> list[str]:
    """A sentence on the rows of a printed table that were not run yet; nothing if there are none."""
    left = set(read_published(paper, name)["row"].astype(int)) - set(frame["row"].astype(int))
    return [f"Not run yet: {'row' if len(left) == 1 else 'rows'} {markdown.ranges(left)}."] if left else []


def reasons(status: pd.Series) -> str:
    """Why rows were not run, each reason once; those that differ only after a colon are joined."""
    groups: dict[str, dict[str, None]] = {}
    for text in status[status.str.startswith(NOT_RUN)].str.removeprefix(NOT_RUN):
        head, _, detail = text.partition(": ")
        groups.setdefault(head, {}).update({detail: None} if detail else {})
    return "; ".join(markdown.plain(f"{head}: {', '.join(details)}" if details else head) for head, details in groups.items())


def stands_for(network: str, dataset: str, stand_in: bool) -> str:
    """A network and a data set of the paper, marked where something else stands in for them."""
    return f"*{network} on {dataset}* †" if stand_in else f"{network} on {dataset}"
