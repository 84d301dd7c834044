"""A hand-written WebSocket server: it records what clients say and sends what it is told to."""

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web


class StubFeed:
    """One server, any number of connections, both channels."""

    def __init__(self) -> None:
        self.open: list[tuple[str, web.WebSocketResponse]] = []
        self.greetings: list[tuple[str, Any]] = []
        self.said: list[Any] = []
        self.pings = 0
        self.answer_pings = True
        self.refuse = False
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "StubFeed":
        app = web.Application()
        app.router.add_get("/ws/{channel}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.drop()
        assert self._runner is not None
        await self._runner.cleanup()

    async def send(self, message: Any, channel: str = "market") -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        for name, socket in list(self.open):
            if name == channel:
                await socket.send_str(text)

    async def drop(self) -> None:
        for _, socket in list(self.open):
            await socket.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            return web.Response(status=503)
        channel = request.match_info["channel"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        entry = (channel, socket)
        self.open.append(entry)
        try:
            first = True
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                if frame.data == "PING":
                    self.pings += 1
                    if self.answer_pings:
                        await socket.send_str("PONG")
                elif first:
                    first = False
                    self.greetings.append((channel, json.loads(frame.data)))
                else:
                    self.said.append(json.loads(frame.data))
        except asyncio.CancelledError:
            pass
        finally:
            self.open.remove(entry)
        return socket
