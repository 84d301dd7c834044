"""The host against the paper exchange: the real protocol on both sides, over sockets, on real time."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from polytraders_hookspecs import Strategy, read_json
from support.eventually import eventually
from support.host_bots import ScribeBot, plugin_with
from support.paper_town import FAST, NO, RAIN, YES, Town, config_for, town

from polytraders_pfh.host import Host
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol.server import serve

CHASE = Strategy(id="momentum", partial_fill_policy="chase")


async def test_fills_on_the_paper_exchange_become_one_partial_each_and_one_close(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with town(tmp_path, bot) as t:
        placed = await t.rests("BUY", "0.40", 100)
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: len(bot.partials) == 1)
        await t.trades("BUY", "0.60", 20, NO)
        await eventually(lambda: len(bot.partials) == 2)
        await t.trades("SELL", "0.40", 50)
        await eventually(lambda: bot.closed)

    assert bot.events(placed.order_id) == [("PARTIAL", "12"), ("PARTIAL", "20"), ("FILLED", "40")]


async def test_a_cancel_on_the_paper_exchange_closes_with_what_had_filled(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with town(tmp_path, bot) as t:
        placed = await t.rests("BUY", "0.40", 100)
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: bot.partials)
        assert bot.host is not None
        await bot.host.clob_auth.cancel_orders((placed.order_id,))
        await eventually(lambda: bot.closed)

    assert bot.events(placed.order_id) == [("PARTIAL", "12"), ("CANCELLED", "12")]


async def test_books_of_the_market_reach_the_bot(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with town(tmp_path, bot) as t:
        await t.rests("BUY", "0.40", 100)
        await t.trades("SELL", "0.45", 10)
        await eventually(lambda: any(450_000 in _ask_prices(update) for update in bot.updates))
        book = await t.host.clob.get_book(YES)

    assert (book.bids, book.asks) == (((400_000, 100_000_000),), ((450_000, 10_000_000),))
    assert (book.tick_micro, book.min_size_micro, book.neg_risk) == (10_000, 5_000_000, False)


def _ask_prices(update: Any) -> set[int]:
    if hasattr(update, "asks"):
        return {price for price, _ in update.asks}
    return {update.price_micro} if getattr(update, "bid", None) is False else set()


async def test_fills_while_the_user_channel_was_down_are_found_after_it_came_back(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with town(tmp_path, bot) as t:
        placed = await t.rests("BUY", "0.40", 100)
        await t.server.venue.user_stream.close()
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: bot.partials, 40)

    assert bot.events(placed.order_id) == [("PARTIAL", "12")]


async def test_after_a_busy_while_with_a_broken_line_the_host_agrees_with_the_exchange_on_every_order(
    tmp_path: Path,
) -> None:
    bot, chance = ScribeBot(), random.Random(7)
    async with town(tmp_path, bot) as t:
        assert bot.host is not None
        ids = []
        for number in range(40):
            price = f"0.{chance.randint(30, 39)}"
            ids.append((await t.rests("BUY", price, chance.randint(10, 60))).order_id)
            if chance.random() < 0.6:
                await t.trades("SELL", "0.30", chance.randint(5, 50))
            if chance.random() < 0.3:
                await bot.host.clob_auth.cancel_orders((chance.choice(ids),))
            if number == 20:
                await t.server.venue.user_stream.close()
        await bot.host.clob_auth.cancel_orders(tuple(ids))
        await eventually(lambda: not t.host.lifecycle.open_orders(), 40)
        assert await t.host.settle(10)
        truth = {order_id: t.server.exchange.order(order_id) for order_id in ids}

    for order_id, record in truth.items():
        assert record is not None
        story = bot.events(order_id)
        levels = [Decimal(usd) for _, usd in story]
        assert levels[-1] == Decimal(record.size_matched_micro) * record.request.price_micro / 10**12
        assert story[-1][0] == ("FILLED" if record.status == "MATCHED" else "CANCELLED")
        assert levels == sorted(levels)
        assert [kind for kind, _ in story[:-1]] == ["PARTIAL"] * (len(story) - 1)
        assert len(set(levels[:-1])) == len(levels[:-1])


async def test_a_restarted_host_finds_its_order_and_tells_only_what_is_new(tmp_path: Path) -> None:
    clock, exchange = SystemClock(), Exchange("host-tests")
    exchange.add_market(RAIN, clock.now_ms())
    first, second = ScribeBot(), ScribeBot()
    async with await serve(exchange, clock=clock, tick_ms=10) as server:
        config = config_for(server, tmp_path / "host", {"exec.scribe": {}})
        async with Host(config_for(server, tmp_path / "rival", {}), environ={"PK": "22" * 32}) as rival:
            server.open_account(rival.wallet.maker)
            exchange.mint(rival.wallet.maker.lower(), RAIN.condition_id, 1_000_000_000)
            plugins = {"exec.scribe": plugin_with(first)}
            async with Host(config, environ={"PK": "21" * 32}, plugins=plugins, timings=FAST) as host:
                t = Town(server, host, rival)
                placed = await t.rests("BUY", "0.40", 100, strategy=CHASE)
                await t.trades("SELL", "0.40", 30)
                await eventually(lambda: first.partials)
                await host.settle(5)
            await t.trades("SELL", "0.40", 10)
            plugins = {"exec.scribe": plugin_with(second)}
            async with Host(config, environ={"PK": "21" * 32}, plugins=plugins, timings=FAST):
                await eventually(lambda: second.partials)

    assert first.events(placed.order_id) == [("PARTIAL", "12")]
    assert second.events(placed.order_id) == [("PARTIAL", "16")]
    assert (second.partials[0].trace_id, second.partials[0].strategy) == (placed.trace_id, CHASE)


async def test_the_installed_plugin_chases_on_the_paper_exchange(tmp_path: Path) -> None:
    async with town(tmp_path, settings={"enabled": True, "mode": "general_live"}) as t:
        root = await t.rests("BUY", "0.40", 100, strategy=CHASE, limit_price=Decimal("0.43"))
        await t.trades("SELL", "0.42", 200)
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: t.host.bus.messages, 20)
        await eventually(lambda: _final(t.host), 20)
        report = _final(t.host)
        chase = await t.host.lifecycle.get(report["new_order_id"]) if "new_order_id" in report else None

    assert report["verdict"] == "CHASE_ORDER_SUBMITTED", str(report)
    assert (report["order_id"], report["chase_price"]) == (root.order_id, Decimal("0.42"))
    assert chase is not None
    assert (chase.root_order_id, chase.trace_id) == (root.order_id, root.trace_id)


def _final(host: Host) -> dict[str, Any]:
    reports = [read_json(message.payload) for message in host.bus.messages]  # type: ignore[union-attr]
    return next((report for report in reports if report.get("final")), {})


async def test_the_kill_switch_of_the_host_makes_the_installed_plugin_cancel_its_remainders(
    tmp_path: Path,
) -> None:
    hold = Strategy(id="patient", partial_fill_policy="hold")
    async with town(tmp_path, settings={"enabled": True, "mode": "general_live"}) as t:
        placed = await t.rests("BUY", "0.40", 100, strategy=hold)
        await t.trades("SELL", "0.40", 30)
        await eventually(lambda: _final(t.host), 20)
        await t.host.kill_switch.signal(True, "drill", "ann")
        await eventually(lambda: t.server.exchange.order(placed.order_id).status == "CANCELED", 10)  # type: ignore[union-attr]
        await eventually(lambda: t.host.lifecycle.order(placed.order_id).end == "CANCELLED", 10)  # type: ignore[union-attr]
