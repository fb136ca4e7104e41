"""A user's own table of energy constants, from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from benchmarks.errors import CannotRun, unreadable
from snncore.energy import EnergyTable


def read_energy_table(path: Path) -> EnergyTable:
    """The table of a TOML file with ``mac_pj``, ``ac_pj``, ``sign_pj`` and ``update_pj``, named after the file.

    Raises:
        CannotRun: no such file, no TOML, or a constant that is missing, unknown or no number from 0 up.
    """
    try:
        constants = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"energy table {path} is not valid TOML: {' '.join(str(error).split())}") from error
    try:
        return EnergyTable.of(path.stem, constants)
    except ValueError as error:
        raise CannotRun(f"{path}: {error}") from error
