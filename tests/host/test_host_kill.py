import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from polytraders_hookspecs import ExecutionReport, KillSwitchSignal, hookimpl, new_plugin_manager
from support.clocks import HandClock
from support.eventually import eventually

from polytraders_pfh.host import kill
from polytraders_pfh.host.errors import KillSwitchUnknown
from polytraders_pfh.host.kill import FileKillSwitch, reports_in


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[bool, str, str]] = []

    @hookimpl
    async def on_killswitch(self, signal: KillSwitchSignal) -> list[ExecutionReport]:
        self.heard.append((signal.active, signal.reason, signal.actor))
        return [ExecutionReport(report_id="r", bot_id="b", verdict="v", evaluated_at_ms=1)]


def stage(path: Path) -> SimpleNamespace:
    manager = new_plugin_manager()
    listener = Listener()
    manager.register(listener)
    clock = HandClock()
    return SimpleNamespace(
        switch=FileKillSwitch(path, manager.hook, clock), bot=listener, clock=clock, path=path
    )


async def test_no_file_means_off(tmp_path: Path) -> None:
    assert not (await stage(tmp_path / "kill").switch.status()).active


async def test_a_file_made_by_hand_means_on_with_its_text_as_reason(tmp_path: Path) -> None:
    (tmp_path / "kill").write_text("flood in the office\n")

    status = await stage(tmp_path / "kill").switch.status()

    assert (status.active, status.reason) == (True, "flood in the office")


async def test_an_empty_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "kill").touch()

    assert (await stage(tmp_path / "kill").switch.status()).active


async def test_what_was_on_stays_on_when_the_file_vanishes(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")
    s.path.touch()
    await s.switch.status()
    s.path.unlink()

    assert (await s.switch.status()).active


async def test_a_signal_tells_every_bot_and_survives_a_restart(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")

    results = await s.switch.signal(True, "drill", "ann")

    assert s.bot.heard == [(True, "drill", "ann")]
    assert [report.report_id for report in reports_in(results)] == ["r"]
    assert (await stage(tmp_path / "kill").switch.status()).reason == "drill"


async def test_only_a_reset_takes_it_off(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")
    await s.switch.signal(True, "drill", "ann")

    await s.switch.signal(False, "drill over", "ann")

    assert not (await s.switch.status()).active
    assert not s.path.exists()
    assert [heard[0] for heard in s.bot.heard] == [True, False]


async def test_bots_are_told_and_posting_stops_even_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    s = stage(tmp_path / "absent" / "kill")

    with pytest.raises(KillSwitchUnknown, match="was not written"):
        await s.switch.signal(True, "drill", "ann")

    assert s.bot.heard == [(True, "drill", "ann")]
    assert (await s.switch.status()).active


async def test_a_reset_that_cannot_remove_the_file_leaves_it_on(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")
    await s.switch.signal(True, "drill", "ann")
    s.path.unlink()
    (tmp_path / "kill").mkdir()

    with pytest.raises(KillSwitchUnknown, match="was not removed"):
        await s.switch.signal(False, "over", "ann")

    assert (await s.switch.status()).active
    assert [heard[0] for heard in s.bot.heard] == [True, True]


async def test_an_on_that_overtakes_an_off_wins(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")
    await s.switch.signal(True, "first", "ann")

    off = asyncio.create_task(s.switch.signal(False, "over", "ann"))
    await asyncio.sleep(0)
    await s.switch.signal(True, "again", "bob")
    await off

    assert (await s.switch.status()).active
    assert s.path.exists()


async def test_an_on_whose_file_failed_is_not_undone_by_an_earlier_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage(tmp_path / "kill")
    await s.switch.signal(True, "first", "ann")
    monkeypatch.setattr(kill, "write_kill_file", lambda _path, _reason: "No space left on device")

    off = asyncio.create_task(s.switch.signal(False, "over", "ann"))
    await asyncio.sleep(0)
    with pytest.raises(KillSwitchUnknown, match="No space left"):
        await s.switch.signal(True, "again", "bob")
    await off

    assert (await s.switch.status()).active
    assert s.bot.heard[-1][0] is True


@pytest.mark.parametrize("shape", ["directory", "no parent"])
async def test_a_state_that_cannot_be_read_is_unknown_and_raises(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "absent" / "kill" if shape == "no parent" else tmp_path / "kill"
    if shape == "directory":
        path.mkdir()

    with pytest.raises(KillSwitchUnknown):
        await stage(path).switch.status()


async def test_the_watch_tells_the_bots_once_when_a_hand_made_the_file(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")
    watch = asyncio.create_task(s.switch.watch())
    await asyncio.sleep(0)
    s.path.write_text("by hand")
    await s.switch.status()

    s.clock.advance(0.3)
    await eventually(lambda: s.bot.heard)
    for _ in range(3):
        await asyncio.sleep(0)
        s.clock.advance(0.3)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await s.switch.close()

    assert s.bot.heard == [(True, "by hand", "file kill")]


async def test_a_signal_is_heard_by_all_bots_although_its_sender_went_away(tmp_path: Path) -> None:
    s = stage(tmp_path / "kill")

    sender = asyncio.create_task(s.switch.signal(True, "drill", "ann"))
    await asyncio.sleep(0)
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    await s.switch.close()

    assert s.bot.heard == [(True, "drill", "ann")]
    assert (await s.switch.status()).active
