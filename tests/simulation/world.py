"""The exchange as it really is: what lands, when, and what is answered, which need not be the same.

A request lands through a timer of the world's own, so that neither a deadline nor a crash of the host
takes it back. From the moment that a post which will land was sent, its order counts as one that may fill.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from polytraders_hookspecs import BookSnapshot, ExchangeReply, SignedOrder
from polytraders_hookspecs.wire import from_micro
from support.fake_host import MARKET, no_reply, reply

from simulation.faults import Fate, Faults
from simulation.loop import Loop, VirtualClock
from simulation.story import Story
from simulation.truth import MICRO, Order, Wish

LOT = 10_000
_RECORD_LAG_S = 2.0
_GONE = ("order can't be found - already canceled or matched", "Order not found", "Order already canceled")


class Watcher(Protocol):
    """Who judges the bot's requests as they come in."""

    def sends(self, order: Order) -> None: ...
    def cancels(self, order_id: str) -> None: ...
    def answered(self, order_id: str, *, doubtful: bool) -> None: ...
    def reads(self, order_id: str) -> None: ...


@dataclass(slots=True)
class Market:
    """One token's market. `told` holds each tick size that the bot was told, with the step."""

    tick: int = 10_000
    mid: int = 500_000
    told: list[tuple[int, int]] = field(default_factory=list)


class World:
    """Orders, markets and the account."""

    def __init__(
        self, seed: int, rng: Random, loop: Loop, clock: VirtualClock, faults: Faults, story: Story
    ) -> None:
        self.rng = rng
        self.loop = loop
        self.clock = clock
        self.faults = faults
        self.story = story
        self.orders: dict[str, Order] = {}
        self.wishes: dict[str, Wish] = {}
        self.markets: dict[str, Market] = {}
        self.signed_for: dict[str, Wish] = {}
        self.in_flight: Counter[str] = Counter()
        self.changed = False
        self.watcher: Watcher | None = None
        self.bot_is_killed: Callable[[], bool] = lambda: False
        self.on_call: Callable[[], None] = lambda: None
        self.on_fill: Callable[[Order], None] = lambda order: None
        self.on_end: Callable[[Order], None] = lambda order: None
        self._seed = seed
        self._ids = 0
        self._records_out_until_s = 0.0

    def new_id(self) -> str:
        """Return an order id that the seed decides."""
        self._ids += 1
        return "0x" + hashlib.sha256(f"{self._seed}/{self._ids}".encode()).hexdigest()

    def live(self) -> list[Order]:
        """Return the orders that may be filled now."""
        return [o for o in self.orders.values() if o.status in {"LIVE", "DELAYED"} and o.open]

    # ---- what the market does

    def fill(self, order: Order, size: int | None = None) -> None:
        """Fill a part of an order, or all of it."""
        rest = order.open
        if order.status == "COMING" or not rest:
            return
        some = self._part_of(rest) if size is None else size
        order.lag = max(1, min(some, rest))
        order.matched += order.lag
        order.filled_at_s = self.loop.time()
        self.changed = True
        self.story.tell("{} fills: {} of {}", order.name, order.matched, order.size)
        if order.matched == order.size:
            order.status = "MATCHED"
            self.on_end(order)
        else:
            self.on_fill(order)

    def _part_of(self, rest: int) -> int:
        parts = (rest, rest // 2, rest // 3, rest // 5, rest // 8, rest // 20, rest // 50, 7 * MICRO)
        return self.rng.choice(parts) if self.rng.random() < 0.9 else max(rest - 3 * MICRO, 1)

    def end(self, order: Order, why: str) -> None:
        """Take an order off the book."""
        order.status = "CANCELED"
        order.wish.died_at_step = self.loop.ticks
        self.changed = True
        self.story.tell("{} is off the book ({}), with {} filled", order.name, why, order.filled)
        self.on_end(order)

    def reverse(self, order: Order) -> None:
        """Let a part of what filled fail on chain."""
        order.failed += max(1, order.filled // 3)
        self.changed = True
        self.story.tell("{} loses fills on chain: {} are left", order.name, order.filled)
        self.on_fill(order)

    def snapshot(self, token: str) -> BookSnapshot:
        """Return the book of a token as it is shown now."""
        market, rng, faults = self.markets[token], self.rng, self.faults
        tick = market.tick
        bid = max(market.mid // tick * tick - tick * rng.randrange(0, 2), tick)
        ask = min(bid + tick * rng.randrange(1, 3), MICRO - tick)
        size = rng.choice((100 * MICRO, *(9_000 * MICRO,) * 9))
        bids = tuple((bid - i * tick, size) for i in range(3) if bid > i * tick)
        asks = tuple((ask + i * tick, size) for i in range(3) if ask + i * tick < MICRO)
        if faults.strikes("book is thin", 0.1):
            bids, asks = rng.choice(((bids, ()), ((), asks), ((), ())))
        if faults.strikes("book is crossed", 0.1):
            bids = ((ask, size),)
        if faults.strikes("book is off its grid", 0.1):
            asks = (*asks, (ask + tick // 2, size))
        return BookSnapshot(
            token_id=token,
            market_id=MARKET,
            bids=bids,
            asks=asks,
            timestamp_ms=self.clock.now_ms(),
            tick_micro=tick,
            min_size_micro=rng.choice((5 * MICRO, MICRO)),
            neg_risk=False,
        )

    def tell_tick(self, token: str, tick: int) -> None:
        """Note that the bot was told this tick size."""
        self.markets[token].told.append((self.loop.ticks, tick))

    # ---- the public side

    async def get_book(self, token_id: str) -> BookSnapshot:
        """Answer with a book, or not."""
        self.on_call()
        await self.pause()
        if self.faults.strikes("book fails"):
            raise ConnectionError("no book")
        if self.faults.strikes("book hangs", 0.1):
            await asyncio.sleep(10)
        book = self.snapshot(token_id)
        self.tell_tick(token_id, book.tick_micro or 0)
        return book

    # ---- the trading side

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        """Cancel what can be cancelled."""
        assert self.watcher is not None
        for order_id in order_ids:
            self.watcher.cancels(order_id)
        self.in_flight.update(order_ids)
        fate = self.faults.fate("cancel")
        names = " ".join(self._name(order_id) for order_id in order_ids)
        try:
            answer = await self._call("cancel", names, fate, lambda: self._cancel(order_ids))
        except BaseException:
            for order_id in order_ids:
                self.watcher.answered(order_id, doubtful=True)
            raise
        finally:
            self.in_flight.subtract(order_ids)
        doubtful = fate.name not in {"honest", "400", "429 by the venue"}
        for order_id in order_ids:
            self.watcher.answered(order_id, doubtful=doubtful)
        return answer

    async def post_order(self, signed: SignedOrder) -> ExchangeReply:
        """Take an order, or not."""
        assert self.watcher is not None
        wish = self.signed_for[signed.order_id]
        size, usd = signed.taker_amount_micro, signed.maker_amount_micro
        if not wish.buying:
            size, usd = usd, size
        known = self.orders.get(signed.order_id)
        order = known or Order(signed.order_id, wish.next_name(), wish, size, usd * MICRO // size)
        fate = self.faults.fate("post")
        self.watcher.sends(order)
        if signed.order_id not in wish.sent:
            wish.sent.append(signed.order_id)
        bad_request = size < MICRO or size % LOT or (usd * MICRO) % size
        if fate.landed and known is None and not bad_request:
            order.status = "COMING"
            self.orders[signed.order_id] = order
            wish.orders.append(order)
            self.changed = True
        return await self._call("post", order.name, fate, lambda: self._post(order, known, bool(bad_request)))

    async def get_order(self, order_id: str) -> ExchangeReply:
        """Answer with an order's record."""
        assert self.watcher is not None
        self.watcher.reads(order_id)
        faults = self.faults
        self.on_call()
        await self.pause()
        if faults.strikes("records are out for a while", 0.05):
            self._records_out_until_s = self.loop.time() + self.rng.choice((1, 5, 20))
        if faults.active and self.loop.time() < self._records_out_until_s:
            return reply(503, {"error": "x"})
        if faults.strikes("record is lost", 0.15):
            return no_reply()
        if faults.strikes("record 5xx", 0.15):
            return reply(500, {"error": "x"})
        if faults.strikes("record is garbage", 0.1):
            return ExchangeReply(status=200, body=b"<html>")
        if faults.strikes("record hangs", 0.1):
            await asyncio.sleep(20)
        order = self.orders.get(order_id)
        if order is None or order.status == "COMING" or faults.strikes("record is missing", 0.1):
            self.story.tell("the record of {} is asked for: not found", self._name(order_id))
            return reply(404, {"error": "Order not found"})
        matched = order.matched
        fresh = self.loop.time() - order.filled_at_s < _RECORD_LAG_S
        if order.lag and fresh and faults.strikes("record lags", 0.3):
            matched -= order.lag
        self.story.tell("the record of {} says {}, {} matched", order.name, order.status, matched)
        body = {
            "id": order_id,
            "status": "LIVE" if order.status == "DELAYED" else order.status,
            "original_size": str(from_micro(order.size)),
            "size_matched": str(from_micro(matched)),
            "price": str(from_micro(order.price)),
        }
        answer = reply(200, body)
        await self.pause()
        return answer

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        """Answer with the account's trades."""
        await self.pause()
        if self.faults.strikes("trades fail"):
            return self.rng.choice((no_reply(), reply(503, {"error": "x"})))
        if self.faults.strikes("trades are garbage", 0.1):
            return reply(200, [{"maker_orders": [{"order_id": "0x1", "matched_amount": "NaN"}]}, 7])
        trades = []
        for order in self.orders.values():
            for status, amount in (("MATCHED", order.filled), ("FAILED", order.failed)):
                if amount:
                    maker = {"order_id": order.order_id, "matched_amount": str(from_micro(amount))}
                    trades.append({"status": status, "taker_order_id": "0x0", "maker_orders": [maker]})
        return reply(200, trades)

    # ---- how a request lands, and how it is answered

    async def _call(
        self, call: str, names: str, fate: Fate, land: Callable[[], ExchangeReply]
    ) -> ExchangeReply:
        told: asyncio.Future[ExchangeReply] = self.loop.create_future()
        self.story.tell("{} of {} is sent", call, names)
        self.on_call()

        def arrive() -> None:
            answer = land()
            if not told.done():
                told.set_result(answer)

        if fate.landed:
            travel = self._travel(fate)
            if travel:
                self.loop.later(travel, arrive)
            else:
                arrive()
        try:
            answer = await self._answer(call, names, fate, told)
        except asyncio.CancelledError:
            self.story.tell("nobody waits any more for the answer to {} of {}", call, names)
            raise
        self.story.tell("{} of {} is answered: {}", call, names, answer.status)
        return answer

    def _travel(self, fate: Fate) -> float:
        if fate.name == "late":
            return self.rng.random() * self.rng.choice((0.3, 3, 6))
        if self.faults.strikes("slow answers", 0.1):
            return self.rng.choice((0.2, 0.5, 1.9, 2.1, 4))
        return self.rng.random() * 0.05 if self.rng.random() < 0.5 else 0.0

    async def _answer(
        self, call: str, names: str, fate: Fate, told: asyncio.Future[ExchangeReply]
    ) -> ExchangeReply:
        if fate.landed and fate.name != "late":
            honest = await told
        await self.pause()
        if fate.name == "honest":
            return honest
        self.story.tell("the answer to {} of {} is not honest: {}", call, names, fate.name)
        if fate.name in {"lost", "late"}:
            return no_reply()
        if fate.name == "raises":
            raise ConnectionResetError("the connection was reset")
        if fate.name == "hangs":
            await asyncio.sleep(60)
            return no_reply()
        return self._lie(call, fate, [o.order_id for o in self.orders.values() if o.name in names.split()])

    def _lie(self, call: str, fate: Fate, order_ids: list[str]) -> ExchangeReply:
        rng = self.rng
        if fate.name == "5xx":
            return reply(rng.choice((500, 502, 503)), {"error": "x"})
        if fate.name in {"425", "400"}:
            return reply(int(fate.name), {"error": "restarting" if fate.name == "425" else "Invalid payload"})
        if fate.name.startswith("429"):
            venue = fate.name == "429 by the venue"
            return reply(429, {"error": "slow"}, {"poly-ratelimit-remaining": "0"} if venue else {})
        if fate.name == "contradiction":
            if call == "cancel":
                both = {"canceled": order_ids, "not_canceled": dict.fromkeys(order_ids, _GONE[0])}
                return reply(200, both)
            other = {"success": True, "errorMsg": "", "orderID": "0x" + "7" * 64, "status": "live"}
            return reply(200, other)
        empty = {"canceled": [], "not_canceled": {}} if call == "cancel" else {"success": True, "orderID": ""}
        truncated = ExchangeReply(status=200, body=json.dumps(empty).encode()[:-1])
        return rng.choice((truncated, reply(200, []), reply(200, empty)))

    def _cancel(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in order_ids:
            order = self.orders.get(order_id)
            if order is not None and order.status == "LIVE":
                self.end(order, "its cancel landed")
                canceled.append(order_id)
            elif order is not None and order.status == "DELAYED":
                refused[order_id] = "order is delayed and cannot be canceled"
            else:
                refused[order_id] = self.rng.choice(_GONE)
        return reply(200, {"canceled": canceled, "not_canceled": refused})

    def _post(self, order: Order, known: Order | None, bad_request: bool) -> ExchangeReply:
        if known is not None and known.status != "COMING":
            return reply(400, {"error": f"order {order.order_id} is invalid. Duplicated."})
        if bad_request:
            return reply(400, {"error": "invalid amounts"})
        if order.status != "COMING":
            return reply(400, {"error": f"order {order.order_id} is invalid. Duplicated."})
        order.status, status = "LIVE", "live"
        self.changed = True
        self.story.tell("{} lands: {} {} at {}", order.name, order.wish.side, order.size, order.price)
        self._drift(order)
        if self.faults.strikes("orders are delayed", 0.3):
            order.status, status = "DELAYED", "delayed"
            self.loop.later(self.rng.random() * 2, self._wake, order)
        if self.faults.strikes("orders match at once", 0.3):
            self.fill(order)
            status = "matched"
        return reply(200, {"success": True, "errorMsg": "", "orderID": order.order_id, "status": status})

    def _drift(self, order: Order) -> None:
        """Let the market run away from an order that has just come, as markets do."""
        if self.rng.random() < 0.7:
            market = self.markets[order.wish.token]
            market.mid += market.tick if order.wish.buying else -market.tick

    def _wake(self, order: Order) -> None:
        if order.status == "DELAYED":
            order.status = "LIVE"

    async def pause(self) -> None:
        """Take the time that an answer takes."""
        if self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.random() * 0.05)
        if self.faults.strikes("slow answers", 0.1):
            await asyncio.sleep(self.rng.choice((0.2, 0.5, 1.9, 2.1, 4)))

    def _name(self, order_id: str) -> Any:
        order = self.orders.get(order_id)
        return order_id[:10] if order is None else order.name
