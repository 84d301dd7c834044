"""What the exchange tells its two channels, in the order in which it happened."""

from dataclasses import dataclass
from enum import StrEnum, unique

from polytraders_pfh.paper.core.model import BookView, OrderRecord, Side
from polytraders_pfh.paper.core.trades import Trade


@unique
class OrderEventKind(StrEnum):
    """Types of the user channel's order message."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An account's own order changed (user channel). Crowd orders never appear here."""

    kind: OrderEventKind
    record: OrderRecord
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """A trade came to be, or its settlement moved on (user channel)."""

    trade: Trade
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class BookSnapshotEvent:
    """The whole book of one token, sent after trades (market channel)."""

    view: BookView


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A level's absolute new size (0: gone) and the token's best prices after the whole command."""

    token_id: str
    side: Side
    price_micro: int
    size_micro: int
    best_bid_micro: int | None
    best_ask_micro: int | None


@dataclass(frozen=True, slots=True)
class PriceChangeEvent:
    """All levels that one command changed, for both tokens of the market (market channel)."""

    condition_id: str
    changes: tuple[LevelChange, ...]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class LastTradeEvent:
    """A print, in the taker's token and side (market channel)."""

    condition_id: str
    token_id: str
    side: Side
    price_micro: int
    size_micro: int
    fee_rate_bps: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class TickSizeEvent:
    """The market's grid changed; resting orders stay where they are (market channel, both tokens)."""

    condition_id: str
    old_tick_micro: int
    new_tick_micro: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class MarketResolvedEvent:
    """The market is over; the winning token redeems at 1 pUSD (market channel)."""

    condition_id: str
    winning_token_id: str
    winning_outcome: str
    timestamp_ms: int


Event = (
    OrderEvent
    | TradeEvent
    | BookSnapshotEvent
    | PriceChangeEvent
    | LastTradeEvent
    | TickSizeEvent
    | MarketResolvedEvent
)
