"""How a decision ended, and which verdict tells it: from a carried-out chase or cancel to reason codes."""

from typing import Final, NamedTuple

from polytraders_hookspecs.reports import CancelReplaceResult

from polytraders_pfh.core.policy import Decision
from polytraders_pfh.core.reasons import Reason


class Ending(NamedTuple):
    """A verdict with what stands beside it. `executed` is False when the mode held the action back."""

    verdict: Reason
    warnings: tuple[Reason, ...] = ()
    executed: bool = True
    result: CancelReplaceResult | None = None
    detail: str = ""


_OUTCOMES: Final = {
    "posted": Reason.CHASE_ORDER_SUBMITTED,
    "rejected": Reason.CHASE_REJECTED,
    "unconfirmed": Reason.CHASE_UNCONFIRMED,
    "closed": Reason.REMAINDER_CLOSED,
    "cancel_unconfirmed": Reason.CANCEL_UNCONFIRMED,
}
_TOLD_BESIDE: Final = frozenset(
    {
        Reason.BELOW_MIN_ORDER_SIZE,
        Reason.BOOK_UNAVAILABLE,
        Reason.BOOK_UNTRUSTED,
        Reason.KILL_SWITCH_UNKNOWN,
    }
)


def cancel_ending(decision: Decision, result: CancelReplaceResult) -> Ending:
    """Return how a decision to cancel ended."""
    verdict = _OUTCOMES.get(result.outcome, decision.reason)
    return Ending(verdict, decision.warnings, True, None, result.detail or decision.note)


def chase_ending(decision: Decision, result: CancelReplaceResult) -> Ending:
    """Return how a decision to chase ended; a remainder that stayed cancelled says why."""
    detail = result.detail or result.reason
    if result.outcome != "cancelled":
        return Ending(_OUTCOMES[result.outcome], decision.warnings, True, result, detail)
    if result.reason == Reason.KILL_SWITCH_ACTIVE.value:
        return Ending(Reason.KILL_SWITCH_ACTIVE, decision.warnings, True, result)
    if result.reason.startswith(Reason.INVARIANT_TRIPPED.value):
        warnings: tuple[Reason, ...] = (Reason.INVARIANT_TRIPPED,)
    elif result.reason in _TOLD_BESIDE:
        warnings = (Reason(result.reason),)
    else:
        warnings = ()
    return Ending(Reason.CANCELLED_REMAINDER, decision.warnings + warnings, True, result, detail)
