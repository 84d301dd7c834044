"""Everything that runs: paper exchange, host and plugin, joined by HTTP and WebSockets on loopback.

The plugin is the installed one, found by the host through its entry point. Nothing leaves the machine.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.observer import PLUGIN_NAME, Observer
from polytraders_pfh.demo.signing import SeededSigner, seeded_hex, seeded_wallet, wallet_key
from polytraders_pfh.demo.truth import WitnessedExchange
from polytraders_pfh.host import Host, HostConfig
from polytraders_pfh.host.bus import MemoryReportBus
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, Market
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from polytraders_pfh.paper.protocol.venue import VenueOptions

STARTING_USD: Final = 10_000_000
PAIRS_PER_MARKET: Final = 100_000

BOT_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "mode": "general_live",
        # A slow machine shall decide as a fast one does, so it is given longer than a real host's 300 ms.
        "execution": {"timeout_ms": 5_000},
    }
)
"""What differs from the plugin's defaults: it acts, in a world where the money is paper."""


@dataclass(frozen=True, slots=True)
class World:
    """A running paper exchange and the host that trades there.

    Attributes:
        reference: The same market without any order of ours, for the strategy to look at.
        owner: The account's id at the exchange, `api_key` its credential there.
    """

    exchange: WitnessedExchange
    reference: Exchange
    server: PaperServer
    host: Host
    bus: MemoryReportBus
    observer: Observer
    clock: MarketClock
    owner: str
    api_key: str


@asynccontextmanager
async def open_world(
    markets: Sequence[Market],
    originals: Sequence[Market],
    *,
    seed: int,
    start_ms: int,
    state_dir: Path,
    settings: Mapping[str, Any] = BOT_SETTINGS,
) -> AsyncIterator[World]:
    """Start everything, and stop it in the opposite order.

    Args:
        markets: What the exchange lists: every lane's copies.
        originals: What the reference lists.
        seed: Fixes wallet, ids and salts.
        start_ms: The date at which the market begins.
        state_dir: Where the host keeps its state.
        settings: The plugin's section of the host's config.

    Raises:
        DemoError: The plugin was not registered.
        OSError: No port was to be had.
    """
    clock, wallet = MarketClock(start_ms), seeded_wallet(seed)
    # Level changes tell the same as the snapshots after every trade, in a tenth of the bytes.
    exchange = WitnessedExchange(f"demo {seed}", ExchangeConfig(book_after_trade=False))
    reference = Exchange(f"reference {seed}", ExchangeConfig(market_events=False))
    for market in markets:
        exchange.add_market(market, start_ms)
    for market in originals:
        reference.add_market(market, start_ms)
    options = VenueOptions(starting_usd_micro=STARTING_USD * MICRO, seed=seeded_hex(seed, "venue").encode())
    observer = Observer()
    async with await serve(exchange, clock=clock, options=options) as server:
        owner = wallet.maker.lower()
        server.open_account(owner)
        for market in markets:
            exchange.mint(owner, market.condition_id, PAIRS_PER_MARKET * MICRO)
        host = Host(
            _config(server, state_dir, settings),
            environ={"DEMO_WALLET": wallet_key(seed), "DEMO_EVENTS": seeded_hex(seed, "events")},
            plugins={PLUGIN_NAME: observer},
            clock=clock,
            signer=SeededSigner(wallet, clock, seed),
        )
        async with host:
            _require_plugin(host)
            assert isinstance(host.bus, MemoryReportBus)
            api_key = host.clob.credentials.key
            yield World(exchange, reference, server, host, host.bus, observer, clock, owner, api_key)


def _config(server: PaperServer, state_dir: Path, settings: Mapping[str, Any]) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
            "wallet": {"key": {"env": "DEMO_WALLET"}},
            "events": {"keys": {"demo": {"env": "DEMO_EVENTS"}}},
            "reports": {"bus": "memory"},
            "bots": {BOT_ID: dict(settings), PLUGIN_NAME: {}},
        },
        name="the demo's own config",
    )


def _require_plugin(host: Host) -> None:
    if BOT_ID not in {bot.manifest.bot_id for bot in host.roster.bots}:
        reasons = "; ".join(refused.reason for refused in host.roster.refused) or "no reason was given"
        raise DemoError(f"the plugin {BOT_ID} was not registered: {reasons}")
