"""What the rules look at: one order's unfilled part, its intent's history, the limits; and the chase meant.

Nothing is decided here. `policy` asks these in the order of its rows, and `rules` asks the same again to
say why a row fired or did not.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from polytraders_pfh.core.chase import cap_price, chase_size, not_repostable, within_cap
from polytraders_pfh.core.market import DEPTH_LEVELS, BookView, Side, depth_pico
from polytraders_pfh.core.money import MICRO, plain, usd_up

HARD_CHASE_TICKS: Final = 10
"""The card's hard maximum: nothing is chased across more ticks than this, whatever a strategy allows."""


class Policy(StrEnum):
    """What a strategy wants done with a remainder."""

    HOLD = "hold"
    CANCEL = "cancel"
    CHASE = "chase"


class Kill(StrEnum):
    """The kill switch as known at decision time. Unknown lets cancels pass and no order."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


class DepthSide(StrEnum):
    """Which side's depth rule 6 compares: the contra side can fill the remainder, the own side holds it."""

    CONTRA = "contra"
    OWN = "own"


class Limits(NamedTuple):
    """The parameters of a decision, after config, overrides and strategy were laid over each other."""

    default_policy: Policy = Policy.HOLD
    min_remainder_usd_micro: int = 5 * MICRO
    chase_max_ticks: int = 3
    cancel_on_book_thin: bool = True
    depth_levels: int = DEPTH_LEVELS
    depth_side: DepthSide = DepthSide.CONTRA
    max_book_age_ms: int = 1_500
    closing_margin_ms: int = 5_000
    chase_max_reposts: int = 5
    chase_max_seconds: int = 120
    chase_max_extra_usd_micro: int | None = None


class Remainder(NamedTuple):
    """One order's unfilled part, and as much of its intent's history as the rules look at.

    Attributes:
        price_micro: The order's own price; the root's, unless it is a chase order.
        root_price_micro: The price of the intent's first order: ticks are counted from here.
        remaining_usd_micro: Shares left times the order's own price.
        rest_size_micro: Shares the intent may still trade.
        rest_usd_micro: pUSD the intent may still spend.
        limit_price_micro: The strategy's own worst price, where it declared one.
        reposts: Chase orders posted for this intent so far.
        chasing_ms: Milliseconds since the intent's first chase began; 0 when there was none.
        extra_usd_micro: What chasing has cost so far beyond the root price.
    """

    side: Side
    price_micro: int
    root_price_micro: int
    filled_usd_micro: int
    remaining_usd_micro: int
    rest_size_micro: int
    rest_usd_micro: int
    policy: Policy | None = None
    allow_wide_chase: bool = False
    limit_price_micro: int | None = None
    reposts: int = 0
    chasing_ms: int = 0
    extra_usd_micro: int = 0


def contra_of(remainder: Remainder, book: BookView) -> tuple[int | None, int | None]:
    """Return the best contra price and how far it is from the root, adverse positive; None without one."""
    buying = remainder.side is Side.BUY
    contra = book.best_ask if buying else book.best_bid
    if contra is None:
        return None, None
    return contra, contra - remainder.root_price_micro if buying else remainder.root_price_micro - contra


def depth_of(remainder: Remainder, book: BookView, limits: Limits) -> int:
    """Return the notional of the best levels that rule 6 looks at, in pico-pUSD."""
    buying = remainder.side is Side.BUY
    if limits.depth_side is DepthSide.CONTRA:
        return depth_pico((book.asks if buying else book.bids)[: limits.depth_levels])
    own = (book.bids if buying else book.asks)[: limits.depth_levels]
    depth = depth_pico(own)
    if any(price == remainder.price_micro for price, _ in own):
        depth -= remainder.remaining_usd_micro * MICRO
    return max(depth, 0)


class Chase(NamedTuple):
    """The chase that rows 9 to 13 look at, whether or not it comes to be.

    Attributes:
        contra_micro: The best price of the contra side, or None without one.
        near: Whether the contra price is within `chase_max_ticks` of the root.
        wide: Whether it is within the hard maximum, and the strategy allows that.
        gains_nothing: Whether the order is marketable already, or would be priced as it is.
    """

    contra_micro: int | None
    cap_micro: int
    price_micro: int
    size_micro: int
    near: bool
    wide: bool
    gains_nothing: bool


def chase_of(
    remainder: Remainder, book: BookView, limits: Limits, contra: int | None, adverse: int | None
) -> Chase:
    """Return price, size and reach of the chase that this book would allow."""
    side, tick = remainder.side, book.tick_micro
    cap = cap_price(
        side, remainder.root_price_micro, tick, limits.chase_max_ticks, remainder.limit_price_micro
    )
    price = contra if contra is not None and within_cap(side, contra, cap) else cap
    near = adverse is not None and adverse <= limits.chase_max_ticks * tick
    wide = adverse is not None and remainder.allow_wide_chase and adverse <= HARD_CHASE_TICKS * tick
    marketable = contra is not None and within_cap(side, contra, remainder.price_micro)
    return Chase(
        contra_micro=contra,
        cap_micro=cap,
        price_micro=price,
        size_micro=chase_size(price, remainder.rest_size_micro, remainder.rest_usd_micro),
        near=near,
        wide=wide,
        gains_nothing=marketable or ((near or wide) and within_cap(side, price, remainder.price_micro)),
    )


def chase_obstacle(
    remainder: Remainder, book: BookView, limits: Limits, meant: Chase, now_ms: int
) -> str | None:
    """Return why the rest could not be posted again as this chase, or None."""
    price, size = meant.price_micro, meant.size_micro
    return budget_spent(remainder, limits, price, size) or not_repostable(
        remainder.side, price, size, book, now_ms, limits.closing_margin_ms
    )


def budget_spent(remainder: Remainder, limits: Limits, price_micro: int, size_micro: int) -> str | None:
    """Return which part of the chase budget is spent first, or None (SPEC 4)."""
    if remainder.reposts >= limits.chase_max_reposts:
        return f"{remainder.reposts} chase orders were posted already"
    if remainder.chasing_ms > limits.chase_max_seconds * 1_000:
        return f"the chase has run for {remainder.chasing_ms} ms"
    if limits.chase_max_extra_usd_micro is not None:
        step = usd_up(abs(price_micro - remainder.root_price_micro), size_micro)
        total = remainder.extra_usd_micro + step
        if total > limits.chase_max_extra_usd_micro:
            return f"the chase would cost {plain(total)} pUSD beyond the root price"
    return None
