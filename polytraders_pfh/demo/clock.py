"""The time of a played market: the date is the recording's, durations and pauses are the machine's.

Orders, books and windows are dated by `now_ms`, which moves only from one recorded frame to the next, so a
slow machine sees the same market as a fast one. Timeouts, pings and retries stay in real time.
"""

import asyncio

from polytraders_pfh.host.clock import SystemClock


class MarketClock:
    """The clock of host and paper exchange alike; `move_to` is for the one who plays."""

    def __init__(self, start_ms: int) -> None:
        self._machine = SystemClock()
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Unix milliseconds of the played market."""
        return self._now_ms

    def move_to(self, now_ms: int) -> None:
        """Set the date. A time that lies in the past is read as now."""
        self._now_ms = max(self._now_ms, now_ms)

    def monotonic_ns(self) -> int:
        """Nanoseconds of the machine."""
        return self._machine.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await self._machine.sleep(seconds)

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait in real time."""
        await self._machine.sleep(duration_ms / 1_000)

    async def turn(self) -> None:
        """Let everything else that is ready run once; no time passes."""
        await asyncio.sleep(0)
