"""The durable log of one host: SQLite in the write-ahead mode, `synchronous=FULL`, one writer thread.

The loop only enqueues and is told once per batch; no SQLite call and no file is touched in it. What nobody
waits for goes with the next record that somebody does wait for, or after two milliseconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any, Final

from polytraders_pfh.engine.journal import reading
from polytraders_pfh.engine.journal.batch import Append, Control, Mark, Told
from polytraders_pfh.engine.journal.chain import Head
from polytraders_pfh.engine.journal.commit import CLOSED, NOT_OPEN, Commit, JournalFailed, failed_commit
from polytraders_pfh.engine.journal.records import RESERVED, Kind, Record, Seen, Stored, check_exact
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.engine.journal.writer import Timing, Writer, start

SEGMENT_BYTES: Final = 64 * 1024 * 1024
MAX_QUEUED: Final = 100_000
_CHUNK: Final = 500
_LIE_S: Final = 0.002


class SqliteJournal:
    """A `Journal` in a directory of its own. Await `open` before anything else; then `failed` tells.

    Args:
        directory: Where the segments stand; created when missing. A local disk, not a network share.
        segment_bytes: A segment that has grown to this is closed; so is one whose day (UTC) is over.
        max_queued: Beyond so many records that wait for the disk, appends fail, those of `RESERVED` kinds
            excepted.
        timing: Entered around each commit, in the writer's thread.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_queued: int = MAX_QUEUED,
        timing: Timing = nullcontext,
    ) -> None:
        self._shelf = Shelf(directory)
        self._writer = Writer(self._shelf, segment_bytes, self._tell, timing)
        self._max_queued = max_queued
        self._queued = 0
        self._pending = 0
        self._ringing: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._shut = NOT_OPEN

    async def open(self) -> None:
        """Open the journal, or set `failed`: damaged, newer, written by another process, no disk."""
        if self._thread is not None:
            return
        self._loop = loop = asyncio.get_running_loop()
        opened = loop.create_future()
        self._thread = start(self._writer, partial(self._call, _settle(opened), None))
        await asyncio.shield(opened)
        self._pending = self._writer.pending
        self._shut = ""

    @property
    def failed(self) -> str:
        """Why nothing can be recorded any more, or empty. Then nothing is posted; cancels go on."""
        return self._writer.failed or self._shut

    @property
    def pending(self) -> int:
        """How many kept reports are not marked as delivered."""
        return self._pending

    @property
    def queued(self) -> int:
        """How many records wait for the disk."""
        return self._queued

    def append(self, record: Record) -> Commit:
        """Enqueue the record behind all before it, and return at once."""
        check_exact(record)
        refused = self._shut or self._refusal(record.kind)
        if refused:
            return failed_commit(JournalFailed(refused))
        commit = Commit(self._ring)
        self._queued += 1
        self._lay(Append(record, commit))
        if record.kind is Kind.KILL_SWITCH:
            self._ring()
        return commit

    def mark_delivered(self, seq: int) -> None:
        """Note that the bus has this report."""
        self._pending -= 1
        if not self.failed:
            self._lay(Mark(seq))

    def head(self) -> Head:
        """Return the number and hash of the last durable record."""
        return self._writer.head

    async def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        """Yield the durable records beyond `after`, in order, held against the chain, in bounded memory.

        Raises:
            JournalFailed: The log is damaged at this place.
        """
        found = reading.stored(await self._paths(), after, kinds)
        damage = None
        while damage is None:
            part, damage = await asyncio.to_thread(_next, found)
            for one in part:
                yield one
            if not part and damage is None:
                return
        raise damage

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        """Return the first `limit` reports beyond `after` that are not marked as delivered."""
        rows = await asyncio.to_thread(reading.undelivered, await self._paths(), after, limit)
        return [Stored(row.seq, reading.record_in(row), row.hash) for row in rows]

    async def seen_events(self, since_ms: int) -> list[Seen]:
        """Return the events accepted at `since_ms` or later, each with its latest report."""
        return await asyncio.to_thread(reading.seen_events, await self._paths(), since_ms)

    async def roll(self) -> Path | None:
        """Close the live segment for export and begin the next; None when it holds nothing or has failed."""
        return await self._control("roll")

    async def segments(self) -> list[Path]:
        """Return the segments there are, oldest first; the last one is live."""
        return await self._paths()

    async def close(self) -> None:
        """Return when everything that was appended is durable, and let go of the files."""
        if self._thread is None or self._shut == CLOSED:
            self._shut = CLOSED
            return
        self._shut = CLOSED
        await self._control("stop")
        self._thread.join()

    async def _control(self, what: str) -> Path | None:
        done: asyncio.Future[Path | None] = asyncio.get_running_loop().create_future()
        self._writer.queue.put(Control(what, partial(self._call, _settle(done))))
        return await asyncio.shield(done)

    def _lay(self, item: Append | Mark) -> None:
        self._writer.queue.lay(item)
        if self._ringing is None:
            assert self._loop is not None
            self._ringing = self._loop.call_later(_LIE_S, self._ring)

    def _ring(self) -> None:
        """Have the writer take everything now."""
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None
        self._writer.queue.ring()

    async def _paths(self) -> list[Path]:
        return await asyncio.to_thread(self._shelf.segments)

    def _refusal(self, kind: Kind) -> str:
        if self._writer.failed and kind not in RESERVED:  # of those, the writer knows whether they still fit
            return self._writer.failed
        if self._queued >= self._max_queued and kind not in RESERVED:
            return f"{self._queued} records wait for the disk; it is too slow for this load or hangs"
        return ""

    def _tell(self, told: list[Told]) -> None:
        """Bring a batch's fate to the loop. Called by the writer's thread."""
        if told:
            self._call(self._settle_all, told)

    def _call(self, callback: Callable[[Any], None], argument: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            # The loop is gone, and whoever waited with it. The thread goes on to its own end.
            return

    def _settle_all(self, told: list[Told]) -> None:
        self._queued -= len(told)
        for commit, seq, error, report in told:
            self._pending += report
            commit.settle(seq, error)


def _settle(future: "asyncio.Future[Any]") -> Callable[[Any], None]:
    return lambda result: None if future.done() else future.set_result(result)


def _next(found: Iterator[Stored]) -> tuple[list[Stored], JournalFailed | None]:
    """Return the next few, and the damage that came after them."""
    part: list[Stored] = []
    try:
        for one in islice(found, _CHUNK):
            part.append(one)  # noqa: PERF402  # a comprehension would lose what came before the damage
    except JournalFailed as e:
        return part, e
    return part, None
