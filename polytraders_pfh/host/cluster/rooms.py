"""The rooms of the partitions that this host owns: opened when one is taken, closed when it is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import pluggy
from polytraders_hookspecs import Clock

from polytraders_pfh.host.cluster.leases import Leases
from polytraders_pfh.host.cluster.orders import SharedOrders
from polytraders_pfh.host.cluster.room import Room
from polytraders_pfh.host.dispatch_events import Closed, Partial
from polytraders_pfh.host.errors import BusError, HostError
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 0.1
_DRAIN_S: Final = 45.0


class Rooms:
    """This host's part of the orders (`Sharing`).

    Args:
        leases: What it owns.
        shared: What the cluster knows of orders.
        build: Makes the room of a partition under a token.
        fill: Opens one.
        connected: Whether the bus can be talked to now.
        clock: For pauses.
    """

    def __init__(
        self,
        leases: Leases,
        shared: SharedOrders,
        build: Callable[[int, int], Room],
        fill: Callable[[Room], Awaitable[None]],
        connected: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._leases = leases
        self._shared = shared
        self._build = build
        self._fill = fill
        self._connected = connected
        self._clock = clock
        self._open: dict[int, Room] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._leaving: set[int] = set()
        self._tasks = Tasks()
        leases.on_gain = self._gained
        leases.on_loss = self._lost
        leases.on_excess = self._excess

    @property
    def open(self) -> tuple[Room, ...]:
        """The rooms whose bots have been started and not stopped, those of lost partitions included."""
        return tuple(self._open.values())

    # What the lifecycle and the dispatcher ask

    def ours(self, order: TrackedOrder) -> bool:
        """Return whether this host tells the bots of this order now."""
        return self._room(order) is not None

    def learns(self, news: OrderNews) -> bool:
        """Ask the others about an order nobody here announced."""
        self._shared.learn(news)
        return True

    async def announce(self, order: TrackedOrder) -> None:
        """Tell the others of an order before it is posted. Raises BusError."""
        await self._shared.announce(order)

    async def before(self, order: TrackedOrder, event: Partial | Closed, ts_ms: int) -> bool:
        """Make an event known before bots hear of it."""
        room = self._room(order)
        if room is None:
            return False
        room.declare(order)
        return await self._shared.know_level(order, event, ts_ms, room.log.held) and room.ready

    async def after(self, order: TrackedOrder, event: Partial | Closed) -> None:
        """Forget an order whose end the bots have heard."""
        room = self._room(order)
        if room is not None and isinstance(event, Closed):
            room.forget(order)
            await self._shared.forget(order)

    def hooks(self, order: TrackedOrder, default: pluggy.HookRelay) -> pluggy.HookRelay:
        """Return through which hooks an order's bots hear of it."""
        room = self._room(order)
        return default if room is None else room.hooks

    # What the host asks

    def reopen(self, partition: int, token: int) -> None:
        """Begin a partition's room anew, from its log: what the bots knew cannot be relied on any more."""
        self._gained(partition, token)

    async def close(self, *, graceful: bool) -> None:
        """Stop every room; when `graceful`, let sequences end first and give the partitions back."""
        if graceful:
            self._leases.leave()
            while self._leases.owned:  # one may come in that was being taken
                for partition in list(self._leases.owned):
                    self._excess(partition)
                if not await self._tasks.drain(_DRAIN_S):
                    break
            for partition in list(self._open):
                await self._end(partition)
        await self._tasks.close()

    def _room(self, order: TrackedOrder) -> Room | None:
        room = self._open.get(self._shared.partition(order))
        return room if room is not None and room.ready and room.log.held() else None

    def _gained(self, partition: int, token: int) -> None:
        self._tasks.spawn(self._begin(partition, token), f"open partition {partition}")

    def _lost(self, partition: int) -> None:
        room = self._open.get(partition)
        if room is not None:
            self._tasks.spawn(self._end_when_connected(partition, room), f"close partition {partition}")

    def _excess(self, partition: int) -> None:
        if partition not in self._leaving:
            self._leaving.add(partition)
            self._tasks.spawn(self._give_back(partition), f"give back partition {partition}")

    async def _begin(self, partition: int, token: int) -> None:
        async with self._lock(partition):
            await self._stop(partition)  # that of an earlier token
            if not self._leases.still_held(partition, token):
                return
            room = self._build(partition, token)
            try:
                self._open[partition] = room
                await self._fill(room)
            except (HostError, OSError) as e:
                _log.error("partition %d could not be opened: %s", partition, e)
                await self._stop(partition)
                await self._hand_on(partition)

    async def _give_back(self, partition: int) -> None:
        try:
            await self._end(partition)
            await self._hand_on(partition)
        finally:
            self._leaving.discard(partition)

    async def _hand_on(self, partition: int) -> None:
        while partition in self._leases.owned:
            try:
                await self._leases.release(partition)
            except BusError as e:
                _log.warning("partition %d is not given back yet: %s", partition, e)
                await self._clock.sleep(_AGAIN_S)

    async def _end_when_connected(self, partition: int, room: Room) -> None:
        """Cut off, its bots may still cancel; once the bus is back, others look after its orders."""
        while not self._connected():
            await self._clock.sleep(_AGAIN_S)
        async with self._lock(partition):
            if self._open.get(partition) is room:
                await self._stop(partition)

    async def _end(self, partition: int) -> None:
        async with self._lock(partition):
            await self._stop(partition)

    async def _stop(self, partition: int) -> None:
        room = self._open.get(partition)
        if room is not None:
            await room.close()
            self._open.pop(partition, None)

    def _lock(self, partition: int) -> asyncio.Lock:
        return self._locks.setdefault(partition, asyncio.Lock())
