"""Answers that the host gives in the exchange's place: the request was not sent, and why, and until when.

They look like the exchange's own refusals, so that a bot's table of answers has a row for each, and carry
the header `x-polytraders-not-sent`, which no answer from the wire can carry (see `transport`).
"""

import math
from typing import Final, Literal

from polytraders_hookspecs import ExchangeReply
from polytraders_hookspecs.wire import print_json

from polytraders_pfh.host.trading_status import Window

NOT_SENT: Final = "x-polytraders-not-sent"
Reason = Literal["rate_limit", "trading_status", "heartbeat", "lease"]

_BAD_REQUEST: Final = 400
_TOO_MANY: Final = 429
_MS: Final = 1_000


def over_limit(call: str, left_ms: int, now_ms: int) -> ExchangeReply:
    """Return the answer inside a known rate limit: a 429 with the venue's headers, so never in matching.

    Args:
        call: Method and path.
        left_ms: How long the limit still holds.
        now_ms: For the moment of its end, which headers tell in whole seconds, rounded up.
    """
    until_s = math.ceil((now_ms + left_ms) / _MS)
    detail = f"{call} was not sent: the exchange's rate limit is used up for {left_ms} ms, until {until_s}"
    headers = {
        NOT_SENT: "rate_limit",
        "poly-ratelimit-remaining": "0",
        "poly-ratelimit-reset": str(until_s),
        "retry-after": str(math.ceil(left_ms / _MS)),
    }
    return ExchangeReply(status=_TOO_MANY, headers=headers, detail=detail, sent=False)


def out_of_hours(call: str, window: Window, now_ms: int) -> ExchangeReply:
    """Return the answer inside a window in which the exchange refuses this: its status and code again."""
    left_s = math.ceil(window.left_ms / _MS)
    detail = (
        f"{call} was not sent: trading is {window.mode.replace('_', '-')}, as the exchange said, for "
        f"{window.left_ms} ms, until {math.ceil((now_ms + window.left_ms) / _MS)}"
    )
    body: dict[str, str | int] = {"error": detail, "retry_after_seconds": left_s}
    if window.code:
        body["code"] = window.code
    headers = {NOT_SENT: "trading_status", "retry-after": str(left_s)}
    return ExchangeReply(
        status=window.status,
        body=print_json(body).encode("ascii"),
        headers=headers,
        detail=detail,
        sent=False,
    )


def unguarded(call: str, why: str, reason: Reason = "heartbeat") -> ExchangeReply:
    """Return the answer while the dead-man switch, or a lease, is not known to stand: a plain refusal."""
    detail = f"{call} was not sent: {why}"
    body = print_json({"error": detail}).encode("ascii")
    return ExchangeReply(
        status=_BAD_REQUEST, body=body, headers={NOT_SENT: reason}, detail=detail, sent=False
    )
