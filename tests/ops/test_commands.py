"""Commands by hand to one bot: the mode shown, lowered and raised; who gave them, on record."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import CommandResult, KillSwitchSignal
from support.fake_host import MARKET, NOW_MS, ROOT, FakeHost, Resting, book, partial
from support.live_bot import MakeHost

from polytraders_pfh.engine.journal import JournalFailed, Kind, Record
from polytraders_pfh.ops.health import FIGURES
from polytraders_pfh.ops.words import words_of

BOT = "exec.partialfillhandler"
WHO = {"actor": "ann", "peer": "uid 1000", "reason": "drill"}


async def command(host: FakeHost, name: str, **arguments: str) -> CommandResult:
    result = await host.bot.on_bot_command(BOT, name, WHO | arguments)
    assert isinstance(result, CommandResult)
    return result


async def recorded(host: FakeHost, kind: Kind) -> list[Record]:
    return [stored.record async for stored in host.bot._engine.tools.journal.read(kinds=(kind,))]


async def test_mode_is_shown_with_the_most_that_the_config_allows(make_host: MakeHost) -> None:
    host = await make_host(mode="quarantine")

    shown = await command(host, "mode")

    assert (shown.ok, shown.message) == (True, "mode quarantine; the config's is quarantine")
    assert shown.data == {"mode": "quarantine", "config_mode": "quarantine", "lowered_by": ""}
    assert await recorded(host, Kind.COMMAND) == []


@pytest.mark.parametrize("wanted", ["limited_live", "quarantine", "shadow_only"])
async def test_lowering_is_always_allowed_and_recorded_with_who_and_why(host: FakeHost, wanted: str) -> None:
    lowered = await command(host, "mode", to=wanted)

    assert lowered.ok
    assert lowered.data == {"mode": wanted, "config_mode": "general_live", "lowered_by": "ann: drill"}
    assert host.bot.check_health().mode == host.bot.describe_bot().mode == wanted
    (record,) = await recorded(host, Kind.COMMAND)
    assert record.facts == {
        "command": "mode",
        "actor": "ann",
        "peer": "uid 1000",
        "reason": "drill",
        "from": "general_live",
        "to": wanted,
        "lowered": True,
        "why": "ann: drill",
    }


async def test_a_lowered_mode_is_amber_and_says_who_lowered_it(host: FakeHost) -> None:
    await command(host, "mode", to="quarantine")

    health = host.bot.check_health()

    assert health.status == "amber"
    assert health.reasons == ("mode was lowered to quarantine by ann: drill; the config's is general_live",)


async def test_in_shadow_after_live_the_answer_says_what_is_left_open(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())

    lowered = await command(host, "mode", to="shadow_only")

    assert lowered.message == (
        "mode is shadow_only, it was general_live; 1 remainders are open, and nothing is sent for them any "
        "more, not even by the kill switch"
    )


async def test_a_lowered_mode_rules_what_is_decided_next(host: FakeHost) -> None:
    await command(host, "mode", to="quarantine")

    held_back = await host.bot.on_partial_fill(partial(policy="chase"))
    cancelled = await host.bot.on_partial_fill(partial(filled="447", remaining="3", at_ms=NOW_MS + 1))

    assert (held_back.verdict, held_back.executed, held_back.mode) == (
        "CHASE_ORDER_SUBMITTED",
        False,
        "quarantine",
    )
    assert (cancelled.verdict, cancelled.executed) == ("PARTIAL_FILL_DUST_AUTO_CANCEL", True)
    assert host.exchange.posted() == []


@pytest.mark.parametrize("wanted", ["quarantine", "limited_live"])
async def test_a_chase_under_way_is_not_posted_after_the_mode_was_lowered(
    host: FakeHost, wanted: str
) -> None:
    async def lower(exchange: Any, ids: Any) -> None:
        await command(host, "mode", to=wanted)

    host.exchange.on_cancel = lower

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.posted() == []
    assert host.exchange.live() == []
    assert report.verdict == "CANCELLED_REMAINDER"
    (held,) = await recorded(host, Kind.HELD_BACK)
    assert held.facts["why"] == f"the mode was lowered to {wanted} meanwhile"


async def test_a_chase_under_way_goes_on_where_the_lowered_mode_still_reaches(make_host: MakeHost) -> None:
    host = await make_host(limited_live={"markets": [MARKET], "max_chase_usd": 1_000})

    async def lower(exchange: Any, ids: Any) -> None:
        await command(host, "mode", to="limited_live")

    host.exchange.on_cancel = lower

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert len(host.exchange.posted()) == 1


async def test_an_order_whose_fate_was_unknown_is_not_sent_again_after_the_mode_was_lowered(
    host: FakeHost,
) -> None:
    async def lower_and_lose(exchange: Any, order: Any) -> Any:
        await command(host, "mode", to="quarantine")
        raise ConnectionError("lost on its way")

    host.exchange.on_post = lower_and_lose

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_UNCONFIRMED"
    assert len(host.exchange.posted()) == 1


async def test_raising_takes_an_explicit_word_and_a_reason(host: FakeHost) -> None:
    await command(host, "mode", to="quarantine")

    silent = await command(host, "mode", to="general_live")
    groundless = await command(host, "mode", to="general_live", promote="yes", reason="")
    raised = await command(host, "mode", to="general_live", promote="yes", reason="mended")

    assert silent.message == groundless.message
    assert silent.message == (
        "mode general_live lets more through than quarantine; say --promote and give a --reason"
    )
    assert (silent.ok, groundless.ok, raised.ok) == (False, False, True)
    assert raised.message == "mode is general_live, it was quarantine"
    assert host.bot.check_health().status == "green"
    records = await recorded(host, Kind.COMMAND)
    assert [(r.facts["to"], r.facts["lowered"], r.facts["reason"]) for r in records] == [
        ("quarantine", True, "drill"),
        ("general_live", False, "mended"),
    ]


async def test_no_word_raises_the_mode_above_the_config(make_host: MakeHost) -> None:
    host = await make_host(mode="limited_live")

    refused = await command(host, "mode", to="general_live", promote="yes")

    assert not refused.ok
    assert refused.message == (
        "mode general_live is above the config's limited_live; run polytraders-pfh gates, and once its gate "
        "has passed set mode in the config and restart"
    )
    assert host.bot.check_health().mode == "limited_live"


async def test_an_unknown_mode_is_refused_and_the_known_ones_are_named(host: FakeHost) -> None:
    refused = await command(host, "mode", to="turbo")

    assert (refused.ok, refused.message) == (
        False,
        "mode was 'turbo'; there are shadow_only, quarantine, limited_live, general_live",
    )


def failing(error: Exception) -> Callable[[Record], Any]:
    def append(record: Record) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(error)
        return future

    return append


async def test_lowering_goes_through_with_a_broken_journal_and_raising_does_not(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = host.bot._engine.tools.journal
    monkeypatch.setattr(journal, "append", failing(JournalFailed("the disk is full")))

    lowered = await command(host, "mode", to="quarantine")
    raised = await command(host, "mode", to="general_live", promote="yes")

    assert lowered.message == (
        "mode is quarantine, it was general_live; it is not on record (the disk is full), so lower it in the "
        "config before the next start"
    )
    assert (lowered.ok, raised.ok) == (True, False)
    assert raised.message == (
        "mode stays quarantine: that it is raised could not be recorded (the disk is full)"
    )
    assert host.bot.check_health().mode == "quarantine"


async def test_raising_never_undoes_a_lowering_that_came_after_it_was_asked_for(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await command(host, "mode", to="limited_live")
    journal, slow = host.bot._engine.tools.journal, asyncio.Event()
    really = journal.append

    async def later(record: Record) -> None:
        await slow.wait()
        await really(record)

    monkeypatch.setattr(journal, "append", later)
    raising = asyncio.ensure_future(command(host, "mode", to="general_live", promote="yes"))
    await asyncio.sleep(0)
    monkeypatch.setattr(journal, "append", really)
    await command(host, "mode", to="shadow_only", reason="stop")
    slow.set()
    raised = await raising

    assert (raised.ok, raised.message) == (False, "mode was set to shadow_only meanwhile, and stays there")
    assert host.bot.check_health().mode == "shadow_only"
    last = (await recorded(host, Kind.COMMAND))[-1]
    assert (last.facts["to"], last.facts["lowered"], last.facts["why"]) == ("shadow_only", True, "ann: stop")


async def start(tmp_path: Path, mode: str = "general_live", now_ms: int = NOW_MS) -> FakeHost:
    """Start a bot whose journal survives it."""
    host = FakeHost(config={"mode": mode}, state_dir=tmp_path)
    host.clock.ms = now_ms
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.start()
    return host


async def test_a_lowered_mode_survives_every_restart_until_it_is_raised(tmp_path: Path) -> None:
    host = await start(tmp_path)
    await command(host, "mode", to="quarantine")
    await host.stop()
    again = await start(tmp_path)
    first = again.bot.check_health()
    await again.stop()
    third = await start(tmp_path)
    second = third.bot.check_health()
    await command(third, "mode", to="general_live", promote="yes")
    await third.stop()
    fourth = await start(tmp_path)
    raised = fourth.bot.check_health()
    await fourth.stop()

    assert (first.mode, second.mode, raised.mode) == ("quarantine", "quarantine", "general_live")
    assert first.reasons == second.reasons
    assert first.reasons == ("mode was lowered to quarantine by ann: drill; the config's is general_live",)


async def test_a_config_below_the_lowered_mode_is_not_raised_by_it(tmp_path: Path) -> None:
    host = await start(tmp_path)
    await command(host, "mode", to="limited_live")
    await host.stop()

    again = await start(tmp_path, mode="shadow_only")
    health = again.bot.check_health()
    await again.stop()

    assert (health.mode, health.reasons) == ("shadow_only", ())


async def test_a_config_that_is_raised_later_is_not_held_down_by_an_old_promotion(tmp_path: Path) -> None:
    host = await start(tmp_path, mode="limited_live")
    await command(host, "mode", to="quarantine")
    await command(host, "mode", to="limited_live", promote="yes")
    await host.stop()

    again = await start(tmp_path, mode="general_live")
    health = again.bot.check_health()
    await again.stop()

    assert (health.mode, health.status) == ("general_live", "green")


async def test_a_recorded_mode_that_this_version_does_not_know_sends_nothing(tmp_path: Path) -> None:
    host = await start(tmp_path)
    facts = {"command": "mode", "to": "half_live", "lowered": True, "why": "ann: from a newer version"}
    await host.bot._engine.tools.journal.append(Record(Kind.COMMAND, NOW_MS, "", "", "", facts))
    await host.stop()

    again = await start(tmp_path)
    mode = again.bot.check_health().mode
    await again.stop()

    assert mode == "shadow_only"


async def test_a_cancel_by_hand_is_on_record_with_who_and_why_before_it_goes_out(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())

    done = await command(host, "cancel-remainder", order=ROOT.upper().replace("0X", "0x"))

    assert (done.ok, done.message) == (True, f"order {ROOT}: CANCELLED_REMAINDER")
    (record,) = await recorded(host, Kind.COMMAND)
    assert (record.order_id, record.root_order_id) == (ROOT, ROOT)
    assert record.facts == {"command": "cancel-remainder"} | WHO
    assert host.exchange.live() == []


async def test_a_cancel_by_hand_goes_out_although_the_disk_never_answers(
    make_host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await make_host(execution={"call_timeout_ms": 20})
    await host.bot.on_partial_fill(partial())
    journal = host.bot._engine.tools.journal
    really = journal.append

    def append(record: Record) -> Any:
        return asyncio.get_running_loop().create_future() if record.kind is Kind.COMMAND else really(record)

    monkeypatch.setattr(journal, "append", append)

    done = await command(host, "cancel-remainder", order=ROOT)

    assert done.ok
    assert host.exchange.live() == []


async def test_a_cancel_by_hand_of_what_has_closed_sends_nothing(host: FakeHost) -> None:
    await host.bot.on_partial_fill(partial())
    await command(host, "cancel-remainder", order=ROOT)

    again = await command(host, "cancel-remainder", order=ROOT)

    assert (again.ok, again.message) == (True, f"order {ROOT} had already closed; nothing was sent")
    assert len(host.exchange.cancels()) == 1


async def test_status_says_colour_mode_and_reasons(host: FakeHost) -> None:
    well = await command(host, "status")
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    latched = await command(host, "status")

    assert (well.ok, well.message) == (True, "green, mode general_live")
    assert latched.message == (
        "amber, mode general_live; the kill switch is latched; reset it by hand once the cause is mended"
    )
    assert list(latched.data) == list(FIGURES)


async def test_a_story_says_who_ordered_what_by_hand_and_how_that_is_known(host: FakeHost) -> None:
    await command(host, "mode", to="quarantine")
    signal = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill", actor="ann, uid 1000")
    await host.bot.on_killswitch(signal)

    (lowered,) = await recorded(host, Kind.COMMAND)
    (killed,) = await recorded(host, Kind.KILL_SWITCH)

    assert words_of(lowered) == "ann (uid 1000) commanded mode quarantine: drill"
    assert words_of(killed) == "the kill switch went on by ann, uid 1000: drill"


async def test_the_kill_switch_is_on_record_with_who_and_why(host: FakeHost) -> None:
    signal = KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill", actor="ann, uid 1000")
    await host.bot.on_killswitch(signal)
    await command(host, "reset-kill", reason="over")

    switched = [record.facts for record in await recorded(host, Kind.KILL_SWITCH)]
    (reset,) = await recorded(host, Kind.COMMAND)

    assert switched == [
        {"active": True, "reason": "drill", "actor": "ann, uid 1000"},
        {"active": False, "reason": ""},
    ]
    assert reset.facts == {"command": "reset-kill"} | WHO | {"reason": "over"}
