"""What a signer lets through: its own limits on each order, whoever asks. No I/O; the time is the caller's.

The signer builds what it signs from the order's fields, so nothing is signed that was not read here:
token, side, amounts, builder code. What travels unsigned (order type, expiry, post-only) is not its business.
"""

from collections import deque
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from polytraders_hookspecs import UnsignedOrder, from_micro
from polytraders_hookspecs.events import Side
from polytraders_hookspecs.orders import ZERO_BYTES32

_MINUTE_NS: Final = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class SigningLimits:
    """The limits, in millionths. `tokens` None allows every token, which has to be said in the config."""

    tokens: Set[str] | None
    max_size_micro: int
    orders_per_minute: int
    sides: Set[Side] = frozenset({"BUY", "SELL"})
    min_price_micro: int = 1
    max_price_micro: int = 999_999
    builder_codes: Set[str] = frozenset({ZERO_BYTES32})

    def refusal(self, order: UnsignedOrder) -> str:
        """Return which limit the order breaks, in a sentence, or an empty text."""
        if self.tokens is not None and order.token_id not in self.tokens:
            return f"token {order.token_id} is not in limits.tokens; add it there if it is meant"
        if order.side not in self.sides:
            return f"side was {order.side}; limits.sides allows {', '.join(sorted(self.sides))}"
        if not self.min_price_micro <= order.price_micro <= self.max_price_micro:
            return (
                f"price was {from_micro(order.price_micro)}; limits allow {from_micro(self.min_price_micro)} "
                f"to {from_micro(self.max_price_micro)}"
            )
        if order.size_micro > self.max_size_micro:
            return (
                f"size was {from_micro(order.size_micro)} shares; limits.max_size_shares is "
                f"{from_micro(self.max_size_micro)}"
            )
        if order.builder_code not in self.builder_codes:
            return f"builder code {order.builder_code} is not in limits.builder_codes; add it if it is yours"
        return ""


class Pace:
    """At most so many signatures in any sixty seconds. One that was not used afterwards counts too."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._signed_ns: deque[int] = deque()

    def refusal(self, now_ns: int) -> str:
        """Return why nothing may be signed now, or an empty text."""
        while self._signed_ns and now_ns - self._signed_ns[0] >= _MINUTE_NS:
            self._signed_ns.popleft()
        if len(self._signed_ns) < self._per_minute:
            return ""
        wait_s = -(-(self._signed_ns[0] + _MINUTE_NS - now_ns) // 1_000_000_000)
        return (
            f"{self._per_minute} orders were signed within a minute, the limit; the next may be in {wait_s} s"
        )

    def signing(self, now_ns: int) -> None:
        """Count one signature that is about to be made."""
        self._signed_ns.append(now_ns)
