"""The alert rules, by Prometheus's own tool; and that rules, runbook and metrics name each other."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.card import card, seed
from support.prometheus import promtool

from polytraders_pfh.host.metrics import HOST_METRICS
from polytraders_pfh.ops.assets import asset
from polytraders_pfh.telemetry.names import METRICS

CASES = Path(__file__).with_name("alert_cases.yaml")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(asset("alerts.yaml"))["groups"] for rule in group["rules"]
]
ALERTS = [rule["alert"] for rule in RULES]


def test_rules_are_rules_to_promtool(tmp_path: Path) -> None:
    rules = tmp_path / "alerts.yaml"
    rules.write_bytes(asset("alerts.yaml"))

    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", str(rules))


def test_every_alert_fires_where_it_must_and_is_silent_right_beside_that() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_a_rule_that_never_fires_would_be_found(tmp_path: Path) -> None:
    rules = tmp_path / "alerts.yaml"
    rules.write_bytes(asset("alerts.yaml").replace(b"> 0.2", b"> 0.3"))
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.read_text().replace("../../polytraders_pfh/ops/assets/alerts.yaml", str(rules)))

    with pytest.raises(subprocess.CalledProcessError) as refused:
        promtool("test", "rules", str(cases))

    assert "PFHHighDustRate" in refused.value.stdout + refused.value.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    checks = [
        check
        for case in yaml.safe_load(CASES.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["alertname"] == alert
    ]

    assert {bool(check.get("exp_alerts")) for check in checks} == {True, False}


def test_the_card_s_two_alerts_stand_word_for_word() -> None:
    found = {
        rule["alert"]: (rule["expr"], rule["labels"]["severity"], rule["annotations"]["runbook"])
        for rule in RULES
    }

    for alert in card("alerts"):
        assert found[alert["name"]] == (alert["condition"], alert["severity"], alert["runbook"])


def test_the_card_s_two_alerts_fire_at_once_since_the_card_names_no_waiting_time() -> None:
    assert [rule.get("for") for rule in RULES[:2]] == [None, None]


def test_kept_copy_of_the_card_s_alerts_is_the_card_s() -> None:
    assert card("alerts") == seed()["metrics"]["alerts"]


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_every_alert_reads_a_metric_that_there_is(rule: dict[str, Any]) -> None:
    there_are = {metric.full_name for metric in METRICS + HOST_METRICS}

    assert set(re.findall(r"polytraders_\w+", rule["expr"])) <= there_are
    assert "polytraders_" in rule["expr"]
