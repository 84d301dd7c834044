"""Streams that lose, double, delay and freeze, on the paper exchange: nothing missed, nothing doubled.

The truth is the exchange's own: its order records and its books.
"""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polytraders_hookspecs import BookSnapshot, StreamGap, TickSizeChange
from support.eventually import eventually
from support.host_bots import ScribeBot
from support.sidecar_stage import FAST, RAIN, YES, SidecarStage, sidecar_stage

from polytraders_pfh.engine.books import Books
from polytraders_pfh.host import Host
from polytraders_pfh.paper.core.model import Market, Outcome

NEVER_READ = replace(FAST, reconcile_s=3_600.0)
QUIET = replace(FAST, silence_s=0.3, ping_s=0.2)


def owner_books(bot: ScribeBot) -> Books:
    """The books that an engine would keep after what the bot heard."""
    books = Books(
        lambda: 0, levels=50, default_min_size_micro=1, fill_rate_window_ms=60_000, max_tokens=1_000
    )
    for update in bot.updates:
        books.apply(update)
    return books


async def busy_while(s: SidecarStage, chance: random.Random, orders: int) -> list[str]:
    """The other tool places and cancels, the rival fills."""
    ids: list[str] = []
    for number in range(orders):
        ids.append(await s.rests("BUY", f"0.{chance.randint(30, 39)}", chance.randint(10, 60)))
        if chance.random() < 0.7:
            await s.trades("SELL", "0.30", chance.randint(5, 50))
        if chance.random() < 0.25:
            await s.owner.clob.cancel_orders((chance.choice(ids),))
        if s.trouble.lost_of and number % 10 == 5:
            s.server.venue.user_stream.cut()
        if s.trouble.lost_of and number % 10 == 9:
            s.trouble.freeze("user")
    return ids


def truth_of(s: SidecarStage, order_id: str) -> tuple[str, Decimal]:
    record = s.server.exchange.order(order_id)
    assert record is not None
    usd = Decimal(record.size_matched_micro) * record.request.price_micro / 10**12
    return {"LIVE": "PARTIAL", "MATCHED": "FILLED"}.get(str(record.status), "CANCELLED"), usd


def _agrees(host: Host, bot: ScribeBot, order_id: str, truth: tuple[str, Decimal]) -> bool:
    """Whether the bots heard the truth. An order whose whole life was lost between two readings of the open
    ones is over, and there is no remainder of it to decide about."""
    if host.lifecycle.order(order_id) is None:
        return truth[0] != "PARTIAL"
    return last_heard(bot, order_id) == truth


def last_heard(bot: ScribeBot, order_id: str) -> tuple[str, Decimal]:
    kind, usd = ([*bot.events(order_id)] or [("PARTIAL", "0")])[-1]
    return kind, Decimal(usd)


@pytest.mark.parametrize(
    ("seed", "trouble", "timings"),
    [
        (1, {"doubled_of": 2, "held_of": 3}, FAST),
        (2, {"doubled_of": 3, "held_of": 3, "lost_of": 4}, FAST),
        (3, {"lost_of": 2}, FAST),
        (4, {"doubled_of": 2}, NEVER_READ),
    ],
)
async def test_after_any_trouble_every_order_stands_as_the_exchange_has_it_and_each_amount_was_told_once(
    tmp_path: Path, seed: int, trouble: dict[str, int], timings: Any
) -> None:
    bot, chance = ScribeBot(), random.Random(seed)
    async with sidecar_stage(tmp_path, seed) as s, s.sidecar(scribe=bot, timings=timings) as host:
        for name, value in trouble.items():
            setattr(s.trouble, name, value)
        ids = await busy_while(s, chance, 40)
        truth = {order_id: truth_of(s, order_id) for order_id in ids}
        await eventually(lambda: all(_agrees(host, bot, one, truth[one]) for one in ids), 40)
        unseen = [order_id for order_id in ids if host.lifecycle.order(order_id) is None]

    assert not unseen or "lost_of" in trouble
    for order_id in ids:
        story = bot.events(order_id)
        assert max(Counter(story).values(), default=1) == 1, story
        amounts = [Decimal(usd) for _, usd in story]
        assert amounts == sorted(amounts), story
        assert [kind for kind, _ in story[:-1]] == ["PARTIAL"] * max(0, len(story) - 1), story
    assert {kind for kind, _ in truth.values()} == {"PARTIAL", "FILLED", "CANCELLED"}


async def test_a_frozen_market_channel_is_told_by_its_silence_and_the_new_one_brings_the_true_book(
    tmp_path: Path,
) -> None:
    bot = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(scribe=bot, timings=QUIET):
        await s.rests("BUY", "0.40", 100)
        await eventually(lambda: _best(bot) == (400_000, None))
        s.trouble.freeze("market")
        await s.rests("BUY", "0.41", 50)
        await s.trades("SELL", "0.45", 10)
        await eventually(lambda: _best(bot) == (410_000, 450_000))
        gaps = [update for update in bot.updates if isinstance(update, StreamGap)]

    assert gaps
    assert gaps[0].token_ids == (YES,)


def _best(bot: ScribeBot) -> tuple[int | None, int | None] | None:
    view = owner_books(bot).view(YES)
    if view is None:
        return None
    return (view.bids[0][0] if view.bids else None, view.asks[0][0] if view.asks else None)


async def test_doubled_messages_leave_the_book_as_the_exchange_has_it(tmp_path: Path) -> None:
    bot, chance = ScribeBot(), random.Random(5)
    async with sidecar_stage(tmp_path) as s, s.sidecar(scribe=bot):
        s.trouble.doubled_of = 2
        for _ in range(20):
            await s.rests("BUY", f"0.{chance.randint(30, 39)}", chance.randint(10, 60))
            await s.trades("SELL", f"0.{chance.randint(36, 45)}", chance.randint(5, 50))
        truth = s.server.exchange.book(YES, s.server.venue.clock.now_ms())
        await eventually(lambda: _levels(bot) == (sorted(truth.bids), sorted(truth.asks)))

    assert len(truth.bids) > 3


def _levels(bot: ScribeBot) -> tuple[Any, Any] | None:
    view = owner_books(bot).view(YES)
    return None if view is None else (sorted(view.bids), sorted(view.asks))


async def test_a_new_tick_size_is_a_new_epoch_of_the_book(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(scribe=bot):
        await s.rests("BUY", "0.40", 100)
        await eventually(lambda: owner_books(bot).view(YES))
        s.server.exchange.set_tick(RAIN.condition_id, 1_000, s.server.venue.clock.now_ms())
        s.server.pump()
        await eventually(lambda: any(isinstance(update, TickSizeChange) for update in bot.updates))
        await eventually(lambda: isinstance(bot.updates[-1], BookSnapshot))
        await s.rests("BUY", "0.401", 100)
        await eventually(lambda: _best(bot) == (401_000, None))
        view = owner_books(bot).view(YES)

    kinds = [type(update) for update in bot.updates]
    assert view is not None
    assert (view.tick_micro, view.fault) == (1_000, None)
    assert BookSnapshot in kinds[kinds.index(TickSizeChange) :]


async def test_more_than_two_hundred_tokens_come_over_several_connections(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with sidecar_stage(tmp_path) as s:
        tokens = []
        for number in range(130):
            pair = (str(10**20 + 2 * number), str(10**20 + 2 * number + 1))
            outcomes = (Outcome(pair[0], "Yes"), Outcome(pair[1], "No"))
            market = Market(f"0x{number:064x}", "?", outcomes)
            s.server.exchange.add_market(market, s.server.venue.clock.now_ms())
            tokens += pair
        async with s.sidecar(scribe=bot) as host:
            host.market_feed.watch(tokens)
            await eventually(lambda: _tokens_heard(bot) >= set(tokens))
            sizes = _subscriptions(s, host)

    assert sorted(sizes) == [60, 200]


def _tokens_heard(bot: ScribeBot) -> set[str]:
    return {update.token_id for update in bot.updates if isinstance(update, BookSnapshot)}


def _subscriptions(s: SidecarStage, host: Host) -> list[int]:
    assert host.url
    return [len(one.tokens) for one in s.server.venue.market_stream._subscriptions if len(one.tokens) > 2]


async def test_a_stream_that_is_cut_again_and_again_still_ends_in_the_truth(tmp_path: Path) -> None:
    bot = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(scribe=bot):
        order_id = await s.rests("BUY", "0.40", 100)
        for _ in range(9):
            s.server.venue.user_stream.cut()
            s.server.venue.market_stream.cut()
            await s.trades("SELL", "0.40", 10)
            await asyncio.sleep(0)
        await eventually(lambda: last_heard(bot, order_id) == truth_of(s, order_id), 20)

    assert last_heard(bot, order_id) == ("PARTIAL", Decimal(36))


async def test_a_fill_whose_settlement_fails_is_taken_back_once_however_often_that_is_said(
    tmp_path: Path,
) -> None:
    bot = ScribeBot()
    async with sidecar_stage(tmp_path) as s, s.sidecar(scribe=bot):
        s.trouble.doubled_of = 1
        order_id = await s.rests("BUY", "0.40", 100)
        await s.trades("SELL", "0.40", 30)
        await s.trades("SELL", "0.40", 20)
        key = s.owner.clob.credentials.key
        first = min(s.server.exchange.trades(key), key=lambda trade: trade.size_micro)
        s.server.exchange.fail_trade(first.id)
        await eventually(lambda: len(bot.events(order_id)) >= 3, 30)

    assert bot.events(order_id) == [("PARTIAL", "12"), ("PARTIAL", "20"), ("PARTIAL", "12")]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_sidecar_that_chases_under_such_streams_never_has_more_out_than_was_meant(
    tmp_path: Path, seed: int
) -> None:
    rules = {"rules": [{"name": "all", "policy": "chase", "limits": {"cancel_on_book_thin": False}}]}
    chance = random.Random(seed)
    async with sidecar_stage(tmp_path, seed) as s, s.sidecar(rules, mode="general_live") as host:
        s.trouble.lost_of, s.trouble.doubled_of, s.trouble.held_of = 6, 3, 4
        roots = []
        for number in range(12):
            roots.append(await s.rests("BUY", f"0.{chance.randint(36, 38)}", chance.randint(30, 60)))
            await s.trades("SELL", f"0.{chance.randint(39, 40)}", chance.randint(20, 60))
            await s.trades("SELL", "0.36", chance.randint(5, 30))
            if number % 4 == 3:
                s.server.venue.user_stream.cut()
        s.trouble.lost_of = s.trouble.doubled_of = s.trouble.held_of = 0
        await eventually(lambda: not _out_of_step(s, host), 40)
        chains = _chains(host, roots)
        assert await host.settle(10)
        exchange = s.server.exchange
        records = {root: [exchange.order(one) for one in chain] for root, chain in chains.items()}

    assert sum(len(chain) > 1 for chain in chains.values()) >= 2
    for root, chain in records.items():
        told = [(str(one.status), one.size_matched_micro, one.original_size_micro) for one in chain if one]
        filled, live = sum(matched for _, matched, _ in told), [one for one in told if one[0] == "LIVE"]
        assert len(live) <= 1, (root, told)
        assert filled + sum(size - matched for _, matched, size in live) <= told[0][2], (root, told)


def _chains(host: Host, roots: list[str]) -> dict[str, list[str]]:
    """Each root with the chase orders that descend from it."""
    chains = {root: [root] for root in roots}
    for order in host.lifecycle.known_orders():
        if order.root_order_id in chains:
            chains[order.root_order_id].append(order.order_id)
    return chains


def _out_of_step(s: SidecarStage, host: Host) -> list[str]:
    """Orders of which host and exchange think differently."""
    found = []
    for order in host.lifecycle.known_orders():
        record = s.server.exchange.order(order.order_id)
        alive = record is not None and str(record.status) == "LIVE"
        if record is None or alive != (order.end is None) or record.size_matched_micro != order.filled_micro:
            found.append(order.order_id)
    return found
