import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import ExchangeReply, Strategy, hookimpl, new_plugin_manager
from polytraders_hookspecs.orders import ZERO_BYTES32
from prometheus_client import CollectorRegistry
from support.clocks import HandClock
from support.host_bots import ScribeBot
from support.orders import BUILDER, MARKET, TOKEN, unsigned

from polytraders_pfh.host.dispatch import EventDispatcher, EventSigner
from polytraders_pfh.host.errors import ExchangeRefused
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import order_news, trade_news
from polytraders_pfh.host.records import OrderRecords
from polytraders_pfh.host.sharing import Alone

A, B = "0x" + "0a" * 32, "0x" + "0b" * 32
ME = "my-api-key"
KEY = b"k" * 32
STRATEGY = Strategy(id="momentum", partial_fill_policy="chase", allow_wide_chase=True)
ACCEPTED = ExchangeReply(status=200, body=b'{"success":true,"orderID":"0x","errorMsg":"","status":"live"}')
REFUSED = ExchangeReply(status=400, body=b'{"error":"not enough balance / allowance"}')
LOST = ExchangeReply(status=None, detail="no answer")


@dataclass
class Stage:
    lifecycle: OrderLifecycle
    dispatcher: EventDispatcher
    bot: ScribeBot
    clock: HandClock
    looks: list[str]
    tokens: list[frozenset[str]]

    def place(self, order_id: str = A, reply: ExchangeReply = ACCEPTED, **changes: Any) -> None:
        self.lifecycle.signed(unsigned(**changes), order_id, STRATEGY)
        self.lifecycle.posting(order_id)
        self.lifecycle.posted(order_id, reply)

    def order(self, matched: str | None, ts: int | None = 0, status: str = "LIVE", **changes: Any) -> None:
        members = {
            "event_type": "order",
            "id": A,
            "market": MARKET,
            "asset_id": TOKEN,
            "side": "BUY",
            "price": "0.5",
            "original_size": "100",
            "size_matched": matched,
            "status": status,
            "order_type": "GTC",
            "timestamp": "" if ts is None else str(1_700_000_000_000 + ts),
        }
        self.lifecycle.saw_order(order_news(members | changes))

    def trade(self, trade_id: str, shares: str, status: str = "MATCHED", order_id: str = A) -> None:
        members = {
            "id": trade_id,
            "market": MARKET,
            "status": status,
            "taker_order_id": "0x" + "ee" * 32,
            "size": "999",
            "trader_side": "MAKER",
            "maker_orders": [
                {"order_id": order_id, "owner": ME, "matched_amount": shares},
                {"order_id": "0x" + "dd" * 32, "owner": "somebody else", "matched_amount": "7"},
            ],
        }
        self.lifecycle.saw_trade(trade_news(members, ME))

    async def heard(self, order_id: str = A) -> list[tuple[str, str]]:
        assert await self.dispatcher.drain(5)
        return self.bot.events(order_id)


@asynccontextmanager
async def stage(tmp_path: Path, *more_bots: object, gate: bool = True) -> AsyncIterator[Stage]:
    manager = new_plugin_manager()
    bot = ScribeBot(keys={"k1": KEY})
    for each in (bot, *more_bots):
        manager.register(each)
    clock, metrics = HandClock(), HostMetrics(CollectorRegistry())
    dispatcher = EventDispatcher(manager.hook, clock, EventSigner("k1", KEY), metrics, NoOpTracerProvider())
    lifecycle = OrderLifecycle(dispatcher, OrderRecords(tmp_path / "orders.jsonl"), clock, metrics)
    looks: list[str] = []
    tokens: list[frozenset[str]] = []
    lifecycle.on_look = looks.append
    lifecycle.on_tokens = tokens.append
    lifecycle.load()
    if gate:
        dispatcher.open_gate()
    try:
        yield Stage(lifecycle, dispatcher, bot, clock, looks, tokens)
    finally:
        await dispatcher.close()
        lifecycle.close()


async def test_each_new_cumulative_amount_is_one_signed_partial_and_the_end_one_close(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.order("0", 1)
        s.order("25", 2)
        s.order("40", 3)
        s.order("100", 4, "MATCHED")

        assert await s.heard() == [("PARTIAL", "12.5"), ("PARTIAL", "20"), ("FILLED", "50")]


@pytest.mark.parametrize(
    ("moves", "story"),
    [
        # duplicates
        ([("order", "25", 1), ("order", "25", 1), ("order", "25", 2)], ["PARTIAL 12.5"]),
        # an older word after a newer one
        ([("order", "40", 2), ("order", "25", 1)], ["PARTIAL 20"]),
        # trade first, its order event later
        ([("trade", "t1", "25"), ("order", "25", 1)], ["PARTIAL 12.5"]),
        # two trades of one fill level that the order event then sums up
        (
            [("trade", "t1", "10"), ("trade", "t2", "15"), ("order", "25", 1)],
            ["PARTIAL 5", "PARTIAL 12.5"],
        ),
        # the same trade on its way to settlement
        (
            [("trade", "t1", "25"), ("trade", "t1", "25", "MINED"), ("trade", "t1", "25", "CONFIRMED")],
            ["PARTIAL 12.5"],
        ),
        # empty strings say nothing
        ([("order", "", None), ("order", "25", None), ("order", "", None)], ["PARTIAL 12.5"]),
        # a cancel after a part: no partial for a rest that is gone
        ([("order", "25", 1), ("order", "25", 2, "CANCELED")], ["PARTIAL 12.5", "CANCELLED 12.5"]),
        # a cancel that first tells of the fill
        ([("order", "25", 2, "CANCELED"), ("order", "25", 1)], ["CANCELLED 12.5"]),
        # a late fill amends the end
        ([("order", "", None, "CANCELED"), ("trade", "t1", "25")], ["CANCELLED 0", "CANCELLED 12.5"]),
        # a failed trade takes its fill back, and a new one is a new level
        (
            [("trade", "t1", "25"), ("trade", "t1", "25", "FAILED"), ("trade", "t2", "30")],
            ["PARTIAL 12.5", "PARTIAL 0", "PARTIAL 15"],
        ),
        # the whole by trades alone
        ([("trade", "t1", "60"), ("trade", "t2", "40")], ["PARTIAL 30", "FILLED 50"]),
        # after the end nothing is said again
        ([("order", "100", 1, "MATCHED"), ("trade", "t1", "100"), ("order", "100", 2)], ["FILLED 50"]),
        # six decimals
        ([("order", "5.051019", 1)], ["PARTIAL 2.52551"]),
    ],
)
async def test_whatever_the_order_of_sightings_bots_hear_each_amount_once(
    tmp_path: Path, moves: list[tuple[Any, ...]], story: list[str]
) -> None:
    async with stage(tmp_path) as s:
        s.place()
        for kind, *arguments in moves:
            (s.order if kind == "order" else s.trade)(*arguments)

        assert [f"{kind} {usd}" for kind, usd in await s.heard()] == story


async def test_a_partial_carries_everything_that_was_known_at_placement(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.order("25", 1)
        await s.heard()

    assert json.loads(s.bot.partials[0].to_json()) == {
        "order_id": A,
        "status": "PARTIAL",
        "filled_usd": 12.5,
        "remaining_usd": 37.5,
        "original_price": 0.5,
        "side": "BUY",
        "original_size_usd": 50,
        "collateral": "pUSD",
        "builder_code": BUILDER,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": "trc_0123456789abcdef",
        "event_ts_ms": 1_700_000_000_000,
        "strategy": {"id": "momentum", "partial_fill_policy": "chase", "allow_wide_chase": True},
    }


async def test_event_times_grow_per_order_while_the_clock_stands_still(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        for n in (10, 20, 30):
            s.order(str(n), n)
        await s.heard()

    assert [fill.event_ts_ms for fill in s.bot.partials] == [1_700_000_000_000 + n for n in range(3)]


async def test_a_chase_order_is_known_by_its_post_and_inherits_its_roots_strategy(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.lifecycle.signed(unsigned(root_order_id=A), B)
        s.lifecycle.posting(B)
        before = await s.lifecycle.get(B)
        s.order("25", 1, id=B)
        await s.heard(B)

    assert before is not None
    assert (before.status, before.root_order_id, before.builder_code) == ("UNKNOWN", A, BUILDER)
    assert s.bot.partials[0].strategy == STRATEGY
    assert s.bot.partials[0].trace_id == "trc_0123456789abcdef"


async def test_an_event_that_overtakes_the_answer_to_the_post_is_not_lost(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.lifecycle.signed(unsigned(), A)
        s.lifecycle.posting(A)
        s.order("25", 1)
        s.lifecycle.posted(A, REFUSED)
        s.order("100", 2, "MATCHED")

        assert await s.heard() == [("PARTIAL", "12.5"), ("FILLED", "50")]
        assert s.bot.partials[0].trace_id == s.bot.closed[0].trace_id == "trc_0123456789abcdef"


async def test_an_order_that_nobody_announced_is_adopted(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.order("25", 1)
        await s.heard()
        facts = await s.lifecycle.get(A)

    assert facts is not None
    assert (facts.trace_id, facts.strategy, facts.status) == ("trc_" + "0a" * 8, None, "PARTIAL")
    assert s.bot.partials[0].builder_code == ZERO_BYTES32


@pytest.mark.parametrize(
    "changes", [{"status": "CANCELED"}, {"order_type": "FOK"}, {"order_type": "FAK"}, {"original_size": ""}]
)
async def test_what_never_rests_is_not_adopted(tmp_path: Path, changes: dict[str, str]) -> None:
    async with stage(tmp_path) as s:
        s.order("25", 1, **changes)

        assert await s.heard() == []
        assert await s.lifecycle.get(A) is None


async def test_a_trade_of_an_unknown_order_of_ours_waits_for_it_and_asks_for_its_record(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        s.trade("t1", "25")
        looks = list(s.looks)
        s.order("", 1)

        assert looks == [A]
        assert await s.heard() == [("PARTIAL", "12.5")]


async def test_other_peoples_fills_are_no_business_of_ours(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.trade("t1", "25")

    assert s.looks == [A]


async def test_matched_with_shares_missing_asks_the_record_and_says_nothing_yet(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.order("40", 1, "MATCHED")
        quiet = await s.heard()
        s.lifecycle.proven_dead(A)

        assert (quiet, s.looks) == ([], [A])
        assert await s.heard() == [("CANCELLED", "20")]


async def test_a_first_attempt_that_was_refused_leaves_no_order_behind(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=REFUSED)

        assert await s.lifecycle.get(A) is None
        assert s.tokens[-1] == frozenset()


async def test_a_refusal_after_an_unknown_attempt_proves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=LOST)
        s.lifecycle.posted(A, REFUSED)
        facts = await s.lifecycle.get(A)

    assert facts is not None
    assert facts.status == "UNKNOWN"
    assert s.looks == [A, A]


async def test_an_order_that_the_exchange_never_saw_is_forgotten_after_a_minute(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=LOST)
        s.lifecycle.record_absent(A)
        early = await s.lifecycle.get(A)
        s.clock.advance(61)
        s.lifecycle.record_absent(A)

        assert early is not None
        assert await s.lifecycle.get(A) is None


async def test_absence_of_an_order_that_was_seen_proves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.clock.advance(1000)
        s.lifecycle.record_absent(A)

        assert await s.lifecycle.get(A) is not None


async def test_a_confirmed_cancel_asks_for_the_record(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.lifecycle.cancelled((A, B))

    assert s.looks == [A]


async def test_open_partials_are_unknown_until_the_exchange_was_read(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.place(B)
        s.order("25", 1)
        with pytest.raises(ExchangeRefused):
            await s.lifecycle.open_partials()
        s.lifecycle.reconciled = True

        assert [facts.order_id for facts in await s.lifecycle.open_partials()] == [A]


async def test_ended_orders_are_remembered_for_a_while_and_then_dropped(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.order("100", 1, "MATCHED")
        s.clock.advance(599)
        s.lifecycle.sweep()
        kept = await s.lifecycle.get(A)
        s.clock.advance(1)
        s.lifecycle.sweep()

        assert kept is not None
        assert kept.status == "FILLED"
        assert await s.lifecycle.get(A) is None
        assert s.tokens[-1] == frozenset()


async def test_events_wait_for_the_gate(tmp_path: Path) -> None:
    async with stage(tmp_path, gate=False) as s:
        s.place()
        s.order("25", 1)
        for _ in range(5):
            await asyncio.sleep(0)
        before = list(s.bot.story)
        s.dispatcher.open_gate()

        assert before == []
        assert await s.heard() == [("PARTIAL", "12.5")]


async def test_a_slow_bot_gets_the_events_of_one_order_in_their_order(tmp_path: Path) -> None:
    class SlowBot:
        def __init__(self) -> None:
            self.go = asyncio.Event()
            self.inside = 0
            self.most = 0

        @hookimpl
        async def on_partial_fill(self) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.go.wait()
            self.inside -= 1

    slow = SlowBot()
    async with stage(tmp_path, slow) as s:
        s.place()
        s.order("10", 1)
        s.order("20", 2)
        for _ in range(5):
            await asyncio.sleep(0)
        slow.go.set()

        assert await s.heard() == [("PARTIAL", "5"), ("PARTIAL", "10")]
    assert slow.most == 1


async def test_a_slow_order_does_not_hold_up_another(tmp_path: Path) -> None:
    class PickyBot:
        def __init__(self) -> None:
            self.go = asyncio.Event()

        @hookimpl
        async def on_partial_fill(self, envelope: Any) -> None:
            if A.encode() in envelope.body:
                await self.go.wait()

    picky = PickyBot()
    async with stage(tmp_path, picky) as s:
        s.place()
        s.place(B)
        s.order("10", 1)
        s.order("10", 1, id=B)
        s.order("100", 2, "MATCHED", id=B)
        for _ in range(20):
            await asyncio.sleep(0)
        story = s.bot.events(B)
        picky.go.set()
        await s.heard()

    assert story == [("PARTIAL", "5"), ("FILLED", "50")]


async def test_a_queue_that_overflows_keeps_the_newest_amount(tmp_path: Path) -> None:
    async with stage(tmp_path, gate=False) as s:
        s.place()
        for n in range(1, 100):
            s.order(str(n), n)
        s.dispatcher.open_gate()
        story = await s.heard()

    assert len(story) == 64
    assert story[-1] == ("PARTIAL", "49.5")


async def test_a_bot_that_raises_keeps_no_other_bot_and_no_later_event_back(tmp_path: Path) -> None:
    class BadBot:
        @hookimpl
        async def on_partial_fill(self) -> None:
            raise RuntimeError("boom")

    async with stage(tmp_path, BadBot()) as s:
        s.place()
        s.order("25", 1)
        s.order("100", 2, "MATCHED")

        assert await s.heard() == [("PARTIAL", "12.5"), ("FILLED", "50")]


async def test_reports_that_bots_return_are_collected(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.order("25", 1)
        await s.heard()

    assert [report.verdict for report in s.dispatcher.reports] == ["HOLD_REMAINDER"]


async def test_a_restart_keeps_traces_and_does_not_report_again_what_bots_have_heard(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.place(B)
        s.order("25", 1)
        s.order("100", 1, "MATCHED", id=B)
        await s.heard()
        last_ms = s.bot.partials[-1].event_ts_ms

    async with stage(tmp_path) as s:
        ended = await s.lifecycle.get(B)
        s.order("25", None)
        quiet = await s.heard()
        s.order("40", 2)
        story = await s.heard()
        fill = s.bot.partials[0]

    assert ended is None
    assert quiet == []
    assert story == [("PARTIAL", "20")]
    assert (fill.trace_id, fill.builder_code, fill.strategy) == ("trc_0123456789abcdef", BUILDER, STRATEGY)
    assert fill.event_ts_ms is not None
    assert last_ms is not None
    assert fill.event_ts_ms > last_ms


async def test_a_fill_that_bots_had_not_heard_of_before_the_restart_is_reported_after_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, gate=False) as s:
        s.place()
        s.order("25", 1)

    async with stage(tmp_path) as s:
        s.order("25", None)

        assert await s.heard() == [("PARTIAL", "12.5")]


async def test_a_torn_record_line_costs_that_line_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
    path = tmp_path / "orders.jsonl"
    path.write_text(path.read_text() + '{"known":{"order_id":"0x')

    async with stage(tmp_path) as s:
        assert await s.lifecycle.get(A) is not None


@pytest.mark.parametrize(
    ("reply", "known"),
    [
        (ExchangeReply(status=200, body=b'{"success":true,"orderID":"0xaa","errorMsg":null}'), True),
        (ExchangeReply(status=200, body=b'{"success":true,"orderID":"","errorMsg":"post only"}'), False),
        (ExchangeReply(status=200, body=b'{"success":false,"errorMsg":"no"}'), False),
        (ExchangeReply(status=200, body=b"<html>"), True),
        (ExchangeReply(status=400, body=b'{"error":"order 0x is invalid. Duplicated."}'), True),
        (ExchangeReply(status=400, body=b'{"error":"Size (1) lower than the minimum: 5"}'), False),
        (ExchangeReply(status=425, body=b"{}"), True),
        (ExchangeReply(status=429, body=b"{}"), True),
        (ExchangeReply(status=429, body=b"{}", headers={"poly-ratelimit-remaining": "0"}), False),
        (ExchangeReply(status=500, body=b'{"error":"order timed out"}'), True),
        (LOST, True),
    ],
)
async def test_only_proof_of_a_refusal_drops_a_posted_order(
    tmp_path: Path, reply: ExchangeReply, known: bool
) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=reply)

        assert (await s.lifecycle.get(A) is not None) == known


class Others(Alone):
    """Sharing with a host that owns everything, until it is `mine`."""

    def __init__(self) -> None:
        self.mine = False

    def ours(self, order: TrackedOrder) -> bool:
        return self.mine


async def test_another_host_s_order_is_followed_and_not_told_of(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        others = s.lifecycle.sharing = Others()
        s.place()
        s.order("25", 1)
        told = await s.heard()
        others.mine = True
        s.lifecycle.tell_again(A, 25_000_000, 1_700_000_000_001, told=True)
        s.order("40", 2)

        assert told == []
        assert await s.heard() == [("PARTIAL", "12.5"), ("PARTIAL", "20")]
        assert s.bot.partials[0].event_ts_ms == 1_700_000_000_001


async def test_an_end_that_another_host_may_have_told_of_is_told_once_by_whoever_takes_over(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        others = s.lifecycle.sharing = Others()
        s.place()
        s.order("100", 1, "MATCHED")
        told = await s.heard()
        others.mine = True
        s.lifecycle.tell_again(A, 0, 0, told=False)

        assert told == []
        assert await s.heard() == [("FILLED", "50")]


async def test_what_waited_to_be_told_before_an_order_was_lost_and_won_again_is_not_told_twice(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, gate=False) as s:
        s.place()
        s.order("25", 1)
        s.lifecycle.tell_again(A, 0, 0, told=False)
        s.dispatcher.open_gate()

        assert await s.heard() == [("PARTIAL", "12.5")]


async def test_a_level_that_another_host_told_is_not_taken_back_by_news_that_lag_behind(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        others = s.lifecycle.sharing = Others()
        s.place()
        s.order("10", 1)
        others.mine = True
        s.lifecycle.tell_again(A, 25_000_000, 1_700_000_000_005, told=False)
        s.order("20", 2)

        assert await s.heard() == []
