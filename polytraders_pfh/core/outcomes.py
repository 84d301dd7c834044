"""What an answer of the exchange proves, and what it leaves open: one table for each kind of request.

Each row is a fact of the exchange (clob_v2 2.1, 2.2, 2.4, 3.2, 3.4). Five of six faults leave a live
order behind an error answer, so whatever is not proof is UNKNOWN, and unknown is resolved by asking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CancelVerdict(StrEnum):
    """What an answer to a cancel proves of one order."""

    DEAD = "dead"
    """The answer names it as cancelled."""
    ASK = "ask"
    """It is gone or was matched; which of the two, and how much, only its record tells."""
    ALIVE = "alive"
    """The cancel was refused and the order is as it was."""
    UNKNOWN = "unknown"


class PostVerdict(StrEnum):
    """What an answer to a post proves of one order."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    ARRIVED_BEFORE = "arrived_before"
    """An earlier attempt reached the exchange; what became of it only its record tells."""
    UNKNOWN = "unknown"


class RecordVerdict(StrEnum):
    """What a read of an order's record proves."""

    ALIVE = "alive"
    CLOSED = "closed"
    ABSENT = "absent"
    """The exchange does not know the hash now; it may still be on its way."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """A cancel's answer, read: lists are None where the body was not what it should be."""

    status: int | None
    canceled: frozenset[str] | None = None
    not_canceled: Mapping[str, str] | None = None
    from_matching: bool = True
    """False when rate-limit headers prove that a 429 never reached matching."""
    sent: bool = True
    """False when the host held the request back."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """A post's answer, read. `success` is None where the body was not what it should be."""

    status: int | None
    success: bool | None = None
    error: str = ""
    order_id: str = ""
    order_status: str = ""
    from_matching: bool = True
    sent: bool = True


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order's record, read. Sizes in micro-shares; None where the body was not what it should be."""

    http_status: int | None
    order_status: str = ""
    size_micro: int | None = None
    matched_micro: int | None = None
    price_micro: int | None = None


_GONE_WORDS: Final = (
    "already canceled",
    "already matched",
    "already cancelled",
    "not found",
    "can't be found",
)
_DUPLICATED: Final = "duplicated"
_ACCEPTED_WORDS: Final = frozenset({"live", "matched", "delayed", "unmatched"})
_ALIVE_WORDS: Final = frozenset({"LIVE", "DELAYED", "UNMATCHED"})
_CLOSED_WORDS: Final = ("MATCHED", "CANCELED", "CANCELLED", "INVALID")
_RESTARTING: Final = 425
_RATE_LIMITED: Final = 429


def judge_cancel(order_id: str, answer: CancelAnswer) -> CancelVerdict:
    """Return what an answer proves of one of the orders whose cancel was asked for.

    | answer                                              | verdict |
    |-----------------------------------------------------|---------|
    | the host held the request back                      | ALIVE   |
    | none, 5xx, 425, a body that cannot be read          | UNKNOWN |
    | 429 with the venue's own headers                    | ALIVE   |
    | 429 without them                                    | UNKNOWN |
    | any other 4xx                                       | ALIVE   |
    | id in both lists, or in neither                     | UNKNOWN |
    | id in `canceled`                                    | DEAD    |
    | id in `not_canceled`, already cancelled or matched  | ASK     |
    | id in `not_canceled`, any other reason (a delay)    | ALIVE   |
    """
    doubtful = _doubtful(answer)
    if doubtful is not None:
        return CancelVerdict.UNKNOWN if doubtful else CancelVerdict.ALIVE
    if answer.canceled is None or answer.not_canceled is None:
        return CancelVerdict.UNKNOWN
    named, refused = order_id in answer.canceled, order_id in answer.not_canceled
    if named == refused:
        return CancelVerdict.UNKNOWN
    if named:
        return CancelVerdict.DEAD
    reason = answer.not_canceled[order_id].lower()
    return CancelVerdict.ASK if any(word in reason for word in _GONE_WORDS) else CancelVerdict.ALIVE


def judge_post(order_id: str, answer: PostAnswer, *, attempted_before: bool) -> PostVerdict:
    """Return what an answer proves of the order that was sent.

    | answer                                                  | verdict        |
    |---------------------------------------------------------|----------------|
    | the host held it back, first attempt                    | REFUSED        |
    | none, 5xx, 425, a body that cannot be read              | UNKNOWN        |
    | 429 with the venue's own headers, first attempt         | REFUSED        |
    | 429 without them                                        | UNKNOWN        |
    | 400 "Duplicated."                                       | ARRIVED_BEFORE |
    | any other 4xx, or 200 with success false: first attempt | REFUSED        |
    | 200, success, error text, no id (2.1): first attempt    | REFUSED        |
    | the same after an attempt in doubt                      | UNKNOWN        |
    | 200, success, our id, no error, a status of acceptance  | ACCEPTED       |
    | 200, the same but with success false: it contradicts    | UNKNOWN        |
    | 200, success, anything else (no id, another id)         | UNKNOWN        |
    """
    refused = PostVerdict.UNKNOWN if attempted_before else PostVerdict.REFUSED
    if _DUPLICATED in answer.error.lower() and answer.status is not None:
        return PostVerdict.ARRIVED_BEFORE
    doubtful = _doubtful(answer)
    if doubtful is not None:
        return PostVerdict.UNKNOWN if doubtful else refused
    if answer.success is None:
        return PostVerdict.UNKNOWN
    ours = answer.order_id == order_id and not answer.error
    if ours and answer.order_status in _ACCEPTED_WORDS:
        return PostVerdict.ACCEPTED if answer.success else PostVerdict.UNKNOWN
    if not answer.success or (answer.error and not answer.order_id):
        return refused
    return PostVerdict.UNKNOWN


def judge_record(record: OrderRecord) -> RecordVerdict:
    """Return what a read of an order's record proves.

    | answer                                            | verdict |
    |---------------------------------------------------|---------|
    | 404                                               | ABSENT  |
    | not 200, a body or a size that cannot be read     | UNKNOWN |
    | LIVE, DELAYED, UNMATCHED                          | ALIVE   |
    | MATCHED with less matched than its size           | CLOSED: partly filled, then cancelled (3.3) |
    | MATCHED, CANCELED…, INVALID                       | CLOSED  |
    | any other word                                    | UNKNOWN |
    """
    if record.http_status == 404:
        return RecordVerdict.ABSENT
    if record.http_status != 200 or record.size_micro is None or record.matched_micro is None:
        return RecordVerdict.UNKNOWN
    word = record.order_status.upper().removeprefix("ORDER_STATUS_")
    if word in _ALIVE_WORDS:
        return RecordVerdict.ALIVE
    return RecordVerdict.CLOSED if word.startswith(_CLOSED_WORDS) else RecordVerdict.UNKNOWN


def _doubtful(answer: CancelAnswer | PostAnswer) -> bool | None:
    """Return True when the request may have landed, False when it surely did not, None for a 200."""
    status = answer.status
    if not answer.sent:
        return False
    if status is None or status >= 500 or status == _RESTARTING:
        return True
    if status == _RATE_LIMITED:
        return answer.from_matching
    if status >= 400:
        return False
    return None if status == 200 else True
