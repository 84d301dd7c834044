"""From the journal to the report bus: in order per trace, each with a stable id, until acknowledged.

A report is offered to the bus once its record is durable. One report of a trace is under way at a time,
and the ones behind it wait until the bus has acknowledged it; other traces pass. A trace whose report
fails rests and is tried again with growing pauses. When two traces in a row fail without a success
between them the bus counts as down: then one report at a time asks whether it is back. Delivery is at
least once; what the bus acknowledges is marked in the journal, and a restart offers the rest again.

At most `keep` reports are held in memory; those beyond are read back from the journal as there is room.
A report whose record could not be kept is still offered, from memory, since a bus that knows is better
than nobody; when memory is full as well it is counted in `lost`. One that a shared log refused is left to
whoever took over, who reports of the same event under the same id. Nothing waits for any of this.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple

from polytraders_hookspecs.services import Clock, ReportBus

from polytraders_pfh.engine.journal import Commit, DuplicateRecord, Journal, LogLost, Record
from polytraders_pfh.engine.lanes import Lane, Lanes
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.traces import Traces

TOPIC: Final = "polytraders.reports.execution"
KEEP: Final = 1_000
_WIDTH: Final = 8
_REREAD_S: Final = 1.0
_STOP_S: Final = 1.0
_LOG: Final = logging.getLogger("polytraders_pfh.engine")


class _Offer(NamedTuple):
    record: Record
    commit: Commit


class Outbox:
    """Reports on their way.

    Attributes:
        lost: Reports that neither journal nor memory could keep, and that the bus will not see.
    """

    def __init__(
        self,
        bus: ReportBus,
        journal: Journal,
        clock: Clock,
        traces: Traces,
        *,
        max_pending: int,
        publish_timeout_s: float,
        keep: int = KEEP,
    ) -> None:
        self._bus = bus
        self._journal = journal
        self._clock = clock
        self._traces = traces
        self._max_pending = max_pending
        self._timeout_s = publish_timeout_s
        self._keep = keep
        self.lost = 0
        self._offers: deque[_Offer] = deque()
        self._unkept: deque[Record] = deque()
        self._lanes = Lanes()
        self._loaded_to = 0
        self._spilled_to = 0
        self._started = False
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._refilling: asyncio.Task[None] | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_ns = 0
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._offers) + self._journal.pending + len(self._unkept) + self._lanes.unkept

    @property
    def full(self) -> bool:
        """Whether so many reports wait that nothing new may be posted until the bus is back."""
        return len(self) >= self._max_pending

    @property
    def held(self) -> int:
        """How many reports are held in memory."""
        return len(self._lanes) + len(self._unkept)

    @property
    def lag_ms(self) -> int:
        """How old the oldest report is that the bus has not acknowledged; 0 when none waits."""
        waiting = [*self._lanes.firsts(), *(offer.record for offer in islice(self._offers, 1))]
        waiting += islice(self._unkept, 1)
        oldest_ms = min((record.at_ms for record in waiting), default=None)
        return 0 if oldest_ms is None else max(self._clock.now_ms() - oldest_ms, 0)

    def start(self) -> None:
        """Take up what an earlier run left undelivered. Needs a running loop and an open journal."""
        if not self._started:
            self._started = True
            self._spilled_to = self._journal.head().seq if self._journal.pending else 0
            self._make_room()

    def offer(self, record: Record) -> Commit:
        """Record a report; it is published when it is durable and those of its trace before it are."""
        self.start()
        commit = self._journal.append(record)
        self._offers.append(_Offer(record, commit))
        commit.then(self._advance)
        return commit

    async def close(self, drain_s: float) -> None:
        """Publish what waits for at most `drain_s` seconds, then stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                while self._busy():
                    self._empty.clear()
                    await self._empty.wait()
        tasks = {task for task in (*self._workers, self._alarm, self._refilling) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_S)

    def _busy(self) -> bool:
        return bool(self._offers or len(self._lanes) or self._unkept or self._spilled)

    @property
    def _spilled(self) -> bool:
        """Whether the journal holds reports that memory does not."""
        return self._spilled_to > self._loaded_to

    def _advance(self, _: Commit) -> None:
        """Take the reports whose fate is known, in the order they were offered."""
        while self._offers and self._offers[0].commit.settled:
            record, commit = self._offers.popleft()
            if commit.error is None:
                self._take(record, commit.seq)
            elif isinstance(commit.error, DuplicateRecord | LogLost):
                self._empty.set()
            else:
                self._take_unkept(record)

    def _take(self, record: Record, seq: int) -> None:
        if self._spilled or len(self._lanes) >= self._keep:
            self._spilled_to = seq
            self._make_room()
        else:
            self._loaded_to = self._spilled_to = seq
            self._enter(record, seq)

    def _take_unkept(self, record: Record) -> None:
        if len(self._unkept) >= self._keep:
            self.lost += 1
            _LOG.error("report %s is lost: journal failed, memory full, bus down", record.message_id)
            return
        self._unkept.append(record)
        self._make_room()

    def _enter(self, record: Record, seq: int) -> None:
        self._lanes.enter(record, seq)
        self._wake_one()

    def _make_room(self) -> None:
        """Fill memory again from what stands behind it, once it is half empty."""
        if len(self._lanes) > self._keep // 2:
            return
        if self._spilled:
            if self._refilling is None or self._refilling.done():
                self._refilling = self._run(self._refill(), "pfh-outbox-refill")
            return
        while self._unkept and len(self._lanes) < self._keep:
            self._enter(self._unkept.popleft(), 0)

    async def _refill(self) -> None:
        while self._spilled and len(self._lanes) < self._keep:
            until, room = self._spilled_to, self._keep - len(self._lanes)
            try:
                found = await self._journal.undelivered(self._loaded_to, room)
            except Exception as e:
                _LOG.warning("undelivered reports could not be read back (%s); trying again", e)
                await self._clock.sleep(_REREAD_S)
                continue
            for seq, record, _ in found:
                self._loaded_to = seq
                self._enter(record, seq)
            if len(found) < room:
                self._loaded_to = max(self._loaded_to, until)
            self._spilled_to = max(self._spilled_to, self._loaded_to)
        self._refilling = None
        self._make_room()
        self._empty.set()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
        if len(self._workers) < _WIDTH:
            self._workers.add(self._run(self._work(), "pfh-outbox"))

    async def _work(self) -> None:
        while True:
            lane = self._lanes.pop(self._clock.monotonic_ns())
            if lane is None:
                self._arm()
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            if self._lanes.ready:
                self._wake_one()
            try:
                acknowledged = await self._publish(lane.first.record, lane.attempts + 1)
            except BaseException:
                self._lanes.put_back(lane)
                raise
            self._settle(lane, acknowledged)

    def _settle(self, lane: Lane, acknowledged: bool) -> None:
        if not acknowledged:
            self._lanes.failed(lane, self._clock.monotonic_ns())
            return
        seq = lane.first.seq
        self._lanes.acknowledged(lane)
        if seq:
            self._journal.mark_delivered(seq)
        self._make_room()
        if not self._busy():
            self._empty.set()

    async def _publish(self, record: Record, attempt: int) -> bool:
        traces, trace_id = self._traces, record.trace_id
        try:
            with traces.publishing(names.SPAN_SEND, trace_id, record.traceparent) as span:
                if span.is_recording():
                    span.set_attributes(_sending(record, attempt))
                publishing = self._bus.publish(TOPIC, record.partition_key, record.payload, record.message_id)
                await within(self._timeout_s, publishing)
        except asyncio.CancelledError:
            # The bus's own cancellation is a failure of the bus; ours is the end.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return False
        except Exception:
            return False
        return True

    def _arm(self) -> None:
        """Have somebody look again when the next resting trace is due."""
        due_ns = self._lanes.due_ns()
        if due_ns is None:
            return
        if self._alarm is not None:
            if self._alarm_ns <= due_ns and not self._alarm.done():
                return
            self._alarm.cancel()
        self._alarm_ns = due_ns
        self._alarm = self._run(self._sleep_until(due_ns), "pfh-outbox-alarm")

    async def _sleep_until(self, due_ns: int) -> None:
        await self._clock.sleep(max(0, due_ns - self._clock.monotonic_ns()) / 1e9)
        self._alarm = None
        self._wake_one()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)


def _sending(record: Record, attempt: int) -> dict[str, str | int]:
    """Return a producer's attributes, by the messaging semantic conventions, and which attempt it is."""
    return {
        names.MESSAGING_SYSTEM: "polytraders",
        names.MESSAGING_OPERATION_NAME: "send",
        names.MESSAGING_OPERATION_TYPE: "send",
        names.MESSAGING_DESTINATION: TOPIC,
        names.MESSAGING_PARTITION: record.partition_key,
        names.MESSAGING_MESSAGE_ID: record.message_id,
        names.MESSAGING_CONVERSATION_ID: record.trace_id,
        names.MESSAGING_BODY_SIZE: len(record.payload),
        names.ATTR_ORDER_ID: record.order_id,
        names.ATTR_ATTEMPT: attempt,
    }
