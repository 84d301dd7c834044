"""The newest reports of every bot, as they were first offered to the bus, for people to look at."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from polytraders_hookspecs import ExecutionReport, ReportBus, WireError

_KEPT: Final = 300


class RecentReports:
    """A report bus that remembers what passed through it; a report offered twice is remembered once.

    Args:
        bus: Where reports go.
        limit: How many are kept.
    """

    def __init__(self, bus: ReportBus, limit: int = _KEPT) -> None:
        self._bus = bus
        self._limit = limit
        self._kept: OrderedDict[str, bytes | ExecutionReport | None] = OrderedDict()

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        """Remember, and publish; a bus that is down keeps nobody from seeing what was decided."""
        if message_id not in self._kept:
            self._kept[message_id] = payload
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        await self._bus.publish(topic, key, payload, message_id)

    def newest(self, count: int, order_id: str | None = None) -> list[ExecutionReport]:
        """Return the newest reports, newest first: of all orders, or of one and of what descends from it."""
        found: list[ExecutionReport] = []
        for report in self._newest_first():
            if order_id is None or order_id in _orders_of(report):
                found.append(report)
                if len(found) == count:
                    break
        return found

    def last_of_orders(self) -> dict[str, ExecutionReport]:
        """Return the newest report of each order, a new chase order's being the one that announced it."""
        last: dict[str, ExecutionReport] = {}
        for report in self._newest_first():
            for order_id in (report.order_id, report.new_order_id):
                if order_id is not None:
                    last.setdefault(order_id, report)
        return last

    def _newest_first(self) -> Iterator[ExecutionReport]:
        """Yield what is kept, each report read once, when somebody looks for the first time."""
        for message_id in reversed(list(self._kept)):
            kept = self._kept[message_id]
            if isinstance(kept, bytes):
                kept = self._kept[message_id] = _read(kept)
            if kept is not None:
                yield kept


def _read(payload: bytes) -> ExecutionReport | None:
    try:
        return ExecutionReport.from_json(payload)
    except WireError:
        return None


def _orders_of(report: ExecutionReport) -> tuple[str | None, ...]:
    return report.order_id, report.root_order_id, report.new_order_id
