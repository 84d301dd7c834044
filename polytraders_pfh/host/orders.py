"""One order as the host has seen it: sightings in any order go in, one filled amount comes out.

Two sources tell of fills. Order events and records carry a cumulative amount; trades carry one fill
each. Either may come first, late, twice or never, and a trade may fail after it was counted, so:

- the exchange's cumulative word only rises, unless a strictly newer word of its own lowers it; a record
  carries no date, so what only a record has said is lowered by no dated word;
- trades are counted once per trade id, and the larger of the two sources holds;
- a failed trade is taken back, unless the exchange's cumulative word has already come down for it.

No clock, no I/O.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from polytraders_hookspecs import OrderFacts, Strategy, from_micro
from polytraders_hookspecs.events import Side
from polytraders_hookspecs.orders import ZERO_BYTES32
from polytraders_hookspecs.wire import MICRO

from polytraders_pfh.host.payloads import OrderNews

LOT_MICRO: Final = 10_000
"""The exchange's size grid, 0.01 share: a smaller rest cannot exist as an order."""

End = Literal["FILLED", "CANCELLED"]


def usd_filled(shares_micro: int, price_micro: int) -> int:
    """Return shares at the order's price in micro-pUSD, rounded up: what is left is never overstated."""
    return -(-shares_micro * price_micro // MICRO)


@dataclass(slots=True)
class TrackedOrder:
    """An order's standing facts, and what has been seen of it.

    Attributes:
        live: Whether the exchange ever spoke of it.
        declared: The DecisionReport that its strategy published, where hosts share their orders.
        post_unknown: Whether a post of it went unanswered, so that no later refusal proves anything.
        adopted: Whether nobody here announced it: another tool posted it.
        expires: Whether the exchange will end it by itself (GTD).
        ruled: Whether its strategy came from a rule of the config, not from whoever placed it.
        end_expected: Whether the exchange confirmed a cancel of it.
        reported_micro: The filled amount of the last PARTIAL that bots have heard.
        last_event_ms: The time of the last event, so that the next one is later.
        end: FILLED or CANCELLED once it is over.
        ended_ns: Monotonic time of the end, for forgetting.
    """

    order_id: str
    market_id: str
    token_id: str
    trace_id: str
    side: Side
    price_micro: int
    size_micro: int
    builder_code: str = ZERO_BYTES32
    neg_risk: bool | None = None
    strategy: Strategy | None = None
    adopted: bool = False
    expires: bool = False
    ruled: bool = False
    root_order_id: str | None = None
    declared: bytes = b""
    known_ms: int = 0
    known_ns: int = 0
    live: bool = False
    post_unknown: bool = False
    end_expected: bool = False
    matched_word: bool = False
    reported_micro: int = 0
    last_event_ms: int = 0
    end: End | None = None
    ended_ns: int = 0
    _said_micro: int = 0
    _said_ms: int = 0
    _undated: bool = False
    _lowered_micro: int = 0
    _trades: dict[str, int] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)
    _cancelled: bool = False
    _from_memory: bool = False

    def remember(self, filled_micro: int, last_event_ms: int) -> None:
        """Take up what bots had heard before a restart; the exchange's first word replaces it."""
        self.reported_micro = self._said_micro = filled_micro
        self.last_event_ms = last_event_ms
        self._from_memory = True

    def heard(self, filled_micro: int) -> None:
        """Take in a filled amount that another host has seen: the exchange's word, without a date."""
        self._heard_cumulative(filled_micro, None)

    def saw(self, news: OrderNews) -> None:
        """Take in an order event or record."""
        if news.matched_micro is not None:
            self._heard_cumulative(self._in_shares(news.matched_micro, news.size_micro), news.ts_ms)
        if news.standing == "cancelled":
            self._cancelled = True
        elif news.standing == "matched":
            self.matched_word = True
        self.live = True

    def saw_trade(self, trade_id: str, shares_micro: int, *, failed: bool) -> None:
        """Take in one trade's fill of this order; a failed one is void, and stays so."""
        if failed:
            self._trades.pop(trade_id, None)
            self._failed[trade_id] = shares_micro
        elif trade_id not in self._failed:
            self._trades[trade_id] = shares_micro

    @property
    def filled_micro(self) -> int:
        """Shares filled and not taken back, in millionths, at most the order's size."""
        void = max(0, sum(self._failed.values()) - self._lowered_micro)
        filled = max(self._said_micro - void, sum(self._trades.values()))
        return max(0, min(filled, self.size_micro))

    @property
    def due_end(self) -> End | None:
        """FILLED or CANCELLED when what has been seen proves the end."""
        rest = self.size_micro - self.filled_micro
        if rest == 0 or (rest < LOT_MICRO and self.matched_word):
            return "FILLED"
        return "CANCELLED" if self._cancelled else None

    @property
    def needs_a_look(self) -> bool:
        """The exchange calls it matched although shares are missing: only its record can tell."""
        return self.matched_word and self.end is None and self.due_end is None

    @property
    def unsettled(self) -> bool:
        """Its record has to be read again: it contradicts itself, or an announced end is not seen yet."""
        return self.needs_a_look or (self.end_expected and self.end is None)

    def proven_dead(self) -> None:
        """Note that the exchange's own record says it no longer rests."""
        self._cancelled = True

    def facts(self) -> OrderFacts:
        """Return what is known, as the contract has it."""
        return OrderFacts(
            order_id=self.order_id,
            market_id=self.market_id,
            token_id=self.token_id,
            trace_id=self.trace_id,
            side=self.side,
            price=from_micro(self.price_micro),
            size_shares=from_micro(self.size_micro),
            filled_shares=from_micro(self.filled_micro),
            status=self._status(),
            builder_code=self.builder_code,
            neg_risk=self.neg_risk,
            strategy=self.strategy,
            root_order_id=self.root_order_id,
        )

    def filled_usd(self) -> Decimal:
        """Return the filled pUSD at the order's price; exact on the lot grid, else rounded up."""
        return from_micro(usd_filled(self.filled_micro, self.price_micro))

    def _status(self) -> Literal["LIVE", "PARTIAL", "FILLED", "CANCELLED", "UNKNOWN"]:
        if self.end is not None:
            return self.end
        if not self.live:
            return "UNKNOWN"
        return "PARTIAL" if self.filled_micro else "LIVE"

    def _heard_cumulative(self, shares_micro: int, ts_ms: int | None) -> None:
        if self._from_memory:
            self._said_micro, self._said_ms, self._from_memory = shares_micro, ts_ms or 0, False
            self._undated = ts_ms is None
        elif ts_ms is None or ts_ms == self._said_ms:
            self._undated = self._undated or (ts_ms is None and shares_micro > self._said_micro)
            self._said_micro = max(self._said_micro, shares_micro)
        elif ts_ms > self._said_ms and not (self._undated and shares_micro < self._said_micro):
            self._lowered_micro += max(0, self._said_micro - shares_micro)
            self._said_micro, self._said_ms, self._undated = shares_micro, ts_ms, False

    def _in_shares(self, matched_micro: int, original_micro: int | None) -> int:
        """Undo the other convention: sizes written as millionths, so that 100 shares read 100000000."""
        if original_micro is not None and original_micro == self.size_micro * MICRO:
            return matched_micro // MICRO
        return matched_micro
