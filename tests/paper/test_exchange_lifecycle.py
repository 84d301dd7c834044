"""An order's life: cancels, expiry, delays, modes, a changing grid, the end of a market."""

from __future__ import annotations

import pytest
from support.paper_core import (
    BUY,
    CONDITION,
    FAK,
    FOK,
    GTD,
    NO,
    SELL,
    T0,
    YES,
    World,
    micro,
    told,
)

from polytraders_pfh.paper.core.model import CancelResult, Market, Outcome

GONE = "order can't be found - already canceled or matched"
S0 = T0 // 1000


@pytest.fixture
def world() -> World:
    world = World()
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


# ---- cancels


def test_a_cancel_answers_in_two_lists(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    result = world.exchange.cancel("key-ann", [mine, "0xunknown"], 5)
    assert result == CancelResult((mine,), {"0xunknown": GONE})
    assert world.status(mine) == "CANCELED"
    assert world.levels() == {"bids": {}, "asks": {}}


def test_a_second_cancel_of_an_order_is_not_a_cancel(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.exchange.cancel("key-ann", [mine], 5)
    assert world.exchange.cancel("key-ann", [mine], 6) == CancelResult((), {mine: GONE})


def test_another_keys_order_cannot_be_found(world: World) -> None:
    theirs = world.rest("bob", BUY, "0.40", "10")
    assert world.exchange.cancel("key-ann", [theirs], 5) == CancelResult((), {theirs: GONE})
    assert world.status(theirs) == "LIVE"


def test_a_matched_order_cannot_be_cancelled(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.post("bob", SELL, "0.40", "10")
    assert world.exchange.cancel("key-ann", [mine], 5).not_canceled == {mine: GONE}
    assert world.status(mine) == "MATCHED"


def test_cancelling_a_partly_filled_order_removes_only_the_rest(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.post("bob", SELL, "0.40", "6")
    world.exchange.cancel("key-ann", [mine], 5)
    assert (world.status(mine), world.matched(mine)) == ("CANCELED", micro(6))
    assert world.exchange.reserved("ann") == micro("2.4")  # the fill, still in settlement
    world.exchange.advance(10**15)
    assert world.exchange.reserved("ann") == 0


def test_cancel_all_and_cancel_market_take_what_fits_of_the_key(world: World) -> None:
    other = Market("0xd1", "Other?", (Outcome("2001", "Yes"), Outcome("2002", "No")))
    world.exchange.add_market(other, T0)
    yes = world.rest("ann", BUY, "0.40", "10")
    no = world.rest("ann", BUY, "0.30", "10", token=NO)
    elsewhere = world.rest("ann", BUY, "0.40", "10", token="2001")
    theirs = world.rest("bob", BUY, "0.40", "10")
    assert world.exchange.cancel_market("key-ann", None, NO, 5).canceled == (no,)
    assert world.exchange.cancel_market("key-ann", CONDITION, None, 5).canceled == (yes,)
    assert world.exchange.cancel_all("key-ann", 5).canceled == (elsewhere,)
    assert world.status(theirs) == "LIVE"


def test_cancel_market_wants_a_market_or_a_token(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    assert world.exchange.cancel_market("key-ann", None, None, 5).http_status == 400
    assert world.status(mine) == "LIVE"


def test_open_orders_are_the_keys_own_and_leave_when_they_end(world: World) -> None:
    first = world.rest("ann", BUY, "0.40", "10")
    second = world.rest("ann", BUY, "0.30", "10", token=NO)
    world.rest("bob", BUY, "0.40", "10")
    assert [r.order_id for r in world.exchange.open_orders("key-ann")] == [first, second]
    assert [r.order_id for r in world.exchange.open_orders("key-ann", token_id=NO)] == [second]
    assert [r.order_id for r in world.exchange.open_orders("key-ann", order_id=first)] == [first]
    assert world.exchange.open_orders("key-ann", condition_id="0xother") == ()
    world.exchange.cancel_all("key-ann", 5)
    assert world.exchange.open_orders("key-ann") == ()


# ---- expiry


def test_a_gtd_leaves_one_minute_before_its_stated_second(world: World) -> None:
    order = world.post("ann", BUY, "0.40", "10", kind=GTD, expiration_s=S0 + 300).order_id
    world.exchange.advance(T0 + 239_999)
    assert world.status(order) == "LIVE"
    world.exchange.drain()
    world.exchange.advance(T0 + 240_000)
    assert world.status(order) == "CANCELED"
    assert world.exchange.reserved("ann") == 0
    assert told(world.exchange.drain()) == [("CANCELLATION", "CANCELED", 0)]


def test_an_order_that_is_due_to_expire_is_gone_before_a_later_taker_comes(world: World) -> None:
    world.post("ann", BUY, "0.40", "10", kind=GTD, expiration_s=S0 + 300)
    assert not world.post("bob", SELL, "0.40", "10", at=T0 + 240_000, kind=FAK).accepted


def test_expiry_of_an_order_that_has_ended_does_nothing(world: World) -> None:
    order = world.post("ann", BUY, "0.40", "10", kind=GTD, expiration_s=S0 + 300).order_id
    world.post("bob", SELL, "0.40", "10")
    world.exchange.advance(T0 + 400_000)
    assert world.status(order) == "MATCHED"


def test_next_due_tells_when_to_come_back(world: World) -> None:
    assert world.exchange.next_due_ms() is None
    world.post("ann", BUY, "0.40", "10", kind=GTD, expiration_s=S0 + 300)
    assert world.exchange.next_due_ms() == T0 + 240_000
    world.exchange.set_mode("cancel_only", until_ms=T0 + 9)
    assert world.exchange.next_due_ms() == T0 + 9


# ---- delays


@pytest.fixture
def slow() -> World:
    world = World(seconds_delay_ms=3_000)
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def test_a_marketable_order_is_delayed_and_then_matched(slow: World) -> None:
    maker = slow.rest("ann", SELL, "0.50", "10")
    result = slow.post("bob", BUY, "0.50", "10")
    assert (result.accepted, result.status, result.trade_ids) == (True, "delayed", ())
    assert (slow.status(result.order_id), slow.exchange.reserved("bob")) == ("DELAYED", micro(5))
    slow.exchange.advance(T0 + 2_999)
    assert slow.matched(maker) == 0
    slow.exchange.advance(T0 + 3_000)
    assert (slow.status(result.order_id), slow.matched(maker)) == ("MATCHED", micro(10))
    later = slow.exchange.post_result(result.order_id)
    assert later is not None
    assert (later.status, later.taking_micro) == ("matched", micro(10))


def test_a_delayed_order_cannot_be_cancelled(slow: World) -> None:
    slow.rest("ann", SELL, "0.50", "10")
    order = slow.post("bob", BUY, "0.50", "10").order_id
    result = slow.exchange.cancel("key-bob", [order], T0 + 1)
    assert result.canceled == ()
    assert "delayed" in result.not_canceled[order]
    assert slow.exchange.cancel_all("key-bob", T0 + 2).not_canceled.keys() == {order}
    assert slow.status(order) == "DELAYED"


def test_a_delayed_order_is_a_duplicate_when_it_is_sent_again(slow: World) -> None:
    slow.rest("ann", SELL, "0.50", "10")
    request = slow.request("bob", BUY, "0.50", "10")
    slow.exchange.post(request, T0)
    assert "Duplicated" in (slow.exchange.post(request, T0 + 1).error or "")


def test_a_delayed_order_that_finds_nobody_rests_as_unmatched(slow: World) -> None:
    maker = slow.rest("ann", SELL, "0.50", "10")
    order = slow.post("bob", BUY, "0.50", "10").order_id
    slow.exchange.cancel("key-ann", [maker], T0 + 1)
    slow.exchange.drain()
    slow.exchange.advance(T0 + 3_000)
    assert slow.status(order) == "LIVE"
    later = slow.exchange.post_result(order)
    assert later is not None
    assert later.status == "unmatched"
    assert told(slow.exchange.drain()) == [("UPDATE", "UNMATCHED", 0)]
    assert slow.exchange.cancel("key-bob", [order], T0 + 3_001).canceled == (order,)
    assert slow.exchange.reserved("bob") == 0


def test_an_order_that_does_not_cross_rests_without_delay(slow: World) -> None:
    assert slow.post("ann", BUY, "0.40", "10").status == "live"


def test_a_delayed_fok_that_finds_nobody_is_killed(slow: World) -> None:
    maker = slow.rest("ann", SELL, "0.50", "10")
    order = slow.post("bob", BUY, "0.50", "10", kind=FOK).order_id
    slow.exchange.cancel("key-ann", [maker], T0 + 1)
    slow.exchange.advance(T0 + 3_000)
    later = slow.exchange.post_result(order)
    assert later is not None
    assert (later.accepted, later.error) == (
        False,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
    )
    assert slow.exchange.reserved("bob") == 0


def test_the_delay_inside_the_call_holds_orders_back_as_well() -> None:
    world = World(taker_delay_ms=250)
    world.fund("ann", "bob", pairs="100")
    world.rest("ann", SELL, "0.50", "10")
    order = world.post("bob", BUY, "0.50", "10", kind=FAK).order_id
    assert (world.status(order), world.exchange.next_due_ms()) == ("DELAYED", T0 + 250)


# ---- modes


def test_post_only_mode_takes_post_only_orders_and_cancels(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.exchange.set_mode("post_only", until_ms=T0 + 78_001)
    refused = world.post("ann", BUY, "0.41", "10", at=T0)
    assert (refused.http_status, refused.code, refused.retry_after_s) == (503, "post_only_mode", 79)
    assert world.post("ann", BUY, "0.41", "10", post_only=True).status == "live"
    assert world.exchange.cancel("key-ann", [mine], T0).canceled == (mine,)


def test_post_only_mode_ends_by_itself(world: World) -> None:
    world.exchange.set_mode("post_only", until_ms=T0 + 1_000)
    assert world.post("ann", BUY, "0.41", "10", at=T0 + 999).http_status == 503
    assert world.post("ann", BUY, "0.41", "10", at=T0 + 1_000).status == "live"


def test_cancel_only_mode_refuses_posts_and_takes_cancels(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.exchange.set_mode("cancel_only")
    assert world.post("ann", BUY, "0.41", "10", post_only=True).http_status == 503
    assert world.exchange.cancel("key-ann", [mine], T0).canceled == (mine,)


def test_disabled_trading_refuses_both(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.exchange.set_mode("disabled")
    assert world.post("ann", BUY, "0.41", "10").http_status == 503
    result = world.exchange.cancel("key-ann", [mine], T0)
    assert (result.http_status, result.canceled, result.not_canceled) == (503, (), {})
    assert world.status(mine) == "LIVE"


def test_a_restart_answers_425_and_is_followed_by_two_minutes_of_post_only(world: World) -> None:
    mine = world.rest("ann", BUY, "0.40", "10")
    world.exchange.set_mode("restarting", until_ms=T0 + 90_000)
    refused = world.post("ann", BUY, "0.41", "10")
    assert (refused.http_status, refused.error, refused.retry_after_s) == (
        425,
        "matching engine restarting",
        90,
    )
    assert world.exchange.cancel("key-ann", [mine], T0).http_status == 425
    world.exchange.advance(T0 + 90_000)
    assert world.exchange.mode == "post_only"
    world.exchange.advance(T0 + 210_000)
    assert world.exchange.mode == "open"


# ---- the grid


def test_a_new_grid_binds_new_orders_and_leaves_resting_ones(world: World) -> None:
    order = world.rest("ann", BUY, "0.43", "10")
    world.exchange.set_tick(CONDITION, 100_000, T0)
    assert world.status(order) == "LIVE"
    assert world.exchange.book(YES, T0).tick_micro == 100_000
    assert "minimum tick size rule: 0.1" in (world.post("ann", BUY, "0.43", "10").error or "")
    world.exchange.set_tick(CONDITION, 1_000, T0)
    assert world.post("ann", BUY, "0.433", "10").status == "live"
    assert world.post("bob", SELL, "0.43", "12").trade_ids


def test_an_unknown_grid_is_refused_and_changes_nothing(world: World) -> None:
    with pytest.raises(ValueError, match="tick of 0xc0 was 30000"):
        world.exchange.set_tick(CONDITION, 30_000, T0)
    assert world.exchange.book(YES, T0).tick_micro == 10_000


# ---- the end of a market


def test_resolution_ends_orders_settles_trades_and_redeems_the_winner() -> None:
    world = World()
    world.fund("ann", "bob", usd="100", pairs="50")
    resting = world.rest("ann", BUY, "0.40", "10")
    world.rest("ann", SELL, "0.60", "20")
    world.post("bob", BUY, "0.60", "20")
    world.exchange.resolve(CONDITION, YES, T0 + 1)
    assert world.status(resting) == "CANCELED_MARKET_RESOLVED"
    assert world.usd("ann") == micro(100 + 12 + 30)
    assert world.usd("bob") == micro(100 - 12 + 70)
    assert world.shares("ann", YES) == world.shares("bob", NO) == 0
    assert world.exchange.reserved("ann") == world.exchange.reserved("bob") == 0
    assert world.exchange.audit().pairs_usd_micro == 0
    assert world.balanced()


def test_a_resolved_market_takes_no_orders_and_resolves_once(world: World) -> None:
    world.exchange.resolve(CONDITION, NO, T0)
    assert world.post("ann", BUY, "0.40", "10").error == f"the orderbook {YES} does not exist"
    with pytest.raises(ValueError, match="name one of its two tokens, once"):
        world.exchange.resolve(CONDITION, NO, T0)
    market = world.exchange.market_of(YES)
    assert market is not None
    assert market.resolved_token_id == NO


def test_resolution_ends_delayed_orders_too(slow: World) -> None:
    slow.rest("ann", SELL, "0.50", "10")
    order = slow.post("bob", BUY, "0.50", "10").order_id
    slow.exchange.resolve(CONDITION, YES, T0 + 1)
    slow.exchange.advance(T0 + 5_000)
    assert slow.status(order) == "CANCELED_MARKET_RESOLVED"
    assert slow.exchange.reserved("bob") == 0


def test_a_game_start_cancels_everything_open() -> None:
    world = World(game_start_ms=T0 + 60_000)
    world.fund("ann", usd="100")
    order = world.rest("ann", BUY, "0.40", "10")
    world.crowd(SELL, "0.60", "100")
    world.exchange.advance(T0 + 60_000)
    assert world.status(order) == "CANCELED"
    assert world.levels() == {"bids": {}, "asks": {}}


def test_time_never_runs_backwards(world: World) -> None:
    order = world.post("ann", BUY, "0.40", "10", kind=GTD, expiration_s=S0 + 300).order_id
    world.exchange.advance(T0 + 200_000)
    later = world.post("bob", BUY, "0.30", "10", at=T0).order_id
    record = world.exchange.order(later)
    assert record is not None
    assert record.created_ms == T0 + 200_000
    assert world.status(order) == "LIVE"
