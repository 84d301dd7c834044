"""One WebSocket, kept open: it greets, pings, notices silence, and comes back with growing pauses."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from polytraders_hookspecs import Clock

from polytraders_pfh.host.errors import PayloadError
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import decode, members_of

_log: Final = logging.getLogger(__name__)
_MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_MAX_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class FeedTimings:
    """Seconds.

    `silence_s` is how long a feed may carry no data although its pings are answered, `reconcile_s` how often
    all open orders are read besides, and `doubt_s` how long the user feed has to tell what a reading found.
    """

    connect_s: float = 5.0
    send_s: float = 5.0
    ping_s: float = 10.0
    silence_s: float = 60.0
    first_pause_s: float = 0.25
    longest_pause_s: float = 30.0
    reconcile_s: float = 30.0
    doubt_s: float = 5.0


class FeedSilent(Exception):
    """The connection stands, and nothing comes."""


class FeedSocket:
    """A connection that is opened again whenever it ends.

    Args:
        url: The channel's address.
        name: For logs and metrics: `market` or `user`.
        greeting: Makes the subscription, which is sent at once after connecting.
        on_message: Takes each object of each frame.
        on_open: Called after the greeting was sent.
        on_gap: Called after every end of an opened connection.
        clock: For pauses and silence.
        chance: Spreads the pauses, so that many clients do not come back together.
        metrics: Counts openings, drops and unreadable messages.
        timings: Seconds.

    Attributes:
        heard: How many objects came in.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        greeting: Callable[[], Mapping[str, Any]],
        on_message: Callable[[Mapping[str, Any]], None],
        on_open: Callable[[], None],
        on_gap: Callable[[], None],
        clock: Clock,
        chance: random.Random,
        metrics: HostMetrics,
        timings: FeedTimings,
    ) -> None:
        self._url = url
        self._name = name
        self._greeting = greeting
        self._on_message = on_message
        self._on_open = on_open
        self._on_gap = on_gap
        self._clock = clock
        self._chance = chance
        self._metrics = metrics
        self._timings = timings
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.heard = 0

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Keep the connection until cancelled."""
        failures = 0
        while True:
            opened = False
            try:
                async with asyncio.timeout(self._timings.connect_s):
                    socket = await session.ws_connect(self._url, max_msg_size=_MAX_MESSAGE_BYTES)
                opened = True
                failures = 0
                async with socket:
                    await self._converse(socket)
            except (aiohttp.ClientError, OSError, TimeoutError, PayloadError, FeedSilent) as e:
                _log.warning("%s feed ended: %s: %s", self._name, type(e).__name__, e)
            except Exception:
                _log.exception("%s feed ended", self._name)
            finally:
                if opened:
                    self._ended()
            failures += 1
            await self._clock.sleep(self._pause_s(failures))

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message on the open connection; without one nothing happens, the greeting will say it."""
        if self._socket is not None and not self._socket.closed:
            try:
                async with asyncio.timeout(self._timings.send_s):
                    await self._socket.send_json(message)
            except (aiohttp.ClientError, OSError, TimeoutError):
                await self._socket.close()

    async def drop(self, why: str) -> None:
        """End the connection that is open, and so begin a new one."""
        if self._socket is not None and not self._socket.closed:
            _log.warning("%s feed is dropped: %s", self._name, why)
            await self._socket.close()

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._metrics.feed_up[self._name].inc()
        async with asyncio.timeout(self._timings.send_s):
            await socket.send_json(self._greeting())
        self._on_open()
        data_ns = frame_ns = ping_ns = self._clock.monotonic_ns()
        while True:
            try:
                async with asyncio.timeout(self._timings.ping_s / 2):
                    frame = await socket.receive()
            except TimeoutError:
                frame = None
            now_ns = self._clock.monotonic_ns()
            if frame is not None:
                frame_ns = now_ns
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    return
                if frame.data not in {"PONG", "PING"}:
                    data_ns = now_ns
                    self._take(frame.data)
            self._check_silence(now_ns - data_ns, now_ns - frame_ns)
            if now_ns - ping_ns >= self._timings.ping_s * 1e9:
                ping_ns = now_ns
                async with asyncio.timeout(self._timings.send_s):
                    await socket.send_str("PING")

    def _take(self, text: str) -> None:
        """Hand on one frame: an object, or an array of them.

        Raises:
            PayloadError: It cannot be read. What the feed says afterwards is worth nothing, so it ends.
        """
        try:
            frame = decode(text)
            for message in frame if isinstance(frame, list) else [frame]:
                self.heard += 1
                self._on_message(members_of(message, "a message"))
        except (PayloadError, ValueError) as e:
            self._metrics.unreadable[self._name].inc()
            raise PayloadError(f"a message was unreadable: {e}") from None

    def _check_silence(self, data_ns: int, frame_ns: int) -> None:
        if frame_ns > 3 * self._timings.ping_s * 1e9:
            raise FeedSilent("three pings went unanswered")
        if data_ns > self._timings.silence_s * 1e9:
            raise FeedSilent(f"no data for {self._timings.silence_s:g} s")

    def _ended(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._metrics.feed_up[self._name].dec()
            self._metrics.feed_drops[self._name].inc()
            self._on_gap()

    def _pause_s(self, failures: int) -> float:
        longest: float = self._timings.first_pause_s * 2 ** min(failures - 1, _MAX_DOUBLINGS)
        return min(longest, self._timings.longest_pause_s) * self._chance.uniform(0.5, 1.0)


def channel_url(ws_url: str, channel: str) -> str:
    """Return a channel's address; the base may or may not end in `/ws`."""
    return f"{ws_url.rstrip('/').removesuffix('/ws')}/ws/{channel}"


def feed_session() -> aiohttp.ClientSession:
    """Return a session for feeds; call it in the loop that will use it."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0)
    )
