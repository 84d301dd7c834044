"""The user channel: one's own orders and trades, message by message."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from support.paper_stage import (
    CUP,
    NO,
    RAIN,
    START_MS,
    WINNER,
    YES,
    Stage,
    Trader,
    paper_stage,
    received,
    refusal,
    settle,
)
from support.payloads import payload

from polytraders_pfh.paper.core.model import MICRO, Side


def brief(messages: list[Any]) -> list[tuple[str, ...]]:
    """(type, status, size_matched) of orders and ("TRADE", status, trader_side) of trades, as they came."""
    return [
        (message["type"], message["status"], message["trader_side"])
        if message["event_type"] == "trade"
        else (message["type"], message["status"], message["size_matched"])
        for message in messages
    ]


async def sell_to(stage: Stage, shares: int) -> None:
    """The crowd sells YES into the bids at 0.50."""
    stage.exchange.crowd_take(YES, Side.SELL, shares * MICRO, 500_000, stage.clock.now_ms())
    stage.server.pump()


async def close_of(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    """Code and reason with which the server closed."""
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE
    return message.data, str(message.extra)


async def test_an_order_is_followed_from_placement_to_its_last_fill() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        await trader.rest("BUY", 100, 500_000)
        placed = await received(user)
        stage.clock.advance(5_000)
        await sell_to(stage, 25)
        partly = await received(user)
        await sell_to(stage, 75)
        filled = await received(user)
        await user.close()

    assert placed == [payload("ws_user_order_placement")]
    assert sorted(partly, key=lambda message: message["event_type"]) == [
        payload("ws_user_order_partial_fill"),
        payload("ws_user_trade_maker"),
    ]
    assert sorted(brief(filled)) == [("TRADE", "MATCHED", "MAKER"), ("UPDATE", "MATCHED", "100")]


async def test_a_trade_is_told_again_at_every_step_of_its_settlement() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        await trader.rest("BUY", 100, 500_000)
        user = await stage.listen_user(trader)
        await sell_to(stage, 25)
        stage.advance(2_000)
        stage.advance(4_000)
        trades = [message for message in await received(user) if message["event_type"] == "trade"]
        await user.close()

    assert [trade["status"] for trade in trades] == ["MATCHED", "MINED", "CONFIRMED"]
    assert len({trade["id"] for trade in trades}) == 1
    assert [bool(trade["transaction_hash"]) for trade in trades] == [False, True, True]
    assert [trade["last_update"] for trade in trades] == ["1790000000", "1790000002", "1790000006"]


async def test_a_failed_trade_takes_its_fill_back() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        order_id = await trader.rest("BUY", 100, 500_000)
        user = await stage.listen_user(trader)
        await sell_to(stage, 25)
        stage.exchange.fail_trade(stage.exchange.trades(trader.key)[0].id)
        stage.advance(2_000)
        statuses = [message["status"] for message in await received(user) if message["type"] == "TRADE"]
        record = await asyncio.to_thread(trader.client.get_order, order_id)
        await user.close()

    assert statuses == ["MATCHED", "FAILED"]
    assert record["size_matched"] == "0"


async def test_a_cancel_tells_what_had_filled() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        await trader.rest("BUY", 100, 500_000)
        await sell_to(stage, 25)
        user = await stage.listen_user(trader)
        await asyncio.to_thread(trader.client.cancel_all)
        events = await received(user)
        await user.close()

    assert brief(events) == [("CANCELLATION", "CANCELED", "25")]


async def test_a_killed_fok_is_told_with_empty_strings() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        await refusal(trader.client.post_order, trader.order("BUY", 12, 600_000), "FOK", False, True)
        events = await received(user)
        await user.close()

    assert events[-1] == payload("ws_user_order_fok_killed")


async def test_the_events_of_a_post_are_queued_before_its_answer() -> None:
    async with paper_stage() as stage:
        stage.exchange.crowd_set_level(YES, Side.SELL, 500_000, 10 * MICRO, START_MS)
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        answer = await trader.post(trader.order("BUY", 10, 500_000))
        events = await received(user)
        await user.close()

    assert answer["status"] == "matched"
    assert ("TRADE", "MATCHED", "TAKER") in brief(events)
    assert [message["id"] for message in events if message["type"] == "TRADE"] == answer["tradeIDs"]


async def test_both_sides_of_a_cross_hear_it_once_each_and_a_bystander_nothing() -> None:
    async with paper_stage() as stage:
        maker, taker, bystander = await stage.trader(1), await stage.trader(2), await stage.trader(3)
        sockets = [await stage.listen_user(trader) for trader in (maker, taker, bystander)]
        await maker.rest("BUY", 20, 400_000)
        await taker.rest("BUY", 20, 600_000, token=NO)
        heard = [[m for m in await received(s) if m["event_type"] == "trade"] for s in sockets]
        for socket in sockets:
            await socket.close()

    (as_maker,), (as_taker,), nothing = heard
    assert nothing == []
    assert (as_maker["trader_side"], as_maker["owner"], as_maker["trade_owner"]) == (
        "MAKER",
        maker.key,
        taker.key,
    )
    assert (as_taker["trader_side"], as_taker["owner"], as_taker["trade_owner"]) == (
        "TAKER",
        taker.key,
        taker.key,
    )
    assert as_maker["id"] == as_taker["id"]


async def test_markets_are_filtered_by_condition_and_can_be_changed() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.listen_user(trader, markets=[RAIN.condition_id])
        await trader.rest("BUY", 10, 400_000)
        await trader.post(trader.order("BUY", 10, 400_000, token=WINNER, neg_risk=True))
        first = [message["market"] for message in await received(user)]
        await user.send_json({"operation": "unsubscribe", "markets": [RAIN.condition_id]})
        await user.send_json({"operation": "subscribe", "markets": [CUP.condition_id]})
        await settle(user)
        await trader.rest("BUY", 10, 400_000)
        await trader.post(trader.order("BUY", 10, 400_000, token=WINNER, neg_risk=True))
        second = [message["market"] for message in await received(user)]
        await user.close()

    assert (first, second) == ([RAIN.condition_id], [CUP.condition_id])


async def test_nothing_is_replayed_after_a_reconnect() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.listen_user(trader)
        await user.close()
        await trader.rest("BUY", 10, 400_000)
        again = await stage.listen_user(trader)
        missed = await received(again)
        await again.close()

    assert missed == []


def auth(trader: Trader, **changes: str) -> dict[str, Any]:
    creds = trader.creds
    whole = {"apiKey": creds.api_key, "secret": creds.api_secret, "passphrase": creds.api_passphrase}
    return {"auth": {**whole, **changes}, "type": "user"}


@pytest.mark.parametrize("changes", [{"secret": "c2VjcmV0"}, {"passphrase": "x"}, {"apiKey": "nobody"}])
async def test_wrong_credentials_close_the_stream(changes: dict[str, str]) -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        user = await stage.http.ws_connect(stage.server.ws_url + "/user")
        await user.send_json(auth(trader, **changes))

        assert await close_of(user) == (1008, "auth was missing or wrong")


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"user"}', '{"auth":"me"}'])
async def test_a_first_message_without_credentials_closes_the_stream(text: str) -> None:
    async with paper_stage() as stage:
        user = await stage.http.ws_connect(stage.server.ws_url + "/user")
        await user.send_str(text)

        assert await close_of(user) == (1008, "auth was missing or wrong")


async def test_a_connection_that_says_nothing_is_closed_after_ten_seconds() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        quiet = await stage.http.ws_connect(stage.server.ws_url + "/user")
        await settle(quiet)
        subscribed = await stage.listen_user(trader)
        stage.advance(10_001)

        assert await close_of(quiet) == (1008, "no subscription was sent")
        await settle(subscribed)
        await subscribed.close()


async def test_a_closing_server_says_so() -> None:
    async with paper_stage() as stage:
        user = await stage.listen_user(await stage.trader(1))
        closing = asyncio.create_task(stage.server.close())

        assert await close_of(user) == (1001, "the server is shutting down")
        await closing
