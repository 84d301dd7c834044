"""An order's identity and whether its signature is the claimed signer's.

The id is the EIP-712 digest of the eleven signed fields under the exchange's domain, for every signature
type. Types 0 (EOA), 1 (proxy) and 2 (Safe) sign that digest. Type 3 (deposit wallet) signs it nested as
ERC-7739 says: the wallet's key signs TypedDataSign(Order contents, wallet domain) in the exchange's domain,
and the signature carries what a wallet contract needs to rebuild that:

    65 bytes inner signature | 32 domain separator | 32 order struct hash | type string | 2 bytes its length
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from eth_account.messages import SignableMessage, encode_typed_data
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderV2
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ORDER_TYPE_STRING

from polytraders_pfh.paper.core.model import Side
from polytraders_pfh.paper.protocol.envelope import SignedOrder
from polytraders_pfh.paper.protocol.recovery import recover_address
from polytraders_pfh.paper.protocol.refusals import (
    INVALID_ORDER_PAYLOAD,
    INVALID_SIGNATURE,
    VERSION_MISMATCH,
    Refused,
)

DOMAIN_VERSION: Final = "2"
OTHER_VERSIONS: Final = ("1", "3")
_ZERO32: Final = "0x" + "00" * 32
_INNER_BYTES: Final = 65
_WALLET_FIELDS: Final = [
    {"name": "contents", "type": "Order"},
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
    {"name": "salt", "type": "bytes32"},
]


class SignatureType(IntEnum):
    """How a maker's wallet signs."""

    EOA = 0
    PROXY = 1
    SAFE = 2
    DEPOSIT_WALLET = 3


class OrderVerifier:
    """Checks orders for one chain's two current exchange contracts."""

    def __init__(self, chain_id: int) -> None:
        contracts = get_contract_config(chain_id)
        self._chain_id = chain_id
        self._contracts = {False: str(contracts.exchange_v2), True: str(contracts.neg_risk_exchange_v2)}
        self._foreign = (*self._contracts.values(), str(contracts.exchange_v3))
        self._builders = {
            (contract, version): ExchangeOrderBuilderV2(contract, chain_id, None, domain_version=version)
            for contract in self._foreign
            for version in (DOMAIN_VERSION, *OTHER_VERSIONS)
        }

    def order_id(self, order: SignedOrder, *, neg_risk: bool) -> str:
        """Return the order's id: the digest under the contract its market trades on."""
        builder = self._builders[self._contracts[neg_risk], DOMAIN_VERSION]
        return str(builder.build_order_hash(builder.build_order_typed_data(_sdk_order(order))))

    def verify(self, order: SignedOrder, *, signed_by: str, neg_risk: bool) -> str:
        """Return the order's id if the key of address `signed_by` (lower case) signed it.

        Refused with 400: `order_version_mismatch` when it is signed for another domain version, and
        `invalid signature` for anything else, the other market kind's contract included.
        """
        if order.signature_type not in tuple(SignatureType):
            raise Refused(400, INVALID_ORDER_PAYLOAD)
        if self._signer(order, self._contracts[neg_risk], DOMAIN_VERSION) == signed_by:
            return self.order_id(order, neg_risk=neg_risk)
        raise Refused(
            400, VERSION_MISMATCH if self._signed_elsewhere(order, signed_by) else INVALID_SIGNATURE
        )

    def _signed_elsewhere(self, order: SignedOrder, signed_by: str) -> bool:
        return any(
            self._signer(order, contract, version) == signed_by
            for contract in self._foreign
            for version in OTHER_VERSIONS
        )

    def _signer(self, order: SignedOrder, contract: str, version: str) -> str | None:
        typed = self._builders[contract, version].build_order_typed_data(_sdk_order(order))
        if order.signature_type == SignatureType.DEPOSIT_WALLET:
            return _wallet_key(order, typed, self._chain_id)
        if order.signature_type == SignatureType.EOA and order.maker != order.signer:
            return None
        recovered = recover_address(encode_typed_data(full_message=typed), order.signature)
        return recovered if recovered == order.signer else None


def _wallet_key(order: SignedOrder, typed: Mapping[str, Any], chain_id: int) -> str | None:
    """Return the key behind a deposit wallet's ERC-7739 signature, or None when it does not fit the order."""
    if order.maker != order.signer:
        return None
    plain = encode_typed_data(full_message=dict(typed))
    contents = ORDER_TYPE_STRING.encode()
    tail = plain.header + plain.body + contents + len(contents).to_bytes(2, "big")
    signature = bytes.fromhex(order.signature[2:])
    if len(signature) != _INNER_BYTES + len(tail) or signature[_INNER_BYTES:] != tail:
        return None
    return recover_address(_nested(order, typed, chain_id), "0x" + signature[:_INNER_BYTES].hex())


def _nested(order: SignedOrder, typed: Mapping[str, Any], chain_id: int) -> SignableMessage:
    return encode_typed_data(
        full_message={
            "primaryType": "TypedDataSign",
            "types": {**typed["types"], "TypedDataSign": _WALLET_FIELDS},
            "domain": typed["domain"],
            "message": {
                "contents": typed["message"],
                "name": "DepositWallet",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": order.signer,
                "salt": _ZERO32,
            },
        }
    )


def _sdk_order(order: SignedOrder) -> OrderV2:
    return OrderV2(
        salt=str(order.salt),
        maker=order.maker,
        signer=order.signer,
        tokenId=order.token_id,
        makerAmount=str(order.maker_amount),
        takerAmount=str(order.taker_amount),
        side=0 if order.side is Side.BUY else 1,
        signatureType=order.signature_type,
        timestamp=str(order.timestamp_ms),
        metadata=order.metadata,
        builder=order.builder,
    )
