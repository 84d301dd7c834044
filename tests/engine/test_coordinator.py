"""Events: duplicates, order, age, deadlines, load, and what is answered to whom."""

import asyncio
from decimal import Decimal

import pytest
from polytraders_hookspecs import OrderFacts
from support.fake_host import (
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    book,
    partial,
)


async def test_duplicate_is_answered_with_the_first_report(host: FakeHost) -> None:
    first = await host.bot.on_partial_fill(partial(policy="cancel"))
    again = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert again == first
    assert len(host.exchange.cancels()) == 1


async def test_two_copies_at_once_are_handled_once(host: FakeHost) -> None:
    one, two = await asyncio.gather(
        host.bot.on_partial_fill(partial(policy="chase")), host.bot.on_partial_fill(partial(policy="chase"))
    )

    assert one == two
    assert len(host.exchange.posted()) == 1


async def test_two_events_of_one_order_at_once_are_worked_one_after_the_other(host: FakeHost) -> None:
    one, two = await asyncio.gather(
        host.bot.on_partial_fill(partial(policy="chase")),
        host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS + 1)),
    )

    assert [one.verdict, two.verdict] == ["CHASE_ORDER_SUBMITTED", "REMAINDER_CLOSED"]
    assert len(host.exchange.posted()) == 1


async def test_forged_event_touches_nothing(host: FakeHost) -> None:
    envelope = partial(policy="cancel", key=b"another key of at least 32 bytes")

    report = await host.bot.on_partial_fill(envelope)

    assert report.verdict == "EVENT_REJECTED"
    assert report.order_id is None
    assert host.exchange.calls == []
    assert host.sample("rejected_events_total", {"why": "forged"}) == 1


async def test_forged_event_does_not_burn_the_key_of_the_true_one(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(policy="cancel", key=b"another key of at least 32 bytes"))

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.verdict == "CANCELLED_REMAINDER"


async def test_malformed_event_names_field_value_and_rule(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(original_size_usd=Decimal(451)))

    assert report.verdict == "EVENT_REJECTED"
    assert "original_size_usd was '451'; it must equal filled_usd + remaining_usd = 450" in report.detail


async def test_body_that_contradicts_its_envelope_is_rejected(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(event_ts_ms=NOW_MS + 5))

    assert report.verdict == "EVENT_REJECTED"
    assert "its envelope says" in report.detail


async def test_card_example_without_market_and_token_is_filled_in_by_the_bookkeeper(host: FakeHost) -> None:
    host.orders.known[ROOT] = OrderFacts(
        order_id=ROOT,
        market_id=MARKET,
        token_id=TOKEN,
        trace_id=TRACE,
        side="BUY",
        price="0.62",
        size_shares="725.806451",
        filled_shares="322.580645",
        status="PARTIAL",
    )

    report = await host.bot.on_partial_fill(partial(market_id=None, token_id=None, strategy=None))

    assert report.verdict == "HOLD_REMAINDER"
    assert (report.market_id, report.token_id) == (MARKET, TOKEN)


async def test_event_that_nobody_can_complete_is_rejected(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(token_id=None))

    assert report.verdict == "EVENT_REJECTED"
    assert "token_id was missing" in report.detail


async def test_event_that_contradicts_the_bookkeeper_is_rejected(host: FakeHost) -> None:
    host.orders.known[ROOT] = OrderFacts(
        order_id=ROOT,
        market_id=MARKET,
        token_id=TOKEN,
        trace_id=TRACE,
        side="SELL",
        price="0.62",
        size_shares="725.806451",
        filled_shares="322.580645",
        status="PARTIAL",
    )

    report = await host.bot.on_partial_fill(partial(token_id=None))

    assert report.verdict == "EVENT_REJECTED"
    assert "side was BUY; the order's own is SELL" in report.detail


async def test_stale_event_is_decided_on_the_exchange_s_own_record(host: FakeHost) -> None:
    host.exchange.orders[ROOT].matched = 400_000_000

    report = await host.bot.on_partial_fill(partial(at_ms=NOW_MS - 6_000))

    assert report.warnings == ("EVENT_STALE",)
    assert report.filled_usd == Decimal(248)
    assert report.verdict == "HOLD_REMAINDER"


async def test_stale_event_whose_order_cannot_be_read_moves_nothing(host: FakeHost) -> None:
    del host.exchange.orders[ROOT]

    report = await host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS + 2_000))

    assert report.verdict == "HOLD_REMAINDER"
    assert report.warnings == ("EVENT_STALE",)
    assert host.exchange.cancels() == []


async def test_older_event_after_a_newer_one_changes_nothing(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(filled="300", remaining="150"))

    report = await host.bot.on_partial_fill(partial(policy="cancel", at_ms=NOW_MS - 1))

    assert report.verdict == "HOLD_REMAINDER"
    assert report.detail == "a newer event of this order was handled already"
    assert host.exchange.cancels() == []


async def test_fill_that_is_taken_back_is_warned_about_and_decided_anew(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(filled="300", remaining="150"))

    report = await host.bot.on_partial_fill(partial(filled="200", remaining="250", at_ms=NOW_MS + 1))

    assert report.warnings == ("FILL_REVERSED",)
    assert report.verdict == "HOLD_REMAINDER"


async def test_fill_of_a_replaced_order_that_is_taken_back_frees_nothing_to_buy_again(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(policy="chase"))
    await host.bot.on_partial_fill(partial(filled="300", remaining="150", at_ms=NOW_MS + 1))
    intent = host.bot._engine.tools.intents.get(ROOT)
    before = intent.bounds.rest(intent.children())

    report = await host.bot.on_partial_fill(partial(filled="0", remaining="450", at_ms=NOW_MS + 2))

    assert (report.verdict, report.warnings) == ("REMAINDER_CLOSED", ("FILL_REVERSED",))
    assert intent.bounds.rest(intent.children()) == before


async def test_event_that_lags_behind_the_record_read_for_a_chase_is_no_reversal(host: FakeHost) -> None:
    host.exchange.orders[ROOT].matched = 400_000_000
    await host.bot.on_partial_fill(partial(policy="chase"))

    late = await host.bot.on_partial_fill(partial(filled="210", remaining="240", at_ms=NOW_MS + 1))

    assert (late.verdict, late.warnings) == ("REMAINDER_CLOSED", None)


async def test_remaining_is_always_original_less_filled(host: FakeHost) -> None:
    for i, (filled, remaining) in enumerate([("200", "250"), ("200.5", "249.5"), ("449", "1")]):
        report = await host.bot.on_partial_fill(partial(filled=filled, remaining=remaining, at_ms=NOW_MS + i))
        assert report.remaining_usd == report.original_size_usd - report.filled_usd


async def test_cached_book_alone_decides_hold_without_a_request(host: FakeHost) -> None:
    host.bot.on_book_update(book())

    await host.bot.on_partial_fill(partial())

    assert host.exchange.calls == []


async def test_thin_cached_book_is_confirmed_before_anything_is_cancelled(host: FakeHost) -> None:
    host.bot.on_book_update(book(asks=(("0.63", "1"),)))

    report = await host.bot.on_partial_fill(partial())

    assert report.verdict == "HOLD_REMAINDER"
    assert [kind for kind, _ in host.exchange.calls] == ["book"]


async def test_book_that_cannot_be_had_holds_and_warns(host: FakeHost) -> None:
    host.exchange.book = ConnectionError("down")

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.verdict == "HOLD_REMAINDER"
    assert report.warnings == ("BOOK_UNAVAILABLE",)
    assert host.exchange.cancels() == []


async def test_fresh_book_older_than_the_stream_is_not_trusted(host: FakeHost) -> None:
    host.bot.on_book_update(book(asks=(("0.63", "1"),)))
    host.exchange.book = book(asks=(("0.99", "1"),), timestamp_ms=NOW_MS - 5_000)

    report = await host.bot.on_partial_fill(partial())

    assert report.verdict == "HOLD_REMAINDER"
    assert report.warnings == ("BOOK_UNTRUSTED",)


async def test_slow_sequence_is_answered_with_an_interim_report_that_the_final_one_names(
    host: FakeHost,
) -> None:
    gate = asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gate.wait()

    host.exchange.on_cancel = slow
    interim = await host.bot.on_partial_fill(partial(policy="chase"))
    duplicate = await host.bot.on_partial_fill(partial(policy="chase"))
    gate.set()
    published = await host.reports.until(2)

    assert (interim.verdict, interim.final) == ("PARTIAL_FILL_PENDING", False)
    assert duplicate == interim
    assert published[0]["report_id"] == interim.report_id
    assert published[1]["verdict"] == "CHASE_ORDER_SUBMITTED"
    assert published[1]["supersedes"] == interim.report_id
    assert published[1]["final"] is True


async def test_duplicate_of_an_event_whose_caller_gave_up_is_answered_in_time(host: FakeHost) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await gate.wait()

    host.exchange.on_cancel = slow
    call = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await reached.wait()
    call.cancel()
    interim = await host.bot.on_partial_fill(partial(policy="chase"))
    gate.set()
    published = await host.reports.until(2)

    assert (interim.verdict, interim.final) == ("PARTIAL_FILL_PENDING", False)
    assert published[0]["report_id"] == published[1]["supersedes"] == interim.report_id


async def test_time_that_asking_for_facts_took_is_not_given_to_an_event_twice(host: FakeHost) -> None:
    facts = OrderFacts(
        order_id=ROOT,
        market_id=MARKET,
        token_id=TOKEN,
        trace_id=TRACE,
        side="BUY",
        price="0.62",
        size_shares="725.806451",
        filled_shares="322.580645",
        status="PARTIAL",
    )

    async def slowly(order_id: str) -> OrderFacts:
        host.clock.ms += 300
        return facts

    turns = 0

    async def never(exchange: FakeExchange) -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    host.orders.get = slowly  # type: ignore[method-assign]
    host.exchange.on_book = never
    report = await host.bot.on_partial_fill(partial(policy="cancel", market_id=None))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("DEADLINE_EXCEEDED",))
    assert turns < 10


async def test_caller_that_gives_up_does_not_abandon_the_sequence(host: FakeHost) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await gate.wait()

    host.exchange.on_cancel = slow
    call = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="chase")))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.set()
    (report,) = await host.reports.until(1)

    assert report["verdict"] == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.live()) == 1


async def test_deadline_before_anything_was_done_holds(host: FakeHost) -> None:
    async def never(exchange: FakeExchange) -> None:
        await asyncio.Event().wait()

    host.exchange.on_book = never

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "HOLD_REMAINDER"
    assert report.warnings == ("DEADLINE_EXCEEDED",)
    assert host.exchange.cancels() == []


async def test_excess_is_shed_reported_and_looked_at_again(make_host: object) -> None:
    host = await make_host(execution={"max_in_flight": 1, "resume_in_flight": 1})  # type: ignore[operator]
    gate, reached = asyncio.Event(), asyncio.Event()
    other = "0x" + "d4" * 32
    host.exchange.orders[other] = Resting(size=725_806_451, price=620_000, matched=322_580_645)

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        if ids == (ROOT,):
            reached.set()
            await gate.wait()

    host.exchange.on_cancel = slow
    first = asyncio.ensure_future(host.bot.on_partial_fill(partial(policy="cancel")))
    await reached.wait()
    shed = await host.bot.on_partial_fill(partial(order_id=other, policy="cancel"))
    newer = await host.bot.on_partial_fill(partial(order_id=other, policy="cancel", at_ms=NOW_MS + 1))
    gate.set()
    await first
    published = await host.reports.until(5)

    assert (shed.verdict, shed.final) == ("PARTIAL_FILL_SHED", False)
    by_id = {r["report_id"]: r for r in published}
    finals = [r for r in published if r["final"] and r["order_id"] == other]
    assert {r["supersedes"] for r in finals} == {shed.report_id, newer.report_id}
    assert [r["verdict"] for r in finals] == ["PARTIAL_FILL_SHED", "CANCELLED_REMAINDER"]
    assert len(by_id) == 5
    assert host.exchange.live() == []


async def test_in_flight_returns_to_zero(host: FakeHost) -> None:
    await asyncio.gather(
        *(host.bot.on_partial_fill(partial(at_ms=NOW_MS + i, policy="chase")) for i in range(20))
    )

    assert host.sample("in_flight") == 0


async def test_shadow_mode_reports_the_whole_plan_and_sends_nothing(make_host: object) -> None:
    host = await make_host(mode="shadow_only")  # type: ignore[operator]

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.executed, report.mode) == ("CHASE_ORDER_SUBMITTED", False, "shadow_only")
    assert report.chase_price == Decimal("0.63")
    assert report.chase_size_shares == Decimal("396.82")
    assert host.exchange.cancels() == host.exchange.posted() == []


async def test_quarantine_cancels_and_never_posts(make_host: object) -> None:
    host = await make_host(mode="quarantine")  # type: ignore[operator]

    held = await host.bot.on_partial_fill(partial(policy="chase"))
    cancelled = await host.bot.on_partial_fill(
        partial(policy="chase", at_ms=NOW_MS + 1, filled="447", remaining="3")
    )

    assert (held.verdict, held.executed) == ("CHASE_ORDER_SUBMITTED", False)
    assert (cancelled.verdict, cancelled.executed) == ("PARTIAL_FILL_DUST_AUTO_CANCEL", True)
    assert host.exchange.posted() == []


@pytest.mark.parametrize(
    ("limited", "acts"),
    [
        ({"markets": [MARKET], "max_chase_usd": 1000}, True),
        ({"markets": [MARKET], "max_chase_usd": 50}, False),
        ({"markets": [], "max_chase_usd": 1000}, False),
    ],
)
async def test_limited_live_acts_on_listed_markets_up_to_its_cap(
    make_host: object, limited: dict[str, object], acts: bool
) -> None:
    host = await make_host(mode="limited_live", limited_live=limited)  # type: ignore[operator]

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.executed is acts
    assert bool(host.exchange.posted()) is acts
