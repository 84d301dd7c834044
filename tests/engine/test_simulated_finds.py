"""What the simulator found, each as the smallest case that shows it."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from pathlib import Path

from polytraders_hookspecs import (
    CancelReplace,
    CancelReplaceResult,
    KillSwitchSignal,
    OrderFacts,
    SignedEvent,
    hookimpl,
    sign_event,
)
from support.fake_host import (
    KEY,
    KEY_ID,
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    no_reply,
    partial,
)

from polytraders_pfh import plugin
from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.journal import Commit


def living(state_dir: Path, exchange: FakeExchange | None = None, **config: object) -> FakeHost:
    """Return a host that is not started, on an exchange of its own or one that outlived another host."""
    host = FakeHost(config={"mode": "general_live"} | config, state_dir=state_dir)
    if exchange is not None:
        host.exchange = exchange
        return host
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    return host


async def die(host: FakeHost) -> None:
    """Stop a host where it stands, once what it reported is in its log."""
    engine = host.bot._engine
    engine.reporter.flush()
    tasks = [*engine.carrier._tasks, *engine.outbox._workers]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    engine.outbox._workers.clear()
    await engine.outbox.close(0)
    await engine.tools.journal.close()


def described(order_id: str) -> OrderFacts:
    """Return what the order-lifecycle manager says of an order like the card's."""
    return OrderFacts(
        order_id=order_id,
        market_id=MARKET,
        token_id=TOKEN,
        trace_id=TRACE,
        side="BUY",
        price="0.62",
        size_shares="725.806451",
        filled_shares="322.580645",
        status="PARTIAL",
    )


def ended(order_id: str) -> SignedEvent:
    """Return the signed end of an order."""
    body = b'{"order_id":"%s","status":"CANCELLED"}' % order_id.encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=body)


async def test_event_that_comes_again_while_recovery_waits_gets_the_first_answer_and_one_end(
    tmp_path: Path,
) -> None:
    host, sent = living(tmp_path), asyncio.Event()

    async def hang(exchange: FakeExchange, order: object) -> object:
        exchange.really_post(order)
        sent.set()
        await asyncio.Event().wait()
        return no_reply()

    host.exchange.on_post = hang
    await host.start()
    interim = await host.bot.on_partial_fill(partial(policy="chase"))
    await sent.wait()
    await die(host)
    again = living(tmp_path, host.exchange)
    host.exchange.on_post = None
    facts_asked = asyncio.Event()

    async def silent() -> tuple[()]:
        facts_asked.set()
        await asyncio.Event().wait()
        return ()

    honest, again.orders.open_partials = again.orders.open_partials, silent
    starting = asyncio.ensure_future(again.start())
    await facts_asked.wait()

    duplicate = await again.bot.on_partial_fill(partial(policy="chase"))
    again.orders.open_partials = honest
    again.clock.wake()
    await starting
    published = await again.reports.until(2)

    assert duplicate.report_id == interim.report_id
    assert [r["supersedes"] for r in published if r["final"]] == [interim.report_id]
    await again.stop()


async def test_old_event_of_an_order_that_has_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    host = living(tmp_path, journal={"durable": False})
    await host.start()
    host.exchange.orders[ROOT].status = "CANCELED"

    report = await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS - 60_000))

    assert report.verdict == "REMAINDER_CLOSED"
    assert host.bot._engine.tools.intents.get(ROOT).state is State.CLOSED
    await host.stop()


async def test_what_an_order_filled_before_another_bot_took_it_counts_against_the_next_chase(
    tmp_path: Path,
) -> None:
    host = living(tmp_path, journal={"durable": False})
    await host.start()
    new, root = "0x" + "ee" * 32, host.exchange.orders[ROOT]

    class Optimiser:
        @hookimpl
        async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult:
            root.matched, root.status = 500_000_000, "CANCELED"
            host.exchange.orders[new] = Resting(225_800_000, 630_000, 10_000_000)
            return CancelReplaceResult(
                outcome="posted", new_order_id=new, price=Decimal("0.63"), size_shares=Decimal("225.8")
            )

    optimiser = Optimiser()
    host.manager.register(optimiser)
    await host.bot.on_partial_fill(partial(policy="chase"))
    host.manager.unregister(optimiser)
    host.exchange.book = book(asks=(("0.64", "1000"),), timestamp_ms=NOW_MS + 1)
    host.bot.on_book_update(host.exchange.book)

    report = await host.bot.on_partial_fill(
        partial(order_id=new, price="0.63", filled="6.3", remaining="135.954", at_ms=NOW_MS + 1)
    )

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    (posted,) = host.exchange.posted()
    spent_usd_micro = 500 * 620_000 + 10 * 630_000 + posted.maker_amount_micro
    assert spent_usd_micro <= 450_000_000
    await host.stop()


async def test_shed_event_of_an_order_that_is_forgotten_by_its_second_look_gets_its_final_report(
    tmp_path: Path,
) -> None:
    config = {"max_in_flight": 1, "tombstone_ms": 0}
    host = living(tmp_path, journal={"durable": False}, execution=config)
    await host.start()
    other, sent, let_go = "0x" + "d4" * 32, asyncio.Event(), asyncio.Event()
    host.orders.known[ROOT] = described(ROOT)
    await host.bot.on_partial_fill(partial(market_id=None))

    async def slowly(exchange: FakeExchange, order_ids: tuple[str, ...]) -> None:
        sent.set()
        await let_go.wait()

    host.exchange.on_cancel = slowly
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(order_id=other, policy="cancel")))
    await sent.wait()
    shed = await host.bot.on_partial_fill(partial(market_id=None, at_ms=NOW_MS + 1))
    await host.bot.on_order_closed(ended(ROOT))
    host.orders.known.clear()
    let_go.set()
    await first
    published = await host.reports.until(4)

    assert shed.verdict == "PARTIAL_FILL_SHED"
    ends = [(r["verdict"], r["supersedes"]) for r in published if r["final"] and "supersedes" in r]
    assert ends == [("REMAINDER_CLOSED", shed.report_id)]
    await host.stop()


async def test_event_whose_report_reached_the_disk_and_its_acceptance_did_not_is_answered_as_before(
    tmp_path: Path,
) -> None:
    host = living(tmp_path)
    await host.start()
    reporter = host.bot._engine.reporter
    reporter._accept = lambda *_: None
    first = await host.bot.on_partial_fill(partial())
    await die(host)

    again = living(tmp_path, host.exchange)
    again.exchange.book = ConnectionError("the book is gone")
    await again.start()
    duplicate = await again.bot.on_partial_fill(partial())

    assert duplicate == first
    await again.stop()


async def test_remainders_are_cancelled_although_the_host_never_began_to_wait_for_the_kill(
    tmp_path: Path,
) -> None:
    host = living(tmp_path, journal={"durable": False})
    await host.start()
    await host.bot.on_partial_fill(partial())

    async def wait_for(answer: Awaitable[object]) -> None:
        await answer

    signal = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill")
    waiting = asyncio.ensure_future(wait_for(host.bot.on_killswitch(signal)))
    waiting.cancel()
    published = await host.reports.until(2)

    assert host.exchange.live() == []
    assert published[-1]["verdict"] == "KILL_SWITCH_ACTIVE"
    await host.stop()


async def test_record_that_lags_during_recovery_does_not_widen_the_next_chase(tmp_path: Path) -> None:
    host = living(tmp_path)
    await host.start()
    first = await host.bot.on_partial_fill(partial(policy="chase"))
    await die(host)
    again, new = living(tmp_path, host.exchange), str(first.new_order_id)
    honest = host.exchange.orders[ROOT].matched

    def lagging(exchange: FakeExchange, order_id: str) -> None:
        exchange.orders[ROOT].matched = 0

    again.exchange.on_get = lagging
    await again.start()
    again.exchange.on_get = None
    again.exchange.orders[ROOT].matched = honest
    again.exchange.orders[new].matched = 10_000_000
    again.exchange.book = book(asks=(("0.64", "1000"),), timestamp_ms=NOW_MS + 1)
    remaining = again.exchange.orders[new].size * 63 // 100 - 6_300_000

    report = await again.bot.on_partial_fill(
        partial(
            order_id=new,
            policy="chase",
            price="0.63",
            filled="6.3",
            remaining=str(Decimal(remaining) / 1_000_000),
            at_ms=NOW_MS + 1,
        )
    )

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    posted = again.exchange.posted()[-1]
    assert honest * 620_000 + 10_000_000 * 630_000 + posted.maker_amount_micro * 1_000_000 <= 450 * 10**12
    await again.stop()


async def test_kill_switch_that_went_on_before_the_log_was_open_survives_a_restart(tmp_path: Path) -> None:
    host = living(tmp_path)
    host.bot = plugin.register_bot(host)
    host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill")).cancel()
    await host.bot.on_host_start()
    await die(host)

    again = living(tmp_path, host.exchange)
    await again.start()

    assert again.bot._engine.tools.kill.latched
    await again.stop()


async def test_kill_switch_that_goes_on_while_an_earlier_reset_is_recorded_stays_on(tmp_path: Path) -> None:
    host = living(tmp_path, journal={"durable": False})
    await host.start()
    journal, slow = host.bot._engine.tools.journal, Commit()
    honest, journal.append = journal.append, lambda record: slow
    bot_id = "exec.partialfillhandler"
    reset = asyncio.ensure_future(host.bot.on_bot_command(bot_id, "reset-kill", {"actor": "ops"}))
    await asyncio.sleep(0)
    journal.append = honest

    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    slow.settle(1)

    assert not (await reset).ok
    assert host.bot._engine.tools.kill.latched
    await host.stop()


async def test_room_that_comes_while_a_shed_event_is_described_is_used_for_it(tmp_path: Path) -> None:
    host = living(tmp_path, journal={"durable": False}, execution={"max_in_flight": 1})
    await host.start()
    other, let_go, asked, told = "0x" + "d4" * 32, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(exchange: FakeExchange, order_ids: tuple[str, ...]) -> None:
        await let_go.wait()

    async def facts(order_id: str) -> OrderFacts:
        asked.set()
        await told.wait()
        return described(order_id)

    host.exchange.on_cancel, host.orders.get = slowly, facts
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await asyncio.sleep(0)
    shedding = asyncio.ensure_future(host.bot.on_partial_fill(partial(order_id=other, market_id=None)))
    async with asyncio.timeout(5):
        await asked.wait()
    let_go.set()
    await first
    told.set()
    shed = await shedding
    published = await host.reports.until(3)

    assert shed.verdict == "PARTIAL_FILL_SHED"
    assert [r["supersedes"] for r in published if r["order_id"] == other and r["final"]] == [shed.report_id]
    await host.stop()


async def test_shed_event_whose_facts_cannot_be_asked_for_again_gets_its_final_report(tmp_path: Path) -> None:
    host = living(tmp_path, journal={"durable": False}, execution={"max_in_flight": 1})
    await host.start()
    other, let_go = "0x" + "d4" * 32, asyncio.Event()
    host.orders.known[other] = described(other)

    async def slowly(exchange: FakeExchange, order_ids: tuple[str, ...]) -> None:
        await let_go.wait()

    host.exchange.on_cancel = slowly
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await asyncio.sleep(0)

    shed = await host.bot.on_partial_fill(partial(order_id=other, market_id=None, token_id=None))
    host.orders.known.clear()
    let_go.set()
    await first
    published = await host.reports.until(3)

    assert (shed.verdict, shed.final) == ("PARTIAL_FILL_SHED", False)
    assert [r["supersedes"] for r in published if r["order_id"] == other and r["final"]] == [shed.report_id]
    await host.stop()


async def test_cancel_by_hand_that_nobody_waits_for_any_more_leaves_nothing_the_kill_switch_cannot_cancel(
    tmp_path: Path,
) -> None:
    host = living(tmp_path, journal={"durable": False})
    await host.start()
    await host.bot.on_partial_fill(partial())
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def slowly(exchange: FakeExchange, order_ids: tuple[str, ...]) -> None:
        asked.set()
        await let_go.wait()

    host.exchange.on_cancel = slowly
    by_hand = asyncio.ensure_future(
        host.bot.on_bot_command("exec.partialfillhandler", "cancel-remainder", {"order": ROOT})
    )
    async with asyncio.timeout(5):
        await asked.wait()
    by_hand.cancel()
    await asyncio.wait({by_hand})
    killing = host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    let_go.set()
    assert killing is not None
    await killing

    assert host.exchange.live() == []
    assert {intent.state for intent in host.bot._engine.tools.intents} == {State.CLOSED}
    await host.stop()


async def test_old_event_after_a_restart_does_not_reopen_an_order_that_the_log_says_has_ended(
    tmp_path: Path,
) -> None:
    first = living(tmp_path)
    await first.start()
    await first.bot.on_partial_fill(partial(policy="cancel"))
    await die(first)
    again = living(tmp_path, first.exchange)

    async def never(exchange: FakeExchange, order_id: str) -> None:
        await asyncio.Event().wait()

    await again.start()
    again.exchange.on_get = never
    answer = await again.bot.on_partial_fill(partial(at_ms=NOW_MS - 1, policy="cancel"))

    assert answer.verdict != "CANCELLED_REMAINDER"
    assert {intent.state for intent in again.bot._engine.tools.intents} <= {State.CLOSED}
    await again.stop()
