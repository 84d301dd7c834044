"""Orders as host and bot pass them: facts, an order to be signed, a signed one, an exchange's answer."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from polytraders_hookspecs.events import (
    BuilderCode,
    ConditionId,
    OrderId,
    Side,
    Strategy,
    TokenId,
    TraceId,
)
from polytraders_hookspecs.wire import Amount, Price, WireModel

ZERO_BYTES32: Final = "0x" + "0" * 64


class OrderFacts(WireModel):
    """What the order-lifecycle manager knows of one order. `root_order_id` is set on chase orders."""

    order_id: OrderId
    market_id: ConditionId
    token_id: TokenId
    trace_id: TraceId
    side: Side
    price: Price
    size_shares: Amount
    filled_shares: Amount
    status: Literal["LIVE", "PARTIAL", "FILLED", "CANCELLED", "UNKNOWN"]
    builder_code: BuilderCode = ZERO_BYTES32
    neg_risk: bool | None = None
    strategy: Strategy | None = None
    root_order_id: OrderId | None = None


class UnsignedOrder(WireModel):
    """An order in exact integers, before anybody signed it.

    A BUY gives `maker_amount_micro` of pUSD for `taker_amount_micro` of shares; a SELL the other way
    round. `expiration_s` is 0 for good-till-cancelled, else Unix seconds. `root_order_id` is set on chase
    orders: a root order does not know its own hash before it is signed.
    """

    token_id: TokenId
    market_id: ConditionId
    side: Side
    price_micro: int
    size_micro: int
    maker_amount_micro: int
    taker_amount_micro: int
    builder_code: BuilderCode
    neg_risk: bool
    order_type: Literal["GTC", "GTD"] = "GTC"
    expiration_s: int = 0
    post_only: bool = False
    trace_id: TraceId
    root_order_id: OrderId | None = None


class SignedOrder(WireModel):
    """A signed order: a bearer instrument until it is posted, so its signature never shows in a repr.

    `order_id` is the EIP-712 hash, known before the order is sent. `exchange_contract` and `chain_id`
    are the domain it was signed for, so that whoever posts it can check the hash again.
    """

    order_id: OrderId
    salt: int
    maker: str
    signer: str
    token_id: TokenId
    maker_amount_micro: int
    taker_amount_micro: int
    side: Side
    signature_type: Literal[0, 1, 2, 3]
    timestamp_ms: int
    metadata: BuilderCode = ZERO_BYTES32
    builder_code: BuilderCode
    expiration_s: int
    order_type: Literal["GTC", "GTD"]
    post_only: bool
    chain_id: int
    exchange_contract: str
    signature: Annotated[str, Field(pattern=r"^0x[0-9a-f]{130,1024}$", repr=False)]

    def wire_order(self) -> dict[str, object]:
        """Return the `order` object of a POST /order body, in the exchange's own field names."""
        return {
            "salt": self.salt,
            "maker": self.maker,
            "signer": self.signer,
            "tokenId": self.token_id,
            "makerAmount": str(self.maker_amount_micro),
            "takerAmount": str(self.taker_amount_micro),
            "side": self.side,
            "expiration": str(self.expiration_s),
            "signatureType": self.signature_type,
            "timestamp": str(self.timestamp_ms),
            "metadata": self.metadata,
            "builder": self.builder_code,
            "signature": self.signature,
        }


class ExchangeReply(WireModel):
    """What came back from the exchange, unjudged: the host carries it, the bot reads it.

    `status` is the HTTP status, or None when no complete answer came (timeout, connection lost);
    then `detail` says what happened. Header names are lower-case. `sent` is False only where the host
    itself answered and the request never left it, as inside a rate limit that it knows.
    """

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = Field(default_factory=dict)
    detail: str = ""
    sent: bool = True
