"""Records that nobody waits for lie until somebody does, or for a moment."""

import asyncio
from pathlib import Path

from support.journals import opened, step

from polytraders_pfh.engine.journal import SqliteJournal


async def unlain(journal: SqliteJournal) -> None:
    async with asyncio.timeout(5):
        while journal.queued:
            await asyncio.sleep(0.001)


async def test_record_that_somebody_waits_for_takes_along_those_before_it(tmp_path: Path) -> None:
    journal = await opened(tmp_path)

    commits = [journal.append(step(n)) for n in range(3)]
    last = await commits[-1]
    await journal.close()

    assert [commit.seq for commit in commits] == [1, 2, 3]
    assert last == 3


async def test_record_that_nobody_waits_for_is_written_all_the_same(tmp_path: Path) -> None:
    journal = await opened(tmp_path)

    commit = journal.append(step(1))
    lay = commit.settled
    await unlain(journal)
    await journal.close()

    assert not lay
    assert commit.seq == 1


async def test_urged_record_is_written_without_anybody_waiting(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    journal._lay = journal._writer.queue.lay  # type: ignore[method-assign]  # no bell after a moment

    commit = journal.append(step(1))
    commit.urge()
    await unlain(journal)
    await journal.close()

    assert commit.seq == 1


async def test_more_records_than_one_batch_takes_are_all_written_for_one_ring(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    journal._lay = journal._writer.queue.lay  # type: ignore[method-assign]  # no bell after a moment

    commits = [journal.append(step(n)) for n in range(1_500)]
    commits[0].urge()
    await unlain(journal)
    await journal.close()

    assert all(commit.seq for commit in commits)


async def test_what_lies_is_written_before_the_journal_closes(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    journal._lay = journal._writer.queue.lay  # type: ignore[method-assign]  # no bell after a moment

    commits = [journal.append(step(n)) for n in range(3)]
    await journal.close()

    assert all(commit.seq for commit in commits)
