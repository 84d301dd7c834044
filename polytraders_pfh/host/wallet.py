"""The key that signs: parsed once, held here alone, shown nowhere."""

from typing import Any, Final

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address

from polytraders_pfh.host.account import SignatureType
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.secret import Secret

_KEY_DIGITS: Final = 64
_V_OFFSET: Final = 27
_AUTH_MESSAGE: Final = "This message attests that I control the given wallet"
_AUTH_TYPES: Final = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
    ],
    "ClobAuth": [
        {"name": "address", "type": "address"},
        {"name": "timestamp", "type": "string"},
        {"name": "nonce", "type": "uint256"},
        {"name": "message", "type": "string"},
    ],
}


class Wallet:
    """An EOA's key and the wallet that it trades for.

    Attributes:
        address: The key's own address, checksummed; API credentials belong to it.
        maker: Who holds the funds: the key itself (type 0) or `funder` (types 1 to 3).
        order_signer: What stands as `signer` in an order: the key, or for type 3 the funder.

    It has the three members that the SDK's order builder asks of a signer (`address`, `get_chain_id`,
    `private_key`) through `sdk_signer`, whose key is an object, so nothing parses it per order.
    """

    __slots__ = ("_key", "address", "chain_id", "maker", "order_signer", "signature_type")

    def __init__(
        self, key: Secret, *, chain_id: int, signature_type: SignatureType = 0, funder: str | None = None
    ) -> None:
        self._key = _parse(key)
        self.address: str = self._key.public_key.to_checksum_address()
        self.chain_id = chain_id
        self.signature_type: SignatureType = signature_type
        self.maker: str = to_checksum_address(funder) if funder else self.address
        self.order_signer = self.maker if signature_type == 3 else self.address
        if signature_type == 0 and self.maker != self.address:
            raise SecretMissing(
                f"wallet.funder was {self.maker}, and signature type 0 trades for the key's own address "
                f"{self.address}; leave funder out or set signature_type"
            )

    def __repr__(self) -> str:
        return f"Wallet({self.address}, signature_type={self.signature_type})"

    def sdk_signer(self) -> Any:
        """Return this key in the shape that the SDK's builder takes."""
        return _SdkSigner(self._key, self.address, self.chain_id)

    def sign_digest(self, digest: bytes) -> str:
        """Return the signature of a 32-byte hash as r, s and v (27 or 28): 0x and 130 hex digits."""
        signature = self._key.sign_msg_hash(digest)
        words: bytes = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big")
        return "0x" + (words + bytes([signature.v + _V_OFFSET])).hex()

    async def clob_auth(self, timestamp_s: int, nonce: int) -> str:
        """Return `sign_clob_auth`, as an account whose key is elsewhere would."""
        return self.sign_clob_auth(timestamp_s, nonce)

    def sign_clob_auth(self, timestamp_s: int, nonce: int) -> str:
        """Return the L1 signature that creates or derives API credentials, as 0x and 130 hex digits."""
        message = clob_auth_message(self.address, self.chain_id, timestamp_s, nonce)
        return "0x" + bytes(Account.sign_message(message, private_key=self._key).signature).hex()


def clob_auth_message(address: str, chain_id: int, timestamp_s: int, nonce: int) -> SignableMessage:
    """Return what an L1 signature signs: that this address controls its wallet (exchange docs, L1)."""
    return encode_typed_data(
        full_message={
            "primaryType": "ClobAuth",
            "types": _AUTH_TYPES,
            "domain": {"name": "ClobAuthDomain", "version": "1", "chainId": chain_id},
            "message": {
                "address": address,
                "timestamp": str(timestamp_s),
                "nonce": nonce,
                "message": _AUTH_MESSAGE,
            },
        }
    )


class _SdkSigner:
    __slots__ = ("_address", "_chain_id", "private_key")

    def __init__(self, key: PrivateKey, address: str, chain_id: int) -> None:
        self.private_key = key
        self._address = address
        self._chain_id = chain_id

    def __repr__(self) -> str:
        return f"_SdkSigner({self._address})"

    def address(self) -> str:
        return self._address

    def get_chain_id(self) -> int:
        return self._chain_id


def _parse(secret: Secret) -> PrivateKey:
    text = secret.reveal().removeprefix("0x")
    try:
        return PrivateKey(bytes.fromhex(text if len(text) == _KEY_DIGITS else ""))
    except Exception:  # noqa: BLE001, RUF100 - a library's message may quote the key
        raise SecretMissing(
            "the wallet's key was not a private key; it is 64 hex digits, with or without 0x"
        ) from None
