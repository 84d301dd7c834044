"""A log that outlives the process that writes it, less what it had not yet committed when that died."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextvars import Context
from random import Random
from typing import Final

from polytraders_pfh.engine.journal import (
    RESERVED,
    Commit,
    DuplicateRecord,
    Head,
    JournalFailed,
    Kind,
    Record,
    Seen,
    Stored,
)
from polytraders_pfh.engine.journal.chain import START
from polytraders_pfh.engine.journal.commit import CLOSED, failed_commit
from polytraders_pfh.engine.journal.memory import seen_in
from polytraders_pfh.engine.journal.records import check_exact, decode, encode, unique_keys
from simulation.faults import Faults
from simulation.loop import Loop

NOT_OPEN: Final = "it is not open"
Item = tuple[Record, Commit] | int
"""A record on its way, or the number of a report that the bus has."""


class Disk:
    """What is durable."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.keys: set[bytes] = set()
        self.delivered: set[int] = set()

    def open(self) -> None:
        """Another process begins to read and write."""

    def write(self, batch: list[Item]) -> list[tuple[Commit, int]]:
        """Keep these, as their bytes say them; return each record's number, 0 for one kept already."""
        written = []
        for item in batch:
            if isinstance(item, int):
                self.delivered.add(item)
                continue
            record, commit = item
            known = any(key.digest in self.keys for key in unique_keys(record))
            written.append((commit, 0 if known else self._keep(record)))
        return written

    def let_go(self) -> None:
        """The process is gone."""

    def _keep(self, record: Record) -> int:
        self.records.append(decode(encode(record), record.payload))
        self.keys.update(key.digest for key in unique_keys(record))
        return len(self.records)


class DiskJournal:
    """One process's hold on the disk. Commits in groups, after a time that the seed decides."""

    def __init__(self, disk: Disk, loop: Loop, rng: Random, faults: Faults, context: Context) -> None:
        self.disk = disk
        self._context = context
        self._loop = loop
        self._rng = rng
        self._faults = faults
        self._queue: list[Item] = []
        self._flushing = False
        self._failed = NOT_OPEN
        self._gone = False

    async def open(self) -> None:
        """Make ready."""
        if self._failed == NOT_OPEN:
            self.disk.open()
            self._failed = ""

    @property
    def failed(self) -> str:
        """Why nothing more is recorded, or empty."""
        return self._failed

    @property
    def pending(self) -> int:
        """How many reports are not delivered."""
        return sum(1 for seq, _ in self._undelivered(0))

    @property
    def queued(self) -> int:
        """How many records wait for the disk."""
        return sum(1 for item in self._queue if not isinstance(item, int))

    def append(self, record: Record) -> Commit:
        """Enqueue a record."""
        check_exact(record)
        full = self._failed.startswith("the disk is full")
        if self._failed and not (full and record.kind in RESERVED):
            return failed_commit(JournalFailed(self._failed))
        commit = Commit()
        self._queue.append((record, commit))
        self._flush_soon()
        return commit

    def mark_delivered(self, seq: int) -> None:
        """Note that the bus has a report."""
        self._queue.append(seq)
        self._flush_soon()

    def head(self) -> Head:
        """Return the last number."""
        return Head(len(self.disk.records), START.hash)

    async def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        """Yield what is durable."""
        for seq, record in enumerate(tuple(self.disk.records), 1):
            if seq > after and (kinds is None or record.kind in kinds):
                yield Stored(seq, record, START.hash)

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        """Return the first reports that the bus does not have."""
        return [Stored(seq, record, START.hash) for seq, record in self._undelivered(after)][:limit]

    async def seen_events(self, since_ms: int) -> list[Seen]:
        """Return the accepted events."""
        return seen_in([record for record in self.disk.records if record.at_ms >= since_ms])

    async def close(self) -> None:
        """Commit everything."""
        self._flush()
        if not self._gone:
            self.disk.let_go()
        self._failed = CLOSED

    @property
    def idle(self) -> bool:
        """Whether everything that was appended is durable."""
        return not self._queue and not self._failed

    def crash(self) -> None:
        """The process dies: a part of the queue had reached the disk, and nobody was told."""
        if self._queue:
            reached = self._queue[: self._rng.randrange(len(self._queue) + 1)]
            if self._failed != NOT_OPEN:
                self.disk.write(reached)
        self._queue.clear()
        self._gone = True
        self.disk.let_go()

    def has_post(self, order_id: str) -> bool:
        """Return whether the intent to post this order is durable."""
        return any(r.kind is Kind.POST_RECORDED and r.order_id == order_id for r in self.disk.records)

    def _undelivered(self, after: int) -> list[tuple[int, Record]]:
        marked = self.disk.delivered | {item for item in self._queue if isinstance(item, int)}
        return [
            (seq, record)
            for seq, record in enumerate(self.disk.records, 1)
            if record.kind is Kind.REPORTED and seq > after and seq not in marked
        ]

    def _flush_soon(self) -> None:
        if self._flushing:
            return
        self._flushing = True
        delay = self._rng.random() * 0.01
        if self._faults.strikes("disk is slow", 0.1):
            delay = self._rng.choice((0.05, 0.4, 2.5))
        self._loop.call_later(delay, self._flush, context=self._context)

    def _flush(self) -> None:
        self._flushing = False
        if self._gone:
            return
        batch, self._queue = self._queue, []
        if not self._failed and self._faults.strikes("disk fails", 0.02):
            self._failed = self._rng.choice(("the disk is full", "the disk answered EIO"))
            for item in batch:
                if not isinstance(item, int):
                    item[1].settle(0, JournalFailed(self._failed))
            return
        for commit, seq in self.disk.write(batch):
            error = None if seq else DuplicateRecord("a record with this key is kept already")
            commit.settle(seq, error)
