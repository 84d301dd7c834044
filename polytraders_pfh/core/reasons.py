"""Every reason code once: reports, metric labels, spans and the runbook all read this table.

The first five rows, their severities and messages are the card's. A verdict says what was decided; a
warning stands beside one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """A verdict or a warning. The value is the word on the wire."""

    HOLD_REMAINDER = "HOLD_REMAINDER"
    CANCELLED_REMAINDER = "CANCELLED_REMAINDER"
    CHASE_ORDER_SUBMITTED = "CHASE_ORDER_SUBMITTED"
    PARTIAL_FILL_DUST_AUTO_CANCEL = "PARTIAL_FILL_DUST_AUTO_CANCEL"
    PARTIAL_FILL_BOOK_THIN_CANCEL = "PARTIAL_FILL_BOOK_THIN_CANCEL"
    PARTIAL_FILL_CHASE_ABORTED = "PARTIAL_FILL_CHASE_ABORTED"
    KILL_SWITCH_ACTIVE = "KILL_SWITCH_ACTIVE"
    EVENT_REJECTED = "EVENT_REJECTED"
    REMAINDER_CLOSED = "REMAINDER_CLOSED"
    CANCEL_UNCONFIRMED = "CANCEL_UNCONFIRMED"
    CHASE_REJECTED = "CHASE_REJECTED"
    CHASE_UNCONFIRMED = "CHASE_UNCONFIRMED"
    PARTIAL_FILL_PENDING = "PARTIAL_FILL_PENDING"
    PARTIAL_FILL_SHED = "PARTIAL_FILL_SHED"

    PARTIAL_FILL_DUST_REMAINDER = "PARTIAL_FILL_DUST_REMAINDER"
    PARTIAL_FILL_CHASE_WIDE = "PARTIAL_FILL_CHASE_WIDE"
    BOOK_UNAVAILABLE = "BOOK_UNAVAILABLE"
    BOOK_UNTRUSTED = "BOOK_UNTRUSTED"
    ALREADY_MARKETABLE = "ALREADY_MARKETABLE"
    NOT_REPOSTABLE = "NOT_REPOSTABLE"
    BELOW_MIN_ORDER_SIZE = "BELOW_MIN_ORDER_SIZE"
    FILL_REVERSED = "FILL_REVERSED"
    EVENT_STALE = "EVENT_STALE"
    KILL_SWITCH_UNKNOWN = "KILL_SWITCH_UNKNOWN"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INVARIANT_TRIPPED = "INVARIANT_TRIPPED"


class Severity(StrEnum):
    """How loudly a reason speaks: INFO, WARN, HARD_REJECT (the card's words)."""

    INFO = "INFO"
    WARN = "WARN"
    HARD_REJECT = "HARD_REJECT"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """What a reason code means, and what a person is told."""

    severity: Severity
    meaning: str
    user_message: str


_INFO, _WARN, _HARD = Severity.INFO, Severity.WARN, Severity.HARD_REJECT
_STILL_OPEN = "Your order is still open, waiting to be filled."

TEXTS: Final[dict[Reason, ReasonText]] = {
    Reason.HOLD_REMAINDER: ReasonText(_INFO, "Remainder left resting on the book.", _STILL_OPEN),
    Reason.PARTIAL_FILL_DUST_AUTO_CANCEL: ReasonText(
        _HARD,
        "Remainder below min_remainder_size; auto-cancelled.",
        "The tiny remaining portion of your order was cancelled.",
    ),
    Reason.PARTIAL_FILL_BOOK_THIN_CANCEL: ReasonText(
        _WARN,
        "Book depth below remaining_usd and cancel_on_book_thin is true.",
        "The market was too thin to fill your remaining order; it was cancelled.",
    ),
    Reason.PARTIAL_FILL_CHASE_ABORTED: ReasonText(
        _WARN,
        "Chase ticks exceeded chase_max_ticks; remainder cancelled instead.",
        "The remaining order could not be filled at a reasonable price and was cancelled.",
    ),
    Reason.KILL_SWITCH_ACTIVE: ReasonText(
        _HARD, "Kill switch active; remainder cancelled at once.", "Trading is currently paused."
    ),
    Reason.CANCELLED_REMAINDER: ReasonText(
        _INFO, "Remainder cancelled per policy.", "The remaining portion of your order was cancelled."
    ),
    Reason.CHASE_ORDER_SUBMITTED: ReasonText(
        _INFO,
        "Remainder cancelled, proven dead, and posted again nearer to the market.",
        "The remaining portion of your order was moved closer to the market price.",
    ),
    Reason.EVENT_REJECTED: ReasonText(
        _HARD, "The event's signature or content was wrong; nothing was touched.", _STILL_OPEN
    ),
    Reason.REMAINDER_CLOSED: ReasonText(
        _INFO, "Nothing was left to act on: the order had already closed.", "Your order is complete."
    ),
    Reason.CANCEL_UNCONFIRMED: ReasonText(
        _WARN,
        "Whether the cancel took effect is not known; the exchange is asked until it is.",
        "The remaining portion of your order is being cancelled.",
    ),
    Reason.CHASE_REJECTED: ReasonText(
        _WARN,
        "The exchange refused the chase order; the remainder stays cancelled.",
        "The remaining portion of your order could not be placed again and stays cancelled.",
    ),
    Reason.CHASE_UNCONFIRMED: ReasonText(
        _WARN,
        "Whether the chase order reached the exchange is not known; its budget stays reserved.",
        "The remaining portion of your order is being moved closer to the market price.",
    ),
    Reason.PARTIAL_FILL_PENDING: ReasonText(
        _INFO, "A sequence is under way; the final report follows.", "Your order is being updated."
    ),
    Reason.PARTIAL_FILL_SHED: ReasonText(
        _WARN, "Too many partial fills at once; the order rests and is looked at again.", _STILL_OPEN
    ),
    Reason.PARTIAL_FILL_DUST_REMAINDER: ReasonText(
        _WARN, "A dust remainder of at least the hard minimum was forwarded to the dust cleaner.", ""
    ),
    Reason.PARTIAL_FILL_CHASE_WIDE: ReasonText(
        _WARN, "The market is beyond chase_max_ticks; the chase rests at the cap price.", ""
    ),
    Reason.BOOK_UNAVAILABLE: ReasonText(_WARN, "No book could be had; the remainder rests.", ""),
    Reason.BOOK_UNTRUSTED: ReasonText(
        _WARN, "The book is stale, crossed, off its grid or otherwise not to be trusted.", ""
    ),
    Reason.ALREADY_MARKETABLE: ReasonText(
        _INFO, "The market is already at the order's price; replacing it would only lose its place.", ""
    ),
    Reason.NOT_REPOSTABLE: ReasonText(
        _WARN, "The rest could not be posted again, so it is not cancelled.", ""
    ),
    Reason.BELOW_MIN_ORDER_SIZE: ReasonText(
        _WARN, "After the cancel less than the exchange's minimum was left, so nothing was posted.", ""
    ),
    Reason.FILL_REVERSED: ReasonText(
        _WARN, "A fill was taken back at settlement; what is left is decided afresh, within the intent.", ""
    ),
    Reason.EVENT_STALE: ReasonText(
        _WARN, "The event is outside the replay window; the order was read from the exchange.", ""
    ),
    Reason.KILL_SWITCH_UNKNOWN: ReasonText(
        _WARN, "The kill switch did not answer; no new order is placed.", ""
    ),
    Reason.DEADLINE_EXCEEDED: ReasonText(
        _WARN, "The deadline passed before anything was done; the remainder rests.", ""
    ),
    Reason.INVARIANT_TRIPPED: ReasonText(
        _HARD, "The next send would have exceeded the intent; this intent is stopped.", ""
    ),
}
