"""The decision: the table of SPEC 4, row by row, first row that fires decides. Same inputs, same decision.

It cannot fail and cannot wait. Rows 1 and 2 (forged and duplicate events) are settled before a
remainder exists; rows 3 to 13 are here, each under its number.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from polytraders_pfh.core.chase import cap_price, chase_size, not_repostable, within_cap
from polytraders_pfh.core.market import DEPTH_LEVELS, BookView, Side, depth_pico
from polytraders_pfh.core.money import MICRO, plain, usd_up
from polytraders_pfh.core.reasons import Reason

HARD_DUST_USD_MICRO: Final = 1 * MICRO
"""The card's hard minimum: from here up a dust remainder is also worth a warning."""

HARD_CHASE_TICKS: Final = 10
"""The card's hard maximum: nothing is chased across more ticks than this, whatever a strategy allows."""

_FUTURE_TOLERANCE_MS: Final = 1_000


class Policy(StrEnum):
    """What a strategy wants done with a remainder."""

    HOLD = "hold"
    CANCEL = "cancel"
    CHASE = "chase"


class Action(StrEnum):
    """What is to be done with the remainder."""

    HOLD = "HOLD"
    CANCEL = "CANCEL"
    CHASE = "CHASE"


class Kill(StrEnum):
    """The kill switch as known at decision time. Unknown lets cancels pass and no order."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


class DepthSide(StrEnum):
    """Which side's depth rule 6 compares: the contra side can fill the remainder, the own side holds it."""

    CONTRA = "contra"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Limits:
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


class Decision(NamedTuple):
    """What to do, why, and the numbers behind it.

    Attributes:
        row: The row of SPEC 4 that fired.
        policy: The policy that applied, for the report.
        depth_pico: Notional that rule 6 looked at, in pico-pUSD; None when no book was looked at.
        adverse_micro: How far the contra price is from the root, adverse positive; None without one.
        price_micro: The chase's price; None unless action is CHASE.
        size_micro: The chase's size as planned; what fills during the cancel is subtracted later.
        cap_micro: The worst price the chase may have; None unless action is CHASE.
        on_book: Whether the decision rests on the book, so that a cached one must be confirmed.
        note: One clause for the operator: what the row saw.
    """

    action: Action
    reason: Reason
    row: int
    policy: Policy
    warnings: tuple[Reason, ...] = ()
    depth_pico: int | None = None
    adverse_micro: int | None = None
    tick_micro: int = 0
    price_micro: int | None = None
    size_micro: int | None = None
    cap_micro: int | None = None
    on_book: bool = False
    note: str = ""


def decide(remainder: Remainder, book: BookView | None, limits: Limits, kill: Kill, now_ms: int) -> Decision:
    """Return what becomes of a remainder.

    Args:
        remainder: The unfilled part and its intent.
        book: The best known book, or None when none could be had.
        limits: Parameters in force for this order.
        kill: The kill switch as known now.
        now_ms: The clock that `book.as_of_ms` was read from.
    """
    policy = remainder.policy or limits.default_policy
    unknown = (Reason.KILL_SWITCH_UNKNOWN,) if kill is Kill.UNKNOWN else ()
    if kill is Kill.ON:
        return Decision(Action.CANCEL, Reason.KILL_SWITCH_ACTIVE, 3, policy)
    if remainder.remaining_usd_micro < limits.min_remainder_usd_micro:
        dust = (
            (Reason.PARTIAL_FILL_DUST_REMAINDER,)
            if remainder.remaining_usd_micro >= HARD_DUST_USD_MICRO
            else ()
        )
        return Decision(Action.CANCEL, Reason.PARTIAL_FILL_DUST_AUTO_CANCEL, 4, policy, dust + unknown)
    if book is None:
        return Decision(
            Action.HOLD, Reason.HOLD_REMAINDER, 5, policy, (Reason.BOOK_UNAVAILABLE, *unknown), on_book=True
        )
    fault = book.fault or _age_fault(book, limits.max_book_age_ms, now_ms)
    if fault is not None:
        return Decision(
            Action.HOLD,
            Reason.HOLD_REMAINDER,
            5,
            policy,
            (Reason.BOOK_UNTRUSTED, *unknown),
            on_book=True,
            note=fault,
        )
    return _decide_on_book(remainder, book, limits, policy, unknown, now_ms)


def _age_fault(book: BookView, max_age_ms: int, now_ms: int) -> str | None:
    age_ms = now_ms - book.as_of_ms
    if age_ms > max_age_ms:
        return f"the book is {age_ms} ms old"
    if age_ms < -_FUTURE_TOLERANCE_MS:
        return f"the book is {-age_ms} ms ahead of the clock"
    return None


def _decide_on_book(
    remainder: Remainder,
    book: BookView,
    limits: Limits,
    policy: Policy,
    unknown: tuple[Reason, ...],
    now_ms: int,
) -> Decision:
    buying = remainder.side is Side.BUY
    depth = _depth(remainder, book, limits)
    contra = book.best_ask if buying else book.best_bid
    adverse = None
    if contra is not None:
        adverse = contra - remainder.root_price_micro if buying else remainder.root_price_micro - contra
    if limits.cancel_on_book_thin and depth < remainder.remaining_usd_micro * MICRO:
        return Decision(
            Action.CANCEL,
            Reason.PARTIAL_FILL_BOOK_THIN_CANCEL,
            6,
            policy,
            unknown,
            depth,
            adverse,
            book.tick_micro,
            on_book=True,
        )
    if policy is Policy.HOLD:
        return Decision(
            Action.HOLD, Reason.HOLD_REMAINDER, 7, policy, unknown, depth, adverse, book.tick_micro
        )
    if policy is Policy.CANCEL:
        return Decision(
            Action.CANCEL, Reason.CANCELLED_REMAINDER, 8, policy, unknown, depth, adverse, book.tick_micro
        )
    return _decide_chase(remainder, book, limits, unknown, now_ms, depth, contra, adverse)


def _depth(remainder: Remainder, book: BookView, limits: Limits) -> int:
    """Return the notional of the best levels that rule 6 looks at, in pico-pUSD."""
    buying = remainder.side is Side.BUY
    if limits.depth_side is DepthSide.CONTRA:
        return depth_pico((book.asks if buying else book.bids)[: limits.depth_levels])
    own = (book.bids if buying else book.asks)[: limits.depth_levels]
    depth = depth_pico(own)
    if any(price == remainder.price_micro for price, _ in own):
        depth -= remainder.remaining_usd_micro * MICRO
    return max(depth, 0)


def _decide_chase(
    remainder: Remainder,
    book: BookView,
    limits: Limits,
    unknown: tuple[Reason, ...],
    now_ms: int,
    depth: int,
    contra: int | None,
    adverse: int | None,
) -> Decision:
    side, tick = remainder.side, book.tick_micro
    cap = cap_price(
        side, remainder.root_price_micro, tick, limits.chase_max_ticks, remainder.limit_price_micro
    )
    price = contra if contra is not None and within_cap(side, contra, cap) else cap
    size = chase_size(price, remainder.rest_size_micro, remainder.rest_usd_micro)

    def outcome(
        action: Action, reason: Reason, row: int, warnings: tuple[Reason, ...] = (), note: str = ""
    ) -> Decision:
        chasing = action is Action.CHASE
        return Decision(
            action=action,
            reason=reason,
            row=row,
            policy=Policy.CHASE,
            warnings=warnings + unknown,
            depth_pico=depth,
            adverse_micro=adverse,
            tick_micro=tick,
            price_micro=price if chasing else None,
            size_micro=size if chasing else None,
            cap_micro=cap if chasing else None,
            on_book=True,
            note=note,
        )

    near = adverse is not None and adverse <= limits.chase_max_ticks * tick
    wide = adverse is not None and remainder.allow_wide_chase and adverse <= HARD_CHASE_TICKS * tick
    marketable = contra is not None and within_cap(side, contra, remainder.price_micro)
    if marketable or ((near or wide) and within_cap(side, price, remainder.price_micro)):
        return outcome(Action.HOLD, Reason.HOLD_REMAINDER, 9, (Reason.ALREADY_MARKETABLE,))
    obstacle = _budget_spent(remainder, limits, price, size) or not_repostable(
        side, price, size, book, now_ms, limits.closing_margin_ms
    )
    if obstacle is not None:
        return outcome(Action.HOLD, Reason.HOLD_REMAINDER, 10, (Reason.NOT_REPOSTABLE,), obstacle)
    if not near and not wide:
        note = "no contra price" if adverse is None else ""
        return outcome(Action.CANCEL, Reason.PARTIAL_FILL_CHASE_ABORTED, 13, note=note)
    if unknown:
        return outcome(Action.HOLD, Reason.HOLD_REMAINDER, 11 if near else 12)
    if near:
        return outcome(Action.CHASE, Reason.CHASE_ORDER_SUBMITTED, 11)
    return outcome(Action.CHASE, Reason.CHASE_ORDER_SUBMITTED, 12, (Reason.PARTIAL_FILL_CHASE_WIDE,))


def _budget_spent(remainder: Remainder, limits: Limits, price_micro: int, size_micro: int) -> str | None:
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
