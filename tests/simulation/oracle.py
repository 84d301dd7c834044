"""The invariants, by name, judged by the exchange's truth and never by what the bot believes.

Those of money are checked after every step in which the world changed, and once more whenever the bot
sends something. The first that breaks ends the schedule.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from polytraders_hookspecs.reports import ExecutionReport

from simulation.story import Broken
from simulation.truth import Order, Wish
from simulation.world import World

if TYPE_CHECKING:
    from simulation.process import Process

MAX_TICKS: Final = 3
NAMES: Final = {
    "I1": "exposure: what filled and what may fill stay within the intent",
    "I2": "quantities: what a report says filled and what it says is left add up to the order",
    "I3": "one working order: nothing is sent while another of its intent may fill",
    "I4": "no oversell: all SELL orders of a token stay within the position",
    "I5": "cancel discipline: one in flight per order, and none without reading after doubt",
    "I6": "totality: every accepted event gets exactly one final report",
    "I7": "order: reports of one trace are published in the order of the log",
    "I8": "kill: nothing is posted after the kill switch",
    "I9": "authenticity: a forged event is refused",
    "I10": "write-ahead: a post is on record before it is sent",
    "I11": "deadline: an event is answered in its time, what a busy machine takes aside",
    "I12": "price: on the grid that was told, within the cap",
    "I13": "bounded: everything is back at its baseline at rest",
    "I14": "progress: everything ends once the faults have ended",
    "I15": "recovery: nothing is posted before what is open was asked for",
    "I16": "the log: a life finds in its file what the one before was told is durable, and its chain holds",
    "I17": "secrecy: the event key stands in nothing that is published or written",
    "I18": "determinism: the same seed yields the same trace",
    "I19": "a decision is a function of what it rests on, and chases on no book that cannot be trusted",
    "I20": "a cancellation is not lost",
    "LC": "lifecycle: no step that the table does not have",
    "guard": "the last check before the send never finds anything to hold back",
    "revival": "what its owner took off the book is not posted again",
}


class Oracle:
    """Watches one schedule."""

    def __init__(self, world: World) -> None:
        self._w = world
        self.broken: list[Broken] = []
        self.process: Process | None = None
        self.killed = False
        self.was_killed = False
        self.resets = 0
        self.answers: dict[tuple[str, int], tuple[int, ExecutionReport]] = {}
        self.unread: set[str] = set()
        self.doubted: set[str] = set()
        self.most_in_flight = 0

    def breaks(self, invariant: str, words: str) -> None:
        """Note that an invariant broke, and end the schedule."""
        assert invariant in NAMES, invariant
        if not self.broken:
            self._w.story.tell("{} BREAKS: {}", invariant, words)
            self._w.loop.halted = True
        self.broken.append(Broken(invariant, words))

    def after_step(self) -> None:
        """Check what is cheap, when something changed."""
        if self._w.changed:
            self._w.changed = False
            for wish in self._w.wishes.values():
                self._exposure(wish)
            self._oversell()
        if self.process is not None:
            engine = self.process.engine
            in_flight = engine.coordinator.in_flight
            self.was_killed |= engine.tools.kill.latched
            if in_flight < 0 or (in_flight > self.most_in_flight and not self.was_killed):
                self.breaks("I13", f"{in_flight} events are in flight; {self.most_in_flight} are allowed")

    # ---- requests

    def sends(self, order: Order) -> None:
        """Judge a post as it is sent."""
        process, wish = self.process, order.wish
        if process is None:
            return
        if self.killed and not self.resets:
            self.breaks("I8", f"{order.name} is posted after the kill switch")
        if process.engine.tools.kill.latched:
            self.breaks("I8", f"{order.name} is posted while the kill switch is latched")
        if not process.bookkeeper.asked:
            self.breaks("I15", f"{order.name} is posted before the open orders were asked for")
        if not process.has_post(order.order_id):
            self.breaks("I10", f"{order.name} is posted and is not on record")
        self._alone(wish, order)
        self._exposure(wish, order)
        self._price(wish, order)

    def _alone(self, wish: Wish, order: Order) -> None:
        for other in wish.orders:
            if other is not order and other.open:
                self.breaks("I3", f"{order.name} is posted while {other.name} is {other.status}")
        for other in wish.orders:
            if other.taken_away and other.order_id not in self.doubted:
                self.breaks("revival", f"{order.name} is posted, and its owner had cancelled {other.name}")
        for order_id in wish.sent:
            if order_id != order.order_id and order_id not in self._w.orders:
                self.breaks("I3", f"{order.name} is posted while an earlier post is in doubt")

    def cancels(self, order_id: str) -> None:
        """Judge a cancel as it is sent."""
        if self._w.in_flight[order_id] > 0:
            self.breaks("I5", f"a second cancel of {order_id[:10]} is sent while one is in flight")
        if order_id in self.unread:
            self.breaks("I5", f"{order_id[:10]} is cancelled again in doubt, without a read in between")

    def answered(self, order_id: str, *, doubtful: bool) -> None:
        """Note whether a cancel's answer leaves it in doubt."""
        if doubtful:
            self.unread.add(order_id)
            self.doubted.add(order_id)

    def reads(self, order_id: str) -> None:
        """Note that an order's record is read."""
        self.unread.discard(order_id)

    def _exposure(self, wish: Wish, coming: Order | None = None) -> None:
        orders = wish.orders if coming is None or coming in wish.orders else [*wish.orders, coming]
        size = sum(o.filled + (o.size - o.matched if o is coming else o.open) for o in orders)
        cost = sum((o.filled + (o.size - o.matched if o is coming else o.open)) * o.price for o in orders)
        if size > wish.size:
            self.breaks("I1", f"{wish.name}: {size} filled or live; {wish.size} were meant")
        if wish.buying and cost > wish.size * wish.price:
            self.breaks("I1", f"{wish.name}: {cost} pico-pUSD spent or live; {wish.size * wish.price} meant")
        if sum(1 for o in orders if o.open) > 1:
            self.breaks("I3", f"{wish.name} has two live orders")
        if wish.declared is not None and len(orders) > 1:
            root = wish.orders[0]
            chased = size - root.filled - root.open
            if chased > max(0, wish.declared - root.filled):
                self.breaks("I1", f"{wish.name}: {chased} chased; its strategy declared {wish.declared}")

    def _oversell(self) -> None:
        selling: defaultdict[str, int] = defaultdict(int)
        position: defaultdict[str, int] = defaultdict(int)
        for wish in self._w.wishes.values():
            if not wish.buying:
                position[wish.token] += wish.size
                selling[wish.token] += sum(o.filled + o.open for o in wish.orders)
        for token, size in selling.items():
            if size > position[token]:
                self.breaks("I4", f"{size} of token {token} sold or on sale; {position[token]} are there")

    def _price(self, wish: Wish, order: Order) -> None:
        told = self._w.markets[wish.token].told
        grids = {tick for step, tick in told if step > wish.died_at_step}
        grids = grids or {tick for _, tick in told[-1:]}
        if grids and all(order.price % tick for tick in grids):
            self.breaks("I12", f"{order.name} at {order.price} is on none of the grids {sorted(grids)}")
        cap = MAX_TICKS * max((tick for _, tick in told), default=0)
        worst = wish.price + cap if wish.buying else wish.price - cap
        if wish.limit is not None:
            worst = min(worst, wish.limit) if wish.buying else max(worst, wish.limit)
        if order.price > worst if wish.buying else order.price < worst:
            self.breaks("I12", f"{order.name} at {order.price} is beyond {worst}")

    # ---- events and their callers

    def answers_event(self, key: tuple[str, int], life: int, report: ExecutionReport) -> None:
        """Judge the answer to an event."""
        if report.verdict == "EVENT_REJECTED":
            if not self._w.orders[key[0]].wish.bare:
                self.breaks("I6", "an authentic event was refused")
            return
        first = self.answers.get(key)
        if first is not None and first[0] == life and first[1].report_id != report.report_id:
            self.breaks("I6", f"a duplicate was answered with {report.verdict}, first {first[1].verdict}")
        self.answers[key] = (life, report)

    def refuses(self, report: ExecutionReport) -> None:
        """Judge the answer to a forged event."""
        if report.verdict != "EVENT_REJECTED":
            self.breaks("I9", f"a forged event was answered with {report.verdict}")

    def crashed(self, *, kill_is_durable: bool) -> None:
        """A process is gone, and with it what it knew."""
        self.process = None
        self.killed = kill_is_durable
        self.resets = 0
        self.unread.clear()
        self._w.in_flight.clear()

    def at(self, invariant: str, facts: list[tuple[bool, Callable[[], str]]]) -> None:
        """Break an invariant for each of these facts that is true."""
        for true, words in facts:
            if true:
                self.breaks(invariant, words())


def finals(reports: list[tuple[str, ExecutionReport]]) -> Counter[tuple[str, int]]:
    """Return how many final reports each event has."""
    return Counter((r.order_id or "", r.event_ts_ms or 0) for _, r in reports if r.final)
