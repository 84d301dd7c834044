"""What the paper exchange knows, as frozen values: markets, orders, books, answers to posts and cancels.

Every amount is an exact integer in micro units (10⁻⁶): prices (1.0 is 1_000_000), shares, pUSD.
An *account* (`owner`) is the wallet that holds the funds; an `api_key` is the credential that may act
for it. Shapes follow the exchange's own records, so that a protocol server only has to spell them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

MICRO: Final = 1_000_000
CROWD: Final = "crowd"
"""The account, and the api key, of the anonymous liquidity."""


@unique
class Side(StrEnum):
    """What the order does to the owner's holding of its token."""

    BUY = "BUY"
    SELL = "SELL"


@unique
class OrderType(StrEnum):
    """GTC rests until cancelled, GTD until a time, FOK fills whole or not at all, FAK what it can now."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"

    @property
    def rests(self) -> bool:
        """True when an unfilled part stays in the book."""
        return self in (OrderType.GTC, OrderType.GTD)


@unique
class OrderStatus(StrEnum):
    """Status words as they stand on the wire; the killed ones carry their reason, as the exchange's do."""

    LIVE = "LIVE"
    MATCHED = "MATCHED"
    DELAYED = "DELAYED"
    UNMATCHED = "UNMATCHED"
    CANCELED = "CANCELED"
    INVALID = "INVALID"
    CANCELED_MARKET_RESOLVED = "CANCELED_MARKET_RESOLVED"
    CANCELED_NOT_ENOUGH_BALANCE = "CANCELED_NOT_ENOUGH_BALANCE"
    CANCELED_FOK_KILLED = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
    CANCELED_FAK_KILLED = (
        "CANCELED_no orders found to match with FAK order. "
        "FAK orders are partially filled or killed if no match is found."
    )


@unique
class Mode(StrEnum):
    """What the exchange takes at the moment (clob_v2 2.6)."""

    OPEN = "open"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of a market's two outcome tokens."""

    token_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Market:
    """A binary market's parameters.

    `taker_delay_ms` holds a marketable order back inside the call (`itode`), `seconds_delay_ms` answers
    `delayed` at once; the core treats both alike, the larger counts. At `game_start_ms` all open orders
    are cancelled. `ready` False refuses new orders with the exchange's "not yet ready" sentence.
    """

    condition_id: str
    question: str
    outcomes: tuple[Outcome, Outcome]
    tick_micro: int = 10_000
    min_size_micro: int = 5 * MICRO
    neg_risk: bool = False
    taker_fee_rate_micro: int = 0
    fee_exponent: int = 1
    taker_delay_ms: int = 0
    game_start_ms: int | None = None
    seconds_delay_ms: int = 0
    ready: bool = True
    resolved_token_id: str | None = None

    @property
    def token_ids(self) -> tuple[str, str]:
        """Both token ids, in the order of `outcomes`."""
        return (self.outcomes[0].token_id, self.outcomes[1].token_id)

    @property
    def delay_ms(self) -> int:
        """How long a marketable order waits before it is matched."""
        return max(self.taker_delay_ms, self.seconds_delay_ms)

    @property
    def taker_fee_rate_bps(self) -> int:
        """The fee rate in basis points, as the wire shows it."""
        return self.taker_fee_rate_micro // 100


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A signed order as it was posted. `maker_amount` is what the owner gives, `taker_amount` what it gets.

    BUY gives pUSD and gets shares, SELL gives shares and gets pUSD. `owner` is the account id (the maker
    address), `api_key` the credential that posted it.
    """

    order_id: str
    owner: str
    api_key: str
    maker: str
    signer: str
    token_id: str
    side: Side
    maker_amount: int
    taker_amount: int
    order_type: OrderType = OrderType.GTC
    expiration_s: int = 0
    post_only: bool = False
    builder_code: str = "0x" + "00" * 32
    created_ms: int = 0

    @property
    def size_micro(self) -> int:
        """Signed shares. A FOK or FAK BUY's budget is `maker_amount`; this is the least it brings."""
        return self.taker_amount if self.side is Side.BUY else self.maker_amount

    @property
    def usd_micro(self) -> int:
        """Signed pUSD: what a BUY gives, what a SELL asks for."""
        return self.maker_amount if self.side is Side.BUY else self.taker_amount

    @property
    def price_micro(self) -> int:
        """pUSD per share to the nearest micro, 0 without a size; see `price_is_exact`."""
        if self.size_micro <= 0:
            return 0
        return (2 * self.usd_micro * MICRO + self.size_micro) // (2 * self.size_micro)

    @property
    def price_is_exact(self) -> bool:
        """True when pUSD over shares is a whole number of micro, without rounding."""
        return self.size_micro > 0 and self.usd_micro * MICRO % self.size_micro == 0


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order's state at one moment. `size_matched_micro` is cumulative, in shares.

    `price_micro` is the limit on the tick grid. `original_size_micro` is the signed size in shares (the
    user channel shows a FOK/FAK BUY's pUSD budget instead: `request.maker_amount`).
    """

    request: OrderRequest
    condition_id: str
    outcome: str
    price_micro: int
    size_matched_micro: int
    status: OrderStatus
    associate_trades: tuple[str, ...]
    created_ms: int
    updated_ms: int

    @property
    def order_id(self) -> str:
        """The order's hash."""
        return self.request.order_id

    @property
    def original_size_micro(self) -> int:
        """Signed size in shares."""
        return self.request.size_micro

    @property
    def is_open(self) -> bool:
        """True while it can still match."""
        return self.status in (OrderStatus.LIVE, OrderStatus.DELAYED, OrderStatus.UNMATCHED)


Levels = tuple[tuple[int, int], ...]
"""(price_micro, size_micro) pairs, best price last."""


@dataclass(frozen=True, slots=True)
class BookView:
    """The book of one token: bids ascending, asks descending, so that the best stands last in both."""

    token_id: str
    condition_id: str
    bids: Levels
    asks: Levels
    tick_micro: int
    min_size_micro: int
    neg_risk: bool
    last_trade_price_micro: int | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class PostResult:
    """The answer to a post. `error` None means accepted: `status` is live, matched, delayed or unmatched.

    `code` and `retry_after_s` accompany a 503 of post-only mode. `making_micro` is what the order has
    given so far (BUY: pUSD, SELL: shares), `taking_micro` what it has got.
    """

    accepted: bool
    http_status: int
    error: str | None
    order_id: str
    status: str = ""
    making_micro: int = 0
    taking_micro: int = 0
    trade_ids: tuple[str, ...] = ()
    code: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The answer to a cancel: every id asked for stands in exactly one of the two, unless `error` is set."""

    canceled: tuple[str, ...] = ()
    not_canceled: dict[str, str] = field(default_factory=dict)
    http_status: int = 200
    error: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """Timings and switches of the exchange; all times in milliseconds.

    A trade is MINED `mine_delay_ms` after it matched (0: within the same command) and CONFIRMED
    `confirm_delay_ms` later. `failure_rate_micro` of all trades (1_000_000: every one) fail instead,
    chosen by the seed. `after_restart_post_only_ms` is how long post-only lasts after a restart that
    was given an end. `market_events` off keeps the market channel silent, which spares a simulation
    the work; `book_after_trade` off leaves out the snapshots alone.
    """

    mine_delay_ms: int = 2_000
    confirm_delay_ms: int = 4_000
    retry_delay_ms: int = 2_000
    failure_rate_micro: int = 0
    after_restart_post_only_ms: int = 120_000
    market_events: bool = True
    book_after_trade: bool = True
