"""One recorded book followed by the crowd of the exchange, level by level, around our own orders.

Every fill this makes of an order of ours is SIMULATED: a recording cannot say what the market would have done
with our order in it. The rules, each the stingier of what is plausible:

* A shrinking best level has traded, for `trade_share_ppm` of the shrinkage: an anonymous taker eats that much
  in price-time order, so what stands before us goes first, then we, never more than the shrinkage.
* Any other shrinking level was cancelled, newest first: the shares ahead of us stay until nobody stands
  behind us, so a cancel never hands us a better place than the recording proves.
* A recorded level that reaches our price on the other side trades with us, for at most its recorded size.
* Where the recording holds trades of its own, these eat the queue instead. A best level at which we stand and
  that shrinks without one waits HOLD_MS for the trade to be told, before its shrinkage counts as cancelled.
* What takers of ours (or such a cross) have consumed of a level stays consumed until the level changes:
  growth adds only what is new, shrinkage eats the consumed part first, and a vanished level forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Side

PPM = 1_000_000
HOLD_MS = 500

Change: TypeAlias = tuple[Side, int, int]
"""(side, price_micro, recorded size_micro; 0 where the level is gone)."""


class FollowedBook:
    """What was recorded of one token's book, and how much of it stands in the exchange."""

    def __init__(self, token_id: str) -> None:
        self.token_id = token_id
        self.recorded: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._consumed: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        # What stood in the exchange when this book last touched the level; less means that takers came by.
        self._left: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._unsettled: dict[tuple[Side, int], None] = {}
        self._held: dict[tuple[Side, int], int] = {}

    def changes_to(self, side: Side, levels: Iterable[tuple[int, int]]) -> list[Change]:
        """What must change on one side for it to become `levels`."""
        before, after = self.recorded[side], dict(levels)
        changes = [(side, price, 0) for price in before if price not in after]
        changes += [(side, price, size) for price, size in after.items() if before.get(price) != size]
        return changes

    def follow(self, exchange: Exchange, changes: Iterable[Change], now_ms: int, trade_share_ppm: int) -> int:
        """Bring the recorded changes into the exchange; returns the shares traded on account of shrinkage.

        Trades come first, then cancels, then growth, so that a moving book does not cross itself on the way.
        """
        self._notice_takers(exchange)
        touch = {side: self._best_price(side) for side in Side}
        shrinking, growing = self._split(changes)
        traded = 0
        for side, price, size in shrinking:
            if price == touch[side]:
                traded += self._trade_through(exchange, side, price, size, now_ms, trade_share_ppm)
        for side, price, size in (*shrinking, *growing):
            self._set(exchange, side, price, size, now_ms)
        return traded

    def follow_beside_trades(
        self, exchange: Exchange, changes: Iterable[Change], now_ms: int, at_ms: int
    ) -> None:
        """As `follow`, where trades are recorded: a best level that may have met us waits for its trade.

        `at_ms` is the recording's time; see `release`.
        """
        self._notice_takers(exchange)
        touch = {side: self._best_price(side) for side in Side}
        shrinking, growing = self._split(changes)
        for side, price, size in (*shrinking, *growing):
            if price == touch[side] and self._may_have_met_us(exchange, side, price, size, now_ms):
                self._hold(side, price, size, at_ms)
            else:
                self._set(exchange, side, price, size, now_ms)

    def trade(self, exchange: Exchange, side: Side, size_micro: int, price_micro: int, now_ms: int) -> None:
        """A recorded trade: a taker of `side` eats `size_micro` up to the price, whoever stands there.

        The levels it met wait for `settle`: the recording may tell them before or after the trade.
        """
        self._notice_takers(exchange)
        met = _opposite(side)
        exchange.crowd_take(self.token_id, side, size_micro, price_micro, now_ms)
        for price, standing in self._standing(exchange, met):
            if standing < self._left[met][price]:
                self._left[met][price] = standing
                self._unsettled[(met, price)] = None
            elif standing:
                break
        for key in [key for key in self._held if key[0] is met]:
            self._let_go(exchange, key, now_ms)

    def settle(self, exchange: Exchange, now_ms: int) -> None:
        """Set the levels that recorded trades have met to what is recorded of them now."""
        self._notice_takers(exchange)
        unsettled, self._unsettled = self._unsettled, {}
        for side, price in unsettled:
            if price in self.recorded[side] and (side, price) not in self._held:
                self._set(exchange, side, price, self.recorded[side][price], now_ms)

    def release(self, exchange: Exchange, now_ms: int, at_ms: int) -> None:
        """Count as cancelled what has waited for its trade for longer than HOLD_MS of recorded time."""
        for key in [key for key, since_ms in self._held.items() if at_ms > since_ms + HOLD_MS]:
            self._let_go(exchange, key, now_ms)

    @property
    def unsettled(self) -> bool:
        """True while a level waits for `settle`."""
        return bool(self._unsettled)

    def consumed(self, side: Side, price_micro: int) -> int:
        """Recorded shares at this level that were traded away here, and not in the recording."""
        return self._consumed[side].get(price_micro, 0)

    def _split(self, changes: Iterable[Change]) -> tuple[list[Change], list[Change]]:
        shrinking, growing = list[Change](), list[Change]()
        for change in changes:
            side, price, size = change
            (shrinking if size < self.recorded[side].get(price, 0) else growing).append(change)
        return shrinking, growing

    def _trade_through(
        self, exchange: Exchange, side: Side, price: int, size: int, now_ms: int, share_ppm: int
    ) -> int:
        shrinkage = self.recorded[side][price] - size - self.consumed(side, price)
        traded = max(0, shrinkage) * share_ppm // PPM
        if not traded:
            return 0
        return exchange.crowd_take(self.token_id, _opposite(side), traded, price, now_ms)

    def _kept(self, side: Side, price: int, size: int) -> int:
        """What stays consumed when the level becomes `size`."""
        return max(0, self.consumed(side, price) - max(0, self.recorded[side].get(price, 0) - size))

    def _set(self, exchange: Exchange, side: Side, price: int, size: int, now_ms: int) -> None:
        self._held.pop((side, price), None)
        wanted = size - self._kept(side, price, size)
        left = exchange.crowd_set_level(self.token_id, side, price, wanted, now_ms, replace=True)
        self._note(side, price, size, size - left, left)
        if size:
            self._note_withdrawn(exchange, _opposite(side), price)

    def _note(self, side: Side, price: int, size: int, consumed: int, left: int) -> None:
        for table, value in ((self.recorded, size), (self._consumed, consumed), (self._left, left)):
            if size:
                table[side][price] = value
            else:
                table[side].pop(price, None)

    def _hold(self, side: Side, price: int, size: int, at_ms: int) -> None:
        left = self._left[side][price]
        self._note(side, price, size, self._kept(side, price, size), left)
        self._held.setdefault((side, price), at_ms)

    def _let_go(self, exchange: Exchange, key: tuple[Side, int], now_ms: int) -> None:
        side, price = key
        self._set(exchange, side, price, self.recorded[side].get(price, 0), now_ms)

    def _may_have_met_us(self, exchange: Exchange, side: Side, touch: int, size: int, now_ms: int) -> bool:
        """True when the best level loses shares no trade has told of, and not only the crowd stands there."""
        left = self._left[side].get(touch, 0)
        if left <= size - self._kept(side, touch, size) or (side, touch) in self._unsettled:
            return False
        view = exchange.book(self.token_id, now_ms)
        levels = view.bids if side is Side.BUY else view.asks
        return bool(levels) and levels[-1] != (touch, left)

    def _note_withdrawn(self, exchange: Exchange, side: Side, price: int) -> None:
        # Levels in the way were withdrawn for the moment; the recording will say whether they are gone.
        for met in self._levels_reached(side, price):
            self._left[side][met] = exchange.crowd_level(self.token_id, side, met)
            self._unsettled[(side, met)] = None

    def _notice_takers(self, exchange: Exchange) -> None:
        for side in Side:
            for price, standing in self._standing(exchange, side):
                taken = self._left[side][price] - standing
                if taken > 0:
                    self._consumed[side][price] += taken
                    self._left[side][price] = standing
                elif standing:
                    break

    def _standing(self, exchange: Exchange, side: Side) -> Iterator[tuple[int, int]]:
        for price in self._from_best(side):
            yield price, exchange.crowd_level(self.token_id, side, price)

    def _from_best(self, side: Side) -> Iterator[int]:
        # Nearly always only the first is asked for, so the rest is not sorted before it is.
        best = self._best_price(side)
        if best is not None:
            yield best
            yield from sorted(self.recorded[side], reverse=side is Side.BUY)[1:]

    def _best_price(self, side: Side) -> int | None:
        prices = self.recorded[side]
        if not prices:
            return None
        return max(prices) if side is Side.BUY else min(prices)

    def _levels_reached(self, side: Side, price: int) -> list[int]:
        best = self._best_price(side)
        if best is None or (best > price if side is Side.SELL else best < price):
            return []
        return [at for at in self.recorded[side] if (at <= price if side is Side.SELL else at >= price)]


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
