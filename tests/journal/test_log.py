"""The durable log in its good days: order, keys, group commit, reading back, closing."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import AT_MS, DAY_MS, everything, opened, post, report, step, tags

from polytraders_pfh.engine.journal import DuplicateRecord, JournalFailed, Kind, Record, Seen, SqliteJournal
from polytraders_pfh.engine.journal import live as live_module
from polytraders_pfh.engine.journal import segment as segment_module


async def test_an_awaited_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    first = Record(
        Kind.POST_ANSWERED,
        AT_MS,
        "trc",
        "0xroot",
        "0xo",
        {"words": "½ \ud800", "n": -(2**70), "ok": True, "x": None},
    )
    assert await journal.append(first) == 1
    assert await journal.append(report(2)) == 2
    found = await everything(journal)
    await journal.close()
    assert [(one.seq, one.record) for one in found] == [(1, first), (2, report(2))]
    assert journal.head() == (2, found[-1].hash)


async def test_a_thousand_appends_from_many_tasks_keep_their_order_in_few_commits(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    seqs: list[int] = []
    appended: list[int] = []

    async def worker(start: int) -> None:
        for n in range(start, start + 50):
            appended.append(n)
            seqs.append(await journal.append(step(n)) if n % 5 == 0 else 0)
            if n % 5:
                journal.append(step(n + 10_000))

    batches: list[int] = []
    tell = journal._writer._tell
    journal._writer._tell = lambda told: (batches.append(len(told)), tell(told))[1]
    await asyncio.gather(*[worker(i * 50) for i in range(25)])
    await journal.close()
    again = await opened(tmp_path)
    found = tags(await everything(again))
    await again.close()
    assert sorted(found) == sorted([n if n % 5 == 0 else n + 10_000 for n in appended])
    assert [n % 10_000 for n in found] == appended
    assert sum(batches) == 1250
    assert len(batches) <= 1250 // 5


async def test_cancelling_who_waits_takes_nothing_back(tmp_path: Path) -> None:
    journal = await opened(tmp_path)

    async def waits(n: int) -> None:
        await journal.append(step(n))

    waiting = [asyncio.create_task(waits(n)) for n in range(20)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await journal.close()
    again = await opened(tmp_path)
    assert tags(await everything(again)) == list(range(20))
    await again.close()


async def test_one_commit_may_be_awaited_by_many_and_twice(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    commit = journal.append(step(1))

    async def wait() -> int:
        return await commit

    assert await asyncio.gather(wait(), wait(), wait()) == [1, 1, 1]
    assert await commit == 1
    await journal.close()


async def test_close_makes_everything_durable_and_then_takes_nothing(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    commits = [journal.append(step(n)) for n in range(2_000)]
    await journal.close()
    assert [commit.seq for commit in commits] == list(range(1, 2_001))
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(step(1))
    assert "closed" in journal.failed
    await journal.close()


async def test_before_it_is_open_the_journal_takes_nothing_and_says_so(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    with pytest.raises(JournalFailed, match=r"await its open\(\)"):
        await journal.append(step(1))
    assert journal.failed
    await journal.close()


async def test_a_record_without_an_exact_form_is_refused_at_once(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(TypeError, match="'price' of a decided record was a float"):
        journal.append(Record(Kind.DECIDED, AT_MS, "", "", "", {"price": 0.5}))  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="at_ms"):
        journal.append(step(0, at_ms=2**63))
    huge = journal.append(step(1, size=10**5_000))
    assert await journal.append(step(2)) == 1
    with pytest.raises(JournalFailed, match="has no form"):
        await huge
    assert journal.failed == ""
    await journal.close()


async def test_a_second_signature_for_the_same_remainder_is_refused_by_the_log(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append(post("0xnew1", replaces="0xold"))
    with pytest.raises(DuplicateRecord, match="0xnew2 is kept already, as record 1"):
        await journal.append(post("0xnew2", replaces="0xold"))
    with pytest.raises(DuplicateRecord):
        await journal.append(post("0xnew1", replaces="0xother"))
    assert await journal.append(post("0xnew3", replaces="0xnew1")) == 2
    await journal.close()


async def test_two_of_one_key_in_one_batch_leave_one_record(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    commits = [journal.append(post(f"0xnew{n}", replaces="0xold")) for n in range(5)]
    results = await asyncio.gather(*commits, return_exceptions=True)
    await journal.close()
    assert results[0] == 1
    assert all(isinstance(result, DuplicateRecord) for result in results[1:])


async def test_keys_are_remembered_across_segments_and_restarts(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    accepted = Record(Kind.EVENT_ACCEPTED, AT_MS, "trc", "", "0xo", {"event_ts_ms": AT_MS})
    await journal.append(accepted)
    await journal.append(report(1))
    await journal.append(post("0xnew", replaces="0xold"))
    assert await journal.roll() is not None
    await journal.close()
    again = await opened(tmp_path)
    for record in (accepted, report(1), post("0xelse", replaces="0xold")):
        with pytest.raises(DuplicateRecord):
            await again.append(record)
    await again.close()


async def test_delivered_reports_are_not_found_again_even_from_an_earlier_segment(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for n in range(6):
        await journal.append(report(n))
    journal.mark_delivered(2)
    await journal.roll()
    await journal.append(report(6))
    journal.mark_delivered(1)
    journal.mark_delivered(4)
    await journal.roll()
    assert journal.pending == 4
    await journal.close()
    again = await opened(tmp_path)
    assert again.pending == 4
    assert [one.seq for one in await again.undelivered(0, 10)] == [3, 5, 6, 7]
    assert [one.seq for one in await again.undelivered(3, 2)] == [5, 6]
    assert (await again.undelivered(6, 10))[0].record == report(6)
    await again.close()


async def test_events_since_a_moment_come_back_with_their_latest_report(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for n in range(4):
        facts = {"event_ts_ms": AT_MS + n}
        journal.append(Record(Kind.EVENT_ACCEPTED, AT_MS + n, "trc", "", "0xorder", facts))
        if n != 3:
            journal.append(report(n))
        if n == 1:
            await journal.roll()
    await journal.append(step(9))
    seen = await journal.seen_events(AT_MS + 1)
    await journal.close()
    assert seen == [
        Seen("0xorder", AT_MS + 1, report(1).payload),
        Seen("0xorder", AT_MS + 2, report(2).payload),
        Seen("0xorder", AT_MS + 3, b""),
    ]


async def test_reading_starts_anywhere_and_can_be_left_to_some_kinds(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for n in range(1_300):
        journal.append(step(n, Kind.FOUND if n % 100 == 0 else Kind.DECIDED))
        if n == 700:
            await journal.roll()
    await journal.append(step(1_300))
    assert tags([one async for one in journal.read(after=1_290)]) == list(range(1_290, 1_301))
    assert tags([one async for one in journal.read(after=650, kinds={Kind.FOUND})]) == list(
        range(700, 1_300, 100)
    )
    await journal.close()


async def test_a_new_day_and_a_full_segment_begin_a_new_file(tmp_path: Path) -> None:
    journal = await opened(tmp_path, segment_bytes=200_000)
    await journal.append(step(0))
    await journal.append(step(1, at_ms=AT_MS + DAY_MS))
    assert len(await journal.segments()) == 2
    for n in range(600):
        await journal.append(step(n, at_ms=AT_MS + DAY_MS, words="x" * 1_000))
    paths = await journal.segments()
    await journal.close()
    assert len(paths) >= 4
    assert all(path.stat().st_size < 600_000 for path in paths)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(paths[0].name + "-")]
    again = await opened(tmp_path)
    assert len(await everything(again)) == 602
    await again.close()


async def test_what_stands_in_the_tables_is_neither_altered_nor_deleted(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append(report(1))
    journal.mark_delivered(1)
    await journal.roll()
    path = (await journal.segments())[0]
    await journal.close()
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        for table in ("segment", "records", "keys", "delivered", "ended"):
            column = "digest" if table == "keys" else "rowid"
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
                with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                    db.execute(statement)


async def test_a_second_writer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    second = await opened(tmp_path)
    assert "writes the journal" in second.failed
    assert "state directory of its own" in second.failed
    with pytest.raises(JournalFailed, match="writes the journal"):
        await second.append(step(1))
    await second.close()
    assert await journal.append(step(1)) == 1
    await journal.close()
    third = await opened(tmp_path)
    assert third.failed == ""
    await third.close()


async def test_a_newer_journal_is_refused_by_an_older_version_and_left_as_it_was(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(1))
    path = (await journal.segments())[0]
    await journal.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    older = await opened(tmp_path)
    assert "newer version (schema 2, this one knows 1)" in older.failed
    assert "nothing is posted, and cancels go on" in older.failed
    for kind in (Kind.POST_RECORDED, Kind.KILL_SWITCH):
        with pytest.raises(JournalFailed, match="newer version"):
            await older.append(step(2, kind))
    await older.close()
    assert path.read_bytes() == before


async def test_an_older_journal_is_read_and_continued_in_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(1))
    await journal.close()
    monkeypatch.setattr(segment_module, "SCHEMA", 2)
    monkeypatch.setattr(live_module, "SCHEMA", 2)
    newer = await opened(tmp_path)
    assert newer.failed == ""
    assert await newer.append(step(2)) == 2
    assert tags(await everything(newer)) == [1, 2]
    assert len(await newer.segments()) == 2
    await newer.close()


async def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "journal-000000000001.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE somebody (e TEXT)")
    journal = await opened(tmp_path)
    assert "is no journal of this bot" in journal.failed
    await journal.close()
    other.write_bytes(b"not a database at all" * 100)
    journal = await opened(tmp_path)
    assert "cancels go on" in journal.failed
    await journal.close()


@pytest.mark.parametrize("leftover", [b"", b"\0" * 0])
async def test_a_file_that_a_crash_left_empty_is_begun(tmp_path: Path, leftover: bytes) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(1))
    ended = await journal.roll()
    await journal.close()
    assert ended is not None
    live = tmp_path / "journal-000000000002.db"
    live.write_bytes(leftover)
    again = await opened(tmp_path)
    assert again.failed == ""
    assert await again.append(step(2)) == 2
    assert tags(await everything(again)) == [1, 2]
    await again.close()


async def test_a_crash_between_two_segments_is_mended_at_the_next_start(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(1))
    await journal.roll()
    await journal.close()
    (tmp_path / "journal-000000000002.db").unlink()
    again = await opened(tmp_path)
    assert again.failed == ""
    assert await again.append(step(2)) == 2
    await again.close()


async def test_too_many_records_before_the_disk_are_refused_but_never_a_cancel(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, max_queued=10)
    await journal.open()
    commits = [journal.append(step(n)) for n in range(11)]
    with pytest.raises(JournalFailed, match="10 records wait for the disk"):
        await commits[-1]
    assert await journal.append(step(99, Kind.CANCEL_STARTED)) == 11
    assert journal.failed == ""
    await journal.close()
