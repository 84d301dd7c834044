"""What the hosts of a cluster know of each other's orders: facts before the post, levels before the bots.

The exchange tells every host of every order of the account, but not to which intent an order belongs, nor
what a strategy meant by it. So an order is described here, acknowledged, before it is posted; a host that
sees one it does not know asks here first, and only an order that nobody described was placed by somebody
else. The owner of its partition also writes here, before its bots hear of it, how far they have been told:
whoever takes over goes on from there, and tells the last event again under its first time, since the bot
that was told of it may be gone. A bot knows such an event again by its log.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from polytraders_hookspecs import Clock

from polytraders_pfh.host.cluster.buckets import Bucket, Value
from polytraders_pfh.host.cluster.partitions import partition_of
from polytraders_pfh.host.dispatch_events import Closed, Partial
from polytraders_pfh.host.errors import BusError
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.new_orders import order_from_news
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews
from polytraders_pfh.host.records import order_in, order_members
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 0.1
_MAX_NEWS: Final = 64


class SharedOrders:
    """The orders' bucket, as one host uses it.

    Args:
        bucket: Where they are, by `<partition>.<order id>`.
        partitions: How many partitions there are.
        lifecycle: Who hears what is learnt.
        clock: For pauses.
    """

    def __init__(self, bucket: Bucket, partitions: int, lifecycle: OrderLifecycle, clock: Clock) -> None:
        self._bucket = bucket
        self._partitions = partitions
        self._lifecycle = lifecycle
        self._clock = clock
        self._learning: dict[str, list[OrderNews]] = {}
        self._revisions: dict[str, int] = {}
        self._tasks = Tasks()

    def partition(self, order: TrackedOrder) -> int:
        """Return the partition of an order: that of its intent's root."""
        return partition_of(order.root_order_id or order.order_id, self._partitions)

    async def announce(self, order: TrackedOrder) -> None:
        """Describe an order that is about to be posted. Raises BusError."""
        await self._bucket.put(self._key(order), _described(order))

    def learn(self, news: OrderNews) -> None:
        """Find out what others know of an order; then the lifecycle hears of it, and of what came since."""
        waiting = self._learning.get(news.order_id)
        if waiting is None:
            self._learning[news.order_id] = waiting = []
            if self._tasks.spawn(self._learn(news.order_id), f"learn {news.order_id[:12]}") is None:
                del self._learning[news.order_id]
                return
        if len(waiting) < _MAX_NEWS:
            waiting.append(news)

    async def know_level(
        self, order: TrackedOrder, event: Partial | Closed, ts_ms: int, held: Callable[[], bool]
    ) -> bool:
        """Make known how far the bots are told, for as long as it takes; False once `held` says no more."""
        members = _described(order) | {
            "level": {"filled": event.filled_micro, "ts": ts_ms, "partial": isinstance(event, Partial)}
        }
        while held():
            try:
                if await self._write(order, members):
                    return held()
            except BusError as e:
                _log.warning("an event of order %s waits: %s", order.order_id, e)
                await self._clock.sleep(_AGAIN_S)
        return False

    async def forget(self, order: TrackedOrder) -> None:
        """Let go of an order whose end the bots have heard."""
        self._revisions.pop(order.order_id, None)
        try:
            await self._bucket.forget(self._key(order))
        except BusError as e:
            _log.warning("order %s is described for longer than it has to be: %s", order.order_id, e)

    async def described(self, partition: int) -> list[Value]:
        """Return what is known of a partition's orders. Raises BusError."""
        return [value async for value in self._bucket.all(f"{partition}.*")]

    def take_over(self, partition: int, described: list[Value]) -> None:
        """Have the lifecycle tell of a partition's orders from where the last owner left off.

        Nothing of them was told here since they were `described`, and nothing is awaited, so none is told
        twice.
        """
        known = set()
        for value in described:
            order = _order_in(value)
            if order is not None:
                known.add(order.order_id)
                self._revisions[order.order_id] = value.revision
                self._resume(order, value)
        for tracked in self._lifecycle.open_orders():
            if tracked.order_id not in known and self.partition(tracked) == partition:
                self._lifecycle.tell_again(tracked.order_id, 0, 0, told=False)

    async def facts(self, order_id: str) -> TrackedOrder | None:
        """Return an order as others described it, or None. Raises BusError."""
        value = await self._bucket.get(f"*.{order_id}")
        return None if value is None else _order_in(value)

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.close()

    def _key(self, order: TrackedOrder) -> str:
        return f"{self.partition(order)}.{order.order_id}"

    def _resume(self, order: TrackedOrder, value: Value) -> None:
        level = value.members.get("level") or {}
        if self._lifecycle.order(order.order_id) is None:
            self._lifecycle.learnt(order)
            self._lifecycle.on_look(order.order_id)
        self._lifecycle.tell_again(
            order.order_id,
            int(level.get("filled", 0)),
            int(level.get("ts", 0)),
            told=bool(level.get("partial")),
        )

    async def _write(self, order: TrackedOrder, members: dict[str, Any]) -> bool:
        """Write over the revision that is known; read it first when it is not, or was another."""
        key = self._key(order)
        revision = self._revisions.get(order.order_id)
        if revision is None:
            value = await self._bucket.get(key)
            revision = 0 if value is None else value.revision
        written = await self._bucket.put(key, members, last=revision)
        if written is None:
            self._revisions.pop(order.order_id, None)
            return False
        self._revisions[order.order_id] = written
        return True

    async def _learn(self, order_id: str) -> None:
        try:
            order = await self._asked(order_id)
            first = self._learning[order_id][0]
            self._lifecycle.learnt(order or order_from_news(first, first.size_micro or 0))
        finally:
            waiting = self._learning.pop(order_id)
        for news in waiting:
            self._lifecycle.saw_order(news)

    async def _asked(self, order_id: str) -> TrackedOrder | None:
        while True:
            try:
                return await self.facts(order_id)
            except BusError as e:
                _log.warning("what others know of order %s is not known yet: %s", order_id, e)
                await self._clock.sleep(_AGAIN_S)


def _described(order: TrackedOrder) -> dict[str, Any]:
    return {"facts": order_members(order), "declared": order.declared.decode("utf-8", "replace")}


def _order_in(value: Value) -> TrackedOrder | None:
    """Return the order that a value describes, without what its owner had told; None when it is none."""
    try:
        facts = dict(value.members["facts"]) | {"reported_micro": 0, "last_event_ms": 0}
        order = order_in(facts)
        order.declared = str(value.members.get("declared", "")).encode()
    except (KeyError, TypeError, ValueError) as e:
        _log.error("the description %s could not be read (%s)", value.key, e)
        return None
    return order
