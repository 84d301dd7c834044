"""From the lifecycle to the bots: signed events, one ordered queue per order, all of it bounded.

An event is signed and stamped when it is handed over, so waiting in a queue never makes it stale; its
time is later than that of every earlier event of its order.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pluggy
from opentelemetry.trace import TracerProvider
from polytraders_hookspecs import (
    Clock,
    ExecutionReport,
    HookResult,
    OrderClosed,
    PartialFill,
    SignedEvent,
    from_micro,
    gather_hook,
    sign_event,
)
from polytraders_hookspecs.tracing import order_trace
from polytraders_hookspecs.wire import WireModel

from polytraders_pfh.host.dispatch_events import Closed, Partial
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.orders import TrackedOrder, usd_filled
from polytraders_pfh.host.sharing import ALONE, Sharing
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 512
_WAITING_PER_ORDER: Final = 64
_KEPT_REPORTS: Final = 10_000
_PARTIAL_S: Final = 5.0
_CLOSED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class EventSigner:
    """Signs events with the host's active key."""

    key_id: str
    key: bytes

    def __repr__(self) -> str:
        return f"EventSigner({self.key_id!r})"

    def sign(self, message: WireModel, *, trace_id: str, ts_ms: int) -> SignedEvent:
        """Return `message` in a signed envelope."""
        return self.sign_body(message.to_json(), trace_id=trace_id, ts_ms=ts_ms)

    def sign_body(self, body: bytes, *, trace_id: str, ts_ms: int) -> SignedEvent:
        """Return a message's bytes in a signed envelope."""
        return sign_event(key_id=self.key_id, key=self.key, event_ts_ms=ts_ms, trace_id=trace_id, body=body)


class EventDispatcher:
    """Delivers events to every bot and collects their reports.

    Attributes:
        reports: The newest reports that bots returned, oldest first.
        on_delivered: Called after every bot has answered a PARTIAL, with the order and its filled amount.
        on_report: Called with each report, in the order in which they come.
        sharing: With which hosts orders are shared.
    """

    def __init__(
        self,
        hooks: pluggy.HookRelay,
        clock: Clock,
        events: EventSigner,
        metrics: HostMetrics,
        tracers: TracerProvider,
    ) -> None:
        self._hooks = hooks
        self._clock = clock
        self._events = events
        self._metrics = metrics
        self._tracer = tracers.get_tracer("polytraders_pfh.host")
        self._queues: dict[str, deque[Partial | Closed]] = {}
        self._tasks = Tasks()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._gate = asyncio.Event()
        self.reports: deque[ExecutionReport] = deque(maxlen=_KEPT_REPORTS)
        self.on_delivered: Callable[[TrackedOrder, int], None] = _ignore
        self.on_report: Callable[[ExecutionReport], None] = _ignore
        self.sharing: Sharing = ALONE

    def open_gate(self) -> None:
        """Begin to deliver; until then events wait."""
        self._gate.set()

    def offer(self, order: TrackedOrder, event: Partial | Closed) -> None:
        """Queue an event behind the order's earlier ones. A full queue keeps its newest level only."""
        queue = self._queues.get(order.order_id)
        if queue is None:
            queue = self._queues[order.order_id] = deque()
            if self._tasks.spawn(self._deliver(order, queue), f"events of {order.order_id[:12]}") is None:
                del self._queues[order.order_id]
                return
        if len(queue) >= _WAITING_PER_ORDER:
            queue.pop()
        queue.append(event)

    def withdraw(self, order_id: str) -> None:
        """Take back what waits to be told of an order: it is told from somewhere else on."""
        self._queues.get(order_id, deque()).clear()

    async def drain(self, deadline_s: float) -> bool:
        """Wait until every queued event has been answered; False when the deadline came first.

        Before the gate opens nothing is delivered, so there is nothing to wait for.
        """
        return not self._gate.is_set() or await self._tasks.drain(deadline_s)

    async def close(self) -> None:
        """Stop delivering."""
        await self._tasks.close()
        self._queues.clear()

    async def _deliver(self, order: TrackedOrder, queue: deque[Partial | Closed]) -> None:
        try:
            await self._gate.wait()
            while queue:
                async with self._slots:
                    await self._hand_over_safely(order, queue.popleft())
        finally:
            self._queues.pop(order.order_id, None)

    async def _hand_over_safely(self, order: TrackedOrder, event: Partial | Closed) -> None:
        """One event that cannot be handed over must not hold back the next."""
        try:
            await self._hand_over(order, event)
        except Exception:
            _log.exception("event %r of order %s was not delivered", event, order.order_id)

    async def _hand_over(self, order: TrackedOrder, event: Partial | Closed) -> None:
        again_ms = event.ts_ms if isinstance(event, Partial) else 0
        ts_ms = again_ms or max(self._clock.now_ms(), order.last_event_ms + 1)
        if not await self.sharing.before(order, event, ts_ms):
            return
        order.last_event_ms = max(order.last_event_ms, ts_ms)
        hooks = self.sharing.hooks(order, self._hooks)
        message: WireModel
        if isinstance(event, Partial):
            hook, deadline_s, message = hooks.on_partial_fill, _PARTIAL_S, _partial(order, event, ts_ms)
        else:
            hook, deadline_s, message = hooks.on_order_closed, _CLOSED_S, _closed(order, event, ts_ms)
        results = await self._call(hook, deadline_s, order, message, ts_ms)
        self._collect(hook.name, results)
        if isinstance(event, Partial):
            self.on_delivered(order, event.filled_micro)
        await self.sharing.after(order, event)

    async def _call(
        self, hook: pluggy.HookCaller, deadline_s: float, order: TrackedOrder, message: WireModel, ts_ms: int
    ) -> list[HookResult]:
        envelope = self._events.sign(message, trace_id=order.trace_id, ts_ms=ts_ms)
        self._metrics.events[hook.name.removeprefix("on_")].inc()
        with (
            order_trace(order.trace_id),
            self._tracer.start_as_current_span(
                f"host {hook.name}",
                attributes={"polytraders.trace_id": order.trace_id, "polytraders.order_id": order.order_id},
            ),
        ):
            return await gather_hook(hook, deadline_s=deadline_s, envelope=envelope)

    def _collect(self, hook: str, results: list[HookResult]) -> None:
        for result in results:
            if result.error is not None:
                show_hook_error(self._metrics, hook, result)
            elif isinstance(result.value, ExecutionReport):
                self.reports.append(result.value)
                self.on_report(result.value)


def show_hook_error(metrics: HostMetrics, hook: str, result: HookResult) -> None:
    """Count a bot's error and show it to the operator."""
    metrics.hook_errors[hook].inc()
    _log.error(
        "bot %s failed in %s: %s: %s", result.plugin_name, hook, type(result.error).__name__, result.error
    )


def _partial(order: TrackedOrder, event: Partial, ts_ms: int) -> PartialFill:
    filled = usd_filled(event.filled_micro, order.price_micro)
    whole = usd_filled(order.size_micro, order.price_micro)
    return PartialFill(
        order_id=order.order_id,
        status="PARTIAL",
        filled_usd=from_micro(filled),
        remaining_usd=from_micro(whole - filled),
        original_price=from_micro(order.price_micro),
        side=order.side,
        original_size_usd=from_micro(whole),
        builder_code=order.builder_code,
        market_id=order.market_id,
        token_id=order.token_id,
        trace_id=order.trace_id,
        event_ts_ms=ts_ms,
        strategy=order.strategy,
    )


def _closed(order: TrackedOrder, event: Closed, ts_ms: int) -> OrderClosed:
    return OrderClosed(
        order_id=order.order_id,
        status=event.status,
        filled_usd=from_micro(usd_filled(event.filled_micro, order.price_micro)),
        trace_id=order.trace_id,
        event_ts_ms=ts_ms,
    )


def _ignore(*_: Any) -> None:
    """Nobody listens yet."""
