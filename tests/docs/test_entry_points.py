"""`entry_points.md` is the contract of record, so it is held to the code, word for word."""

import inspect
import re
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from polytraders_hookspecs import HOOK_NAMES, HOOKSPEC_VERSION, specs
from pydantic import BaseModel

from polytraders_pfh.config import Settings
from polytraders_pfh.core.lifecycle import TRANSITIONS, diagram
from polytraders_pfh.core.reasons import TEXTS, Reason
from polytraders_pfh.telemetry.names import METRICS, Metric

DOCUMENT = (Path(__file__).parents[2] / "entry_points.md").read_text()


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field.get_default(call_default_factory=True)


def shown(value: object) -> str:
    plain: dict[object, str] = {None: "none", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return plain[value]
    if isinstance(value, tuple | dict):
        return "[]" if isinstance(value, tuple) else "{}"
    return str(value) if isinstance(value, Decimal | int | str) else repr(value)


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_hook_s_signature_stands_in_the_document(name: str) -> None:
    parameters = inspect.signature(getattr(specs, name)).parameters

    assert f"| `{name}({', '.join(parameters)})` |" in DOCUMENT


def test_hooks_stand_in_the_order_of_a_bot_s_life() -> None:
    rows = re.findall(r"^\| `(\w+)\(", DOCUMENT, re.MULTILINE)

    assert tuple(rows) == HOOK_NAMES


def test_contract_version_is_the_package_s() -> None:
    assert f"Contract version **{HOOKSPEC_VERSION}**" in DOCUMENT


def test_lifecycle_diagram_is_drawn_from_the_table() -> None:
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", DOCUMENT, re.DOTALL)

    assert drawn == diagram()


def test_diagram_has_every_edge_of_the_table() -> None:
    for state, edges in TRANSITIONS.items():
        for step, target in edges.items():
            assert re.search(rf"{state.value} --> {target.value}: .*\b{step.value.lower()}\b", diagram())


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_code_is_documented(reason: Reason) -> None:
    text = TEXTS[reason]

    assert f"| `{reason.value}` | {text.severity.value} | {text.meaning} |" in DOCUMENT


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_kind_unit_and_labels(metric: Metric) -> None:
    labels = ", ".join(metric.labels) or "—"

    row = f"| `{metric.full_name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |"
    assert row in DOCUMENT


@pytest.mark.parametrize(("key", "default"), list(settings(Settings)))
def test_every_setting_is_documented_with_its_default(key: str, default: object) -> None:
    assert f"| `{key}` | {shown(default)} |" in DOCUMENT


def test_document_names_no_setting_that_is_not_one() -> None:
    table = DOCUMENT.split("## Configuration")[1]

    assert re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE) == [key for key, _ in settings(Settings)]


def test_entry_point_of_the_document_is_the_installed_one() -> None:
    (found,) = entry_points(group="polytraders", name="exec.partialfillhandler")

    assert f'"{found.name}" = "{found.value}"' in DOCUMENT
