"""What host and signer say over the socket: one line of JSON each way, one question a connection.

    {"ask": "account"}                                  {"account": {...}}
    {"ask": "clob_auth", "timestamp_s": 1, "nonce": 0}  {"signature": "0x..."}
    {"ask": "order", "order": {...}}                    {"signed": {...}}
    anything that is not signed                         {"refused": "a sentence"}

A connection of its own for every question means that answers cannot be mixed up, and that a signer that was
started again is simply there.
"""

import socket
import struct
from typing import Annotated, Final, Literal, cast

from polytraders_hookspecs.wire import WireModel
from pydantic import Field

from polytraders_pfh.host.account import SignatureType

MAX_LINE: Final = 16 * 1024
_PEER: Final = struct.Struct("3i")
_Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class AskAccount(WireModel):
    """Whose key is it?"""

    ask: Literal["account"] = "account"


class AskClobAuth(WireModel):
    """Prove control of the wallet, for API credentials."""

    ask: Literal["clob_auth"] = "clob_auth"
    timestamp_s: int
    nonce: int


class AccountFacts(WireModel):
    """The public facts about the signer's wallet."""

    address: _Address
    maker: _Address
    signature_type: SignatureType
    chain_id: int


def peer_uid(connection: socket.socket) -> int:
    """Return the user at the other end of a Unix socket, as the kernel says."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return cast("tuple[int, int, int]", _PEER.unpack(data))[1]
