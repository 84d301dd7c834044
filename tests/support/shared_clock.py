"""One clock for a host and the paper exchange under it, moved by hand."""

import math

from polytraders_pfh.paper.clock import ManualClock


class SharedClock(ManualClock):
    """A `ManualClock` that is also the contract's `Clock`."""

    def __init__(self, start_ms: int = 1_790_000_000_000) -> None:
        super().__init__(start_ms)
        self._start_ms = start_ms

    def monotonic_ns(self) -> int:
        return (self.now_ms() - self._start_ms) * 1_000_000

    async def sleep(self, seconds: float) -> None:
        await self.sleep_ms(math.ceil(seconds * 1000))
