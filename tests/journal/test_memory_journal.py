"""The journal in memory says what the durable one says, within one process."""

from pathlib import Path

import pytest
from support.journals import a_day, opened, report, step

from polytraders_pfh.engine.journal import JournalFailed, Kind, MemoryJournal


async def test_both_journals_tell_the_same_story(tmp_path: Path) -> None:
    durable = await opened(tmp_path)
    assert await a_day(MemoryJournal()) == await a_day(durable)


async def test_memory_remembers_as_many_keys_as_twice_the_records_it_keeps() -> None:
    journal = MemoryJournal(keep=2)
    for n in range(9):
        await journal.append(report(n))

    with pytest.raises(JournalFailed, match="kept already"):
        await journal.append(report(8))
    assert await journal.append(report(0)) == 10


async def test_event_that_has_no_report_yet_has_what_its_own_record_says() -> None:
    journal = MemoryJournal()
    event = step(1, Kind.EVENT_ACCEPTED, event_ts_ms=7)._replace(payload=b"pending")
    await journal.append(event)
    await journal.append(step(2, Kind.FOUND, event_ts_ms=8))

    assert [seen.report for seen in await journal.seen_events(0)] == [b"pending"]


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
