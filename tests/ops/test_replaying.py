"""Recorded decisions made again: all of them, byte for byte; an altered rule and missing inputs show."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import KillSwitchSignal
from support.fake_host import NOW_MS, ROOT, FakeHost, Resting, book, partial
from support.live_bot import MakeHost

from polytraders_pfh.core import basis as core_basis
from polytraders_pfh.core.policy import Decision, decide
from polytraders_pfh.engine.journal import JournalFailed, Kind, Record, SqliteJournal
from polytraders_pfh.ops.explain import story
from polytraders_pfh.ops.replaying import replay_decisions

LIVE = {"mode": "general_live", "journal": {"durable": True}}


async def busy(make_host: MakeHost, **config: Any) -> FakeHost:
    """A bot that held, chased, cancelled as thin, and was stopped by the kill switch."""
    host: FakeHost = await make_host(**(LIVE | config))
    host.bot.on_book_update(book())
    orders = [f"0x{n:064x}" for n in range(1, 6)]
    for order_id in orders:
        host.exchange.orders[order_id] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    await host.bot.on_partial_fill(partial(order_id=orders[0], trace_id="trc_0"))
    await host.bot.on_partial_fill(partial(order_id=orders[1], trace_id="trc_1", policy="chase"))
    await host.bot.on_partial_fill(partial(order_id=orders[2], trace_id="trc_2", policy="cancel"))
    await host.bot.on_partial_fill(partial(order_id=orders[3], trace_id="trc_3", remaining="3"))
    host.exchange.book = book(asks=(("0.63", "1"),))
    host.bot.on_book_update(book(asks=(("0.63", "1"),)))
    await host.bot.on_partial_fill(partial(order_id=orders[4], trace_id="trc_4", policy="chase"))
    await host.bot.on_killswitch(KillSwitchSignal(active=True, ts_ms=NOW_MS, reason="drill"))
    await host.stop()
    return host


async def test_every_decision_comes_out_byte_for_byte(make_host: MakeHost, tmp_path: Path) -> None:
    await busy(make_host)

    replay = replay_decisions(tmp_path)

    # Five events, and two of them confirmed what the kept book had said before.
    assert (replay.decisions, replay.reproduced, replay.lacking, replay.first) == (7, 7, [], "")


async def test_shadow_decisions_are_on_record_too(make_host: MakeHost, tmp_path: Path) -> None:
    await busy(make_host, mode="shadow_only")

    replay = replay_decisions(tmp_path)

    assert (replay.decisions, replay.ok) == (5, True)


async def test_decision_about_a_shed_event_is_on_record(make_host: MakeHost, tmp_path: Path) -> None:
    host: FakeHost = await make_host(**LIVE, execution={"max_in_flight": 1})
    other = "0x" + "d4" * 32
    host.exchange.orders[other] = Resting(size=725_806_451, price=620_000, matched=322_580_645)
    first = host.bot.on_partial_fill(partial(policy="chase"))
    second = host.bot.on_partial_fill(partial(order_id=other, trace_id="trc_2", policy="chase"))
    _, shed = await asyncio.gather(first, second)
    await host.reports.until(3)
    await host.stop()

    replay = replay_decisions(tmp_path)

    assert shed.verdict == "PARTIAL_FILL_SHED"
    assert (replay.decisions, replay.ok) == (3, True)  # the second one confirmed what the kept book said


async def test_altered_rule_is_reported_with_the_first_difference(
    make_host: MakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy(make_host)

    def generous(*inputs: Any) -> Decision:
        """Rule 4 with another bound: what was dust is held."""
        rest, view, limits, kill, now_ms = inputs
        return decide(rest, view, limits._replace(min_remainder_usd_micro=2_000_000), kill, now_ms)

    monkeypatch.setattr(core_basis, "decide", generous)
    replay = replay_decisions(tmp_path)

    assert (replay.decisions, replay.reproduced, replay.ok) == (7, 6, False)
    assert "it was CANCEL by rule 4 (PARTIAL_FILL_DUST_AUTO_CANCEL); these rules give HOLD by rule 7" in (
        replay.first
    )
    assert f"order 0x{4:064x}: " in replay.first


async def test_decisions_of_a_version_that_kept_no_inputs_are_refused(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    await journal.open()
    facts = {
        "report_id": "rep_1",
        "verdict": "HOLD_REMAINDER",
        "final": True,
        "event_ts_ms": 5,
        "first": True,
    }
    held = b'{"policy_applied":"hold","verdict":"HOLD_REMAINDER"}'
    shed = b'{"verdict":"PARTIAL_FILL_SHED"}'
    journal.append(Record(Kind.REPORTED, 5, "trc_1", ROOT, ROOT, facts, held))
    journal.append(Record(Kind.REPORTED, 6, "trc_1", ROOT, ROOT, facts, shed))
    await journal.append(Record(Kind.DECIDED, 7, "trc_1", ROOT, ROOT, {"action": "CANCEL", "row": 6}))
    await journal.close()

    replay = replay_decisions(tmp_path)

    assert (replay.decisions, replay.lacking, replay.ok) == (0, [1, 3], False)
    assert list(replay.sentences)[-1].startswith(
        "2 more cannot be made again, since their inputs are not here (records 1, 3)"
    )


async def test_inputs_of_another_format_are_not_guessed_at(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    await journal.open()
    facts = {"action": "HOLD", "row": 7, "confirmed": True, "decided": "[2,[]]"}
    await journal.append(Record(Kind.DECIDED, 7, "trc_1", ROOT, ROOT, facts))
    await journal.close()

    assert replay_decisions(tmp_path).lacking == [1]
    with pytest.raises(JournalFailed, match="format 2; this version reads format 1"):
        story(tmp_path, ROOT)
