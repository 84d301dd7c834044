"""What the channels hear, and in which order."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, CONDITION, FAK, NO, SELL, T0, YES, World, micro, told

from polytraders_pfh.paper.core.events import (
    BookSnapshotEvent,
    Event,
    LastTradeEvent,
    LevelChange,
    MarketResolvedEvent,
    OrderEvent,
    PriceChangeEvent,
    TickSizeEvent,
    TradeEvent,
)
from polytraders_pfh.paper.core.model import ExchangeConfig


@pytest.fixture
def world() -> World:
    world = World()
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def names(events: tuple[Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_resting_order_is_a_placement_and_a_change_of_both_tokens_books(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10", at=T0 + 7)
    placement, change = world.exchange.drain()
    assert isinstance(placement, OrderEvent)
    assert told([placement]) == [("PLACEMENT", "LIVE", 0)]
    assert placement.timestamp_ms == T0 + 7
    bid, ask = micro("0.4"), micro("0.6")
    assert change == PriceChangeEvent(
        CONDITION,
        (
            LevelChange(YES, BUY, bid, micro(10), bid, None),
            LevelChange(NO, SELL, ask, micro(10), None, ask),
        ),
        T0 + 7,
    )


def test_a_match_tells_trade_makers_taker_then_books_and_prints(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    world.rest("ann", SELL, "0.45", "10")
    world.exchange.drain()
    world.post("bob", BUY, "0.50", "15")
    events = world.exchange.drain()
    assert names(events) == [
        "OrderEvent",
        "TradeEvent",
        "OrderEvent",
        "OrderEvent",
        "OrderEvent",
        "PriceChangeEvent",
        "BookSnapshotEvent",
        "BookSnapshotEvent",
        "LastTradeEvent",
    ]
    assert told(events) == [
        ("PLACEMENT", "LIVE", 0),
        ("UPDATE", "MATCHED", micro(10)),
        ("UPDATE", "LIVE", micro(5)),
        ("UPDATE", "MATCHED", micro(15)),
    ]


def test_sizes_are_cumulative_and_trades_are_named(world: World) -> None:
    order = world.rest("ann", BUY, "0.40", "10")
    world.exchange.drain()
    trade_ids = [world.post("bob", SELL, "0.40", "3", kind=FAK).trade_ids[0] for _ in range(3)]
    records = [
        event.record
        for event in world.exchange.drain()
        if isinstance(event, OrderEvent) and event.record.order_id == order
    ]
    assert [record.size_matched_micro for record in records] == [micro(3), micro(6), micro(9)]
    assert records[-1].associate_trades == tuple(trade_ids)
    assert {record.status for record in records} == {"LIVE"}


def test_a_taker_across_two_prices_is_updated_twice_and_ends_with_the_second(world: World) -> None:
    world.rest("ann", BUY, "0.40", "5")
    world.rest("ann", BUY, "0.39", "5")
    world.exchange.drain()
    taker = world.post("bob", SELL, "0.39", "20", kind=FAK).order_id
    states = [
        (event.record.status, event.record.size_matched_micro)
        for event in world.exchange.drain()
        if isinstance(event, OrderEvent) and event.record.order_id == taker
    ]
    assert states == [("LIVE", 0), ("LIVE", micro(5)), ("MATCHED", micro(10))]


def test_a_cancel_tells_what_had_filled(world: World) -> None:
    order = world.rest("ann", BUY, "0.40", "10")
    world.post("bob", SELL, "0.40", "4", kind=FAK)
    world.exchange.drain()
    world.exchange.cancel("key-ann", [order], T0)
    events = world.exchange.drain()
    assert told(events) == [("CANCELLATION", "CANCELED", micro(4))]
    (change,) = [event for event in events if isinstance(event, PriceChangeEvent)]
    assert [c.size_micro for c in change.changes] == [0, 0]


def test_price_changes_carry_the_best_prices_after_the_whole_command(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    world.rest("ann", SELL, "0.46", "10")
    world.exchange.drain()
    world.post("bob", BUY, "0.47", "25")
    (change,) = [event for event in world.exchange.drain() if isinstance(event, PriceChangeEvent)]
    assert {(c.best_bid_micro, c.best_ask_micro) for c in change.changes if c.token_id == YES} == {
        (micro("0.47"), None)
    }
    assert {(c.best_bid_micro, c.best_ask_micro) for c in change.changes if c.token_id == NO} == {
        (None, micro("0.53"))
    }
    assert {(c.side, c.price_micro, c.size_micro) for c in change.changes if c.token_id == YES} == {
        (SELL, micro("0.45"), 0),
        (SELL, micro("0.46"), 0),
        (BUY, micro("0.47"), micro(5)),
    }


def test_a_snapshot_follows_trades_for_both_tokens_and_a_print_per_price(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    world.rest("ann", SELL, "0.46", "10")
    world.exchange.drain()
    world.post("bob", BUY, "0.55", "15", token=YES)
    events = world.exchange.drain()
    views = [event.view for event in events if isinstance(event, BookSnapshotEvent)]
    assert views == [world.exchange.book(YES, T0), world.exchange.book(NO, T0)]
    prints = [event for event in events if isinstance(event, LastTradeEvent)]
    assert [(p.token_id, p.side, p.price_micro, p.size_micro) for p in prints] == [
        (YES, BUY, micro("0.45"), micro(10)),
        (YES, BUY, micro("0.46"), micro(5)),
    ]


def test_a_changed_grid_is_told_once_with_fresh_books(world: World) -> None:
    world.exchange.set_tick(CONDITION, 1_000, T0 + 1)
    world.exchange.set_tick(CONDITION, 1_000, T0 + 2)
    events = world.exchange.drain()
    assert events[0] == TickSizeEvent(CONDITION, 10_000, 1_000, T0 + 1)
    assert names(events[1:]) == ["BookSnapshotEvent", "BookSnapshotEvent"]


def test_a_resolution_is_told_after_the_orders_it_ended(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10")
    world.exchange.drain()
    world.exchange.resolve(CONDITION, NO, T0 + 1)
    events = world.exchange.drain()
    assert told(events) == [("CANCELLATION", "CANCELED_MARKET_RESOLVED", 0)]
    assert events[-1] == MarketResolvedEvent(CONDITION, NO, "No", T0 + 1)


def test_a_delayed_order_is_told_as_delayed_then_by_its_match() -> None:
    world = World(seconds_delay_ms=1_000)
    world.fund("ann", "bob", pairs="100")
    world.rest("ann", SELL, "0.45", "10")
    world.exchange.drain()
    world.post("bob", BUY, "0.45", "10")
    assert told(world.exchange.drain()) == [("PLACEMENT", "DELAYED", 0)]
    world.exchange.advance(T0 + 1_000)
    assert told(world.exchange.drain()) == [
        ("UPDATE", "MATCHED", micro(10)),
        ("UPDATE", "MATCHED", micro(10)),
    ]


def test_the_crowd_is_heard_on_the_market_channel_only(world: World) -> None:
    world.crowd(SELL, "0.45", "10")
    world.exchange.crowd_take(YES, BUY, micro(4), micro("0.45"), T0)
    events = world.exchange.drain()
    assert not [event for event in events if isinstance(event, OrderEvent | TradeEvent)]
    assert names(events)[-1] == "LastTradeEvent"


def test_drained_events_are_gone(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10")
    assert world.exchange.drain()
    assert world.exchange.drain() == ()


@pytest.mark.parametrize(
    ("config", "heard"),
    [
        (ExchangeConfig(market_events=False), set()),
        (ExchangeConfig(book_after_trade=False), {"PriceChangeEvent", "LastTradeEvent"}),
    ],
)
def test_a_simulation_can_have_the_market_channel_silent(config: ExchangeConfig, heard: set[str]) -> None:
    world = World(config)
    world.fund("ann", "bob", pairs="100")
    world.rest("ann", SELL, "0.45", "10")
    world.post("bob", BUY, "0.45", "10")
    assert set(names(world.exchange.drain())) == {"OrderEvent", "TradeEvent"} | heard
