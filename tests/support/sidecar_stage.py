"""A host beside another bot: a paper exchange, its owner's other tool, a rival, a sidecar."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_hookspecs import read_json

from polytraders_pfh.host import FeedTimings, Host, HostConfig, Placement, PlaceOrder
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.stream_faults import StreamTrouble
from support.canaries import OWNER_KEY, RIVAL_KEY
from support.host_bots import ScribeBot, plugin_with

YES, NO = "11111111111111111111", "22222222222222222222"
RAIN = Market("0x" + "ab" * 32, "Will it rain?", (Outcome(YES, "Yes"), Outcome(NO, "No")))
FAST = FeedTimings(first_pause_s=0.01, longest_pause_s=0.05, reconcile_s=0.3, doubt_s=0.2)
PLUGIN = "exec.partialfillhandler"


def wish(side: Any, price: str, shares: int, **more: Any) -> PlaceOrder:
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
class SidecarStage:
    """The exchange, the bot that owns the account (`owner`), who trades against it, and where hosts live."""

    server: PaperServer
    trouble: StreamTrouble
    owner: Host
    rival: Host
    folder: Path
    bots: dict[str, Any] = field(default_factory=dict)

    async def rests(self, side: Any, price: str, shares: int, **more: Any) -> str:
        """Place with the other tool, and return the order's id."""
        return (await _accepted(self.owner, wish(side, price, shares, **more))).order_id

    async def trades(self, side: Any, price: str, shares: int) -> None:
        """Place with the rival."""
        await _accepted(self.rival, wish(side, price, shares))

    def config(self, sidecar: dict[str, Any] | None, **bot: Any) -> HostConfig:
        """The sidecar's config: the owner's wallet, a directory of its own."""
        sections: dict[str, Any] = {} if sidecar is None else {"sidecar": sidecar}
        if bot.get("mode", "shadow_only") != "shadow_only":
            sections["gates"] = {"override": {"mode": bot["mode"], "who": "ann", "why": "a test"}}
        return config_for(self.server, self.folder / "sidecar", bots={PLUGIN: bot}, **sections)

    @asynccontextmanager
    async def sidecar(
        self,
        rules: dict[str, Any] | None = None,
        *,
        scribe: ScribeBot | None = None,
        timings: FeedTimings = FAST,
        **bot: Any,
    ) -> AsyncIterator[Host]:
        """Run a host for the owner's wallet: with the plugin, or with a scribe in its place."""
        config = self.config(rules or {}, **bot)
        plugins = {PLUGIN: plugin_with(scribe)} if scribe else None
        async with Host(config, environ={"PK": OWNER_KEY}, plugins=plugins, timings=timings) as host:
            yield host

    def status(self, order_id: str) -> str:
        """What the exchange knows of an order."""
        record = self.server.exchange.order(order_id)
        return str(record.status) if record else "unknown"


def config_for(server: PaperServer, state_dir: Path, **sections: Any) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
            "wallet": {"key": {"env": "PK"}},
            "reports": {"bus": "memory"},
            **sections,
        }
    )


async def _accepted(host: Host, order: PlaceOrder) -> Placement:
    placed = await host.place(order)
    assert placed.outcome == "accepted", placed.text
    return placed


def finals(host: Host) -> dict[str, dict[str, Any]]:
    """The final reports on the bus, by order."""
    found = [read_json(message.payload) for message in host.bus.messages]  # type: ignore[attr-defined]
    return {report["order_id"]: report for report in found if report.get("final")}


@asynccontextmanager
async def sidecar_stage(tmp_path: Path, seed: int = 7) -> AsyncIterator[SidecarStage]:
    """Run the exchange, the owner's other tool and the rival."""
    clock, exchange, trouble = SystemClock(), Exchange("sidecar-tests"), StreamTrouble(random.Random(seed))
    exchange.add_market(RAIN, clock.now_ms())
    async with await serve(exchange, clock=clock, stream_faults=trouble, tick_ms=10) as server:
        rival_config = config_for(server, tmp_path / "rival")
        owner_config = config_for(server, tmp_path / "owner")
        async with (
            Host(owner_config, environ={"PK": OWNER_KEY}, timings=FAST) as owner,
            Host(rival_config, environ={"PK": RIVAL_KEY}, timings=FAST) as rival,
        ):
            server.open_account(rival.wallet.maker)
            exchange.mint(rival.wallet.maker.lower(), RAIN.condition_id, 10_000_000_000)
            yield SidecarStage(server, trouble, owner, rival, tmp_path)
