"""A host that dies and comes back on the same state directory: nothing doubles, nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, KillSwitchSignal, SignedOrder, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import (
    KEY,
    KEY_ID,
    NOW_MS,
    ROOT,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    no_reply,
    partial,
)

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.plan import Plan

Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start hosts one after the other on one state directory and one exchange."""
    hosts: list[FakeHost] = []

    async def begin(exchange: FakeExchange | None = None) -> FakeHost:
        host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
        if exchange is None:
            host.exchange.book = book()
            host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
        else:
            host.exchange = exchange
            exchange.on_cancel = exchange.on_post = exchange.on_get = exchange.on_book = None
        await host.start()
        hosts.append(host)
        return host

    yield begin
    for host in hosts:
        await crash(host)


async def crash(host: FakeHost) -> None:
    """Stop everything of a host where it stands: no drain, no last word. The log's file is let go."""
    engine = host.bot._engine
    tasks = [*engine.carrier._tasks, *engine.outbox._workers]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    engine.outbox._workers.clear()
    await engine.outbox.close(0)
    await engine.tools.journal.close()


async def chase_until(host: FakeHost, reached: asyncio.Event) -> None:
    call = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await reached.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


def hang_after(reached: asyncio.Event, then: Callable[[FakeExchange, Any], None]) -> Any:
    async def answer(exchange: FakeExchange, what: Any) -> ExchangeReply:
        then(exchange, what)
        reached.set()
        await asyncio.Event().wait()
        return no_reply()

    return answer


async def test_post_that_landed_before_the_crash_is_found_by_its_hash_and_belongs_to_its_chain(
    start: Start,
) -> None:
    host, reached = await start(), asyncio.Event()
    host.exchange.on_post = hang_after(reached, lambda exchange, order: exchange.really_post(order))
    await chase_until(host, reached)
    await crash(host)

    again = await start(host.exchange)

    (posted,) = host.exchange.posted()
    intent = again.bot._engine.tools.intents.get(posted.order_id)
    assert intent.root_order_id == ROOT
    assert [(o.order_id, o.may_fill) for o in intent.orders] == [(ROOT, False), (posted.order_id, True)]
    assert (intent.state, intent.root_price_micro) == (State.RESTING, 620_000)
    assert len(again.exchange.posted()) == 1


async def test_post_that_never_landed_keeps_its_budget_and_is_never_signed_again(start: Start) -> None:
    host, reached = await start(), asyncio.Event()
    host.exchange.on_post = hang_after(reached, lambda exchange, order: None)
    await chase_until(host, reached)
    await crash(host)

    again = await start(host.exchange)

    intent = again.bot._engine.tools.intents.get(ROOT)
    assert intent.state is State.POST_UNKNOWN
    assert intent.bounds.rest(intent.children())[0] < 10_000_000
    assert again.signer.asked == []
    report = await again.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 1))
    assert report.verdict == "REMAINDER_CLOSED"
    assert len(again.exchange.posted()) == 1


async def test_chase_after_a_restart_is_measured_from_the_root(start: Start) -> None:
    host = await start()
    first = await host.bot.on_partial_fill(partial(policy="chase"))
    await crash(host)
    host.exchange.book = book(asks=(("0.80", "5000"),), timestamp_ms=NOW_MS + 10)
    host.exchange.orders[first.new_order_id].matched = 10_000_000

    again = await start(host.exchange)
    report = await again.bot.on_partial_fill(
        partial(
            order_id=first.new_order_id,
            policy="chase",
            price="0.63",
            filled="6.3",
            remaining="243.6966",
            at_ms=NOW_MS + 10,
        )
    )

    assert report.verdict == "PARTIAL_FILL_CHASE_ABORTED"
    assert report.root_order_id == ROOT
    assert report.ticks_to_fill == 18


async def test_signed_order_that_was_held_back_is_no_order_of_the_chain(start: Start) -> None:
    host = await start()

    def kill_now(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        host.kill_switch.status_now = ConnectionError("gone")

    host.exchange.on_cancel = kill_now
    await host.bot.on_partial_fill(partial(policy="chase"))
    await crash(host)

    again = await start(host.exchange)

    assert len(host.signer.asked) == 1
    assert again.bot._engine.tools.intents.get(ROOT) is None


async def test_kill_switch_stays_latched_across_a_restart_until_it_is_reset_by_hand(start: Start) -> None:
    host = await start()
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    await crash(host)

    again = await start(host.exchange)
    report = await again.bot.on_partial_fill(partial(policy="chase"))
    reset = await again.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {"actor": "ops"})
    await crash(again)
    third = await start(host.exchange)

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    assert reset.ok
    assert not third.bot._engine.tools.kill.latched


async def test_duplicate_of_an_event_from_before_the_restart_gets_the_first_report(start: Start) -> None:
    host = await start()
    first = await host.bot.on_partial_fill(partial(policy="cancel"))
    await crash_after_commit(host)

    again = await start(host.exchange)
    duplicate = await again.bot.on_partial_fill(partial(policy="cancel"))

    assert duplicate == first
    assert len(host.exchange.cancels()) == 1


async def test_sequence_that_the_crash_cut_off_gets_its_final_report(start: Start) -> None:
    host, reached = await start(), asyncio.Event()
    host.exchange.on_post = hang_after(reached, lambda exchange, order: exchange.really_post(order))
    interim = await host.bot.on_partial_fill(partial(policy="chase"))
    await reached.wait()
    await crash_after_commit(host)

    again = await start(host.exchange)
    published = await again.reports.until(1)
    if not published[-1]["final"]:
        published = await again.reports.until(2)

    final = published[-1]
    assert interim.verdict == "PARTIAL_FILL_PENDING"
    assert (final["verdict"], final["final"]) == ("CHASE_ORDER_SUBMITTED", True)
    assert final["supersedes"] == interim.report_id
    assert final["new_order_id"] == host.exchange.posted()[0].order_id


async def test_event_that_was_accepted_and_never_reported_on_gets_its_final_report(start: Start) -> None:
    host, reached = await start(), asyncio.Event()
    host.exchange.on_cancel = hang_after(reached, lambda exchange, ids: None)
    await chase_until(host, reached)
    assert host.reports.published == []
    await crash(host)

    again = await start(host.exchange)

    (final,) = await again.reports.until(1)
    assert (final["verdict"], final["final"]) == ("HOLD_REMAINDER", True)
    assert (final["order_id"], final["event_ts_ms"]) == (ROOT, NOW_MS)
    assert Decimal(final["filled_usd"]) + Decimal(final["remaining_usd"]) == Decimal(450)


async def test_declared_size_is_not_exceeded_after_a_restart_either(start: Start) -> None:
    host = await start()
    body = {
        "trace_id": TRACE,
        "side": "BUY",
        "intended_size_usd": Decimal(300),
        "limit_price": Decimal("0.65"),
    }
    host.bot.on_decision_report(
        sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=print_json(body).encode())
    )
    await crash(host)

    again = await start(host.exchange)
    await again.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 1))

    (posted,) = again.exchange.posted()
    assert posted.maker_amount_micro <= 100_000_000


async def test_report_that_the_bus_never_got_is_offered_again(start: Start) -> None:
    host = await start()
    host.reports.down = True
    report = await host.bot.on_partial_fill(partial())
    await crash_after_commit(host)

    again = await start(host.exchange)
    published = await again.reports.until(1)

    assert [r["report_id"] for r in published] == [report.report_id]


async def test_second_signature_for_the_same_remainder_is_refused_by_the_log_itself(start: Start) -> None:
    host = await start()
    await host.bot.on_partial_fill(partial(policy="chase"))
    (posted,) = host.exchange.posted()
    intent = host.bot._engine.tools.intents.get(ROOT)
    sequencer = host.bot._engine.carrier._sequencer
    intent.orders.pop()
    intent.state = State.RECONCILED
    plan = _plan(posted)

    result = await sequencer._post_first(intent, plan, await host.signer.sign_order(_asked(host)), None)

    assert result.reason == "the journal failed with DuplicateRecord"
    assert len(host.exchange.posted()) == 1


async def test_recovery_that_is_run_twice_changes_nothing(start: Start) -> None:
    host = await start()
    await host.bot.on_partial_fill(partial(policy="chase"))
    await crash(host)

    again = await start(host.exchange)
    before = [(i.root_order_id, i.state, len(i.orders)) for i in again.bot._engine.tools.intents]
    await again.bot._engine.recovery.run()

    assert [(i.root_order_id, i.state, len(i.orders)) for i in again.bot._engine.tools.intents] == before


async def test_second_host_on_one_state_directory_posts_nothing(start: Start, tmp_path: Path) -> None:
    await start()
    other = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path)
    other.exchange.book = book()
    other.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    await other.start()

    report = await other.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert other.bot.check_health().status == "red"
    await other.stop()


def _plan(posted: SignedOrder) -> Any:
    return Plan(630_000, posted.taker_amount_micro, 650_000, False)


def _asked(host: FakeHost) -> Any:
    return host.signer.asked[0]


async def crash_after_commit(host: FakeHost) -> None:
    """Crash once what was reported is in the log."""
    host.bot._engine.reporter.flush()
    await crash(host)
