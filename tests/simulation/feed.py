"""Events on their way from the exchange to the bot: late, twice, out of order, forged, boasting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from polytraders_hookspecs import sign_event
from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.wire import from_micro, print_json
from support.fake_host import BUILDER, KEY, KEY_ID, MARKET

from simulation.truth import MICRO, Order, Wish

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.stage import Stage

_TIMER_S = 0.001
_OTHER_KEY = b"ffffffffffffffffffffffffffffffff"


class Feed:
    """Sends what happened to whichever process is alive."""

    def __init__(self, stage: Stage) -> None:
        self._s = stage
        self._last_ms: dict[str, int] = {}
        self.under_way: list[asyncio.Task[Any]] = []
        self.calls: list[asyncio.Task[Any]] = []
        self.keys: set[tuple[str, int]] = set()
        self._told: set[tuple[int, tuple[str, int]]] = set()
        self.prompt = False
        self.times = 0

    def filled(self, order: Order) -> None:
        """Send a partial fill, perhaps more than once, perhaps with a forged twin before it."""
        s = self._s
        at_ms = max(s.clock.now_ms(), self._last_ms.get(order.order_id, 0) + 1)
        self._last_ms[order.order_id] = at_ms
        times = 2 if s.faults.strikes("events boast", 0.15) else 1
        envelope = partial_event(order, at_ms, times=times)
        key = (order.order_id, at_ms)
        self.keys.add(key)
        if s.faults.strikes("events are forged", 0.3):
            self._send(self._forged(forge(order, at_ms, envelope, s.rng.randrange(3)), self._delay(0.05)))
        for _ in range(self.times or s.rng.choice((1, 1, 1, 2, 3))):
            self._send(self._partial(order, envelope, key, self._delay(s.rng.choice((0.001, 0.1, 1, 6.5)))))

    def ended(self, order: Order) -> None:
        """Send that an order has ended."""
        self._send(self._closed(order, self._delay(self._s.rng.choice((0.01, 0.5, 3)))))

    def _delay(self, most_s: float) -> float:
        return 0.0 if self.prompt else self._s.rng.random() * most_s

    def _send(self, work: Any) -> None:
        self.under_way.append(self._s.loop.begin(work))

    def _call(self, process: Process, hook: Any) -> asyncio.Task[Any]:
        task = process.run(hook)
        self.calls.append(task)
        return task

    async def _partial(self, order: Order, envelope: SignedEvent, key: tuple[str, int], delay: float) -> None:
        s = self._s
        await asyncio.sleep(delay)
        while True:
            process = await s.alive()
            s.story.tell("{}'s fill is told (event {})", order.name, key[1] - s.start_ms)
            task = self._call(process, self._deliver(process, envelope, key))
            if not self.prompt and s.faults.strikes("callers give up", 0.3):
                await self._give_up(task, process)
            await asyncio.wait({task, process.died}, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not task.cancelled():
                task.result()
                return
            if not task.done() and s.rng.random() < 0.3:
                return

    async def _give_up(self, task: asyncio.Task[Any], process: Process) -> None:
        """Let the caller stop waiting; the cancellation must come through."""
        s = self._s
        await asyncio.sleep(s.rng.random() * s.rng.choice((0.01, 0.2, 1)))
        if process.died.done() or not task.cancel():
            return
        await self.must_end(task, process)

    async def must_end(self, task: asyncio.Task[Any], process: Process) -> None:
        """A call was cancelled: it ends with that, unless its process died first."""
        longer_than_any_stall_s = 60
        waits_for = {task, process.died}
        await asyncio.wait(waits_for, timeout=longer_than_any_stall_s, return_when=asyncio.FIRST_COMPLETED)
        if not process.died.done() and not (task.done() and task.cancelled()):
            self._s.oracle.breaks("I20", "a caller's cancellation was swallowed")

    async def _deliver(self, process: Process, envelope: SignedEvent, key: tuple[str, int]) -> None:
        first = (process.life, key) not in self._told
        self._told.add((process.life, key))
        clock = self._s.loop.stopwatch()
        report = await process.bot.on_partial_fill(envelope)
        self._s.verdicts[report.verdict] += 1
        self._s.oracle.answers_event(key, process.life, report)
        # A duplicate may have waited for one whose caller gave up, and begun anew then.
        time_s = process.engine.tools.settings.timeout_ms / 1000 * (1 if first else 2)
        if (took_s := clock()) > time_s + _TIMER_S:
            self._s.oracle.breaks("I11", f"an event was answered after {took_s:.3f} s")

    async def _forged(self, envelope: SignedEvent, delay: float) -> None:
        s = self._s
        await asyncio.sleep(delay)
        process = await s.alive()

        async def deliver() -> None:
            report = await process.bot.on_partial_fill(envelope)
            s.verdicts[report.verdict] += 1
            s.oracle.refuses(report)

        task = self._call(process, deliver())
        await asyncio.wait({task, process.died}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    async def _closed(self, order: Order, delay: float) -> None:
        s = self._s
        await asyncio.sleep(delay)
        process = await s.alive()
        body: dict[str, object] = {
            "order_id": order.order_id,
            "status": "CANCELLED" if order.status == "CANCELED" else "FILLED",
        }
        if s.rng.random() < 0.7:
            body["filled_usd"] = from_micro(order.filled * order.price // MICRO)
        s.story.tell("{}'s end is told", order.name)
        order.told_to_life = process.life
        envelope = signed(order.wish.trace, s.clock.now_ms(), body)
        task = self._call(process, _await(process.bot.on_order_closed, envelope))
        await asyncio.wait({task, process.died}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            task.result()
        else:
            await self._closed(order, 0.1)


async def _await(hook: Any, envelope: SignedEvent) -> Any:
    return await hook(envelope)


def signed(trace: str, at_ms: int, body: dict[str, object], key: bytes = KEY) -> SignedEvent:
    """Return a body in its envelope."""
    return sign_event(
        key_id=KEY_ID, key=key, event_ts_ms=at_ms, trace_id=trace, body=print_json(body).encode()
    )


def partial_event(order: Order, at_ms: int, *, times: int = 1, key: bytes = KEY) -> SignedEvent:
    """Return the event of what an order has filled so far; it may boast of being so many times as large."""
    wish = order.wish
    filled = -(-order.filled * order.price // MICRO)
    total = order.size * order.price // MICRO
    filled = min(filled, total)
    body: dict[str, object] = {
        "order_id": order.order_id,
        "status": "PARTIAL",
        "filled_usd": from_micro(filled),
        "remaining_usd": from_micro(times * total - filled),
        "original_price": from_micro(order.price),
        "side": wish.side,
        "collateral": "pUSD",
        "builder_code": BUILDER,
    }
    if not wish.bare:
        wished = wish.strategy
        body |= {
            "market_id": MARKET,
            "token_id": wish.token,
            "strategy": {
                "id": wished.id,
                "partial_fill_policy": wished.partial_fill_policy,
                "allow_wide_chase": wished.allow_wide_chase,
            },
        }
    return signed(wish.trace, at_ms, body, key)


def forge(order: Order, at_ms: int, honest: SignedEvent, how: int) -> SignedEvent:
    """Return an event that nobody with the key has signed, claiming that far more is left."""
    lie = partial_event(order, at_ms, times=3, key=_OTHER_KEY)
    if how == 0:
        return lie
    if how == 1:
        return honest.model_copy(update={"body": lie.body})
    return honest.model_copy(update={"event_ts_ms": at_ms + 1})


def decision_event(wish: Wish, usd: int, limit: int, at_ms: int) -> SignedEvent:
    """Return what a strategy decided before its order was placed."""
    body: dict[str, object] = {
        "trace_id": wish.trace,
        "side": wish.side,
        "intended_size_usd": from_micro(usd),
        "limit_price": from_micro(limit),
    }
    return signed(wish.trace, at_ms, body)
