"""The signer's side of the socket: who may ask, what is decoded, what is refused, what is signed.

The socket is readable by its owner alone (0600), in a directory that is the owner's alone (0700), and the
kernel's word on who connects (SO_PEERCRED) is checked besides: a process of another user gets no answer.
"""

import asyncio
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Any, Final

from polytraders_hookspecs import Clock, ContractError, UnsignedOrder, read_json
from polytraders_hookspecs.wire import print_json

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.account import KeyHolder
from polytraders_pfh.host.errors import SigningRefused
from polytraders_pfh.host.signing.limits import Pace, SigningLimits
from polytraders_pfh.host.signing.wire import MAX_LINE, AccountFacts, AskClobAuth, peer_uid

_log: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 5.0
_BACKLOG: Final = 128
_AUTH_WITHIN_S: Final = 60
_MAX_PATH_BYTES: Final = 107


class SigningServer:
    """Answers on one Unix socket.

    Args:
        path: Where the socket will be; its directory is made when it is absent.
        holder: The key.
        limits: What may be signed.
        clock: For the pace and the age of log-ins.
        uid: Whose processes are answered; the signer's own user when None.
    """

    def __init__(
        self, path: Path, holder: KeyHolder, limits: SigningLimits, clock: Clock, *, uid: int | None = None
    ) -> None:
        self._path = path
        self._holder = holder
        self._limits = limits
        self._pace = Pace(limits.orders_per_minute)
        self._clock = clock
        self._uid = os.getuid() if uid is None else uid
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigError: The directory or the path is not fit, or another signer listens there.
            OSError: The socket cannot be made.
        """
        _claim(self._path)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, self._path, limit=MAX_LINE, backlog=_BACKLOG
            )
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening, and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            uid = peer_uid(writer.get_extra_info("socket"))
            if uid != self._uid:
                _log.warning("a process of user %d asked for a signature and got no answer", uid)
                return
            async with asyncio.timeout(_PATIENCE_S):
                line = await reader.readline()
                if line:
                    writer.write(await self._answer(line) + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, ValueError) as e:
            _log.warning("a question was not answered: %s", type(e).__name__)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            return await self._answer_to(read_json(line))
        except (SigningRefused, ContractError) as e:
            _log.warning("refused: %s", e)
            return print_json({"refused": str(e)}).encode("ascii")
        except Exception as e:
            # What a library says of an order may quote what it signs with, so its words stay here unread.
            _log.error("a question could not be answered: %s", type(e).__name__)
            return print_json({"refused": f"the signer failed with {type(e).__name__}"}).encode("ascii")

    async def _answer_to(self, question: Any) -> bytes:
        ask = question.get("ask") if isinstance(question, dict) else None
        if ask == "order":
            order = UnsignedOrder.from_members(question.get("order"))
            return b'{"signed":' + (await self._sign(order)) + b"}"
        if ask == "clob_auth":
            return await self._prove(AskClobAuth.from_members(question))
        if ask == "account":
            return b'{"account":' + _facts(self._holder).to_json() + b"}"
        raise SigningRefused("ask was none of account, clob_auth and order; nothing else is answered here")

    async def _sign(self, order: UnsignedOrder) -> bytes:
        refusal = self._limits.refusal(order) or self._pace.refusal(self._clock.monotonic_ns())
        if refusal:
            raise SigningRefused(f"{refusal}; nothing was signed")
        self._pace.signing(self._clock.monotonic_ns())
        return (await self._holder.sign_order(order)).to_json()

    async def _prove(self, question: AskClobAuth) -> bytes:
        off_s = abs(self._clock.now_ms() // 1000 - question.timestamp_s)
        if off_s > _AUTH_WITHIN_S or question.nonce < 0:
            raise SigningRefused(
                f"a log-in was stamped {off_s} s off this machine's clock; {_AUTH_WITHIN_S} s are allowed, "
                "so set the clocks"
            )
        signature = await self._holder.account.clob_auth(question.timestamp_s, question.nonce)
        return print_json({"signature": signature}).encode("ascii")


def _facts(holder: KeyHolder) -> AccountFacts:
    account = holder.account
    return AccountFacts(
        address=account.address,
        maker=account.maker,
        signature_type=account.signature_type,
        chain_id=account.chain_id,
    )


def _claim(path: Path) -> None:
    """Make the directory and clear the path of a dead signer's socket.

    Raises:
        ConfigError: Says what is in the way.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigError(
            f"signer.socket was {path}; a socket's path takes at most {_MAX_PATH_BYTES} bytes; "
            "name a shorter one"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = path.parent.stat()
    mode = stat.S_IMODE(folder.st_mode)
    if folder.st_uid != os.getuid() or mode & 0o077:
        raise ConfigError(
            f"signer.socket's directory {path.parent} was mode {mode:04o} of user {folder.st_uid}; "
            f"make it 0700 and this user's ({os.getuid()}), or name another"
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise ConfigError(f"signer.socket was {path}, where a file is that is no socket; name another path")
    if _is_answered(path):
        raise ConfigError(
            f"signer.socket was {path}, where another signer listens; stop it or name another path"
        )
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
