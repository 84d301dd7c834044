"""What the exchange's refusals say about its mode: open, post-only, cancel-only or closed, and until when.

Learned from 425 (restart) and 503 answers, which carry a code or a text and sometimes a Retry-After
(exchange docs, matching engine). A mode that nobody repeats is forgotten after its time.
"""

from dataclasses import dataclass
from typing import Final

from polytraders_hookspecs import Clock, ExchangeReply
from polytraders_hookspecs.events import TradingStatus

from polytraders_pfh.host.hints import body_text, longest, retry_after_s

_FALLBACK_S: Final[dict[TradingStatus, int]] = {"post_only": 120, "cancel_only": 30, "closed": 10}
_RESTARTING: Final = 425
_UNAVAILABLE: Final = 503
_NS: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which the exchange refuses orders: the status and code of its refusal, and what is left."""

    mode: TradingStatus
    status: int
    code: str
    left_ms: int


class TradingStatusBoard:
    """The last mode heard of, until its time is over or an order is accepted in open trading."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mode: TradingStatus = "open"
        self._status = _UNAVAILABLE
        self._code = ""
        self._until_ns = 0

    def now(self) -> TradingStatus:
        """Return the mode as far as it is known."""
        return self._mode if self._clock.monotonic_ns() < self._until_ns else "open"

    def window(self, *, post_only: bool) -> Window | None:
        """Return the window that an order sent now would be refused in; post-only mode takes its own kind."""
        mode = self.now()
        if mode == "open" or (mode == "post_only" and post_only):
            return None
        left_ms = -(-(self._until_ns - self._clock.monotonic_ns()) // _NS_PER_MS)
        return Window(mode, self._status, self._code, left_ms)

    def heard(self, reply: ExchangeReply) -> None:
        """Learn from an answer of any call."""
        mode = _mode_in(reply)
        if mode is not None:
            seconds = longest(retry_after_s(reply) or _FALLBACK_S[mode])
            self._mode = mode
            self._status = reply.status or _UNAVAILABLE
            self._code = body_text(reply, "code")
            self._until_ns = self._clock.monotonic_ns() + seconds * _NS

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
