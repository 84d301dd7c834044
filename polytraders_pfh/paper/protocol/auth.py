"""Who is calling: L1 wallet signatures, the API keys they buy, and the L2 HMAC on every trading call.

L1 is an EIP-712 signature over ClobAuth and serves only to create or derive a key. L2 is an HMAC-SHA256 over
timestamp + method + path + raw body, keyed with the decoded secret (exchange docs, API authentication).
"""

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_account.messages import encode_typed_data

from polytraders_pfh.paper.protocol.recovery import recover_address
from polytraders_pfh.paper.protocol.refusals import INVALID_KEY, INVALID_L1, Refused

ATTESTATION: Final = "This message attests that I control the given wallet"
MAX_KEYS: Final = 10_000
_CLOB_AUTH_TYPES: Final = {
    "ClobAuth": [
        {"name": "address", "type": "address"},
        {"name": "timestamp", "type": "string"},
        {"name": "nonce", "type": "uint256"},
        {"name": "message", "type": "string"},
    ]
}
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One set of L2 credentials, bound for life to the address (lower case) whose signature made it."""

    key: str
    secret: str
    passphrase: str
    address: str
    nonce: int


class KeyRing:
    """Every API key handed out. The same address and nonce always yield the same key."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._keys: dict[str, ApiKey] = {}

    def create(self, address: str, nonce: int) -> ApiKey:
        """Issue the key of (address, nonce); refused with 400 when it is already issued."""
        key = self._derive(address, nonce)
        if key.key in self._keys or len(self._keys) >= MAX_KEYS:
            raise Refused(400, "Could not create api key")
        self._keys[key.key] = key
        return key

    def derive(self, address: str, nonce: int) -> ApiKey:
        """Return the issued key of (address, nonce) again; refused with 400 when there is none."""
        found = self._keys.get(self._derive(address, nonce).key)
        if found is None:
            raise Refused(400, "Could not derive api key!")
        return found

    def find(self, key: str) -> ApiKey | None:
        """Return the live key with this uuid, or None."""
        return self._keys.get(key)

    def keys_of(self, address: str) -> tuple[str, ...]:
        """Return the uuids of an address's live keys, oldest first."""
        return tuple(key.key for key in self._keys.values() if key.address == address.lower())

    def revoke(self, key: str) -> None:
        """Forget a key; calls signed with it are unauthorised from now on."""
        self._keys.pop(key, None)

    def _derive(self, address: str, nonce: int) -> ApiKey:
        owner = address.lower()
        return ApiKey(
            key=str(uuid.UUID(bytes=self._bytes("key", owner, nonce)[:16], version=4)),
            secret=base64.urlsafe_b64encode(self._bytes("secret", owner, nonce)).decode(),
            passphrase=self._bytes("passphrase", owner, nonce).hex(),
            address=owner,
            nonce=nonce,
        )

    def _bytes(self, purpose: str, address: str, nonce: int) -> bytes:
        return hmac.digest(self._seed, f"{purpose}|{address}|{nonce}".encode(), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Checks L1 and L2 headers against a key ring.

    `max_skew_s` bounds |now - POLY_TIMESTAMP| in seconds. None checks only its form: whether the exchange
    limits a timestamp's age is not documented, and a recorded day has its own time.
    """

    keys: KeyRing
    chain_id: int
    max_skew_s: int | None = None

    def l1(self, headers: Mapping[str, str], now_ms: int) -> tuple[str, int]:
        """Return (address, nonce) proven by a ClobAuth signature; refused with 401 otherwise."""
        address, timestamp = headers.get("POLY_ADDRESS", ""), headers.get("POLY_TIMESTAMP", "")
        nonce = headers.get("POLY_NONCE", "0")
        if not (_ADDRESS.fullmatch(address) and _DIGITS.fullmatch(nonce) and self._timely(timestamp, now_ms)):
            raise Refused(401, INVALID_L1)
        message = encode_typed_data(
            {"name": "ClobAuthDomain", "version": "1", "chainId": self.chain_id},
            _CLOB_AUTH_TYPES,
            {"address": address, "timestamp": timestamp, "nonce": int(nonce), "message": ATTESTATION},
        )
        if recover_address(message, headers.get("POLY_SIGNATURE", "")) != address.lower():
            raise Refused(401, INVALID_L1)
        return address.lower(), int(nonce)

    def l2(self, headers: Mapping[str, str], method: str, path: str, body: bytes, now_ms: int) -> ApiKey:
        """Return the API key that signed exactly these bytes; refused with 401 otherwise.

        `path` is without host and query string, as the client signs it.
        """
        key = self.keys.find(headers.get("POLY_API_KEY", ""))
        timestamp = headers.get("POLY_TIMESTAMP", "")
        if key is None or not self._timely(timestamp, now_ms):
            raise Refused(401, INVALID_KEY)
        expected = hmac_signature(key.secret, f"{timestamp}{method}{path}".encode() + body)
        proven = (
            _same(headers.get("POLY_SIGNATURE", ""), expected),
            _same(headers.get("POLY_PASSPHRASE", ""), key.passphrase),
            headers.get("POLY_ADDRESS", "").lower() == key.address,
        )
        if not all(proven):
            raise Refused(401, INVALID_KEY)
        return key

    def stream(self, auth: Mapping[str, object]) -> ApiKey | None:
        """Return the key whose three credentials a WebSocket `auth` object carries, or None."""
        key = self.keys.find(str(auth.get("apiKey", "")))
        if key is None:
            return None
        secret_fits = _same(str(auth.get("secret", "")), key.secret)
        passphrase_fits = _same(str(auth.get("passphrase", "")), key.passphrase)
        return key if secret_fits and passphrase_fits else None

    def _timely(self, timestamp: str, now_ms: int) -> bool:
        if not _DIGITS.fullmatch(timestamp):
            return False
        return self.max_skew_s is None or abs(now_ms // 1_000 - int(timestamp)) <= self.max_skew_s


def hmac_signature(secret: str, message: bytes) -> str:
    """Return the padded url-safe base64 of HMAC-SHA256(decoded secret, message)."""
    return base64.urlsafe_b64encode(
        hmac.digest(base64.urlsafe_b64decode(secret), message, hashlib.sha256)
    ).decode()


def _same(given: str, expected: str) -> bool:
    # compare_digest refuses non-ASCII text, and a header may hold any byte.
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
