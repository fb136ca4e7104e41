"""Energy tables in files of users."""

from pathlib import Path

import pytest

from benchmarks.energy import read_energy_table
from benchmarks.errors import CannotRun

GOOD = "mac_pj = 3.2\nac_pj = 0.1\nsign_pj = 0\nupdate_pj = 0.5\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_from_a_file(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding=encoding)
    table = read_energy_table(path)
    assert (table.name, table.mac_pj, table.ac_pj, table.sign_pj, table.update_pj) == ("mine", 3.2, 0.1, 0.0, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("\nac_pj = 0.1", ""), "lacks ac_pj"),
        ("mac_pj = ", "is not valid TOML"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(CannotRun, match=said) as refusal:
        read_energy_table(path)
    assert "mine.toml" in str(refusal.value) and "\n" not in str(refusal.value)
