"""The Grafana dashboard: what ships is what the builder gives, and every expression is PromQL.

Whether Grafana draws it well is not tested; no Grafana runs here.
"""

import json
import re
from pathlib import Path

import yaml
from ops.write_dashboard import built, expressions
from support.prometheus import promtool

from polytraders_pfh.host.metrics import HOST_METRICS
from polytraders_pfh.ops.assets import asset
from polytraders_pfh.telemetry.names import METRICS

BOARD = json.loads(asset("dashboard.json"))
EXPRESSIONS = expressions(BOARD)


def test_what_ships_is_what_the_builder_gives() -> None:
    """After a change: python tests/ops/write_dashboard.py"""
    assert asset("dashboard.json").decode() == built()


def test_every_expression_is_read_by_promtool(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(EXPRESSIONS.values())
    ]
    wrapped = tmp_path / "wrapped.yaml"
    wrapped.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"{len(rules)} rules found" in promtool("check", "rules", str(wrapped))


def test_every_metric_is_on_it_and_nothing_that_is_none() -> None:
    shown = set(re.findall(r"polytraders_\w+", " ".join(EXPRESSIONS.values())))

    assert {name.removesuffix("_bucket") for name in shown} == {m.full_name for m in METRICS + HOST_METRICS}


def test_every_panel_has_its_own_id_and_asks_the_chosen_data_source() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    sources = {
        json.dumps(target["datasource"], sort_keys=True)
        for panel in BOARD["panels"]
        for target in panel.get("targets", ())
    }

    assert len(set(ids)) == len(ids)
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["datasource"]
