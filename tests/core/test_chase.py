"""Price and size of a chase, the exchange's minima, and the law of the chain, by literals and by sums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import NOW_MS, book, changed

from polytraders_pfh.core.chase import (
    Bounds,
    Child,
    below_minimum,
    cap_price,
    chain_fault,
    chase_size,
    not_repostable,
    within_cap,
)
from polytraders_pfh.core.market import Side, Trading

BUY, SELL = Side.BUY, Side.SELL
MICRO = 1_000_000


@pytest.mark.parametrize(
    ("side", "root", "tick", "most", "limit", "cap"),
    [
        (BUY, 620_000, 10_000, 3, None, 650_000),
        (SELL, 620_000, 10_000, 3, None, 590_000),
        (BUY, 620_000, 10_000, 0, None, 620_000),
        (SELL, 620_000, 10_000, 0, None, 620_000),
        (BUY, 620_000, 10_000, 3, 640_000, 640_000),
        (SELL, 620_000, 10_000, 3, 600_000, 600_000),
        (BUY, 620_000, 10_000, 3, 900_000, 650_000),
        (SELL, 620_000, 10_000, 3, 100_000, 590_000),
        (BUY, 620_000, 10_000, 3, 645_000, 640_000),
        (SELL, 620_000, 10_000, 3, 605_000, 610_000),
        (BUY, 625_000, 10_000, 3, None, 650_000),
        (SELL, 625_000, 10_000, 3, None, 600_000),
        (BUY, 980_000, 10_000, 3, None, 990_000),
        (SELL, 20_000, 10_000, 3, None, 10_000),
        (BUY, 620_000, 100_000, 3, None, 900_000),
        (BUY, 620_000, 2_500, 3, None, 627_500),
        (SELL, 620_000, 100, 10, None, 619_000),
        (BUY, 999_900, 100, 10, None, 999_900),
        (BUY, 1_000, 10_000, 0, None, 0),
        (SELL, 999_000, 10_000, 0, None, 1_000_000),
    ],
)
def test_the_cap_is_root_and_ticks_drawn_in_to_the_safe_side(
    side: Side, root: int, tick: int, most: int, limit: int | None, cap: int
) -> None:
    """The last two: no legal price lies within the cap, so the cap is one that nothing can reach."""
    assert cap_price(side, root, tick, most, limit) == cap


def test_within_the_cap_is_no_worse_than_it() -> None:
    assert [within_cap(BUY, price, 65) for price in (64, 65, 66)] == [True, True, False]
    assert [within_cap(SELL, price, 65) for price in (64, 65, 66)] == [False, True, True]


@pytest.mark.parametrize(
    ("price", "size", "usd", "expected"),
    [
        (630_000, 403_225_806, 250_000_000, 396_820_000),
        (610_000, 403_225_806, 250_000_000, 403_220_000),
        (500_000, 10_000_000, 5_000_000, 10_000_000),
        (500_000, 10_009_999, 5_004_999, 10_000_000),
        (500_000, 10_000_000, 4_999_999, 9_990_000),
        (999_900, 10_000, 9_999, 10_000),
        (100, 1, 1, 0),
        (630_000, 0, 250_000_000, 0),
        (630_000, 403_225_806, 0, 0),
        (0, 403_225_806, 250_000_000, 0),
        (-10_000, 403_225_806, 250_000_000, 0),
    ],
)
def test_a_chase_is_the_smaller_of_what_is_left_in_shares_and_in_pusd(
    price: int, size: int, usd: int, expected: int
) -> None:
    assert chase_size(price, size, usd) == expected


@given(st.integers(1, MICRO - 1), st.integers(0, 10**18), st.integers(0, 10**18))
def test_no_larger_lot_would_have_fitted(price: int, size: int, usd: int) -> None:
    chosen = chase_size(price, size, usd)

    assert chosen % 10_000 == 0
    assert chosen <= size
    assert chosen * price <= usd * MICRO
    assert chosen + 10_000 > size or (chosen + 10_000) * price > usd * MICRO


def test_an_order_that_misses_no_minimum_is_postable() -> None:
    assert not_repostable(BUY, 630_000, 5_000_000, book(), NOW_MS, 5_000) is None
    assert below_minimum(BUY, 630_000, 5_000_000, book()) is None


def test_where_a_market_has_no_minimum_one_millionth_is_a_size() -> None:
    assert below_minimum(BUY, 620_000, 1, book(min_size_micro=0)) is None
    assert below_minimum(BUY, 620_000, 0, book(min_size_micro=0)) is not None


@pytest.mark.parametrize(
    ("size", "minimum", "fault"),
    [
        (4_999_999, 5_000_000, "4.999999 shares is below the market's minimum of 5"),
        (0, 0, "0 shares is below the market's minimum of 0"),
    ],
)
def test_an_order_below_the_markets_minimum_is_named(size: int, minimum: int, fault: str) -> None:
    assert below_minimum(BUY, 630_000, size, book(min_size_micro=minimum)) == fault


@pytest.mark.parametrize(
    ("side", "price", "size", "fits"),
    [
        (BUY, 630_000, 1_587_302, True),
        (BUY, 630_000, 1_587_301, False),
        (BUY, 620_000, 10_000, True),
        (SELL, 610_000, 1_639_345, True),
        (SELL, 610_000, 1_639_344, False),
        (SELL, 620_000, 10_000, True),
    ],
)
def test_only_a_marketable_order_must_be_worth_one_pusd(
    side: Side, price: int, size: int, fits: bool
) -> None:
    fault = below_minimum(side, price, size, book(min_size_micro=0))

    assert fault == (None if fits else "the order would be marketable and is worth less than 1 pUSD")


@pytest.mark.parametrize("side", Side)
def test_against_an_empty_side_no_order_is_marketable(side: Side) -> None:
    assert below_minimum(side, 500_000, 10_000, book(bids=(), asks=(), min_size_micro=0)) is None


@pytest.mark.parametrize(
    ("trading", "fault"),
    [
        (Trading.POST_ONLY, "the market is post_only"),
        (Trading.CANCEL_ONLY, "the market is cancel_only"),
        (Trading.CLOSED, "the market is closed"),
    ],
)
def test_a_market_that_takes_no_orders_is_named_before_any_minimum(trading: Trading, fault: str) -> None:
    assert not_repostable(BUY, 630_000, 0, book(trading=trading), NOW_MS, 0) == fault


@pytest.mark.parametrize(
    ("closes_in", "margin", "fault"),
    [
        (5_000, 5_000, "the market closes in 5000 ms"),
        (5_001, 5_000, None),
        (0, 0, "the market closes in 0 ms"),
    ],
)
def test_a_market_about_to_close_takes_no_chase(closes_in: int, margin: int, fault: str | None) -> None:
    view = book(closes_at_ms=NOW_MS + closes_in)

    assert not_repostable(BUY, 630_000, 5_000_000, view, NOW_MS, margin) == fault


# The chain

children = st.lists(
    st.builds(
        Child,
        st.just("o"),
        st.integers(1, MICRO - 1),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.booleans(),
    ),
    max_size=5,
)
bounds_of_all_kinds = st.builds(Bounds, st.sampled_from(Side), st.integers(0, 10**10), st.integers(0, 10**16))


@pytest.mark.parametrize(
    ("child", "left"),
    [
        (Child("o", 620_000, 10, 4, may_fill=True), 6),
        (Child("o", 620_000, 10, 4, may_fill=False), 0),
        (Child("o", 620_000, 10, 12, may_fill=True), 0),
    ],
)
def test_what_may_still_fill_of_an_order(child: Child, left: int) -> None:
    assert child.open_micro == left


def test_what_is_left_of_an_intent_in_shares_and_in_pusd() -> None:
    root = Child("root", 620_000, 100_000_000, 40_000_000, may_fill=False)
    chase = Child("chase", 640_000, 50_000_000, 10_000_000, may_fill=False)
    bounds = Bounds(BUY, 100_000_000, 62_000_000 * MICRO)

    assert bounds.rest([]) == (100_000_000, 62_000_000)
    assert bounds.rest([root]) == (60_000_000, 37_200_000)
    assert bounds.rest([root, chase]) == (50_000_000, 30_800_000)
    assert bounds.rest([root, changed(chase, may_fill=True)]) == (10_000_000, 5_200_000)


@given(bounds_of_all_kinds, children)
def test_what_is_left_is_never_negative(bounds: Bounds, chain: list[Child]) -> None:
    size, cost = bounds.rest(chain)

    assert size >= 0
    assert cost >= 0


@given(bounds_of_all_kinds, children, st.integers(1, MICRO - 1), st.integers(0, 10**10))
def test_the_law_is_broken_exactly_when_an_order_lives_or_a_sum_exceeds_the_intent(
    bounds: Bounds, chain: list[Child], price: int, size: int
) -> None:
    alive = any(child.may_fill for child in chain)
    shares = size + sum(child.filled_micro for child in chain)
    cost = size * price + sum(child.filled_micro * child.price_micro for child in chain)
    broken = alive or shares > bounds.size_micro or (bounds.side is BUY and cost > bounds.cost_pico)

    assert (chain_fault(bounds, chain, price, size) is not None) == broken


@given(bounds_of_all_kinds, children, st.integers(1, MICRO - 1))
def test_a_chase_sized_from_what_is_left_never_breaks_the_law(
    bounds: Bounds, chain: list[Child], price: int
) -> None:
    dead = [changed(child, may_fill=False) for child in chain]
    size = chase_size(price, *bounds.rest(dead))

    if size:
        assert chain_fault(bounds, dead, price, size) is None


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        (60_000_000, None),
        (60_000_001, "100.000001 shares in all would exceed the intent of 100"),
    ],
)
def test_the_law_counts_shares_to_the_millionth(size: int, fault: str | None) -> None:
    root = Child("root", 620_000, 100_000_000, 40_000_000, may_fill=False)

    assert chain_fault(Bounds(SELL, 100_000_000, 0), [root], 610_000, size) == fault


def test_the_law_counts_a_buys_pusd_to_the_pico() -> None:
    bounds = Bounds(BUY, 100_000_000, 62_000_000 * MICRO)
    root = Child("root", 620_000, 100_000_000, 40_000_000, may_fill=False)

    assert chain_fault(bounds, [root], 630_000, 59_047_619) is None
    assert chain_fault(bounds, [root], 630_000, 59_047_620) == (
        "62 pUSD in all would exceed the intent of 62"
    )
    assert chain_fault(bounds, [root], 640_000, 60_000_000) == (
        "63.2 pUSD in all would exceed the intent of 62"
    )


def test_the_law_names_the_order_that_may_still_fill() -> None:
    live = Child("0xabc", 620_000, 100_000_000, 100_000_000, may_fill=True)

    assert chain_fault(Bounds(BUY, 10**9, 10**18), [live], 630_000, 1) == (
        "order 0xabc of this intent may still fill"
    )
