"""Events that come while the start is still waiting for the host are this run's own, not an earlier one's."""

import asyncio
from pathlib import Path

from support.fake_host import ROOT, FakeExchange, FakeHost, Resting, book, partial

from polytraders_pfh import plugin


async def test_sequence_that_began_during_a_slow_start_reports_its_own_end(tmp_path: Path) -> None:
    config = {"mode": "general_live", "journal": {"durable": False}}
    host = FakeHost(config=config, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    host.bot = plugin.register_bot(host)
    host.manager.register(host.bot, "exec.partialfillhandler")
    gate, asked, answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_partials() -> tuple[()]:
        asked.set()
        await answer.wait()
        return ()

    async def slow(exchange: FakeExchange, ids: tuple[str, ...]) -> None:
        await gate.wait()

    host.orders.open_partials = slow_partials  # type: ignore[method-assign]
    host.exchange.on_cancel = slow
    starting = asyncio.ensure_future(host.bot.on_host_start())
    await asked.wait()
    interim = await host.bot.on_partial_fill(partial(policy="cancel"))
    answer.set()
    await starting
    gate.set()

    _, final = await host.reports.until(2)

    assert interim.verdict == "PARTIAL_FILL_PENDING"
    assert (final["verdict"], final["supersedes"]) == ("CANCELLED_REMAINDER", interim.report_id)
    assert "detail" not in final
    await host.stop()
