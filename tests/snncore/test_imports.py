"""Which module may import which: the core needs torch alone, and conversion stands on top of it."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

import snncore
import snncore.conversion

ROOT = Path(snncore.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported(file: Path) -> set[str]:
    """Every module that a file imports, wherever it does; of ``from package import module`` the module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"{name_of(file)}: a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_core_imports_torch_itself_and_the_standard_library(file: Path) -> None:
    packages = {name.partition(".")[0] for name in imported(file)}
    assert packages <= {"torch", "snncore"} | sys.stdlib_module_names


@pytest.mark.parametrize("file", [file for file in FILES if ROOT / "conversion" not in file.parents], ids=name_of)
def test_nothing_below_conversion_imports_it(file: Path) -> None:
    if file != ROOT / "__init__.py":
        assert not [name for name in imported(file) if name.startswith("snncore.conversion")]


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.glob("*.py")), ids=lambda file: file.name)
def test_tests_of_the_core_need_nothing_else(file: Path) -> None:
    assert not [name for name in imported(file) if name.partition(".")[0] == "benchmarks"]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 300


@pytest.mark.parametrize("package", ["snncore", "snncore.neurons", "snncore.conversion", "snncore.conversion.rules"])
def test_no_name_hides_a_module(package: str) -> None:
    """``import package.module`` would give the other thing, which has its name."""
    made = importlib.import_module(package)
    for info in pkgutil.iter_modules(made.__path__):
        importlib.import_module(f"{package}.{info.name}")
        assert isinstance(getattr(made, info.name), ModuleType), info.name
    assert all(hasattr(made, name) for name in made.__all__)
