"""A book as a decision sees it: the best levels of both sides, and whether it can be trusted.

Sizes are shares, aggregated per price, own orders included. The exchange's two orderings disagree
between its pages (clob_v2 4.1), so best prices are computed, never indexed.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from polytraders_pfh.core.money import MICRO, plain

Level = tuple[int, int]
"""(price_micro, size_micro)."""

DEPTH_LEVELS: Final = 5


class Side(StrEnum):
    """An order's side."""

    BUY = "BUY"
    SELL = "SELL"


class Trading(StrEnum):
    """What the market takes now: everything, resting orders only, cancels only, nothing."""

    OPEN = "open"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    CLOSED = "closed"


class BookView(NamedTuple):
    """The best levels of one token's book, best first, and what else the market said of itself.

    Attributes:
        bids: (price_micro, size_micro), highest price first.
        asks: (price_micro, size_micro), lowest price first.
        tick_micro: The grid; 0 when not known, which makes the book one that cannot be trusted.
        min_size_micro: The smallest order that may rest, in micro-shares.
        as_of_ms: When the book was last known to be true, by our own clock.
        fault: Why the book cannot be trusted, or None.
        fresh: Whether it was read from the exchange for this decision, not kept from a stream.
    """

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick_micro: int
    min_size_micro: int
    as_of_ms: int
    fault: str | None = None
    fresh: bool = False
    trading: Trading = Trading.OPEN
    closes_at_ms: int | None = None

    @property
    def best_bid(self) -> int | None:
        """The highest bid in micro, or None."""
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> int | None:
        """The lowest ask in micro, or None."""
        return self.asks[0][0] if self.asks else None


def depth_pico(levels: Iterable[Level]) -> int:
    """Return the exact notional Σ price x size of these levels, in pico-pUSD."""
    return sum([price * size for price, size in levels])


def tick_fault(tick_micro: int | None) -> str | None:
    """Return what is wrong with a tick size, or None: not known, outside (0, 1), no whole part of one."""
    if tick_micro is not None and 0 < tick_micro < MICRO and MICRO % tick_micro == 0:
        return None
    return f"the tick size was {tick_micro}"


def side_fault(levels: Iterable[Level], tick_micro: int) -> str | None:
    """Return what is wrong with one side's levels, or None: off the grid, outside (0, 1), no size."""
    for price, size in levels:
        if size <= 0:
            return f"a level at {plain(price)} has size {plain(size)}"
        if price % tick_micro or not 0 < price < MICRO:
            return f"a level at {plain(price)} is not on the grid of {plain(tick_micro)}"
    return None


def _repeated(levels: list[Level]) -> str | None:
    """Return which price stands twice among sorted levels, or None: its depth would count twice."""
    for (price, _), (following, _) in pairwise(levels):
        if price == following:
            return f"the price {plain(price)} stands twice"
    return None


def crossed_fault(best_bid: int | None, best_ask: int | None) -> str | None:
    """Return what is wrong between the two sides, or None. Equal prices are crossed too."""
    if best_bid is not None and best_ask is not None and best_bid >= best_ask:
        return f"the book is crossed: bid {plain(best_bid)}, ask {plain(best_ask)}"
    return None


def view_of(
    bids: Iterable[Level],
    asks: Iterable[Level],
    *,
    tick_micro: int | None,
    min_size_micro: int,
    as_of_ms: int,
    fresh: bool,
    trading: Trading = Trading.OPEN,
    closes_at_ms: int | None = None,
    levels: int = DEPTH_LEVELS,
) -> BookView:
    """Return the view of a whole book, its every level checked, whatever order the levels come in."""
    bids_best_first = sorted(bids, reverse=True)
    asks_best_first = sorted(asks)
    tick = tick_micro or 0
    fault = tick_fault(tick_micro)
    if fault is None:
        fault = side_fault(bids_best_first, tick) or side_fault(asks_best_first, tick)
        fault = fault or _repeated(bids_best_first) or _repeated(asks_best_first)
        if fault is None and bids_best_first and asks_best_first:
            fault = crossed_fault(bids_best_first[0][0], asks_best_first[0][0])
    return BookView(
        bids=tuple(bids_best_first[:levels]),
        asks=tuple(asks_best_first[:levels]),
        tick_micro=tick,
        min_size_micro=min_size_micro,
        as_of_ms=as_of_ms,
        fault=fault,
        fresh=fresh,
        trading=trading,
        closes_at_ms=closes_at_ms,
    )
