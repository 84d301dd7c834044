"""The decision: the table of SPEC 4, row by row, first row that fires decides. Same inputs, same decision.

It cannot fail and cannot wait. Rows 1 and 2 (forged and duplicate events) are settled before a
remainder exists; rows 3 to 13 are here, each under its number.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.money import MICRO
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.core.remainder import (
    HARD_CHASE_TICKS,
    DepthSide,
    Kill,
    Limits,
    Policy,
    Remainder,
    chase_obstacle,
    chase_of,
    contra_of,
    depth_of,
)

__all__ = [
    "HARD_CHASE_TICKS",
    "HARD_DUST_USD_MICRO",
    "Action",
    "Decision",
    "DepthSide",
    "Kill",
    "Limits",
    "Policy",
    "Remainder",
    "age_fault",
    "decide",
]

HARD_DUST_USD_MICRO: Final = 1 * MICRO
"""The card's hard minimum: from here up a dust remainder is also worth a warning."""

_FUTURE_TOLERANCE_MS: Final = 1_000


class Action(StrEnum):
    """What is to be done with the remainder."""

    HOLD = "HOLD"
    CANCEL = "CANCEL"
    CHASE = "CHASE"


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
    fault = book.fault or age_fault(book, limits.max_book_age_ms, now_ms)
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


def age_fault(book: BookView, max_age_ms: int, now_ms: int) -> str | None:
    """Return why a book is too old, or from too far ahead of the clock, to be trusted; or None."""
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
    depth = depth_of(remainder, book, limits)
    contra, adverse = contra_of(remainder, book)
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
    meant = chase_of(remainder, book, limits, contra, adverse)

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
            tick_micro=book.tick_micro,
            price_micro=meant.price_micro if chasing else None,
            size_micro=meant.size_micro if chasing else None,
            cap_micro=meant.cap_micro if chasing else None,
            on_book=True,
            note=note,
        )

    near, wide = meant.near, meant.wide
    if meant.gains_nothing:
        return outcome(Action.HOLD, Reason.HOLD_REMAINDER, 9, (Reason.ALREADY_MARKETABLE,))
    obstacle = chase_obstacle(remainder, book, limits, meant, now_ms)
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
