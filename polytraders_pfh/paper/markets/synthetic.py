"""A market out of a seed: anonymous orders, cancels and takers around a wandering fair price.

The same seed gives the same steps, whatever the exchange and our orders do meanwhile: sizes are changes, not
states, so what our takers ate is not silently put back. Times between events are exponential (a Poisson
stream), the fair price walks on the tick grid and jumps now and then, and near 0 and 1 the tick gets finer,
as the venue's does below 0.04 and above 0.96 (docs.polymarket.com, tick_size_change).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from random import Random

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, Market, Outcome, Side
from polytraders_pfh.paper.markets.frames import PRICE_ONE_MICRO, derived_token_id
from polytraders_pfh.paper.markets.steps import Step

FINE_TICK_MICRO = 1_000
FINE_BELOW_MICRO = 40_000
TAKER_REACH_TICKS = 3
# Sizes stay on hundredths of a share, as the venue's do.
LOT_MICRO = 10_000


@dataclass(frozen=True, slots=True)
class Quote:
    """The crowd's size at one price grows, or with a negative `size_micro` shrinks, never below nothing."""

    at_ms: int
    token_id: str
    side: Side
    price_micro: int
    size_micro: int

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        """Add to, or take from, what the crowd has there."""
        standing = exchange.crowd_level(self.token_id, self.side, self.price_micro)
        wanted = max(0, standing + self.size_micro)
        if wanted != standing:
            exchange.crowd_set_level(self.token_id, self.side, self.price_micro, wanted, now_ms)


@dataclass(frozen=True, slots=True)
class Take:
    """An anonymous taker: so many shares, up to the limit, and the rest forgotten."""

    at_ms: int
    token_id: str
    side: Side
    price_micro: int
    size_micro: int

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        """Eat the other side in price-time order."""
        exchange.crowd_take(self.token_id, self.side, self.size_micro, self.price_micro, now_ms)


@dataclass(frozen=True, slots=True)
class NewTick:
    """The market's grid gets finer."""

    at_ms: int
    condition_id: str
    tick_micro: int

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        """Change the tick."""
        exchange.set_tick(self.condition_id, self.tick_micro, now_ms)


@dataclass(frozen=True, slots=True)
class Character:
    """How a synthetic market behaves. The `_weight` values are relative; the rest is in plain units."""

    events_per_s: int = 20
    fair_price_micro: int = 500_000
    depth_levels: int = 12
    quote_sizes: tuple[int, ...] = (5, 10, 20, 50, 100, 250)
    take_sizes: tuple[int, ...] = (1, 5, 8, 15, 30, 80, 200)
    quote_weight: int = 500
    cancel_weight: int = 340
    take_weight: int = 120
    walk_weight: int = 25
    thin_weight: int = 5
    jump_weight: int = 2
    jump_ticks: int = 5


def synthetic_market(seed: int, number: int = 0, *, tick_micro: int = 10_000) -> Market:
    """A market nobody ever traded; its ids follow from the seed and the number."""
    name = f"synthetic {seed} {number}"
    return Market(
        condition_id=f"0x{int(derived_token_id(name)):064x}",
        question=f"Synthetic market {number} of seed {seed}",
        outcomes=(
            Outcome(derived_token_id(f"{name} Yes"), "Yes"),
            Outcome(derived_token_id(f"{name} No"), "No"),
        ),
        tick_micro=tick_micro,
    )


class SyntheticFlow:
    """An endless, seeded stream of steps over one or more markets; each call of `steps` begins anew."""

    def __init__(
        self, seed: int, markets: Sequence[Market], *, start_ms: int = 0, character: Character | None = None
    ) -> None:
        if not markets:
            raise ValueError(
                "the list of markets was empty; give at least one, such as synthetic_market(seed)"
            )
        self._seed = seed
        self._markets = tuple(markets)
        self._start_ms = start_ms
        self._character = character or Character()

    def steps(self, duration_ms: int | None = None) -> Iterator[Step]:
        """The steps in time order; with `duration_ms` those before that much time has passed."""
        streams = [
            _MarketFlow(Random(f"{self._seed}/{market.condition_id}"), market, self._character).steps(  # noqa: S311
                self._start_ms
            )
            for market in self._markets
        ]
        merged = heapq.merge(*streams, key=lambda step: step.at_ms)
        if duration_ms is None:
            return merged
        return takewhile(lambda step: step.at_ms < self._start_ms + duration_ms, merged)


class _MarketFlow:
    """One market's stream: a model of the crowd's book, kept to know what can be cancelled or swept."""

    def __init__(self, random: Random, market: Market, character: Character) -> None:
        self._random = random
        self._condition_id = market.condition_id
        self._tokens = market.token_ids
        self._tick = market.tick_micro
        self._is = character
        self._fair = self._on_grid(character.fair_price_micro)
        self._book: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._at_ms = 0

    def steps(self, start_ms: int) -> Iterator[Step]:
        self._at_ms = start_ms
        yield from self._opening()
        kinds = {
            self._quote: self._is.quote_weight,
            self._cancel: self._is.cancel_weight,
            self._take: self._is.take_weight,
            self._walk: self._is.walk_weight,
            self._thin: self._is.thin_weight,
            self._jump: self._is.jump_weight,
        }
        exact_ms = float(start_ms)
        while True:
            exact_ms += self._random.expovariate(self._is.events_per_s / 1_000)
            self._at_ms = int(exact_ms)
            (kind,) = self._random.choices(list(kinds), list(kinds.values()))
            yield from kind()

    def _opening(self) -> Iterator[Step]:
        for side in Side:
            for distance in range(1, self._is.depth_levels + 1):
                yield from self._add(side, distance)

    def _quote(self) -> Iterator[Step]:
        side = self._random.choice(list(Side))
        # The smaller of two draws: most quotes stand near the touch.
        distance = min(self._random.randint(1, self._is.depth_levels) for _ in range(2))
        yield from self._add(side, distance)

    def _cancel(self) -> Iterator[Step]:
        side = self._random.choice(list(Side))
        if self._book[side]:
            price = self._random.choice(sorted(self._book[side]))
            size = min(self._book[side][price], self._size(self._is.quote_sizes))
            yield self._change(side, price, -size)

    def _take(self) -> Iterator[Step]:
        side = self._random.choice(list(Side))
        size = self._size(self._is.take_sizes)
        reach = TAKER_REACH_TICKS * self._tick
        yield from self._eat(side, size, self._fair + (reach if side is Side.BUY else -reach))

    def _walk(self) -> Iterator[Step]:
        yield from self._move(self._random.choice((-1, 1)))

    def _jump(self) -> Iterator[Step]:
        yield from self._move(self._random.choice((-1, 1)) * self._random.randint(2, self._is.jump_ticks))

    def _thin(self) -> Iterator[Step]:
        """Market makers step back: most of one side's size is withdrawn at once."""
        side = self._random.choice(list(Side))
        for price, size in sorted(self._book[side].items()):
            withdrawn = size * 3 // 4 // LOT_MICRO * LOT_MICRO
            if withdrawn:
                yield self._change(side, price, -withdrawn)

    def _move(self, ticks: int) -> Iterator[Step]:
        """The fair price moves, and whoever still stands on the wrong side of it is taken out."""
        self._fair = self._on_grid(self._fair + ticks * self._tick)
        yield from self._finer_tick()
        for taker in Side:
            stale = sum(size for price, size in self._met(taker, self._fair))
            if stale:
                yield from self._eat(taker, stale, self._fair)

    def _finer_tick(self) -> Iterator[Step]:
        near_an_end = min(self._fair, PRICE_ONE_MICRO - self._fair) < FINE_BELOW_MICRO
        if near_an_end and self._tick > FINE_TICK_MICRO:
            self._tick = FINE_TICK_MICRO
            yield NewTick(self._at_ms, self._condition_id, self._tick)

    def _eat(self, taker: Side, size_micro: int, limit_micro: int) -> Iterator[Step]:
        limit = min(max(limit_micro, self._tick), PRICE_ONE_MICRO - self._tick)
        side = Side.SELL if taker is Side.BUY else Side.BUY
        if self._random.random() < 0.5:
            yield Take(self._at_ms, self._tokens[0], taker, limit, size_micro)
        else:
            # The same wish, told in the other outcome.
            yield Take(self._at_ms, self._tokens[1], side, PRICE_ONE_MICRO - limit, size_micro)
        for price, standing in self._met(taker, limit):
            eaten = min(standing, size_micro)
            size_micro -= eaten
            self._keep(side, price, standing - eaten)

    def _met(self, taker: Side, limit: int) -> list[tuple[int, int]]:
        """The model's levels a taker meets up to the limit, best first."""
        if taker is Side.BUY:
            return sorted(level for level in self._book[Side.SELL].items() if level[0] <= limit)
        return sorted((level for level in self._book[Side.BUY].items() if level[0] >= limit), reverse=True)

    def _add(self, side: Side, distance: int) -> Iterator[Step]:
        away = distance * self._tick
        price = self._fair + (away if side is Side.SELL else -away)
        if self._tick <= price <= PRICE_ONE_MICRO - self._tick:
            yield self._change(side, price, self._size(self._is.quote_sizes))

    def _change(self, side: Side, price: int, size_micro: int) -> Step:
        self._keep(side, price, self._book[side].get(price, 0) + size_micro)
        return Quote(self._at_ms, self._tokens[0], side, price, size_micro)

    def _keep(self, side: Side, price: int, size_micro: int) -> None:
        if size_micro:
            self._book[side][price] = size_micro
        else:
            self._book[side].pop(price, None)

    def _size(self, shares: tuple[int, ...]) -> int:
        return self._random.choice(shares) * MICRO + self._random.choice((0, 0, 0, 50 * LOT_MICRO, LOT_MICRO))

    def _on_grid(self, price_micro: int) -> int:
        inside = min(max(price_micro, 2 * self._tick), PRICE_ONE_MICRO - 2 * self._tick)
        return inside // self._tick * self._tick
