"""The card's three failure injections over the real protocol: host, plugin, paper exchange, sockets.

Each is looked at from all four sides at once: the report on the bus, the metrics that a real Prometheus
scraped, the order's trace as a collector received it over OTLP, and the alerts that Prometheus raised from
the rules as they are shipped. What the exchange says of the order is the truth that they are held to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_hookspecs import ExecutionReport, Strategy, otel_trace_id
from support.card import seed
from support.eventually import eventually
from support.otlp_receiver import Collector, Received, collector
from support.paper_town import Town, town
from support.prometheus import Prometheus, prometheus, tool

from polytraders_pfh.host import Placement
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut

BOT = "polytraders_exec_partialfillhandler_"
LIVE = {
    "enabled": True,
    "mode": "general_live",
    "execution": {"timeout_ms": 5_000, "call_timeout_ms": 10_000},
}
"""A busy machine is no fault of the exchange's."""
HOLD = Strategy(id="patient", partial_fill_policy="hold")
CHASE = Strategy(id="momentum", partial_fill_policy="chase")
SCENARIOS = ("BOOK_THIN_ON_PARTIAL", "CHASE_TICKS_EXCEEDED", "KILL_SWITCH_ON_PARTIAL")


@dataclass
class Scene:
    """A town, and the three who watch it."""

    town: Town
    prometheus: Prometheus
    collector: Collector

    async def report(self, order_id: str, verdict: str = "") -> ExecutionReport:
        """The order's final report, or its one of that verdict, as the bus has it."""
        await eventually(lambda: self._finals(order_id, verdict), 20)
        (report,) = self._finals(order_id, verdict)
        return report

    def _finals(self, order_id: str, verdict: str) -> list[ExecutionReport]:
        bus: Any = self.town.host.bus
        reports = [ExecutionReport.from_json(message.payload) for message in bus.messages]
        finals = [report for report in reports if report.order_id == order_id and report.final]
        return [report for report in finals if verdict in {"", report.verdict}]

    async def decisions(self, verdict: str, count: int) -> None:
        """Return once Prometheus has scraped so many decisions of a verdict."""
        series = f'{BOT}decisions_total{{verdict="{verdict}"}}'

        async def seen(server: Prometheus) -> bool:
            return await server.value(series) == count

        await self.prometheus.until(seen)

    async def firing(self) -> set[str]:
        """The alerts that fire now, by the rules as they are shipped."""
        return {name for name, state in (await self.prometheus.alerts()).items() if state == "firing"}

    async def trace(self, trace_id: str) -> list[Received]:
        """The order's spans, as the collector has them, told by its tag and its derived id alike."""
        await asyncio.to_thread(self.town.host.tracers.force_flush)
        found = self.collector.searched(trace_id)
        assert {span.trace_id for span in found} == {f"{otel_trace_id(trace_id):032x}"}
        return found

    def status(self, order_id: str) -> str:
        """What the exchange says of the order."""
        record = self.town.server.exchange.order(order_id)
        assert record is not None
        return record.status


@asynccontextmanager
async def scene(tmp_path: Path, faults: Any = None) -> AsyncIterator[Scene]:
    tool("prometheus")
    with collector() as listening:
        telemetry = {"otlp_endpoint": listening.url}
        async with (
            town(tmp_path, settings=LIVE, faults=faults, telemetry=telemetry) as t,
            prometheus(tmp_path / "prometheus", t.host.url) as server,
        ):
            yield Scene(t, server, listening)


def test_these_are_the_card_s_three_scenarios() -> None:
    assert tuple(each["scenario"] for each in seed()["failure_injection"]) == SCENARIOS


async def test_book_thin_on_partial_cancels_the_remainder_and_the_next_one_is_judged_afresh(
    tmp_path: Path,
) -> None:
    """BOOK_THIN_ON_PARTIAL: the contra side is drained to less than 10 pUSD."""
    async with scene(tmp_path) as s:
        deep = await s.town.rival.place(s.town.wish("SELL", "0.45", 200))
        await s.town.rests("BUY", "0.10", 50)  # the host watches the market from its first order on
        await s.town.trades("SELL", "0.46", 10)
        await s.town.rival.clob.cancel_orders((deep.order_id,))
        thin = await partly_filled(s, "0.40", HOLD)
        report = await s.report(thin.order_id)
        await s.decisions("PARTIAL_FILL_BOOK_THIN_CANCEL", 1)
        alerts = await s.firing()
        spans = await s.trace(thin.trace_id)
        await s.town.trades("SELL", "0.46", 200)
        again = await partly_filled(s, "0.40", HOLD)
        recovered = await s.report(again.order_id)

        assert (s.status(thin.order_id), s.status(again.order_id)) == ("CANCELED", "LIVE")

    assert (report.verdict, report.severity, report.executed) == (
        "PARTIAL_FILL_BOOK_THIN_CANCEL",
        "WARN",
        True,
    )
    assert (report.remaining_usd, report.book_depth_usd) == (Decimal(32), Decimal("4.6"))
    assert alerts == set(), "it heals by itself and wakes nobody"
    event = told(spans, report)
    assert event.attributes["polytraders.book_depth_usd"] == "4.6"
    assert event.attributes["polytraders.cancel_on_book_thin"] is True
    assert event.events == [("PARTIAL_FILL_BOOK_THIN_CANCEL", {"polytraders.severity": "WARN"})]
    assert outcomes(spans, "pfh.cancel") == ["dead"]
    assert outcomes(spans, "pfh.post") == []
    assert recovered.verdict == "HOLD_REMAINDER"


async def test_chase_ticks_exceeded_aborts_the_chase_and_raises_the_card_s_alert(tmp_path: Path) -> None:
    """CHASE_TICKS_EXCEEDED: the market is 15 ticks from the order when it fills in part, policy chase.

    The card's alert is for a spike: more than 0.1 aborts a second over five minutes, so more than 30 of them.
    """
    async with scene(tmp_path) as s:
        await s.town.trades("SELL", "0.55", 100)
        aborted, reports = [], []
        for _ in range(34):
            aborted.append(await partly_filled(s, "0.40", CHASE))
            reports.append(await s.report(aborted[-1].order_id))
        await s.decisions("PARTIAL_FILL_CHASE_ABORTED", len(aborted))
        await s.prometheus.until_firing("PFHChaseAbortRate")
        alerts = await s.firing()
        ticks = await s.prometheus.query(f'{BOT}chase_ticks_bucket{{le=~"10.0|15.0"}}')
        spans = await s.trace(aborted[0].trace_id)

        assert {s.status(placed.order_id) for placed in aborted} == {"CANCELED"}

    assert {(report.verdict, report.ticks_to_fill) for report in reports} == {
        ("PARTIAL_FILL_CHASE_ABORTED", Decimal(15))
    }
    assert sorted(ticks.values()) == [0, len(aborted)]
    assert alerts == {"PFHChaseAbortRate"}
    event = told(spans, reports[0])
    assert (
        event.attributes["polytraders.ticks_to_fill"],
        event.attributes["polytraders.chase_max_ticks"],
    ) == (
        "15",
        3,
    )
    assert event.events == [("PARTIAL_FILL_CHASE_ABORTED", {"polytraders.severity": "WARN"})]
    assert outcomes(spans, "pfh.cancel") == ["dead"]
    assert outcomes(spans, "pfh.post") == []


async def test_kill_switch_on_partial_cancels_the_remainder_and_chases_nothing_until_it_is_reset(
    tmp_path: Path,
) -> None:
    """KILL_SWITCH_ON_PARTIAL: it goes on while a chase's cancel is on its way to the exchange."""
    faults = AtTheCancel()
    async with scene(tmp_path, faults) as s:
        await s.town.trades("SELL", "0.55", 100)
        resting = await partly_filled(s, "0.40", HOLD)
        await s.report(resting.order_id, "HOLD_REMAINDER")
        await s.town.trades("SELL", "0.43", 300)
        faults.then = lambda: faults.switched_on(s)
        chased = await partly_filled(s, "0.41", CHASE)
        killed = "KILL_SWITCH_ACTIVE"
        reports = [await s.report(placed.order_id, killed) for placed in (chased, resting)]
        await s.decisions("KILL_SWITCH_ACTIVE", 2)
        await s.prometheus.until_firing("PFHKillSwitchActive")
        alerts, latched = await s.firing(), await s.prometheus.value(f"{BOT}kill_switch_active")
        chased_spans, resting_spans = await s.trace(chased.trace_id), await s.trace(resting.trace_id)
        await s.town.host.kill_switch.signal(False, "drill over", "ann")
        still_latched = await s.prometheus.value(f"{BOT}kill_switch_active")
        by_hand = {"actor": "ann", "reason": "drill over"}
        reset = await s.town.host.command("exec.partialfillhandler", "reset-kill", by_hand)
        await s.prometheus.until_gone("PFHKillSwitchActive")

        assert {s.status(placed.order_id) for placed in (resting, chased)} == {"CANCELED"}
        assert faults.posts_after == 0

    assert [report.verdict for report in reports] == ["KILL_SWITCH_ACTIVE"] * 2
    assert [report.new_order_id for report in reports] == [None, None]
    assert (alerts, latched, still_latched) == ({"PFHKillSwitchActive"}, 1, 1)
    hard = {"polytraders.severity": "HARD_REJECT"}
    event = told(chased_spans, reports[0])
    assert ("KILL_SWITCH_ACTIVE", hard) in event.events
    (sweep,) = [span for span in resting_spans if span.name == "pfh.killswitch"]
    assert sweep.events == [("KILL_SWITCH_ACTIVE", hard)]
    assert outcomes(chased_spans, "pfh.cancel") == ["dead"]
    assert outcomes(chased_spans + resting_spans, "pfh.post") == []
    assert reset is not None
    assert reset.ok


class AtTheCancel:
    """Lets something happen while a cancel is on its way; counts the posts that reach the exchange later."""

    def __init__(self) -> None:
        self.then: Callable[[], Awaitable[None]] | None = None
        self.posts_after = 0
        self._happened = False
        self._signal: asyncio.Task[Any] | None = None

    async def switched_on(self, s: Scene) -> None:
        """Signal; return once the bot has latched it, though its answer waits for the cancel under way."""
        self._signal = asyncio.create_task(s.town.host.kill_switch.signal(True, "drill", "ann"))
        registry = s.town.host.registry
        await eventually(lambda: registry.get_sample_value(f"{BOT}kill_switch_active") == 1)

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        if call.method == "DELETE" and self.then is not None:
            then, self.then, self._happened = self.then, None, True
            await then()
        self.posts_after += self._happened and call.method == "POST" and call.path == "/order"
        return None

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        return answer


async def partly_filled(s: Scene, price: str, strategy: Strategy) -> Placement:
    """Rest 100 shares and have 20 of them filled."""
    limit = Decimal("0.43") if strategy is CHASE else None
    placed = await s.town.rests("BUY", price, 100, strategy=strategy, limit_price=limit)
    await s.town.trades("SELL", price, 20)
    return placed


def told(spans: list[Received], report: ExecutionReport) -> Received:
    """The event's span, which the report names as its own; its report was sent below it."""
    (event,) = [span for span in spans if span.name == "pfh.partial_fill"]
    (host,) = [span for span in spans if span.name == "host on_partial_fill"]
    (sent,) = [span for span in spans if span.attributes.get("messaging.message.id") == report.report_id]
    assert report.traceparent == f"00-{event.trace_id}-{event.span_id}-01"
    assert (event.parent_id, sent.parent_id) == (host.span_id, event.span_id)
    assert event.attributes["polytraders.verdict"] == report.verdict
    return event


def outcomes(spans: list[Received], step: str) -> list[Any]:
    return [span.attributes.get("polytraders.outcome") for span in spans if span.name == step]
