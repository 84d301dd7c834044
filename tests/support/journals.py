"""Records and durable journals for tests."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from polytraders_pfh.engine.journal import (
    DuplicateRecord,
    Journal,
    JournalFailed,
    Kind,
    Record,
    SqliteJournal,
    Stored,
)

AT_MS = 1_746_770_100_000
DAY_MS = 86_400_000


def step(n: int, kind: Kind = Kind.DECIDED, at_ms: int = AT_MS, **facts: str | int | bool | None) -> Record:
    """Return a record like no other, without a key of its own."""
    return Record(kind, at_ms + n, f"trc_{n}", f"0xroot{n}", f"0xorder{n}", {"n": n} | facts)


def report(n: int, trace: str = "trc_1", at_ms: int = AT_MS) -> Record:
    """Return the record of a report, with its JSON and its message id."""
    payload = b'{"report_id":"rep_%d","trace_id":"%s"}' % (n, trace.encode())
    facts = {"report_id": f"rep_{n}", "verdict": "HOLD_REMAINDER", "final": True, "event_ts_ms": at_ms + n}
    return Record(
        Kind.REPORTED, at_ms + n, trace, "0xroot", "0xorder", facts, payload, f"rep_{n}", trace, "00-ab-cd-01"
    )


def post(order_id: str, replaces: str) -> Record:
    """Return the record of an intent to post."""
    facts = {"price_micro": 620_000, "size_micro": 5_000_000, "replaces": replaces}
    return Record(Kind.POST_RECORDED, AT_MS, "trc_1", "0xroot", order_id, facts)


async def opened(directory: Path, segment_bytes: int = 64 * 1024 * 1024) -> SqliteJournal:
    """Return an open journal; the caller closes it."""
    journal = SqliteJournal(directory, segment_bytes=segment_bytes)
    await journal.open()
    return journal


async def everything(journal: SqliteJournal) -> list[Stored]:
    """Return every record in the journal."""
    return [one async for one in journal.read()]


def tags(found: Sequence[Stored]) -> list[int]:
    """Return the numbers that `step` wrote into its records."""
    return [int(str(one.record.facts["n"])) for one in found]


async def a_day(journal: Journal) -> list[object]:
    """Do the same things with a journal and return everything it said."""
    said: list[object] = []
    records = [
        Record(Kind.EVENT_ACCEPTED, AT_MS, "trc", "", "0xorder", {"event_ts_ms": AT_MS}),
        report(0),
        step(2),
        post("0xnew", "0xold"),
        report(0),
        post("0xelse", "0xold"),
        report(5),
    ]
    for record in records:
        try:
            said.append(await journal.append(record))
        except DuplicateRecord:
            said.append("twice")
    journal.mark_delivered(2)
    said.append(await journal.append(step(8)))
    said += [journal.pending, journal.head(), journal.failed]
    said.append([one async for one in journal.read(after=2, kinds={Kind.DECIDED, Kind.REPORTED})])
    said.append([(one.seq, one.record) for one in await journal.undelivered(0, 10)])
    said.append(await journal.seen_events(AT_MS))
    await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(step(9))
    return said
