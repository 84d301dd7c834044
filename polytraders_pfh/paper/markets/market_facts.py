"""What the rows of a recording say about its markets, gathered while the files are looked over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from polytraders_pfh.paper.markets.frames import (
    DEFAULT_MIN_SIZE_MICRO,
    DEFAULT_TICK_MICRO,
    RecordedMarket,
    RecordedToken,
    coarsest_tick,
    complement_of,
)

# What the two outcomes are called where no file names them: labels, not the venue's words.
RECORDED_OUTCOME, COMPLEMENT_OUTCOME = "Recorded", "Complement"


@dataclass(slots=True)
class TokenFacts:
    """Rows of one token, and the times between which they lie."""

    rows: int = 0
    first_ms: int = 10**15
    last_ms: int = 0

    def add(self, rows: int, first_ms: int, last_ms: int) -> None:
        """Count `rows` more rows between the two times."""
        self.rows += rows
        self.first_ms = min(self.first_ms, first_ms)
        self.last_ms = max(self.last_ms, last_ms)


@dataclass(slots=True)
class MarketFacts:
    """One market while it is being gathered. `prices_micro` need only hold prices finer than a cent."""

    condition_id: str
    slug: str = ""
    trades: int = 0
    tokens: dict[str, TokenFacts] = field(default_factory=dict)
    prices_micro: set[int] = field(default_factory=set)
    said_tick: tuple[int, int] | None = None

    def token(self, token_id: str) -> TokenFacts:
        """The facts of one token, new where it was not seen before."""
        return self.tokens.setdefault(token_id, TokenFacts())

    def say_tick(self, at_ms: int, tick_micro: int) -> None:
        """Note the tick a message named; the earliest is the market's tick at the start."""
        if self.said_tick is None or at_ms < self.said_tick[0]:
            self.said_tick = (at_ms, tick_micro)

    def market(self) -> RecordedMarket | None:
        """The market these facts describe; None where no row named a token of it."""
        ranked = sorted(self.tokens.items(), key=lambda item: (-item[1].rows, item[1].first_ms))
        if not ranked:
            return None
        tick = self.said_tick[1] if self.said_tick else DEFAULT_TICK_MICRO
        return RecordedMarket(
            condition_id=self.condition_id,
            slug=self.slug,
            question=self.slug or self.condition_id,
            tokens=_two_tokens([token_id for token_id, _ in ranked[:2]]),
            tick_micro=tick,
            finest_tick_micro=min(tick, coarsest_tick(self.prices_micro)),
            min_size_micro=DEFAULT_MIN_SIZE_MICRO,
            trades=self.trades,
            rows=sum(facts.rows for _, facts in ranked),
            first_ms=min(facts.first_ms for _, facts in ranked),
            last_ms=max(facts.last_ms for _, facts in ranked),
        )


def gathered(facts: Iterable[MarketFacts]) -> tuple[RecordedMarket, ...]:
    """The markets in the order in which they begin."""
    markets = [market for market in (each.market() for each in facts) if market is not None]
    return tuple(sorted(markets, key=lambda market: (market.first_ms, market.condition_id)))


def _two_tokens(token_ids: list[str]) -> tuple[RecordedToken, RecordedToken]:
    first = RecordedToken(token_ids[0], RECORDED_OUTCOME, recorded=True)
    if len(token_ids) == 1:
        return first, RecordedToken(complement_of(token_ids[0]), COMPLEMENT_OUTCOME, recorded=False)
    return first, RecordedToken(token_ids[1], COMPLEMENT_OUTCOME, recorded=True)
