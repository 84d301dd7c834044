"""The latch while it is being reset: it holds until the host's word is there, whoever stops waiting."""

import asyncio
from typing import Any

import pytest
from polytraders_hookspecs import KillSwitchSignal, KillSwitchStatus
from support.fake_host import NOW_MS, FakeHost

BOT = "exec.partialfillhandler"


class SlowSwitch:
    """A kill-switch service that answers when told."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[KillSwitchStatus] = asyncio.get_running_loop().create_future()

    async def status(self) -> KillSwitchStatus:
        self.asked.set()
        return await self.answer


async def slow_reset(host: FakeHost) -> tuple[SlowSwitch, asyncio.Future[Any]]:
    host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS)).cancel()
    switch = SlowSwitch()
    host.bot._engine.tools.kill._service = switch
    resetting = asyncio.ensure_future(host.bot.on_bot_command(BOT, "reset-kill", {"actor": "ops"}))
    await switch.asked.wait()
    return switch, resetting


async def test_kill_switch_stays_latched_while_the_host_is_asked_for_a_reset(host: FakeHost) -> None:
    switch, resetting = await slow_reset(host)

    latched = host.bot._engine.tools.kill.latched
    switch.answer.set_result(KillSwitchStatus(active=False))

    assert latched
    assert (await resetting).ok
    assert not host.bot._engine.tools.kill.latched


async def test_reset_whose_caller_gives_up_leaves_the_kill_switch_latched(host: FakeHost) -> None:
    _, resetting = await slow_reset(host)

    resetting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resetting

    assert host.bot._engine.tools.kill.latched


async def test_signal_that_comes_during_a_reset_is_not_reset_with_it(host: FakeHost) -> None:
    switch, resetting = await slow_reset(host)

    host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS + 1)).cancel()
    switch.answer.set_result(KillSwitchStatus(active=False))

    assert not (await resetting).ok
    assert host.bot._engine.tools.kill.latched
