"""The order-lifecycle manager: every order of this account, from its first sign to a while after its end.

Sightings come from four sides: what was signed, what was posted and how that was answered, the user
channel, and readings by REST. Whatever their order, bots hear of each filled amount once, and of the
end (SPEC 2: `on_partial_fill`, `on_order_closed`). Late fills of an ended order amend its end.
"""

import logging
from collections.abc import Callable
from typing import Final

from polytraders_hookspecs import Clock, ExchangeReply, OrderFacts, Strategy, UnsignedOrder

from polytraders_pfh.host.dispatch import EventDispatcher
from polytraders_pfh.host.dispatch_events import Closed, Partial
from polytraders_pfh.host.errors import ExchangeRefused
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.new_orders import order_from_news, order_from_signed
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews, TradeNews
from polytraders_pfh.host.records import ForgetfulRecords, OrderRecords
from polytraders_pfh.host.replies import post_outcome, post_status
from polytraders_pfh.host.sharing import ALONE, Sharing

_log: Final = logging.getLogger(__name__)
_TOMBSTONE_NS: Final = 600 * 1_000_000_000
_NEVER_ARRIVED_NS: Final = 60 * 1_000_000_000
_MAX_ORDERS: Final = 20_000
_MAX_SIGNED: Final = 1_000
_MAX_ORPHANS: Final = 1_000
_MAX_RECORD_LINES: Final = 100_000
_NEVER_REST: Final = frozenset({"FOK", "FAK"})


class OrderLifecycle:
    """The registry of orders (the contract's `OrderBookkeeper`), and the judge of their sightings.

    Attributes:
        on_look: Called with the id of an order whose record only the exchange can tell.
        on_unclaimed: Called with each root order that comes in without a strategy of its own.
        on_tokens: Called when the set of tokens with orders changed.
        maker: The wallet that this host trades for, in lower case; orders of another one are left alone.
        changes: How many orders came in and how many events were offered to bots, so far.
        reconciled: Whether all open orders have been read from the exchange since the start.
        sharing: With which hosts orders are shared.
    """

    def __init__(
        self,
        dispatcher: EventDispatcher,
        records: OrderRecords | ForgetfulRecords,
        clock: Clock,
        metrics: HostMetrics,
    ) -> None:
        self._dispatcher = dispatcher
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._orders: dict[str, TrackedOrder] = {}
        self._signed: dict[str, tuple[UnsignedOrder, Strategy | None, bytes]] = {}
        self._foreign: dict[str, None] = {}
        self._orphans: dict[str, list[tuple[str, int, bool]]] = {}
        self.on_look: Callable[[str], None] = _ignore
        self.on_unclaimed: Callable[[TrackedOrder], None] = _ignore
        self.on_tokens: Callable[[frozenset[str]], None] = _ignore
        self.maker = ""
        self.changes = 0
        self.reconciled = False
        self.sharing: Sharing = ALONE
        dispatcher.on_delivered = self._delivered

    def load(self) -> None:
        """Take up the orders that were open when the host last stopped.

        Raises:
            OSError: The records cannot be written.
        """
        for order in self._records.open():
            order.known_ns = self._clock.monotonic_ns()
            self._orders[order.order_id] = order
            self._claim(order)
        self._changed()

    def close(self) -> None:
        self._records.close()

    # What bots ask (OrderBookkeeper)

    async def get(self, order_id: str) -> OrderFacts | None:
        """Return what is known of this order, ended ones for ten minutes too, or None."""
        order = self._orders.get(order_id)
        return order.facts() if order else None

    async def open_partials(self) -> tuple[OrderFacts, ...]:
        """Return every order that is partly filled and may still fill.

        Raises:
            ExchangeRefused: The exchange has not been read yet, so nobody knows.
        """
        if not self.reconciled:
            raise ExchangeRefused("open orders have not been read from the exchange yet; ask again later")
        return tuple(order.facts() for order in self.open_orders() if order.filled_micro)

    # What the host asks

    def open_orders(self) -> tuple[TrackedOrder, ...]:
        """Return every order that may still fill."""
        return tuple(order for order in self._orders.values() if order.end is None)

    def known_orders(self) -> tuple[TrackedOrder, ...]:
        """Return every order that is remembered, ended ones included."""
        return tuple(self._orders.values())

    def order(self, order_id: str) -> TrackedOrder | None:
        """Return this order as it is tracked, or None."""
        return self._orders.get(order_id)

    def tokens(self) -> frozenset[str]:
        """Return the tokens whose books matter."""
        return frozenset(order.token_id for order in self._orders.values())

    # Sightings

    def signed(
        self,
        unsigned: UnsignedOrder,
        order_id: str,
        strategy: Strategy | None = None,
        declared: bytes = b"",
    ) -> None:
        """Note what a signed order is for; it becomes an order when it is posted or seen.

        Args:
            unsigned: What was to be signed.
            order_id: The signed order's hash.
            strategy: For a root order. A chase order inherits its root's.
            declared: The strategy's DecisionReport, likewise.
        """
        if len(self._signed) >= _MAX_SIGNED:
            del self._signed[next(iter(self._signed))]
        self._signed[order_id] = (unsigned, strategy, declared)

    async def announce(self, order_id: str) -> None:
        """Tell the hosts that share this account of a signed order, before it is posted.

        Raises:
            HostError: They could not be told; then it must not be posted.
        """
        noted = self._signed.get(order_id)
        if noted is not None:
            await self.sharing.announce(self._from_signed(order_id, *noted))

    def posting(self, order_id: str) -> None:
        """Note that a signed order is about to be sent. From here on it may be live."""
        noted = self._signed.pop(order_id, None)
        if noted is not None and order_id not in self._orders:
            self._add(self._from_signed(order_id, *noted))

    def posted(self, order_id: str, reply: ExchangeReply) -> None:
        """Take in the answer to a post. Only a refusal of a first attempt proves that there is no order."""
        order = self._orders.get(order_id)
        if order is None:
            return
        outcome = post_outcome(reply)
        if outcome == "accepted":
            order.live = True
            if post_status(reply) != "live":
                self.on_look(order_id)
        elif outcome == "refused" and not order.live and not order.post_unknown:
            self._forget(order)
        else:
            order.post_unknown = True
            self.on_look(order_id)

    def cancelled(self, order_ids: tuple[str, ...]) -> None:
        """Take in that the exchange confirmed these cancels; the records will say how much had filled."""
        for order_id in order_ids:
            order = self._orders.get(order_id)
            if order is not None and order.end is None:
                order.end_expected = True
                self.on_look(order_id)

    def saw_order(self, news: OrderNews) -> None:
        """Take in an order event or an order record."""
        order = self._orders.get(news.order_id) or self._adopt(news)
        if order is not None:
            order.saw(news)
            self._judge(order)

    def saw_trade(self, news: TradeNews, *, keep_orphans: bool = True) -> None:
        """Take in a trade. Fills of ours for orders not seen yet wait for them, unless told otherwise."""
        for fill in news.fills:
            order = self._orders.get(fill.order_id)
            if order is not None:
                order.saw_trade(news.trade_id, fill.shares_micro, failed=news.failed)
                self._judge(order)
            elif fill.ours and keep_orphans:
                self._orphan(fill.order_id, (news.trade_id, fill.shares_micro, news.failed))

    def record_absent(self, order_id: str) -> None:
        """Take in that the exchange knows no such order. One that was never seen is forgotten in time."""
        order = self._orders.get(order_id)
        if order is None or order.live or order.end is not None:
            return
        if self._clock.monotonic_ns() - order.known_ns >= _NEVER_ARRIVED_NS:
            self._forget(order)

    def proven_dead(self, order_id: str) -> None:
        """Take in that the exchange's own record, read with its trades, says the order no longer rests."""
        order = self._orders.get(order_id)
        if order is not None and order.end is None:
            order.proven_dead()
            self._judge(order)

    def sweep(self) -> None:
        """Forget what ended long ago, and keep the tables within their bounds."""
        now_ns = self._clock.monotonic_ns()
        old = [o for o in self._orders.values() if o.end and now_ns - o.ended_ns >= _TOMBSTONE_NS]
        for order in old:
            del self._orders[order.order_id]
        if old:
            self._changed()
        if self._records.lines > _MAX_RECORD_LINES:
            self._records.compact(self.open_orders())

    def _judge(self, order: TrackedOrder) -> None:
        """Decide what bots have to hear after a sighting. The one place where events come from."""
        filled_micro, end = order.filled_micro, order.due_end
        if not self.sharing.ours(order):
            if end is not None and order.end is None:
                order.end, order.ended_ns = end, self._clock.monotonic_ns()
            elif order.needs_a_look:
                self.on_look(order.order_id)
        elif order.end is not None:
            if filled_micro > order.reported_micro:
                order.end = end or order.end
                order.reported_micro = filled_micro
                self._offer(order, Closed(order.end, filled_micro))
        elif end is not None:
            order.end, order.ended_ns = end, self._clock.monotonic_ns()
            order.reported_micro = filled_micro
            self._records.ended(order.order_id)
            self._offer(order, Closed(end, filled_micro))
        elif order.needs_a_look:
            self.on_look(order.order_id)
        elif filled_micro != order.reported_micro:
            order.reported_micro = filled_micro
            self._offer(order, Partial(filled_micro))

    def _offer(self, order: TrackedOrder, event: Partial | Closed) -> None:
        self.changes += 1
        self._dispatcher.offer(order, event)

    def _adopt(self, news: OrderNews) -> TrackedOrder | None:
        """Take up an order that nobody announced: posted elsewhere, or seen before its own post ended."""
        noted = self._signed.pop(news.order_id, None)
        if noted is not None:
            return self._add(self._from_signed(news.order_id, *noted))
        if self.maker and news.maker and news.maker != self.maker:
            self._leave_alone(news)
            return None
        if not news.size_micro or news.standing == "cancelled" or news.order_type in _NEVER_REST:
            self._orphans.pop(news.order_id, None)
            return None
        if self.sharing.learns(news):
            return None
        return self._add(order_from_news(news, news.size_micro))

    def _leave_alone(self, news: OrderNews) -> None:
        """An order of another wallet of the same key: its remainder cannot be posted again from this one."""
        if news.order_id not in self._foreign:
            if len(self._foreign) >= _MAX_ORPHANS:
                del self._foreign[next(iter(self._foreign))]
            self._foreign[news.order_id] = None
            _log.warning("order %s is held by wallet %s, and is left alone", news.order_id, news.maker)

    def learnt(self, order: TrackedOrder) -> None:
        """Take up an order that other hosts, or nobody, had announced."""
        if order.order_id not in self._orders:
            self._add(order)

    def tell_again(self, order_id: str, filled_micro: int, last_event_ms: int, *, told: bool) -> None:
        """Take up telling the bots of an order where another host left off.

        Args:
            order_id: Which.
            filled_micro: The filled amount of the last event that was made known, 0 without one.
            last_event_ms: Its time, 0 without one.
            told: Whether that event was a PARTIAL: its bot may never have heard of it, so it is told again.
        """
        order = self._orders.get(order_id)
        if order is None:
            return
        order.end, order.reported_micro, order.last_event_ms = None, filled_micro, last_event_ms
        order.heard(filled_micro)
        self._dispatcher.withdraw(order_id)  # left from an earlier time as its owner
        if told and filled_micro:
            self._offer(order, Partial(filled_micro, last_event_ms))
        self._judge(order)

    def _from_signed(
        self, order_id: str, unsigned: UnsignedOrder, strategy: Strategy | None, declared: bytes
    ) -> TrackedOrder:
        root = self._orders.get(unsigned.root_order_id) if unsigned.root_order_id else None
        return order_from_signed(order_id, unsigned, strategy, root, declared)

    def _add(self, order: TrackedOrder) -> TrackedOrder:
        order.known_ms, order.known_ns = self._clock.now_ms(), self._clock.monotonic_ns()
        self._claim(order)
        if len(self._orders) >= _MAX_ORDERS:
            self._make_room()
        self._orders[order.order_id] = order
        self.changes += 1
        for trade_id, shares_micro, failed in self._orphans.pop(order.order_id, ()):
            order.saw_trade(trade_id, shares_micro, failed=failed)
        self._records.known(order)
        self._changed()
        return order

    def _claim(self, order: TrackedOrder) -> None:
        """A root order without a strategy of its own is offered to the rules, after every start anew."""
        if order.root_order_id is None and (order.strategy is None or order.ruled):
            order.strategy, order.ruled = None, False
            self.on_unclaimed(order)

    def _make_room(self) -> None:
        ended = next((o for o in self._orders.values() if o.end is not None), None)
        if ended is not None:
            del self._orders[ended.order_id]
        else:
            _log.error("over %d orders are open; the exchange's own limits should be far below", _MAX_ORDERS)

    def _forget(self, order: TrackedOrder) -> None:
        self._orders.pop(order.order_id, None)
        self._records.ended(order.order_id)
        self._changed()

    def _orphan(self, order_id: str, fill: tuple[str, int, bool]) -> None:
        if order_id not in self._orphans and len(self._orphans) >= _MAX_ORPHANS:
            del self._orphans[next(iter(self._orphans))]
        fills = self._orphans.setdefault(order_id, [])
        if fill not in fills and len(fills) < _MAX_ORPHANS:
            fills.append(fill)
        self.on_look(order_id)

    def _delivered(self, order: TrackedOrder, filled_micro: int) -> None:
        if order.end is None:
            self._records.reported(order, filled_micro)

    def _changed(self) -> None:
        self._metrics.orders.set(len(self._orders))
        self.on_tokens(self.tokens())


def _ignore(_: object) -> None:
    """Nobody listens yet."""
