"""Two orders meet: who is first, at what price, and what moves."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, CONDITION, FAK, NO, SELL, YES, World, micro

from polytraders_pfh.paper.core.trades import MatchKind

INSTANT = 10**15


@pytest.fixture
def world() -> World:
    world = World()
    world.fund("ann", "bob", "cay", usd="1000", pairs="500")
    return world


def settle(world: World) -> None:
    world.exchange.advance(INSTANT)


def test_a_better_price_trades_before_an_older_order(world: World) -> None:
    older = world.rest("ann", SELL, "0.55", "10")
    better = world.rest("bob", SELL, "0.54", "10")
    world.post("cay", BUY, "0.55", "15")
    assert (world.matched(better), world.matched(older)) == (micro(10), micro(5))


def test_at_one_price_the_older_order_trades_first(world: World) -> None:
    first = world.rest("ann", BUY, "0.40", "10")
    second = world.rest("bob", BUY, "0.40", "10")
    world.post("cay", SELL, "0.40", "12")
    assert (world.matched(first), world.matched(second)) == (micro(10), micro(2))


def test_a_partly_filled_order_keeps_its_place(world: World) -> None:
    first = world.rest("ann", BUY, "0.40", "10")
    second = world.rest("bob", BUY, "0.40", "10")
    world.post("cay", SELL, "0.40", "6")
    world.post("cay", SELL, "0.40", "6")
    assert (world.matched(first), world.matched(second)) == (micro(10), micro(2))


def test_orders_of_both_tokens_share_one_queue(world: World) -> None:
    buy_yes = world.rest("ann", BUY, "0.40", "10")
    sell_no = world.rest("bob", SELL, "0.60", "10", token=NO)
    buy_yes_later = world.rest("ann", BUY, "0.40", "10")
    world.post("cay", SELL, "0.40", "15")
    assert [world.matched(i) for i in (buy_yes, sell_no, buy_yes_later)] == [micro(10), micro(5), 0]


def test_a_trade_takes_place_at_the_makers_price(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    result = world.post("bob", BUY, "0.50", "10")
    assert (result.status, result.making_micro, result.taking_micro) == ("matched", micro("4.5"), micro(10))


def test_a_buy_against_a_sell_moves_tokens_one_way_and_collateral_the_other(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    (trade_id,) = world.post("bob", BUY, "0.45", "10").trade_ids
    settle(world)
    assert world.trade(trade_id).maker_fills[0].kind is MatchKind.DIRECT
    assert (world.usd("ann"), world.shares("ann")) == (micro("1004.5"), micro(490))
    assert (world.usd("bob"), world.shares("bob")) == (micro("995.5"), micro(510))
    assert world.exchange.audit().pairs_usd_micro == micro(1500)


def test_two_buys_of_opposite_tokens_mint_pairs_from_their_collateral(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10")
    (trade_id,) = world.post("bob", BUY, "0.65", "10", token=NO).trade_ids
    settle(world)
    assert world.trade(trade_id).maker_fills[0].kind is MatchKind.MINT
    assert (world.usd("ann"), world.shares("ann", YES)) == (micro(996), micro(510))
    assert (world.usd("bob"), world.shares("bob", NO)) == (micro(994), micro(510))
    assert world.exchange.audit().pairs_usd_micro == micro(1510)
    assert world.balanced()


def test_two_sells_of_opposite_tokens_merge_pairs_into_collateral(world: World) -> None:
    world.rest("ann", SELL, "0.60", "10", token=NO)
    (trade_id,) = world.post("bob", SELL, "0.35", "10", token=YES).trade_ids
    settle(world)
    assert world.trade(trade_id).maker_fills[0].kind is MatchKind.MERGE
    assert (world.usd("ann"), world.shares("ann", NO)) == (micro(1006), micro(490))
    assert (world.usd("bob"), world.shares("bob", YES)) == (micro(1004), micro(490))
    assert world.exchange.audit().pairs_usd_micro == micro(1490)
    assert world.balanced()


def test_buys_of_opposite_tokens_that_do_not_sum_to_one_rest_side_by_side(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10")
    world.rest("bob", BUY, "0.59", "10", token=NO)
    assert world.levels() == {
        "bids": {micro("0.4"): micro(10)},
        "asks": {micro("0.41"): micro(10)},
    }


def test_the_trades_top_level_is_the_takers_and_the_maker_fill_is_the_makers_own(world: World) -> None:
    maker = world.rest("ann", BUY, "0.40", "10")
    result = world.post("bob", BUY, "0.65", "8", token=NO)
    trade = world.trade(result.trade_ids[0])
    (fill,) = trade.maker_fills
    assert (trade.token_id, trade.side, trade.price_micro, trade.outcome) == (NO, BUY, micro("0.6"), "No")
    assert (trade.taker_order_id, trade.owner, trade.api_key) == (result.order_id, "bob", "key-bob")
    assert (fill.token_id, fill.side, fill.price_micro, fill.outcome) == (YES, BUY, micro("0.4"), "Yes")
    assert (fill.order_id, fill.owner, fill.api_key, fill.matched_micro) == (
        maker,
        "ann",
        "key-ann",
        micro(8),
    )


def test_a_sweep_makes_one_trade_per_price_numbered_in_order(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    world.rest("ann", SELL, "0.45", "10")
    world.rest("ann", SELL, "0.46", "10")
    result = world.post("bob", BUY, "0.50", "25")
    trades = [world.trade(trade_id) for trade_id in result.trade_ids]
    assert [(t.price_micro, t.size_micro, t.bucket_index, len(t.maker_fills)) for t in trades] == [
        (micro("0.45"), micro(20), 0, 2),
        (micro("0.46"), micro(5), 1, 1),
    ]


def test_what_a_gtc_does_not_fill_rests_at_its_own_limit(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    result = world.post("bob", BUY, "0.50", "30")
    assert (result.status, world.status(result.order_id)) == ("matched", "LIVE")
    assert world.levels() == {"bids": {micro("0.5"): micro(20)}, "asks": {}}


def test_an_account_may_trade_with_itself_and_nothing_is_lost(world: World) -> None:
    world.rest("ann", SELL, "0.45", "10")
    world.post("ann", BUY, "0.45", "10")
    settle(world)
    assert (world.usd("ann"), world.shares("ann")) == (micro(1000), micro(500))
    assert world.exchange.reserved("ann") == world.exchange.reserved("ann", YES) == 0
    assert world.balanced()


def test_the_two_books_mirror_each_other_with_the_best_price_last(world: World) -> None:
    world.rest("ann", BUY, "0.40", "10")
    world.rest("ann", BUY, "0.41", "20")
    world.rest("bob", SELL, "0.45", "30")
    world.rest("bob", SELL, "0.44", "40")
    yes, no = world.exchange.book(YES, 5), world.exchange.book(NO, 5)
    assert [p for p, _ in yes.bids] == [micro("0.4"), micro("0.41")]
    assert [p for p, _ in yes.asks] == [micro("0.45"), micro("0.44")]
    assert no.bids == ((micro("0.55"), micro(30)), (micro("0.56"), micro(40)))
    assert no.asks == ((micro("0.6"), micro(10)), (micro("0.59"), micro(20)))


def test_the_book_tells_the_last_trade_in_each_tokens_own_price(world: World) -> None:
    assert world.exchange.book(YES, 5).last_trade_price_micro is None
    world.rest("ann", SELL, "0.45", "10")
    world.post("bob", BUY, "0.45", "5")
    assert world.exchange.book(YES, 5).last_trade_price_micro == micro("0.45")
    assert world.exchange.book(NO, 5).last_trade_price_micro == micro("0.55")


def test_one_seed_and_one_sequence_give_the_same_events_in_every_run() -> None:
    def run(seed: str) -> list[object]:
        world = World(seed=seed)
        world.fund("ann", "bob", pairs="100")
        world.rest("ann", SELL, "0.45", "10")
        world.crowd(SELL, "0.46", "10")
        world.post("bob", BUY, "0.50", "15")
        world.post("bob", SELL, "0.10", "5", kind=FAK)
        world.exchange.advance(INSTANT)
        return list(world.exchange.drain())

    assert run("one") == run("one")
    assert run("one") != run("two")


def test_trades_are_found_by_either_side_but_by_the_takers_token_alone(world: World) -> None:
    maker = world.rest("ann", BUY, "0.40", "10")
    (trade_id,) = world.post("bob", BUY, "0.60", "10", token=NO).trade_ids

    def ids(key: str | None = None, **filters: str) -> list[str]:
        return [t.id for t in world.exchange.trades(key, **filters)]  # type: ignore[arg-type]

    assert ids("key-ann") == ids("key-bob") == ids() == ids(order_id=maker) == [trade_id]
    assert ids("key-cay") == ids("key-cay", trade_id=trade_id) == []
    assert ids("key-ann", token_id=NO) == ids("key-ann", condition_id=CONDITION) == [trade_id]
    assert ids("key-ann", token_id=YES) == []
    assert ids(maker="ann") == [trade_id]
    assert ids(maker="cay") == []
