"""The door: a Unix socket that its owner alone may use, or loopback; no order without the token.

POST /v1/order   `Authorization: Bearer TOKEN`, and a JSON object as in `orders`
    200 `{"ok", "message", "data"}` · 400 not understood · 401 refused for its token
"""

import json
import logging
import socket
import struct
from typing import Any, Final, Literal

from aiohttp import web
from polytraders_hookspecs import CommandResult, WireError, read_json
from polytraders_hookspecs.wire import print_json

from polytraders_pfh.host.admin.desk import AdminDesk
from polytraders_pfh.host.admin.orders import Order, OrderRefused
from polytraders_pfh.host.admin.place import AdminPlace
from polytraders_pfh.host.admin.token import AdminToken, TokenRefused

_log: Final = logging.getLogger(__name__)
_SHUTDOWN_S: Final = 1.0
_MAX_BODY_BYTES: Final = 16 * 1024
_CREDENTIALS: Final = struct.Struct("3i")
_LOOPBACK: Final = "127.0.0.1"


class AdminDoor:
    """One host's door.

    Args:
        place: Where socket and token are.
        desk: Who carries orders out.
        kind: A Unix socket, or a port on loopback.
        port: For loopback; 0 takes any free one, and `admin/url` says which.
    """

    def __init__(
        self, place: AdminPlace, desk: AdminDesk, kind: Literal["socket", "loopback"], port: int = 0
    ) -> None:
        self._place = place
        self._desk = desk
        self._kind = kind
        self._port = port
        self._token = AdminToken(place.token)
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Make the token when there is none, and listen.

        Raises:
            ConfigError: The directory belongs to somebody else.
            OSError: Socket or token cannot be made, or the port is taken.
        """
        self._place.make()
        self._token.make()
        try:
            self._token.read()
        except TokenRefused as e:
            _log.error("no order by hand is taken: %s", e)
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/v1/order", self._order)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        self._runner = runner
        if self._kind == "socket":
            await web.SockSite(runner, self._place.bind()).start()
        else:
            await web.TCPSite(runner, _LOOPBACK, self._port).start()
            self._place.url.write_text(f"http://{_LOOPBACK}:{runner.addresses[0][1]}\n", encoding="ascii")

    async def close(self) -> None:
        """Shut it, and leave no address behind."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._place.clear()

    async def _order(self, request: web.Request) -> web.Response:
        peer = _peer(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            self._token.check(given.strip().encode("utf-8", "replace") if scheme == "Bearer" else b"")
        except TokenRefused as e:
            _log.warning("an order by hand was refused (%s): %s", peer, e)
            return _answer(CommandResult(ok=False, message=str(e)), 401)
        try:
            order = Order.read(read_json(await request.read()), peer)
        except (OrderRefused, WireError) as e:
            return _answer(CommandResult(ok=False, message=str(e)), 400)
        return _answer(await self._desk.obey(order))


def _peer(request: web.Request) -> str:
    """Return what the system says of the caller: his user id on a Unix socket, else only that he is here."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is not None and connection.family == socket.AF_UNIX and hasattr(socket, "SO_PEERCRED"):
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(found)
        return f"uid {uid}"
    return "loopback"


def _answer(result: CommandResult, status: int = 200) -> web.Response:
    members: dict[str, Any] = result.model_dump()
    try:
        text = print_json(members)
    except WireError:
        text = json.dumps(members, default=str)  # a bot's own data may hold floats; they are for eyes only
    return web.Response(body=text.encode("ascii"), status=status, content_type="application/json")
