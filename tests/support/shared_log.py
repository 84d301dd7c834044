"""A shared log and a fence in memory: the newest owner alone may write, as on a real bus."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class LogTruth:
    """What the log holds, and who owns it. Tokens grow with every owner."""

    entries: list[tuple[bytes, int]] = field(default_factory=list)
    token: int = 0

    def take_over(self) -> "StubSharedLog":
        """Return the log as its next owner writes it; nobody before that one may write any more."""
        self.token += 1
        return StubSharedLog(self, self.token)


class StubSharedLog:
    """The contract's `SharedLog` and `Fence`, in one owner's hands.

    `gate` holds back appends, `lapsed` says that the lease ran out without anybody having taken over.
    """

    def __init__(self, truth: LogTruth, token: int) -> None:
        self.truth = truth
        self.own = token
        self.lapsed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.appended = 0
        self.broken: Exception | None = None

    async def append(self, entry: bytes, needed_from: int) -> int:
        self.appended += 1
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.truth.token != self.own:
            raise ConnectionError("another host has written")
        number = len(self.truth.entries) + 1
        self.truth.entries.append((entry, needed_from or number))
        return number

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        if self.broken is not None:
            raise self.broken
        first = self.truth.entries[-1][1] if self.truth.entries else 1
        for number, (entry, _) in enumerate(self.truth.entries[first - 1 :], first):
            yield number, entry

    def token(self, root_order_id: str) -> int:
        if self.broken is not None:
            raise self.broken
        return self.own if self.still_held(self.own) else 0

    def still_held(self, token: int) -> bool:
        if self.broken is not None:
            raise self.broken
        return not self.lapsed and token == self.own == self.truth.token
