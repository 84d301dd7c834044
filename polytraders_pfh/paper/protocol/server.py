"""The paper exchange on loopback: the CLOB V2 REST and WebSocket protocol around a matching core.

    server = await serve(exchange, clock=SystemClock())
    async with server:
        ...  # point any CLOB V2 client at server.url and server.ws_url

Every REST request passes the fault plan twice (see `faults`), every stream's message its passage (see
`stream_faults`). Whatever a request changed is on the streams' queues before its answer is sent, as on the
exchange, where a fill may be told before its POST returns.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from polytraders_pfh.paper.clock import Clock, SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut, FaultPlan, NoFaults
from polytraders_pfh.paper.protocol.refusals import Refused
from polytraders_pfh.paper.protocol.routes_cancels import CancelRoutes
from polytraders_pfh.paper.protocol.routes_data import DataRoutes
from polytraders_pfh.paper.protocol.routes_keys import KeyRoutes
from polytraders_pfh.paper.protocol.routes_orders import OrderRoutes
from polytraders_pfh.paper.protocol.routes_public import PublicRoutes
from polytraders_pfh.paper.protocol.shapes import compact
from polytraders_pfh.paper.protocol.stream_faults import NoStreamFaults, StreamPlan
from polytraders_pfh.paper.protocol.venue import Venue, VenueOptions

TICK_MS: Final = 100
MAX_BODY_BYTES: Final = 1 << 20
_SHUTDOWN_S: Final = 1.0
_JSON: Final = "application/json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PaperServer:
    """A running server. `url` is the REST base, `ws_url` the WebSocket base (add /market or /user)."""

    def __init__(self, venue: Venue, faults: FaultPlan, tick_ms: int) -> None:
        self.venue = venue
        self.exchange = venue.exchange
        self.url = ""
        self.ws_url = ""
        self._faults = faults
        self._tick_ms = tick_ms
        self._calls = 0
        self._runner = web.AppRunner(self._application(), shutdown_timeout=_SHUTDOWN_S, access_log=None)
        self._ticker: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the address is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound_port = self._runner.addresses[0][1]
        self.url, self.ws_url = f"http://{host}:{bound_port}", f"ws://{host}:{bound_port}/ws"
        self._ticker = asyncio.create_task(self._tick_forever())

    async def close(self) -> None:
        """Close every stream with a reason, stop listening and stop the clock's task. Idempotent.

        Raises what the clock's task died of, if it did.
        """
        ticker, self._ticker = self._ticker, None
        await self.venue.market_stream.close()
        await self.venue.user_stream.close()
        await self._runner.cleanup()
        if ticker is not None:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker

    def tick(self) -> None:
        """Let happen what is due by now, and tell the streams. The server's own task does so too."""
        self.venue.tick()

    def pump(self) -> None:
        """Tell the streams what changed; for drivers that act on the exchange directly."""
        self.venue.pump()

    def open_account(self, wallet: str, usd_micro: int | None = None) -> None:
        """Give a wallet its opening balance in 10^-6 pUSD now; one that has had it keeps what it has."""
        self.venue.wallets.open(wallet, usd_micro)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _application(self) -> web.Application:
        @web.middleware
        async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        app = web.Application(middlewares=[edge], client_max_size=MAX_BODY_BYTES)
        for routes in (PublicRoutes, KeyRoutes, OrderRoutes, CancelRoutes, DataRoutes):
            app.add_routes(routes(self.venue).table())
        app.add_routes(
            [
                web.get("/ws/market", self.venue.market_stream.handle),
                web.get("/ws/user", self.venue.user_stream.handle),
            ]
        )
        return app

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/ws/"):
            return await handler(request)
        call = await self._call(request)
        early = await self._faults.before_commit(call)
        if early is not None:
            return _send(early, request)
        answer = await self._commit(request, handler)
        return _send(await self._faults.before_answer(call, answer), request)

    async def _call(self, request: web.Request) -> Call:
        self._calls += 1
        return Call(
            number=self._calls,
            method=request.method,
            path=request.path,
            body=await request.read(),
            api_key=request.headers.get("POLY_API_KEY"),
            at_ms=self.venue.clock.now_ms(),
        )

    async def _commit(self, request: web.Request, handler: Handler) -> Answer:
        try:
            self.venue.exchange.advance(self.venue.clock.now_ms())
            self.venue.pump()
            response = await handler(request)
        except Refused as refused:
            return Answer(refused.status, compact(refused.body), refused.headers)
        except web.HTTPException as problem:
            return Answer(problem.status, compact({"error": problem.reason.lower()}))
        finally:
            self.venue.pump()
        if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            raise TypeError(
                f"the handler of {request.path} answered with {response!r}; it must return a web.Response"
            )
        headers = {
            name: value for name, value in response.headers.items() if name.lower() not in _OWN_HEADERS
        }
        return Answer(response.status, response.body, headers)

    async def _tick_forever(self) -> None:
        while True:
            await self.venue.clock.sleep_ms(self._tick_ms)
            self.tick()


async def serve(
    exchange: Exchange,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    clock: Clock | None = None,
    options: VenueOptions | None = None,
    faults: FaultPlan | None = None,
    stream_faults: StreamPlan | None = None,
    tick_ms: int = TICK_MS,
) -> PaperServer:
    """Start serving `exchange` and return the running server; close it, or use it as a context manager.

    `tick_ms` is how often, in milliseconds of `clock`, time is let pass without a request.
    Raises OSError when the port is taken.
    """
    venue = Venue(
        exchange, clock or SystemClock(), options or VenueOptions(), stream_faults or NoStreamFaults()
    )
    server = PaperServer(venue, faults or NoFaults(), tick_ms)
    try:
        await server.start(host, port)
    except BaseException:
        await server.close()
        raise
    return server


_OWN_HEADERS: Final = frozenset({"content-type", "content-length"})


def _send(answer: Answer | Cut, request: web.Request) -> web.Response:
    if isinstance(answer, Cut):
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    return web.Response(
        status=answer.status, body=answer.body, content_type=_JSON, headers=dict(answer.headers)
    )
