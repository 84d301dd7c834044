"""The exchange's two signatures: L1 by the wallet for API credentials, L2 by HMAC for every trading call.

L2 covers timestamp, method, path without query, and the exact bytes of the body (exchange docs,
authentication). Cancels and reads need L2 alone; the private key is not involved.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass, field

from polytraders_hookspecs import Clock

from polytraders_pfh.host.account import Account
from polytraders_pfh.host.errors import SecretMissing
from polytraders_pfh.host.secret import Secret


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """An API key (it is also the `owner` of every order), its secret and its passphrase."""

    key: str = field(repr=False)
    secret: Secret
    passphrase: Secret


class L2Auth:
    """Signs trading calls with API credentials.

    Raises:
        SecretMissing: The API secret is not URL-safe base64.
    """

    def __init__(self, credentials: ApiCredentials, address: str, clock: Clock) -> None:
        self.credentials = credentials
        self._address = address
        self._clock = clock
        try:
            self._key = base64.urlsafe_b64decode(credentials.secret.reveal())
        except (ValueError, binascii.Error):
            raise SecretMissing("the API secret was not URL-safe base64; copy it as issued") from None

    def headers(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """Return the five POLY_ headers for one request, stamped now.

        Args:
            method: Upper case.
            path: Without host and without query.
            body: The bytes that will be sent.
        """
        timestamp = str(self._clock.now_ms() // 1000)
        message = f"{timestamp}{method}{path}".encode("ascii") + body
        digest = hmac.digest(self._key, message, "sha256")
        return {
            "POLY_ADDRESS": self._address,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode("ascii"),
            "POLY_TIMESTAMP": timestamp,
            "POLY_API_KEY": self.credentials.key,
            "POLY_PASSPHRASE": self.credentials.passphrase.reveal(),
        }


async def l1_headers(account: Account, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
    """Return the four POLY_ headers that prove control of the wallet."""
    return {
        "POLY_ADDRESS": account.address,
        "POLY_SIGNATURE": await account.clob_auth(timestamp_s, nonce),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_NONCE": str(nonce),
    }
