"""What bots and strategies share: report bus, kill switch, orders and their events, the desk that places."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pluggy
from opentelemetry.sdk.trace import TracerProvider
from polytraders_hookspecs import Clock, Signer
from prometheus_client import CollectorRegistry

from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.dispatch import EventDispatcher
from polytraders_pfh.host.keys import read_event_keys
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.link import ExchangeLink
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.placing import OrderDesk
from polytraders_pfh.host.recent import RecentReports
from polytraders_pfh.host.reconcile import Reconciler
from polytraders_pfh.host.records import ForgetfulRecords, OrderRecords
from polytraders_pfh.host.report_bus import ReportDoor
from polytraders_pfh.host.services import BotServices
from polytraders_pfh.host.sidecar.adoption import Adoption
from polytraders_pfh.host.watched import WatchedClob, WatchedSigner


class TradeRoom:
    """One host's shared services.

    Args:
        config: The settings.
        environ: Where `env` secrets come from.
        link: The way to the exchange.
        hooks: Through which bots hear of events and of the kill switch.
        clock: The host's.
        registry: The metrics registry that bots get.
        metrics: The host's own, in it.
        tracers: The tracer provider that bots get.
        signer: Signs orders in place of the key's holder.

    Attributes:
        bus: The report bus.
        recent: The newest reports on their way there.
        dispatcher: Delivers events, and keeps the newest reports that bots returned.
        lifecycle: Every order of the account.
        kill_switch: `signal(active, reason, actor)`.
        events: Signs events.
        reconciler: Reads open orders from the exchange.
        desk: Places root orders.

    Raises:
        SecretMissing: An event key is absent or no key.
        ConfigError: The report bus needs what is not installed.
    """

    def __init__(
        self,
        config: HostConfig,
        environ: Mapping[str, str],
        link: ExchangeLink,
        hooks: pluggy.HookRelay,
        clock: Clock,
        registry: CollectorRegistry,
        metrics: HostMetrics,
        tracers: TracerProvider,
        signer: Signer | None,
    ) -> None:
        self._config = config
        self._link = link
        self._hooks = hooks
        self._clock = clock
        self._registry = registry
        self._tracers = tracers
        self._door = ReportDoor(config, environ, clock)
        self.bus = self._door.bus
        self.recent = RecentReports(self.bus)
        self._event_keys, events = read_event_keys(config.events, environ)
        self.events = events
        self.dispatcher = EventDispatcher(hooks, clock, events, metrics, tracers)
        own = OrderRecords(config.host.state_dir / "orders.jsonl") if config.cluster is None else None
        self.lifecycle = OrderLifecycle(self.dispatcher, own or ForgetfulRecords(), clock, metrics)
        self.lifecycle.maker = link.wallet.maker.lower()
        if config.sidecar is not None:
            self.lifecycle.on_unclaimed = Adoption(config.sidecar).take
        self.kill_switch = FileKillSwitch(config.kill_switch_file, hooks, clock)
        link.clob.hurry_while(lambda: self.kill_switch.on)
        self.reconciler = Reconciler(link.clob, self.lifecycle, clock, metrics)
        self._clob = WatchedClob(link.clob, self.lifecycle)
        self._signer = WatchedSigner(signer or link.holder, self.lifecycle)
        self.desk = OrderDesk(
            clob=link.clob,
            watched_clob=self._clob,
            signer=self._signer,
            lifecycle=self.lifecycle,
            kill_switch=self.kill_switch,
            hooks=hooks,
            events=events,
            clock=clock,
            metrics=metrics,
        )

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the bus, take up the orders of the last run.

        Raises:
            BusError: The report bus cannot be used.
            OSError: The order records cannot be written.
        """
        await self._door.open(stack)
        stack.callback(self.lifecycle.close)
        self.lifecycle.load()
        stack.push_async_callback(self.kill_switch.close)
        stack.push_async_callback(self.dispatcher.close)

    def services(self, plugin_name: str, state_dir: Path) -> BotServices:
        """Return the services of one bot: shared ones, its own section and directory."""
        return BotServices(
            config=self._config.members_of(plugin_name),
            event_keys=self._event_keys,
            clob_public=self._link.clob,
            clob_auth=self._clob,
            signer=self._signer,
            kill_switch=self.kill_switch,
            orders=self.lifecycle,
            reports=self.recent,
            hooks=self._hooks,
            tracer_provider=self._tracers,
            metrics_registry=self._registry,
            clock=self._clock,
            state_dir=state_dir,
        )
