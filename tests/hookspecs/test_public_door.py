"""The contract package as others see it: one door, true to its word, with nothing of the plugin behind it."""

import ast
import subprocess
import sys
from pathlib import Path

import polytraders_hookspecs
import pytest
from polytraders_hookspecs import HOOKSPEC_VERSION, ContractError, ContractTooOld, errors, require_hookspec

PACKAGE = Path(polytraders_hookspecs.__file__).parent

_FORBID = """
import sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "polytraders_pfh" or name.startswith("opentelemetry.sdk"):
            raise AssertionError(f"the contract imported {name}")
sys.meta_path.insert(0, Forbid())
import polytraders_hookspecs
print(len(polytraders_hookspecs.__all__))
"""


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a module names in its imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add((node.module or "").split(".")[0])
    return found


def test_all_is_sorted_and_every_name_is_there() -> None:
    names = polytraders_hookspecs.__all__

    # Constants, then classes, then functions: the order in which ruff sorts `__all__`.
    kinds = [(0 if n.isupper() else 1 if n[0].isupper() else 2, n) for n in names]
    assert kinds == sorted(kinds)
    assert len(names) == len(set(names))
    assert [n for n in names if not hasattr(polytraders_hookspecs, n)] == []


def test_every_public_name_imported_into_the_door_is_in_all() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}

    assert set(polytraders_hookspecs.__all__) == imported | {"hookimpl"}


def test_every_error_of_the_contract_is_in_the_drawn_tree_and_behind_the_door() -> None:
    defined = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, ContractError)}

    assert defined == {n for n in polytraders_hookspecs.__all__ if n in defined}
    assert [n for n in defined if n not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.name)
def test_no_module_of_the_contract_names_the_plugin(module: Path) -> None:
    assert "polytraders_pfh" not in imports_of(module)


def test_importing_the_contract_imports_neither_the_plugin_nor_the_opentelemetry_sdk() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FORBID],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )

    assert (ran.stderr, int(ran.stdout or 0)) == ("", len(polytraders_hookspecs.__all__))


@pytest.mark.parametrize(("needed", "offered"), [("1.0", "1.0"), ("1.0", "1.7"), ("2.3", "2.10")])
def test_a_bot_registers_under_its_own_major_and_no_older_minor(needed: str, offered: str) -> None:
    require_hookspec("b", needed=needed, offered=offered)


@pytest.mark.parametrize(
    ("needed", "offered"), [("1.1", "1.0"), ("2.0", "1.9"), ("1.0", "2.0"), ("1.10", "1.9"), ("0.9", "1.0")]
)
def test_a_bot_that_the_host_cannot_carry_is_refused_with_both_versions(needed: str, offered: str) -> None:
    with pytest.raises(ContractTooOld) as caught:
        require_hookspec("exec.x", needed=needed, offered=offered)

    assert str(caught.value) == (
        f"bot 'exec.x' needs hook contract {needed}, and this host offers {offered}; "
        "upgrade whichever of the two is older"
    )


@pytest.mark.parametrize("version", ["", "1", "1.", ".1", "1.0.0", "v1.0", "1.\u0661", "-1.0", "1.0 "])
def test_a_version_that_is_not_major_minor_is_refused(version: str) -> None:
    for versions in ({"needed": version, "offered": "1.0"}, {"needed": "1.0", "offered": version}):
        with pytest.raises(ContractTooOld, match=r"write it as major\.minor, such as '1.0'"):
            require_hookspec("b", **versions)


def test_the_contract_can_carry_itself() -> None:
    require_hookspec("b", needed=HOOKSPEC_VERSION, offered=HOOKSPEC_VERSION)
