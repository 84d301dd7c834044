"""The runbook: one section for each alert, whole, and true to the card, the metrics and the settings."""

import re
from typing import Any

import click
import pytest
import yaml
from docs.write_entry_points import MEANINGS
from support.card import seed

from polytraders_pfh.cli import main
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.host.metrics import HOST_METRICS
from polytraders_pfh.ops.assets import asset
from polytraders_pfh.telemetry.names import METRICS

PAGE = asset("runbook.md").decode()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(asset("alerts.yaml"))["groups"] for rule in group["rules"]
]
SECTIONS = {
    alert: (anchor, severity, text)
    for anchor, alert, severity, text in re.findall(
        r'<a id="([a-z-]+)"></a>\n## (\w+) \((P\d)\)\n\n(.*?)(?=\n<a id=|\Z)', PAGE, re.DOTALL
    )
}
PARTS = ("Meaning", "First step", "Diagnosis", "Mitigation", "Escalation")


def part(alert: str, name: str) -> str:
    """Return one part of an alert's section on one line."""
    found = re.search(rf"^- \*\*{name}\.\*\* (.*?)(?=\n- \*\*|\Z)", SECTIONS[alert][2], re.DOTALL | re.M)
    assert found, (alert, name)
    return " ".join(found.group(1).split())


def test_every_alert_s_anchor_leads_to_its_section_and_no_section_is_without_an_alert() -> None:
    assert [
        (rule["alert"], rule["annotations"]["runbook"], rule["labels"]["severity"]) for rule in RULES
    ] == [(alert, f"#{anchor}", severity) for alert, (anchor, severity, _) in SECTIONS.items()]


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_every_section_has_its_five_parts_in_order(alert: str) -> None:
    assert tuple(re.findall(r"^- \*\*([\w ]+)\.\*\*", SECTIONS[alert][2], re.M)) == PARTS
    assert all(len(part(alert, name)) > 10 for name in PARTS)


def test_the_card_s_first_steps_and_escalations_stand_word_for_word() -> None:
    for action in seed()["runbook"]["oncall_actions"]:
        assert part(action["alert"], "First step") == action["first_step"]
        assert part(action["alert"], "Escalation") == action["escalation"]


def test_the_card_s_command_by_hand_and_its_health_check_stand_in_it() -> None:
    runbook = seed()["runbook"]

    assert runbook["manual_overrides"][0]["command"] in PAGE
    assert runbook["healthcheck"].split(" →")[0] in PAGE


def test_every_metric_it_names_is_one() -> None:
    named = set(re.findall(r"polytraders_(?:exec|host)_\w+", PAGE))

    assert named
    assert named <= {metric.full_name for metric in METRICS + HOST_METRICS}


def test_every_setting_and_verdict_it_names_is_one() -> None:
    named = set(re.findall(r"`((?:defaults|execution|book|chase|journal)\.\w+)`", PAGE))
    codes = set(re.findall(r"`([A-Z][A-Z_]{5,})`", PAGE))

    assert named
    assert named <= set(MEANINGS)
    assert codes
    assert codes <= {reason.value for reason in Reason} | {"JOURNAL"}


COMMANDS = sorted(set(re.findall(r"polytraders-pfh ([a-z-]+(?: [A-Za-z<>_.-]+)*)", PAGE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_it_names_is_one_with_these_options(line: str) -> None:
    assert isinstance(main, click.Group)
    command = main.commands[line.split(maxsplit=1)[0]]
    options = {option for parameter in command.params for option in parameter.opts}

    assert set(re.findall(r"--[a-z-]+", line)) <= options


def test_the_ways_to_stop_and_to_look_are_all_named() -> None:
    named = {line.split()[0] for line in COMMANDS}

    assert {"status", "explain", "kill", "reset-kill", "mode", "verify"} <= named
