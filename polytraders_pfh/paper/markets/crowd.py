"""The crowd of the exchange, moved by a recording.

Each frame is brought into the exchange so that its crowd book equals the recorded one, while orders of ours
keep their place in the queue. Fills of ours against it are SIMULATED, by the rules in `crowd_book`.

A market's two tokens share one book, seen from two sides. Where a recording holds both, the first book of
each millisecond moves the crowd and the other token's must mirror it: it is compared, and counted where it
does not, never added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome, Side
from polytraders_pfh.paper.markets.crowd_book import PPM, Change, FollowedBook
from polytraders_pfh.paper.markets.frames import (
    PRICE_ONE_MICRO,
    BookFrame,
    Frame,
    LastTradeFrame,
    Levels,
    PriceChangeFrame,
    RecordedMarket,
    TickSizeFrame,
    coarsest_tick,
)

# How long levels met by a trade, or in another level's way, wait for the recording to tell them.
SETTLE_MS = 500


@dataclass(slots=True)
class CrowdCounts:
    """What the frames were: applied, left out as crossed or as another view of a book, unknown, or trades.

    `shrinkage_traded_micro` are the shares traded because a best level shrank: simulated, as all of it is.
    """

    books: int = 0
    price_changes: int = 0
    trades: int = 0
    repeated_trades: int = 0
    tick_changes: int = 0
    crossed: int = 0
    mirrors: int = 0
    mirror_mismatches: int = 0
    unknown_token: int = 0
    shrinkage_traded_micro: int = 0


@dataclass(frozen=True, slots=True)
class FrameStep:
    """One recorded frame as a step of the player."""

    frame: Frame
    crowd: RecordedCrowd

    @property
    def at_ms(self) -> int:
        """The venue's timestamp of the frame."""
        return self.frame.timestamp_ms

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        """Bring the frame into the exchange."""
        self.crowd.apply(exchange, self.frame, now_ms)


@dataclass(slots=True)
class _Moment:
    """The books and trades of one market in the millisecond being played."""

    at_ms: int = 0
    books: list[tuple[str, Levels, Levels]] = field(default_factory=list)
    trades: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _FollowedMarket:
    """`tokens` are the exchange's two ids; everything is kept from the side of the first."""

    condition_id: str
    tokens: tuple[str, str]
    shared: FollowedBook
    exact_trades: bool
    moment: _Moment = field(default_factory=_Moment)
    unsettled_ms: int | None = None

    def now(self, at_ms: int) -> _Moment:
        if at_ms != self.moment.at_ms:
            self.moment = _Moment(at_ms)
        return self.moment


class RecordedCrowd:
    """Applies frames to an exchange in which the recorded markets are listed.

    `trade_share_ppm` is the share of a best level's shrinkage that counts as traded rather than cancelled:
    by default all of it, which is the most a recording of books can justify; 0 leaves only crosses. In a
    market whose recording holds trades of its own these decide instead, and no shrinkage counts as traded.
    `token_map` names the exchange's token for a recorded one where the ids differ.
    """

    def __init__(
        self,
        markets: Iterable[RecordedMarket],
        *,
        trade_share_ppm: int = PPM,
        token_map: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 <= trade_share_ppm <= PPM:
            raise ValueError(f"trade_share_ppm was {trade_share_ppm}; give parts per million, 0 to {PPM}")
        self.counts = CrowdCounts()
        self._trade_share_ppm = trade_share_ppm
        self._token_map = dict(token_map or {})
        self._by_token: dict[str, _FollowedMarket] = {}
        for market in markets:
            self._follow(market)

    def steps(self, frames: Iterable[Frame]) -> Iterator[FrameStep]:
        """The frames as steps for the player."""
        return (FrameStep(frame, self) for frame in frames)

    def apply(self, exchange: Exchange, frame: Frame, now_ms: int) -> None:
        """Bring one frame into the exchange; frames of one market must come in time order."""
        with exchange.as_one(now_ms):
            match frame:
                case BookFrame():
                    self._apply_book(exchange, frame, now_ms)
                case PriceChangeFrame():
                    self._apply_changes(exchange, frame, now_ms)
                case LastTradeFrame():
                    self._apply_trade(exchange, frame, now_ms)
                case TickSizeFrame():
                    self._apply_tick(exchange, frame, now_ms)

    def _follow(self, market: RecordedMarket) -> None:
        first, second = (self._token_map.get(token.token_id, token.token_id) for token in market.tokens)
        followed = _FollowedMarket(
            market.condition_id, (first, second), FollowedBook(first), exact_trades=market.trades > 0
        )
        self._by_token |= {first: followed, second: followed}

    def _market_of(self, recorded_token_id: str) -> tuple[_FollowedMarket, str] | None:
        token_id = self._token_map.get(recorded_token_id, recorded_token_id)
        followed = self._by_token.get(token_id)
        if followed is None:
            self.counts.unknown_token += 1
            return None
        return followed, token_id

    def _apply_book(self, exchange: Exchange, frame: BookFrame, now_ms: int) -> None:
        found = self._market_of(frame.token_id)
        if found is None:
            return
        market, token_id = found
        if frame.crossed:
            self.counts.crossed += 1
            return
        bids, asks = frame.bids, frame.asks
        if token_id != market.tokens[0]:
            bids, asks = mirrored(asks), mirrored(bids)
        moment = market.now(frame.timestamp_ms)
        if moment.books and moment.books[0][0] != token_id:
            self.counts.mirrors += 1
            self.counts.mirror_mismatches += (moment.books[0][0], bids, asks) not in moment.books
            return
        moment.books.append((token_id, bids, asks))
        self.counts.books += 1
        book = market.shared
        changes = book.changes_to(Side.BUY, bids) + book.changes_to(Side.SELL, asks)
        self._move(exchange, market, changes, frame.timestamp_ms, frame.tick_micro, now_ms)
        self._settle(exchange, market, now_ms)

    def _apply_changes(self, exchange: Exchange, frame: PriceChangeFrame, now_ms: int) -> None:
        by_market: dict[str, tuple[_FollowedMarket, dict[tuple[Side, int], int]]] = {}
        for level in frame.changes:
            found = self._market_of(level.token_id)
            if found is None:
                continue
            market, token_id = found
            side, price = level.side, level.price_micro
            if token_id != market.tokens[0]:
                side, price = _turned(side), PRICE_ONE_MICRO - price
            # The two tokens' changes name the same level twice, with one absolute size.
            by_market.setdefault(market.condition_id, (market, {}))[1][(side, price)] = level.size_micro
        self.counts.price_changes += bool(by_market)
        for market, levels in by_market.values():
            since_ms = market.unsettled_ms
            if since_ms is not None and frame.timestamp_ms > since_ms + SETTLE_MS:
                self._settle(exchange, market, now_ms)
            changes = [(side, price, size) for (side, price), size in levels.items()]
            self._move(exchange, market, changes, frame.timestamp_ms, None, now_ms)
            _note_unsettled(market, frame.timestamp_ms)

    def _move(
        self,
        exchange: Exchange,
        market: _FollowedMarket,
        changes: list[Change],
        at_ms: int,
        tick_micro: int | None,
        now_ms: int,
    ) -> None:
        market.shared.release(exchange, now_ms, at_ms)
        if not changes:
            return
        self._fit_tick(exchange, market, {price for _, price, size in changes if size}, tick_micro, now_ms)
        if market.exact_trades:
            market.shared.follow_beside_trades(exchange, changes, now_ms, at_ms)
            return
        traded = market.shared.follow(exchange, changes, now_ms, self._trade_share_ppm)
        self.counts.shrinkage_traded_micro += traded

    def _settle(self, exchange: Exchange, market: _FollowedMarket, now_ms: int) -> None:
        if market.shared.unsettled:
            market.shared.settle(exchange, now_ms)
        market.unsettled_ms = None

    def _fit_tick(
        self,
        exchange: Exchange,
        market: _FollowedMarket,
        prices: set[int],
        said_micro: int | None,
        now_ms: int,
    ) -> None:
        listed = exchange.market_of(market.tokens[0])
        if listed is None:
            raise KeyError(f"the market {market.condition_id} was not listed; add it before playing")
        tick = said_micro or listed.tick_micro
        if any(price % tick for price in prices):
            tick = coarsest_tick(prices)
        if tick != listed.tick_micro:
            self.counts.tick_changes += 1
            exchange.set_tick(listed.condition_id, tick, now_ms)

    def _apply_trade(self, exchange: Exchange, frame: LastTradeFrame, now_ms: int) -> None:
        found = self._market_of(frame.token_id)
        if found is None:
            return
        market, token_id = found
        first = token_id == market.tokens[0]
        side = frame.side if first else _turned(frame.side)
        price = frame.price_micro if first else PRICE_ONE_MICRO - frame.price_micro
        moment = market.now(frame.timestamp_ms)
        # One trade may be told once for each token.
        if any(t[0] != token_id and t[1:] == (price, frame.size_micro) for t in moment.trades):
            self.counts.repeated_trades += 1
            return
        moment.trades.append((token_id, price, frame.size_micro))
        self.counts.trades += 1
        market.shared.trade(exchange, side, frame.size_micro, price, now_ms)
        _note_unsettled(market, frame.timestamp_ms)

    def _apply_tick(self, exchange: Exchange, frame: TickSizeFrame, now_ms: int) -> None:
        found = self._market_of(frame.token_id)
        if found is not None:
            self._fit_tick(exchange, found[0], set(), frame.new_tick_micro, now_ms)


def list_markets(exchange: Exchange, markets: Iterable[RecordedMarket], now_ms: int) -> None:
    """List the recorded markets in the exchange, with the recording's own ids, at their first tick."""
    for market in markets:
        exchange.add_market(exchange_market(market), now_ms)


def exchange_market(market: RecordedMarket) -> Market:
    """The exchange's market for a recorded one: no fees and no delay, which no recording tells."""
    one, other = (Outcome(token.token_id, token.outcome) for token in market.tokens)
    return Market(
        condition_id=market.condition_id,
        question=market.question,
        outcomes=(one, other),
        tick_micro=market.tick_micro,
        min_size_micro=market.min_size_micro,
    )


def mirrored(levels: Levels) -> Levels:
    """One side of a token's book as the other side of the other token's: the prices' complements to 1."""
    return tuple((PRICE_ONE_MICRO - price, size) for price, size in levels)


def _note_unsettled(market: _FollowedMarket, at_ms: int) -> None:
    if market.shared.unsettled and market.unsettled_ms is None:
        market.unsettled_ms = at_ms


def _turned(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
