"""The kill sweep: nothing that goes wrong with one remainder, or with its caller, spares another."""

import asyncio

import pytest
from polytraders_hookspecs import KillSwitchSignal
from support.fake_host import NOW_MS, FakeExchange, FakeHost, Resting, no_reply, partial

from polytraders_pfh.engine.killing import Killer

IDS = [f"0x{n:064x}" for n in range(1, 6)]
KILL = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill")


async def five_at_rest(host: FakeHost) -> None:
    host.exchange.orders.clear()
    for i, order_id in enumerate(IDS):
        host.exchange.orders[order_id] = Resting(725_806_451, 620_000, 322_580_645)
        await host.bot.on_partial_fill(partial(order_id=order_id, at_ms=NOW_MS + i))


async def until_nothing_lives(host: FakeHost) -> None:
    async with asyncio.timeout(5):
        while host.exchange.live():
            await asyncio.sleep(0)


async def test_remainder_whose_lock_is_being_handed_on_delays_no_other_and_is_cancelled(
    host: FakeHost,
) -> None:
    await five_at_rest(host)
    intent = host.bot._engine.tools.intents.get(IDS[0])
    await intent.lock.acquire()
    reached, gate = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with intent.lock:
            reached.set()
            await gate.wait()

    holding = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    sweeping = asyncio.ensure_future(host.bot.on_killswitch(KILL))
    intent.lock.release()
    async with asyncio.timeout(5):
        while len(host.exchange.live()) > 1:
            await asyncio.sleep(0)
    gate.set()
    reports = await sweeping
    await holding

    assert len(reports) == 5
    assert host.exchange.live() == []


async def test_sweep_whose_caller_gives_up_goes_on_and_leaves_no_lock(host: FakeHost) -> None:
    await five_at_rest(host)
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        reached.set()
        await gate.wait()

    host.exchange.on_cancel = slow
    sweeping = asyncio.ensure_future(host.bot.on_killswitch(KILL))
    await reached.wait()
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    gate.set()

    await until_nothing_lives(host)
    await host.reports.until(10)
    assert not any(intent.lock.locked() for intent in host.bot._engine.tools.intents)


async def test_report_that_cannot_be_made_spares_no_other_remainder(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await five_at_rest(host)
    whole = Killer._report

    async def broken(self: Killer, intent: object, *rest: object) -> object:
        if intent.root_order_id == IDS[0]:  # type: ignore[attr-defined]
            raise RuntimeError("no report")
        return await whole(self, intent, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Killer, "_report", broken)
    lost = [no_reply()]
    host.exchange.on_cancel = lambda exchange, ids: lost.pop() if lost else None

    reports = await host.bot.on_killswitch(KILL)

    assert len(reports) == 4
    assert host.exchange.live() == []


async def test_remainder_whose_cancel_is_in_doubt_is_cancelled_at_once_and_reported(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: no_reply()
    host.exchange.on_get = lambda exchange, order_id: no_reply()
    unconfirmed = await host.bot.on_partial_fill(partial(policy="cancel"))
    host.exchange.on_cancel = host.exchange.on_get = None

    reports = await host.bot.on_killswitch(KILL)

    assert unconfirmed.verdict == "CANCEL_UNCONFIRMED"
    assert [report.verdict for report in reports] == ["KILL_SWITCH_ACTIVE"]
    assert host.exchange.live() == []
