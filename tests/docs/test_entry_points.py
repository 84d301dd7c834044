"""`entry_points.md` is the contract of record, so it is held to the code, word for word."""

import inspect
import re
from importlib.metadata import entry_points

import pytest
from docs.write_entry_points import DOCUMENT, MEANINGS, document, settings
from polytraders_hookspecs import HOOK_NAMES, HOOKSPEC_VERSION, specs

from polytraders_pfh.config import Settings
from polytraders_pfh.core.lifecycle import TRANSITIONS, diagram

PAGE = DOCUMENT.read_text()


def test_page_is_what_the_code_says() -> None:
    """After a change: python tests/docs/write_entry_points.py"""
    assert document() == PAGE


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_hook_s_signature_stands_in_the_page(name: str) -> None:
    parameters = inspect.signature(getattr(specs, name)).parameters

    assert f"| `{name}({', '.join(parameters)})` |" in PAGE


def test_contract_version_is_the_package_s() -> None:
    assert f"Contract version **{HOOKSPEC_VERSION}**" in PAGE


def test_lifecycle_diagram_is_drawn_from_the_table() -> None:
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", PAGE, re.DOTALL)

    assert drawn == diagram()


def test_diagram_has_every_edge_of_the_table() -> None:
    for state, edges in TRANSITIONS.items():
        for step, target in edges.items():
            assert re.search(rf"{state.value} --> {target.value}: .*\b{step.value.lower()}\b", diagram())


def test_every_setting_has_a_meaning_and_no_other_thing_has() -> None:
    assert list(MEANINGS) == [path for path, _ in settings(Settings)]


def test_entry_point_of_the_page_is_the_installed_one() -> None:
    (found,) = entry_points(group="polytraders", name="exec.partialfillhandler")

    assert f'"{found.name}" = "{found.value}"' in PAGE
