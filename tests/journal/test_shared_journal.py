"""The log that other hosts read: one order, one owner, and nothing lost to whoever takes over."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.journals import AT_MS, DAY_MS, a_day, opened, post, report, step, tags
from support.shared_log import LogTruth, StubSharedLog

from polytraders_pfh.engine.journal import (
    DuplicateRecord,
    JournalFailed,
    Kind,
    LogLost,
    Record,
    SharedJournal,
)
from polytraders_pfh.engine.journal.chain import START
from polytraders_pfh.engine.journal.entry import pack, unpack


async def shared(log: StubSharedLog, **more: Any) -> SharedJournal:
    journal = SharedJournal(log, **more)
    await journal.open()
    return journal


async def test_it_tells_the_same_story_as_the_durable_one(tmp_path: Path) -> None:
    journal = await shared(LogTruth().take_over())

    assert await a_day(journal) == await a_day(await opened(tmp_path))


async def test_the_next_owner_reads_every_acknowledged_record_and_goes_on_behind_it() -> None:
    truth = LogTruth()
    first = await shared(truth.take_over())
    for n in range(5):
        await first.append(step(n))
    await first.append(post("0xnew", "0xold"))

    second = await shared(truth.take_over())

    assert tags([one async for one in second.read(kinds={Kind.DECIDED})]) == [0, 1, 2, 3, 4]
    assert second.head() == first.head()
    assert await second.append(step(9)) == 7
    with pytest.raises(DuplicateRecord):
        await second.append(post("0xelse", "0xold"))


async def test_reports_that_the_first_owner_had_not_delivered_are_the_next_one_s() -> None:
    truth = LogTruth()
    first = await shared(truth.take_over())
    for n in range(4):
        await first.append(report(n))
    first.mark_delivered(1)
    first.mark_delivered(3)
    await first.append(step(1))

    second = await shared(truth.take_over())

    assert [one.record.message_id for one in await second.undelivered(0, 10)] == ["rep_1", "rep_3"]
    assert second.pending == 2


async def test_after_a_takeover_the_first_owner_records_nothing_more_and_says_so() -> None:
    truth = LogTruth()
    first = await shared(truth.take_over())
    await first.append(step(0))
    truth.take_over()

    with pytest.raises(LogLost, match="another host may own these orders"):
        await first.append(step(1))
    with pytest.raises(LogLost):
        await first.append(step(2))

    assert "another host has written" in first.failed
    assert len(truth.entries) == 1
    await first.close()


async def test_what_waits_behind_a_refused_entry_is_refused_with_it() -> None:
    truth = LogTruth()
    log = truth.take_over()
    first = await shared(log)
    log.gate.clear()
    going = first.append(step(0))
    going.urge()
    while not log.appended:
        await asyncio.sleep(0)
    waiting = first.append(step(1))
    truth.take_over()
    log.gate.set()

    results = await asyncio.gather(_fate(going), _fate(waiting))

    assert results == ["LogLost", "LogLost"]


async def _fate(commit: Any) -> str:
    try:
        return str(await commit)
    except JournalFailed as e:
        return type(e).__name__


async def test_records_that_come_while_an_entry_is_on_its_way_share_the_next_one() -> None:
    truth = LogTruth()
    log = truth.take_over()
    journal = await shared(log)
    log.gate.clear()
    journal.append(step(0)).urge()
    while not log.appended:
        await asyncio.sleep(0)
    commits = [journal.append(step(n)) for n in range(1, 500)]
    log.gate.set()
    await commits[-1]
    await journal.close()

    assert [len(unpack(data).records) for data, _ in truth.entries] == [1, 200, 200, 99]


async def test_records_that_nobody_waits_for_are_written_all_the_same() -> None:
    truth = LogTruth()
    journal = await shared(truth.take_over())
    commit = journal.append(step(0))
    told = asyncio.Event()
    commit.then(lambda _: told.set())
    await told.wait()
    await journal.close()

    assert commit.seq == 1


async def test_too_many_records_before_a_slow_log_are_refused_but_never_a_cancel() -> None:
    log = LogTruth().take_over()
    journal = await shared(log, max_queued=2)
    log.gate.clear()
    journal.append(step(0))
    journal.append(step(1))

    with pytest.raises(JournalFailed, match="2 records wait for the shared log"):
        await journal.append(step(2))
    kept = journal.append(step(3, Kind.CANCEL_STARTED))
    assert journal.queued == 3
    log.gate.set()

    assert await kept == 3
    await journal.close()


async def test_entries_older_than_a_day_are_read_only_while_something_in_them_is_open() -> None:
    truth = LogTruth()
    journal = await shared(truth.take_over())
    opening = Record(Kind.INTENT_OPENED, AT_MS, "trc", "0xroot", "0xroot", {})
    kill = Record(Kind.KILL_SWITCH, AT_MS, "", "", "", {"active": True, "reason": "drill"})
    for record in (step(0), opening, report(1), kill, step(4)):
        await journal.append(record)
    await journal.append(step(0, at_ms=AT_MS + 2 * DAY_MS))
    await journal.append(step(1, at_ms=AT_MS + 2 * DAY_MS))

    async def kinds() -> list[str]:
        return [one.record.kind.value async for one in (await shared(truth.take_over())).read()]

    assert (await kinds())[0] == "intent_opened"
    journal = await shared(truth.take_over())
    await journal.append(Record(Kind.INTENT_ENDED, AT_MS + 2 * DAY_MS, "trc", "0xroot", "0xroot", {}))
    await journal.append(step(2, at_ms=AT_MS + 2 * DAY_MS))
    assert (await kinds())[0] == "reported"
    journal = await shared(truth.take_over())
    journal.mark_delivered(3)
    await journal.append(step(3, at_ms=AT_MS + 2 * DAY_MS))
    await journal.append(step(4, at_ms=AT_MS + 2 * DAY_MS))
    assert (await kinds())[0] == "kill_switch"
    journal = await shared(truth.take_over())
    off = Record(Kind.KILL_SWITCH, AT_MS + 2 * DAY_MS, "", "", "", {"active": False, "reason": ""})
    await journal.append(off)
    await journal.append(step(5, at_ms=AT_MS + 2 * DAY_MS))

    assert (await kinds())[0] == "decided"
    assert len(await kinds()) == 8


async def test_a_log_with_a_hole_is_not_written_to() -> None:
    truth = LogTruth()
    journal = await shared(truth.take_over())
    for n in range(3):
        await journal.append(step(n))
    del truth.entries[1]
    truth.entries[-1] = (truth.entries[-1][0], 1)

    second = await shared(truth.take_over())

    assert "does not follow the one before" in second.failed
    with pytest.raises(JournalFailed, match="does not follow"):
        _ = [one async for one in second.read()]
    with pytest.raises(LogLost):
        await second.append(step(3))


async def test_a_log_that_cannot_be_read_posts_nothing_and_says_why() -> None:
    log = LogTruth().take_over()
    log.broken = ConnectionError("the bus is down")

    journal = await shared(log)
    await journal.open()

    assert journal.failed == "the shared log could not be read (the bus is down); nothing is posted"
    with pytest.raises(JournalFailed, match="the bus is down"):
        await journal.seen_events(0)
    await journal.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data.replace(b'"v":1', b'"v":2', 1),
        lambda data: b"no line",
        lambda data: data.replace(b'"first"', b'"frist"'),
    ],
)
def test_an_entry_that_is_none_is_refused(damage: Any) -> None:
    data, _ = pack(START, [report(0)], [])

    with pytest.raises(JournalFailed, match="no entry this version knows"):
        unpack(damage(data))


async def test_opening_again_and_closing_twice_change_nothing() -> None:
    journal = await shared(LogTruth().take_over())
    await journal.open()
    await journal.append(step(0))
    await journal.close()
    await journal.close()

    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(step(1))


async def test_an_old_key_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.engine.journal.shared._MAX_KEYS", 2)
    journal = await shared(LogTruth().take_over())
    for n in range(3):
        await journal.append(report(n))

    assert await journal.append(report(0)) == 4
    with pytest.raises(DuplicateRecord):
        await journal.append(report(2))
    await journal.close()
