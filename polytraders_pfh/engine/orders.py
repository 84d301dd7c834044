"""The chase order in exact integers, and the check that what came back signed is what was asked.

Amounts are plain products of integers. The SDK's own helpers go through floats and lose a hundredth of
a share on one size in seventeen (clob_v2 1.5), so only its contracts, domain and type string are used here.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from eth_utils.crypto import keccak
from polytraders_hookspecs.orders import SignedOrder, UnsignedOrder
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ORDER_TYPE_HASH, ExchangeOrderBuilderV2

from polytraders_pfh.core.market import Side
from polytraders_pfh.core.money import MICRO
from polytraders_pfh.engine.intents import Intent

_SALT_BELOW: Final = 2**53
"""The salt travels as a JSON number."""


def unsigned_chase(intent: Intent, price_micro: int, size_micro: int, neg_risk: bool) -> UnsignedOrder:
    """Return a chase order of this price and size.

    Raises:
        ValueError: Price times size has more than six decimals, which a size in whole lots never has.
    """
    notional, rest = divmod(price_micro * size_micro, MICRO)
    if rest:
        raise ValueError(
            f"price_micro {price_micro} x size_micro {size_micro} was not a whole number of micro-pUSD"
        )
    buying = intent.side is Side.BUY
    return UnsignedOrder(
        token_id=intent.token_id,
        market_id=intent.market_id,
        side=intent.side.value,
        price_micro=price_micro,
        size_micro=size_micro,
        maker_amount_micro=notional if buying else size_micro,
        taker_amount_micro=size_micro if buying else notional,
        builder_code=intent.builder_code,
        neg_risk=neg_risk,
        trace_id=intent.trace_id,
        root_order_id=intent.root_order_id,
    )


def signed_fault(asked: UnsignedOrder, signed: SignedOrder) -> str | None:
    """Return how a signed order differs from what was asked, or None.

    Every signed field is compared and the hash is computed anew: a signer that lies, or that mixed two
    requests up, leads to no post.
    """
    for name in (
        "token_id",
        "side",
        "maker_amount_micro",
        "taker_amount_micro",
        "builder_code",
        "order_type",
        "expiration_s",
        "post_only",
    ):
        wanted, was = getattr(asked, name), getattr(signed, name)
        if wanted != was:
            return f"the signed order's {name} was {was}; {wanted} was asked for"
    if not 0 <= signed.salt < _SALT_BELOW:
        return f"the signed order's salt was {signed.salt}; it must be below 2^53"
    contract = exchange_contract(signed.chain_id, asked.neg_risk)
    if signed.exchange_contract.lower() != contract.lower():
        kind = "neg-risk" if asked.neg_risk else "normal"
        return (
            f"the order was signed for contract {signed.exchange_contract}; a {kind} market's is {contract}"
        )
    expected = order_hash(signed)
    if signed.order_id != expected:
        return f"the signed order's id was {signed.order_id}; its hash is {expected}"
    return None


def signed_digest(signed: SignedOrder) -> str:
    """Return the SHA-256 of a signed order's every field: which bytes were meant, without being them."""
    return sha256(signed.to_json()).hexdigest()


def exchange_contract(chain_id: int, neg_risk: bool) -> str:
    """Return the CTF Exchange V2 contract for this kind of market."""
    config = get_contract_config(chain_id)
    contract: str = config.neg_risk_exchange_v2 if neg_risk else config.exchange_v2
    return contract


def order_hash(signed: SignedOrder) -> str:
    """Return the order's EIP-712 hash, which is its id on the exchange.

    Computed here from the fields' own words, and not by whoever signed.

    Raises:
        ValueError, OverflowError: A field does not fit its word.
    """
    words = (
        signed.salt,
        int(signed.maker, 16),
        int(signed.signer, 16),
        int(signed.token_id),
        signed.maker_amount_micro,
        signed.taker_amount_micro,
        0 if signed.side == "BUY" else 1,
        signed.signature_type,
        signed.timestamp_ms,
        int(signed.metadata, 16),
        int(signed.builder_code, 16),
    )
    struct = keccak(ORDER_TYPE_HASH + b"".join([word.to_bytes(32, "big") for word in words]))
    separator = _domain_separator(signed.exchange_contract, signed.chain_id)
    return "0x" + keccak(b"\x19\x01" + separator + struct).hex()


@lru_cache(maxsize=8)
def _domain_separator(contract: str, chain_id: int) -> bytes:
    separator: bytes = ExchangeOrderBuilderV2(contract, chain_id, signer=None).app_domain_separator
    return separator
