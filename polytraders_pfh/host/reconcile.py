"""Reading the truth by REST: all open orders after every reconnect, one order when its events contradict.

The user channel has no replay and no sequence numbers, so what it missed is found here (exchange docs,
user channel; SPEC 5: unknown is resolved by asking).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from polytraders_hookspecs import Clock

from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.errors import ExchangeRefused, PayloadError
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews, decode, members_of, order_news, trade_news
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
_EVERY_S: Final = 30.0
_READ_S: Final = 45.0
_AGAIN_AFTER_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_LOOK_AFTER_S: Final = (0.25, 0.5, 1.0, 4.0, 15.0, 60.0)
_TRADES_BEFORE_MS: Final = 60_000
_TRADES_AGAIN_MS: Final = 600_000
"""How far back known trades are read again: settlement, which may fail, takes seconds to minutes."""

_OK: Final = 200
_NOT_FOUND: Final = 404


def _ignore() -> None:
    """Nobody listens."""


class Reconciler:
    """Reads orders and trades from the exchange and shows them to the lifecycle.

    Args:
        clob: The exchange.
        lifecycle: Who takes the sightings.
        clock: For pauses.
        metrics: Counts the readings.
    """

    def __init__(
        self, clob: ClobAdapter, lifecycle: OrderLifecycle, clock: Clock, metrics: HostMetrics
    ) -> None:
        self._clob = clob
        self._lifecycle = lifecycle
        self._clock = clock
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._looking: set[str] = set()
        self._due = self._reading = False
        self._read_until_ms: dict[str, int] = {}
        self._found = 0
        self._tasks = Tasks(limit=1_000)

    async def run_once(self) -> None:
        """Read all open orders, the trades of their markets, and each tracked order that is not open.

        Raises:
            PfhError: The exchange did not answer; nothing was concluded from what is missing.
        """
        async with self._one_at_a_time:
            try:
                await self._read_all()
            except BaseException:
                self._metrics.reconciliations["failed"].inc()
                raise
        self._lifecycle.reconciled = True
        self._metrics.reconciliations["done"].inc()

    async def run_forever(self, every_s: float = _EVERY_S, on_news: Callable[[], None] = _ignore) -> None:
        """Read everything again and again, and sweep the tables. Never returns.

        Args:
            every_s: Seconds between two readings.
            on_news: Called after a reading that found what the user channel had not told.
        """
        while True:
            await self._clock.sleep(every_s)
            before = self._found
            await self.try_once()
            if self._found != before:
                on_news()
            self._lifecycle.sweep()

    async def try_once(self) -> bool:
        """Read everything and return whether that worked; a failure is shown."""
        try:
            async with asyncio.timeout(_READ_S):
                await self.run_once()
        except PfhError as e:
            _log.warning("open orders were not read: %s", e)
            return False
        except TimeoutError:
            _log.warning("open orders were not read within %g s", _READ_S)
            return False
        return True

    def read_soon(self) -> None:
        """Read everything from now on in the background, again and again until a reading worked."""
        self._due = True
        if not self._reading:
            self._reading = self._tasks.spawn(self._until_read(), "reconciliation") is not None

    async def _until_read(self) -> None:
        failures = 0
        try:
            while self._due:
                self._due = False
                if not await self.try_once():
                    self._due = True
                    await self._clock.sleep(_AGAIN_AFTER_S[min(failures, len(_AGAIN_AFTER_S) - 1)])
                    failures += 1
        finally:
            self._reading = False

    def look(self, order_id: str) -> None:
        """Read one order's record soon, unless its end arrives first; again while it stays unclear."""
        if order_id not in self._looking:
            self._looking.add(order_id)
            if self._tasks.spawn(self._look(order_id), f"look at {order_id[:12]}") is None:
                self._looking.discard(order_id)

    async def close(self) -> None:
        await self._tasks.close()

    async def _read_all(self) -> None:
        before = self._lifecycle.open_orders()
        open_now = await self._clob.open_orders()
        for news in open_now:
            self._show(news)
        await self._read_trades(self._lifecycle.known_orders())
        still_open = {news.order_id for news in open_now}
        for order in before:
            if order.order_id not in still_open and order.end is None:
                await self._read_order(order.order_id)

    async def _read_trades(self, orders: Iterable[TrackedOrder]) -> None:
        since: dict[str, int] = {}
        for order in orders:
            since[order.market_id] = min(since.get(order.market_id, order.known_ms), order.known_ms)
        self._read_until_ms = {market: ms for market, ms in self._read_until_ms.items() if market in since}
        for market_id, known_ms in since.items():
            now_ms = self._clock.now_ms()
            again_ms = self._read_until_ms.get(market_id, 0) - _TRADES_AGAIN_MS
            await self._read_market(market_id, max(known_ms - _TRADES_BEFORE_MS, again_ms))
            self._read_until_ms[market_id] = now_ms

    async def _read_market(self, market_id: str, after_ms: int) -> None:
        reply = await self._clob.get_trades(market_id, max(0, after_ms))
        if reply.status != _OK:
            raise ExchangeRefused(f"GET /data/trades: status {reply.status} {reply.detail}; ask again later")
        trades = decode(reply.body)
        for trade in trades if isinstance(trades, list) else ():
            news = trade_news(members_of(trade, "a trade"), self._clob.credentials.key)
            before = self._lifecycle.changes
            self._lifecycle.saw_trade(news, keep_orphans=False)
            self._found += self._lifecycle.changes - before

    async def _look(self, order_id: str) -> None:
        try:
            for pause_s in _LOOK_AFTER_S:
                await self._clock.sleep(pause_s)
                order = self._lifecycle.order(order_id)
                if order is not None and order.end is not None:
                    return
                try:
                    if await self._read_order(order_id):
                        return
                except PfhError as e:
                    _log.warning("order %s was not read: %s", order_id, e)
        finally:
            self._looking.discard(order_id)

    async def _read_order(self, order_id: str) -> bool:
        """Read one record; return whether it is clear now what became of the order.

        Raises:
            ExchangeRefused: The exchange did not answer.
            PayloadError: The answer is unreadable.
        """
        reply = await self._clob.get_order(order_id)
        if reply.status == _NOT_FOUND:
            self._lifecycle.record_absent(order_id)
            return self._lifecycle.order(order_id) is None
        if reply.status != _OK:
            raise ExchangeRefused(f"GET /data/order: status {reply.status} {reply.detail}; ask again later")
        record = decode(reply.body)
        if not record:
            return False
        news = order_news(members_of(record, "the order"))
        if news.order_id != order_id:
            raise PayloadError(f"id was {news.order_id}; order {order_id} was asked for")
        self._show(news)
        return await self._settle(order_id, news)

    def _show(self, news: OrderNews) -> None:
        """Show a record to the lifecycle, and count what it changed: nobody had told that before."""
        before = self._lifecycle.changes
        self._lifecycle.saw_order(news)
        self._found += self._lifecycle.changes - before

    async def _settle(self, order_id: str, news: OrderNews) -> bool:
        """`MATCHED` with shares missing: count the trades, then believe that the order no longer rests."""
        order = self._lifecycle.order(order_id)
        if order is not None and order.needs_a_look and news.standing == "matched":
            await self._read_market(order.market_id, order.known_ms - _TRADES_BEFORE_MS)
            self._lifecycle.proven_dead(order_id)
        return order is None or not order.unsettled
