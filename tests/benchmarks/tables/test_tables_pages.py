"""Pages from templates: paragraphs, and mistakes that are refused with file and line before anything is run."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.errors import CannotRun
from benchmarks.published import published_papers
from benchmarks.tables import pages
from benchmarks.tables.pages import check_page, details, paragraphs, tidy
from benchmarks.tables.schema import published_keys


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("one\n  two\n\n\nthree\n", "one two\n\nthree"),
        ("| a |\n| b |\nend", "| a |\n| b |\nend"),
        ("| a\n| b |\n| c | d\n|\nend", "| a | b |\n| c | d |\nend"),
        ("- a\n- b", "- a\n- b"),
        ("so:\n![x](y.svg)\n**bold**\nends", "so:\n![x](y.svg)\n**bold** ends"),
        ("  \n", ""),
    ],
)
def test_paragraphs_are_a_line_each(text: str, made: str) -> None:
    assert paragraphs(text) == made == paragraphs(made)


def test_details_are_folded_paragraphs() -> None:
    assert details("More", lambda: "a\nb\n") == "<details>\n<summary>More</summary>\n\na b\n\n</details>"


def test_a_tidy_page_has_single_empty_lines_and_ends_with_a_line() -> None:
    assert tidy("\n\na\n\n\n\nb\n\n") == "a\n\nb\n"


@pytest.mark.parametrize("paper", published_papers())
def test_shipped_pages_name_only_what_is_there(paper: str) -> None:
    check_page(paper)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template of the CSS room, to be written."""
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "css").mkdir()
    return tmp_path / "css" / "report.md.j2"


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ('{{ stored("table9") }}', "css has no artifact 'table9'; it has table2"),
        ('{{ measured("table9") }}', "css has no artifact 'table9'"),
        ('{% if has("table9") %}{% endif %}', "css has no artifact 'table9'"),
        ('{% call section("Title", "table2", "table9") %}{% endcall %}', "css has no artifact 'table9'"),
        ('{{ views.tabel2(stored("table2")) }}', "benchmarks/css/views.py has no 'tabel2'"),
        ('{{ figure("f", "alt", figures.nothing, 1) }}', "benchmarks/css/figures.py has no 'nothing'"),
        ("{{ row.los }}", "no table of css has a column 'los'"),
        ("{{ first(rows).los }}", "no table of css has a column 'los'"),
        ("{% if %}", "Expected an expression"),
        ("{% nonsense %}", "unknown tag 'nonsense'"),
    ],
)
def test_a_mistake_in_a_template_is_refused_with_file_and_line(room: Path, mistake: str, said: str) -> None:
    room.write_text(f"one\n\n{mistake}\n", encoding="utf-8")
    with pytest.raises(CannotRun) as refused:
        check_page("css")
    assert str(refused.value).startswith(f"{room}:3: ") and said in str(refused.value)


def test_a_template_without_mistakes_passes_and_a_room_without_one_is_refused(room: Path) -> None:
    room.unlink(missing_ok=True)
    with pytest.raises(CannotRun, match=r"report\.md\.j2"):
        check_page("css")
    room.write_text('{{ stored("table2") }} {{ row.loss }} {{ views.table2(rows) }} {{ rows.method.values }}', encoding="utf-8")
    check_page("css")


def test_a_view_of_a_column_that_is_not_there_is_refused_with_file_and_line(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room.write_text("", encoding="utf-8")
    views = room.with_name("views.py")
    source = "from benchmarks.css.artifacts import TABLE2\nfrom benchmarks.tables.views import View\n\nView(TABLE2, 'los')\n"
    views.write_text(source, encoding="utf-8")
    found = importlib.import_module

    def imported(name: str) -> ModuleType:
        if name == "benchmarks.css.views":
            exec(compile(source, str(views), "exec"), {})
        return found(name)

    monkeypatch.setattr(importlib, "import_module", imported)
    with pytest.raises(CannotRun) as refused:
        check_page("css")
    assert str(refused.value).startswith(f"{views}:4: ") and "has no column 'los'" in str(refused.value)


def test_keys_of_a_printed_table_have_its_kinds_decimals_and_choices() -> None:
    keys = {column.name: column for column in published_keys("tmn", "table3", ("row", "method"))}
    assert [keys[name].kind for name in ("row", "method", "accuracy_paper")] == ["int", "text", "float"]
    assert (keys["row"].minimum, keys["accuracy_paper"].decimals, keys["energy_mj_paper"].decimals) == (1, 2, 4)
    assert {name for name, column in keys.items() if not column.nullable} == {"row", "method"}
    assert keys["timesteps"].kind == "int" and keys["method"].choices is None
    assert {c.name: c.choices for c in published_keys("tmn", "table2", ())}["no_quant"] == ("yes", "no")
