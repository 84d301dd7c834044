"""Every metric moves for the reason it exists, and bears no label value that its table does not name."""

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from polytraders_hookspecs import (
    CancelReplace,
    CancelReplaceResult,
    KillSwitchSignal,
    hookimpl,
    otel_trace_id,
)
from polytraders_hookspecs.tracing import PolytradersIdGenerator
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.eventually import eventually
from support.fake_host import (
    NOW_MS,
    ROOT,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    no_reply,
    partial,
    reply,
)

from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine import sequencer
from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.engine.plan import Plan, plan_on
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.deferred import DeferredHistogram
from polytraders_pfh.telemetry.instruments import Instruments
from polytraders_pfh.telemetry.names import METRICS, Metric

MakeHost = Callable[..., Awaitable[FakeHost]]
MOVED: set[str] = set()


def moves(*metrics: Metric) -> Callable[[Any], Any]:
    """Mark a test as the one in which these metrics move."""

    def mark(test: Any) -> Any:
        MOVED.update(metric.name for metric in metrics)
        return test

    return mark


def order(number: int) -> str:
    return f"0x{number:064x}"


@moves(names.DECISIONS, names.REMAINDER_USD, names.DECIDE_SECONDS)
async def test_a_decision_is_counted_under_its_verdict_with_its_remainder_and_its_time(
    host: FakeHost,
) -> None:
    async def slow(exchange: FakeExchange) -> None:
        exchange.clock.ms += 30

    host.exchange.on_book = slow
    before = host.sample("decisions_total", {"verdict": "HOLD_REMAINDER"})
    await host.bot.on_partial_fill(partial())

    assert before == 0
    assert host.sample("decisions_total", {"verdict": "HOLD_REMAINDER"}) == 1
    assert (host.sample("remainder_usd_count"), host.sample("remainder_usd_sum")) == (1, 250)
    assert (host.sample("decide_seconds_count"), host.sample("decide_seconds_sum")) == (1, 0.03)


async def test_decisions_add_up_to_the_final_reports_of_the_bus_verdict_by_verdict(host: FakeHost) -> None:
    def at(number: int, **wish: Any) -> Any:
        host.exchange.orders[order(number)] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        return partial(order_id=order(number), trace_id=f"trc_{number:016x}", **wish)

    for number, wish in enumerate(({}, {"policy": "chase"}, {"policy": "cancel"}, {"remaining": "2"}), 1):
        await host.bot.on_partial_fill(at(number, **wish))
    await host.bot.on_partial_fill(at(1))  # a duplicate
    await host.bot.on_partial_fill(at(5, key=b"another key of at least 32 bytes"))
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    published = await host.reports.until(7)

    assert Counter(report["verdict"] for report in published if report["final"]) == {
        reason.value: count
        for reason in Reason
        if (count := host.sample("decisions_total", {"verdict": reason.value}))
    }


async def test_an_event_that_the_bot_failed_to_handle_is_counted_like_every_other_final_report(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(host.bot._engine.coordinator._decider, "decide", breaks)
    report = await host.bot.on_partial_fill(partial())

    assert report.final
    assert host.sample("decisions_total", {"verdict": report.verdict}) == 1


async def test_an_interim_report_is_no_decision_and_its_final_one_is(make_host: MakeHost) -> None:
    host = await make_host(execution={"timeout_ms": 20})
    gate = asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gate.wait()

    host.exchange.on_cancel = slow
    interim = await host.bot.on_partial_fill(partial(policy="cancel"))
    counted = {reason: host.sample("decisions_total", {"verdict": reason.value}) for reason in Reason}
    gate.set()
    await host.reports.until(2)

    assert interim.verdict == "PARTIAL_FILL_PENDING"
    assert set(counted.values()) == {0}
    assert host.sample("decisions_total", {"verdict": "CANCELLED_REMAINDER"}) == 1


@moves(names.CHASE_TICKS, names.CANCELS, names.POSTS)
async def test_a_chase_shows_its_ticks_and_what_the_exchange_said_to_its_cancel_and_its_post(
    host: FakeHost,
) -> None:
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert (host.sample("chase_ticks_count"), host.sample("chase_ticks_bucket", {"le": "1.0"})) == (1, 1)
    assert host.sample("chase_ticks_bucket", {"le": "0.0"}) == 0
    assert host.sample("cancels_total", {"verdict": "dead"}) == 1
    assert host.sample("posts_total", {"verdict": "accepted"}) == 1


async def test_a_market_that_came_closer_is_0_ticks_away(host: FakeHost) -> None:
    host.exchange.book = book(asks=(("0.60", "1000"),), bids=(("0.59", "1000"),))
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert (host.sample("chase_ticks_count"), host.sample("chase_ticks_sum")) == (1, 0)
    assert host.sample("chase_ticks_bucket", {"le": "0.0"}) == 1


@moves(names.STEP_SECONDS)
@pytest.mark.parametrize(
    ("step", "hook"),
    [
        ("book", "on_book"),
        ("cancel", "on_cancel"),
        ("read_order", "on_get"),
        ("read_trades", "on_trades"),
        ("post", "on_post"),
    ],
)
async def test_a_slow_exchange_shows_in_the_step_that_waited_for_it(
    host: FakeHost, step: str, hook: str
) -> None:
    async def slow(exchange: FakeExchange, *_: Any) -> None:
        exchange.clock.ms += 40

    setattr(host.exchange, hook, slow)
    await host.bot.on_partial_fill(partial(policy="chase"))

    count = host.sample("step_seconds_count", {"step": step})
    assert count
    assert host.sample("step_seconds_sum", {"step": step}) == pytest.approx(0.04 * count)


@moves(names.EVENT_AGE_SECONDS)
async def test_an_event_that_was_long_on_its_way_shows_its_age(host: FakeHost) -> None:
    host.clock.ms += 700
    await host.bot.on_partial_fill(partial())

    assert host.sample("event_age_seconds_sum") == 0.7


@moves(names.IN_FLIGHT, names.ACTIVE_INTENTS, names.SHED, names.DEFERRED)
async def test_beyond_what_may_be_in_flight_events_are_shed_and_wait_for_room(make_host: MakeHost) -> None:
    host = await make_host(execution={"max_in_flight": 1, "resume_in_flight": 1})
    gate, reached = asyncio.Event(), asyncio.Event()
    host.exchange.orders[order(1)] = Resting(size=725_806_451, price=620_000, matched=322_580_645)

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await gate.wait()

    host.exchange.on_cancel = slow
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await reached.wait()
    await host.bot.on_partial_fill(partial(order_id=order(1)))
    during = [host.sample(name) for name in ("in_flight", "active_intents", "shed_total", "deferred_events")]
    gate.set()
    await first
    await host.reports.until(3)

    assert during == [1, 1, 1, 1]
    assert [host.sample(name) for name in ("in_flight", "shed_total", "deferred_events")] == [0, 1, 0]


@moves(names.REJECTED_EVENTS)
@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("forged", {"key": b"another key of at least 32 bytes"}),
        ("malformed", {"original_size_usd": Decimal(451)}),
        ("unknown_order", {"token_id": None}),
    ],
)
async def test_a_refused_event_is_counted_under_why_it_was(
    host: FakeHost, why: str, changes: dict[str, Any]
) -> None:
    await host.bot.on_partial_fill(partial(**changes))

    counted = {why: host.sample("rejected_events_total", {"why": why}) for why in ("forged", "malformed")}
    assert host.sample("rejected_events_total", {"why": why}) == 1
    assert sum(value or 0 for value in counted.values()) == (why != "unknown_order")
    assert host.sample("decisions_total", {"verdict": "EVENT_REJECTED"}) == 1


@moves(names.CANCELS_UNCONFIRMED, names.RECONCILIATIONS)
async def test_a_cancel_without_an_answer_is_unconfirmed_until_the_exchange_says_what_became_of_it(
    host: FakeHost,
) -> None:
    host.exchange.on_cancel = host.exchange.on_get = lambda *_: no_reply()
    report = await host.bot.on_partial_fill(partial(policy="cancel"))
    during = host.sample("cancels_unconfirmed")
    host.exchange.on_cancel = host.exchange.on_get = None
    host.clock.wake()
    await eventually(lambda: host.sample("cancels_unconfirmed") == 0)

    assert (report.verdict, during) == ("CANCEL_UNCONFIRMED", 1)
    assert host.sample("cancels_total", {"verdict": "unknown"}) == 3
    assert host.sample("reconciliations_total", {"verdict": "unknown"}) == 3
    assert host.sample("reconciliations_total", {"verdict": "alive"}) == 1


@moves(names.POSTS_UNKNOWN)
async def test_a_post_without_an_answer_is_unknown_until_the_exchange_says_what_became_of_it(
    host: FakeHost,
) -> None:
    def lost(exchange: FakeExchange, signed: Any) -> Any:
        exchange.really_post(signed)
        exchange.on_get = lambda *_: reply(500, {})
        return no_reply()

    host.exchange.on_post = lost
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    during = host.sample("posts_unknown")
    host.exchange.on_get = None
    host.clock.wake()
    await eventually(lambda: host.sample("posts_unknown") == 0)

    assert (report.verdict, during) == ("CHASE_UNCONFIRMED", 1)
    assert host.sample("posts_total", {"verdict": "unknown"}) == 1
    assert host.sample("reconciliations_total", {"verdict": "alive"}) == 1


@moves(names.INVARIANT_TRIPS)
async def test_a_chase_larger_than_its_intent_trips_the_invariant_and_is_not_sent(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown(*facts: Any) -> Plan | str:
        plan = plan_on(*facts)
        assert isinstance(plan, Plan)
        return replace(plan, size_micro=plan.size_micro * 3)

    monkeypatch.setattr(sequencer, "plan_on", grown)
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.sample("invariant_trips_total") == 1
    assert host.exchange.posted() == []


async def test_another_bot_s_chase_beyond_the_cap_trips_the_invariant_too(host: FakeHost) -> None:
    class Reckless:
        @hookimpl
        async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult:
            return CancelReplaceResult(
                outcome="posted", new_order_id=order(2), price=Decimal("0.70"), size_shares=Decimal(5)
            )

    host.manager.register(Reckless())
    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.sample("invariant_trips_total") == 1


@moves(names.JOURNAL_COMMIT_SECONDS, names.JOURNAL_BACKLOG)
async def test_records_wait_in_the_backlog_while_the_disk_takes_its_time(
    durable: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, gate = Segment.write, threading.Event()

    def slow(segment: Segment, *what: Any) -> None:
        assert gate.wait(30)
        really(segment, *what)

    monkeypatch.setattr(Segment, "write", slow)
    before = durable.sample("journal_commit_seconds_count")
    await durable.bot.on_partial_fill(partial())
    await eventually(lambda: durable.sample("journal_backlog_records"))
    during = durable.sample("journal_commit_seconds_count")
    gate.set()
    await eventually(lambda: durable.sample("journal_backlog_records") == 0)

    assert before == during
    assert (durable.sample("journal_commit_seconds_count") or 0) > (during or 0)
    assert (durable.sample("journal_commit_seconds_sum") or 0) > 0


@moves(names.JOURNAL_FAILED)
async def test_a_disk_error_shows_at_once_and_for_good(
    durable: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    before = durable.sample("journal_failed")
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "write", broken)
        await durable.bot.on_partial_fill(partial())
        await eventually(lambda: durable.sample("journal_failed") == 1)

    assert before == 0
    assert durable.sample("journal_failed") == 1


@moves(names.PENDING_REPORTS, names.OLDEST_PENDING_REPORT)
async def test_while_the_bus_is_down_reports_pile_up_and_the_oldest_one_ages(host: FakeHost) -> None:
    host.reports.down = True
    await host.bot.on_partial_fill(partial())
    since_ms = host.clock.ms
    await eventually(lambda: host.sample("pending_reports") == 1)
    host.clock.ms = since_ms + 90_000
    aged = host.sample("oldest_pending_report_seconds")
    await host.bot.on_partial_fill(partial(order_id=order(3), at_ms=NOW_MS + 1, trace_id="trc_" + "0" * 16))
    await eventually(lambda: host.sample("pending_reports") == 2)
    host.reports.down = False
    host.clock.wake()
    await host.reports.until(2)
    await eventually(lambda: host.sample("pending_reports") == 0)

    assert aged == 90
    assert host.sample("oldest_pending_report_seconds") == 0


@moves(names.LOST_REPORTS)
async def test_reports_that_nobody_could_take_are_counted(
    durable: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    durable.reports.down = True
    durable.bot._engine.outbox._keep = 0
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "write", broken)
        await durable.bot.on_partial_fill(partial())
        await eventually(lambda: durable.sample("lost_reports") == 1)


@moves(names.KILL_SWITCH)
async def test_a_latched_kill_switch_shows_until_it_is_reset_by_hand(host: FakeHost) -> None:
    seen = [host.sample("kill_switch_active")]
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    seen.append(host.sample("kill_switch_active"))
    await host.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {})
    seen.append(host.sample("kill_switch_active"))

    assert seen == [0, 1, 0]


@moves(names.MODE)
@pytest.mark.parametrize("mode", [mode.value for mode in Mode])
async def test_the_mode_in_force_and_no_other_shows_as_1(make_host: MakeHost, mode: str) -> None:
    host = await make_host(mode=mode)

    assert {m.value: host.sample("mode", {"mode": m.value}) for m in Mode} == {
        m.value: float(m.value == mode) for m in Mode
    }


def test_a_gauge_that_cannot_be_read_costs_no_other_metric() -> None:
    def changing() -> float:
        raise RuntimeError("dictionary changed size during iteration")

    registry = CollectorRegistry()
    make = Instruments(registry)
    make.shown(names.IN_FLIGHT, changing)
    make.shown(names.ACTIVE_INTENTS, lambda: 3)

    text = generate_latest(registry).decode()
    assert f"\n{names.IN_FLIGHT.full_name} NaN\n" in text
    assert f"\n{names.ACTIVE_INTENTS.full_name} 3.0\n" in text


def test_a_scrape_in_another_thread_misses_no_observation() -> None:
    registry, stop = CollectorRegistry(), threading.Event()
    deferred = DeferredHistogram("waits", "Waits.", (0.1,), registry)

    def scrape() -> None:
        while not stop.is_set():
            generate_latest(registry)

    scraping = threading.Thread(target=scrape)
    scraping.start()
    for _ in range(30_000):
        deferred.observe(0.05)
    stop.set()
    scraping.join()

    assert registry.get_sample_value("waits_count") == 30_000


@pytest.mark.parametrize("derived", [True, False])
async def test_what_a_sampled_span_covers_carries_exemplars_with_its_trace_and_nothing_else_does(
    tmp_path: Path, derived: bool
) -> None:
    provider = TracerProvider(id_generator=PolytradersIdGenerator() if derived else None)
    host = FakeHost({"mode": "general_live"}, tmp_path, tracer_provider=provider)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.start()
    with provider.get_tracer("host").start_as_current_span("the host's own") as outer:
        await host.bot.on_partial_fill(partial(policy="chase"))
    await host.stop()

    trace_id = otel_trace_id(TRACE) if derived else outer.get_span_context().trace_id
    assert exemplars(host.metrics_registry) == {
        (metric.full_name.removesuffix("_total"), f"{trace_id:032x}")
        for metric in (
            names.DECISIONS,
            names.REMAINDER_USD,
            names.CHASE_TICKS,
            names.DECIDE_SECONDS,
            names.STEP_SECONDS,
        )
    }


def exemplars(registry: CollectorRegistry) -> set[tuple[str, str]]:
    """Return each metric with an exemplar, as OpenMetrics text shows it, and the trace that it names."""
    text = generate_openmetrics(registry).decode()
    return {
        (family.name, sample.exemplar.labels["trace_id"])
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_every_metric_moves_in_one_of_these_tests() -> None:
    assert {metric.name for metric in METRICS} == MOVED


async def test_every_label_value_is_there_from_the_start_and_no_other_is(host: FakeHost) -> None:
    assert label_values(host.metrics_registry) == {
        metric.full_name: set(*metric.labels.values()) for metric in METRICS if metric.labels
    }


def label_values(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Return each labelled metric's values; `le` is a bucket's, not ours."""
    found: dict[str, set[str]] = {}
    for family in registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        for sample in family.samples:
            for label, value in sample.labels.items():
                if label != "le":
                    found.setdefault(name, set()).add(value)
    return found
