"""The host: everything above, started in order, stopped in the opposite order, nothing half-done.

    async with Host(config) as host:
        placement = await host.place(PlaceOrder(...))

Start: state and secrets, exchange session, bots discovered and registered, open orders read, bots
started, feeds, window. Stop: window, feeds, queued events delivered, bots stopped, sessions closed.
"""

import logging
import os
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from polytraders_hookspecs import (
    BookSnapshot,
    Clock,
    CommandResult,
    ExecutionReport,
    HookResult,
    Signer,
    first_hook,
    gather_hook,
)
from prometheus_client import CollectorRegistry

from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.bus import FileReportBus, MemoryReportBus
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.discovery import BotRoster
from polytraders_pfh.host.dispatch import EventDispatcher, show_hook_error
from polytraders_pfh.host.errors import DiscoveryError
from polytraders_pfh.host.feed_socket import FeedTimings
from polytraders_pfh.host.feeds import MarketFeed, UserFeed
from polytraders_pfh.host.health import HostHealth, host_health
from polytraders_pfh.host.heartbeat import Heartbeat
from polytraders_pfh.host.http import HostWindow
from polytraders_pfh.host.keys import read_credentials, read_event_keys, read_wallet
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.placing import OrderDesk, Placement, PlaceOrder
from polytraders_pfh.host.reconcile import Reconciler
from polytraders_pfh.host.records import OrderRecords
from polytraders_pfh.host.services import BotServices
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.state import StateDir
from polytraders_pfh.host.tasks import Tasks
from polytraders_pfh.host.tracing import close_provider, tracer_provider
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.watched import WatchedClob, WatchedSigner

_log: Final = logging.getLogger(__name__)
_START_S: Final = 60.0
_STOP_S: Final = 30.0
_DRAIN_S: Final = 10.0
_COMMAND_S: Final = 30.0


class Host:
    """One host: one wallet at one exchange, and its bots.

    Args:
        config: The settings.
        environ: Where `env` secrets and the discovery switches come from; the process's when None.
        plugins: Plugin modules offered besides the installed ones, by entry point name.
        clock: The machine's when None.
        chance: Spreads reconnects.
        signer: Signs orders in place of the wallet in this process.
        timings: Of the feeds.

    Attributes:
        roster: Bots, refused plugins, and the plugin manager.
        lifecycle: Every order of the account.
        kill_switch: `signal(active, reason, actor)`.
        clob: The exchange.
        market_feed: `watch(token_ids)` wants books without orders.
        bus: The report bus.
        registry: The metrics registry.
        tracers: The tracer provider.
    """

    roster: BotRoster
    lifecycle: OrderLifecycle
    kill_switch: FileKillSwitch
    clob: ClobAdapter
    market_feed: MarketFeed
    bus: FileReportBus | MemoryReportBus

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
        self._learning: set[str] = set()
        self._stack = AsyncExitStack()
        self._window: HostWindow | None = None
        self._heartbeat: Heartbeat | None = None
        self._transport: ExchangeTransport | None = None
        self._cut_off = False
        self.roster = BotRoster(self._environ, plugins)

    @property
    def url(self) -> str:
        """The window's address, once the host is up."""
        return self._window.url if self._window else ""

    @property
    def executions(self) -> deque[ExecutionReport]:
        """The newest reports that bots returned to events, oldest first."""
        return self._dispatcher.reports

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
            await self._connect(stack)
            await self._open_books(stack)
            self._register_bots(stack)
            await self._start_bots()
            await self._open_feeds(stack)
            await self._open_window(stack)
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
        self._cut_off = True
        if self._heartbeat is not None:
            await self._heartbeat.close()
        if self._transport is not None:
            await self._transport.close()

    async def place(self, wish: PlaceOrder) -> Placement:
        """Place a root order for a strategy; see `OrderDesk.place`."""
        return await self._desk.place(wish)

    async def command(self, bot_id: str, command: str, arguments: Mapping[str, str]) -> CommandResult | None:
        """Hand an operator's command to its bot; None when no bot took it.

        Args:
            bot_id: Whom it is meant for.
            command: For example `cancel-remainder`.
            arguments: Must hold `actor` and `reason`.
        """
        result = await first_hook(
            self.roster.manager.hook.on_bot_command,
            deadline_s=_COMMAND_S,
            bot_id=bot_id,
            command=command,
            arguments=arguments,
        )
        if result is None:
            return None
        if result.error is not None:
            message = f"{result.plugin_name} failed: {type(result.error).__name__}: {result.error}"
            return CommandResult(ok=False, message=message)
        return result.value if isinstance(result.value, CommandResult) else None

    def on_execution(self, listener: Callable[[ExecutionReport], None]) -> None:
        """Call `listener` with each report that a bot returns to an event."""
        self._dispatcher.on_report = listener

    def health(self) -> HostHealth:
        """Return whether the host itself may post now, and what holds it back."""
        return host_health(self.clob, self._heartbeat)

    async def settle(self, deadline_s: float) -> bool:
        """Wait until every event that is queued now has been answered; False when time ran out."""
        return await self._dispatcher.drain(deadline_s)

    async def _connect(self, stack: AsyncExitStack) -> None:
        config = self.config
        self.wallet = read_wallet(config.wallet, config.exchange.chain_id, self._environ)
        credentials = read_credentials(config.wallet, self._environ)
        timeouts = config.exchange.timeouts
        self._transport = transport = ExchangeTransport(
            config.exchange.rest_url, connect_s=timeouts.connect_s
        )
        await transport.open()
        stack.push_async_callback(transport.close)
        self.clob = ClobAdapter(transport, self.wallet, self.clock, timeouts, credentials, self.metrics)
        if credentials is None:
            await self.clob.log_in()
        if config.exchange.heartbeat:
            await self._open_heartbeat(stack)

    async def _open_heartbeat(self, stack: AsyncExitStack) -> None:
        """Start the dead-man switch; until the first accepted beat nothing is posted."""
        self._heartbeat = Heartbeat(self.clob.heartbeat, self.clock, self.metrics)
        self.clob.gate.guard = self._heartbeat.obstacle
        stack.push_async_callback(self._heartbeat.close)
        await self._heartbeat.open()

    async def _open_books(self, stack: AsyncExitStack) -> None:
        """Make what bots and strategies share: bus, kill switch, orders, desk."""
        hooks = self.roster.manager.hook
        memory = self.config.reports.bus == "memory"
        self.bus = MemoryReportBus() if memory else FileReportBus(self.config.reports_file)
        await self.bus.open()
        stack.push_async_callback(self.bus.close)
        self._event_keys, events = read_event_keys(self.config.events, self._environ)
        self._dispatcher = EventDispatcher(hooks, self.clock, events, self.metrics, self.tracers)
        records = OrderRecords(self.config.host.state_dir / "orders.jsonl")
        self.lifecycle = OrderLifecycle(self._dispatcher, records, self.clock, self.metrics)
        stack.callback(self.lifecycle.close)
        self.lifecycle.load()
        self.kill_switch = FileKillSwitch(self.config.kill_switch_file, hooks, self.clock)
        stack.push_async_callback(self.kill_switch.close)
        stack.push_async_callback(self._dispatcher.close)
        self._reconciler = Reconciler(self.clob, self.lifecycle, self.clock, self.metrics)
        self._watched_clob = WatchedClob(self.clob, self.lifecycle)
        self._watched_signer = WatchedSigner(
            self._signer or WalletSigner(self.wallet, self.clock), self.lifecycle
        )
        self._desk = OrderDesk(
            clob=self.clob,
            watched_clob=self._watched_clob,
            signer=self._watched_signer,
            lifecycle=self.lifecycle,
            kill_switch=self.kill_switch,
            hooks=hooks,
            events=events,
            clock=self.clock,
            metrics=self.metrics,
        )

    def _register_bots(self, stack: AsyncExitStack) -> None:
        """Discover and register.

        Raises:
            DiscoveryError: Bots are enabled, and not one of them could be registered.
        """
        enabled = [name for name, section in self.config.bots.items() if section.enabled]
        self.roster.discover(enabled, self._services_for)
        if self.roster.refused and not self.roster.bots:
            raise DiscoveryError("; ".join(bot.reason for bot in self.roster.refused))
        stack.push_async_callback(self._stop_bots)
        stack.push_async_callback(self._reconciler.close)
        stack.push_async_callback(self._tasks.close)
        stack.push_async_callback(self._drain)

    def _services_for(self, plugin_name: str) -> BotServices:
        return BotServices(
            config=self.config.bots[plugin_name].members(),
            event_keys=self._event_keys,
            clob_public=self.clob,
            clob_auth=self._watched_clob,
            signer=self._watched_signer,
            kill_switch=self.kill_switch,
            orders=self.lifecycle,
            reports=self.bus,
            hooks=self.roster.manager.hook,
            tracer_provider=self.tracers,
            metrics_registry=self.registry,
            clock=self.clock,
            state_dir=self._state.of_bot(plugin_name),
        )

    async def _start_bots(self) -> None:
        self._tasks.spawn(self.kill_switch.watch(), "kill switch watch")
        if not await self._reconciler.try_once():
            # Bots wait for it in on_host_start, so it cannot wait for the feeds.
            self._reconciler.read_soon()
        hook = self.roster.manager.hook.on_host_start
        self._show_errors("on_host_start", await gather_hook(hook, deadline_s=_START_S))

    async def _stop_bots(self) -> None:
        if self._cut_off:
            return
        hook = self.roster.manager.hook.on_host_stop
        self._show_errors("on_host_stop", await gather_hook(hook, deadline_s=_STOP_S))

    async def _drain(self) -> None:
        if not self._cut_off and not await self._dispatcher.drain(_DRAIN_S):
            _log.warning(
                "events were still being answered after %g s; bots recover them at the next start", _DRAIN_S
            )

    async def _open_feeds(self, stack: AsyncExitStack) -> None:
        self.market_feed = MarketFeed(
            self.config.exchange.ws_url,
            self.roster.manager.hook,
            self.clock,
            self.metrics,
            complete=self._complete,
            chance=self._chance,
            timings=self._timings,
        )
        user_feed = UserFeed(
            self.config.exchange.ws_url,
            self.clob.credentials,
            self.lifecycle,
            self.clock,
            self.metrics,
            on_connected=self._user_feed_connected,
            chance=self._chance,
            timings=self._timings,
        )
        self.lifecycle.on_look = self._reconciler.look
        self.lifecycle.on_tokens = self._tokens_changed
        self._tokens_changed(self.lifecycle.tokens())
        self._dispatcher.open_gate()
        stack.push_async_callback(self.market_feed.close)
        stack.push_async_callback(user_feed.close)
        await self.market_feed.open()
        await user_feed.open()
        self._tasks.spawn(self._reconciler.run_forever(), "reconciliation")

    async def _open_window(self, stack: AsyncExitStack) -> None:
        section = self.config.host
        self._window = HostWindow(
            self.roster, self.registry, self.health, host=section.http_host, port=section.http_port
        )
        stack.push_async_callback(self._window.close)
        await self._window.open()
        self._state.show_url(self._window.url)
        _log.info("host is up at %s with %d bots", self._window.url, len(self.roster.bots))

    def _user_feed_connected(self) -> None:
        self._reconciler.read_soon()

    def _tokens_changed(self, tokens: frozenset[str]) -> None:
        self.market_feed.for_orders(tokens)
        for market_id in {order.market_id for order in self.lifecycle.open_orders()}:
            if market_id not in self._learning and not self.clob.knows_market(market_id):
                self._learning.add(market_id)
                self._tasks.spawn(self._learn(market_id), "market parameters")

    async def _learn(self, market_id: str) -> None:
        try:
            await self.clob.learn_market(market_id)
        except PfhError as e:
            _log.warning("market %s was not learnt: %s", market_id, e)
        finally:
            self._learning.discard(market_id)

    def _complete(self, book: BookSnapshot) -> BookSnapshot:
        trading, closes_at_ms = self.clob.trading.now(), self.clob.closes_at_ms(book.market_id)
        if trading == "open" and closes_at_ms is None:
            return book
        return book.model_copy(update={"trading": trading, "closes_at_ms": closes_at_ms})

    def _show_errors(self, hook: str, results: list[HookResult]) -> None:
        for result in results:
            if result.error is not None:
                show_hook_error(self.metrics, hook, result)
