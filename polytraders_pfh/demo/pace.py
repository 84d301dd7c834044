"""How fast the recording is played: so many recorded seconds per second, with long gaps cut short."""

from fractions import Fraction
from typing import Final

from polytraders_pfh.demo.clock import MarketClock

MAX_GAP_MS: Final = 5_000
"""Recorded silences longer than this are played as this long."""


class Pace:
    """Waits until a step is due. Where the program is late it does not wait, and catches up later."""

    def __init__(self, clock: MarketClock, speed: Fraction) -> None:
        """`speed` is recorded time over real time, above 0."""
        self._clock = clock
        self._speed = speed
        self._began_ns = clock.monotonic_ns()
        self._played_ms = 0
        self._last_ms: int | None = None

    async def wait_for(self, at_ms: int) -> None:
        """Return when a step recorded at `at_ms` is due."""
        if self._last_ms is not None:
            self._played_ms += min(max(at_ms - self._last_ms, 0), MAX_GAP_MS)
        self._last_ms = at_ms if self._last_ms is None else max(self._last_ms, at_ms)
        due_ns = self._began_ns + int(self._played_ms * 1_000_000 / self._speed)
        late_ns = self._clock.monotonic_ns() - due_ns
        if late_ns < 0:
            await self._clock.sleep(-late_ns / 1_000_000_000)
