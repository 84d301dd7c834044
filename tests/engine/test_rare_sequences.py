"""What hardly ever happens between a cancel and a post, to the post's own checks, and to a sweep."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import (
    CancelReplaceResult,
    ExchangeReply,
    KillSwitchSignal,
    SignedOrder,
    StreamGap,
    hookimpl,
)
from support.fake_host import NOW_MS, ROOT, FakeExchange, FakeHost, Resting, book, no_reply, partial, reply

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.core.policy import Action, Decision, Kill, Policy
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.intents import ChainOrder
from polytraders_pfh.engine.killing import Killer
from polytraders_pfh.engine.orders import unsigned_chase
from polytraders_pfh.engine.plan import Plan
from polytraders_pfh.engine.seen import SeenEvents
from polytraders_pfh.engine.sequencer import Sequencer

OTHER = "0x" + "d4" * 32
EARLIER = "0x" + "b2" * 32
KILLING = Decision(Action.CANCEL, Reason.KILL_SWITCH_ACTIVE, 3, Policy.HOLD)


def engine_of(host: FakeHost) -> Any:
    return host.bot._engine


def intent_of(host: FakeHost) -> Any:
    return engine_of(host).tools.intents.get(ROOT)


async def test_sequence_that_outlives_the_drain_is_cut_off(host: FakeHost) -> None:
    reached = asyncio.Event()

    async def hang(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await asyncio.Event().wait()

    host.exchange.on_cancel = hang
    call = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await reached.wait()
    await engine_of(host).carrier.close(0.01)

    assert engine_of(host).carrier._tasks == set()
    await asyncio.gather(call, return_exceptions=True)


async def test_cancel_that_breaks_off_leaves_its_order_in_doubt_and_is_asked_for(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(Sequencer, "settle_cancel", broken)
        report = await host.bot.on_partial_fill(partial(policy="cancel"))
    host.clock.wake()
    async with asyncio.timeout(5):
        while intent_of(host) is not None and intent_of(host).state is not State.CLOSED:
            await asyncio.sleep(0)

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert "a sequence broke off with RuntimeError" in report.detail
    assert host.exchange.live() == []


async def test_bot_that_its_host_s_relay_does_not_know_carries_its_chase_out_itself(
    host: FakeHost,
) -> None:
    host.manager.unregister(host.bot)

    report = await host.bot.on_partial_fill(partial(policy="chase"))
    host.manager.register(host.bot)

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_optimiser_that_posted_without_saying_which_leaves_a_doubt(host: FakeHost) -> None:
    class Silent:
        @hookimpl
        async def on_cancel_replace(self, instruction: object) -> CancelReplaceResult:
            return CancelReplaceResult(outcome="posted")

    host.manager.register(Silent())

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert "without saying which" in report.detail
    assert host.exchange.posted() == []


async def test_cancel_in_doubt_of_an_order_that_the_exchange_denies_is_never_given_up(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda *_: no_reply()
    host.exchange.on_get = lambda *_: reply(404, {"error": "Order not found"})
    await host.bot.on_partial_fill(partial(policy="cancel"))
    asked = len(host.exchange.calls)
    host.clock.wake()
    async with asyncio.timeout(5):
        while host.clock.ms < NOW_MS + 90_000:
            await asyncio.sleep(0)

    assert intent_of(host).state is State.CANCEL_UNKNOWN
    assert len(host.exchange.calls) > asked + 60


async def test_of_earlier_orders_only_those_not_read_yet_are_read_before_a_chase(
    host: FakeHost,
) -> None:
    await host.bot.on_partial_fill(partial(policy="chase", wide=True))
    intent = intent_of(host)
    intent.orders.insert(0, ChainOrder(EARLIER, 620_000, 1_000_000, may_fill=False, unread=False))
    intent.orders[1].unread = True
    host.exchange.calls.clear()
    live = intent.working.order_id

    await host.bot.on_partial_fill(
        partial(
            order_id=live, price="0.63", filled="10", remaining="239.99", policy="chase", at_ms=NOW_MS + 1
        )
    )

    assert ("get", ROOT) in host.exchange.calls
    assert ("get", EARLIER) not in host.exchange.calls


async def test_nothing_is_posted_while_an_earlier_order_cannot_be_read(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(policy="chase"))
    intent = intent_of(host)
    intent.orders[0].unread = True
    host.exchange.on_get = lambda exchange, order_id: no_reply() if order_id == ROOT else None
    host.exchange.book = book(asks=(("0.64", "1000"),), timestamp_ms=NOW_MS + 1)
    host.bot.on_book_update(host.exchange.book)
    fill = {"order_id": intent.working.order_id, "price": "0.63", "filled": "10", "remaining": "239.99"}

    report = await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 1, **fill))

    assert report.verdict == "HOLD_REMAINDER"
    assert "what an earlier order of its intent had filled is not known" in report.detail
    assert len(host.exchange.posted()) == 1


async def test_signer_that_hangs_posts_nothing(make_host: Any) -> None:
    host = await make_host(execution={"call_timeout_ms": 20})

    async def never(order: object) -> SignedOrder:
        await asyncio.Event().wait()
        raise AssertionError

    host.signer.sign_order = never

    report = await host.bot.on_partial_fill(partial(policy="chase"))
    final = (await host.reports.until(1))[-1] if report.final else (await host.reports.until(2))[-1]

    assert (final["verdict"], host.exchange.posted()) == ("CANCELLED_REMAINDER", [])
    assert "the signer did not answer within 0.02 s" in final["detail"]


async def test_salt_that_a_double_cannot_hold_posts_nothing(host: FakeHost) -> None:
    host.signer.twist = lambda signed: signed.model_copy(update={"salt": 2**53})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []
    assert "salt was 9007199254740992; it must be below 2^53" in report.detail


async def test_size_that_makes_no_whole_micro_pusd_is_no_order(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())

    with pytest.raises(ValueError, match="not a whole number of micro-pUSD"):
        unsigned_chase(intent_of(host), 630_001, 10_001, False)


async def test_market_whose_contract_is_not_known_gets_no_order(host: FakeHost) -> None:
    host.exchange.book = book(neg_risk=None)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []
    assert "whether the market is a neg-risk one is not known" in report.detail


async def test_market_that_stops_trading_during_the_cancel_gets_no_order(host: FakeHost) -> None:
    def stops(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.book = book(trading="cancel_only", timestamp_ms=NOW_MS + 1)

    host.exchange.on_cancel = stops

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, host.exchange.posted()) == ("CANCELLED_REMAINDER", [])
    assert "the market is cancel_only" in report.detail


async def test_cancel_of_a_post_in_doubt_that_has_closed_meanwhile_is_closed(host: FakeHost) -> None:
    def lost(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        exchange.really_post(order)
        exchange.on_get = lambda *_: no_reply()
        return no_reply()

    host.exchange.on_post = lost
    await host.bot.on_partial_fill(partial(policy="chase"))
    intent = intent_of(host)
    host.exchange.orders[intent.working.order_id].status = "CANCELED"
    host.exchange.on_get = None
    cancels = len(host.exchange.cancels())

    report = await engine_of(host).killer.cancel_one(intent, KILLING, NOW_MS, "kill")

    assert (report.verdict, intent.state) == ("REMAINDER_CLOSED", State.CLOSED)
    assert len(host.exchange.cancels()) == cancels


async def test_order_beyond_the_cap_trips_the_invariant_next_to_the_send(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    intent = intent_of(host)
    intent.rooted = True
    intent.working.may_fill = False
    sequencer = engine_of(host).carrier._sequencer

    within = sequencer._last_checks(intent, Plan(650_000, 5_000_000, 650_000, False), Kill.OFF, None)
    beyond = sequencer._last_checks(intent, Plan(660_000, 5_000_000, 650_000, False), Kill.OFF, None)

    assert within == ""
    assert beyond == intent.stopped == "INVARIANT_TRIPPED: price_micro 660000 is beyond the cap of 650000"
    assert host.sample("invariant_trips_total") == 1


async def test_part_of_a_sweep_that_breaks_off_takes_no_other_with_it(
    make_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await make_host(execution={"cancel_batch": 1})
    host.exchange.orders[OTHER] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    for order_id in (ROOT, OTHER):
        await host.bot.on_partial_fill(partial(order_id=order_id))
    really = Killer._cancel_batch

    async def broken(self: Killer, batch: list[Any], signal: KillSwitchSignal) -> Any:
        if batch[0].root_order_id == ROOT:
            batch[0].lock.release()
            raise RuntimeError("nobody thought of this")
        return await really(self, batch, signal)

    monkeypatch.setattr(Killer, "_cancel_batch", broken)
    reports = await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))

    assert [report.order_id for report in reports] == [OTHER]
    assert host.exchange.live() == [ROOT]


def test_event_that_was_forgotten_already_is_dropped_without_a_word() -> None:
    seen = SeenEvents(1)
    seen.open(("0x1", 1))
    seen.open(("0x2", 1))
    seen.drop(("0x1", 1))

    assert len(seen) == 1


async def test_gap_in_the_stream_voids_the_book_and_a_chase_is_confirmed_all_the_same(
    host: FakeHost,
) -> None:
    host.bot.on_book_update(book())
    host.bot.on_book_update(StreamGap(timestamp_ms=NOW_MS))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.chase_price == Decimal("0.63")


async def test_book_that_turns_false_during_the_cancel_prices_no_order(host: FakeHost) -> None:
    def crosses(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.book = book(bids=(("0.63", "1000"),), timestamp_ms=NOW_MS + 1)

    host.exchange.on_cancel = crosses

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, host.exchange.posted()) == ("CANCELLED_REMAINDER", [])
    assert report.warnings == ("BOOK_UNTRUSTED",)


async def test_trade_that_names_no_makers_adds_nothing_to_what_had_filled(host: FakeHost) -> None:
    trade = {"status": "MATCHED", "taker_order_id": OTHER, "maker_orders": "none"}
    host.exchange.on_trades = lambda *_: reply(200, [trade])

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, len(host.exchange.posted())) == ("CHASE_ORDER_SUBMITTED", 1)


async def test_record_of_another_order_proves_nothing(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda *_: no_reply()
    host.exchange.on_get = lambda exchange, _: reply(200, {"id": OTHER, "status": "CANCELED"})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, host.exchange.posted()) == ("CANCEL_UNCONFIRMED", [])
