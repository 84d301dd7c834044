"""What a host tells a bot: frozen models, one per message.

Times are Unix milliseconds. `*_usd` is pUSD: shares times the order's own limit price. Books tick in
integers of millionths (`*_micro`), because they are hot; everything a person reads is a Decimal.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from polytraders_hookspecs.wire import Amount, Figure, Millis, Price, WireModel, shown

OrderId = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
"""An order's EIP-712 hash: 0x and 64 lower-case hex digits."""

ConditionId = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
"""A market's condition id."""

TokenId = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$")]
"""An outcome token's id: a decimal number as text."""

TraceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
"""One order's story, from the strategy's decision to the last fill."""

BuilderCode = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
"""Attribution on Polymarket, a bytes32. Chase orders carry the original's."""

Side = Literal["BUY", "SELL"]
Policy = Literal["hold", "cancel", "chase"]
TradingStatus = Literal["open", "post_only", "cancel_only", "closed"]


class SignedEvent(WireModel):
    """An envelope: the body's bytes, and who vouches for them. Nothing in it is trusted before its check."""

    key_id: str
    event_ts_ms: int
    trace_id: str
    body: bytes = Field(repr=False)
    signature: str = Field(repr=False)


class Strategy(WireModel):
    """The strategy's own wishes, as far as it declared them; None falls back to the bot's config."""

    id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    partial_fill_policy: Policy | None = None
    allow_wide_chase: bool = False


class PartialFill(WireModel):
    """A PARTIAL ExecutionReport of the order-lifecycle manager: a resting order filled in part (SPEC 3).

    The card's own example lacks `market_id`, `token_id`, `trace_id` and `event_ts_ms`: what is missing
    comes from the envelope and from `orders.get(order_id)`.
    """

    order_id: OrderId
    status: Literal["PARTIAL"]
    filled_usd: Amount
    remaining_usd: Amount
    original_price: Price
    side: Side
    original_size_usd: Amount | None = None
    collateral: Literal["pUSD"] = "pUSD"
    builder_code: BuilderCode | None = None
    market_id: ConditionId | None = None
    token_id: TokenId | None = None
    trace_id: TraceId | None = None
    event_ts_ms: Millis | None = None
    strategy: Strategy | None = None

    @model_validator(mode="after")
    def _sizes_add_up(self) -> Self:
        if self.original_size_usd is not None:
            total = self.filled_usd + self.remaining_usd
            if self.original_size_usd != total:
                raise ValueError(
                    f"original_size_usd was {shown(self.original_size_usd)}; "
                    f"it must equal filled_usd + remaining_usd = {total}"
                )
        return self


class OrderClosed(WireModel):
    """The order reached its end: FILLED, or CANCELLED with or without a part filled."""

    order_id: OrderId
    status: Literal["FILLED", "CANCELLED"]
    filled_usd: Amount | None = None
    trace_id: TraceId | None = None
    event_ts_ms: Millis | None = None


class DecisionReport(WireModel):
    """What the strategy decided before the root order was placed. Its size is never exceeded."""

    trace_id: TraceId
    side: Side
    intended_size_usd: Amount
    limit_price: Price
    token_id: TokenId | None = None
    market_id: ConditionId | None = None
    strategy: Strategy | None = None


class KillSwitchSignal(WireModel):
    """The kill switch went on or off. Going off never restarts posting by itself: a bot is reset by hand."""

    active: bool
    ts_ms: Millis
    reason: str = ""
    actor: str = ""


Level = tuple[int, int]
"""(price_micro, size_micro): millionths of a pUSD per share, millionths of a share."""


class BookSnapshot(WireModel):
    """The whole book of one token. Levels come in any order; sizes are shares, own orders included.

    `tick_micro`, `min_size_micro` and `neg_risk` come free with the exchange's REST answer and are
    None where the market channel leaves them out. `closes_at_ms` is None when not known.
    """

    token_id: TokenId
    market_id: ConditionId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    timestamp_ms: Millis
    tick_micro: int | None = None
    min_size_micro: int | None = None
    neg_risk: bool | None = None
    trading: TradingStatus = "open"
    closes_at_ms: Millis | None = None


class PriceChange(WireModel):
    """One level's new absolute size; 0 removes it. `bid` says which side of the book."""

    token_id: TokenId
    bid: bool
    price_micro: int
    size_micro: int
    timestamp_ms: Millis
    best_bid_micro: int | None = None
    best_ask_micro: int | None = None


class LastTrade(WireModel):
    """A trade printed on the market channel. `side` is the taker's."""

    token_id: TokenId
    side: Side
    price_micro: int
    size_micro: int
    timestamp_ms: Millis


class TickSizeChange(WireModel):
    """The market's grid changed: a new epoch. What is known of its book is void until a fresh snapshot."""

    token_id: TokenId
    old_tick_micro: int
    new_tick_micro: int
    timestamp_ms: Millis


class StreamGap(WireModel):
    """The market channel was interrupted; books of these tokens (all, when empty) are void."""

    token_ids: tuple[TokenId, ...] = ()
    timestamp_ms: Millis


BookUpdate = BookSnapshot | PriceChange | LastTrade | TickSizeChange | StreamGap
"""Everything `on_book_update` may carry."""


class CancelReplace(WireModel):
    """A chase, as an instruction: cancel `order_id`, prove it dead, post at most its rest, within the cap.

    `cap_price` binds absolutely. `price` and `max_size_shares` are the plan at decision time: what
    filled meanwhile must be subtracted after the cancel is proven.
    """

    instruction_id: str
    order_id: OrderId
    root_order_id: OrderId
    trace_id: TraceId
    market_id: ConditionId
    token_id: TokenId
    side: Side
    price: Price
    cap_price: Figure
    max_size_shares: Amount
    max_cost_usd: Amount
    builder_code: BuilderCode


class DustRemainder(WireModel):
    """A remainder too small to keep, handed to a dust cleaner with its original order id."""

    order_id: OrderId
    trace_id: TraceId
    market_id: ConditionId
    token_id: TokenId
    side: Side
    remaining_usd: Amount
    cancelled: bool
