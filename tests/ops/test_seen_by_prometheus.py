"""A real Prometheus with the shipped rules watches the host through a fault; what it saw is what is tested.

Paper exchange, host, plugin and Prometheus talk over sockets. The exchange falls silent for cancels and for
reading orders, comes back, and at last the disk under the journal fails.
"""

import asyncio
import json
import math
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ops.write_dashboard import expressions
from polytraders_hookspecs import Strategy, otel_trace_id
from support.eventually import eventually
from support.paper_town import Town, Unanswered, town
from support.prometheus import Prometheus, prometheus, tool

from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.ops.assets import asset

BOT = "polytraders_exec_partialfillhandler_"
PANELS = expressions(json.loads(asset("dashboard.json")))
DOUBT = {"DELETE /order", "GET /data/order/"}


@dataclass
class Seen:
    """What Prometheus said, and what was true at the exchange meanwhile.

    Attributes:
        calm: Alerts before anything went wrong.
        doubtful: Alerts while a cancel was in doubt, and the order's true status then.
        healed: Alerts once the exchange answered again, and the order's true status then.
        panels: Every series of every expression of the dashboard.
        traces: Trace ids of the exemplars of decisions, and that of the order that was chased.
        broken: Alerts once the disk had failed.
    """

    calm: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    doubtful_order: str = ""
    healed: dict[str, str] = field(default_factory=dict)
    healed_order: str = ""
    panels: dict[str, list[float]] = field(default_factory=dict)
    traces: set[str] = field(default_factory=set)
    chased_trace: str = ""
    broken: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    tool("prometheus")
    return asyncio.run(watched(tmp_path_factory.mktemp("town")))


async def watched(tmp_path: Path) -> Seen:
    """Let it all happen once."""
    seen, faults = Seen(), Unanswered()
    live = {"enabled": True, "mode": "general_live"}
    async with (
        town(tmp_path, settings=live, faults=faults, exchange={"heartbeat": True}) as t,
        prometheus(tmp_path / "prometheus", t.host.url) as server,
    ):
        seen.chased_trace = await chase(t)
        await remainder(t, "0.30", "hold")
        await server.until(decided_twice)
        await server.until_gone("PFHAbsent")
        seen.calm = await server.alerts()
        faults.silenced |= DOUBT
        order_id = await remainder(t, "0.31", "cancel")
        await server.until_firing("PFHCancelUnconfirmed")
        seen.doubtful, seen.doubtful_order = await server.alerts(), status(t, order_id)
        for panel, expression in PANELS.items():
            seen.panels[panel] = list((await server.query(expression)).values())
        seen.traces = {one["trace_id"] for one in await server.exemplars(f"{BOT}decisions_total")}
        faults.silenced.clear()
        await server.until_gone("PFHCancelUnconfirmed")
        seen.healed, seen.healed_order = await server.alerts(), status(t, order_id)
        await break_the_disk(t, server)
        seen.broken = await server.alerts()
    return seen


async def chase(t: Town) -> str:
    """Have an order filled in part with the market just above it; return the trace of its chase."""
    strategy = Strategy(id="momentum", partial_fill_policy="chase")
    placed = await t.rests("BUY", "0.40", 100, strategy=strategy, limit_price=Decimal("0.43"))
    await t.trades("SELL", "0.42", 200)
    await t.trades("SELL", "0.40", 30)
    await eventually(lambda: final(t, "CHASE_ORDER_SUBMITTED"), 20)
    return f"{otel_trace_id(placed.trace_id):032x}"


async def remainder(t: Town, price: str, policy: Any) -> str:
    """Have an order filled in part whose strategy wants this; return its id."""
    strategy = Strategy(id="patient", partial_fill_policy=policy)
    placed = await t.rests("BUY", price, 100, strategy=strategy)
    await t.trades("SELL", price, 30)
    return placed.order_id


async def decided_twice(server: Prometheus) -> bool:
    return await server.value(f"sum({BOT}decisions_total)") >= 2


async def break_the_disk(t: Town, server: Prometheus) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Segment, "write", broken)
        await remainder(t, "0.29", "hold")
        await server.until_firing("PFHJournalFailed")


def final(t: Town, verdict: str) -> bool:
    return t.host.registry.get_sample_value(f"{BOT}decisions_total", {"verdict": verdict}) == 1


def status(t: Town, order_id: str) -> str:
    record = t.server.exchange.order(order_id)
    assert record is not None
    return record.status


def test_nothing_fires_while_all_goes_well(seen: Seen) -> None:
    assert seen.calm == {}


def test_a_cancel_in_doubt_fires_while_the_order_is_alive_indeed(seen: Seen) -> None:
    assert (seen.doubtful, seen.doubtful_order) == ({"PFHCancelUnconfirmed": "firing"}, "LIVE")


def test_the_alert_ends_by_itself_once_the_exchange_answers_and_the_order_is_cancelled(seen: Seen) -> None:
    assert (seen.healed, seen.healed_order) == ({}, "CANCELED")


def test_a_disk_that_fails_fires(seen: Seen) -> None:
    assert seen.broken == {"PFHJournalFailed": "firing"}


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_of_the_dashboard_has_something_to_show(seen: Seen, panel: str) -> None:
    assert [value for value in seen.panels[panel] if not math.isnan(value)]


def test_exemplars_lead_from_a_decision_to_its_order_s_trace(seen: Seen) -> None:
    assert seen.chased_trace in seen.traces
