"""What hardly ever happens to an event: copies, crowds, callers that give up, hosts that know nothing."""

import asyncio
import logging
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, OrderFacts, SignedEvent, sign_event
from polytraders_hookspecs.wire import print_json
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

from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.intents import IntentTable

OTHER = "0x" + "d4" * 32


def declared(trace_id: str = TRACE, **changes: Any) -> SignedEvent:
    body = {"trace_id": trace_id, "side": "BUY", "intended_size_usd": 300, "limit_price": Decimal("0.65")}
    text = print_json(body | changes).encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=trace_id, body=text)


def facts(**changes: Any) -> OrderFacts:
    known: dict[str, Any] = {
        "order_id": ROOT,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": TRACE,
        "side": "BUY",
        "price": "0.62",
        "size_shares": "725.806451",
        "filled_shares": "322.580645",
        "status": "PARTIAL",
    }
    return OrderFacts(**(known | changes))


async def test_copy_of_an_event_whose_first_caller_gave_up_is_handled_anew(host: FakeHost) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang_once(exchange: FakeExchange) -> Any:
        host.exchange.on_book = None
        reached.set()
        await never.wait()

    host.exchange.on_book = hang_once  # type: ignore[assignment]
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await reached.wait()
    copy = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await asyncio.sleep(0)
    first.cancel()

    assert (await copy).verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.posted()) == 1


async def test_answer_of_this_run_stands_before_that_of_an_earlier_one(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial())

    assert not host.bot._engine.coordinator.remember(ROOT, NOW_MS, b"{}")
    assert await host.bot.on_partial_fill(partial()) == report


async def test_event_that_finds_no_room_at_its_second_look_either_waits_on_under_its_first_report(
    make_host: Any,
) -> None:
    host = await make_host(execution={"max_intents": 1, "tombstone_ms": 0})
    host.exchange.orders[OTHER] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.bot.on_partial_fill(partial())
    shed = await host.bot.on_partial_fill(partial(order_id=OTHER))
    await host.bot.on_partial_fill(partial(at_ms=NOW_MS + 1))
    for _ in range(5):
        await asyncio.sleep(0)
    end = sign_event(
        key_id=KEY_ID,
        key=KEY,
        event_ts_ms=NOW_MS + 2,
        trace_id=TRACE,
        body=print_json({"order_id": ROOT, "status": "FILLED"}).encode(),
    )
    await host.bot.on_order_closed(end)
    published = await host.reports.until(4)

    last = [report for report in published if report["order_id"] == OTHER]
    assert shed.verdict == "PARTIAL_FILL_SHED"
    assert [report["final"] for report in last] == [False, True]
    assert last[1]["supersedes"] == shed.report_id


async def test_older_event_shed_behind_a_newer_one_of_its_order_is_told_at_once(make_host: Any) -> None:
    host = await make_host(execution={"max_intents": 1})
    host.exchange.orders[OTHER] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.bot.on_partial_fill(partial())
    await host.bot.on_partial_fill(partial(order_id=OTHER, at_ms=NOW_MS + 5))
    await host.bot.on_partial_fill(partial(order_id=OTHER, at_ms=NOW_MS + 4))

    published = await host.reports.until(4)

    finals = [report for report in published if report["order_id"] == OTHER and report["final"]]
    assert [report["event_ts_ms"] for report in finals] == [NOW_MS + 4]
    assert "a newer event of this order took its place" in finals[0]["detail"]


async def test_two_first_events_of_one_order_begin_one_intent(host: FakeHost) -> None:
    host.orders.known[ROOT] = facts()
    asked, gate = [], asyncio.Event()

    async def slow(order_id: str) -> OrderFacts | None:
        asked.append(order_id)
        await gate.wait()
        return host.orders.known.get(order_id)

    host.orders.get = slow  # type: ignore[method-assign]
    both = [
        asyncio.ensure_future(host.bot.on_partial_fill(partial(market_id=None, at_ms=NOW_MS + n)))
        for n in range(2)
    ]
    while len(asked) < 2:
        await asyncio.sleep(0)
    gate.set()
    reports = await asyncio.gather(*both)

    assert {report.verdict for report in reports} == {"HOLD_REMAINDER"}
    assert len(host.bot._engine.tools.intents) == 1


async def test_bookkeeper_that_raises_is_one_that_knows_nothing(host: FakeHost) -> None:
    async def explode(order_id: str) -> OrderFacts | None:
        raise RuntimeError("the manager is down")

    host.orders.get = explode  # type: ignore[method-assign]

    report = await host.bot.on_partial_fill(partial(token_id=None))

    assert report.verdict == "EVENT_REJECTED"
    assert "token_id was missing" in report.detail


async def test_fill_of_a_post_in_doubt_proves_that_it_arrived(host: FakeHost) -> None:
    def lost(exchange: FakeExchange, order: Any) -> ExchangeReply:
        exchange.really_post(order)
        exchange.on_get = lambda *_: no_reply()
        return no_reply()

    host.exchange.on_post = lost
    doubt = await host.bot.on_partial_fill(partial(policy="chase"))
    intent = host.bot._engine.tools.intents.get(ROOT)
    assert (doubt.verdict, intent.state) == ("CHASE_UNCONFIRMED", State.POST_UNKNOWN)
    fill = partial(
        order_id=intent.working.order_id, price="0.63", filled="10", remaining="239.99", at_ms=NOW_MS + 1
    )

    report = await host.bot.on_partial_fill(fill)

    assert (report.verdict, intent.state) == ("HOLD_REMAINDER", State.RESTING)


async def test_late_event_of_an_order_that_a_chase_replaced_changes_no_state(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(policy="chase"))
    intent = host.bot._engine.tools.intents.get(ROOT)

    report = await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS - 60_000))

    assert (report.verdict, intent.state) == ("REMAINDER_CLOSED", State.RESTING)


async def test_declaration_of_another_token_bounds_nothing(host: FakeHost) -> None:
    host.bot.on_decision_report(declared(token_id="5"))
    await host.bot.on_partial_fill(partial())

    assert host.bot._engine.tools.intents.get(ROOT).limit_price_micro is None


def test_oldest_declaration_is_forgotten_first() -> None:
    kept = Declared({KEY_ID: KEY}, 2, lambda report, body: None)
    for n in range(3):
        kept.take(declared(f"trc_{n}"))

    assert (len(kept), "trc_0" in kept._reports) == (2, False)


async def test_intent_that_is_being_worked_on_is_not_buried(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    table = host.bot._engine.tools.intents
    intent = table.get(ROOT)
    intent.step(Step.ORDER_CLOSED)
    async with intent.lock:
        table.close(intent, NOW_MS)
        table.bury(NOW_MS + 10**9)
        kept = table.get(ROOT)

    assert kept is intent


def test_of_ended_orders_the_oldest_are_forgotten_first() -> None:
    table = IntentTable(10, 0, 2)
    for n in range(3):
        table.note_end(f"0x{n}")

    assert [table.has_ended(f"0x{n}") for n in range(3)] == [False, True, True]


async def test_developer_log_is_the_card_s_line(host: FakeHost, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="polytraders_pfh"):
        await host.bot.on_partial_fill(partial())

    lines = [record.getMessage() for record in caplog.records if '"policy_applied"' in record.getMessage()]
    assert len(lines) == 1
    assert '"verdict": "HOLD_REMAINDER"' in lines[0]


async def test_bot_without_room_for_reports_posts_nothing(make_host: Any) -> None:
    host = await make_host(execution={"max_pending_reports": 1})
    host.reports.down = True
    for n in range(3):
        await host.bot.on_partial_fill(partial(at_ms=NOW_MS + n))

    report = await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 9))

    assert host.exchange.posted() == host.exchange.cancels() == []
    assert report.verdict == "HOLD_REMAINDER"
    host.reports.down = False
    host.clock.wake()


async def test_trades_that_are_no_list_leave_the_size_unread(host: FakeHost) -> None:
    host.exchange.book = book()
    host.exchange.on_trades = lambda *_: ExchangeReply(status=200, body=b'{"data":"none"}')

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_any_number_of_copies_at_once_get_the_one_report(host: FakeHost) -> None:
    reports = await asyncio.gather(*[host.bot.on_partial_fill(partial(policy="chase")) for _ in range(4)])

    assert reports == [reports[0]] * 4
    assert len(host.exchange.posted()) == 1


async def test_event_that_leaves_nothing_open_is_closed(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(policy="cancel", filled="450", remaining="0"))

    assert (report.verdict, host.exchange.cancels()) == ("REMAINDER_CLOSED", [])


async def test_event_of_an_order_whose_cancel_is_in_doubt_says_so(host: FakeHost) -> None:
    host.exchange.on_cancel = host.exchange.on_get = lambda *_: no_reply()
    await host.bot.on_partial_fill(partial(policy="cancel"))

    report = await host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS + 1))

    assert (report.verdict, report.detail) == ("CANCEL_UNCONFIRMED", "an earlier cancel is still in doubt")
