"""A host on the paper exchange under one clock that the test moves, with every request written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_hookspecs.events import Side

from polytraders_pfh.host import FeedTimings, Host, HostConfig, Placement, PlaceOrder
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut
from polytraders_pfh.paper.protocol.limits import ELITE, RateTier
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.venue import VenueOptions
from support.canaries import OWNER_KEY, RIVAL_KEY
from support.shared_clock import SharedClock

FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05)
YES, NO = "11111111111111111111", "22222222222222222222"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))


@dataclass
class Wire:
    """A fault plan that writes down each request with its answer, and goes deaf, mute or stuck on a path."""

    answers: list[tuple[str, int]] = field(default_factory=list)
    deaf: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    stuck: dict[str, asyncio.Event] = field(default_factory=dict)
    waiting: int = 0

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        if call.path in self.stuck:
            self.waiting += 1
            await self.stuck[call.path].wait()
            self.waiting -= 1
        return Cut() if call.path in self.deaf else None

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        self.answers.append((f"{call.method} {call.path}", answer.status))
        return Cut() if call.path in self.mute else answer

    def statuses(self, call: str) -> list[int]:
        """What a call was answered with, in order."""
        return [status for name, status in self.answers if name == call]


def wish(side: Side, price: str, shares: int, **more: Any) -> PlaceOrder:
    """A wish for YES."""
    return PlaceOrder(
        token_id=YES,
        market_id=RAIN.condition_id,
        side=side,
        price=Decimal(price),
        size_shares=Decimal(shares),
        **more,
    )


@dataclass
class LimitsStage:
    """The host, the exchange under it, and what went between them."""

    server: PaperServer
    exchange: Exchange
    clock: SharedClock
    wire: Wire
    host: Host

    async def place(self, price: str = "0.40", shares: int = 10, **more: Any) -> Placement:
        return await self.host.place(wish("BUY", price, shares, **more))

    def advance(self, duration_ms: int) -> None:
        """Let time pass, at the exchange too."""
        self.clock.advance(duration_ms)
        self.server.tick()

    def status(self, order_id: str) -> str:
        """What the exchange knows of an order."""
        record = self.exchange.order(order_id)
        return str(record.status) if record else "unknown"


@asynccontextmanager
async def limits_stage(
    tmp_path: Path, *, tier: RateTier = ELITE, bots: dict[str, Any] | None = None, **exchange_section: Any
) -> AsyncIterator[LimitsStage]:
    """Run a host, without bots unless some are named; `exchange_section` is added to its `[exchange]`."""
    clock, exchange, wire = SharedClock(), Exchange("limits-tests"), Wire()
    exchange.add_market(RAIN, clock.now_ms())
    options = VenueOptions(rate_tier=tier)
    async with await serve(exchange, clock=clock, options=options, faults=wire) as server:
        config = _config(server, tmp_path / "host", bots or {}, exchange_section)
        async with Host(config, environ={"PK": OWNER_KEY}, clock=clock, timings=FAST) as host:
            yield LimitsStage(server, exchange, clock, wire, host)


@asynccontextmanager
async def twin(s: LimitsStage, tmp_path: Path, **exchange_section: Any) -> AsyncIterator[Host]:
    """Run a second host for the same wallet, and so with the same API key."""
    config = _config(s.server, tmp_path / "twin", {}, exchange_section)
    async with Host(config, environ={"PK": OWNER_KEY}, clock=s.clock, timings=FAST) as host:
        yield host


@asynccontextmanager
async def seller(s: LimitsStage, tmp_path: Path) -> AsyncIterator[Host]:
    """Run a second host that holds shares of both outcomes."""
    config = _config(s.server, tmp_path / "seller", {}, {})
    async with Host(config, environ={"PK": RIVAL_KEY}, clock=s.clock, timings=FAST) as host:
        s.server.open_account(host.wallet.maker)
        s.exchange.mint(host.wallet.maker.lower(), RAIN.condition_id, 1_000_000_000)
        yield host


def _config(
    server: PaperServer, state_dir: Path, bots: dict[str, Any], exchange_section: dict[str, Any]
) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url, **exchange_section},
            "wallet": {"key": {"env": "PK"}},
            "reports": {"bus": "memory"},
            "bots": bots,
        }
    )
