"""The in-process signer: exact integers in, one signed order out, its hash known before it is sent."""

import secrets
from collections.abc import Callable
from typing import Any, Final

from eth_utils.crypto import keccak
from polytraders_hookspecs import Clock, SignedOrder, UnsignedOrder
from polytraders_hookspecs.wire import MICRO
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils import OrderDataV2, Side, SignatureTypeV2
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ORDER_TYPE_HASH, ExchangeOrderBuilderV2

from polytraders_pfh.host.account import Account
from polytraders_pfh.host.errors import SigningRefused
from polytraders_pfh.host.wallet import Wallet

MAX_SALT: Final = 2**53
"""The salt travels as a JSON number, so it must survive a double (exchange docs, order struct)."""

_NESTED: Final = 3
"""A deposit wallet's signature wraps the hash once more (ERC-7739)."""


def random_salt() -> int:
    """Return a salt that nobody can guess, from 1 to 2^53 - 1."""
    return 1 + secrets.randbelow(MAX_SALT - 1)


class WalletSigner:
    """Signs orders with a wallet in this process (the contract's `Signer`).

    Salt and timestamp come from here and nowhere else: two calls never give the same order.

    Args:
        wallet: Key, maker and signature type.
        clock: Where timestamps come from; they grow by at least 1 ms with every order.
        new_salt: A source of salts below 2^53.
    """

    def __init__(self, wallet: Wallet, clock: Clock, *, new_salt: Callable[[], int] = random_salt) -> None:
        self._wallet = wallet
        self._clock = clock
        self._new_salt = new_salt
        self._last_ms = 0
        contracts = get_contract_config(wallet.chain_id)
        self._builders = {
            False: self._builder(contracts.exchange_v2),
            True: self._builder(contracts.neg_risk_exchange_v2),
        }

    def __repr__(self) -> str:
        return f"WalletSigner({self._wallet!r})"

    @property
    def account(self) -> Account:
        return self._wallet

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        """Return this order signed, with its EIP-712 hash as its id.

        Raises:
            SigningRefused: The amounts are not price times size, or a field is out of bounds.
        """
        check_amounts(order)
        builder = self._builders[order.neg_risk]
        built = builder.build_order(self._order_data(order))
        digest = order_digest(built, builder.app_domain_separator)
        return SignedOrder(
            order_id="0x" + digest.hex(),
            salt=int(built.salt),
            maker=built.maker,
            signer=built.signer,
            token_id=order.token_id,
            maker_amount_micro=order.maker_amount_micro,
            taker_amount_micro=order.taker_amount_micro,
            side=order.side,
            signature_type=self._wallet.signature_type,
            timestamp_ms=int(built.timestamp),
            metadata=built.metadata,
            builder_code=order.builder_code,
            expiration_s=order.expiration_s,
            order_type=order.order_type,
            post_only=order.post_only,
            chain_id=self._wallet.chain_id,
            exchange_contract=builder.contract_address,
            signature=self._signature(builder, built, digest),
        )

    def _signature(self, builder: Any, built: Any, digest: bytes) -> str:
        """Return the signature: of the hash itself, which the SDK would compute anew; nested for type 3."""
        if self._wallet.signature_type == _NESTED:
            nested: str = builder.build_order_signature(builder.build_order_typed_data(built))
            return nested
        return self._wallet.sign_digest(digest)

    def _builder(self, contract: str) -> Any:
        return ExchangeOrderBuilderV2(
            contract, self._wallet.chain_id, self._wallet.sdk_signer(), generate_salt=self._salt
        )

    def _order_data(self, order: UnsignedOrder) -> Any:
        return OrderDataV2(
            maker=self._wallet.maker,
            signer=self._wallet.order_signer,
            tokenId=order.token_id,
            makerAmount=str(order.maker_amount_micro),
            takerAmount=str(order.taker_amount_micro),
            side=Side.BUY if order.side == "BUY" else Side.SELL,
            signatureType=SignatureTypeV2(self._wallet.signature_type),
            timestamp=str(self._next_ms()),
            builder=order.builder_code,
            expiration=str(order.expiration_s),
        )

    def _next_ms(self) -> int:
        self._last_ms = max(self._clock.now_ms(), self._last_ms + 1)
        return self._last_ms

    def _salt(self) -> str:
        salt = self._new_salt()
        if not 0 < salt < MAX_SALT:
            raise SigningRefused(f"a salt was {salt}; the source must stay above 0 and below 2^53")
        return str(salt)


def order_digest(order: Any, domain_separator: bytes) -> bytes:
    """Return the EIP-712 hash of the SDK's order struct, in two Keccaks.

    The SDK's own way through generic typed data gives the same bytes and takes several times a signature.
    """
    words = (
        int(order.salt),
        int(order.maker, 16),
        int(order.signer, 16),
        int(order.tokenId),
        int(order.makerAmount),
        int(order.takerAmount),
        int(order.side),
        int(order.signatureType),
        int(order.timestamp),
        int(order.metadata, 16),
        int(order.builder, 16),
    )
    struct = keccak(ORDER_TYPE_HASH + b"".join([word.to_bytes(32, "big") for word in words]))
    return keccak(b"\x19\x01" + domain_separator + struct)


def check_amounts(order: UnsignedOrder) -> None:
    """Return when the amounts are exactly price times size, the right way round for the side.

    Raises:
        SigningRefused: Shows the numbers that disagree.
    """
    if not 0 < order.price_micro < MICRO:
        raise SigningRefused(f"price_micro was {order.price_micro}; it lies between 0 and {MICRO}, exclusive")
    if order.size_micro <= 0:
        raise SigningRefused(f"size_micro was {order.size_micro}; sign only more than nothing")
    usd_micro, rest = divmod(order.price_micro * order.size_micro, MICRO)
    if rest:
        raise SigningRefused(
            f"price {order.price_micro} times size {order.size_micro} was no whole number of millionths; "
            "round the size to the exchange's lot"
        )
    buys = order.side == "BUY"
    wanted = (usd_micro, order.size_micro) if buys else (order.size_micro, usd_micro)
    if (order.maker_amount_micro, order.taker_amount_micro) != wanted:
        raise SigningRefused(
            f"a {order.side} of {order.size_micro} at {order.price_micro} had amounts "
            f"({order.maker_amount_micro}, {order.taker_amount_micro}); they must be {wanted}"
        )
    if (order.order_type == "GTD") != (order.expiration_s > 0):
        raise SigningRefused(
            f"a {order.order_type} order had expiration_s {order.expiration_s}; "
            "GTD needs Unix seconds, GTC needs 0"
        )
