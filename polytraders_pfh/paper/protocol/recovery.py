"""Public-key recovery: which address signed an EIP-712 message."""

import re
from typing import Final

from eth_account import Account
from eth_account.messages import SignableMessage
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

# r, s, and a v of 27 or 28: the only two the exchange's contracts take.
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{128}1[bBcC]")


def recover_address(message: SignableMessage, signature: str) -> str | None:
    """Return the signer's lower-case address, or None when `signature` is not 0x + 65 valid bytes."""
    if not _SIGNATURE.fullmatch(signature):
        return None
    try:
        return str(Account.recover_message(message, signature=signature)).lower()
    except (BadSignature, ValidationError, ValueError):
        return None
