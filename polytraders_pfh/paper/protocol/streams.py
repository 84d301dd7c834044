"""WebSocket connections: text in, a bounded queue out, and what happens to a reader who cannot keep up.

Both channels answer the text PING with PONG. There are no sequence numbers and there is no replay; a reader
who falls too far behind is closed with a reason, because messages silently missing would be worse.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from polytraders_pfh.paper.protocol.shapes import compact
from polytraders_pfh.paper.protocol.stream_faults import Channel as ChannelName
from polytraders_pfh.paper.protocol.stream_faults import Passage, StreamPlan

QUEUE_LIMIT: Final = 4_096
SILENT_LIMIT_MS: Final = 10_000
MAX_MESSAGE_BYTES: Final = 1 << 20
_CLOSE_GRACE_S: Final = 1.0


class StreamConnection:
    """Sends what it is offered, in order, without ever making the exchange wait.

    One task writes; it also says goodbye. A reader who takes no bytes is cut off after a short grace.
    """

    def __init__(self, request: web.Request, queue_limit: int, opened_ms: int, passage: Passage) -> None:
        self.opened_ms = opened_ms
        self._passage = passage
        self._request = request
        self._socket = web.WebSocketResponse(timeout=_CLOSE_GRACE_S, max_msg_size=MAX_MESSAGE_BYTES)
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(queue_limit)
        self._goodbye: tuple[WSCloseCode, str] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self, on_text: Callable[[str], None]) -> web.WebSocketResponse:
        """Serve the connection until either side closes it, handing every text but PING to `on_text`."""
        await self._socket.prepare(self._request)
        self._writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                if message.data == "PING":
                    self.offer("PONG")
                else:
                    on_text(message.data)
        finally:
            await self._finish(self._writer)
        return self._socket

    def offer(self, text: str) -> None:
        """Queue a frame; a full queue closes the connection instead."""
        if self._goodbye is not None:
            return
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            unread = self._queue.qsize()
            self.close(WSCloseCode.POLICY_VIOLATION, f"slow reader: {unread} messages unread, reconnect")

    def offer_json(self, message: object) -> None:
        """Queue what the passage makes of a frame that holds `message` as compact JSON."""
        for frame in self._passage(compact(message).decode()):
            self.offer(frame)

    def close(self, code: WSCloseCode, reason: str) -> None:
        """Drop what is queued and close with `code` and `reason`, without waiting for it."""
        if self._goodbye is not None:
            return
        self._goodbye = (code, reason)
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        if self._writer is not None:
            self._ending = asyncio.create_task(self._see_off(self._writer))

    def cut(self) -> None:
        """Break the connection without a word, as a network does. What is queued is lost."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def closed(self) -> None:
        """Return once a close that was asked for has gone through."""
        if self._ending is not None:
            await self._ending

    async def _write(self) -> None:
        # A client that vanishes mid-send is noticed by the reading side, which owns the clean-up.
        with contextlib.suppress(ConnectionError):
            while (text := await self._queue.get()) is not None:
                await self._socket.send_str(text)
            if self._goodbye is not None:
                code, reason = self._goodbye
                await self._socket.close(code=code, message=reason.encode())

    async def _see_off(self, writer: asyncio.Task[None]) -> None:
        _, stuck = await asyncio.wait({writer}, timeout=2 * _CLOSE_GRACE_S)
        if stuck and self._request.transport is not None:
            self._request.transport.abort()

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        if self._goodbye is None:
            writer.cancel()
        await self.closed()
        await asyncio.gather(writer, return_exceptions=True)


class Channel:
    """The open connections of one channel; those that do not subscribe in time are closed."""

    def __init__(self, name: ChannelName, queue_limit: int, faults: StreamPlan) -> None:
        self._name: ChannelName = name
        self._queue_limit = queue_limit
        self._faults = faults
        self._open: set[StreamConnection] = set()
        self._subscribed: set[StreamConnection] = set()

    def accept(self, request: web.Request, now_ms: int) -> StreamConnection:
        """Take in a new connection; the caller runs it and then calls `forget`."""
        connection = StreamConnection(request, self._queue_limit, now_ms, self._faults.passage(self._name))
        self._open.add(connection)
        return connection

    def subscribed(self, connection: StreamConnection) -> None:
        """Note that the connection has said what it wants."""
        self._subscribed.add(connection)

    def forget(self, connection: StreamConnection) -> None:
        """Drop a connection that has ended."""
        self._open.discard(connection)
        self._subscribed.discard(connection)

    def close_silent(self, now_ms: int) -> None:
        """Close connections that sent no valid subscription for too long."""
        for connection in self._open - self._subscribed:
            if now_ms - connection.opened_ms > SILENT_LIMIT_MS:
                connection.close(WSCloseCode.POLICY_VIOLATION, "no subscription was sent")

    def cut(self) -> int:
        """Break every connection without a word; return how many there were."""
        for connection in self._open:
            connection.cut()
        return len(self._open)

    async def close(self) -> None:
        """Close every connection because the server goes away."""
        ending = tuple(self._open)
        for connection in ending:
            connection.close(WSCloseCode.GOING_AWAY, "the server is shutting down")
        await asyncio.gather(*(connection.closed() for connection in ending))
