"""Books, prices and market parameters as the official SDK and a plain HTTP client read them."""

import asyncio
import dataclasses
from typing import Any

import pytest
from py_clob_client_v2.clob_types import BookParams, MarketOrderArgsV2
from support.paper_stage import CUP, NO, RAIN, START_MS, WINNER, YES, Stage, paper_stage, refusal
from support.payloads import payload

from polytraders_pfh.paper.core.model import MICRO, Side

UNKNOWN = "99999"


def quote(stage: Stage) -> None:
    """A crowd around 0.50: two levels on each side of YES."""
    levels = {Side.BUY: (480_000, 490_000), Side.SELL: (520_000, 510_000)}
    for side, prices in levels.items():
        for shares, price in zip((100, 25), prices, strict=True):
            stage.exchange.crowd_set_level(YES, side, price, shares * MICRO, START_MS)


async def get(stage: Stage, path: str) -> tuple[int, Any]:
    async with stage.http.get(stage.server.url + path) as answer:
        return answer.status, await answer.json()


async def test_the_server_is_alive_and_says_what_it_is() -> None:
    async with paper_stage() as stage:
        client = stage.client(1)

        assert await asyncio.to_thread(client.get_ok) == "OK"
        assert await asyncio.to_thread(client.get_server_time) == START_MS // 1_000
        assert await asyncio.to_thread(client.get_version) == 2
        assert await get(stage, "/") == (200, "OK")


async def test_a_book_lists_the_best_price_last_and_its_hash_can_be_recomputed() -> None:
    async with paper_stage() as stage:
        quote(stage)
        client = stage.client(1)
        book = await asyncio.to_thread(client.get_order_book, YES)

        assert book == payload("rest_book_two_sided")
        assert await asyncio.to_thread(client.get_order_book_hash, book) == book["hash"]


async def test_the_other_tokens_book_is_the_mirror_image() -> None:
    async with paper_stage() as stage:
        quote(stage)
        book = await asyncio.to_thread(stage.client(1).get_order_book, NO)

    assert book["bids"] == [{"price": "0.48", "size": "100"}, {"price": "0.49", "size": "25"}]
    assert book["asks"] == [{"price": "0.52", "size": "100"}, {"price": "0.51", "size": "25"}]


async def test_several_books_come_in_the_order_asked_and_unknown_ones_are_left_out() -> None:
    async with paper_stage() as stage:
        wanted = [BookParams(WINNER), BookParams(UNKNOWN), BookParams(YES)]
        books = await asyncio.to_thread(stage.client(1).get_order_books, wanted)

    assert [(book["market"], book["asset_id"]) for book in books] == [
        (CUP.condition_id, WINNER),
        (RAIN.condition_id, YES),
    ]


async def test_prices_are_read_off_the_top_of_the_book() -> None:
    async with paper_stage() as stage:
        quote(stage)
        client = stage.client(1)

        assert await asyncio.to_thread(client.get_midpoint, YES) == {"mid": "0.5"}
        assert await asyncio.to_thread(client.get_spread, YES) == {"spread": "0.02"}
        assert await asyncio.to_thread(client.get_price, YES, "BUY") == {"price": "0.49"}
        assert await asyncio.to_thread(client.get_price, YES, "SELL") == {"price": "0.51"}


async def test_the_last_trade_price_follows_trades() -> None:
    async with paper_stage() as stage:
        quote(stage)
        client = stage.client(1)
        before = await asyncio.to_thread(client.get_last_trade_price, YES)
        stage.exchange.crowd_take(YES, Side.BUY, 5 * MICRO, 510_000, START_MS)
        after = await asyncio.to_thread(client.get_last_trade_price, YES)

    assert (before, after) == ({"price": "0.5", "side": ""}, {"price": "0.51", "side": "BUY"})


@pytest.mark.parametrize("tick_micro", [100_000, 10_000, 5_000, 2_500, 1_000, 100])
async def test_every_grid_in_use_reaches_the_sdk_in_its_own_spelling(tick_micro: int) -> None:
    market = dataclasses.replace(RAIN, tick_micro=tick_micro)
    async with paper_stage(markets=(market,)) as stage:
        by_query = await asyncio.to_thread(stage.client(1).get_tick_size, YES)
        by_market = stage.client(2)
        await asyncio.to_thread(by_market.get_clob_market_info, RAIN.condition_id)

        assert by_query == await asyncio.to_thread(by_market.get_tick_size, YES)
        assert by_query in ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")


async def test_market_parameters_come_by_query_and_by_path() -> None:
    fee = dataclasses.replace(CUP, taker_fee_rate_micro=70_000, fee_exponent=1, taker_delay_ms=250)
    async with paper_stage(markets=(RAIN, fee)) as stage:
        client = stage.client(1)

        assert await asyncio.to_thread(client.get_neg_risk, WINNER) is True
        assert await asyncio.to_thread(client.get_fee_rate_bps, WINNER) == 700
        assert await get(stage, f"/tick-size/{YES}") == (200, {"minimum_tick_size": 0.01})
        assert await get(stage, f"/neg-risk/{YES}") == (200, {"neg_risk": False})
        assert await get(stage, f"/fee-rate/{YES}") == (200, {"base_fee": 0})
        assert await get(stage, f"/clob-markets/{CUP.condition_id}") == (
            200,
            payload("rest_clob_market_fees"),
        )
        assert await get(stage, f"/markets-by-token/{YES}") == (
            200,
            {"condition_id": RAIN.condition_id, "primary_token_id": YES, "secondary_token_id": NO},
        )


async def test_the_sdk_builds_a_market_order_from_what_the_server_tells() -> None:
    async with paper_stage() as stage:
        quote(stage)
        trader = await stage.trader(1)
        arguments = MarketOrderArgsV2(token_id=YES, amount=10, side="BUY")
        order = await asyncio.to_thread(trader.client.create_market_order, arguments)

    assert (order.makerAmount, order.takerAmount) == ("10000000", "19607800")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/book", (400, "Invalid token id")),
        ("/book?token_id=0x12", (400, "Invalid token id")),
        (f"/book?token_id={UNKNOWN}", (404, "No orderbook exists for the requested token id")),
        (f"/tick-size?token_id={UNKNOWN}", (404, "market not found")),
        (f"/markets-by-token/{UNKNOWN}", (404, "market not found")),
        ("/clob-markets/0x12", (404, "market not found")),
        (f"/price?token_id={YES}&side=HOLD", (400, "Invalid side")),
        (f"/midpoint?token_id={YES}", (404, "No orderbook exists for the requested token id")),
        ("/nowhere", (404, "not found")),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_the_exchanges_words(
    path: str, answer: tuple[int, str]
) -> None:
    async with paper_stage() as stage:
        assert await get(stage, path) == (answer[0], {"error": answer[1]})


async def test_a_malformed_books_request_is_refused() -> None:
    async with paper_stage() as stage:
        url = stage.server.url + "/books"
        for body in (b"{", b"{}", b"[1]"):
            async with stage.http.post(url, data=body) as answer:
                assert (answer.status, await answer.json()) == (400, {"error": "Invalid payload"})
        many = [BookParams(YES)] * 501

        assert await refusal(stage.client(1).get_order_books, many) == (
            400,
            {"error": "Payload exceeds the limit"},
        )
