"""What is dead stays dead: an order that somebody else ended, or that ended long ago, is never chased."""

from decimal import Decimal
from pathlib import Path

import pytest
from polytraders_hookspecs import ExchangeReply, SignedEvent, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import (
    KEY,
    KEY_ID,
    NOW_MS,
    ROOT,
    TRACE,
    FakeClock,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    no_reply,
    partial,
)


def closed(order_id: str = ROOT, status: str = "CANCELLED") -> SignedEvent:
    body = print_json({"order_id": order_id, "status": status}).encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=body)


async def test_order_that_its_owner_cancelled_is_not_posted_again(host: FakeHost) -> None:
    host.exchange.orders[ROOT].status = "CANCELED"

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "REMAINDER_CLOSED"
    assert host.exchange.posted() == []


async def test_cancel_that_was_refused_and_an_owner_s_that_was_not_lead_to_no_post(host: FakeHost) -> None:
    def owner_is_faster(exchange: FakeExchange, ids: tuple[str, ...]) -> ExchangeReply | None:
        if len(exchange.cancels()) > 1:
            return None
        exchange.orders[ROOT].status = "CANCELED"
        return ExchangeReply(status=400, body=b'{"error": "Invalid order payload"}')

    host.exchange.on_cancel = owner_is_faster

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "REMAINDER_CLOSED"
    assert host.exchange.posted() == []


async def test_own_cancel_that_landed_late_is_followed_by_the_chase(host: FakeHost) -> None:
    answers = [no_reply(), None]
    host.exchange.on_cancel = lambda exchange, ids: answers.pop(0)

    def lands_after_the_first_read(exchange: FakeExchange, order_id: str) -> ExchangeReply:
        seen = exchange.really_get(order_id)
        exchange.really_cancel((ROOT,))
        return seen

    host.exchange.on_get = lands_after_the_first_read

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_fill_taken_back_long_after_the_end_does_not_begin_the_intent_anew(host: FakeHost) -> None:
    chased = await host.bot.on_partial_fill(partial(policy="chase"))
    new = host.exchange.orders[chased.new_order_id]
    new.matched, new.status = new.size, "MATCHED"
    await host.bot.on_order_closed(closed(chased.new_order_id, "FILLED"))
    host.clock.ms += 60_000
    other = partial(order_id="0x" + "d4" * 32, at_ms=host.clock.ms)
    await host.bot.on_partial_fill(other)
    await host.bot.on_order_closed(closed("0x" + "d4" * 32))
    host.exchange.on_cancel = lambda exchange, ids: no_reply()

    report = await host.bot.on_partial_fill(
        partial(policy="chase", filled="100", remaining="350", at_ms=host.clock.ms)
    )

    assert report.verdict == "REMAINDER_CLOSED"
    assert len(host.exchange.posted()) == 1
    assert host.exchange.live() == []


@pytest.mark.parametrize("policy", ["hold", "cancel", "chase"])
async def test_partial_that_comes_after_its_order_s_end_is_kept_by_nobody(
    host: FakeHost, policy: str
) -> None:
    await host.bot.on_order_closed(closed())

    report = await host.bot.on_partial_fill(partial(policy=policy))

    assert report.verdict == "REMAINDER_CLOSED"
    assert report.remaining_usd == Decimal(250)
    assert len(host.bot._engine.tools.intents) == 0
    assert host.exchange.calls == []


async def test_event_of_a_time_before_this_start_does_not_chase_what_an_earlier_process_chased(
    tmp_path: Path,
) -> None:
    host = FakeHost(config={"mode": "general_live"}, state_dir=tmp_path, clock=FakeClock(NOW_MS + 1_000))
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645, "CANCELED")
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    await host.start()

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("REMAINDER_CLOSED", ("EVENT_STALE",))
    assert host.exchange.posted() == []
    await host.stop()
