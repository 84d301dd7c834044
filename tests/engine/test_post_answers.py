"""Each answer to a post, through the plugin: what is reported, and what may be sent afterwards."""

from decimal import Decimal

import pytest
from polytraders_hookspecs import ExchangeReply, SignedOrder
from support.fake_host import (
    BUILDER,
    MARKET,
    NOW_MS,
    ROOT,
    TOKEN,
    FakeExchange,
    FakeHost,
    Resting,
    no_reply,
    partial,
    reply,
)

LIMITED = {"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": "1746770101"}

REFUSED = [
    reply(400, {"error": "not enough balance / allowance"}),
    reply(400, {"error": "order 0x.. is invalid. Price (0.63) breaks minimum tick size rule: 0.1"}),
    reply(400, {"error": "order_version_mismatch"}),
    reply(401, {"error": "Unauthorized/Invalid api key"}),
    reply(403, {"error": "address banned"}),
    reply(404, {"error": "the orderbook does not exist"}),
    reply(429, {"error": "Too Many Requests"}, LIMITED),
    reply(200, {"success": False, "errorMsg": "invalid post-only order: order crosses book", "orderID": ""}),
]
HELD_BACK = ExchangeReply(status=503, detail="POST /order was not sent: post-only for 79 s", sent=False)
UNKNOWN = [
    no_reply("timeout"),
    no_reply("connection lost"),
    reply(425, {"error": "matching engine restarting"}),
    reply(429, {"error": "Too Many Requests"}),
    reply(500, {"error": "order timed out"}),
    reply(500, {"error": "could not insert order"}),
    reply(
        503,
        {"error": "post only", "code": "post_only_mode", "retry_after_seconds": 79},
        {"retry-after": "79"},
    ),
    reply(503, {"error": "Trading is currently cancel-only."}),
    reply(200, {"success": True, "errorMsg": "", "orderID": ""}),
    reply(200, {"success": True, "errorMsg": "", "orderID": "0x" + "99" * 32, "status": "live"}),
    reply(200, []),
    ExchangeReply(status=200, body=b"\xff"),
]


@pytest.mark.parametrize("answer", REFUSED)
async def test_refusal_leaves_the_remainder_cancelled_and_nothing_is_sent_again(
    host: FakeHost, answer: ExchangeReply
) -> None:
    host.exchange.on_post = lambda exchange, order: answer

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_REJECTED"
    assert len(host.exchange.posted()) == 1
    assert host.exchange.live() == []


@pytest.mark.parametrize("answer", UNKNOWN)
async def test_doubt_about_an_order_that_landed_ends_in_its_adoption(
    host: FakeHost, answer: ExchangeReply
) -> None:
    def lands(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply:
        exchange.really_post(order)
        return answer

    host.exchange.on_post = lands

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.posted()) == len(host.signer.asked) == 1
    assert host.exchange.live() == [report.new_order_id]


@pytest.mark.parametrize("answer", UNKNOWN)
async def test_doubt_about_an_order_that_did_not_land_sends_the_same_bytes_once_more_at_most(
    host: FakeHost, answer: ExchangeReply
) -> None:
    host.exchange.on_post = lambda exchange, order: answer

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.signer.asked) == 1
    assert len(host.exchange.posted()) == 2
    assert len({order.to_json() for order in host.exchange.posted()}) == 1


async def test_post_that_the_host_held_back_was_never_sent_and_is_no_doubt(host: FakeHost) -> None:
    host.exchange.on_post = lambda exchange, order: HELD_BACK

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_REJECTED"
    assert report.detail == "POST /order was not sent: post-only for 79 s (HTTP 503)"
    assert len(host.exchange.posted()) == 1


async def test_second_send_that_the_host_held_back_says_nothing_of_the_first(host: FakeHost) -> None:
    answers = [no_reply(), HELD_BACK]
    host.exchange.on_post = lambda exchange, order: answers.pop(0)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"


async def test_second_send_that_is_refused_as_duplicated_is_looked_up(host: FakeHost) -> None:
    sent: list[SignedOrder] = []

    def lands_late(exchange: FakeExchange, order: SignedOrder) -> ExchangeReply | None:
        sent.append(order)
        if len(sent) == 1:
            return no_reply()
        exchange.really_post(order)
        return reply(400, {"error": f"order {order.order_id} is invalid. Duplicated."})

    host.exchange.on_post = lands_late

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(sent) == 2


async def test_refusal_of_a_second_send_is_no_proof_about_the_first(host: FakeHost) -> None:
    answers = [no_reply(), reply(400, {"error": "not enough balance / allowance"})]
    host.exchange.on_post = lambda exchange, order: answers.pop(0)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"


async def test_two_intents_that_sell_one_token_never_offer_more_than_their_own_orders_did(
    host: FakeHost,
) -> None:
    other = "0x" + "d4" * 32
    for order_id in (ROOT, other):
        host.exchange.orders[order_id] = Resting(100_000_000, 620_000, 40_000_000)
        await host.bot.on_partial_fill(
            partial(
                order_id=order_id,
                side="SELL",
                policy="chase",
                filled="24.8",
                remaining="37.2",
                at_ms=NOW_MS + 1,
            )
        )

    offered = [order.maker_amount_micro for order in host.exchange.posted()]
    assert offered == [60_000_000, 60_000_000]
    filled = sum(order.matched for order in host.exchange.orders.values())
    assert filled + sum(offered) == 2 * 100_000_000


async def test_signed_order_carries_builder_market_and_exact_amounts(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(policy="chase"))

    (asked,), (posted,) = host.signer.asked, host.exchange.posted()
    assert (asked.market_id, asked.token_id, asked.builder_code) == (MARKET, TOKEN, BUILDER)
    assert posted.maker_amount_micro == 396_820_000 * 630_000 // 1_000_000
    assert Decimal(posted.maker_amount_micro) / posted.taker_amount_micro == Decimal("0.63")
