"""The core decides and does nothing else: the standard library alone, no clock, chance, I/O or float."""

import ast
import sys
from pathlib import Path

import pytest

from polytraders_pfh import core

MODULES = sorted(Path(core.__file__).parent.glob("*.py"))
IMPURE = {
    "asyncio",
    "datetime",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}


def imports_of(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_core_imports_the_standard_library_and_itself_alone(module: Path) -> None:
    foreign = {
        name
        for name in imports_of(module)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("polytraders_pfh.core.")
    }

    assert foreign == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_core_imports_nothing_that_waits_looks_or_guesses(module: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(module)} & IMPURE == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_core_knows_no_float_no_await_no_global_and_no_true_division(module: Path) -> None:
    impure = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Global, ast.Nonlocal, ast.Div)
    found = [
        type(node).__name__
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, impure)
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id in {"float", "print", "open", "input"})
    ]

    assert found == []
