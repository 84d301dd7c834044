"""The first error latches: what waits is told, what comes later is refused, what is on the disk is true."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from support.eventually import eventually
from support.journals import everything, opened, post, report, step, tags

from polytraders_pfh.engine.journal import RESERVED, JournalFailed, Kind, SqliteJournal
from polytraders_pfh.engine.journal.batch import Control
from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.ops.verify import verify


def disk_error(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


async def test_an_io_error_fails_what_waits_and_everything_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(0))
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "write", disk_error)
        waiting = [journal.append(step(1)), journal.append(post("0xnew", "0xold"))]
        for commit in waiting:
            with pytest.raises(JournalFailed, match="nothing is posted, and cancels go on"):
                await commit
    for kind in Kind:
        with pytest.raises(JournalFailed, match="disk I/O error"):
            await journal.append(step(2, kind))
    assert "free or replace the disk, then restart" in journal.failed
    assert tags(await everything(journal)) == [0]
    assert await journal.roll() is None
    journal.mark_delivered(1)
    await journal.close()
    again = await opened(tmp_path)
    assert again.failed == ""
    assert await again.append(step(3)) == 2
    await again.close()


async def test_a_commit_that_landed_before_its_error_is_unknown_and_the_chain_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, really = await opened(tmp_path), Segment.write

    def lands_and_fails(self: Segment, *what: object) -> None:
        really(self, *what)  # type: ignore[arg-type]
        disk_error()

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "write", lands_and_fails)
        with pytest.raises(JournalFailed):
            await journal.append(step(0))
    await eventually(lambda: journal.head().seq == 1)
    await journal.close()
    again = await opened(tmp_path)
    assert await again.append(step(1)) == 2
    assert tags(await everything(again)) == [0, 1]
    await again.close()
    assert verify(tmp_path).ok


async def test_a_checkpoint_that_fails_latches_and_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    monkeypatch.setattr(Segment, "checkpoint", disk_error)
    promised = 0
    with pytest.raises(JournalFailed, match="disk I/O error"):
        for n in range(10_000):
            await journal.append(step(n, words="w" * 40_000))
            promised += 1
    assert tags(await everything(journal)) == list(range(promised))
    await journal.close()


async def test_a_full_disk_rescues_the_cancels_of_the_very_batch_it_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, really, met = await opened(tmp_path), Segment.write, list[int]()

    def full_once(self: Segment, *what: object) -> None:
        if not met:
            met.append(1)
            e = sqlite3.OperationalError("database or disk is full")
            e.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise e
        really(self, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Segment, "write", full_once)
    commits = [journal.append(step(n, kind)) for n, kind in enumerate(sorted(Kind))]
    results = await asyncio.gather(*commits, return_exceptions=True)
    kept = [kind for kind, result in zip(sorted(Kind), results, strict=True) if isinstance(result, int)]
    assert set(kept) == RESERVED
    assert not (tmp_path / "reserve").exists()
    assert [one.record.kind for one in await everything(journal)] == kept
    await journal.close()
    again = await opened(tmp_path)
    assert again.failed == ""
    assert (tmp_path / "reserve").exists()
    await again.close()


async def test_a_rescue_that_fails_too_ends_in_the_same_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    monkeypatch.setattr(Segment, "write", disk_error)
    monkeypatch.setattr(Shelf, "crowded", lambda _: True)
    with pytest.raises(JournalFailed, match="disk I/O error"):
        await journal.append(step(0, Kind.KILL_SWITCH))
    with pytest.raises(JournalFailed, match="disk I/O error"):
        await journal.append(step(1, Kind.KILL_SWITCH))
    await journal.close()


async def test_a_segment_that_cannot_end_latches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(0))
    monkeypatch.setattr(Segment, "end", disk_error)
    assert await journal.roll() is None
    assert "disk I/O error" in journal.failed
    assert tags(await everything(journal)) == [0]
    await journal.close()


async def test_an_error_nobody_thought_of_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(*_: object) -> None:
        raise MemoryError

    journal = await opened(tmp_path)
    monkeypatch.setattr(Segment, "known", strange)
    with pytest.raises(JournalFailed, match="MemoryError"):
        await journal.append(step(0))
    await journal.close()


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"a file stands here")
    journal = await opened(tmp_path / "state" / "journal")
    assert str(tmp_path / "state" / "journal") in journal.failed
    with pytest.raises(JournalFailed, match="cancels go on"):
        await journal.append(step(0, Kind.KILL_SWITCH))
    await journal.close()


async def test_a_segment_that_does_not_follow_the_one_before_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        journal = await opened(tmp_path / name)
        await journal.append(step(len(name)))
        await journal.roll()
        await journal.append(step(9))
        await journal.close()
    second = "journal-000000000002.db"
    (tmp_path / "one" / second).write_bytes((tmp_path / "other" / second).read_bytes())
    journal = await opened(tmp_path / "one")
    assert "does not follow" in journal.failed
    await journal.close()


def test_a_loop_that_ended_without_closing_leaves_a_whole_journal(tmp_path: Path) -> None:
    async def forgets() -> SqliteJournal:
        journal = await opened(tmp_path)
        for n in range(500):
            journal.append(report(n))
        return journal

    forgotten = asyncio.run(forgets())
    assert forgotten._thread is not None
    forgotten._writer.queue.put(Control("stop", lambda _: None))
    forgotten._thread.join(10)
    found = verify(tmp_path)
    assert found.ok
    assert found.records == 500


async def test_a_journal_that_cannot_be_read_either_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    monkeypatch.setattr(Segment, "write", disk_error)
    monkeypatch.setattr("polytraders_pfh.engine.journal.reading.head_of", disk_error)
    with pytest.raises(JournalFailed, match="disk I/O error"):
        await journal.append(step(0))
    await eventually(lambda: "and it cannot be read either: disk I/O error" in journal.failed)
    await journal.close()


async def test_a_last_checkpoint_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = await opened(tmp_path)
    await journal.append(step(0))
    monkeypatch.setattr(Segment, "checkpoint", disk_error)
    await journal.close()
    assert "disk I/O error" in journal._writer.failed
    monkeypatch.undo()
    again = await opened(tmp_path)
    assert tags(await everything(again)) == [0]
    await again.close()
