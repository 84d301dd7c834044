"""The thirteen rules as they were tried for one decision: which fired, which did not, and on what figures.

Nothing is decided a second time: which row fired is what `policy.decide` says, and every figure comes from
the same functions of `remainder` that it asked. Rows before the one that fired were tried in vain, rows
behind it were not looked at.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from polytraders_pfh.core.basis import Basis, decide_on
from polytraders_pfh.core.market import BookView, Side
from polytraders_pfh.core.money import MICRO, plain
from polytraders_pfh.core.policy import Action, Decision, age_fault
from polytraders_pfh.core.remainder import (
    HARD_CHASE_TICKS,
    Chase,
    DepthSide,
    chase_obstacle,
    chase_of,
    contra_of,
    depth_of,
)


class Outcome(StrEnum):
    """What came of trying a rule."""

    FIRED = "fired"
    PASSED = "did not fire"
    UNTRIED = "not reached"


class Tried(NamedTuple):
    """One rule.

    Attributes:
        row: Its row of SPEC 4.
        rule: Its name and what it does when it fires.
        because: What was seen, in a clause; empty when it was not reached.
    """

    row: int
    rule: str
    outcome: Outcome
    because: str


RULES: Final = {
    1: "forged or malformed: reject",
    2: "seen before: same report again",
    3: "kill switch: cancel",
    4: "dust: cancel",
    5: "untrusted book: hold",
    6: "thin book: cancel",
    7: "policy hold: hold",
    8: "policy cancel: cancel",
    9: "nothing to gain: hold",
    10: "not repostable: hold",
    11: "near chase: post again",
    12: "wide chase: post at the cap",
    13: "out of reach: cancel",
}


def explain(basis: Basis) -> tuple[Tried, ...]:
    """Return all thirteen rules as they were tried for this decision."""
    decision = decide_on(basis)
    return tuple([_tried(row, basis, decision) for row in RULES])


def _tried(row: int, basis: Basis, decision: Decision) -> Tried:
    if row > decision.row:
        return Tried(row, RULES[row], Outcome.UNTRIED, "")
    outcome = Outcome.FIRED if row == decision.row else Outcome.PASSED
    return Tried(row, RULES[row], outcome, _BECAUSE[row](basis, decision))


def _kill(basis: Basis, decision: Decision) -> str:
    if basis.kill.value == "unknown":
        return "the kill switch did not answer, which forbids new orders and no cancel"
    return f"the kill switch was {basis.kill.value}"


def _dust(basis: Basis, decision: Decision) -> str:
    left, least = basis.remainder.remaining_usd_micro, basis.limits.min_remainder_usd_micro
    return f"{plain(left)} pUSD is left, {_below(left < least)} the minimum of {plain(least)}"


def _trust(basis: Basis, decision: Decision) -> str:
    book, most = basis.book, basis.limits.max_book_age_ms
    if book is None:
        return "no book could be had"
    age_ms = basis.now_ms - book.as_of_ms
    fault = book.fault or age_fault(book, most, basis.now_ms)
    if fault is None:
        return f"the book was {max(age_ms, 0)} ms old and in order"
    return f"{fault}; {most} ms are allowed" if book.fault is None and age_ms > 0 else fault


def _thin(basis: Basis, decision: Decision) -> str:
    limits, left = basis.limits, basis.remainder.remaining_usd_micro
    if not limits.cancel_on_book_thin:
        return "cancel_on_book_thin is off"
    depth = depth_of(basis.remainder, _book(basis), limits)
    asks = (basis.remainder.side is Side.BUY) == (limits.depth_side is DepthSide.CONTRA)
    what = f"the best {'asks' if asks else 'bids'}, {limits.depth_levels} at most, hold"
    return f"{what} {_usd(depth)} pUSD, {_below(depth < left * MICRO)} the {plain(left)} that is left"


def _policy(basis: Basis, decision: Decision) -> str:
    policy = basis.remainder.policy or basis.limits.default_policy
    return f"the policy is {policy.value}"


def _gain(basis: Basis, decision: Decision) -> str:
    rest, meant = basis.remainder, _chase(basis)
    own = f"the order's own {plain(rest.price_micro)}"
    if meant.contra_micro is None:
        return f"there is no {_contra(rest.side)} to chase"
    touch = f"the best {_contra(rest.side)} is {plain(meant.contra_micro)}"
    if meant.gains_nothing:
        return f"{touch}, and {own} is no worse than the {plain(meant.price_micro)} a chase would have"
    return f"{touch}, away from {own}"


def _repost(basis: Basis, decision: Decision) -> str:
    meant, book = _chase(basis), _book(basis)
    order = f"{plain(meant.size_micro)} shares at {plain(meant.price_micro)}"
    why = chase_obstacle(basis.remainder, book, basis.limits, meant, basis.now_ms)
    if why is None and decision.row == 10:
        why = basis.obstacle
    return f"{order} could be posted" if why is None else f"{order} could not be posted: {why}"


def _near(basis: Basis, decision: Decision) -> str:
    most = f"the {basis.limits.chase_max_ticks} of chase_max_ticks"
    if _chase(basis).near:
        return f"{_ticks(basis)}, within {most}{_held_by_doubt(decision)}"
    return _ticks(basis) if decision.adverse_micro is None else f"{_ticks(basis)}, beyond {most}"


def _wide(basis: Basis, decision: Decision) -> str:
    words = _ticks(basis)
    if decision.adverse_micro is None:
        return words
    if not basis.remainder.allow_wide_chase:
        return f"{words}, and the strategy does not allow wide chases"
    reach = "within" if _chase(basis).wide else "beyond"
    return f"{words}, {reach} the hard limit of {HARD_CHASE_TICKS}{_held_by_doubt(decision)}"


def _far(basis: Basis, decision: Decision) -> str:
    return f"{_ticks(basis)}: no chase within its limits reaches the market"


_BECAUSE: Final[dict[int, Callable[[Basis, Decision], str]]] = {
    1: lambda basis, decision: "its signature and its fields were right",
    2: lambda basis, decision: "it had not been seen before",
    3: _kill,
    4: _dust,
    5: _trust,
    6: _thin,
    7: _policy,
    8: _policy,
    9: _gain,
    10: _repost,
    11: _near,
    12: _wide,
    13: _far,
}


def _book(basis: Basis) -> BookView:
    assert basis.book is not None
    return basis.book


def _chase(basis: Basis) -> Chase:
    book = _book(basis)
    return chase_of(basis.remainder, book, basis.limits, *contra_of(basis.remainder, book))


def _ticks(basis: Basis) -> str:
    book = _book(basis)
    _, adverse = contra_of(basis.remainder, book)
    root = f"the root price of {plain(basis.remainder.root_price_micro)}"
    if adverse is None:
        return f"there is no {_contra(basis.remainder.side)}"
    ticks = plain(adverse * MICRO // book.tick_micro)
    unit = "tick" if ticks == "1" else "ticks"
    return f"the best {_contra(basis.remainder.side)} is {ticks} {unit} from {root}"


def _held_by_doubt(decision: Decision) -> str:
    held = decision.action is Action.HOLD
    return "; held, since the kill switch did not answer" if held else ""


def _contra(side: Side) -> str:
    return "ask" if side is Side.BUY else "bid"


def _below(below: bool) -> str:
    return "below" if below else "not below"


def _usd(pico: int) -> str:
    return plain(pico // MICRO)
