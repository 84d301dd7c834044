"""FOK and FAK: all or nothing, what can be had now, and a BUY's budget in pUSD."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, FAK, FOK, NO, SELL, YES, World, micro, told

FOK_TEXT = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_TEXT = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)


@pytest.fixture
def world() -> World:
    world = World()
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def test_a_fok_that_cannot_fill_whole_is_killed_and_touches_nothing(world: World) -> None:
    maker = world.rest("ann", SELL, "0.50", "10")
    world.exchange.drain()
    result = world.post("bob", BUY, "0.50", "20", kind=FOK)
    assert (result.accepted, result.http_status, result.error) == (False, 400, FOK_TEXT)
    assert world.matched(maker) == 0
    assert world.exchange.reserved("bob") == 0
    assert told(world.exchange.drain()) == [("CANCELLATION", f"CANCELED_{FOK_TEXT}", 0)]


def test_a_killed_fok_is_registered_so_that_its_hash_is_a_duplicate(world: World) -> None:
    request = world.request("bob", BUY, "0.50", "20", kind=FOK)
    world.exchange.post(request, 5)
    again = world.exchange.post(request, 6)
    assert again.error == f"order {request.order_id} is invalid. Duplicated."
    assert world.status(request.order_id).startswith("CANCELED_order couldn't")


def test_a_fok_sell_fills_across_levels_or_not_at_all(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10")
    world.rest("ann", BUY, "0.48", "10")
    assert world.post("bob", SELL, "0.49", "15", kind=FOK).error == FOK_TEXT
    result = world.post("bob", SELL, "0.48", "15", kind=FOK)
    assert (result.status, result.making_micro, result.taking_micro) == ("matched", micro(15), micro("7.4"))
    assert world.status(result.order_id) == "MATCHED"


def test_a_fak_without_a_counterpart_is_killed(world: World) -> None:
    result = world.post("bob", SELL, "0.50", "10", kind=FAK)
    assert (result.accepted, result.error) == (False, FAK_TEXT)
    assert world.status(result.order_id) == f"CANCELED_{FAK_TEXT}"


def test_a_fak_takes_what_is_there_and_drops_the_rest(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10")
    result = world.post("bob", SELL, "0.50", "30", kind=FAK)
    assert (result.status, result.making_micro) == ("matched", micro(10))
    assert (world.status(result.order_id), world.matched(result.order_id)) == ("MATCHED", micro(10))
    assert world.levels() == {"bids": {}, "asks": {}}
    assert world.exchange.reserved("bob", YES) == micro(10)  # in settlement, nothing more


def test_a_better_price_gives_a_fok_buy_more_shares_than_it_signed(world: World) -> None:
    world.rest("ann", SELL, "0.40", "100")
    result = world.post("bob", BUY, "0.50", "20", kind=FOK)
    assert (result.making_micro, result.taking_micro) == (micro(10), micro(25))
    assert world.matched(result.order_id) == micro(25)


def test_a_budget_that_does_not_divide_buys_down_to_the_micro_share(world: World) -> None:
    world.rest("ann", SELL, "0.33", "100")
    result = world.exchange.post(world.raw("bob", BUY, micro(5), micro("14.2857"), kind=FAK), 5)
    assert result.taking_micro == 15_151_515
    assert result.making_micro == micro(5)
    world.exchange.advance(10**15)
    assert world.balanced()


def test_a_budget_is_spent_across_levels_and_both_kinds_of_maker(world: World) -> None:
    world.rest("ann", SELL, "0.33", "7")
    world.rest("ann", BUY, "0.66", "7", token=NO)
    world.rest("ann", SELL, "0.35", "50")
    result = world.post("bob", BUY, "0.40", "25", kind=FOK)
    assert (result.status, result.making_micro) == ("matched", micro(10))
    spent_below = micro("0.33") * 7 + micro("0.34") * 7
    assert result.taking_micro == micro(14) + (micro(10) - spent_below) * 100 // 35
    world.exchange.advance(10**15)
    assert world.balanced()


def test_a_fok_budget_larger_than_the_book_up_to_its_limit_is_killed(world: World) -> None:
    world.rest("ann", SELL, "0.33", "7")
    world.rest("ann", SELL, "0.41", "400")
    assert world.post("bob", BUY, "0.40", "25", kind=FOK).error == FOK_TEXT


def test_a_fak_buy_cut_after_four_decimals_still_means_its_grid_price(world: World) -> None:
    world.rest("ann", SELL, "0.55", "100")
    result = world.exchange.post(world.raw("bob", BUY, micro(10), micro("18.1818"), kind=FAK), 5)
    assert result.status == "matched"
    record = world.exchange.order(result.order_id)
    assert record is not None
    assert record.price_micro == micro("0.55")
    assert result.taking_micro == 18_181_818
