"""Whether a book can be trusted, and what is seen of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import NOW_MS, TICKS_MICRO, book

from polytraders_pfh.core.market import (
    BookView,
    Level,
    Trading,
    crossed_fault,
    depth_pico,
    side_fault,
    view_of,
)


@pytest.mark.parametrize(
    ("bids", "asks", "tick", "fault"),
    [
        (((610_000, 1),), ((620_000, 1),), 10_000, None),
        ((), (), 10_000, None),
        (((610_000, 1),), (), 10_000, None),
        ((), ((620_000, 1),), 10_000, None),
        (((620_000, 1),), ((620_000, 1),), 10_000, "the book is crossed: bid 0.62, ask 0.62"),
        (((630_000, 1),), ((620_000, 1),), 10_000, "the book is crossed: bid 0.63, ask 0.62"),
        (((615_000, 1),), ((620_000, 1),), 10_000, "a level at 0.615 is not on the grid of 0.01"),
        (((610_000, 1),), ((620_001, 1),), 10_000, "a level at 0.620001 is not on the grid of 0.01"),
        (((0, 1),), (), 10_000, "a level at 0 is not on the grid of 0.01"),
        (((1, 1),), (), 1, None),
        (((-10_000, 1),), (), 10_000, "a level at -0.01 is not on the grid of 0.01"),
        ((), ((1_000_000, 1),), 10_000, "a level at 1 is not on the grid of 0.01"),
        (((610_000, 0),), (), 10_000, "a level at 0.61 has size 0"),
        ((), ((620_000, -5_000_000),), 10_000, "a level at 0.62 has size -5"),
        ((), (), 1, None),
        (((610_000, 5), (610_000, 7)), (), 10_000, "the price 0.61 stands twice"),
        ((), ((620_000, 5), (630_000, 1), (620_000, 5)), 10_000, "the price 0.62 stands twice"),
        ((), (), None, "the tick size was None"),
        ((), (), 0, "the tick size was 0"),
        ((), (), -10_000, "the tick size was -10000"),
        ((), (), 1_000_000, "the tick size was 1000000"),
        ((), (), 300_000, "the tick size was 300000"),
    ],
)
def test_why_a_book_cannot_be_trusted(
    bids: tuple[Level, ...], asks: tuple[Level, ...], tick: int | None, fault: str | None
) -> None:
    assert book(bids, asks, tick_micro=tick).fault == fault


@pytest.mark.parametrize("tick", TICKS_MICRO)
def test_every_grid_of_the_exchange_is_trusted(tick: int) -> None:
    assert book(((tick, 1),), ((1_000_000 - tick, 1),), tick_micro=tick).fault is None


def test_a_fault_beyond_the_best_levels_is_found_too() -> None:
    """One poisoned level deep in the book: nobody knows which of the others are true."""
    asks = [(620_000 + n * 10_000, 1) for n in range(8)] + [(985_000, 1)]

    assert book((), tuple(asks)).fault == "a level at 0.985 is not on the grid of 0.01"


@given(st.permutations([(620_000 + n * 10_000, n + 1) for n in range(8)]))
def test_the_best_levels_are_found_in_any_order(levels: list[Level]) -> None:
    asks, bids = book((), tuple(levels)), book(tuple(levels), ())

    assert asks.asks == tuple((620_000 + n * 10_000, n + 1) for n in range(5))
    assert bids.bids == tuple((690_000 - n * 10_000, 8 - n) for n in range(5))
    assert (asks.best_ask, asks.best_bid) == (620_000, None)
    assert (bids.best_bid, bids.best_ask) == (690_000, None)


def test_a_view_carries_what_the_market_said_of_itself() -> None:
    view = view_of(
        [(610_000, 7)],
        [(630_000, 9), (620_000, 8)],
        tick_micro=10_000,
        min_size_micro=5_000_000,
        as_of_ms=NOW_MS,
        fresh=False,
        trading=Trading.POST_ONLY,
        closes_at_ms=NOW_MS + 1,
        levels=1,
    )

    assert view == BookView(
        bids=((610_000, 7),),
        asks=((620_000, 8),),
        tick_micro=10_000,
        min_size_micro=5_000_000,
        as_of_ms=NOW_MS,
        fault=None,
        fresh=False,
        trading=Trading.POST_ONLY,
        closes_at_ms=NOW_MS + 1,
    )


def test_depth_is_the_exact_notional() -> None:
    assert depth_pico([]) == 0
    assert depth_pico([(640_000, 1_250_000_000)]) == 800_000_000 * 1_000_000
    assert depth_pico([(1, 1), (999_999, 3)]) == 1 + 2_999_997


def test_the_parts_of_the_check_stand_alone() -> None:
    assert side_fault([], 10_000) is None
    assert crossed_fault(None, None) is None
    assert crossed_fault(620_000, None) is None
    assert crossed_fault(None, 620_000) is None
    assert crossed_fault(610_000, 620_000) is None


@pytest.mark.parametrize("fresh", [True, False])
def test_a_view_says_whether_it_was_read_for_this_decision(fresh: bool) -> None:
    view = view_of((), (), tick_micro=10_000, min_size_micro=0, as_of_ms=NOW_MS, fresh=fresh)

    assert view.fresh is fresh


def test_a_view_without_a_known_tick_has_none() -> None:
    assert book((), (), tick_micro=None).tick_micro == 0
