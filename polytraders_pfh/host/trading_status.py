"""What the exchange's refusals say about its mode: open, post-only, cancel-only or closed, and until when.

Learned from 425 (restart) and 503 answers, which carry a code or a text and sometimes a Retry-After
(exchange docs, matching engine). A mode that nobody repeats is forgotten after its time.
"""

import json
from typing import Any, Final

from polytraders_hookspecs import Clock, ExchangeReply
from polytraders_hookspecs.events import TradingStatus
from polytraders_hookspecs.nesting import nests_too_deep

_FALLBACK_S: Final[dict[TradingStatus, float]] = {"post_only": 120.0, "cancel_only": 30.0, "closed": 10.0}
_MAX_S: Final = 600.0
_RESTARTING: Final = 425
_UNAVAILABLE: Final = 503


class TradingStatusBoard:
    """The last mode heard of, until its time is over or an order is accepted in open trading."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mode: TradingStatus = "open"
        self._until_ns = 0

    def now(self) -> TradingStatus:
        """Return the mode as far as it is known."""
        return self._mode if self._clock.monotonic_ns() < self._until_ns else "open"

    def heard(self, reply: ExchangeReply) -> None:
        """Learn from an answer of any call."""
        mode = _mode_in(reply)
        if mode is not None:
            seconds = _retry_after_s(reply) or _FALLBACK_S[mode]
            self._mode = mode
            self._until_ns = self._clock.monotonic_ns() + int(min(seconds, _MAX_S) * 1e9)

    def accepted(self, *, post_only: bool) -> None:
        """Learn that an order was accepted: plain ones only are in open trading."""
        if not post_only:
            self._mode = "open"


def _mode_in(reply: ExchangeReply) -> TradingStatus | None:
    if reply.status == _RESTARTING:
        return "closed"
    if reply.status != _UNAVAILABLE:
        return None
    text = reply.body[:4096].decode("utf-8", "replace").lower().replace("-", "_").replace(" ", "_")
    if "post_only" in text:
        return "post_only"
    if "cancel_only" in text:
        return "cancel_only"
    return "closed" if "disabled" in text else None


def _retry_after_s(reply: ExchangeReply) -> float | None:
    text = reply.headers.get("retry-after", "")
    if not text:
        text = str(_member(reply.body, "retry_after_seconds"))
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _member(body: bytes, name: str) -> Any:
    if nests_too_deep(body):
        return None
    try:
        members = json.loads(body)
    except ValueError:
        return None
    return members.get(name) if isinstance(members, dict) else None
