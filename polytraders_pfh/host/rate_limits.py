"""What the exchange said about its rate limits, for each group of calls, and how long a limit still holds.

Four groups have budgets of their own: posts, cancels, readings of the account, books and markets. Sources are
the headers of every answer, `Poly-RateLimit-Remaining` and `-Reset` (unix seconds), and of a refusal (429)
`Retry-After` (exchange docs, trading rate limits). Who does what with a limit: posts inside one are not sent,
reads wait, cancels go.
"""

from typing import Final, Literal

from polytraders_hookspecs import Clock, ExchangeReply

from polytraders_pfh.host.hints import LONGEST_S, header_int, longest, retry_after_s

Group = Literal["posts", "cancels", "reads", "books"]
GROUPS: Final[tuple[Group, ...]] = ("posts", "cancels", "reads", "books")

_TOO_MANY: Final = 429
_FALLBACK_S: Final = 1
_REMAINING: Final = "poly-ratelimit-remaining"
_RESET: Final = "poly-ratelimit-reset"
_WARNING: Final = "poly-ratelimit-warning"
_MS: Final = 1_000
_NS_PER_MS: Final = 1_000_000


class RateLimits:
    """The budgets of one signer at one exchange.

    Every request of a group is announced with `sending` and, whatever becomes of it, ended with `answered`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budgets: dict[Group, _Budget] = {group: _Budget() for group in GROUPS}

    def left_ms(self, group: Group) -> int:
        """Return for how many milliseconds a request of this group would still meet a known limit."""
        left_ns = self._budgets[group].limited_until_ns() - self._clock.monotonic_ns()
        return max(0, -(-left_ns // _NS_PER_MS))

    def sending(self, group: Group, cost: int = 1) -> None:
        """Take in that one request is on its way: it spends its cost of what is known to be left.

        The cost is 1, and of a batch of cancels the number of its ids (trading rate limits).
        """
        self._budgets[group].sending(cost)

    def answered(self, group: Group, reply: ExchangeReply, cost: int = 1) -> None:
        """Take in the end of one request, and what its answer says; no answer says nothing."""
        budget = self._budgets[group]
        budget.in_flight -= cost
        now_ns = self._clock.monotonic_ns()
        remaining = header_int(reply, _REMAINING)
        if reply.status == _TOO_MANY:
            until_ns = now_ns + self._wait_ms(reply) * _NS_PER_MS
            budget.refused_until_ns = max(budget.refused_until_ns, until_ns)
            budget.left = None
        # In warning mode the headers count and nothing is enforced.
        elif remaining is not None and reply.headers.get(_WARNING, "").lower() != "true":
            budget.left = remaining - budget.in_flight
            budget.known_until_ns = now_ns + self._to_reset_ms(reply) * _NS_PER_MS

    def _wait_ms(self, reply: ExchangeReply) -> int:
        """Retry-After comes first: it needs no agreement between two clocks. No hint is one second."""
        seconds = retry_after_s(reply)
        if seconds:
            return longest(seconds) * _MS
        return self._to_reset_ms(reply) or _FALLBACK_S * _MS

    def _to_reset_ms(self, reply: ExchangeReply) -> int:
        """Return how long until the end of the second that Reset names: only then it is surely over."""
        reset_s = header_int(reply, _RESET)
        if reset_s is None:
            return _FALLBACK_S * _MS
        return min(max(0, (reset_s + 1) * _MS - self._clock.now_ms()), LONGEST_S * _MS)


class _Budget:
    """One group. `left` is a count that holds until `known_until_ns`; buckets refill, so then it is over."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.left: int | None = None
        self.known_until_ns = 0
        self.refused_until_ns = 0

    def sending(self, cost: int) -> None:
        self.in_flight += cost
        if self.left is not None:
            self.left -= cost

    def limited_until_ns(self) -> int:
        spent = self.left is not None and self.left <= 0
        return max(self.refused_until_ns, self.known_until_ns if spent else 0)
