"""The body of POST /order, read strictly: one signed order and what travels around it unsigned.

Field names and kinds are the exchange's: amounts, ids and timestamps are decimal strings, salt and
signatureType are JSON numbers. Anything else is `Invalid order payload`, and an order of the old struct
`order_version_mismatch`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from polytraders_hookspecs.nesting import nests_too_deep

from polytraders_pfh.paper.core.model import OrderType, Side
from polytraders_pfh.paper.protocol.refusals import INVALID_ORDER_PAYLOAD, VERSION_MISMATCH, Refused

_DIGITS: Final = re.compile(r"[0-9]{1,78}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_BYTES32: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})+")
_UINT256: Final = 2**256
_V1_FIELDS: Final = frozenset({"nonce", "feeRateBps", "taker"})


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """The eleven signed fields and the signature. Addresses are lower case, amounts integers of 10^-6."""

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: int
    taker_amount: int
    side: Side
    signature_type: int
    timestamp_ms: int
    metadata: str
    builder: str
    signature: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed order with its unsigned companions; `owner` is an API key's uuid, `expiration_s` in unix s."""

    order: SignedOrder
    owner: str
    order_type: OrderType
    expiration_s: int
    post_only: bool
    defer_exec: bool


def read_json(body: bytes, refusal: str = INVALID_ORDER_PAYLOAD) -> object:
    """Parse a request body; refused with 400 and `refusal` when it is not JSON."""
    if nests_too_deep(body):
        raise Refused(400, refusal)
    try:
        return cast("object", json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        raise Refused(400, refusal) from None


def read_envelope(payload: object) -> Envelope:
    """Read one posted order; refused with 400 when a field is missing or of the wrong kind."""
    outer = _mapping(payload)
    inner = _mapping(outer.get("order"))
    if _V1_FIELDS & inner.keys() or "timestamp" not in inner:
        raise Refused(400, VERSION_MISMATCH)
    order_type = outer.get("orderType", "GTC")
    if order_type not in OrderType.__members__:
        raise _bad()
    return Envelope(
        order=_signed_order(inner),
        owner=_text(outer, "owner"),
        order_type=OrderType(str(order_type)),
        expiration_s=_uint_text(inner.get("expiration", "0")),
        post_only=_flag(outer, "postOnly"),
        defer_exec=_flag(outer, "deferExec"),
    )


def _signed_order(inner: Mapping[str, object]) -> SignedOrder:
    side = inner.get("side")
    if side not in Side.__members__:
        raise _bad()
    return SignedOrder(
        salt=_uint(inner, "salt"),
        maker=_hex(inner, "maker", _ADDRESS),
        signer=_hex(inner, "signer", _ADDRESS),
        token_id=str(_uint_text(inner.get("tokenId"))),
        maker_amount=_uint_text(inner.get("makerAmount")),
        taker_amount=_uint_text(inner.get("takerAmount")),
        side=Side(str(side)),
        signature_type=_uint(inner, "signatureType"),
        timestamp_ms=_uint_text(inner.get("timestamp")),
        metadata=_hex(inner, "metadata", _BYTES32),
        builder=_hex(inner, "builder", _BYTES32),
        signature=_hex(inner, "signature", _HEX),
    )


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _bad()
    return cast("Mapping[str, object]", value)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise _bad()
    return value


def _hex(fields: Mapping[str, object], name: str, pattern: re.Pattern[str]) -> str:
    value = _text(fields, name)
    if not pattern.fullmatch(value):
        raise _bad()
    return value.lower()


def _uint(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _UINT256:
        raise _bad()
    return value


def _uint_text(value: object) -> int:
    if not isinstance(value, str) or not _DIGITS.fullmatch(value) or int(value) >= _UINT256:
        raise _bad()
    return int(value)


def _flag(fields: Mapping[str, object], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise _bad()
    return value


def _bad() -> Refused:
    return Refused(400, INVALID_ORDER_PAYLOAD)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
