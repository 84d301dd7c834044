"""One partition's bots: built from its log alone when it is taken, and stopped when it is lost."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import pluggy
from polytraders_hookspecs import (
    Clock,
    HookResult,
    OrderFacts,
    call_hook,
    gather_hook,
)
from prometheus_client import CollectorRegistry

from polytraders_pfh.host.cluster.buckets import Value
from polytraders_pfh.host.cluster.orders import SharedOrders
from polytraders_pfh.host.cluster.partition_log import PartitionLog
from polytraders_pfh.host.discovery import BotRoster, RegisteredBot
from polytraders_pfh.host.dispatch import EventSigner
from polytraders_pfh.host.errors import BusError, DiscoveryError
from polytraders_pfh.host.fenced import FencedClob
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.services import BotServices

_log: Final = logging.getLogger(__name__)
_START_S: Final = 60.0
_STOP_S: Final = 30.0
_AGAIN_S: Final = 0.1
LOST: Final = "the lease of this order's partition is lost; another host may own it"


class PartitionOrders:
    """The contract's `OrderBookkeeper` for one partition."""

    def __init__(self, lifecycle: OrderLifecycle, shared: SharedOrders, partition: int) -> None:
        self._lifecycle = lifecycle
        self._shared = shared
        self._partition = partition

    async def get(self, order_id: str) -> OrderFacts | None:
        """Return what this host, or another, knows of an order."""
        known = await self._lifecycle.get(order_id)
        if known is not None:
            return known
        described = await self._shared.facts(order_id)
        return None if described is None else described.facts()

    async def open_partials(self) -> tuple[OrderFacts, ...]:
        """Return this partition's orders that are partly filled and may still fill."""
        await self._lifecycle.open_partials()
        return tuple(
            order.facts()
            for order in self._lifecycle.open_orders()
            if order.filled_micro and self._shared.partition(order) == self._partition
        )


class Room:
    """The bots of one partition.

    Args:
        partition: Which.
        log: Its log, not claimed yet.
        roster: An empty one of its own.
        lifecycle: This host's orders.
        shared: What the cluster knows of orders.
        events: Signs events.
        clock: The host's.

    Attributes:
        ready: Whether its bots may hear of events.
        registry: Its bots' metrics.
    """

    def __init__(
        self,
        partition: int,
        log: PartitionLog,
        roster: BotRoster,
        lifecycle: OrderLifecycle,
        shared: SharedOrders,
        events: EventSigner,
        clock: Clock,
    ) -> None:
        self.partition = partition
        self.log = log
        self.ready = False
        self.registry = CollectorRegistry()
        self._roster = roster
        self._lifecycle = lifecycle
        self._shared = shared
        self._events = events
        self._clock = clock
        self._declared: set[str] = set()
        self._callers: dict[tuple[str, str], pluggy.HookCaller] = {}

    @property
    def hooks(self) -> pluggy.HookRelay:
        """Through which its bots are called."""
        return self._roster.manager.hook

    async def open(self, enabled: Iterable[str], services_for: Callable[[str], BotServices]) -> None:
        """Claim the log, build the bots, let them recover, and go on where the last owner left off.

        Raises:
            LeaseLost: The partition was lost meanwhile.
            BusError: The bus does not answer.
            DiscoveryError: No bot could be built.
        """
        await self.log.claim()
        self._roster.discover(enabled, lambda name: self._services(services_for(name)))
        if self._roster.refused and not self._roster.bots:
            raise DiscoveryError("; ".join(bot.reason for bot in self._roster.refused))
        _show("on_host_start", await gather_hook(self.hooks.on_host_start, deadline_s=_START_S))
        described = await self._described()
        self.ready = True
        self._shared.take_over(self.partition, described)
        _log.info("partition %d is open with %d orders", self.partition, len(described))

    async def close(self) -> None:
        """Stop the bots. Without the lease their last reports are left to whoever owns it now."""
        self.ready = False
        _show("on_host_stop", await gather_hook(self.hooks.on_host_stop, deadline_s=_STOP_S))

    def declare(self, order: TrackedOrder) -> None:
        """Tell the bots once what an order's strategy had decided, before they hear of its first event."""
        if not order.declared or order.trace_id in self._declared:
            return
        self._declared.add(order.trace_id)
        envelope = self._events.sign_body(order.declared, trace_id=order.trace_id, ts_ms=self._clock.now_ms())
        _show("on_decision_report", call_hook(self.hooks.on_decision_report, envelope=envelope))

    def forget(self, order: TrackedOrder) -> None:
        """An order is over. A chase of its trace is told of its strategy again, should one come."""
        self._declared.discard(order.trace_id)

    def caller(self, plugin_name: str, hook: str) -> pluggy.HookCaller | None:
        """Return a hook's caller that reaches one plugin's bot alone, or None without it."""
        key = (plugin_name, hook)
        if key not in self._callers:
            bot = self._bot(plugin_name)
            if bot is None:
                return None
            self._callers[key] = self._roster.only(hook, bot)
        return self._callers[key]

    async def _described(self) -> list[Value]:
        while True:
            try:
                return await self._shared.described(self.partition)
            except BusError as e:
                if not self.log.held():
                    raise
                _log.warning("partition %d is not taken up yet: %s", self.partition, e)
                await self._clock.sleep(_AGAIN_S)

    def _services(self, services: BotServices) -> BotServices:
        return replace(
            services,
            clob_auth=FencedClob(services.clob_auth, self._last_word),
            orders=PartitionOrders(self._lifecycle, self._shared, self.partition),
            hooks=self.hooks,
            metrics_registry=self.registry,
            fence=self.log,
            shared_log=self.log,
        )

    def _last_word(self) -> str:
        return "" if self.log.held() else LOST

    def _bot(self, plugin_name: str) -> RegisteredBot | None:
        return next((bot for bot in self._roster.bots if bot.plugin_name == plugin_name), None)


def _show(hook: str, results: Iterable[HookResult]) -> None:
    for result in results:
        if result.error is not None:
            _log.error("bot %s failed in %s: %r", result.plugin_name, hook, result.error)
