"""The host: every room of it opened in order, closed in the opposite order, nothing half-done.

    async with Host(config) as host:
        placement = await host.place(PlaceOrder(...))

Start: state and secrets, exchange link, trade room, bots registered, door for orders by hand, open orders
read, bots started, feeds, window. Stop: window, feeds, door, queued events delivered, bots stopped, bus and
sessions closed.
"""

import asyncio
import logging
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from polytraders_hookspecs import Clock, CommandResult, ExecutionReport, ReportBus, Signer
from prometheus_client import CollectorRegistry

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.host.account import Account
from polytraders_pfh.host.admin import AdminDesk, AdminDoor, AdminPlace
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.clustering import cluster_member
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.crew import BotCrew
from polytraders_pfh.host.discovery import BotRoster
from polytraders_pfh.host.feed_socket import FeedTimings
from polytraders_pfh.host.feeds import MarketFeed
from polytraders_pfh.host.health import HostHealth
from polytraders_pfh.host.http import HostWindow
from polytraders_pfh.host.keys import key_holder
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.link import ExchangeLink
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.page import HostPage
from polytraders_pfh.host.placing import Placement, PlaceOrder
from polytraders_pfh.host.services import BotServices
from polytraders_pfh.host.sidecar.promotion import is_gated, require_gate
from polytraders_pfh.host.standing import Standing
from polytraders_pfh.host.state import StateDir
from polytraders_pfh.host.tasks import Tasks
from polytraders_pfh.host.tracing import close_provider, tracer_provider
from polytraders_pfh.host.trade_room import TradeRoom
from polytraders_pfh.host.watching import MarketWatch

_log: Final = logging.getLogger(__name__)
_DRAIN_S: Final = 10.0


class Host:
    """One host: one wallet at one exchange, and its bots.

    Args:
        config: The settings.
        environ: Where `env` secrets and the discovery switches come from; the process's when None.
        plugins: Plugin modules offered besides the installed ones, by entry point name.
        clock: The machine's when None.
        chance: Spreads reconnects.
        signer: Signs orders in place of the key's holder.
        timings: Of the feeds.

    Attributes:
        roster: Bots, refused plugins, and the plugin manager.
        lifecycle: Every order of the account.
        kill_switch: `signal(active, reason, actor)`.
        wallet: Who trades.
        clob: The exchange.
        market_feed: `watch(token_ids)` wants books without orders.
        bus: The report bus.
        registry: The metrics registry.
        tracers: The tracer provider.
    """

    lifecycle: OrderLifecycle
    kill_switch: FileKillSwitch
    wallet: Account
    clob: ClobAdapter
    market_feed: MarketFeed
    bus: ReportBus

    def __init__(
        self,
        config: HostConfig,
        *,
        environ: Mapping[str, str] | None = None,
        plugins: Mapping[str, object] | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        signer: Signer | None = None,
        timings: FeedTimings | None = None,
    ) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.registry = CollectorRegistry()
        self.metrics = HostMetrics(self.registry)
        self.tracers = tracer_provider(config.telemetry)
        self._environ = os.environ if environ is None else environ
        self._chance = chance or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._timings = timings or FeedTimings()
        self._signer = signer
        self._state = StateDir(config.host.state_dir)
        self._tasks = Tasks()
        self._stack = AsyncExitStack()
        self._link: ExchangeLink | None = None
        self._window: HostWindow | None = None
        self._plugins = plugins
        self.roster = BotRoster(self._environ, plugins)
        self._crew = BotCrew(self.roster, self.metrics)

    @property
    def url(self) -> str:
        """The window's address, once the host is up."""
        return self._window.url if self._window else ""

    @property
    def executions(self) -> deque[ExecutionReport]:
        """The newest reports that bots returned to events, oldest first."""
        return self._room.dispatcher.reports

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            PfhError: Says what is missing or wrong; whatever had been started is stopped again.
            OSError: The window's port is taken, or the disk failed.
        """
        async with AsyncExitStack() as stack:
            self._state.hold()
            stack.callback(self._state.release)
            stack.push_async_callback(close_provider, self.tracers)
            link = await self._open_link(stack)
            await self._open_room(stack, link)
            await self._pass_gate()
            self._register_bots(stack, link)
            await self._open_door(stack, link)
            await self._start_bots(stack, link)
            await self._open_feeds(stack, link)
            await self._open_window(stack, link)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, in the opposite order; one part that fails keeps no other from being stopped."""
        await self._stack.__aexit__(None, None, None)

    async def cut_off(self) -> None:
        """Let nothing reach the exchange any more, as when the process dies; then leave the context.

        Leaving it afterwards drains nothing and asks no bot to stop: files and sockets are let go, and the
        next host on the same directory finds what a crash would have left.
        """
        if self._link is not None:
            await self._link.cut_off()

    async def place(self, wish: PlaceOrder) -> Placement:
        """Place a root order for a strategy; see `OrderDesk.place`."""
        return await self._room.desk.place(wish)

    async def command(self, bot_id: str, command: str, arguments: Mapping[str, str]) -> CommandResult | None:
        """Hand an operator's command to its bot; see `BotCrew.command`."""
        return await self._crew.command(bot_id, command, arguments)

    def on_execution(self, listener: Callable[[ExecutionReport], None]) -> None:
        """Call `listener` with each report that a bot returns to an event."""
        self._room.dispatcher.on_report = listener

    def health(self) -> HostHealth:
        """Return whether the host itself may post now, and what holds it back."""
        assert self._link is not None
        return self._link.health()

    async def settle(self, deadline_s: float) -> bool:
        """Wait until every event that is queued now has been answered; False when time ran out."""
        return await self._room.dispatcher.drain(deadline_s)

    async def _open_link(self, stack: AsyncExitStack) -> ExchangeLink:
        holder = await key_holder(self.config, self._environ, self.clock)
        self._link = link = ExchangeLink(self.config, holder, self._environ, self.clock, self.metrics)
        self.wallet, self.clob = link.wallet, link.clob
        await link.open(stack)
        return link

    async def _open_room(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        self._room = room = TradeRoom(
            self.config,
            self._environ,
            link,
            self.roster.manager.hook,
            self.clock,
            self.registry,
            self.metrics,
            self.tracers,
            self._signer,
        )
        self.bus, self.lifecycle, self.kill_switch = room.bus, room.lifecycle, room.kill_switch
        self._cluster = cluster_member(self.config, self._environ, self._plugins, room, self.clock)
        await room.open(stack)

    async def _pass_gate(self) -> None:
        if is_gated(self.config):
            directory = self._state.of_bot(BOT_ID)
            await asyncio.to_thread(require_gate, self.config, directory, self.clock.now_ms())

    def _register_bots(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        enabled = [name for name, section in self.config.bots.items() if section.enabled]
        if self._cluster is None:
            self._crew.register(enabled, self._services_for)
        else:
            self._cluster.enlist(self.roster, enabled, self._services_for)
        stack.push_async_callback(self._unless_cut, link, self._crew.stop)
        stack.push_async_callback(self._room.reconciler.close)
        stack.push_async_callback(self._tasks.close)
        stack.push_async_callback(self._unless_cut, link, self._drain)

    def _services_for(self, plugin_name: str) -> BotServices:
        return self._room.services(plugin_name, self._state.of_bot(plugin_name))

    async def _start_bots(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        self._tasks.spawn(self.kill_switch.watch(), "kill switch watch")
        if not await self._room.reconciler.try_once():
            # Bots wait for it in on_host_start, so it cannot wait for the feeds.
            self._room.reconciler.read_soon()
        await self._crew.start()
        if self._cluster is not None:
            await self._cluster.open(stack, self.registry, lambda: link.cut)

    async def _drain(self) -> None:
        if not await self._room.dispatcher.drain(_DRAIN_S):
            _log.warning(
                "events were still being answered after %g s; bots recover them at the next start", _DRAIN_S
            )

    async def _open_feeds(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        watch = MarketWatch(
            self.config.exchange.ws_url,
            link,
            self.lifecycle,
            self._room.reconciler,
            self._tasks,
            self.roster.manager.hook,
            self.clock,
            self.metrics,
            self._chance,
            self._timings,
        )
        self.market_feed = watch.market_feed
        watch.attach()
        self._room.dispatcher.open_gate()
        await watch.open(stack)

    async def _open_door(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        section = self.config.admin
        self._standing = Standing(self.roster, self.kill_switch, self.lifecycle, link.health)
        self._desk = AdminDesk(self._crew, self.kill_switch, self._standing)
        stack.push_async_callback(self._desk.close)
        if section.door != "off":
            place = AdminPlace(self.config.host.state_dir)
            door = AdminDoor(place, self._desk, section.door, section.port)
            stack.push_async_callback(door.close)
            await door.open()

    async def _open_window(self, stack: AsyncExitStack, link: ExchangeLink) -> None:
        section = self.config.host
        state_dir = section.state_dir
        page = HostPage(
            self._standing,
            self._room.recent,
            self._desk if self.config.admin.door != "off" else None,
            AdminPlace(state_dir),
            {bot.bot_id: state_dir / "bots" / bot.plugin_name / "journal" for bot in self.roster.bots},
            self.clock,
        )
        self._window = HostWindow(
            self.roster, self.registry, link.health, page, host=section.http_host, port=section.http_port
        )
        stack.push_async_callback(self._window.close)
        await self._window.open()
        self._state.show_url(self._window.url)
        _log.info("host is up at %s with %d bots", self._window.url, len(self.roster.bots))

    @staticmethod
    async def _unless_cut(link: ExchangeLink, ending: Callable[[], Awaitable[None]]) -> None:
        if not link.cut:
            await ending()
