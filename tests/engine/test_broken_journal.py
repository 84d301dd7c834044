"""A journal that hangs: cancels go out, posts do not, and nothing waits for ever."""

from typing import Any

import pytest
from polytraders_hookspecs import KillSwitchSignal
from support.fake_host import NOW_MS, FakeHost, partial

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
