"""What one decision rested on and what it was, as one line of text, so that it can be made again later.

    [format, remainder, book or null, limits, kill switch, now_ms, obstacle, decision]

JSON in ASCII without blanks; each part is the fields of its class in their order, money in integers of
millionths. Whoever changes a field of `Remainder`, `BookView`, `Limits` or `Decision` raises `FORMAT`.
"""

import json
from typing import Any, Final, NamedTuple

from polytraders_pfh.core.market import BookView, Side, Trading
from polytraders_pfh.core.policy import Action, Decision, DepthSide, Kill, Limits, Policy, Remainder, decide
from polytraders_pfh.core.reasons import Reason

FORMAT: Final = 1
_JSON: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


class Basis(NamedTuple):
    """Everything a decision rests on.

    Attributes:
        book: The book that was looked at, or None when none could be had.
        now_ms: The clock that the book's age was measured by.
        obstacle: Why nothing may be posted for this intent whatever the market is like, or empty.
    """

    remainder: Remainder
    book: BookView | None
    limits: Limits
    kill: Kill
    now_ms: int
    obstacle: str = ""


def decide_on(basis: Basis) -> Decision:
    """Return the decision that follows from all of it."""
    decision = decide(basis.remainder, basis.book, basis.limits, basis.kill, basis.now_ms)
    if decision.action is Action.CHASE and basis.obstacle:
        return held_instead(decision, basis.obstacle)
    return decision


def held_instead(decision: Decision, why: str) -> Decision:
    """Return the hold that takes a chase's place: never cancel what cannot be placed again (row 10)."""
    return decision._replace(
        action=Action.HOLD,
        reason=Reason.HOLD_REMAINDER,
        row=10,
        warnings=(Reason.NOT_REPOSTABLE, *decision.warnings),
        price_micro=None,
        size_micro=None,
        cap_micro=None,
        note=why,
    )


def encode(basis: Basis, decision: Decision) -> str:
    """Return both as text; equal values give equal text."""
    return _JSON.encode((FORMAT, *basis, decision))


def decode(text: str) -> tuple[Basis, Decision]:
    """Return what a text says.

    Raises:
        ValueError: It is of another format, or no such text.
    """
    try:
        found, *parts = json.loads(text)
        if found == FORMAT:
            remainder, book, limits, kill, now_ms, obstacle, decision = parts
            basis = Basis(
                _remainder(remainder),
                None if book is None else _book(book),
                _limits(limits),
                Kill(kill),
                now_ms,
                obstacle,
            )
            return basis, _decision(decision)
    except (ValueError, TypeError, IndexError) as e:
        raise ValueError(f"the text is no decision with its inputs ({e})") from e
    raise ValueError(f"its inputs were written in format {found}; this version reads format {FORMAT}")


def _remainder(fields: list[Any]) -> Remainder:
    found = Remainder._make(fields)
    return found._replace(
        side=Side(found.side), policy=None if found.policy is None else Policy(found.policy)
    )


def _book(fields: list[Any]) -> BookView:
    found = BookView._make(fields)
    return found._replace(
        bids=tuple([(price, size) for price, size in found.bids]),
        asks=tuple([(price, size) for price, size in found.asks]),
        trading=Trading(found.trading),
    )


def _limits(fields: list[Any]) -> Limits:
    found = Limits._make(fields)
    return found._replace(default_policy=Policy(found.default_policy), depth_side=DepthSide(found.depth_side))


def _decision(fields: list[Any]) -> Decision:
    found = Decision._make(fields)
    return found._replace(
        action=Action(found.action),
        reason=Reason(found.reason),
        policy=Policy(found.policy),
        warnings=tuple([Reason(warning) for warning in found.warnings]),
    )
