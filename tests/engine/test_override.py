"""A gate that was overridden is on record before anything acts, or nothing acts."""

from typing import Any

from support.fake_host import FakeHost, partial
from support.live_bot import MakeHost

from polytraders_pfh.engine.journal import Kind, MemoryJournal

WORD = {"who": "ann", "why": "ten small orders under my eyes"}


async def test_an_override_is_recorded_at_the_start(make_host: MakeHost) -> None:
    host: FakeHost = await make_host(gate_override=WORD)

    first = host.bot._engine.tools.journal.records[0]

    assert (first.kind, first.facts["command"], first.facts["actor"]) == (
        Kind.COMMAND,
        "override-gate",
        "ann",
    )
    assert first.facts["mode"] == "general_live"


async def test_without_one_nothing_is_recorded(make_host: MakeHost) -> None:
    host: FakeHost = await make_host()

    assert not host.bot._engine.tools.journal.records


async def test_an_override_that_cannot_be_recorded_lets_nothing_act(
    make_host: MakeHost, monkeypatch: Any
) -> None:
    real = MemoryJournal.append

    def fails_on_commands(journal: MemoryJournal, record: Any) -> Any:
        if record.kind is Kind.COMMAND:
            raise OSError("no room")
        return real(journal, record)

    monkeypatch.setattr(MemoryJournal, "append", fails_on_commands)
    host: FakeHost = await make_host(gate_override=WORD)

    report = await host.bot.on_partial_fill(partial(policy="cancel"))

    assert (report.mode, report.executed) == ("shadow_only", False)
    assert host.exchange.cancels() == []
