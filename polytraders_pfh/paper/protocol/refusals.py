"""A request the exchange says no to: status, body and headers, raised by handlers, sent by the server.

Texts are the exchange's own: its error-code page, and what clients have reported from live use.
"""

from collections.abc import Mapping
from typing import Final

from polytraders_pfh.errors import PfhError

INVALID_KEY: Final = "Unauthorized/Invalid api key"
INVALID_L1: Final = "Invalid L1 Request headers"
INVALID_ORDER_PAYLOAD: Final = "Invalid order payload"
INVALID_ORDER_ID: Final = "Invalid orderID"
INVALID_SIGNATURE: Final = "invalid signature"
INVALID_TOKEN: Final = "Invalid token id"  # noqa: S105 - an outcome token, not a credential
INVALID_PAYLOAD: Final = "Invalid payload"
VERSION_MISMATCH: Final = "order_version_mismatch"
OWNER_MISMATCH: Final = "the order owner has to be the owner of the API KEY"
SIGNER_MISMATCH: Final = "the order signer address has to be the address of the API KEY"
NO_BOOK: Final = "No orderbook exists for the requested token id"
NO_MARKET: Final = "market not found"
TOO_MANY_REQUESTS: Final = "Too Many Requests"


class Refused(PfhError):
    """The exchange's answer is `status` with a JSON `body`; nothing was changed by the request."""

    def __init__(
        self, status: int, body: str | Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.body: Mapping[str, object] = {"error": body} if isinstance(body, str) else body
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(f"the exchange refused the request with HTTP {status}: {dict(self.body)}")
