"""A journal that hangs: cancels go out, posts do not, and nothing waits for ever."""

import asyncio
from typing import Any

import pytest
from polytraders_hookspecs import KillSwitchSignal
from support.fake_host import NOW_MS, ROOT, FakeHost, book, partial

from polytraders_pfh.engine.journal import Commit, Kind, MemoryJournal, Record


class HangingDisk(MemoryJournal):
    """Takes every record; from `hangs` on it never says that one is durable."""

    hangs: frozenset[Kind] = frozenset()

    def append(self, record: Record) -> Commit:
        commit = super().append(record)
        return Commit() if record.kind in self.hangs else commit


@pytest.fixture
async def host(make_host: Any, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr("polytraders_pfh.engine.assembly.MemoryJournal", HangingDisk)
    host: FakeHost = await make_host(execution={"call_timeout_ms": 20})
    return host


async def test_kill_switch_does_not_wait_for_a_disk_that_hangs(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    host.bot._engine.tools.journal.hangs = frozenset({Kind.CANCEL_STARTED})

    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS))

    assert host.exchange.live() == []


async def test_cancel_goes_out_although_its_record_hangs(host: FakeHost) -> None:
    host.bot._engine.tools.journal.hangs = frozenset({Kind.CANCEL_STARTED, Kind.CANCEL_ANSWERED})

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert host.exchange.live() == []


async def test_chase_whose_record_hangs_is_not_posted(host: FakeHost) -> None:
    host.bot._engine.tools.journal.hangs = frozenset({Kind.POST_RECORDED})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CANCELLED_REMAINDER"
    assert report.detail == "the journal failed with TimeoutError"
    assert host.exchange.posted() == []


async def test_cancel_goes_out_although_what_was_decided_hangs(host: FakeHost) -> None:
    host.bot.on_book_update(book())
    host.bot._engine.tools.journal.hangs = frozenset({Kind.DECIDED})

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert Kind.DECIDED in [record.kind for record in host.bot._engine.tools.journal.records]


async def test_cancel_waits_until_what_was_decided_on_the_live_book_is_durable(
    make_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polytraders_pfh.engine.assembly.MemoryJournal", HangingDisk)
    host: FakeHost = await make_host()
    host.bot.on_book_update(book())
    journal = host.bot._engine.tools.journal
    slow: list[Commit] = []

    def hold(record: Record, append: Any = journal.append) -> Commit:
        commit: Commit = append(record)
        if record.kind is Kind.DECIDED:
            slow.append(commit)
        return commit

    journal.hangs = frozenset({Kind.DECIDED})
    monkeypatch.setattr(journal, "append", hold)
    chase = asyncio.create_task(host.bot.on_partial_fill(partial(policy="chase")))
    while not any(record.kind is Kind.CANCEL_STARTED for record in journal.records):
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    sent_before = host.exchange.cancels()
    slow[0].settle(1)
    report = await chase

    assert sent_before == []
    assert host.exchange.cancels() == [(ROOT,)]
    assert report.verdict == "CHASE_ORDER_SUBMITTED"


async def test_what_was_decided_and_not_confirmed_stands_for_no_later_cancel(host: FakeHost) -> None:
    host.bot.on_book_update(book())
    host.exchange.book = book(trading="closed")

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    kinds = [record.kind for record in host.bot._engine.tools.journal.records]
    intent = host.bot._engine.tools.intents.get(ROOT)
    assert report.verdict == "HOLD_REMAINDER"
    assert Kind.DECIDED in kinds
    assert Kind.CANCEL_STARTED not in kinds
    assert intent.meant is None
