"""Trades: which orders met, who paid what, and how far their settlement has come."""

from dataclasses import dataclass
from enum import StrEnum, unique

from polytraders_pfh.paper.core.model import Side


@unique
class TradeStatus(StrEnum):
    """Settlement of a trade. Only CONFIRMED and FAILED are final; before MINED nothing has moved."""

    MATCHED = "MATCHED"
    RETRYING = "RETRYING"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


@unique
class MatchKind(StrEnum):
    """How collateral and outcome tokens move when two orders meet."""

    DIRECT = "DIRECT"
    """BUY meets SELL of one token: tokens go one way, collateral the other."""
    MINT = "MINT"
    """Two BUYs of opposite tokens: their collateral becomes a pair of outcome tokens."""
    MERGE = "MERGE"
    """Two SELLs of opposite tokens: a pair of outcome tokens becomes collateral again."""


@dataclass(frozen=True, slots=True)
class MakerFill:
    """A maker's share of a trade, in the maker's own token, side and price.

    `owner` is the account id, `api_key` its credential (the wire's `maker_orders[].owner`).
    """

    order_id: str
    owner: str
    maker: str
    matched_micro: int
    price_micro: int
    fee_rate_bps: int
    token_id: str
    outcome: str
    side: Side
    api_key: str
    kind: MatchKind


@dataclass(frozen=True, slots=True)
class Trade:
    """One taker order against one price level; the top level is the taker's view of it.

    `owner` is the taker's account id, `api_key` its credential (the wire's `owner`), `maker` its address.
    `bucket_index` numbers the trades of one taker order. `fee_usd_micro` is what the taker pays.
    """

    id: str
    taker_order_id: str
    condition_id: str
    token_id: str
    side: Side
    size_micro: int
    price_micro: int
    status: TradeStatus
    match_ms: int
    last_update_ms: int
    owner: str
    maker_fills: tuple[MakerFill, ...]
    outcome: str
    transaction_hash: str | None
    bucket_index: int
    api_key: str
    maker: str
    fee_rate_bps: int
    fee_usd_micro: int
