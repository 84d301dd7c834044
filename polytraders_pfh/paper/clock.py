"""The one seam through which the paper exchange sees time: unix milliseconds, and waiting.

Everything else takes `now_ms` as an argument or a `Clock`, so a recorded day can be played at any speed.
"""

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """A source of unix milliseconds that can also be waited on."""

    def now_ms(self) -> int:
        """Unix time in milliseconds; never goes backwards."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Return once `duration_ms` milliseconds of this clock have passed."""
        ...


class SystemClock:
    """The machine's own time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds, from the operating system."""
        return time.time_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait in real time."""
        await asyncio.sleep(duration_ms / 1_000)


class ManualClock:
    """A clock that moves only when told to, for tests and recorded markets."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0

    def now_ms(self) -> int:
        """The time last set by `advance` or `move_to`."""
        return self._now_ms

    def advance(self, duration_ms: int) -> None:
        """Move forward by `duration_ms` and wake whoever waited for a moment now reached."""
        self.move_to(self._now_ms + duration_ms)

    def move_to(self, now_ms: int) -> None:
        """Set the time to `now_ms`; raises ValueError when that lies in the past."""
        if now_ms < self._now_ms:
            raise ValueError(
                f"the clock stands at {self._now_ms} ms and was told {now_ms} ms; it only moves forward"
            )
        self._now_ms = now_ms
        while self._sleepers and self._sleepers[0][0] <= now_ms:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait until `advance` or `move_to` has moved the clock by `duration_ms`."""
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._sleepers, (self._now_ms + duration_ms, self._arrivals, sleeper))
        await sleeper
