"""What the host remembers of its orders across restarts: a small append-only file.

The exchange knows what is live and what filled; it does not know trace ids, strategies, roots, builder
codes, nor which fills bots have heard of. A line that the machine loses with its power costs an
attribution, never money, so nothing is fsynced here.
"""

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from polytraders_hookspecs import ContractError, Strategy

from polytraders_pfh.host.orders import TrackedOrder

_log: Final = logging.getLogger(__name__)
_FIELDS: Final = (
    "order_id",
    "market_id",
    "token_id",
    "trace_id",
    "side",
    "price_micro",
    "size_micro",
    "builder_code",
    "neg_risk",
    "adopted",
    "expires",
    "ruled",
    "root_order_id",
    "known_ms",
    "reported_micro",
    "last_event_ms",
)


class OrderRecords:
    """The file of one host. A write that fails is shown once; the host goes on without its memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._lines = 0

    @property
    def lines(self) -> int:
        """Lines written since the file was last made small."""
        return self._lines

    def open(self) -> list[TrackedOrder]:
        """Return the orders that had not ended, and make the file small again.

        Raises:
            OSError: The file or its directory cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        orders = self._read()
        self.compact(orders)
        return orders

    def compact(self, orders: Iterable[TrackedOrder]) -> None:
        """Write a new file with these orders alone, and put it in the old one's place.

        Raises:
            OSError: It cannot be written; the old file is still there.
        """
        fresh = self._path.with_suffix(".new")
        text = "".join(_line("known", order_members(order)) for order in orders)
        with fresh.open("w", encoding="ascii") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        self.close()
        fresh.replace(self._path)
        self._file = self._path.open("a", encoding="ascii")
        self._lines = text.count("\n")

    def known(self, order: TrackedOrder) -> None:
        """Note an order's facts; the newest note of an order holds."""
        self._append(_line("known", order_members(order)))

    def reported(self, order: TrackedOrder, filled_micro: int) -> None:
        """Note which filled amount the bots have heard of."""
        self._append(_line("reported", [order.order_id, filled_micro, order.last_event_ms]))

    def ended(self, order_id: str) -> None:
        """Note that this order needs no memory any more."""
        self._append(_line("ended", order_id))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
            self._lines += 1
        except OSError as e:
            _log.error("order file %s failed (%s); a restart will not know new orders' traces", self._path, e)
            self._file = None

    def _read(self) -> list[TrackedOrder]:
        orders: dict[str, TrackedOrder] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
                try:
                    _apply(orders, json.loads(line))
                except (ValueError, KeyError, TypeError, ContractError):
                    _log.warning("order file %s held an unreadable line, which is left out", self._path)
        return list(orders.values())


class ForgetfulRecords:
    """In place of a host's own records: what counts is what the cluster knows."""

    lines: Final = 0

    def open(self) -> list[TrackedOrder]:
        return []

    def compact(self, orders: object) -> None:
        """Nothing to make small."""

    def known(self, order: TrackedOrder) -> None:
        """The cluster knows it."""

    def reported(self, order: TrackedOrder, filled_micro: int) -> None:
        """The cluster knows it."""

    def ended(self, order_id: str) -> None:
        """The cluster knows it."""

    def close(self) -> None:
        """Nothing to close."""


def _line(kind: str, value: Any) -> str:
    return json.dumps({kind: value}, separators=(",", ":")) + "\n"


def order_members(order: TrackedOrder) -> dict[str, Any]:
    """Return what is kept of an order."""
    members = {name: getattr(order, name) for name in _FIELDS}
    if order.strategy is not None:
        members["strategy"] = order.strategy.model_dump()
    return members


def _apply(orders: dict[str, TrackedOrder], line: dict[str, Any]) -> None:
    if "known" in line:
        order = order_in(line["known"])
        orders[order.order_id] = order
    elif "reported" in line:
        order_id, filled_micro, last_event_ms = line["reported"]
        if order_id in orders:
            orders[order_id].remember(filled_micro, last_event_ms)
    elif "ended" in line:
        orders.pop(line["ended"], None)


def order_in(members: dict[str, Any]) -> TrackedOrder:
    """Return the order that `order_members` described. Raises KeyError or TypeError for anything else."""
    facts = dict(members)
    strategy = facts.pop("strategy", None)
    reported_micro, last_event_ms = facts.pop("reported_micro"), facts.pop("last_event_ms")
    order = TrackedOrder(**facts, strategy=Strategy(**strategy) if strategy else None)
    order.remember(reported_micro, last_event_ms)
    return order
