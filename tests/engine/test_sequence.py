"""cancel → proof → reconcile → price → sign → record → post: what each answer of the exchange leads to."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, KillSwitchSignal, KillSwitchStatus, SignedOrder
from support.fake_host import (
    NOW_MS,
    ROOT,
    FakeExchange,
    FakeHost,
    book,
    no_reply,
    partial,
    reply,
)

from polytraders_pfh.engine.journal import Kind


def kinds(host: FakeHost) -> list[str]:
    return [kind for kind, _ in host.exchange.calls]


def journal_kinds(host: FakeHost) -> list[Kind]:
    return [record.kind for record in host.bot._engine.tools.journal.records]


async def test_fill_racing_the_cancel_shrinks_the_chase(host: FakeHost) -> None:
    def fills_first(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.orders[ROOT].matched += 100_000_000

    host.exchange.on_cancel = fills_first

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    left = 725_806_451 - 422_580_645
    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert host.exchange.posted()[0].taker_amount_micro <= left
    assert report.chase_size_shares == Decimal("298.41")


async def test_trade_that_the_record_does_not_show_yet_shrinks_the_chase(host: FakeHost) -> None:
    maker = {"order_id": ROOT, "matched_amount": "400"}
    ours = {"id": "t1", "status": "MATCHED", "taker_order_id": "0x00", "maker_orders": [maker]}
    void = {"id": "t2", "status": "TRADE_STATUS_FAILED", "taker_order_id": ROOT, "size": "300"}
    taken = {"id": "t3", "status": "CONFIRMED", "taker_order_id": ROOT, "size": "25.5"}
    host.exchange.on_trades = lambda exchange, market_id: reply(200, [ours, void, taken])

    await host.bot.on_partial_fill(partial(policy="chase"))

    (posted,) = host.exchange.posted()
    assert posted.taker_amount_micro <= 725_806_451 - 425_500_000


@pytest.mark.parametrize(
    "answer",
    [no_reply(), reply(500, {}), reply(200, {}), reply(200, ["x"]), ExchangeReply(status=200, body=b"[")],
)
async def test_trades_that_cannot_be_read_leave_the_record_s_word(
    host: FakeHost, answer: ExchangeReply
) -> None:
    host.exchange.on_trades = lambda exchange, market_id: answer

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.chase_size_shares == Decimal("396.82")


async def test_fill_that_completes_the_order_during_the_cancel_leaves_nothing_to_chase(
    host: FakeHost,
) -> None:
    def fills_all(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.orders[ROOT].matched = exchange.orders[ROOT].size
        exchange.orders[ROOT].status = "MATCHED"

    host.exchange.on_cancel = fills_all

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "REMAINDER_CLOSED"
    assert host.exchange.posted() == []


async def test_less_than_the_minimum_left_after_the_cancel_posts_nothing(host: FakeHost) -> None:
    def fills_most(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.orders[ROOT].matched = exchange.orders[ROOT].size - 4_000_000

    host.exchange.on_cancel = fills_most

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert report.warnings == ("BELOW_MIN_ORDER_SIZE",)
    assert host.exchange.posted() == []


async def test_lost_cancel_answer_is_resolved_by_reading_the_order(host: FakeHost) -> None:
    def lands_but_is_lost(exchange: FakeExchange, ids: tuple[str, ...]) -> ExchangeReply:
        exchange.really_cancel(ids)
        return no_reply()

    host.exchange.on_cancel = lands_but_is_lost

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.cancels()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        no_reply(),
        reply(500, {"error": "Internal server error"}),
        reply(503, {"error": "trading disabled"}),
        reply(425, {"error": "matching engine restarting"}),
        reply(200, {"canceled": [], "not_canceled": {}}),
        reply(200, {"canceled": [ROOT], "not_canceled": {ROOT: "already canceled or matched"}}),
        reply(200, ["nonsense"]),
        ExchangeReply(status=200, body=b"{not json"),
        reply(200, {"canceled": [], "not_canceled": {ROOT: "order is delayed"}}),
        reply(400, {"error": "Invalid order payload"}),
        reply(429, {"error": "slow down"}, {"poly-ratelimit-remaining": "0"}),
    ],
)
async def test_cancel_without_proof_is_retried_twice_and_never_followed_by_a_post(
    host: FakeHost, answer: ExchangeReply
) -> None:
    host.exchange.on_cancel = lambda exchange, ids: answer

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCEL_UNCONFIRMED"
    assert report.severity == "WARN"
    assert len(host.exchange.cancels()) == 3
    assert host.exchange.posted() == []
    assert host.exchange.live() == [ROOT]


async def test_transport_that_raises_proves_nothing(host: FakeHost) -> None:
    def explode(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        raise RuntimeError("socket gone")

    host.exchange.on_cancel = explode

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.verdict == "CANCEL_UNCONFIRMED"


async def test_size_that_cannot_be_read_after_the_cancel_posts_nothing(host: FakeHost) -> None:
    host.exchange.on_get = lambda exchange, order_id: reply(500, {"error": "x"})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert report.detail == "how much had filled could not be read"
    assert host.exchange.posted() == []


async def test_post_that_times_out_but_landed_is_adopted_by_its_hash(host: FakeHost) -> None:
    def lands_but_is_lost(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        exchange.really_post(order)
        return no_reply()

    host.exchange.on_post = lands_but_is_lost

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.posted()) == 1
    assert len(host.signer.asked) == 1


async def test_post_that_never_arrived_is_sent_again_as_the_same_order(host: FakeHost) -> None:
    lost: list[SignedOrder] = []

    def first_is_lost(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply | None:
        lost.append(order)
        return no_reply() if len(lost) == 1 else None

    host.exchange.on_post = first_is_lost

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert lost[0] == lost[1]
    assert len(host.signer.asked) == 1


async def test_post_whose_fate_stays_unknown_keeps_its_budget_and_is_asked_for(host: FakeHost) -> None:
    host.exchange.on_post = lambda exchange, order: reply(500, {"error": "order timed out"})
    host.exchange.on_get = lambda exchange, order_id: None if order_id == ROOT else no_reply()

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.signer.asked) == 1
    intent = host.bot._engine.tools.intents.get(ROOT)
    assert intent.bounds.rest(intent.children())[0] < 10_000_000
    assert host.sample("posts_unknown") == 1


async def test_refused_post_leaves_the_remainder_cancelled_with_the_exchange_s_words(host: FakeHost) -> None:
    host.exchange.on_post = lambda exchange, order: reply(400, {"error": "not enough balance / allowance"})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_REJECTED"
    assert report.detail == "not enough balance / allowance (HTTP 400)"
    assert len(host.exchange.posted()) == 1
    assert host.exchange.live() == []


@pytest.mark.parametrize("status", ["live", "matched", "delayed", "unmatched"])
async def test_every_status_of_acceptance_is_one(host: FakeHost, status: str) -> None:
    def accept(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        exchange.really_post(order)
        return reply(200, {"success": True, "errorMsg": "", "orderID": order.order_id, "status": status})

    host.exchange.on_post = accept

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_success_without_an_order_id_is_not_acceptance(host: FakeHost) -> None:
    host.exchange.on_post = lambda exchange, order: reply(
        200, {"success": True, "errorMsg": "", "orderID": ""}
    )

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert {order.order_id for order in host.exchange.posted()} == {report.new_order_id}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maker_amount_micro", 1),
        ("taker_amount_micro", 900_000_000),
        ("token_id", "5"),
        ("side", "SELL"),
        ("builder_code", "0x" + "00" * 32),
        ("exchange_contract", "0xe2222d279d744050d28e00520010520000310F59"),
        ("order_id", "0x" + "77" * 32),
    ],
)
async def test_signer_that_lies_leads_to_no_post(host: FakeHost, field: str, value: Any) -> None:
    host.signer.twist = lambda signed: signed.model_copy(update={field: value})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert "was" in report.detail
    assert host.exchange.posted() == []


async def test_post_is_recorded_before_it_is_sent(host: FakeHost) -> None:
    seen: list[list[Kind]] = []
    host.exchange.on_post = lambda exchange, order: seen.append(journal_kinds(host))

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert Kind.POST_RECORDED in seen[0]
    assert Kind.POST_ANSWERED not in seen[0]


async def test_kill_switch_that_goes_on_during_the_cancel_stops_the_chase(host: FakeHost) -> None:
    def kill_now(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)).cancel()

    host.exchange.on_cancel = kill_now

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    assert host.exchange.posted() == []


async def test_kill_switch_service_that_fails_before_the_post_stops_it(host: FakeHost) -> None:
    def fail_now(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        host.kill_switch.status_now = ConnectionError("gone")

    host.exchange.on_cancel = fail_now

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert report.warnings == ("KILL_SWITCH_UNKNOWN",)
    assert host.exchange.posted() == []


async def test_kill_switch_that_lands_while_the_post_is_in_flight_cancels_the_new_order(
    host: FakeHost,
) -> None:
    def kill_then_accept(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)).cancel()
        return exchange.really_post(order)

    host.exchange.on_post = kill_then_accept

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    (posted,) = host.exchange.posted()
    assert host.exchange.cancels() == [(ROOT,), (posted.order_id,)]
    assert host.exchange.live() == []


async def test_unknown_kill_switch_holds_a_chase_before_anything_is_cancelled(host: FakeHost) -> None:
    host.kill_switch.status_now = TimeoutError()

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "HOLD_REMAINDER"
    assert report.warnings == ("KILL_SWITCH_UNKNOWN",)
    assert host.exchange.cancels() == []


async def test_kill_switch_read_as_active_cancels_without_a_signal(host: FakeHost) -> None:
    host.kill_switch.status_now = KillSwitchStatus(active=True)

    report = await host.bot.on_partial_fill(partial())

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    assert host.exchange.live() == []


async def test_market_that_ran_away_during_the_cancel_is_chased_at_the_cap_and_no_further(
    host: FakeHost,
) -> None:
    def runs_away(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.book = book(asks=(("0.75", "1000"),))

    host.exchange.on_cancel = runs_away

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.chase_price == Decimal("0.65")


async def test_tick_that_changed_during_the_cancel_reprices_on_the_new_grid(host: FakeHost) -> None:
    def finer(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.book = book(asks=(("0.633", "1000"),), tick_micro=1_000)

    host.exchange.on_cancel = finer

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.chase_price == Decimal("0.633")


async def test_neg_risk_market_is_signed_for_its_own_contract(host: FakeHost) -> None:
    host.exchange.book = book(neg_risk=True)

    await host.bot.on_partial_fill(partial(policy="chase"))

    (posted,) = host.exchange.posted()
    assert posted.exchange_contract == "0xe2222d279d744050d28e00520010520000310F59"


async def test_inflated_event_cannot_grow_the_chase_beyond_the_order_s_own_record(host: FakeHost) -> None:
    host.exchange.orders[ROOT].size = 400_000_000

    report = await host.bot.on_partial_fill(partial(policy="chase", remaining="9000000", filled="200"))

    assert report.verdict in {"CHASE_ORDER_SUBMITTED", "PARTIAL_FILL_BOOK_THIN_CANCEL"}
    for order in host.exchange.posted():
        assert order.taker_amount_micro <= 400_000_000 - 322_580_645


async def test_sell_chase_never_sells_more_than_is_left(host: FakeHost) -> None:
    report = await host.bot.on_partial_fill(partial(policy="chase", side="SELL"))

    (posted,) = host.exchange.posted()
    assert report.chase_price == Decimal("0.61")
    assert posted.maker_amount_micro == 403_220_000
    assert posted.maker_amount_micro <= 725_806_451 - 322_580_645


async def test_chain_of_chases_never_passes_the_cap_from_the_root(host: FakeHost) -> None:
    order_id, price = ROOT, "0.62"
    asks = ["0.63", "0.64", "0.65", "0.66", "0.67"]
    prices = []
    for i, ask in enumerate(asks):
        host.exchange.book = book(asks=((ask, "5000"),), bids=(("0.60", "5000"),))
        host.bot.on_book_update(host.exchange.book)
        order = host.exchange.orders[order_id]
        order.matched += 1_000_000
        filled = Decimal(order.matched) / 10**6 * Decimal(price)
        rest = Decimal(order.size - order.matched) / 10**6 * Decimal(price)
        report = await host.bot.on_partial_fill(
            partial(
                order_id=order_id,
                policy="chase",
                price=price,
                filled=str(round(filled, 6)),
                remaining=str(round(rest, 6)),
                at_ms=NOW_MS + i,
            )
        )
        if report.new_order_id is None:
            break
        order_id, price = report.new_order_id, str(report.chase_price)
        prices.append(report.chase_price)
        assert len(host.exchange.live()) == 1

    assert prices == [Decimal("0.63"), Decimal("0.64"), Decimal("0.65")]
    assert report.verdict == "PARTIAL_FILL_CHASE_ABORTED"
    total = sum(o.matched for o in host.exchange.orders.values())
    assert total <= 725_806_451


async def test_order_is_signed_while_the_readings_are_awaited_and_posted_as_it_was_signed(
    host: FakeHost,
) -> None:
    asked_by_then: list[int] = []
    unheard = asyncio.Event()

    async def slow(exchange: FakeExchange, order_id: str) -> None:
        await unheard.wait()
        asked_by_then.append(len(host.signer.asked))

    host.exchange.on_get = slow
    chase = asyncio.create_task(host.bot.on_partial_fill(partial(policy="chase")))
    while not host.signer.asked:
        await asyncio.sleep(0)
    unheard.set()
    report = await chase

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert asked_by_then == [1]
    assert len(host.signer.asked) == 1


async def test_signature_for_a_size_that_a_fill_overtook_is_thrown_away_and_never_recorded(
    host: FakeHost,
) -> None:
    def fills_first(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.orders[ROOT].matched += 100_000_000

    host.exchange.on_cancel = fills_first

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    early, late = host.signer.asked
    records = host.bot._engine.tools.journal.records
    assert (early.size_micro, late.size_micro) == (396_820_000, 298_410_000)
    assert [order.order_id for order in host.exchange.posted()] == [report.new_order_id]
    assert [r.order_id for r in records if r.kind is Kind.POST_RECORDED] == [report.new_order_id]


async def test_signer_that_fails_for_what_was_only_guessed_does_not_end_the_chase(host: FakeHost) -> None:
    def fills_first(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        exchange.orders[ROOT].matched += 100_000_000

    def fail_once(signed: SignedOrder) -> SignedOrder:
        if len(host.signer.asked) == 1:
            raise ConnectionError("gone")
        return signed

    host.exchange.on_cancel = fills_first
    host.signer.twist = fail_once

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_nothing_is_signed_once_the_kill_switch_went_on_during_the_cancel(host: FakeHost) -> None:
    def kill_now(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)).cancel()

    host.exchange.on_cancel = kill_now

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.signer.asked == []


async def test_event_of_another_price_than_the_exchange_s_record_leads_to_no_post(host: FakeHost) -> None:
    host.exchange.orders[ROOT].price = 600_000

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert "was told as priced 0.62; the exchange has 0.6" in report.detail
    assert host.exchange.posted() == []
    assert host.bot.check_health().status == "red"
