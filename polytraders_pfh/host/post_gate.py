"""What stands between an order and the exchange: heartbeat, trading status, rate limit, in that order.

Asked directly before a send, without an await: what is known to be refused is not sent, and is answered
here at once, so that the caller can judge it by the same table as the exchange's own refusals.
"""

from collections.abc import Callable
from typing import Final

from polytraders_hookspecs import Clock, ExchangeReply, SignedOrder

from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.rate_limits import RateLimits
from polytraders_pfh.host.trading_status import TradingStatusBoard
from polytraders_pfh.host.unsent import NOT_SENT, out_of_hours, over_limit, unguarded

_CALL: Final = "POST /order"


class PostGate:
    """Keeps posts from the exchange that it would refuse, or that nothing would look after.

    Attributes:
        guard: Says why no order may be posted although the exchange would take it, or an empty text.
    """

    def __init__(
        self, trading: TradingStatusBoard, limits: RateLimits, clock: Clock, metrics: HostMetrics | None
    ) -> None:
        self._trading = trading
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self.guard: Callable[[], str] = lambda: ""

    def answer(self, order: SignedOrder) -> ExchangeReply | None:
        """Return the answer to a post that is not to be sent, or None: send it."""
        reply = self._judge(order)
        if reply is not None and self._metrics is not None:
            self._metrics.posts_held[reply.headers[NOT_SENT]].inc()
        return reply

    def _judge(self, order: SignedOrder) -> ExchangeReply | None:
        why = self.guard()
        if why:
            return unguarded(_CALL, why)
        window = self._trading.window(post_only=order.post_only)
        if window is not None:
            return out_of_hours(_CALL, window, self._clock.now_ms())
        left_ms = self._limits.left_ms("posts")
        return over_limit(_CALL, left_ms, self._clock.now_ms()) if left_ms else None
