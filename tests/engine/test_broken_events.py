"""Events that come crowded, late, early or after their order's end: each gets its one final report."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from polytraders_hookspecs import ExchangeReply, KillSwitchSignal, SignedEvent, sign_event
from polytraders_hookspecs.wire import print_json
from support.fake_host import (
    KEY,
    KEY_ID,
    NOW_MS,
    ROOT,
    TRACE,
    FakeExchange,
    FakeHost,
    Resting,
    no_reply,
    partial,
)

from polytraders_pfh.config import load_settings
from polytraders_pfh.engine.within import within
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.ops import on_record

OTHER = "0x" + "d4" * 32
KILL = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill")
NOT_RESET = "the kill switch stays latched: that it is reset could not be recorded"


def envelope(body: dict[str, Any]) -> SignedEvent:
    text = print_json(body).encode()
    return sign_event(key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=text)


def declared(**changes: Any) -> SignedEvent:
    body = {
        "trace_id": TRACE,
        "side": "BUY",
        "intended_size_usd": Decimal(300),
        "limit_price": Decimal("0.65"),
    }
    return envelope(body | changes)


class Busy:
    """A host for one partial at a time, with that one under way until `gate` opens."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()
        host.exchange.orders[OTHER] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
        host.exchange.on_cancel = self._slow

    async def _slow(self, exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        if ids == (ROOT,):
            self.reached.set()
            await self.gate.wait()

    async def begin(self) -> asyncio.Future[Any]:
        first = asyncio.ensure_future(self.host.bot.on_partial_fill(partial(policy="cancel")))
        await self.reached.wait()
        return first


@pytest.fixture
async def busy(make_host: Any) -> Busy:
    return Busy(await make_host(execution={"max_in_flight": 1, "resume_in_flight": 1}))


async def test_shed_event_of_an_order_that_ended_meanwhile_still_gets_its_final_report(busy: Busy) -> None:
    first = await busy.begin()
    shed = await busy.host.bot.on_partial_fill(partial(order_id=OTHER, policy="cancel"))
    await busy.host.bot.on_order_closed(envelope({"order_id": OTHER, "status": "FILLED"}))
    busy.gate.set()
    await first

    published = await busy.host.reports.until(3)

    (final,) = [r for r in published if r["order_id"] == OTHER and r["final"]]
    assert (final["verdict"], final["supersedes"]) == ("REMAINDER_CLOSED", shed.report_id)


async def test_shed_event_that_is_not_handled_at_its_second_look_names_the_report_that_it_was_shed_with(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    first = await busy.begin()
    shed = await busy.host.bot.on_partial_fill(partial(order_id=OTHER, policy="cancel"))
    monkeypatch.setattr(busy.host.bot._engine.coordinator._decider, "decide", broken)
    busy.gate.set()
    await first

    published = await busy.host.reports.until(3)

    (final,) = [r for r in published if r["order_id"] == OTHER and r["final"]]
    assert (final["verdict"], final["supersedes"]) == ("HOLD_REMAINDER", shed.report_id)


async def test_shed_event_whose_sequence_takes_long_is_told_thrice_and_each_report_is_kept(
    busy: Busy,
) -> None:
    first = await busy.begin()
    shed = await busy.host.bot.on_partial_fill(partial(order_id=OTHER, policy="cancel"))
    again = asyncio.Event()
    gates = {ROOT: busy.gate, OTHER: again}

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gates[ids[0]].wait()

    busy.host.exchange.on_cancel = slow
    busy.gate.set()
    await first
    published = await busy.host.reports.until(3)
    again.set()
    published = await busy.host.reports.until(4)

    told = [r for r in published if r["order_id"] == OTHER]
    assert [r["verdict"] for r in told] == [
        "PARTIAL_FILL_SHED",
        "PARTIAL_FILL_PENDING",
        "CANCELLED_REMAINDER",
    ]
    assert [r.get("supersedes") for r in told] == [None, shed.report_id, told[1]["report_id"]]


async def test_cancel_that_the_kill_switch_wants_is_never_shed(busy: Busy) -> None:
    first = await busy.begin()
    sweeping = asyncio.ensure_future(busy.host.bot.on_killswitch(KILL))
    await asyncio.sleep(0)

    report = await busy.host.bot.on_partial_fill(partial(order_id=OTHER))

    assert report.verdict == "KILL_SWITCH_ACTIVE"
    assert OTHER not in busy.host.exchange.live()
    busy.gate.set()
    await asyncio.gather(first, sweeping)


def test_threshold_at_which_shed_events_would_wait_for_ever_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"execution\.resume_in_flight was 0"):
        load_settings({"execution": {"resume_in_flight": 0}})


async def test_event_that_is_too_late_under_the_kill_switch_is_cancelled_all_the_same(host: FakeHost) -> None:
    await host.bot.on_killswitch(KILL)

    async def never(exchange: FakeExchange, order_id: str) -> ExchangeReply:
        await asyncio.Event().wait()
        return no_reply()

    host.exchange.on_get = never
    report = await host.bot.on_partial_fill(partial(at_ms=NOW_MS - 60_000))
    host.exchange.on_get = None
    host.clock.wake()
    async with asyncio.timeout(5):
        while host.exchange.live():
            await asyncio.sleep(0)

    assert "DEADLINE_EXCEEDED" in report.warnings


async def test_event_from_the_future_does_not_silence_those_that_follow(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial(at_ms=NOW_MS + 3_600_000))
    host.clock.ms += 2_000

    report = await host.bot.on_partial_fill(
        partial(policy="cancel", at_ms=host.clock.ms, filled="447", remaining="3")
    )

    assert report.verdict == "PARTIAL_FILL_DUST_AUTO_CANCEL"


async def test_declaration_that_comes_after_the_first_fill_bounds_the_chase_all_the_same(
    host: FakeHost,
) -> None:
    await host.bot.on_partial_fill(partial(policy=None))
    host.bot.on_decision_report(declared(strategy={"id": "s1", "partial_fill_policy": "chase"}))

    report = await host.bot.on_partial_fill(partial(policy=None, at_ms=NOW_MS + 1))

    (posted,) = host.exchange.posted()
    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert posted.maker_amount_micro <= 100_000_000


async def test_second_declaration_draws_the_limit_tighter_and_never_wider(host: FakeHost) -> None:
    host.bot.on_decision_report(declared(limit_price=Decimal("0.62")))
    await host.bot.on_partial_fill(partial())
    host.bot.on_decision_report(declared(limit_price=Decimal("0.70")))
    await host.bot.on_partial_fill(partial(at_ms=NOW_MS + 1))

    assert host.bot._engine.tools.intents.get(ROOT).limit_price_micro == 620_000


async def test_remainder_that_is_being_cancelled_is_not_chased(host: FakeHost) -> None:
    host.exchange.on_cancel = lambda exchange, ids: ExchangeReply(status=400, body=b"{}")
    await host.bot.on_partial_fill(partial(policy="chase", at_ms=NOW_MS - 1))
    await host.bot.on_bot_command("exec.partialfillhandler", "cancel-remainder", {"order": ROOT})
    host.exchange.on_cancel = None

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert report.detail == "it is being cancelled"
    assert host.exchange.posted() == []


async def test_remainder_is_not_cancelled_for_a_chase_that_a_failed_journal_would_not_let_be_posted(
    host: FakeHost,
) -> None:
    await host.bot._engine.tools.journal.close()

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("NOT_REPOSTABLE",))
    assert host.exchange.live() == [ROOT]


async def test_command_to_cancel_goes_out_although_the_journal_failed(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    await host.bot._engine.tools.journal.close()

    result = await host.bot.on_bot_command("exec.partialfillhandler", "cancel-remainder", {"order": ROOT})

    assert result.ok
    assert host.exchange.live() == []


async def test_reset_that_cannot_be_recorded_is_not_done(host: FakeHost) -> None:
    host.bot.on_killswitch(KILL).cancel()
    await host.bot._engine.tools.journal.close()

    result = await host.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {"actor": "ops"})

    assert (result.ok, result.message.partition(" (")[0]) == (False, NOT_RESET)
    assert host.bot._engine.tools.kill.latched


async def test_reset_that_the_disk_does_not_answer_is_not_done(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.bot.on_killswitch(KILL).cancel()
    monkeypatch.setattr(host.bot._engine.tools.journal, "append", lambda _: asyncio.Event().wait())
    monkeypatch.setattr(on_record, "within", _no_patience)

    result = await host.bot.on_bot_command("exec.partialfillhandler", "reset-kill", {"actor": "ops"})

    assert (result.ok, result.message) == (False, f"{NOT_RESET} (TimeoutError)")
    assert host.bot._engine.tools.kill.latched


async def _no_patience(seconds: float, work: Any) -> None:
    await within(0, work)
