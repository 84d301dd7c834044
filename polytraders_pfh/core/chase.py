"""Price and size of a chase, whether its rest could be posted again, and the law of the chain.

The chain of an intent is its root order and every chase order that descends from it. Whatever happens,

    Σ filled + Σ may still fill + the new order  ≤  the intent

in shares for both sides, and for a BUY in pUSD as well (SPEC 4).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from polytraders_pfh.core.market import BookView, Side, Trading
from polytraders_pfh.core.money import MICRO, grid_down, grid_up, lots_down, plain, size_down

MIN_MARKETABLE_PICO: Final = 1 * MICRO * MICRO
"""A marketable order is at least 1 pUSD (clob_v2 1.7)."""


def cap_price(
    side: Side, root_price_micro: int, tick_micro: int, max_ticks: int, limit_price_micro: int | None
) -> int:
    """Return the worst price any chase of this intent may have, on the grid, rounded to the safe side.

    `root ± max_ticks x tick`, drawn in to the strategy's own limit price where it declared one, and to
    the exchange's own bounds (tick ≤ price ≤ 1 - tick).
    """
    if side is Side.BUY:
        cap = root_price_micro + max_ticks * tick_micro
        if limit_price_micro is not None:
            cap = min(cap, limit_price_micro)
        return min(grid_down(cap, tick_micro), MICRO - tick_micro)
    cap = root_price_micro - max_ticks * tick_micro
    if limit_price_micro is not None:
        cap = max(cap, limit_price_micro)
    return max(grid_up(cap, tick_micro), tick_micro)


def within_cap(side: Side, price_micro: int, cap_micro: int) -> bool:
    """Return whether a price is no worse than the cap."""
    return price_micro <= cap_micro if side is Side.BUY else price_micro >= cap_micro


def chase_size(price_micro: int, rest_size_micro: int, rest_usd_micro: int) -> int:
    """Return a chase's size in micro-shares, down to the lot: min(rest in shares, rest in pUSD / price).

    The first bound keeps a SELL from selling shares that it does not hold, the second a BUY from
    spending more than was meant. Nothing can be sized at a price that is not positive, which is what a
    cap below the market's smallest price comes to.
    """
    if price_micro <= 0:
        return 0
    return lots_down(min(rest_size_micro, size_down(rest_usd_micro, price_micro)))


def not_repostable(
    side: Side,
    price_micro: int,
    size_micro: int,
    book: BookView,
    now_ms: int,
    closing_margin_ms: int,
) -> str | None:
    """Return why an order of this price and size could not be posted, or None.

    Checked before a cancel, so that nothing is cancelled that cannot be placed again.
    """
    if book.trading is not Trading.OPEN:
        return f"the market is {book.trading.value}"
    if book.closes_at_ms is not None and book.closes_at_ms - now_ms <= closing_margin_ms:
        return f"the market closes in {book.closes_at_ms - now_ms} ms"
    return below_minimum(side, price_micro, size_micro, book)


def below_minimum(side: Side, price_micro: int, size_micro: int, book: BookView) -> str | None:
    """Return which minimum of the exchange an order would miss, or None."""
    if size_micro < book.min_size_micro or size_micro <= 0:
        return f"{plain(size_micro)} shares is below the market's minimum of {plain(book.min_size_micro)}"
    contra = book.best_ask if side is Side.BUY else book.best_bid
    marketable = contra is not None and (price_micro >= contra if side is Side.BUY else price_micro <= contra)
    if marketable and price_micro * size_micro < MIN_MARKETABLE_PICO:
        return "the order would be marketable and is worth less than 1 pUSD"
    return None


class Child(NamedTuple):
    """One order of a chain. `may_fill` is True from before it is sent until it is proven dead."""

    order_id: str
    price_micro: int
    size_micro: int
    filled_micro: int
    may_fill: bool

    @property
    def open_micro(self) -> int:
        """What may still fill, in micro-shares."""
        return max(self.size_micro - self.filled_micro, 0) if self.may_fill else 0


class Bounds(NamedTuple):
    """The most an intent may ever trade: shares for both sides, and pUSD (in pico) for a BUY."""

    side: Side
    size_micro: int
    cost_pico: int

    def rest(self, children: Iterable[Child]) -> tuple[int, int]:
        """Return what a new order may still be, as (micro-shares, micro-pUSD rounded down)."""
        size, cost = self.size_micro, self.cost_pico
        for child in children:
            taken = child.filled_micro + child.open_micro
            size -= taken
            cost -= taken * child.price_micro
        return max(size, 0), max(cost // MICRO, 0)


def chain_fault(bounds: Bounds, children: Iterable[Child], price_micro: int, size_micro: int) -> str | None:
    """Return why a new order of this price and size would break the chain's law, or None.

    At most one order of a chain may be alive, and what filled, what may fill and the new order together
    stay within the intent. This stands next to the send, always on.
    """
    size, cost = size_micro, size_micro * price_micro
    for child in children:
        if child.may_fill:
            return f"order {child.order_id} of this intent may still fill"
        size += child.filled_micro
        cost += child.filled_micro * child.price_micro
    if size > bounds.size_micro:
        return f"{plain(size)} shares in all would exceed the intent of {plain(bounds.size_micro)}"
    if bounds.side is Side.BUY and cost > bounds.cost_pico:
        most = plain(bounds.cost_pico // MICRO)
        return f"{plain(cost // MICRO)} pUSD in all would exceed the intent of {most}"
    return None
