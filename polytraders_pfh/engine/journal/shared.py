"""The log of one bot that other hosts read: every record acknowledged by the shared log, in one order.

Records that come while an entry is on its way go together with the next one, so a slow bus makes larger
entries. What fails once has failed for good: the host tries for as long as it may, so a failure says that
another host may have taken over, and nothing of this one is posted or reported any more.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, Final

from polytraders_hookspecs.services import SharedLog

from polytraders_pfh.engine.journal.chain import START, Head
from polytraders_pfh.engine.journal.commit import (
    CLOSED,
    NOT_OPEN,
    Commit,
    DuplicateRecord,
    JournalFailed,
    LogLost,
    failed_commit,
)
from polytraders_pfh.engine.journal.entry import Entry, pack, unpack
from polytraders_pfh.engine.journal.memory import seen_in
from polytraders_pfh.engine.journal.needed import Needed
from polytraders_pfh.engine.journal.records import (
    RESERVED,
    Kind,
    Record,
    Seen,
    Stored,
    check_exact,
    unique_keys,
)

MAX_QUEUED: Final = 100_000
MAX_ENTRY_RECORDS: Final = 200
MAX_ENTRY_BYTES: Final = 512 * 1024
_MAX_KEYS: Final = 100_000
_LIE_S: Final = 0.002
_DAY_BITS: Final = (Kind.EVENT_ACCEPTED, Kind.REPORTED)


class SharedJournal:
    """A `Journal` on the host's `SharedLog`.

    Args:
        log: Where entries go.
        timing: Times each append.
        max_queued: Beyond so many records that wait for the log, appends fail, those of `RESERVED` kinds
            excepted.
    """

    def __init__(
        self,
        log: SharedLog,
        *,
        timing: Callable[[], AbstractContextManager[Any]] = nullcontext,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._log = log
        self._timing = timing
        self._max_queued = max_queued
        self._head = START
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self._needed = Needed()
        self._waiting: deque[tuple[Record, Commit]] = deque()
        self._delivered: list[int] = []
        self._failed = NOT_OPEN
        self._wake = asyncio.Event()
        self._ringing: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Read what is there, or set `failed`."""
        if self._writer is not None:
            return
        try:
            async for number, entry in self._entries():
                self._needed.take(number, entry)
                self._head = entry.head
                for _, record, _ in entry.records:
                    self._remember(record)
        except Exception as e:
            self._failed = f"the shared log could not be read ({e}); nothing is posted"
            return
        self._failed = ""
        self._writer = asyncio.get_running_loop().create_task(self._write(), name="pfh-shared-journal")

    @property
    def failed(self) -> str:
        """Why nothing can be recorded any more, or empty. Then nothing is posted; cancels go on."""
        return self._failed

    @property
    def pending(self) -> int:
        """How many kept reports are not marked as delivered."""
        return len(self._needed.reports)

    @property
    def queued(self) -> int:
        """How many records wait for the log."""
        return len(self._waiting)

    def append(self, record: Record) -> Commit:
        """Enqueue the record behind all before it, and return at once."""
        check_exact(record)
        if self._failed or self._closing:
            return failed_commit(LogLost(self._failed or CLOSED))
        if len(self._waiting) >= self._max_queued and record.kind not in RESERVED:
            return failed_commit(JournalFailed(f"{len(self._waiting)} records wait for the shared log"))
        if not self._remember(record):
            return failed_commit(DuplicateRecord(f"a {record.kind} record with this key is kept already"))
        commit = Commit(self._wake.set)
        self._waiting.append((record, commit))
        self._ring()
        return commit

    def mark_delivered(self, seq: int) -> None:
        """Note that the bus has this report; the next entry says so."""
        self._needed.reports.pop(seq, None)
        self._delivered.append(seq)
        self._ring()

    def head(self) -> Head:
        """Return the number and hash of the last durable record."""
        return self._head

    async def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        """Yield the records that are still needed beyond `after`, in order.

        Raises:
            JournalFailed: The log is damaged at this place, or cannot be read.
        """
        try:
            async for _, entry in self._entries():
                for one in entry.records:
                    if one.seq > after and (kinds is None or one.record.kind in kinds):
                        yield one
        except JournalFailed:
            raise
        except Exception as e:
            raise JournalFailed(f"the shared log could not be read ({e})") from e

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        """Return the first `limit` reports beyond `after` that are not marked as delivered."""
        beyond = (Stored(seq, record, b"") for seq, record in self._needed.reports.items() if seq > after)
        return list(islice(beyond, limit))

    async def seen_events(self, since_ms: int) -> list[Seen]:
        """Return the events accepted at `since_ms` or later, each with its latest report."""
        found = [record async for _, record, _ in self.read(kinds=_DAY_BITS) if record.at_ms >= since_ms]
        return seen_in(found)

    async def close(self) -> None:
        """Return when everything that was appended is kept, or is known not to be."""
        self._closing = True
        if self._writer is not None:
            self._wake.set()
            await self._writer
        self._failed = self._failed or CLOSED

    async def _entries(self) -> AsyncIterator[tuple[int, Entry]]:
        """Yield the log's entries, each held against the one before."""
        head: Head | None = None
        async for number, data in self._log.read():
            entry = unpack(data)
            if head is not None and entry.before != head:
                raise JournalFailed(f"entry {number} of the shared log does not follow the one before")
            head = entry.head
            yield number, entry

    def _remember(self, record: Record) -> bool:
        """Take a record's keys; False when one of them is known."""
        digests = [key.digest for key in unique_keys(record)]
        if any(digest in self._keys for digest in digests):
            return False
        self._keys.update(dict.fromkeys(digests))
        while len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)
        return True

    def _ring(self) -> None:
        """Have the writer wake soon; who awaits a commit wakes it at once."""
        if self._ringing is None:
            self._ringing = asyncio.get_running_loop().call_later(_LIE_S, self._rung)

    def _rung(self) -> None:
        self._ringing = None
        self._wake.set()

    async def _write(self) -> None:
        """Append entry after entry, each once the one before is kept."""
        while not self._failed:
            if not self._waiting and not self._delivered:
                if self._closing:
                    return
                await self._wake.wait()
            self._wake.clear()
            if self._waiting or self._delivered:
                await self._append(self._batch())

    def _batch(self) -> list[tuple[Record, Commit]]:
        batch: list[tuple[Record, Commit]] = []
        size = 0
        while self._waiting and len(batch) < MAX_ENTRY_RECORDS and size < MAX_ENTRY_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].payload)
        return batch

    async def _append(self, batch: list[tuple[Record, Commit]]) -> None:
        delivered, self._delivered = self._delivered, []
        data, entry = pack(self._head, [record for record, _ in batch], delivered)
        try:
            with self._timing():
                number = await self._log.append(data, self._needed.since())
        except Exception as e:
            self._fail(f"the shared log took no more ({e}); another host may own these orders", batch)
            return
        self._needed.take(number, entry)
        self._head = entry.head
        for (_, commit), stored in zip(batch, entry.records, strict=True):
            commit.settle(stored.seq)

    def _fail(self, why: str, batch: list[tuple[Record, Commit]]) -> None:
        self._failed = why
        lost = [*batch, *self._waiting]
        self._waiting.clear()
        for _, commit in lost:
            commit.settle(0, LogLost(why))
