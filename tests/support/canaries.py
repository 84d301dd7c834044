"""Secrets for tests: each fixed, each like a real one, none of them anybody's.

Nothing here may turn up in a log, a report, a trace, a page or a file; `secret_watch` looks after every test.
"""

import base64
import hashlib
import uuid
from typing import Final


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"a secret of the tests: {name}".encode()).digest()


WALLET_KEY: Final = "0x" + _digest("wallet").hex()
OWNER_KEY: Final = _digest("owner").hex()
RIVAL_KEY: Final = _digest("rival").hex()
EVENT_KEY: Final = _digest("event").hex()
API_KEY: Final = str(uuid.UUID(bytes=_digest("api key")[:16]))
API_SECRET: Final = base64.urlsafe_b64encode(_digest("api secret")).decode()
PASSPHRASE: Final = _digest("passphrase").hex()
FAKE_HOST_KEY: Final = b"0123456789abcdef0123456789abcdef"
"""Events that were recorded once are signed with it, so it is not drawn as the others are."""
