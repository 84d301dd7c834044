"""One remainder and one book, the card's numbers, for tests that change one thing at a time."""

from dataclasses import replace
from typing import Any

from polytraders_pfh.core.market import BookView, Level, Side, view_of
from polytraders_pfh.core.policy import Decision, Kill, Limits, Remainder, decide

NOW_MS = 1_746_770_100_000
TICKS_MICRO = (100_000, 10_000, 5_000, 2_500, 1_000, 100)
"""Every grid that the exchange knows."""


def remainder(side: Side = Side.BUY, **changes: Any) -> Remainder:
    """The card's order: 450 pUSD at 0.62, of which 250 are left."""
    return Remainder(
        **(
            {
                "side": side,
                "price_micro": 620_000,
                "root_price_micro": 620_000,
                "filled_usd_micro": 200_000_000,
                "remaining_usd_micro": 250_000_000,
                "rest_size_micro": 403_225_806,
                "rest_usd_micro": 250_000_000,
            }
            | changes
        )
    )


def book(
    bids: tuple[Level, ...] = ((610_000, 2_000_000_000),),
    asks: tuple[Level, ...] = ((630_000, 2_000_000_000),),
    **changes: Any,
) -> BookView:
    """A deep book one tick away on both sides, read just now."""
    facts = {"tick_micro": 10_000, "min_size_micro": 5_000_000, "as_of_ms": NOW_MS, "fresh": True}
    return view_of(bids, asks, **(facts | changes))


def away(side: Side, ticks: int, size_micro: int = 2_000_000_000, **changes: Any) -> BookView:
    """A book whose contra price is this many ticks of 0.01 adverse to 0.62."""
    if side is Side.BUY:
        return book(bids=((10_000, size_micro),), asks=((620_000 + ticks * 10_000, size_micro),), **changes)
    return book(bids=((620_000 - ticks * 10_000, size_micro),), asks=((990_000, size_micro),), **changes)


def decided(
    rest: Remainder, view: BookView | None = None, kill: Kill = Kill.OFF, now_ms: int = NOW_MS, **limits: Any
) -> Decision:
    """The decision on a book of the default depth, unless another is given."""
    return decide(rest, book() if view is None else view, Limits(**limits), kill, now_ms)


def changed(value: Any, **changes: Any) -> Any:
    """The same frozen value with these fields changed, whichever way it is frozen."""
    return value._replace(**changes) if isinstance(value, tuple) else replace(value, **changes)
