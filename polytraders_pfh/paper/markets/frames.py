"""What a recording holds, as values: book snapshots, level changes, trades, tick changes, and the markets.

Prices and sizes are exact integers in micro units (10^-6): a price of 0.43 is 430_000, five shares are
5_000_000. Times are the venue's own milliseconds. In a book the best price stands last on either side
(bids ascend, asks descend), as the venue sends it. `row` counts from 1 inside `file`: a parquet row, or a
line of a text file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from polytraders_pfh.paper.core.model import Side

Levels: TypeAlias = tuple[tuple[int, int], ...]

PRICE_ONE_MICRO = 1_000_000
DEFAULT_TICK_MICRO = 10_000
DEFAULT_MIN_SIZE_MICRO = 5_000_000

# Every tick the venue has used, coarse to fine.
TICKS_MICRO = (100_000, 10_000, 5_000, 2_500, 1_000, 100)


@dataclass(frozen=True, slots=True)
class BookFrame:
    """One full snapshot of one token's book. `tick_micro` is None where the message did not carry it."""

    token_id: str
    condition_id: str
    timestamp_ms: int
    bids: Levels
    asks: Levels
    tick_micro: int | None
    file: str
    row: int

    @property
    def crossed(self) -> bool:
        """True when the best bid is at or above the best ask: a torn reading, no book of the venue."""
        return bool(self.bids and self.asks) and self.bids[-1][0] >= self.asks[-1][0]


@dataclass(frozen=True, slots=True)
class LevelSet:
    """One level's new absolute size; 0 removes the level. The best prices are the venue's, after it."""

    token_id: str
    side: Side
    price_micro: int
    size_micro: int
    best_bid_micro: int | None
    best_ask_micro: int | None


@dataclass(frozen=True, slots=True)
class PriceChangeFrame:
    """One `price_change` message: levels of one market, often of both its tokens."""

    condition_id: str
    timestamp_ms: int
    changes: tuple[LevelSet, ...]
    file: str
    row: int


@dataclass(frozen=True, slots=True)
class LastTradeFrame:
    """One `last_trade_price` message: a trade the venue matched. `side` is the taker's."""

    token_id: str
    condition_id: str
    timestamp_ms: int
    side: Side
    price_micro: int
    size_micro: int
    transaction_hash: str | None
    file: str
    row: int


@dataclass(frozen=True, slots=True)
class TickSizeFrame:
    """One `tick_size_change` message."""

    token_id: str
    condition_id: str
    timestamp_ms: int
    old_tick_micro: int | None
    new_tick_micro: int
    file: str
    row: int


Frame: TypeAlias = BookFrame | PriceChangeFrame | LastTradeFrame | TickSizeFrame


@dataclass(frozen=True, slots=True)
class RecordedToken:
    """One outcome of a recorded market. `recorded` is False for a complement no row ever named."""

    token_id: str
    outcome: str
    recorded: bool


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """What a recording says about one market.

    `tokens` are the two outcomes, the one with more rows first. Where only one was recorded, the other is
    the synthetic `complement_of` it: good for this exchange, unknown to the real one. `tick_micro` is the
    tick at the start (said by a message, else 0.01, the venue's common tick); `finest_tick_micro` is the
    coarsest tick of the venue on which every recorded price lies. `trades` counts recorded trades;
    `payout_micro` is per token, where known.
    """

    condition_id: str
    slug: str
    question: str
    tokens: tuple[RecordedToken, RecordedToken]
    tick_micro: int
    finest_tick_micro: int
    min_size_micro: int
    rows: int
    first_ms: int
    last_ms: int
    trades: int = 0
    payout_micro: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """One thing that could not be read and was passed over. Row 0 stands for the whole file."""

    file: str
    row: int
    reason: str


def derived_token_id(text: str) -> str:
    """A token id nobody issued: the SHA-256 of `text` as a decimal number, the shape of the venue's ids."""
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))


def complement_of(token_id: str) -> str:
    """The stand-in id for the unrecorded other outcome of `token_id`'s market; the same in every run."""
    return derived_token_id(f"complement of {token_id}")


def coarsest_tick(prices_micro: frozenset[int] | set[int]) -> int:
    """The coarsest tick, 0.01 or finer, on whose grid every price lies; the finest of all where none fits.

    Nothing coarser than 0.01 is inferred: a few round prices do not show that the others were forbidden.
    """
    for tick in TICKS_MICRO:
        if tick <= DEFAULT_TICK_MICRO and all(price % tick == 0 for price in prices_micro):
            return tick
    return TICKS_MICRO[-1]
