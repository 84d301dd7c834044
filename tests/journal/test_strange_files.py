"""Files in the journal's place that are no journal, are half of one, or were changed by somebody's hand."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import DAY_MS, opened, report, step

from polytraders_pfh.engine.journal import Head, JournalFailed, Kind, Record, reading
from polytraders_pfh.engine.journal.chain import START
from polytraders_pfh.engine.journal.records import decode, encode
from polytraders_pfh.engine.journal.segment import Row, Segment
from polytraders_pfh.engine.journal.shelf import Shelf

FIRST, SECOND = "journal-000000000001.db", "journal-000000000003.db"


async def two_segments(directory: Path) -> None:
    """Write a journal of two segments with two records each."""
    journal = await opened(directory)
    for n in range(4):
        await journal.append(step(n))
        if n == 1:
            await journal.roll()
    await journal.close()


def changed(path: Path, *statements: str) -> None:
    """Change a segment as somebody would who owns the file."""
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def rows(directory: Path, after: int = 0) -> list[Row]:
    return list(reading.chained(Shelf(directory).segments(), after))


async def test_segment_that_does_not_follow_the_one_before_ends_the_reading(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    changed(tmp_path / SECOND, "UPDATE segment SET prev_hash = zeroblob(32)")

    with pytest.raises(JournalFailed, match=f"{SECOND} does not follow record 2"):
        rows(tmp_path)


async def test_closed_segment_that_lost_its_last_record_ends_the_reading(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    changed(tmp_path / FIRST, "DELETE FROM records WHERE seq = 2")

    with pytest.raises(JournalFailed, match=f"{FIRST} was closed after record 2 and ends at 1"):
        rows(tmp_path)


async def test_segment_that_lacks_a_record_in_its_middle_ends_the_reading(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    changed(tmp_path / SECOND, "DELETE FROM records WHERE seq = 3")

    with pytest.raises(JournalFailed, match=f"{SECOND} lacks record 3"):
        rows(tmp_path)


async def test_segment_whose_pages_are_garbage_ends_the_reading_with_what_to_do(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    whole = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).chmod(0o600)
    (tmp_path / FIRST).write_bytes(whole[:1_024] + b"\xff" * (len(whole) - 1_024))

    with pytest.raises(JournalFailed, match=f"{FIRST} is damaged .*; restore it from its export"):
        rows(tmp_path)


async def test_record_under_another_kind_than_its_own_is_not_believed(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    changed(tmp_path / SECOND, "UPDATE records SET kind = 'reported' WHERE seq = 3")

    with pytest.raises(JournalFailed, match="record 3 stands under another kind"):
        list(reading.stored(Shelf(tmp_path).segments(), 0, None))


def test_row_that_holds_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalFailed, match="record 7 cannot be read: the bytes are no record of schema 1"):
        reading.record_in(Row(7, "found", 1, b"{}", b"", b""))


def test_segment_that_is_gone_is_no_closed_segment_on_a_read_only_medium(tmp_path: Path) -> None:
    for beside in (False, True):
        if beside:
            (tmp_path / f"{FIRST}-wal").touch()
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            reading.bounds(tmp_path / FIRST)


async def test_segment_that_does_not_say_where_it_begins_is_refused(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    changed(tmp_path / SECOND, "DELETE FROM segment")
    with pytest.raises(JournalFailed, match="does not say where it begins"):
        reading.bounds(tmp_path / SECOND)
    changed(tmp_path / SECOND, "DELETE FROM records")
    with pytest.raises(sqlite3.DatabaseError, match="the table `segment` is empty"):
        Segment.open(tmp_path / SECOND)


def test_journal_without_segments_holds_no_reports() -> None:
    assert reading.undelivered([], 0, 10) == []
    assert reading.count_undelivered([]) == 0


async def test_every_event_since_then_is_found_across_segments_without_any(tmp_path: Path) -> None:
    late = report(2, at_ms=report(0).at_ms + 2 * DAY_MS)
    journal = await opened(tmp_path)
    for n, record in enumerate((report(0), step(1), late)):
        await journal.append(record._replace(facts=record.facts | {"first": True}))
        if n < 2:
            await journal.roll()

    since = {at: [seen.event_ts_ms for seen in await journal.seen_events(at)] for at in (0, late.at_ms)}
    await journal.close()

    assert since == {0: [report(0).at_ms, late.at_ms], late.at_ms: [late.at_ms]}


def test_file_of_another_program_is_neither_opened_nor_held(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FIRST)) as db:
        db.execute("CREATE TABLE mine (one)")

    with pytest.raises(JournalFailed, match="is no journal of this bot; move it away"):
        Segment.open(tmp_path / FIRST)


def test_file_that_is_no_database_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b"not a database at all, for long enough to be read as one" * 100)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Segment.open(tmp_path / FIRST)


def test_segment_is_not_begun_where_one_stands(tmp_path: Path) -> None:
    Segment.create(tmp_path / FIRST, START, 1, None, 0).close()

    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        Segment.create(tmp_path / FIRST, Head(9, START.hash), 1, None, 0)


def test_shelf_without_a_directory_has_no_room_and_no_reserve_to_give(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "absent")

    assert (shelf.crowded(), shelf.spend_reserve()) == (False, False)


async def test_journal_that_is_open_already_is_opened_no_second_time(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(1))
    await journal.open()

    assert journal.failed == ""
    assert await journal.append(step(2)) == 2
    await journal.close()


RECORD = Record(Kind.FOUND, 1, "t", "r", "o", {"a": 1})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b'{"v":1,"kind":"found"}',
        encode(RECORD).replace(b'"found"', b'"no kind"'),
        encode(RECORD).replace(b'{"a":1}', b'{"a":1.5}'),
        encode(RECORD).replace(b'{"a":1}', b"[1]"),
        encode(RECORD).replace(b'"at_ms":1', b'"at_ms":-1'),
    ],
)
def test_bytes_that_are_no_record_are_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="the bytes are no record of schema 1"):
        decode(body, b"")


@pytest.mark.parametrize(
    "body",
    [
        encode(RECORD).replace(b":", b": "),
        encode(RECORD).replace(b'"v":1', b'"v":2'),
        encode(RECORD).replace(b'"v"', b'"message_id":"","v"'),
        encode(RECORD) + b" ",
    ],
)
def test_another_form_of_a_record_is_not_taken_for_it(body: bytes) -> None:
    with pytest.raises(ValueError, match="not the canonical form"):
        decode(body, b"")


async def test_segment_whose_end_was_cut_off_before_an_empty_one_is_gone_on_with(tmp_path: Path) -> None:
    await two_segments(tmp_path)
    (tmp_path / SECOND).unlink()
    (tmp_path / SECOND).touch()
    (tmp_path / f"{FIRST}-journal").touch()

    journal = await opened(tmp_path)
    assert journal.failed == ""
    assert await journal.append(step(9)) == 3
    await journal.close()
