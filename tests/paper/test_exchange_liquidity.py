"""The crowd: levels set from a recording, takers that eat queues, and our place among them."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, FAK, NO, SELL, T0, YES, World, micro

from polytraders_pfh.paper.core.events import LevelChange, PriceChangeEvent
from polytraders_pfh.paper.core.model import CROWD


@pytest.fixture
def world() -> World:
    world = World(taker_fee_rate_micro=50_000)
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def take(world: World, size: str, limit: str = "0.01") -> int:
    return world.exchange.crowd_take(YES, SELL, micro(size), micro(limit), T0)


def test_a_level_is_set_to_an_absolute_size(world: World) -> None:
    assert world.crowd(BUY, "0.40", "100") == micro(100)
    assert world.crowd(BUY, "0.40", "30.123456") == micro("30.123456")
    assert world.exchange.crowd_level(YES, BUY, micro("0.40")) == micro("30.123456")
    assert world.crowd(BUY, "0.40", "0") == 0
    assert world.levels() == {"bids": {}, "asks": {}}


def test_growth_joins_behind_us_and_shrinking_takes_the_newest_first(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    mine = world.rest("ann", BUY, "0.40", "10")
    world.crowd(BUY, "0.40", "150")
    assert world.exchange.crowd_queue_ahead(mine) == micro(100)
    world.crowd(BUY, "0.40", "110")
    assert world.exchange.crowd_queue_ahead(mine) == micro(100)
    world.crowd(BUY, "0.40", "60")
    assert world.exchange.crowd_queue_ahead(mine) == micro(60)
    world.crowd(BUY, "0.40", "500")
    assert world.exchange.crowd_queue_ahead(mine) == micro(60)


def test_a_crowd_taker_eats_the_crowd_ahead_of_us_then_us(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    mine = world.rest("ann", BUY, "0.40", "10")
    world.crowd(BUY, "0.40", "150")
    assert take(world, "100") == micro(100)
    assert (world.matched(mine), world.exchange.crowd_queue_ahead(mine)) == (0, 0)
    assert take(world, "4") == micro(4)
    assert world.matched(mine) == micro(4)
    assert take(world, "1000") == micro(56)
    assert world.status(mine) == "MATCHED"
    assert world.exchange.crowd_level(YES, BUY, micro("0.40")) == 0


def test_a_crowd_taker_stops_at_its_limit_and_its_rest_is_gone(world: World) -> None:
    world.crowd(BUY, "0.40", "10")
    world.crowd(BUY, "0.39", "10")
    assert take(world, "50", limit="0.40") == micro(10)
    assert world.levels() == {"bids": {micro("0.39"): micro(10)}, "asks": {}}


def test_the_same_level_can_be_named_from_either_token(world: World) -> None:
    world.crowd(BUY, "0.40", "100", token=YES)
    world.crowd(SELL, "0.60", "100", token=NO)
    assert world.levels()["bids"] == {micro("0.4"): micro(100)}
    world.crowd(SELL, "0.60", "120", token=NO)
    world.crowd(BUY, "0.40", "70", token=YES)
    assert world.exchange.crowd_level(NO, SELL, micro("0.60")) == micro(70)
    assert world.levels(NO)["asks"] == {micro("0.6"): micro(70)}


def test_a_level_set_across_the_book_trades_and_the_rest_rests(world: World) -> None:
    mine = world.rest("ann", SELL, "0.45", "10")
    world.crowd(SELL, "0.46", "20")
    assert world.crowd(BUY, "0.46", "100") == micro(70)
    assert world.status(mine) == "MATCHED"
    assert world.levels() == {"bids": {micro("0.46"): micro(70)}, "asks": {}}


def test_a_recorded_level_can_replace_the_crowds_own_levels_in_its_way(world: World) -> None:
    world.crowd(SELL, "0.45", "30")
    mine = world.rest("ann", SELL, "0.45", "10")
    world.crowd(SELL, "0.46", "20")
    world.crowd(SELL, "0.47", "20")
    rests = world.exchange.crowd_set_level(YES, BUY, micro("0.46"), micro(100), T0, replace=True)
    assert (rests, world.matched(mine)) == (micro(90), micro(10))
    assert world.levels() == {"bids": {micro("0.46"): micro(90)}, "asks": {micro("0.47"): micro(20)}}


def test_our_taker_meets_the_crowd_as_an_anonymous_maker(world: World) -> None:
    world.crowd(SELL, "0.45", "10")
    (trade_id,) = world.post("ann", BUY, "0.45", "10").trade_ids
    (fill,) = world.trade(trade_id).maker_fills
    assert (fill.owner, fill.api_key, fill.matched_micro) == (CROWD, CROWD, micro(10))
    assert len(fill.order_id) == 66
    assert world.exchange.order(fill.order_id) is None
    world.exchange.advance(10**15)
    assert world.shares("ann") == micro(510)
    assert world.balanced()


def test_the_crowd_as_taker_pays_no_fee_and_makes_one_trade_with_us(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    world.rest("ann", BUY, "0.40", "10")
    take(world, "105")
    (trade,) = world.exchange.trades("key-ann")
    assert (trade.owner, trade.size_micro, trade.fee_usd_micro) == (CROWD, micro(5), 0)
    world.exchange.advance(10**15)
    assert world.exchange.audit().fees_usd_micro == 0
    assert world.balanced()


def test_the_crowd_against_itself_leaves_no_trade_and_moves_no_funds(world: World) -> None:
    before = world.exchange.audit()
    world.crowd(BUY, "0.40", "100")
    take(world, "60")
    assert world.exchange.trades() == ()
    assert world.exchange.audit() == before
    assert world.exchange.book(YES, T0).last_trade_price_micro == micro("0.4")


def test_the_crowd_mints_and_merges_with_us_and_is_funded_on_demand(world: World) -> None:
    world.crowd(BUY, "0.40", "1000")
    world.crowd(SELL, "0.60", "1000")
    world.post("ann", SELL, "0.40", "50", kind=FAK)
    world.post("ann", BUY, "0.60", "50", token=NO, kind=FAK)
    world.post("ann", SELL, "0.40", "50", token=NO, kind=FAK)
    world.exchange.advance(10**15)
    assert world.balanced()
    kinds = {fill.kind.value for trade in world.exchange.trades() for fill in trade.maker_fills}
    assert kinds == {"DIRECT", "MINT", "MERGE"}


def test_a_level_change_is_told_for_both_tokens(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    world.exchange.drain()
    world.crowd(BUY, "0.40", "70")
    assert world.exchange.drain() == (
        PriceChangeEvent(
            "0xc0",
            (
                LevelChange(YES, BUY, micro("0.4"), micro(70), micro("0.4"), None),
                LevelChange(NO, SELL, micro("0.6"), micro(70), None, micro("0.6")),
            ),
            T0,
        ),
    )


def test_setting_a_level_to_what_it_is_says_nothing(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    world.exchange.drain()
    world.crowd(BUY, "0.40", "100")
    assert world.exchange.drain() == ()


def test_only_resting_orders_stand_in_a_queue(world: World) -> None:
    order = world.rest("ann", BUY, "0.40", "10")
    world.exchange.cancel("key-ann", [order], T0)
    for order_id in (order, "0xunknown"):
        with pytest.raises(KeyError, match="was not resting"):
            world.exchange.crowd_queue_ahead(order_id)


def test_the_queue_ahead_counts_other_accounts_too(world: World) -> None:
    world.crowd(BUY, "0.40", "100")
    world.rest("bob", SELL, "0.60", "7", token=NO)
    mine = world.rest("ann", BUY, "0.40", "10")
    assert world.exchange.crowd_queue_ahead(mine) == micro(107)


@pytest.mark.parametrize(("price", "size"), [(0, 1), (1_000_000, 1), (-1, 1), (400_000, -1)])
def test_impossible_levels_are_refused(world: World, price: int, size: int) -> None:
    with pytest.raises(ValueError, match="crowd"):
        world.exchange.crowd_set_level(YES, BUY, price, size, T0)


def test_a_taker_of_nothing_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="crowd size was 0"):
        world.exchange.crowd_take(YES, BUY, 0, 400_000, T0)
