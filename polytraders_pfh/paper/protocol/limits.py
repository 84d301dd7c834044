"""Token buckets per signer for placing and for cancelling orders, with the exchange's headers.

Rates, costs and header meanings are those of the exchange's page "CLOB trading rate limits".
Levels are kept in thousandths of a token, so that rate (tokens per second) x milliseconds is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from polytraders_pfh.paper.protocol.refusals import TOO_MANY_REQUESTS, Refused


@dataclass(frozen=True, slots=True)
class RateTier:
    """Tokens per second and burst of the two buckets; `debt` lets the cancel bucket go below zero."""

    name: str
    order_rate: int
    order_burst: int
    cancel_rate: int
    cancel_burst: int
    debt: bool = False


STANDARD: Final = RateTier("Standard", 40, 60, 80, 120, debt=True)
ELITE: Final = RateTier("Elite", 600, 900, 1_200, 1_800)


class TokenBucket:
    """One bucket, full at birth, refilled continuously."""

    def __init__(self, rate: int, burst: int, now_ms: int, *, debt: bool = False) -> None:
        self._rate, self._burst_milli, self._debt = rate, burst * 1_000, debt
        self._level_milli, self._at_ms = burst * 1_000, now_ms

    def take(self, cost: int, now_ms: int) -> bool:
        """Spend `cost` tokens if the bucket holds them; say whether it did."""
        self._refill(now_ms)
        if self._level_milli < cost * 1_000:
            return False
        self._level_milli -= cost * 1_000
        return True

    def charge(self, cost: int) -> None:
        """Spend `cost` tokens that were not known beforehand; a bucket without debt stops at zero."""
        self._level_milli -= cost * 1_000
        if not self._debt:
            self._level_milli = max(self._level_milli, 0)

    @property
    def remaining(self) -> int:
        """Whole tokens left, rounded down; negative while in debt."""
        return self._level_milli // 1_000

    def wait_s(self, cost: int) -> int:
        """Whole seconds, rounded up, until `cost` tokens will be there."""
        lacking = cost * 1_000 - self._level_milli
        return max(0, -(-lacking // (self._rate * 1_000)))

    def _refill(self, now_ms: int) -> None:
        gained = self._rate * max(0, now_ms - self._at_ms)
        self._level_milli = min(self._burst_milli, self._level_milli + gained)
        self._at_ms = max(self._at_ms, now_ms)


class RateLimiter:
    """The two buckets of every signer under one tier."""

    def __init__(self, tier: RateTier) -> None:
        self._tier = tier
        self._orders: dict[str, TokenBucket] = {}
        self._cancels: dict[str, TokenBucket] = {}

    def place(self, signer: str, count: int, now_ms: int) -> Mapping[str, str]:
        """Admit `count` orders whole or refuse them with 429; return the headers of the answer."""
        tier = self._tier
        fresh = TokenBucket(tier.order_rate, tier.order_burst, now_ms)
        return self._admit(self._orders.setdefault(signer, fresh), count, now_ms)

    def cancel(self, signer: str, count: int, now_ms: int) -> Mapping[str, str]:
        """Admit a cancel of `count` ids whole or refuse it with 429; return the headers of the answer."""
        tier = self._tier
        fresh = TokenBucket(tier.cancel_rate, tier.cancel_burst, now_ms, debt=tier.debt)
        return self._admit(self._cancels.setdefault(signer, fresh), count, now_ms)

    def cancelled(self, signer: str, count: int, now_ms: int) -> Mapping[str, str]:
        """Charge `count` orders that a cancel-all found; follows an admitted `cancel`."""
        self._cancels[signer].charge(count)
        return self._headers(self._cancels[signer], 1, now_ms)

    def _admit(self, bucket: TokenBucket, cost: int, now_ms: int) -> Mapping[str, str]:
        if bucket.take(cost, now_ms):
            return self._headers(bucket, 0, now_ms)
        headers = self._headers(bucket, cost, now_ms)
        raise Refused(429, TOO_MANY_REQUESTS, {**headers, "Retry-After": str(bucket.wait_s(cost))})

    def _headers(self, bucket: TokenBucket, next_cost: int, now_ms: int) -> Mapping[str, str]:
        return {
            "Poly-RateLimit-Remaining": str(bucket.remaining),
            "Poly-RateLimit-Reset": str(now_ms // 1_000 + bucket.wait_s(next_cost)),
            "Poly-RateLimit-Tier": self._tier.name,
        }
