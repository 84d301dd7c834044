"""The seam: what the engine asks of a log, whichever log it is."""

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from polytraders_pfh.engine.journal.chain import Head
from polytraders_pfh.engine.journal.commit import Commit
from polytraders_pfh.engine.journal.records import Kind, Record, Seen, Stored


class Journal(Protocol):
    """An append-only log.

    A log that other hosts read fits behind the same methods (`shared`): one log for each part of the orders
    that a host may own, so numbers grow within one part and nothing compares two. An append that is refused
    fails the commit with `LogLost` and sets `failed`: the lease is lost, nothing is posted.
    """

    async def open(self) -> None:
        """Make ready, before anything else; afterwards `failed` tells. Never raises; again does nothing."""
        ...

    @property
    def failed(self) -> str:
        """Why nothing can be recorded any more, or empty. Then nothing is posted; cancels go on."""
        ...

    @property
    def pending(self) -> int:
        """How many kept reports are not marked as delivered."""
        ...

    @property
    def queued(self) -> int:
        """How many records wait to become durable."""
        ...

    def append(self, record: Record) -> Commit:
        """Enqueue the record behind all before it, and return at once. Call it from the loop.

        Awaiting the commit returns the record's number when it is durable. It raises JournalFailed when
        the record was not kept or that is not known, and DuplicateRecord when one with its key is kept
        already. A record without an exact form raises TypeError or ValueError here and now.
        """
        ...

    def mark_delivered(self, seq: int) -> None:
        """Note that the bus has this report. Should the note be lost, the report is offered again."""
        ...

    def head(self) -> Head:
        """Return the number and hash of the last durable record."""
        ...

    def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        """Yield the durable records beyond `after`, in order, in bounded memory: what recovery folds.

        Raises JournalFailed where the log is damaged, having yielded everything before.
        """
        ...

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        """Return the first `limit` kept reports beyond `after` that are not marked as delivered."""
        ...

    async def seen_events(self, since_ms: int) -> list[Seen]:
        """Return the events accepted at `since_ms` or later, each with its latest report."""
        ...

    async def close(self) -> None:
        """Return when everything that was appended is durable, and let go of the log."""
        ...
