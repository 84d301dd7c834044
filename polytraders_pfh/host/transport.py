"""One HTTP session to the exchange: one request per call, a deadline on each, never a second try.

Connections are kept warm and shared. Reads and posts together may hold no more than their part of them, nor
may single cancels, so that a batch of cancels finds a free one however many others wait for answers.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, Literal

import aiohttp
from polytraders_hookspecs import ExchangeReply
from yarl import URL

from polytraders_pfh.host.sharing import LAST_WORD
from polytraders_pfh.host.unsent import NOT_SENT, unguarded

Lane = Literal["ordinary", "cancel", "first"]

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
_CONNECTIONS: Final = 128
_ORDINARY: Final = 56
_CANCELS: Final = 56
_KEEP_ALIVE_S: Final = 60.0


class ExchangeTransport:
    """Carries requests to one exchange and answers back, unjudged.

    Args:
        base_url: Scheme, host and port.
        connect_s: Seconds for a new connection; they count within each call's own deadline.
    """

    def __init__(self, base_url: str, *, connect_s: float = 2.0) -> None:
        self._base_url = base_url.rstrip("/")
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None
        self._lanes: dict[Lane, AbstractAsyncContextManager[None]] = {
            "ordinary": asyncio.Semaphore(_ORDINARY),
            "cancel": asyncio.Semaphore(_CANCELS),
            "first": nullcontext(),
        }

    async def open(self) -> None:
        """Make the session; call it in the loop that will use it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, limit_per_host=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            trace_configs=[_last_words()],
        )
        # aiohttp sends a DELETE or GET a second time when a kept-alive connection drops, and offers no
        # public switch; a test proves that nothing arrives twice.
        self._session._retry_connection = False  # noqa: SLF001

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        lane: Lane = "ordinary",
    ) -> ExchangeReply:
        """Send one request; return what came back, or `status=None` and why nothing complete did.

        Raises:
            RuntimeError: The session is not open.
        """
        if self._session is None:
            raise RuntimeError("the exchange session is closed; open the transport first")
        try:
            async with asyncio.timeout(timeout_s), self._lanes[lane]:
                return await self._exchange(self._session, method, path, query, body, headers)
        except _HeldBackError as e:
            return unguarded(f"{method} {path}", str(e), "lease")
        except TimeoutError:
            return ExchangeReply(status=None, detail=f"{method} {path}: no answer within {timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as e:
            return ExchangeReply(status=None, detail=f"{method} {path}: {type(e).__name__}: {e}")

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> ExchangeReply:
        url = URL(self._base_url + path)
        all_headers = dict(headers or {})
        if body:
            all_headers["Content-Type"] = "application/json"
        async with session.request(
            method,
            url.with_query(query) if query else url,
            data=body or None,
            headers=all_headers,
            allow_redirects=False,
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_REPLY_BYTES:
                    detail = f"{method} {path}: the answer was over {MAX_REPLY_BYTES} bytes"
                    return ExchangeReply(status=None, detail=detail)
            return ExchangeReply(
                status=response.status,
                body=bytes(content),
                headers=_lower_case(response),
            )


class _HeldBackError(Exception):
    """Somebody had a last word; nothing was sent."""


def _last_words() -> aiohttp.TraceConfig:
    """Ask once more when a connection is at hand: waiting for one may have taken longer than a lease."""

    async def ask(*_: object) -> None:
        last_word = LAST_WORD.get()
        if last_word is not None and (why := last_word()):
            raise _HeldBackError(why)

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(ask)
    config.on_connection_reuseconn.append(ask)
    return config


def _lower_case(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers of an answer. None from the wire may say that the request was not sent."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers.pop(NOT_SENT, None)
    return headers
