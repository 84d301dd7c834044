"""What the strategies want: seeded orders around the touch, one after another in each market.

In a market one idea is alive at a time; it is placed once per lane at the same price and size, rests for
its window, and what is left of it is then withdrawn. So no order of ours meets another of ours, and every
policy starts from the same place in the same queue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from polytraders_hookspecs.events import Side

from polytraders_pfh.demo.flow import FlowMarket
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, Market

WINDOWS_PER_MARKET: Final = 12
SHORTEST_WINDOW_MS: Final = 15_000
LONGEST_WINDOW_MS: Final = 120_000
TRADED_PRICES_MICRO: Final = (100_000, 900_000)
"""Outside of these a binary market is nearly decided, and nobody rests orders of size there."""


@dataclass(frozen=True, slots=True)
class Style:
    """A way to rest an order: ticks from the touch (positive: better than it), sizes, wide chases or not."""

    name: str
    ticks_inside: int
    shares: tuple[int, ...]
    allow_wide_chase: bool = False


STYLES: Final = (
    Style("joiner", 0, (150, 250, 400)),
    Style("improver", 1, (300, 500, 800)),
    Style("layerer", -1, (100, 200, 300)),
    Style("crumbs", 0, (10, 15, 25)),
    Style("runner", 0, (400, 700, 1_200), allow_wide_chase=True),
)


@dataclass(frozen=True, slots=True)
class Idea:
    """An order wished for in every lane. `number` counts from 1 in the whole run."""

    number: int
    market: Market
    title: str
    style: Style
    outcome: int
    side: Side
    price_micro: int
    tick_micro: int
    size_micro: int
    ends_ms: int

    @property
    def token_id(self) -> str:
        """The token's own id, before any lane renames it."""
        return self.market.token_ids[self.outcome]


class Strategist:
    """Looks at the reference market and says what is to be placed, and when a window is over.

    The same seed and the same flow give the same ideas.
    """

    def __init__(self, seed: int, markets: Sequence[FlowMarket]) -> None:
        self._markets = {market.market.condition_id: market for market in markets}
        self._chance = {
            condition_id: Random(f"{seed}/{condition_id}")  # noqa: S311 - chooses paper orders
            for condition_id in self._markets
        }
        self._styles = {condition_id: _shuffled(chance) for condition_id, chance in self._chance.items()}
        self._alive: dict[str, Idea] = {}
        self._numbers = 0

    def over(self, now_ms: int) -> list[Idea]:
        """Return the ideas whose window has ended by now, and forget them."""
        ended = [idea for idea in self._alive.values() if idea.ends_ms <= now_ms]
        for idea in ended:
            del self._alive[idea.market.condition_id]
        return ended

    def next_in(self, condition_id: str, reference: Exchange, now_ms: int) -> Idea | None:
        """Return a new idea for this market, if it has none and its book invites one."""
        if condition_id in self._alive:
            return None
        market = self._markets[condition_id]
        window_ms = _window_ms(market)
        if now_ms + window_ms > market.last_ms:
            return None
        chance = self._chance[condition_id]
        outcome = chance.randrange(2)
        side: Side = "BUY" if chance.randrange(2) else "SELL"
        touch = _touch(reference, market.market, outcome, now_ms)
        if touch is None:
            return None
        bid, ask, tick = touch
        style = next(self._styles[condition_id])
        self._numbers += 1
        idea = Idea(
            number=self._numbers,
            market=market.market,
            title=market.title,
            style=style,
            outcome=outcome,
            side=side,
            price_micro=_price(side, bid, ask, tick, style.ticks_inside),
            tick_micro=tick,
            size_micro=chance.choice(style.shares) * MICRO,
            ends_ms=now_ms + window_ms,
        )
        self._alive[condition_id] = idea
        return idea


def _shuffled(chance: Random) -> Iterator[Style]:
    """Every style once in random order, again and again, so that a short run has them all."""
    while True:
        yield from chance.sample(STYLES, len(STYLES))


def _window_ms(market: FlowMarket) -> int:
    share = (market.last_ms - market.first_ms) // WINDOWS_PER_MARKET
    return min(max(share, SHORTEST_WINDOW_MS), LONGEST_WINDOW_MS)


def _touch(reference: Exchange, market: Market, outcome: int, now_ms: int) -> tuple[int, int, int] | None:
    """Return best bid, best ask and tick of a token, or None where nobody would rest an order."""
    view = reference.book(market.token_ids[outcome], now_ms)
    if not view.bids or not view.asks:
        return None
    bid, ask = view.bids[-1][0], view.asks[-1][0]
    low, high = TRADED_PRICES_MICRO
    return (bid, ask, view.tick_micro) if low <= bid and ask <= high else None


def _price(side: Side, bid: int, ask: int, tick: int, ticks_inside: int) -> int:
    """Return a price that rests: so many ticks inside the touch, and never across it."""
    if side == "BUY":
        return min(bid + ticks_inside * tick, ask - tick)
    return max(ask - ticks_inside * tick, bid + tick)
