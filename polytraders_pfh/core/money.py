"""Exact money: integers of millionths, and a named direction for every rounding.

    price_micro   millionths of a pUSD per share      0.62  is 620_000
    size_micro    millionths of a share               5     is 5_000_000
    usd_micro     millionths of a pUSD                250   is 250_000_000
    pico          price_micro * size_micro, the exact notional before any rounding

A notional is compared in pico, so that no comparison ever rounds.
"""

from typing import Final

MICRO: Final = 1_000_000
LOT_MICRO: Final = 10_000
"""The exchange takes sizes of limit orders in hundredths of a share (clob_v2 1.5)."""


def usd_down(price_micro: int, size_micro: int) -> int:
    """Return price times size in micro-pUSD, rounded down."""
    return price_micro * size_micro // MICRO


def usd_up(price_micro: int, size_micro: int) -> int:
    """Return price times size in micro-pUSD, rounded up."""
    return -(-price_micro * size_micro // MICRO)


def size_down(usd_micro: int, price_micro: int) -> int:
    """Return how many micro-shares `usd_micro` buys at this price, rounded down."""
    return usd_micro * MICRO // price_micro


def lots_down(size_micro: int) -> int:
    """Return a size rounded down to the exchange's lot, in micro-shares."""
    return size_micro - size_micro % LOT_MICRO


def grid_down(price_micro: int, tick_micro: int) -> int:
    """Return a price rounded down to the tick grid."""
    return price_micro - price_micro % tick_micro


def grid_up(price_micro: int, tick_micro: int) -> int:
    """Return a price rounded up to the tick grid."""
    return price_micro + -price_micro % tick_micro


def plain(micro: int) -> str:
    """Return a count of millionths as the shortest decimal text: 620000 is 0.62."""
    whole, rest = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")
