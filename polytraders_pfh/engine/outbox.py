"""From the journal to the report bus: in order, each with a stable id, until the bus has acknowledged.

A bus that is down delays reports and loses none; delivery is at least once. Nothing waits for it.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from polytraders_hookspecs.reports import ExecutionReport
from polytraders_hookspecs.services import Clock, ReportBus

from polytraders_pfh.engine.within import within

TOPIC: Final = "polytraders.reports.execution"
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0


class Outbox:
    """Reports on their way, oldest first."""

    def __init__(self, bus: ReportBus, clock: Clock, *, max_pending: int, publish_timeout_s: float) -> None:
        self._bus = bus
        self._clock = clock
        self._max_pending = max_pending
        self._timeout_s = publish_timeout_s
        self._waiting: deque[ExecutionReport] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether so many reports wait that nothing new may be posted until the bus is back."""
        return len(self._waiting) >= self._max_pending

    def offer(self, report: ExecutionReport) -> None:
        """Take a report; it is published as soon as those before it are."""
        self._waiting.append(report)
        self._empty.clear()
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain(), name="pfh-outbox")

    async def close(self, drain_s: float) -> None:
        """Publish what waits for at most `drain_s` seconds, then stop."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._empty.wait()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _drain(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            if not self._waiting:
                self._wake.clear()
                self._empty.set()
                await self._wake.wait()
            if await self._publish(self._waiting[0]):
                self._waiting.popleft()
                pause_s = _FIRST_PAUSE_S
            else:
                await self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _publish(self, report: ExecutionReport) -> bool:
        key = report.trace_id or report.report_id
        try:
            publishing = self._bus.publish(TOPIC, key, report.to_json(), report.report_id)
            await within(self._timeout_s, publishing)
        except Exception:
            return False
        return True
