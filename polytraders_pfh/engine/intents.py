"""What is kept of each intent: its chain of orders, where its remainder stands, and its lock.

Dropped when the chain has ended, after a time for late fills. Everything is bounded.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from sys import intern
from typing import Final

from polytraders_hookspecs.events import DecisionReport

from polytraders_pfh.core.chase import Bounds, Child
from polytraders_pfh.core.lifecycle import MAY_FILL, State, Step, advance
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.money import plain
from polytraders_pfh.core.outcomes import OrderRecord
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.journal import Commit


@dataclass(slots=True)
class ChainOrder:
    """One order of a chain, as far as is known. Sizes in micro-shares, times in Unix ms.

    `filled_micro` is the most that events and records have said, `told_micro` what the newest event said.
    `unread` says that it ended without this bot having read since what it had filled by then.
    """

    order_id: str
    price_micro: int
    size_micro: int
    filled_micro: int = 0
    may_fill: bool = True
    last_event_ms: int = 0
    told_micro: int = 0
    unread: bool = False

    def child(self) -> Child:
        """Return the order as the core's laws look at it."""
        return Child(self.order_id, self.price_micro, self.size_micro, self.filled_micro, self.may_fill)


@dataclass(slots=True)
class Intent:
    """What a strategy asked for at first: one root order and the chase orders that descend from it.

    Attributes:
        bounds: The most it may ever trade; drawn in by the exchange's own record, never widened.
        orders: The chain, root first. The last one is the one being worked.
        state: Where the remainder of the last order stands.
        stopped: Why nothing may be posted for it any more, or empty.
        declared: The strategy's report that the bounds were last drawn in by.
        rooted: Whether the price that ticks are counted from is known to be the intent's first.
        ending: Whether it has ended and only waits for late fills.
        unwanted: Whether its working order is to be cancelled as soon as it is known to live.
        meant: The record that its working order is to be cancelled if the book confirms it, until then.
    """

    root_order_id: str
    trace_id: str
    market_id: str
    token_id: str
    side: Side
    root_price_micro: int
    bounds: Bounds
    builder_code: str
    orders: list[ChainOrder]
    policy: Policy | None = None
    allow_wide_chase: bool = False
    limit_price_micro: int | None = None
    strategy_id: str | None = None
    neg_risk: bool | None = None
    state: State = State.RESTING
    stopped: str = ""
    unwanted: bool = False
    declared: DecisionReport | None = None
    rooted: bool = False
    reposts: int = 0
    chasing_since_ms: int = 0
    ending: bool = False
    meant: Commit | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def working(self) -> ChainOrder:
        """The order that is being worked: the last of the chain."""
        return self.orders[-1]

    def step(self, step: Step) -> None:
        """Move the remainder along the table, and with it whether the working order may still fill.

        Raises:
            IllegalStep: The table has no such edge; nothing was changed.
        """
        self.state = advance(self.state, step)
        self.working.may_fill = self.state in MAY_FILL

    def children(self) -> list[Child]:
        """Return the chain as the core's laws look at it."""
        return [order.child() for order in self.orders]

    def rest_without_working(self) -> tuple[int, int]:
        """Return what the intent may trade once the working order is dead (micro-shares, micro-pUSD)."""
        children = self.children()
        last = children[-1]
        children[-1] = Child(last.order_id, last.price_micro, last.size_micro, last.filled_micro, False)
        return self.bounds.rest(children)

    def extra_usd_micro(self) -> int:
        """Return what chasing has cost so far beyond the root price, in micro-pUSD, rounded down."""
        return (
            sum(abs(o.price_micro - self.root_price_micro) * o.filled_micro for o in self.orders[1:])
            // 1_000_000
        )


def take_record(intent: Intent, order: ChainOrder, record: OrderRecord) -> None:
    """Take the exchange's own record of an order: the truth for what filled, and a bound for the intent.

    A record that shows less than an event did lags behind it (clob_v2 3.3): only an event takes a fill back.
    A record of another price stops the intent: the cap was measured from a price that never was.
    The root's recorded size draws the intent's bounds in and never widens them, so an event that
    claims more than the order ever was cannot grow a chase.
    """
    if record.price_micro is not None and record.price_micro != order.price_micro:
        told, known = plain(order.price_micro), plain(record.price_micro)
        intent.stopped = f"its order {order.order_id} was told as priced {told}; the exchange has {known}"
    if record.matched_micro is not None:
        order.filled_micro = max(order.filled_micro, record.matched_micro)
    if record.size_micro is None:
        return
    order.size_micro = max(record.size_micro, order.filled_micro)
    if order is intent.orders[0] and record.size_micro < intent.bounds.size_micro:
        cost = min(intent.bounds.cost_pico, record.size_micro * intent.root_price_micro)
        intent.bounds = Bounds(intent.side, record.size_micro, cost)


_STATE: Final = attrgetter("state")


def _nobody(_: Intent) -> None:
    """Nobody is told."""


class IntentTable:
    """Intents by the id of any of their orders. Whoever was named is told when one comes and when it ends."""

    def __init__(
        self,
        max_intents: int,
        tombstone_ms: int,
        keep_ended: int,
        opened: Callable[[Intent], None] = _nobody,
        ended: Callable[[Intent], None] = _nobody,
    ) -> None:
        self._opened = opened
        self._told_end = ended
        self._max = max_intents
        self._keep_ended = keep_ended
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._tombstone_ms = tombstone_ms
        self._by_order: dict[str, Intent] = {}
        self._roots: dict[str, Intent] = {}
        self._closing: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._roots)

    def __iter__(self) -> Iterator[Intent]:
        return iter(list(self._roots.values()))

    @property
    def full(self) -> bool:
        """Whether no further intent can be taken."""
        return len(self._roots) >= self._max

    def count(self, state: State) -> int:
        """Return how many intents stand in this state. In a few milliseconds even for the largest table."""
        return [*map(_STATE, self._roots.values())].count(state)

    def get(self, order_id: str) -> Intent | None:
        """Return the intent that an order belongs to, or None."""
        return self._by_order.get(order_id)

    def add(self, intent: Intent, *, logged: bool = False) -> None:
        """Take an intent. `logged` says that the log knows it already."""
        intent.token_id = intern(intent.token_id)
        intent.market_id = intern(intent.market_id)
        intent.builder_code = intern(intent.builder_code)
        if intent.strategy_id is not None:
            intent.strategy_id = intern(intent.strategy_id)
        self._roots[intent.root_order_id] = intent
        for order in intent.orders:
            self._by_order[order.order_id] = intent
        if not logged:
            self._opened(intent)

    def extend(self, intent: Intent, order: ChainOrder) -> None:
        """Append a chase order to a chain; from now on its id leads to the intent."""
        intent.orders.append(order)
        self._by_order[order.order_id] = intent

    def note_end(self, order_id: str) -> None:
        """Remember that an order has ended, so that late news of it never begins an intent anew."""
        self._ended[order_id] = None
        if len(self._ended) > self._keep_ended:
            self._ended.popitem(last=False)

    def has_ended(self, order_id: str) -> bool:
        """Return whether an order that is not in the table is known to have ended."""
        return order_id in self._ended

    def close(self, intent: Intent, now_ms: int) -> None:
        """Let an ended intent go, after the time in which late fills are still counted."""
        if not intent.ending:
            intent.ending = True
            self._told_end(intent)
            self._closing.append((now_ms + self._tombstone_ms, intent.root_order_id))
        self.bury(now_ms)

    def bury(self, now_ms: int) -> None:
        """Drop the intents whose time for late fills has passed."""
        while self._closing and self._closing[0][0] <= now_ms:
            _, root_order_id = self._closing.popleft()
            intent = self._roots.get(root_order_id)
            if intent is not None and intent.state is State.CLOSED and not intent.lock.locked():
                del self._roots[root_order_id]
                for order in intent.orders:
                    self._by_order.pop(order.order_id, None)
                    self.note_end(order.order_id)
