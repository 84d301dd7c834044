"""What every route works with: the exchange, its clock, the callers' keys and the streams, in one place."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from polytraders_pfh.paper.clock import Clock
from polytraders_pfh.paper.core.events import LastTradeEvent
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Side
from polytraders_pfh.paper.protocol.auth import ApiKey, Gatekeeper, KeyRing
from polytraders_pfh.paper.protocol.heartbeats import Heartbeats
from polytraders_pfh.paper.protocol.limits import ELITE, RateLimiter, RateTier
from polytraders_pfh.paper.protocol.market_stream import MarketStream
from polytraders_pfh.paper.protocol.shapes import compact
from polytraders_pfh.paper.protocol.signatures import OrderVerifier
from polytraders_pfh.paper.protocol.stream_faults import StreamPlan
from polytraders_pfh.paper.protocol.streams import QUEUE_LIMIT
from polytraders_pfh.paper.protocol.user_stream import UserStream
from polytraders_pfh.paper.protocol.wallets import Wallets

POLYGON: Final = 137


@dataclass(frozen=True, slots=True)
class VenueOptions:
    """How the venue behaves.

    `starting_usd_micro`: pUSD (10^-6) a wallet is given when first seen; 0 gives nothing.
    `rate_tier`: token buckets per signer. `max_skew_s`: seconds POLY_TIMESTAMP may be off; None: any.
    `stream_queue`: frames a WebSocket reader may be behind. `seed`: what keys and heartbeat ids derive from.
    """

    chain_id: int = POLYGON
    starting_usd_micro: int = 10_000_000_000
    rate_tier: RateTier = ELITE
    max_skew_s: int | None = None
    stream_queue: int = QUEUE_LIMIT
    seed: bytes = b"paper"


class Venue:
    """The exchange as its protocol sees it; everything here happens between two awaits."""

    def __init__(self, exchange: Exchange, clock: Clock, options: VenueOptions, faults: StreamPlan) -> None:
        self.exchange, self.clock, self.options = exchange, clock, options
        self.keys = KeyRing(options.seed)
        self.gatekeeper = Gatekeeper(self.keys, options.chain_id, options.max_skew_s)
        self.verifier = OrderVerifier(options.chain_id)
        self.limiter = RateLimiter(options.rate_tier)
        self.heartbeats = Heartbeats(options.seed)
        self.wallets = Wallets(exchange, options.starting_usd_micro)
        self.market_stream = MarketStream(exchange, clock, options.stream_queue, faults)
        self.user_stream = UserStream(self.gatekeeper, clock, options.stream_queue, faults)
        self.last_sides: dict[str, Side] = {}

    def tick(self) -> None:
        """Let time pass: what is due in the exchange, missed heartbeats, silent connections; then pump."""
        now_ms = self.clock.now_ms()
        self.exchange.advance(now_ms)
        for api_key in self.heartbeats.overdue(now_ms):
            # While the engine restarts it cancels nothing; the next check tries again.
            if self.exchange.cancel_all(api_key, now_ms).error is None:
                self.heartbeats.disarm(api_key)
        self.market_stream.tick(now_ms)
        self.user_stream.tick(now_ms)
        self.pump()

    def pump(self) -> None:
        """Hand every event since the last pump to the streams, in order."""
        for event in self.exchange.drain():
            if isinstance(event, LastTradeEvent):
                self.last_sides[event.token_id] = event.side
            self.market_stream.publish(event)
            self.user_stream.publish(event)

    async def caller(self, request: web.Request) -> ApiKey:
        """Return the API key that signed this request; refused with 401 otherwise."""
        return self.gatekeeper.l2(
            request.headers,
            request.method,
            request.rel_url.raw_path,
            await request.read(),
            self.clock.now_ms(),
        )


def reply(body: object, headers: dict[str, str] | None = None) -> web.Response:
    """A 200 with a JSON body."""
    return web.Response(body=compact(body), content_type="application/json", headers=headers)
