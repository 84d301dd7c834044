import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from polytraders_hookspecs import (
    BookSnapshot,
    LastTrade,
    PriceChange,
    StreamGap,
    TickSizeChange,
    new_plugin_manager,
)
from prometheus_client import CollectorRegistry
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.orders import MARKET, TOKEN
from support.stub_feed import StubFeed

from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.feed_socket import FeedTimings, channel_url
from polytraders_pfh.host.feeds import MarketFeed, UserFeed
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import OrderNews, TradeNews
from polytraders_pfh.host.secret import Secret

FAST = FeedTimings(ping_s=0.05, silence_s=30, first_pause_s=0.01, longest_pause_s=0.05)
BOOK = {
    "event_type": "book",
    "market": MARKET,
    "asset_id": TOKEN,
    "timestamp": "1703875200000",
    "bids": [{"price": "0.5", "size": "100"}],
    "asks": [{"price": "0.52", "size": "50"}],
}


@dataclass
class Stage:
    feed: MarketFeed
    server: StubFeed
    bot: ScribeBot
    registry: CollectorRegistry

    def of(self, kind: type) -> list[Any]:
        return [update for update in self.bot.updates if isinstance(update, kind)]


@asynccontextmanager
async def market_stage(
    tokens: frozenset[str] = frozenset({TOKEN}), timings: FeedTimings = FAST
) -> AsyncIterator[Stage]:
    manager, bot, registry = new_plugin_manager(), ScribeBot(), CollectorRegistry()
    manager.register(bot)
    async with StubFeed() as server:
        feed = MarketFeed(
            server.url,
            manager.hook,
            SystemClock(),
            HostMetrics(registry),
            complete=lambda book: book.model_copy(update={"closes_at_ms": 7}),
            chance=random.Random(1),
            timings=timings,
        )
        feed.for_orders(tokens)
        await feed.open()
        try:
            if tokens:
                await eventually(lambda: server.greetings)
            yield Stage(feed, server, bot, registry)
        finally:
            await feed.close()


async def test_the_subscription_names_the_tokens_as_soon_as_the_line_is_open() -> None:
    async with market_stage() as s:
        assert s.server.greetings == [
            (
                "market",
                {
                    "assets_ids": [TOKEN],
                    "type": "market",
                    "custom_feature_enabled": True,
                    "initial_dump": True,
                    "level": 2,
                },
            )
        ]


async def test_every_message_type_reaches_the_bots_as_its_model_whether_alone_or_in_an_array() -> None:
    async with market_stage() as s:
        await s.server.send([BOOK])
        await s.server.send(
            {
                "event_type": "price_change",
                "market": MARKET,
                "timestamp": "1703875201000",
                "price_changes": [
                    {"asset_id": "999", "price": "0.49", "side": "SELL", "size": "1"},
                    {
                        "asset_id": TOKEN,
                        "price": "0.51",
                        "side": "BUY",
                        "size": "0",
                        "best_bid": "0.5",
                        "best_ask": "",
                    },
                ],
            }
        )
        await s.server.send(
            [
                {
                    "event_type": "last_trade_price",
                    "asset_id": TOKEN,
                    "market": MARKET,
                    "price": "0.52",
                    "side": "BUY",
                    "size": "5.051019",
                    "timestamp": "1703875202000",
                },
                {"event_type": "something_new", "asset_id": TOKEN},
                {
                    "event_type": "tick_size_change",
                    "asset_id": TOKEN,
                    "market": MARKET,
                    "old_tick_size": "0.01",
                    "new_tick_size": "0.001",
                    "timestamp": "1703875203000",
                },
            ]
        )
        await eventually(lambda: len(s.bot.updates) == 4)

        assert s.bot.updates == [
            BookSnapshot(
                token_id=TOKEN,
                market_id=MARKET,
                bids=((500_000, 100_000_000),),
                asks=((520_000, 50_000_000),),
                timestamp_ms=1_703_875_200_000,
                closes_at_ms=7,
            ),
            PriceChange(
                token_id=TOKEN,
                bid=True,
                price_micro=510_000,
                size_micro=0,
                timestamp_ms=1_703_875_201_000,
                best_bid_micro=500_000,
            ),
            LastTrade(
                token_id=TOKEN,
                side="BUY",
                price_micro=520_000,
                size_micro=5_051_019,
                timestamp_ms=1_703_875_202_000,
            ),
            TickSizeChange(
                token_id=TOKEN,
                old_tick_micro=10_000,
                new_tick_micro=1_000,
                timestamp_ms=1_703_875_203_000,
            ),
        ]


async def test_every_interruption_voids_the_books_and_subscribes_again() -> None:
    async with market_stage() as s:
        for times in (1, 2):
            await s.server.drop()
            await eventually(lambda times=times: len(s.server.greetings) == times + 1)

        assert [gap.token_ids for gap in s.of(StreamGap)] == [(TOKEN,), (TOKEN,)]
        assert s.registry.get_sample_value("polytraders_host_feed_drops_total", {"feed": "market"}) == 2


async def test_a_feed_that_is_refused_for_a_while_comes_back_without_further_gaps() -> None:
    async with market_stage() as s:
        s.server.refuse = True
        await s.server.drop()
        await eventually(lambda: s.of(StreamGap))
        s.server.refuse = False
        await eventually(lambda: len(s.server.greetings) == 2)

        assert len(s.of(StreamGap)) == 1


async def test_pings_go_out_while_books_flow() -> None:
    async with market_stage() as s:
        await eventually(lambda: s.server.pings >= 3)

        assert s.of(StreamGap) == []


async def test_three_unanswered_pings_end_the_connection() -> None:
    async with market_stage() as s:
        s.server.answer_pings = False
        await eventually(lambda: s.of(StreamGap))


async def test_a_feed_that_answers_pings_and_carries_no_data_is_dropped() -> None:
    async with market_stage(timings=FeedTimings(ping_s=0.02, silence_s=0.1, first_pause_s=0.01)) as s:
        await eventually(lambda: len(s.of(StreamGap)) >= 2)

        assert s.server.pings > 0


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        '"text"',
        BOOK | {"bids": [{"price": "x", "size": "1"}]},
        BOOK | {"market": "0x12"},
        {"event_type": "price_change", "price_changes": None},
    ],
)
async def test_a_message_that_cannot_be_read_voids_the_books_and_starts_afresh(frame: Any) -> None:
    async with market_stage() as s:
        await s.server.send(frame)
        await eventually(lambda: len(s.server.greetings) == 2)

        assert s.bot.updates[0].token_ids == (TOKEN,)
        labels = {"feed": "market"}
        assert s.registry.get_sample_value("polytraders_host_unreadable_messages_total", labels) == 1


async def test_tokens_come_and_go_on_the_open_connection() -> None:
    async with market_stage() as s:
        s.feed.for_orders(frozenset({TOKEN, "5"}))
        s.feed.watch(["6"])
        s.feed.for_orders(frozenset({"5"}))
        await eventually(lambda: len(s.server.said) == 3)
        await s.server.send(BOOK)
        await s.server.send(BOOK | {"asset_id": "6"})
        await eventually(lambda: s.bot.updates)

        assert s.server.said == [
            {"operation": "subscribe", "assets_ids": ["5"]},
            {"operation": "subscribe", "assets_ids": ["6"]},
            {"operation": "unsubscribe", "assets_ids": [TOKEN]},
        ]
        assert [update.token_id for update in s.bot.updates] == ["6"]


async def test_no_connection_carries_more_than_two_hundred_tokens() -> None:
    async with market_stage(frozenset(str(n) for n in range(1, 451))) as s:
        await eventually(lambda: len(s.server.greetings) == 3)

        assert sorted(len(greeting["assets_ids"]) for _, greeting in s.server.greetings) == [50, 200, 200]


async def test_without_tokens_there_is_no_connection() -> None:
    async with market_stage(frozenset()) as s:
        s.feed.for_orders(frozenset({TOKEN}))
        await eventually(lambda: s.server.greetings)
        s.feed.for_orders(frozenset())
        await eventually(lambda: not s.server.open)

        assert len(s.server.greetings) == 1


async def test_a_bot_that_raises_on_an_update_keeps_it_from_no_other() -> None:
    async with market_stage() as s:
        s.bot.updates = None  # type: ignore[assignment]
        await s.server.send(BOOK)
        labels = {"hook": "on_book_update"}
        await eventually(
            lambda: s.registry.get_sample_value("polytraders_host_hook_errors_total", labels) == 1
        )


@dataclass
class Ledger:
    """Stands in for the lifecycle: it writes down what it sees."""

    orders: list[OrderNews] = field(default_factory=list)
    trades: list[TradeNews] = field(default_factory=list)

    def saw_order(self, news: OrderNews) -> None:
        self.orders.append(news)

    def saw_trade(self, news: TradeNews) -> None:
        self.trades.append(news)


async def test_the_user_feed_shows_orders_and_trades_and_reconciles_after_every_connect() -> None:
    ledger, connects = Ledger(), []
    async with StubFeed() as server:
        feed = UserFeed(
            server.url + "/ws",
            ApiCredentials("key", Secret("c2VjcmV0"), Secret("pass")),
            ledger,  # type: ignore[arg-type]
            SystemClock(),
            HostMetrics(CollectorRegistry()),
            on_connected=lambda: connects.append(1),
            chance=random.Random(1),
            timings=FAST,
        )
        await feed.open()
        try:
            await eventually(lambda: connects)
            order_id = "0x" + "0A" * 32
            await server.send(
                {
                    "event_type": "order",
                    "type": "UPDATE",
                    "id": order_id,
                    "market": MARKET,
                    "asset_id": TOKEN,
                    "side": "BUY",
                    "price": "0.5",
                    "original_size": "100.0",
                    "size_matched": "25.0",
                    "status": "LIVE",
                    "order_type": "GTC",
                    "timestamp": "1703875201000",
                },
                "user",
            )
            await server.send(
                [
                    {
                        "event_type": "trade",
                        "id": "t1",
                        "market": MARKET,
                        "status": "MATCHED",
                        "taker_order_id": "0xEE",
                        "size": "25",
                        "trader_side": "TAKER",
                        "maker_orders": [],
                    }
                ],
                "user",
            )
            await eventually(lambda: ledger.trades)
            await server.drop()
            await eventually(lambda: len(connects) == 2)
        finally:
            await feed.close()

    assert server.greetings[0] == (
        "user",
        {"auth": {"apiKey": "key", "secret": "c2VjcmV0", "passphrase": "pass"}, "type": "user"},
    )
    assert [(news.order_id, news.matched_micro) for news in ledger.orders] == [(order_id.lower(), 25_000_000)]
    assert ledger.trades[0].fills[0].ours


@pytest.mark.parametrize("base", ["ws://x:1", "ws://x:1/", "ws://x:1/ws", "ws://x:1/ws/"])
def test_a_channels_address_is_found_from_the_base_with_or_without_ws(base: str) -> None:
    assert channel_url(base, "user") == "ws://x:1/ws/user"
