"""A paper exchange, a host with the installed plugin, and a rival who trades against it: real sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_pfh.host import FeedTimings, Host, HostConfig, Placement, PlaceOrder
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut, FaultPlan
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from support.canaries import OWNER_KEY, RIVAL_KEY
from support.host_bots import ScribeBot, plugin_with

YES, NO = "11111111111111111111", "22222222222222222222"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))
FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05)


@dataclass
class Unanswered:
    """Requests whose method and path begin like one of `silenced` get no answer and take no effect."""

    silenced: set[str] = field(default_factory=set)

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        """Cut the connection."""
        return Cut() if f"{call.method} {call.path}".startswith(tuple(self.silenced)) else None

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        """Send the true answer."""
        return answer


@dataclass
class Town:
    """The host under test with its bot, and a second host that trades against it."""

    server: PaperServer
    host: Host
    rival: Host

    def wish(self, side: Any, price: str, shares: int, token: str = YES, **more: Any) -> PlaceOrder:
        """An order in this market."""
        return PlaceOrder(
            token_id=token,
            market_id=RAIN.condition_id,
            side=side,
            price=Decimal(price),
            size_shares=Decimal(shares),
            **more,
        )

    async def rests(self, side: Any, price: str, shares: int, **more: Any) -> Placement:
        """Place with the host under test."""
        placed = await self.host.place(self.wish(side, price, shares, **more))
        assert placed.outcome == "accepted", placed.text
        return placed

    async def trades(self, side: Any, price: str, shares: int, token: str = YES) -> None:
        """Place with the rival."""
        placed = await self.rival.place(self.wish(side, price, shares, token))
        assert placed.outcome == "accepted", placed.text


def config_for(server: PaperServer, state_dir: Path, bots: dict[str, Any], **sections: Any) -> HostConfig:
    """The config of a host in town; `sections` stand beside the town's own, or add to them."""
    town: dict[str, Any] = {
        "host": {"state_dir": str(state_dir), "http_port": 0},
        "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
        "wallet": {"key": {"env": "PK"}},
        "reports": {"bus": "memory"},
        "bots": bots,
    }
    merged = {name: town.get(name, {}) | sections.get(name, {}) for name in (*town, *sections)}
    return HostConfig.from_members(merged)


@asynccontextmanager
async def town(
    tmp_path: Path,
    bot: ScribeBot | None = None,
    settings: dict[str, Any] | None = None,
    faults: FaultPlan | None = None,
    environ: Mapping[str, str] | None = None,
    **sections: Any,
) -> AsyncIterator[Town]:
    """Without a bot of its own the host discovers the installed plugin; `sections` change its config."""
    clock = SystemClock()
    exchange = Exchange("host-tests")
    exchange.add_market(RAIN, clock.now_ms())
    name = "exec.scribe" if bot else "exec.partialfillhandler"
    plugins = {name: plugin_with(bot)} if bot else None
    async with await serve(exchange, clock=clock, tick_ms=10, faults=faults) as server:
        config = config_for(server, tmp_path / "host", {name: settings or {}}, **sections)
        rival_config = config_for(server, tmp_path / "rival", {})
        host = Host(config, environ={"PK": OWNER_KEY, **(environ or {})}, plugins=plugins, timings=FAST)
        rival = Host(rival_config, environ={"PK": RIVAL_KEY}, timings=FAST)
        async with host, rival:
            server.open_account(rival.wallet.maker)
            exchange.mint(rival.wallet.maker.lower(), RAIN.condition_id, 1_000_000_000)
            yield Town(server, host, rival)
