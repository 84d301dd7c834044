"""The market channel: snapshots, level changes, prints, grids and endings, and readers who are too slow."""

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType
from support.paper_stage import (
    CUP,
    LOSER,
    NO,
    RAIN,
    START_MS,
    WINNER,
    YES,
    Stage,
    paper_stage,
    received,
    settle,
)
from support.payloads import payload

from polytraders_pfh.paper.core.events import BookSnapshotEvent
from polytraders_pfh.paper.core.model import MICRO, BookView, Side
from polytraders_pfh.paper.protocol.venue import VenueOptions


def rest(stage: Stage, side: Side, price_micro: int, shares: int, token: str = YES) -> None:
    """The crowd's size at a price, told to the streams."""
    stage.exchange.crowd_set_level(token, side, price_micro, shares * MICRO, stage.clock.now_ms())
    stage.server.pump()


def kinds(messages: list[Any]) -> list[tuple[str, str]]:
    """(event type, token) of every message; the market stands in where both tokens share one."""
    return [(message["event_type"], message.get("asset_id", message["market"])) for message in messages]


async def test_subscribing_brings_the_whole_book_first() -> None:
    async with paper_stage() as stage:
        rest(stage, Side.BUY, 480_000, 100)
        rest(stage, Side.BUY, 490_000, 25)
        rest(stage, Side.SELL, 520_000, 100)
        rest(stage, Side.SELL, 510_000, 25)
        market = await stage.listen_market(YES, NO)
        books = await received(market)
        await market.close()

    assert kinds(books) == [("book", YES), ("book", NO)]
    assert books[0] == payload("ws_market_book_initial")


async def test_without_an_initial_dump_only_changes_come() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES, initial_dump=False)
        await settle(market)
        rest(stage, Side.BUY, 480_000, 100)
        messages = await received(market)
        await market.close()

    assert kinds(messages) == [("price_change", RAIN.condition_id)]


async def test_a_level_change_carries_both_tokens_absolute_sizes_and_best_prices() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES)
        await received(market)
        rest(stage, Side.BUY, 480_000, 100)
        (grown,) = await received(market)
        rest(stage, Side.BUY, 480_000, 0)
        (gone,) = await received(market)
        await market.close()

    assert grown == payload("ws_market_price_change_both_tokens")
    assert [(change["asset_id"], change["size"]) for change in gone["price_changes"]] == [
        (YES, "0"),
        (NO, "0"),
    ]
    assert [(change["best_bid"], change["best_ask"]) for change in gone["price_changes"]] == [("0", "1")] * 2


async def test_a_trade_brings_changes_new_books_and_the_print() -> None:
    async with paper_stage() as stage:
        rest(stage, Side.SELL, 510_000, 25)
        market = await stage.listen_market(YES)
        await received(market)
        stage.exchange.crowd_take(YES, Side.BUY, 5 * MICRO, 510_000, START_MS)
        stage.server.pump()
        messages = await received(market)
        await market.close()

    assert sorted(kinds(messages)) == [
        ("book", YES),
        ("last_trade_price", YES),
        ("price_change", RAIN.condition_id),
    ]
    by_kind = {message["event_type"]: message for message in messages}
    assert by_kind["last_trade_price"] == payload("ws_market_last_trade_price_buy")
    assert by_kind["book"]["asks"] == [{"price": "0.51", "size": "20"}]
    assert "tick_size" not in by_kind["book"]


async def test_a_book_message_has_the_hash_of_the_rest_book() -> None:
    async with paper_stage() as stage:
        rest(stage, Side.BUY, 480_000, 100)
        market = await stage.listen_market(YES)
        (book,) = await received(market)
        async with stage.http.get(f"{stage.server.url}/book?token_id={YES}") as answer:
            assert book["hash"] == (await answer.json())["hash"]
        await market.close()


async def test_best_prices_come_only_when_asked_for_and_only_when_they_change() -> None:
    async with paper_stage() as stage:
        custom = await stage.listen_market(YES, custom_feature_enabled=True)
        plain = await stage.listen_market(YES)
        await received(custom)
        await received(plain)
        rest(stage, Side.SELL, 520_000, 10)
        rest(stage, Side.BUY, 480_000, 10)
        rest(stage, Side.BUY, 470_000, 10)
        best = [m for m in await received(custom) if m["event_type"] == "best_bid_ask"]
        plain_kinds = {kind for kind, _ in kinds(await received(plain))}
        for socket in (custom, plain):
            await socket.close()

    assert [(m["best_bid"], m["best_ask"], m["spread"]) for m in best] == [
        ("0", "0.52", "0.52"),
        ("0.48", "0.52", "0.04"),
    ]
    assert plain_kinds == {"price_change"}


async def test_tokens_can_be_added_and_dropped_on_the_way() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES)
        await received(market)
        await market.send_json({"operation": "subscribe", "assets_ids": [WINNER, YES]})
        added = await received(market)
        await market.send_json({"operation": "unsubscribe", "assets_ids": [YES]})
        await settle(market)
        rest(stage, Side.BUY, 480_000, 10)
        rest(stage, Side.BUY, 480_000, 10, token=WINNER)
        later = await received(market)
        await market.close()

    assert kinds(added) == [("book", WINNER)]
    assert kinds(later) == [("price_change", CUP.condition_id)]


async def test_a_new_grid_is_told_for_each_token_and_followed_by_a_book() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES)
        await received(market)
        stage.exchange.set_tick(RAIN.condition_id, 1_000, START_MS)
        stage.server.pump()
        messages = await received(market)
        await market.close()

    assert kinds(messages) == [("tick_size_change", YES), ("book", YES)]
    assert messages[0] == payload("ws_market_tick_size_change")


async def test_the_end_of_a_market_is_told_to_those_with_custom_features() -> None:
    async with paper_stage() as stage:
        custom = await stage.listen_market(WINNER, custom_feature_enabled=True)
        plain = await stage.listen_market(WINNER)
        await received(custom)
        await received(plain)
        stage.exchange.resolve(CUP.condition_id, WINNER, START_MS)
        stage.server.pump()
        told = [m for m in await received(custom) if m["event_type"] == "market_resolved"]
        untold = [m for m in await received(plain) if m["event_type"] == "market_resolved"]
        for socket in (custom, plain):
            await socket.close()

    assert untold == []
    assert [(m["winning_asset_id"], m["winning_outcome"], m["assets_ids"]) for m in told] == [
        (WINNER, "Yes", [WINNER, LOSER])
    ]


async def test_nonsense_is_answered_and_the_stream_goes_on() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES)
        await received(market)
        nonsense = ("ping", "{", "[]", '{"operation":"explode","assets_ids":[]}', '{"assets_ids":[1]}')
        for text in nonsense:
            await market.send_str(text)
            assert await market.receive_str() == "INVALID OPERATION", text
        await market.send_json({"operation": "subscribe", "assets_ids": ["0", NO]})

        assert kinds(await received(market)) == [("book", NO)]
        await market.close()


async def test_a_reader_too_far_behind_is_closed_with_a_reason_and_the_others_go_on() -> None:
    async with paper_stage(options=VenueOptions(stream_queue=8)) as stage:
        slow, quick = await stage.listen_market(YES), await stage.listen_market(WINNER)
        await received(slow)
        await received(quick)
        # No await in between, so the sender cannot run: as when a socket takes no more bytes.
        for shares in range(1, 10):
            stage.exchange.crowd_set_level(YES, Side.BUY, 480_000, shares * MICRO, START_MS)
        stage.server.pump()
        while (message := await slow.receive()).type is WSMsgType.TEXT:
            pass

        assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)
        assert message.extra == "slow reader: 8 messages unread, reconnect"
        await settle(quick)
        await quick.close()


async def test_a_reader_who_takes_no_bytes_at_all_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.paper.protocol.streams._CLOSE_GRACE_S", 0.05)
    levels = tuple((price * 1_000, 123_456_789) for price in range(1, 500))
    huge = BookSnapshotEvent(
        BookView(YES, RAIN.condition_id, levels, (), 1_000, MICRO, False, None, START_MS)
    )
    async with paper_stage(options=VenueOptions(stream_queue=64)) as stage:
        stuck = await stage.listen_market(YES)
        stream = stage.server.venue.market_stream
        async with asyncio.timeout(30):
            while not any(subscription.tokens for subscription in stream._subscriptions):
                await alive(stage)
            while stream._subscriptions:
                for _ in range(8):
                    stream.publish(huge)
                await alive(stage)
        await stuck.close()


async def test_connections_that_are_cut_break_without_a_word_and_new_ones_are_taken() -> None:
    async with paper_stage() as stage:
        market = await stage.listen_market(YES)
        await received(market)
        assert stage.server.venue.market_stream.cut() == 1
        broken = await market.receive()
        again = await stage.listen_market(YES)

        assert (broken.type, market.close_code) == (WSMsgType.CLOSED, 1006)
        assert kinds(await received(again)) == [("book", YES)]
        assert stage.server.venue.user_stream.cut() == 0
        await again.close()


async def alive(stage: Stage) -> None:
    """A round trip, during which the server's tasks get their turn."""
    async with stage.http.get(stage.server.url + "/ok") as answer:
        assert answer.status == 200
