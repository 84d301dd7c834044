"""The host's side of the socket: a key that is in another process, behind the same service as one in this.

Every failure is a `SigningRefused` or a `SignerAway` with a sentence; whatever comes back is compared with
what was asked, and its hash computed anew, before anybody may post it.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, Final, Self

from polytraders_hookspecs import ContractError, SignedOrder, UnsignedOrder, read_json

from polytraders_pfh.engine.orders import signed_fault
from polytraders_pfh.host.account import Account, SignatureType
from polytraders_pfh.host.errors import SignerAway, SigningRefused
from polytraders_pfh.host.signing.wire import MAX_LINE, AccountFacts, AskAccount, AskClobAuth, peer_uid

_log: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 0.75
"""Half of how old a book may be: whoever waits for a signature in vain still hears that it was the signer."""


class SocketSigner:
    """A signer in another process, and the account that it signs for.

    Args:
        path: The signer's socket.
        facts: What it told of its account.
        patience_s: Seconds for one question.
    """

    def __init__(self, path: Path, facts: AccountFacts, *, patience_s: float = _PATIENCE_S) -> None:
        self._path = path
        self._facts = facts
        self._patience_s = patience_s

    @classmethod
    async def connect(cls, path: Path, *, patience_s: float = _PATIENCE_S) -> Self:
        """Ask the signer for its account.

        Raises:
            SignerAway: Nobody answers there, or somebody else does.
        """
        answer = await _ask(path, AskAccount().to_json(), patience_s)
        try:
            return cls(path, AccountFacts.from_members(answer.get("account")), patience_s=patience_s)
        except ContractError as e:
            raise _garbage(path, str(e)) from None

    def __repr__(self) -> str:
        return f"SocketSigner({self._path}, {self.address})"

    @property
    def account(self) -> Account:
        return self

    @property
    def address(self) -> str:
        return self._facts.address

    @property
    def maker(self) -> str:
        return self._facts.maker

    @property
    def signature_type(self) -> SignatureType:
        return self._facts.signature_type

    @property
    def chain_id(self) -> int:
        return self._facts.chain_id

    async def clob_auth(self, timestamp_s: int, nonce: int) -> str:
        """Return the L1 signature.

        Raises:
            SigningRefused: The signer would not.
            SignerAway: It did not answer, or not with a signature.
        """
        question = AskClobAuth(timestamp_s=timestamp_s, nonce=nonce)
        signature = (await _ask(self._path, question.to_json(), self._patience_s)).get("signature")
        if not isinstance(signature, str):
            raise _garbage(self._path, "signature was absent")
        return signature

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        """Return this order signed, every field compared with what was asked.

        Raises:
            SigningRefused: The signer would not; its own sentence.
            SignerAway: It did not answer in time, or with something else. Nothing may be posted.
        """
        question = b'{"ask":"order","order":' + order.to_json() + b"}"
        answer = await _ask(self._path, question, self._patience_s)
        try:
            signed = SignedOrder.from_members(answer.get("signed"))
            fault = signed_fault(order, signed) or self._wallet_fault(signed)
        except (ContractError, ValueError, OverflowError) as e:
            raise _garbage(self._path, str(e)) from None
        if fault:
            raise _garbage(self._path, fault)
        return signed

    def _wallet_fault(self, signed: SignedOrder) -> str:
        wanted = (self.maker, self.signature_type, self.chain_id)
        was = (signed.maker, signed.signature_type, signed.chain_id)
        return "" if was == wanted else f"it signed for {was}, and its account is {wanted}"


async def _ask(path: Path, question: bytes, patience_s: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(patience_s):
            line = await _exchange(path, question)
        answer = read_json(line)
    except TimeoutError:
        raise _away(
            f"the signer at {path} did not answer within {patience_s:g} s; see whether it hangs"
        ) from None
    except (OSError, EOFError) as e:
        why = "closed without an answer" if isinstance(e, EOFError) else e.strerror or type(e).__name__
        raise _away(
            f"the signer at {path} was not there ({why}); start it: polytraders-pfh signer --config FILE"
        ) from None
    except (ContractError, ValueError) as e:
        raise _garbage(path, str(e)) from None
    if not isinstance(answer, dict):
        raise _garbage(path, "no JSON object")
    if "refused" in answer:
        raise SigningRefused(f"the signer refused: {str(answer['refused'])[:300]}")
    return answer


async def _exchange(path: Path, question: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE)
    try:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid != os.getuid():
            raise PermissionError(0, f"it belongs to user {uid}, not to this one")
        writer.write(question + b"\n")
        await writer.drain()
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line
    finally:
        writer.close()


def _garbage(path: Path, what: str) -> SignerAway:
    return _away(
        f"the signer at {path} answered with something else ({what[:200]}); see which program listens there"
    )


def _away(sentence: str) -> SignerAway:
    _log.error("%s; no order was posted", sentence)
    return SignerAway(sentence)
