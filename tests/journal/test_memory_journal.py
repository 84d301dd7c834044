"""The journal in memory says what the durable one says, within one process."""

from pathlib import Path

import pytest
from support.journals import AT_MS, opened, post, report, step

from polytraders_pfh.engine.journal import (
    DuplicateRecord,
    Journal,
    JournalFailed,
    Kind,
    MemoryJournal,
    Record,
)


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


async def test_both_journals_tell_the_same_story(tmp_path: Path) -> None:
    durable = await opened(tmp_path)
    assert await a_day(MemoryJournal()) == await a_day(durable)


async def test_memory_keeps_the_newest_records_and_every_undelivered_report() -> None:
    journal = MemoryJournal(keep=3, keep_reports=5)
    for n in range(5):
        await journal.append(report(n))
    for n in range(10):
        await journal.append(step(n))
    assert [record.facts["n"] for record in journal.records] == [7, 8, 9]
    assert [one.seq async for one in journal.read()] == [13, 14, 15]
    assert [one.seq for one in await journal.undelivered(1, 3)] == [2, 3, 4]
    with pytest.raises(JournalFailed, match="get the report bus back"):
        await journal.append(report(5))
    assert journal.failed == ""
    journal.mark_delivered(1)
    assert await journal.append(report(5)) == 16
