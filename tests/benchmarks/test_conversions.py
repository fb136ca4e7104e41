"""The page of public networks that can be converted; the networks themselves are slow tests."""

import re
from pathlib import Path

import pytest

from benchmarks.conversions.__main__ import BAR, REPORTS, measure, networks, page

ROWS = {f"{row['library']} {row['network']}": row for row in networks()}


def stated(name: str) -> str:
    """The line of the stored page on a network."""
    library, network = name.split()
    text = (REPORTS / "conversion.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| {library} `{re.escape(network)}` \|.*$", text, flags=re.MULTILINE)
    return str(line)


@pytest.mark.parametrize("name", ROWS)
def test_every_network_of_the_list_is_on_the_page(name: str) -> None:
    line = stated(name)
    if line.count("|") > 4:
        *_, error, more, _ = (cell.strip() for cell in line.split("|"))
        assert float(more or error) <= BAR
    else:
        assert re.search(r"\w+\.py:\d+ `", line)


def test_refusals_are_one_table_cell() -> None:
    refused = {"library": "own", "network": "net", "side": "8", "refused": "net.py:3 `a | b`: no"}
    pytest.importorskip("timm")
    assert "| own `net` | net.py:3 `a \\| b`: no |" in page([refused])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ROWS)
def test_the_page_says_what_is_measured(name: str) -> None:
    pytest.importorskip(name.split()[0])
    found, line = measure(**ROWS[name]), stated(name)
    if found["refused"]:
        assert "'" + found["refused"].partition("'")[2].partition("'")[0] + "'" in line
    else:
        assert float(found["error_more"] or found["error"]) <= BAR
        assert f"| {found['neurons']} | {found['layers']} | {found['on_currents']} |" in line


def test_reports_is_a_folder_of_the_checkout() -> None:
    assert Path(__file__).parents[2] / "reports" == REPORTS
