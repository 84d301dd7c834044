"""Orders the exchange says no to, in its own words, and what a "no" leaves behind: nothing."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, CONDITION, FAK, FOK, GTC, GTD, NO, SELL, T0, YES, World, micro

from polytraders_pfh.paper.core.model import OrderRequest, OrderType, Side


@pytest.fixture
def world() -> World:
    world = World()
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def refused(world: World, request: OrderRequest, at: int = T0) -> str:
    """The refusal's text, checked to have left no trace: the hash is free and no more funds are held."""
    world.exchange.drain()
    held = [world.exchange.reserved(request.owner, asset) for asset in (None, YES, NO)]
    result = world.exchange.post(request, at)
    assert not result.accepted
    assert result.http_status == 400
    assert world.exchange.order(request.order_id) is None
    assert [world.exchange.reserved(request.owner, asset) for asset in (None, YES, NO)] == held
    assert world.exchange.drain() == ()
    assert result.error is not None
    return result.error


@pytest.mark.parametrize(
    ("tick", "price", "fine"),
    [
        (100_000, "0.3", True),
        (100_000, "0.35", False),
        (10_000, "0.35", True),
        (10_000, "0.355", False),
        (5_000, "0.355", True),
        (5_000, "0.357", False),
        (2_500, "0.3575", True),
        (2_500, "0.3570", False),
        (1_000, "0.357", True),
        (1_000, "0.3575", False),
        (100, "0.3571", True),
        (100, "0.0001", True),
        (100, "0.9999", True),
        (1_000, "0.999", True),
        (1_000, "0.9995", False),
    ],
)
def test_a_price_stands_on_the_markets_grid(tick: int, price: str, fine: bool) -> None:
    world = World(tick_micro=tick)
    world.fund("ann", usd="1000")
    request = world.request("ann", BUY, price, "100")
    if fine:
        assert world.exchange.post(request, T0).status == "live"
        return
    error = refused(world, request)
    assert error.startswith((f"order {request.order_id} is invalid. Price (", "invalid amounts, the buy"))


def test_an_off_grid_price_is_refused_with_price_and_tick(world: World) -> None:
    request = world.request("ann", BUY, "0.515", "10")
    assert refused(world, request) == (
        f"order {request.order_id} is invalid. Price (0.515) breaks minimum tick size rule: 0.01"
    )


@pytest.mark.parametrize("price", ["0", "1", "1.01", "0.995"])
def test_a_price_lies_a_tick_inside_zero_and_one(world: World, price: str) -> None:
    error = refused(world, world.request("ann", SELL, price, "10"))
    assert "minimum tick size rule" in error or error == "Invalid order payload"


def test_an_amount_that_gives_no_exact_price_is_refused(world: World) -> None:
    assert "breaks minimum tick size rule" in refused(
        world, world.raw("ann", BUY, micro("3.3333"), micro(10))
    )


def test_a_resting_order_has_the_markets_minimum_of_shares(world: World) -> None:
    request = world.request("ann", BUY, "0.50", "4.99")
    assert refused(world, request) == (
        f"order {request.order_id} is invalid. Size (4.99) lower than the minimum: 5"
    )
    assert world.post("ann", BUY, "0.50", "5").status == "live"


def test_a_crossing_order_below_the_minimum_of_shares_needs_one_pusd(world: World) -> None:
    world.rest("ann", SELL, "0.50", "10")
    assert world.post("bob", BUY, "0.50", "2").status == "matched"
    assert refused(world, world.request("bob", BUY, "0.50", "1.99")) == (
        "invalid amount for a marketable BUY order ($0.99), min size: $1"
    )


@pytest.mark.parametrize("kind", [FOK, FAK])
def test_a_market_order_needs_one_pusd(world: World, kind: OrderType) -> None:
    world.rest("ann", BUY, "0.10", "100")
    assert refused(world, world.request("bob", SELL, "0.10", "9.9", kind=kind)) == (
        "invalid amount for a marketable SELL order ($0.99), min size: $1"
    )


@pytest.mark.parametrize(
    ("side", "maker", "taker", "tick", "words"),
    [
        (BUY, "2.5001", "5", 100, None),
        (BUY, "2.50005", "5.0001", 10_000, "buy orders maker amount supports a max accuracy of 4 decimals"),
        (BUY, "2.5025", "5.005", 10_000, "taker amount a max of 2 decimals"),
        (SELL, "5.005", "2.5025", 10_000, "sell orders maker amount supports a max accuracy of 2 decimals"),
        (SELL, "5", "2.50001", 10_000, "taker amount a max of 4 decimals"),
        (BUY, "2.50125", "5.01", 2_500, None),
    ],
)
def test_limit_amounts_carry_only_the_decimals_of_the_grid(
    side: Side, maker: str, taker: str, tick: int, words: str | None
) -> None:
    world = World(tick_micro=tick)
    world.fund("ann", usd="1000", pairs="100")
    request = world.raw("ann", side, micro(maker), micro(taker))
    error = world.exchange.post(request, T0).error
    assert "invalid amounts" not in (error or "") if words is None else words in (error or "")


def test_market_amounts_carry_two_and_four_decimals_whatever_the_tick() -> None:
    world = World(tick_micro=100)
    world.fund("ann", usd="1000", pairs="100")
    buy = world.raw("ann", BUY, micro("9.985"), micro("10.1370"), kind=FAK)
    assert refused(world, buy) == (
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals"
    )
    sell = world.raw("ann", SELL, micro("10"), micro("5.00005"), kind=FOK)
    assert refused(world, sell) == (
        "invalid amounts, the sell orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals"
    )


def test_a_post_only_order_that_would_cross_is_refused_and_never_re_priced(world: World) -> None:
    world.rest("ann", SELL, "0.50", "10")
    request = world.request("bob", BUY, "0.50", "10", post_only=True)
    assert refused(world, request) == "invalid post-only order: order crosses book"
    assert world.post("bob", BUY, "0.49", "10", post_only=True).status == "live"


def test_a_post_only_order_crosses_the_other_tokens_orders_too(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10", token=NO)
    request = world.request("bob", BUY, "0.50", "10", token=YES, post_only=True)
    assert refused(world, request) == "invalid post-only order: order crosses book"


@pytest.mark.parametrize("kind", [FOK, FAK])
def test_only_resting_kinds_can_be_post_only(world: World, kind: OrderType) -> None:
    assert refused(world, world.request("bob", BUY, "0.50", "10", kind=kind, post_only=True)).startswith(
        "invalid post-only order"
    )


@pytest.mark.parametrize(("lead_s", "fine"), [(180, True), (179, False), (0, False)])
def test_a_gtd_expires_three_minutes_ahead_at_least(world: World, lead_s: int, fine: bool) -> None:
    request = world.request("ann", BUY, "0.50", "10", kind=GTD, expiration_s=T0 // 1000 + lead_s)
    if fine:
        assert world.exchange.post(request, T0).status == "live"
    else:
        assert refused(world, request) == "invalid expiration"


@pytest.mark.parametrize("kind", [GTC, FOK, FAK])
def test_only_a_gtd_has_an_expiration(world: World, kind: OrderType) -> None:
    request = world.request("ann", BUY, "0.50", "10", kind=kind, expiration_s=T0 // 1000 + 600)
    assert refused(world, request) == "invalid expiration"


@pytest.mark.parametrize("amounts", [(0, 5), (5, 0), (-5, 5), (5, -5)])
def test_an_order_gives_and_gets_something(world: World, amounts: tuple[int, int]) -> None:
    assert refused(world, world.raw("ann", BUY, *amounts)) == "Invalid order payload"


def test_a_hash_is_accepted_once_whatever_became_of_it(world: World) -> None:
    request = world.request("ann", BUY, "0.50", "10")
    world.exchange.post(request, T0)
    assert world.exchange.post(request, T0).error == f"order {request.order_id} is invalid. Duplicated."
    world.exchange.cancel("key-ann", [request.order_id], T0)
    again = world.exchange.post(request, T0)
    assert (again.http_status, again.error) == (400, f"order {request.order_id} is invalid. Duplicated.")


def test_a_market_that_is_not_ready_takes_no_orders_until_it_is(world: World) -> None:
    world.exchange.set_ready(CONDITION, False)
    request = world.request("ann", BUY, "0.50", "10")
    assert refused(world, request) == "the market is not yet ready to process new orders"
    world.exchange.set_ready(CONDITION, True)
    assert world.exchange.post(request, T0).status == "live"


def test_a_token_without_a_market_has_no_order_book(world: World) -> None:
    assert refused(world, world.request("ann", BUY, "0.50", "10", token="77")) == (
        "the orderbook 77 does not exist"
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"tick_micro": 20_000}, "tick of 0xc0 was 20000"),
        ({"taker_fee_rate_micro": 2_000_000}, "fee of 0xc0 was 2000000"),
        ({"fee_exponent": -1}, "exponent -1"),
    ],
)
def test_a_market_with_impossible_facts_is_refused(facts: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        World(**facts)


def test_a_market_or_a_token_is_listed_once(world: World) -> None:
    market = world.exchange.market(CONDITION)
    assert market is not None
    with pytest.raises(ValueError, match="listed already"):
        world.exchange.add_market(market, T0)
