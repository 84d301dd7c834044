"""Asking in the background: it ends, cancels what is unwanted, and leaves alone what is wanted."""

import asyncio
from collections.abc import Callable

from polytraders_hookspecs import ExchangeReply, KillSwitchSignal, SignedEvent, SignedOrder, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import (
    KEY,
    KEY_ID,
    NOW_MS,
    ROOT,
    TRACE,
    FakeExchange,
    FakeHost,
    no_reply,
    partial,
    reply,
)

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.engine.intents import Intent

BOT = "exec.partialfillhandler"


def closed(order_id: str) -> SignedEvent:
    body = print_json({"order_id": order_id, "status": "FILLED"}).encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=body)


def intent_of(host: FakeHost) -> Intent:
    intent: Intent = host.bot._engine.tools.intents.get(ROOT)
    return intent


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def asking_is_over(host: FakeHost) -> None:
    host.clock.wake()
    await until(lambda: not host.bot._engine.carrier._asking)


def lost_post(host: FakeHost) -> None:
    """Have every post land, its answer be lost, and its record be out of reach."""

    def lands(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        exchange.really_post(order)
        return no_reply()

    host.exchange.on_post = lands
    host.exchange.on_get = lambda exchange, order_id: None if order_id == ROOT else no_reply()


async def test_chase_that_its_own_fill_proved_alive_is_kept(host: FakeHost) -> None:
    lost_post(host)
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    (chase,) = host.exchange.live()
    await host.bot.on_partial_fill(
        partial(
            order_id=chase, price="0.63", filled="63", remaining="186.9966", at_ms=NOW_MS + 1, policy="hold"
        )
    )
    host.exchange.on_get = None

    await asking_is_over(host)

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert host.exchange.live() == [chase]


async def test_remainder_whose_cancel_for_a_chase_was_refused_keeps_resting(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: reply(400, {"error": "Invalid order payload"})
    report = await host.bot.on_partial_fill(partial(policy="chase"))
    host.exchange.on_cancel = None

    await asking_is_over(host)

    assert report.verdict == "CANCEL_UNCONFIRMED"
    assert host.exchange.live() == [ROOT]
    assert intent_of(host).state is State.RESTING


async def test_remainder_whose_cancel_by_policy_was_refused_is_cancelled_later(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: reply(400, {"error": "Invalid order payload"})
    await host.bot.on_partial_fill(partial(policy="cancel"))
    host.exchange.on_cancel = None

    await asking_is_over(host)

    assert host.exchange.live() == []


async def test_chase_found_alive_after_a_kill_is_cancelled_however_often_that_is_refused(
    host: FakeHost,
) -> None:
    lost_post(host)
    await host.bot.on_partial_fill(partial(policy="chase"))
    host.exchange.on_get = None
    refusals = [reply(400, {"error": "Invalid order payload"})] * 4
    host.exchange.on_cancel = lambda exchange, ids: refusals.pop() if refusals else None
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    await asking_is_over(host)

    assert host.exchange.live() == []


async def test_chase_that_never_arrived_is_given_up_after_a_minute_and_not_signed_again(
    host: FakeHost,
) -> None:
    host.exchange.on_post = lambda exchange, order: no_reply()
    report = await host.bot.on_partial_fill(partial(policy="chase"))

    await asking_is_over(host)

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert intent_of(host).state is State.CLOSED
    assert host.clock.ms - NOW_MS >= 60_000
    assert len(host.signer.asked) == 1


async def test_end_of_a_chase_whose_post_was_in_doubt_settles_the_doubt(host: FakeHost) -> None:
    lost_post(host)
    await host.bot.on_partial_fill(partial(policy="chase"))
    (chase,) = host.exchange.live()

    await host.bot.on_order_closed(closed(chase))
    late = await host.bot.on_partial_fill(
        partial(order_id=chase, price="0.63", filled="63", remaining="186.9966", at_ms=NOW_MS + 1)
    )

    assert late.verdict == "REMAINDER_CLOSED"
    assert intent_of(host).state is State.CLOSED


async def test_end_of_an_order_whose_cancel_was_in_doubt_settles_the_doubt(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()
    await host.bot.on_partial_fill(partial(policy="cancel"))

    await host.bot.on_order_closed(closed(ROOT))

    assert intent_of(host).state is State.CLOSED


async def test_command_to_cancel_a_chase_whose_post_is_in_doubt_asks_and_cancels(host: FakeHost) -> None:
    lost_post(host)
    await host.bot.on_partial_fill(partial(policy="chase"))
    (chase,) = host.exchange.live()

    unknown = await host.bot.on_bot_command(BOT, "cancel-remainder", {"order": chase, "actor": "ops"})
    host.exchange.on_get = None
    known = await host.bot.on_bot_command(BOT, "cancel-remainder", {"order": chase, "actor": "ops"})

    assert (unknown.ok, known.ok) == (False, True)
    assert host.exchange.live() == []
