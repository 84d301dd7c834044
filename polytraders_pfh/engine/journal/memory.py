"""A log in memory: the order of things inside one process, and nothing after it."""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Collection
from itertools import islice

from polytraders_pfh.engine.journal.chain import START, Head, link
from polytraders_pfh.engine.journal.commit import (
    CLOSED,
    Commit,
    DuplicateRecord,
    JournalFailed,
    failed_commit,
)
from polytraders_pfh.engine.journal.records import (
    Kind,
    Record,
    Seen,
    Stored,
    check_exact,
    encode,
    unique_keys,
)


class MemoryJournal:
    """A bounded log in memory, for hosts without a state directory and for tests.

    It behaves as the durable log does within one process; after a crash its records are gone, and
    recovery starts from the exchange alone. It keeps the newest `keep` records and their keys, and every
    report until it is delivered, up to `keep_reports`; beyond that the append of a report fails.
    """

    def __init__(self, keep: int = 10_000, keep_reports: int = 1_000_000) -> None:
        self.records: deque[Record] = deque(maxlen=keep)
        self._keep = keep
        self._keep_reports = keep_reports
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self._reports: OrderedDict[int, Record] = OrderedDict()
        self._last = 0
        self._failed = ""

    async def open(self) -> None:
        """Memory is ready."""

    @property
    def failed(self) -> str:
        """Memory does not fail, until it is closed."""
        return self._failed

    @property
    def pending(self) -> int:
        """How many reports are not marked as delivered."""
        return len(self._reports)

    @property
    def queued(self) -> int:
        """Nothing waits for memory."""
        return 0

    def append(self, record: Record) -> Commit:
        """Keep the record as long as there is room."""
        check_exact(record)
        if self._failed:
            return failed_commit(JournalFailed(self._failed))
        if record.kind is Kind.REPORTED and len(self._reports) >= self._keep_reports:
            return failed_commit(
                JournalFailed(f"{self._keep_reports} reports wait in memory; get the report bus back")
            )
        keys = unique_keys(record)
        if any(key.digest in self._keys for key in keys):
            return failed_commit(DuplicateRecord(f"a {record.kind} record with this key is kept already"))
        self._take(record, keys)
        commit = Commit()
        commit.settle(self._last)
        return commit

    def mark_delivered(self, seq: int) -> None:
        """Let go of a report."""
        self._reports.pop(seq, None)

    def head(self) -> Head:
        """Return the last record's number and hash, of the records still kept."""
        head = Head(self._last - len(self.records), START.hash)
        for record in self.records:
            head = Head(head.seq + 1, link(head.hash, head.seq + 1, encode(record), record.payload))
        return head

    async def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        """Yield the kept records beyond `after`."""
        head = Head(self._last - len(self.records), START.hash)
        for record in tuple(self.records):
            seq = head.seq + 1
            head = Head(seq, link(head.hash, seq, encode(record), record.payload))
            if seq > after and (kinds is None or record.kind in kinds):
                yield Stored(seq, record, head.hash)

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        """Return the first reports beyond `after` that are not marked as delivered."""
        beyond = (Stored(seq, record, b"") for seq, record in self._reports.items() if seq > after)
        return list(islice(beyond, limit))

    async def seen_events(self, since_ms: int) -> list[Seen]:
        """Return the accepted events among the kept records, each with its latest report."""
        return seen_in([record for record in self.records if record.at_ms >= since_ms])

    async def close(self) -> None:
        """Keep nothing more."""
        self._failed = CLOSED

    def _take(self, record: Record, keys: Collection[tuple[bytes, bool]]) -> None:
        self._last += 1
        self.records.append(record)
        if record.kind is Kind.REPORTED:
            self._reports[self._last] = record
        for digest, _ in keys:
            self._keys[digest] = None
        while len(self._keys) > 2 * self._keep:
            self._keys.popitem(last=False)


def seen_in(records: Collection[Record]) -> list[Seen]:
    """Return the accepted events in these records, oldest first, each with its latest report.

    A report may stand before the record of its event, which a crash may have kept from the disk; an event
    without a report has what its own record says.
    """
    accepted: dict[tuple[str, int], bytes] = {}
    reported: dict[tuple[str, int], bytes] = {}
    for record in records:
        moment = record.facts.get("event_ts_ms")
        if not isinstance(moment, int):
            continue
        key = (record.order_id, moment)
        if record.kind is Kind.EVENT_ACCEPTED:
            accepted.setdefault(key, record.payload)
        elif record.kind is Kind.REPORTED:
            reported[key] = record.payload
            if record.facts.get("first"):
                accepted.setdefault(key, b"")
    return [Seen(*key, reported.get(key, payload)) for key, payload in accepted.items()]
