"""A paper exchange that misbehaves, the same way for the same seed: which request meets what is drawn from
the seed, the request itself, and how often it came before; never from the time or the order of arrival.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, NamedTuple

from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.fault_kinds import KINDS, OK, Kind, builder_in, false_answer, ids_in, subject
from polytraders_pfh.demo.truth import WitnessedExchange
from polytraders_pfh.paper.core.events import OrderEvent
from polytraders_pfh.paper.core.model import Mode, OrderRecord, Side
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.faults import Answer, Call, Cut

RATES: Final = {"cancel": 0.55, "post": 0.5, "read": 0.2, "book": 0.08, "list": 0.08}
"""How likely a request is to meet a fault; a strategy's own post meets fewer, else nothing would trade."""
ROOT_RATE: Final = 0.12
TIRED_AFTER: Final = 3
"""A request that came so often already meets fewer faults."""
HOLD_S: Final = 0.3
"""How long an answer is held back: longer than the plugin waits for it in this mode."""
LOT_MICRO: Final = 10_000
WINDOWS: Final = {
    "restart_425": (Mode.RESTARTING, Mode.POST_ONLY),
    "cancel_only_503": (Mode.CANCEL_ONLY,),
    "disabled_503": (Mode.DISABLED,),
}
"""Modes of the exchange, one after the other, under the name of the first."""
_REFUSALS: Final = {
    Mode.RESTARTING: "restart_425",
    Mode.POST_ONLY: "post_only_503",
    Mode.CANCEL_ONLY: "cancel_only_503",
    Mode.DISABLED: "disabled_503",
}


class Ambush(NamedTuple):
    """Where the host is to be killed: at which request, before or after its effect.

    `arrives` says that a request caught before its effect still takes it, once the next host is up.
    """

    name: str
    subject: str
    after: bool = False
    arrives: bool = False


class SeededFaults:
    """The exchange's fault plan.

    Attributes:
        met: How often each fault took place.
        held: Requests that are under way and have not taken effect yet.
        ambush: Where the host is to be killed next, or None.
        healed: Set it, and nothing goes wrong any more.
        kill: Kills the host.
        reborn: Returns when the next one is up.
    """

    kill: Callable[[], None]
    reborn: Callable[[], Awaitable[None]]

    def __init__(self, seed: int, enabled: frozenset[str], clock: MarketClock) -> None:
        self._seed = seed
        self._clock = clock
        self._kinds = {
            asked: tuple(kind for kind in kinds if kind.name in enabled) for asked, kinds in KINDS.items()
        }
        self._came: Counter[str] = Counter()
        self._drawn: dict[int, Kind] = {}
        self._builders: set[str] = set()
        self._roots: set[int] = set()
        self._hidden: set[str] = set()
        self._window: list[tuple[Mode, int]] = []
        self._armed: tuple[str, float] | None = None
        self._exchange: WitnessedExchange | None = None
        self.met: Counter[str] = Counter()
        self.held = 0
        self.ambush: Ambush | None = None
        self.healed = False

    def attach(self, exchange: WitnessedExchange) -> None:
        """Say whose requests these are."""
        self._exchange = exchange

    def heal(self) -> None:
        """From now on everything works."""
        self.healed, self.ambush, self._armed, self._window = True, None, None, []
        self._set_mode(Mode.OPEN)

    def arm_window(self, name: str, seconds: float) -> None:
        """Have the exchange refuse what its modes refuse, each for so long, in real time.

        It begins with the next cancel or chase, so that somebody meets it.
        """
        self._armed = (name, seconds)

    def _open_window(self, name: str, seconds: float) -> None:
        now_ns = self._clock.monotonic_ns()
        each_ns = int(seconds * 1e9)
        self._window = [(mode, now_ns + i * each_ns) for i, mode in enumerate((*WINDOWS[name], Mode.OPEN))]
        self.pass_time()

    def pass_time(self) -> None:
        """Let the exchange's mode change when its time has come."""
        while self._window and self._window[0][1] <= self._clock.monotonic_ns():
            self._set_mode(self._window.pop(0)[0])

    async def before_commit(self, call: Call) -> Answer | Cut | None:
        """Do what goes wrong before the request takes effect."""
        self.note_root(call)
        asked = subject(call)
        if self._armed is not None and asked in {"cancel", "post"} and call.number not in self._roots:
            armed, self._armed = self._armed, None
            self._open_window(*armed)
        self.pass_time()
        if self._caught(call, after=False):
            return await self._strike()
        kind = self._draw(call, asked)
        if kind is None:
            return None
        if kind.lands:
            await self._delayed(call, kind)
            return None
        if kind.waits:
            await self._clock.sleep(HOLD_S)
        self.met[kind.name] += 1
        return false_answer(kind, call, None)

    async def before_answer(self, call: Call, answer: Answer) -> Answer | Cut:
        """Do what goes wrong after it took effect, or was refused."""
        kind = self._drawn.pop(call.number, None)
        if answer.status in (425, 503):
            self.met[_REFUSALS.get(self._mode(), str(answer.status))] += 1
            return Answer(answer.status, answer.body, {**answer.headers, "Retry-After": "1"})
        if answer.status == OK and self._caught(call, after=True):
            await self._strike()
            return Cut()
        if kind is None or kind.answer == "truth" or answer.status != OK:
            return answer
        if kind.answer == "stale":
            return self._stale(call, answer, kind)
        self.met[kind.name] += 1
        if kind.waits:
            await self._clock.sleep(HOLD_S)
        return false_answer(kind, call, answer)

    def _draw(self, call: Call, asked: str) -> Kind | None:
        kinds = self._kinds.get(asked, ())
        name = f"{call.method} {call.path} {hashlib.sha256(call.body).hexdigest()}"
        self._came[name] += 1
        if self.healed or not kinds:
            return None
        rate = ROOT_RATE if call.number in self._roots else RATES[asked]
        if self._came[name] > TIRED_AFTER:
            rate /= 3
        chance = Random(f"{self._seed}/{name}/{self._came[name]}")  # noqa: S311 - chooses what to break
        return chance.choice(kinds) if chance.random() < rate else None

    async def _delayed(self, call: Call, kind: Kind) -> None:
        """Prepare a fault that comes after the fact, and let the request through, late if it is late."""
        if kind.name == "fill_races_cancel":
            self.met[kind.name] += self._race(call)
        self._drawn[call.number] = kind
        if kind.name.endswith("_lands_late"):
            await self._hold(self._clock.sleep(HOLD_S))

    async def _hold(self, waiting: Awaitable[None]) -> None:
        self.held += 1
        try:
            await waiting
        finally:
            self.held -= 1

    def note_root(self, call: Call) -> None:
        """Note the first order under its builder code: a strategy's own."""
        builder = builder_in(call) if subject(call) == "post" else ""
        if builder and builder not in self._builders:
            self._builders.add(builder)
            self._roots.add(call.number)

    def _caught(self, call: Call, *, after: bool) -> bool:
        if self.ambush is None or call.number in self._roots:
            return False
        return (self.ambush.subject, self.ambush.after) == (subject(call), after)

    async def _strike(self) -> Cut | None:
        """Kill the host; what was on its way to the exchange may still arrive there."""
        assert self.ambush is not None
        ambush, self.ambush = self.ambush, None
        self.met[f"host_killed_{ambush.name}"] += 1
        self.kill()
        if not ambush.arrives:
            return Cut()
        await self._hold(self.reborn())
        return None

    def _race(self, call: Call) -> bool:
        """Let the crowd take a part of the order, or all of it, just before its cancel is processed."""
        assert self._exchange is not None
        ids = ids_in(call)
        record = self._exchange.order(ids[0]) if ids else None
        if record is None or not record.is_open:
            return False
        chance = Random(f"{self._seed}/race/{record.order_id}")  # noqa: S311 - chooses what to break
        rest = record.original_size_micro - record.size_matched_micro
        part = max(LOT_MICRO, rest * chance.randint(1, 10) // 10 // LOT_MICRO * LOT_MICRO)
        now_ms = self._clock.now_ms()
        request, ahead = record.request, self._ahead_of(record, now_ms)
        other = Side.SELL if request.side is Side.BUY else Side.BUY
        self._exchange.crowd_take(request.token_id, other, ahead + part, record.price_micro, now_ms)
        after = self._exchange.order(record.order_id)
        return after is not None and after.size_matched_micro > record.size_matched_micro

    def _ahead_of(self, record: OrderRecord, now_ms: int) -> int:
        """Return how much stands before an order: better prices, and the queue at its own."""
        assert self._exchange is not None
        view = self._exchange.book(record.request.token_id, now_ms)
        own = record.price_micro
        if record.request.side is Side.BUY:
            better = sum(size for price, size in view.bids if price > own)
        else:
            better = sum(size for price, size in view.asks if price < own)
        return better + self._exchange.crowd_queue_ahead(record.order_id)

    def _stale(self, call: Call, answer: Answer, kind: Kind) -> Answer:
        """Return the order's record as it was before its last change; before its first there was none."""
        assert self._exchange is not None
        (order_id,) = ids_in(call)
        history = [
            fact.record
            for fact in self._exchange.facts
            if isinstance(fact, OrderEvent) and fact.record.order_id == order_id
        ]
        if len(history) > 1:
            self.met[kind.name] += 1
            return Answer(OK, shapes.compact(shapes.order(history[-2])))
        if order_id in self._hidden:
            return answer
        self._hidden.add(order_id)
        self.met["read_not_found_yet"] += 1
        return Answer(404, shapes.compact({"error": "Order not found"}))

    def _mode(self) -> Mode:
        return Mode.OPEN if self._exchange is None else self._exchange.mode

    def _set_mode(self, mode: Mode) -> None:
        if self._exchange is not None:
            self._exchange.set_mode(mode)
