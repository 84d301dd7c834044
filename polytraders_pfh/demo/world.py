"""Everything that runs: paper exchange, host and plugin, joined by HTTP and WebSockets on loopback.

The plugin is the installed one, found by the host through its entry point. Nothing leaves the machine.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.lives import Lives, tasks_known
from polytraders_pfh.demo.mortal import MortalHandler
from polytraders_pfh.demo.observer import PLUGIN_NAME, Observer
from polytraders_pfh.demo.signing import SeededSigner, seeded_hex, seeded_wallet, wallet_key
from polytraders_pfh.demo.trouble import TIMEOUTS, TIMINGS, Trouble
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


T = TypeVar("T")


class OneHost:
    """The host of a run in which none dies."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def ask(self, work: Callable[[Host], Coroutine[Any, Any, T]]) -> T:
        """Have something done by it."""
        return await work(self.host)


@dataclass(frozen=True, slots=True)
class World:
    """A running paper exchange and the host that trades there.

    Attributes:
        reference: The same market without any order of ours, for the strategy to look at.
        owner: The account's id at the exchange, `api_key` its credential there.
        trouble: What goes wrong in it, or None.
    """

    exchange: WitnessedExchange
    reference: Exchange
    server: PaperServer
    observer: Observer
    clock: MarketClock
    owner: str
    api_key: str
    signer: SeededSigner
    hosts: OneHost | Lives
    trouble: Trouble | None = None

    @property
    def host(self) -> Host:
        """The host that runs now."""
        return self.hosts.host

    @property
    def bus(self) -> MemoryReportBus:
        """Its report bus."""
        assert isinstance(self.host.bus, MemoryReportBus)
        return self.host.bus


@asynccontextmanager
async def open_world(
    markets: Sequence[Market],
    originals: Sequence[Market],
    *,
    seed: int,
    start_ms: int,
    state_dir: Path,
    settings: Mapping[str, Any] = BOT_SETTINGS,
    faults: int | None = None,
    otlp: str | None = None,
) -> AsyncIterator[World]:
    """Start everything, and stop it in the opposite order.

    Args:
        markets: What the exchange lists: every lane's copies.
        originals: What the reference lists.
        seed: Fixes wallet, ids and salts.
        start_ms: The date at which the market begins.
        state_dir: Where the host keeps its state.
        settings: The plugin's section of the host's config.
        faults: What goes wrong is drawn from this; nothing does when it is None.
        otlp: Where every host's spans are sent.

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
    trouble = None if faults is None else Trouble(faults, clock)
    plan = None if trouble is None else trouble.faults
    async with await serve(exchange, clock=clock, options=options, faults=plan) as server:
        owner = wallet.maker.lower()
        server.open_account(owner)
        for market in markets:
            exchange.mint(owner, market.condition_id, PAIRS_PER_MARKET * MICRO)

        signer = SeededSigner(wallet, clock, seed)

        def make(handler: MortalHandler | None = None) -> Host:
            mortal = {} if handler is None else {BOT_ID: handler}
            return Host(
                _config(server, state_dir, settings, TIMEOUTS if mortal else {}, otlp),
                environ={"DEMO_WALLET": wallet_key(seed), "DEMO_EVENTS": seeded_hex(seed, "events")},
                plugins={PLUGIN_NAME: observer, **mortal},
                clock=clock,
                signer=signer,
                timings=TIMINGS if mortal else None,
            )

        async with _hosts(make, trouble, clock, observer) as hosts:
            _require_plugin(hosts.host)
            if trouble is not None and isinstance(hosts, Lives):
                trouble.attach(exchange, server, hosts)
            api_key = hosts.host.clob.credentials.key
            yield World(exchange, reference, server, observer, clock, owner, api_key, signer, hosts, trouble)


@asynccontextmanager
async def _hosts(
    make: Callable[[MortalHandler | None], Host],
    trouble: Trouble | None,
    clock: MarketClock,
    observer: Observer,
) -> AsyncIterator[OneHost | Lives]:
    if trouble is None:
        async with make(None) as host:
            yield OneHost(host)
        return
    lives = Lives(make, clock, observer.events)
    with tasks_known():
        await lives.open()
        try:
            yield lives
        finally:
            await lives.close()


def _config(
    server: PaperServer,
    state_dir: Path,
    settings: Mapping[str, Any],
    timeouts: Mapping[str, float],
    otlp: str | None,
) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": str(state_dir), "http_port": 0},
            "exchange": {"rest_url": server.url, "ws_url": server.ws_url, "timeouts": dict(timeouts)},
            "wallet": {"key": {"env": "DEMO_WALLET"}},
            "events": {"keys": {"demo": {"env": "DEMO_EVENTS"}}},
            "reports": {"bus": "memory"},
            "telemetry": {} if otlp is None else {"otlp_endpoint": otlp},
            "bots": {BOT_ID: dict(settings), PLUGIN_NAME: {}},
        },
        name="the demo's own config",
    )


def _require_plugin(host: Host) -> None:
    if BOT_ID not in {bot.manifest.bot_id for bot in host.roster.bots}:
        reasons = "; ".join(refused.reason for refused in host.roster.refused) or "no reason was given"
        raise DemoError(f"the plugin {BOT_ID} was not registered: {reasons}")
