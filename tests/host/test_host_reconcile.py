import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracerProvider
from polytraders_hookspecs import ExchangeReply, new_plugin_manager
from prometheus_client import CollectorRegistry
from support.clocks import HandClock
from support.host_bots import ScribeBot
from support.host_stage import order_event
from support.orders import MARKET, unsigned

from polytraders_pfh.host.dispatch import EventDispatcher, EventSigner
from polytraders_pfh.host.errors import ExchangeRefused, PayloadError
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import OrderNews, order_news, trade_news
from polytraders_pfh.host.reconcile import Reconciler
from polytraders_pfh.host.records import OrderRecords

A, B = "0x" + "0a" * 32, "0x" + "0b" * 32
ME = "me"
ACCEPTED = ExchangeReply(status=200, body=b'{"success":true,"orderID":"0x","errorMsg":"","status":"live"}')
LOST = ExchangeReply(status=None, detail="no answer")
ABSENT = ExchangeReply(status=404, body=b'{"error":"Order not found"}')


def record(order_id: str, matched: str, status: str) -> dict[str, Any]:
    return order_event(order_id, matched, status) | {"timestamp": None}


def trade(trade_id: str, order_id: str, shares: str) -> dict[str, Any]:
    return {
        "id": trade_id,
        "market": MARKET,
        "status": "CONFIRMED",
        "taker_order_id": "0xee",
        "size": "1",
        "trader_side": "MAKER",
        "maker_orders": [{"order_id": order_id, "owner": ME, "matched_amount": shares}],
    }


@dataclass
class Books:
    """Stands in for the exchange: what it holds, and what it was asked."""

    open: list[dict[str, Any]] | Exception = field(default_factory=list)
    records: dict[str, ExchangeReply] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    asked_since: list[int] = field(default_factory=list)
    credentials: Any = field(default_factory=lambda: SimpleNamespace(key=ME))

    async def open_orders(self) -> tuple[OrderNews, ...]:
        if isinstance(self.open, Exception):
            raise self.open
        return tuple(order_news(members) for members in self.open)

    async def get_order(self, order_id: str) -> ExchangeReply:
        self.asked.append(order_id)
        return self.records.get(order_id, ABSENT)

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        self.asked_since.append(after_ms)
        return ExchangeReply(status=200, body=json.dumps(self.trades).encode())

    def hold(self, order_id: str, matched: str, status: str) -> None:
        self.records[order_id] = ExchangeReply(
            status=200, body=json.dumps(record(order_id, matched, status)).encode()
        )


@dataclass
class Stage:
    books: Books
    reconciler: Reconciler
    lifecycle: OrderLifecycle
    dispatcher: EventDispatcher
    bot: ScribeBot
    clock: HandClock

    def place(self, order_id: str = A, reply: ExchangeReply = ACCEPTED) -> None:
        self.lifecycle.signed(unsigned(), order_id)
        self.lifecycle.posting(order_id)
        self.lifecycle.posted(order_id, reply)

    async def pass_time(self, *pauses_s: float) -> None:
        for pause_s in pauses_s:
            await turn()
            self.clock.advance(pause_s)
            await turn()

    async def heard(self, order_id: str = A) -> list[tuple[str, str]]:
        assert await self.dispatcher.drain(5)
        return self.bot.events(order_id)


async def turn() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    manager, bot = new_plugin_manager(), ScribeBot()
    manager.register(bot)
    clock, metrics, books = HandClock(), HostMetrics(CollectorRegistry()), Books()
    events = EventSigner("k1", b"k" * 32)
    dispatcher = EventDispatcher(manager.hook, clock, events, metrics, NoOpTracerProvider())
    lifecycle = OrderLifecycle(dispatcher, OrderRecords(tmp_path / "orders.jsonl"), clock, metrics)
    reconciler = Reconciler(books, lifecycle, clock, metrics)  # type: ignore[arg-type]
    lifecycle.load()
    lifecycle.on_look = reconciler.look
    dispatcher.open_gate()
    try:
        yield Stage(books, reconciler, lifecycle, dispatcher, bot, clock)
    finally:
        await reconciler.close()
        await dispatcher.close()
        lifecycle.close()


async def test_an_order_that_is_open_no_more_is_closed_from_its_record(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.place(B)
        s.books.open = [record(B, "10", "LIVE")]
        s.books.hold(A, "25", "CANCELED")
        await s.reconciler.run_once()

        assert await s.heard(A) == [("CANCELLED", "12.5")]
        assert await s.heard(B) == [("PARTIAL", "5")]
        assert s.books.asked == [A]
        assert s.lifecycle.reconciled


async def test_a_reading_that_fails_concludes_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.books.open = ExchangeRefused("down")
        with pytest.raises(ExchangeRefused):
            await s.reconciler.run_once()
        await s.reconciler.try_once()

        assert await s.heard() == []
        assert not s.lifecycle.reconciled


async def test_a_reading_in_the_background_is_tried_again_until_it_works(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.books.open = ExchangeRefused("down")
        s.reconciler.read_soon()
        await s.pass_time(0.25, 0.5)
        s.books.open = [record(A, "10", "LIVE")]
        await s.pass_time(1)

        assert await s.heard() == [("PARTIAL", "5")]
        assert s.lifecycle.reconciled


async def test_trades_of_orders_that_are_not_tracked_are_left_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.books.open = [record(A, "0", "LIVE")]
        s.books.trades = [trade("t1", A, "25"), trade("t2", B, "7")]
        await s.reconciler.run_once()
        await s.pass_time(1)

        assert await s.heard() == [("PARTIAL", "12.5")]
        assert s.books.asked == []


async def test_trades_are_read_from_the_orders_start_first_and_from_ten_minutes_back_later(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        start = s.clock.now_ms()
        s.place()
        s.books.open = [record(A, "0", "LIVE")]
        await s.reconciler.run_once()
        s.clock.advance(3600)
        await s.reconciler.run_once()
        await s.reconciler.run_once()

        assert s.books.asked_since == [start - 60_000, start - 60_000, start + 3_000_000]


async def test_an_unknown_post_is_looked_up_until_its_record_shows(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=LOST)
        await s.pass_time(0.25)
        unknown = await s.lifecycle.get(A)
        s.books.hold(A, "0", "LIVE")
        await s.pass_time(0.5)
        known = await s.lifecycle.get(A)
        await s.pass_time(10)

        assert unknown is not None
        assert known is not None
        assert (unknown.status, known.status) == ("UNKNOWN", "LIVE")
        assert s.books.asked == [A, A]


async def test_an_unknown_post_that_never_arrived_is_forgotten_in_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=LOST)
        await s.pass_time(0.25, 0.5, 1, 4, 15)
        late = await s.lifecycle.get(A)
        await s.pass_time(60)

        assert late is not None
        assert await s.lifecycle.get(A) is None


async def test_matched_with_shares_missing_is_closed_by_record_and_trades_together(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.books.hold(A, "40", "MATCHED")
        s.books.trades = [trade("t1", A, "60")]
        s.lifecycle.saw_order(order_news(order_event(A, "40", "MATCHED")))
        await s.pass_time(0.25)

        assert await s.heard() == [("CANCELLED", "30")]


async def test_a_word_that_was_wrong_is_put_right_by_the_record(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.books.hold(A, "100", "MATCHED")
        s.lifecycle.saw_order(order_news(order_event(A, "40", "MATCHED")))
        await s.pass_time(0.25)

        assert await s.heard() == [("FILLED", "50")]


async def test_a_confirmed_cancel_is_asked_about_only_when_its_end_does_not_arrive_by_itself(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        s.place()
        s.place(B)
        s.books.hold(B, "10", "LIVE")
        s.lifecycle.cancelled((A, B))
        s.lifecycle.saw_order(order_news(order_event(A, "25", "CANCELED")))
        await s.pass_time(0.25)
        s.books.hold(B, "10", "CANCELED")
        await s.pass_time(0.5, 10)

        assert await s.heard(A) == [("CANCELLED", "12.5")]
        assert (await s.heard(B))[-1] == ("CANCELLED", "5")
        assert s.books.asked == [B, B]


async def test_a_trade_that_came_before_its_order_brings_the_order_in(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.books.hold(A, "25", "LIVE")
        s.lifecycle.saw_trade(_news(trade("t1", A, "25")))
        await s.pass_time(0.25)

        assert await s.heard() == [("PARTIAL", "12.5")]


@pytest.mark.parametrize(
    "reply",
    [
        ExchangeReply(status=500, body=b"{}"),
        LOST,
        ExchangeReply(status=200, body=b"null"),
        ExchangeReply(status=200, body=b"<html>"),
        ExchangeReply(status=200, body=json.dumps(record(B, "1", "CANCELED")).encode()),
    ],
)
async def test_a_record_that_does_not_answer_the_question_is_asked_for_again(
    tmp_path: Path, reply: ExchangeReply
) -> None:
    async with stage(tmp_path) as s:
        s.place(reply=LOST)
        s.books.records[A] = reply
        await s.pass_time(0.25)
        s.books.hold(A, "25", "CANCELED")
        await s.pass_time(0.5)

        assert await s.heard() == [("CANCELLED", "12.5")]


async def test_everything_is_read_again_every_half_minute(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        running = asyncio.create_task(s.reconciler.run_forever())
        s.place()
        s.books.open = PayloadError("garbled")
        await s.pass_time(30)
        s.books.open = [record(A, "25", "LIVE")]
        await s.pass_time(30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert await s.heard() == [("PARTIAL", "12.5")]


def _news(members: dict[str, Any]) -> Any:
    return trade_news(members, ME)
