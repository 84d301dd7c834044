"""The client: finds a host's door, reads its token, hands in one order, returns the answer."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from polytraders_hookspecs import CommandResult

from polytraders_pfh.host.admin.place import AdminPlace, socket_address
from polytraders_pfh.host.admin.token import AdminToken, TokenRefused
from polytraders_pfh.host.errors import HostError

_REFUSED: Final = 401
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024


class NobodyAnswers(HostError):
    """No host answered at its door. The message says where it was looked for, and why not."""


def knock(
    state_dir: Path,
    command: str,
    options: Mapping[str, str],
    *,
    by: str,
    reason: str,
    timeout_s: float = 40.0,
) -> CommandResult:
    """Hand in one order and return what came of it.

    Args:
        state_dir: The host's.
        command: One of `orders.COMMANDS`.
        options: Its options.
        by: The name to record.
        reason: Why.
        timeout_s: For connecting, and for each wait after that.

    Raises:
        NobodyAnswers: There is no host, or it did not answer in time.
        TokenRefused: The token is missing, could be read by others, or is not the host's.
    """
    place = AdminPlace(state_dir)
    if not place.socket.exists() and not place.url.exists():
        raise NobodyAnswers(
            f"no host is running with state directory {state_dir}; start it, or name its config"
        )
    token = AdminToken(place.token).read()
    body = json.dumps({"command": command, "options": dict(options), "by": by, "reason": reason})
    connection = _connection(place, timeout_s)
    try:
        connection.request(
            "POST",
            "/v1/order",
            body.encode(),
            {
                "Authorization": f"Bearer {token.decode('ascii', 'replace')}",
                "Content-Type": "application/json",
            },
        )
        reply = connection.getresponse()
        members = json.loads(reply.read(_MAX_ANSWER_BYTES))
        result = CommandResult(
            ok=bool(members["ok"]), message=str(members["message"]), data=dict(members["data"])
        )
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as e:
        raise NobodyAnswers(f"the host at {place.path} did not answer: {e or type(e).__name__}") from None
    finally:
        connection.close()
    if reply.status == _REFUSED:
        raise TokenRefused(result.message)
    return result


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_address(self._path) as address:
            self.sock.connect(address)


def _connection(place: AdminPlace, timeout_s: float) -> http.client.HTTPConnection:
    if place.socket.exists():
        return _UnixConnection(place.socket, timeout_s)
    parts = urlsplit(place.url.read_text(encoding="ascii").strip())
    return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
