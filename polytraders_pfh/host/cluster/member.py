"""One host as a member of its cluster: what it opens, in which order, and how it leaves."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any, Final

from nats.aio.msg import Msg
from polytraders_hookspecs import BotManifest, Clock
from prometheus_client import CollectorRegistry

from polytraders_pfh.host.cluster.bots import PartitionedBot
from polytraders_pfh.host.cluster.buckets import Bucket
from polytraders_pfh.host.cluster.kill import ClusterKill
from polytraders_pfh.host.cluster.leases import Leases
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.membership import Membership
from polytraders_pfh.host.cluster.metrics import RoomMetrics
from polytraders_pfh.host.cluster.orders import SharedOrders
from polytraders_pfh.host.cluster.partition_log import PartitionLog, log_stream
from polytraders_pfh.host.cluster.room import Room
from polytraders_pfh.host.cluster.rooms import Rooms
from polytraders_pfh.host.cluster.streams import ensure_stream
from polytraders_pfh.host.config_nats import ClusterSection
from polytraders_pfh.host.discovery import BotRoster
from polytraders_pfh.host.dispatch import EventSigner
from polytraders_pfh.host.errors import BusError, DiscoveryError
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.services import BotServices

_log: Final = logging.getLogger(__name__)
NOT_A_MEMBER: Final = "this host could not renew its lease; another host may own its orders"
_DAY_S: Final = 86_400


class ClusterMember:
    """What one host has in common with the others.

    Args:
        section: Its settings.
        replicas: On how many servers everything is kept.
        link: The connection; opened and closed here.
        lifecycle: This host's orders.
        kill_switch: This host's switch.
        events: Signs events.
        clock: The host's.
        environ: For discovery.
        plugins: Likewise.
    """

    def __init__(
        self,
        section: ClusterSection,
        replicas: int,
        link: BusLink,
        lifecycle: OrderLifecycle,
        kill_switch: FileKillSwitch,
        events: EventSigner,
        clock: Clock,
        environ: Mapping[str, str],
        plugins: Mapping[str, object] | None,
    ) -> None:
        self._section = section
        self._replicas = replicas
        self._link = link
        self._lifecycle = lifecycle
        self._events = events
        self._clock = clock
        self._environ = environ
        self._plugins = plugins
        name = section.name
        self._names = Bucket(link, f"{name}_hosts", replicas, ttl_s=section.lease_s)
        self._keys = Bucket(link, f"{name}_partitions", replicas)
        self._control = Bucket(link, f"{name}_control", replicas)
        self._orders = Bucket(link, f"{name}_orders", replicas, ttl_s=section.remember_days * _DAY_S)
        self._membership = Membership(self._names, section.host, section.lease_s, clock)
        self.leases = Leases(
            self._membership, self._keys, section.partitions, section.host, section.lease_s, clock
        )
        self._shared = SharedOrders(self._orders, section.partitions, lifecycle, clock)
        self.rooms = Rooms(self.leases, self._shared, self._build, self._fill, lambda: link.connected, clock)
        self._kill = ClusterKill(self._control, kill_switch, section.host, clock)
        self._enabled: tuple[str, ...] = ()
        self._services_for: Callable[[str], BotServices] | None = None
        self._run: asyncio.Task[None] | None = None
        self._rereading: asyncio.Task[None] | None = None
        self._cut: Callable[[], bool] = lambda: False

    def last_word(self) -> str:
        """Why this host must not send any order, or empty."""
        return "" if self._membership.alive else NOT_A_MEMBER

    def enlist(
        self, roster: BotRoster, enabled: list[str], services_for: Callable[[str], BotServices]
    ) -> None:
        """Put a stand-in for every enabled bot into the host's roster.

        Raises:
            DiscoveryError: Not one of them could be built.
        """
        self._enabled, self._services_for = tuple(enabled), services_for
        probe = self._roster()
        probe.discover(
            enabled, lambda name: replace(services_for(name), metrics_registry=CollectorRegistry())
        )
        if probe.refused and not probe.bots:
            raise DiscoveryError("; ".join(bot.reason for bot in probe.refused))
        for bot in probe.bots:
            roster.admit(bot.plugin_name, self._stand_in(bot.plugin_name, bot.manifest))

    async def open(self, stack: AsyncExitStack, registry: CollectorRegistry, cut: Callable[[], bool]) -> None:
        """Join the cluster, and take up partitions as they come.

        Args:
            stack: What is opened is closed with it.
            registry: Shows the rooms' metrics.
            cut: Whether the host is to leave nothing behind, as when it dies.

        Raises:
            BusError: The bus is not there, or not as it has to be.
            ConfigError: A host of this name is running.
        """
        self._cut = cut
        stack.push_async_callback(self._link.close)
        await self._link.open()
        await self._make()
        await self._listen()
        await self._kill.read()
        registry.register(RoomMetrics(lambda: self.rooms.open))
        await self._membership.claim()
        stack.push_async_callback(self._close)
        self._link.on_connected = self._connected
        self._run = asyncio.create_task(self.leases.run(), name="cluster leases")

    async def _make(self) -> None:
        section = self._section
        stream = log_stream(log_name(section), log_prefix(section), section.partitions, self._replicas)
        await ensure_stream(self._link.jetstream, stream)
        for bucket in (self._names, self._keys, self._control, self._orders):
            await bucket.open()

    async def _listen(self) -> None:
        """Hear of writes as they are made. What is missed while cut off is read when the bus is back."""
        client = self._link.client
        await client.subscribe(self._names.subject("*"), cb=self._on_name)
        await client.subscribe(self._keys.subject("*"), cb=self._on_key)
        await client.subscribe(self._control.subject("*"), cb=self._on_control)

    async def _on_name(self, msg: Msg) -> None:
        self._membership.saw(*self._names.read(msg.subject, msg.data))

    async def _on_key(self, msg: Msg) -> None:
        key, _ = self._keys.read(msg.subject, msg.data)
        if key.isdecimal():
            self.leases.saw(int(key))

    async def _on_control(self, msg: Msg) -> None:
        self._kill.saw(self._control.read(msg.subject, msg.data)[1])

    async def _reread(self) -> None:
        with suppress(BusError):
            await self._kill.read()

    def _connected(self) -> None:
        self.leases.rescan()
        self._rereading = asyncio.create_task(self._reread(), name="cluster kill switch")

    async def _close(self) -> None:
        """Leave: sequences end, partitions go to the others at once. Cut, nothing is said to anybody."""
        cut = self._cut()
        if self._run is not None and not cut:
            await self.rooms.close(graceful=True)
            with suppress(BusError):
                await self._membership.leave()
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait({self._run})
        if cut:
            await self.rooms.close(graceful=False)
        await self._shared.close()
        await self._kill.close()

    def _build(self, partition: int, token: int) -> Room:
        log = PartitionLog(
            self._link,
            log_name(self._section),
            log_prefix(self._section),
            partition,
            token,
            self.leases,
            self._clock,
        )
        log.on_broken = lambda: self.rooms.reopen(partition, token)
        roster = self._roster()
        return Room(partition, log, roster, self._lifecycle, self._shared, self._events, self._clock)

    async def _fill(self, room: Room) -> None:
        assert self._services_for is not None
        await room.open(self._enabled, self._services_for)

    def _roster(self) -> BotRoster:
        return BotRoster(self._environ, self._plugins)

    def _stand_in(self, plugin_name: str, manifest: BotManifest) -> Any:
        return PartitionedBot(plugin_name, manifest, lambda: self.rooms.open, self._kill.told)


def log_name(section: ClusterSection) -> str:
    """Return the name of the stream that the cluster's logs are in."""
    return f"{section.name}_LOG"


def log_prefix(section: ClusterSection) -> str:
    """Return what the subjects of the cluster's logs begin with."""
    return f"{section.name}.log"
