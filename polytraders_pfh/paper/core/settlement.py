"""From match to chain: a trade locks what its sides give, and moves it only when it is MINED.

MATCHED --> MINED --> CONFIRMED
   |  ^        a trade that FAILS has moved nothing: its locks are lifted, its sizes taken back
   v  |
RETRYING --> FAILED
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from polytraders_pfh.paper.core.agenda import Agenda
from polytraders_pfh.paper.core.events import TradeEvent
from polytraders_pfh.paper.core.ids import Ids
from polytraders_pfh.paper.core.ledger import Asset, Ledger
from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, Market
from polytraders_pfh.paper.core.orderbook import Order
from polytraders_pfh.paper.core.tape import Tape
from polytraders_pfh.paper.core.trades import Trade, TradeStatus


@dataclass(frozen=True, slots=True)
class Leg:
    """One participant's part: what its order gives (locked at the match) and gets (when it is MINED).

    `usd_micro` is the traded value without the taker's fee, which is in `give_micro` or out of `get_micro`.
    """

    owner: str
    order: Order | None
    size_micro: int
    usd_micro: int
    gives: Asset
    give_micro: int
    gets: Asset
    get_micro: int


@dataclass(slots=True)
class Settling:
    """A trade on its way, with everything needed to carry it out or to undo it."""

    trade: Trade
    market: Market
    taker: Leg
    makers: tuple[Leg, ...]
    pairs_micro: int
    must_fail: bool = False
    must_retry: bool = False

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Taker first, then the makers in the order they were filled."""
        return (self.taker, *self.makers)

    @property
    def is_pending(self) -> bool:
        """True before anything has moved."""
        return self.trade.status in (TradeStatus.MATCHED, TradeStatus.RETRYING)


@dataclass(slots=True)
class _Shelf:
    every: dict[str, Settling] = field(default_factory=dict)
    by_key: dict[str, dict[str, Settling]] = field(default_factory=dict)
    pending: dict[str, Settling] = field(default_factory=dict)


class Settlement:
    """All trades, and what becomes of them with time.

    `undo(leg, now_ms)` is called for each leg of a failed trade, once its lock is lifted.
    """

    def __init__(
        self,
        ledger: Ledger,
        tape: Tape,
        agenda: Agenda,
        ids: Ids,
        config: ExchangeConfig,
        undo: Callable[[Leg, int], None],
    ) -> None:
        """Shares the exchange's ledger, tape, agenda and ids."""
        self._ledger, self._tape, self._agenda, self._ids = ledger, tape, agenda, ids
        self._config = config
        self._undo = undo
        self._shelf = _Shelf()

    def begin(self, settling: Settling, api_keys: tuple[str, ...], now_ms: int) -> None:
        """Take in a matched trade whose legs are locked already."""
        trade = settling.trade
        rate = self._config.failure_rate_micro
        settling.must_fail = bool(rate) and self._ids.draw(trade.id, MICRO) < rate
        self._shelf.every[trade.id] = self._shelf.pending[trade.id] = settling
        for key in api_keys:
            self._shelf.by_key.setdefault(key, {})[trade.id] = settling
        self._tape.say(TradeEvent(trade, now_ms))
        self._agenda.at(now_ms + self._config.mine_delay_ms, lambda due: self._step(settling, due))

    def trades(self, api_key: str | None = None, trade_id: str | None = None) -> tuple[Trade, ...]:
        """Trades in which the key took part (None: all), oldest first; `trade_id` picks one of them."""
        shelf = self._shelf.every if api_key is None else self._shelf.by_key.get(api_key, {})
        if trade_id is None:
            return tuple(settling.trade for settling in shelf.values())
        found = shelf.get(trade_id)
        return (found.trade,) if found is not None else ()

    def mark(self, trade_id: str, *, fail: bool) -> None:
        """Have a pending trade fail, or retry once. KeyError when unknown, ValueError when past that."""
        settling = self._shelf.every[trade_id]
        if not settling.is_pending:
            raise ValueError(
                f"trade {trade_id} was {settling.trade.status}; only a trade before MINED can still turn"
            )
        if fail:
            settling.must_fail = True
        else:
            settling.must_retry = True

    def finish(self, market: Market, now_ms: int) -> None:
        """Have all of a market's pending trades MINED or FAILED at once."""
        for settling in tuple(self._shelf.pending.values()):
            if settling.market.condition_id == market.condition_id:
                settling.must_retry = False
                self._step(settling, now_ms)

    def _step(self, settling: Settling, now_ms: int) -> None:
        if not settling.is_pending:
            return
        if settling.must_retry:
            settling.must_retry = False
            self._turn(settling, TradeStatus.RETRYING, now_ms)
            self._agenda.at(now_ms + self._config.retry_delay_ms, lambda due: self._step(settling, due))
        elif settling.must_fail:
            self._fail(settling, now_ms)
        else:
            self._mine(settling, now_ms)

    def _mine(self, settling: Settling, now_ms: int) -> None:
        ledger = self._ledger
        for leg in settling.legs:
            given = ledger.holding(leg.owner, leg.gives)
            given.locked -= leg.give_micro
            given.total -= leg.give_micro
        for leg in settling.legs:
            ledger.holding(leg.owner, leg.gets).total += leg.get_micro
        ledger.fees_usd_micro += settling.trade.fee_usd_micro
        if settling.pairs_micro:
            ledger.move_pairs(settling.market, settling.pairs_micro)
        del self._shelf.pending[settling.trade.id]
        self._turn(settling, TradeStatus.MINED, now_ms, self._ids.hash32("transaction"))
        due = now_ms + self._config.confirm_delay_ms
        self._agenda.at(due, lambda at: self._turn(settling, TradeStatus.CONFIRMED, at))

    def _fail(self, settling: Settling, now_ms: int) -> None:
        for leg in settling.legs:
            self._ledger.holding(leg.owner, leg.gives).locked -= leg.give_micro
        del self._shelf.pending[settling.trade.id]
        self._turn(settling, TradeStatus.FAILED, now_ms)
        for leg in settling.legs:
            self._undo(leg, now_ms)

    def _turn(self, settling: Settling, to: TradeStatus, now_ms: int, tx_hash: str | None = None) -> None:
        old = settling.trade
        settling.trade = replace(
            old, status=to, last_update_ms=now_ms, transaction_hash=tx_hash or old.transaction_hash
        )
        self._tape.say(TradeEvent(settling.trade, now_ms))
