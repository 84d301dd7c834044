"""Exact arithmetic of the exchange: grids, decimals, fees and the decimal text of a micro amount."""

from __future__ import annotations

from typing import Final

from polytraders_pfh.paper.core.model import MICRO, Market, OrderRequest, Side

AMOUNT_DECIMALS: Final = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
"""Ticks in use, each with the decimals a limit order's pUSD amount may carry (clob_v2 1.5)."""
SIZE_DECIMALS: Final = 2
MARKET_MAKER_DECIMALS: Final = 2
MARKET_TAKER_DECIMALS: Final = 4
_MARKET_TAKER_STEP: Final = 100
_FEE_STEP: Final = 10  # the venue floors fees to 5 decimals


def decimal_text(micro: int) -> str:
    """The shortest decimal text of a micro amount: 500_000 is "0.5", 5_000_000 is "5"."""
    sign, whole, fraction = "-" if micro < 0 else "", abs(micro) // MICRO, abs(micro) % MICRO
    return f"{sign}{whole}.{fraction:06d}".rstrip("0") if fraction else f"{sign}{whole}"


def has_decimals(micro: int, most: int) -> bool:
    """True when the amount carries at most `most` decimals."""
    return bool(micro % (MICRO // 10**most) == 0)


def on_grid(price_micro: int, tick_micro: int) -> bool:
    """True when tick <= price <= 1 - tick and the price is a multiple of the tick (clob_v2 1.6)."""
    return tick_micro <= price_micro <= MICRO - tick_micro and price_micro % tick_micro == 0


def limit_price(request: OrderRequest, tick_micro: int) -> int | None:
    """The order's limit on the grid, or None when it has none.

    A resting order's amounts must give it exactly. A FOK or FAK may not always spell it exactly, since
    its taker amount ends after 4 decimals: the nearest grid price counts when that cut explains the gap.
    """
    if request.order_type.rests:
        price = request.price_micro
        return price if request.price_is_exact and on_grid(price, tick_micro) else None
    price = (request.price_micro + tick_micro // 2) // tick_micro * tick_micro
    if request.side is Side.BUY:
        explained = (
            abs(request.taker_amount * price - request.maker_amount * MICRO) < _MARKET_TAKER_STEP * price
        )
    else:
        explained = (
            abs(request.taker_amount * MICRO - request.maker_amount * price) < _MARKET_TAKER_STEP * MICRO
        )
    return price if explained and on_grid(price, tick_micro) else None


def taker_fee(market: Market, size_micro: int, price_micro: int) -> int:
    """shares x rate x (p (1 - p))^exponent in micro-pUSD, floored to 5 decimals (clob_v2 4.4)."""
    if not market.taker_fee_rate_micro:
        return 0
    exponent = market.fee_exponent
    curve = (price_micro * (MICRO - price_micro)) ** exponent
    scale = MICRO ** (2 * exponent + 1) * _FEE_STEP
    return int(size_micro * market.taker_fee_rate_micro * curve // scale * _FEE_STEP)


def ceil_div(amount: int, divisor: int) -> int:
    """amount / divisor, rounded up."""
    return -(-amount // divisor)
