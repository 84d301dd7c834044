"""What an answer to POST /order and DELETE /orders proves. Unknown is an answer of its own.

Accepted takes all of: 200, `success`, an order id, no error text (exchange docs, posting orders). A
refusal is proof only when it came from the matching side of the exchange; timeouts, 5xx, 425 and a
duplicate leave the order's fate open. What the host itself did not send is refused, whatever its status.
"""

from typing import Any, Final, Literal

from polytraders_hookspecs import ExchangeReply

from polytraders_pfh.host.errors import PayloadError
from polytraders_pfh.host.payloads import decode
from polytraders_pfh.host.unsent import NOT_SENT

Outcome = Literal["accepted", "refused", "unknown"]

_REFUSALS: Final = frozenset({400, 401, 403, 404})
_OK: Final = 200
_TOO_MANY: Final = 429


def post_outcome(reply: ExchangeReply) -> Outcome:
    """Return what became of a posted order, as far as this answer proves it."""
    if NOT_SENT in reply.headers:
        return "refused"
    if reply.status == _OK:
        return _judge_ok(_members(reply))
    if reply.status in _REFUSALS:
        return "unknown" if "duplicated" in reply_text(reply).lower() else "refused"
    if reply.status == _TOO_MANY and any(name.startswith("poly-ratelimit-") for name in reply.headers):
        return "refused"
    return "unknown"


def post_status(reply: ExchangeReply) -> str:
    """Return `live`, `matched`, `delayed` or `unmatched`, or an empty text."""
    members = _members(reply)
    return str(members.get("status") or "") if members else ""


def cancelled_ids(reply: ExchangeReply) -> tuple[str, ...]:
    """Return the orders that this answer to a cancel proves dead."""
    members = _members(reply) if reply.status == _OK else None
    ids = members.get("canceled") if members else None
    return tuple(order_id for order_id in ids if isinstance(order_id, str)) if isinstance(ids, list) else ()


def reply_text(reply: ExchangeReply) -> str:
    """Return the exchange's own words, or why there are none, in at most 300 characters."""
    members = _members(reply)
    for name in ("errorMsg", "error", "error_msg"):
        if members and isinstance(members.get(name), str) and members[name]:
            return str(members[name])[:300]
    return (reply.detail or reply.body.decode("utf-8", "replace"))[:300]


def _judge_ok(members: dict[str, Any] | None) -> Outcome:
    if members is None:
        return "unknown"
    if members.get("success") is True and members.get("orderID") and not members.get("errorMsg"):
        return "accepted"
    return "refused" if members.get("errorMsg") or members.get("success") is False else "unknown"


def _members(reply: ExchangeReply) -> dict[str, Any] | None:
    try:
        members = decode(reply.body)
    except PayloadError:
        return None
    return members if isinstance(members, dict) else None
