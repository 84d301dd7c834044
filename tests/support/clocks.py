"""A clock that moves when it is told to."""

import asyncio


class HandClock:
    """Time stands still between `advance` calls; sleepers wake when their moment has passed."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._ns = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ns(self) -> int:
        return self._ns

    async def sleep(self, seconds: float) -> None:
        due = self._ns + int(seconds * 1e9)
        waiter = asyncio.get_running_loop().create_future()
        self._sleepers.append((due, waiter))
        await waiter

    def advance(self, seconds: float) -> None:
        self._ns += int(seconds * 1e9)
        self._now_ms += int(seconds * 1000)
        due = [waiter for at, waiter in self._sleepers if at <= self._ns]
        self._sleepers = [(at, waiter) for at, waiter in self._sleepers if at > self._ns]
        for waiter in due:
            if not waiter.done():
                waiter.set_result(None)
