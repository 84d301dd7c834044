"""A host of hand-written stubs: a clock that is set, an exchange that keeps the truth and can lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pluggy
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from polytraders_hookspecs import (
    BookSnapshot,
    ExchangeReply,
    KillSwitchStatus,
    OrderFacts,
    SignedEvent,
    SignedOrder,
    UnsignedOrder,
    new_plugin_manager,
    sign_event,
)
from polytraders_hookspecs.wire import from_micro, print_json
from prometheus_client import CollectorRegistry

from polytraders_pfh import plugin
from polytraders_pfh.engine.orders import exchange_contract, order_hash
from support.canaries import FAKE_HOST_KEY

MARKET = "0x" + "a1" * 32
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
BUILDER = "0x706f6c7974726164657273" + "00" * 21
ROOT = "0x" + "c3" * 32
KEY_ID = "k1"
KEY = FAKE_HOST_KEY
NOW_MS = 1_746_770_100_000
TRACE = "trc_2b3c4d5e6f7a8b9c"


class FakeClock:
    """A clock that tests set. Short sleeps move it on at once; those of a second and more wait for `wake`."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms
        self._woken = asyncio.Event()

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000

    async def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            await self._woken.wait()
        self.ms += round(seconds * 1000)
        await asyncio.sleep(0)

    def wake(self) -> None:
        """Let every long sleep end, from now on."""
        self._woken.set()


@dataclass
class Resting:
    """One order on the fake exchange. Sizes in micro-shares."""

    size: int
    price: int
    matched: int = 0
    status: str = "LIVE"


Hook = Callable[..., Awaitable[Any] | Any]


@dataclass
class FakeExchange:
    """Keeps the truth about orders; `on_cancel`, `on_post`, `on_get` may answer in its place."""

    clock: FakeClock
    orders: dict[str, Resting] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    book: BookSnapshot | Exception | None = None
    on_cancel: Hook | None = None
    on_post: Hook | None = None
    on_get: Hook | None = None
    on_book: Hook | None = None
    on_trades: Hook | None = None

    async def get_book(self, token_id: str) -> BookSnapshot:
        self.calls.append(("book", token_id))
        if self.on_book is not None:
            answer = self.on_book(self)
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer is not None:
                return answer
        if isinstance(self.book, Exception):
            raise self.book
        assert self.book is not None
        return self.book

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        self.calls.append(("cancel", order_ids))
        return await self._answer(self.on_cancel, order_ids, self.really_cancel)

    async def post_order(self, order: SignedOrder) -> ExchangeReply:
        self.calls.append(("post", order))
        return await self._answer(self.on_post, order, self.really_post)

    async def get_order(self, order_id: str) -> ExchangeReply:
        self.calls.append(("get", order_id))
        return await self._answer(self.on_get, order_id, self.really_get)

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        self.calls.append(("trades", market_id))
        return await self._answer(self.on_trades, market_id, self.really_trades)

    def really_trades(self, market_id: str) -> ExchangeReply:
        makers = [
            {"order_id": order_id, "matched_amount": str(from_micro(order.matched))}
            for order_id, order in self.orders.items()
            if order.matched
        ]
        trade = {"id": "t1", "status": "MATCHED", "taker_order_id": "0x" + "0" * 64, "maker_orders": makers}
        return reply(200, [trade])

    async def _answer(
        self, hook: Hook | None, argument: Any, really: Callable[[Any], ExchangeReply]
    ) -> ExchangeReply:
        if hook is not None:
            answer = hook(self, argument)
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer is not None:
                return answer
        return really(argument)

    def really_cancel(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        canceled, not_canceled = [], {}
        for order_id in order_ids:
            order = self.orders.get(order_id)
            if order is not None and order.status == "LIVE":
                order.status = "CANCELED"
                canceled.append(order_id)
            else:
                not_canceled[order_id] = "order can't be found - already canceled or matched"
        return reply(200, {"canceled": canceled, "not_canceled": not_canceled})

    def really_post(self, order: SignedOrder) -> ExchangeReply:
        if order.order_id in self.orders:
            return reply(400, {"error": f"order {order.order_id} is invalid. Duplicated."})
        buying = order.side == "BUY"
        size = order.taker_amount_micro if buying else order.maker_amount_micro
        usd = order.maker_amount_micro if buying else order.taker_amount_micro
        self.orders[order.order_id] = Resting(size, usd * 1_000_000 // size)
        return reply(200, {"success": True, "errorMsg": "", "orderID": order.order_id, "status": "live"})

    def really_get(self, order_id: str) -> ExchangeReply:
        order = self.orders.get(order_id)
        if order is None:
            return reply(404, {"error": "Order not found"})
        return reply(
            200,
            {
                "id": order_id,
                "status": order.status,
                "original_size": str(from_micro(order.size)),
                "size_matched": str(from_micro(order.matched)),
                "price": str(from_micro(order.price)),
            },
        )

    def live(self) -> list[str]:
        """Return the ids of the orders that may still fill."""
        return [order_id for order_id, order in self.orders.items() if order.status == "LIVE"]

    def posted(self) -> list[SignedOrder]:
        """Return every order that was sent, in order."""
        return [what for kind, what in self.calls if kind == "post"]

    def cancels(self) -> list[tuple[str, ...]]:
        """Return every cancel request that was sent, in order."""
        return [what for kind, what in self.calls if kind == "cancel"]


class FakeSigner:
    """Signs nothing, but builds and hashes for real."""

    def __init__(self) -> None:
        self.salt = 1
        self.asked: list[UnsignedOrder] = []
        self.twist: Callable[[SignedOrder], Any] | None = None

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        self.asked.append(order)
        self.salt += 1
        signed = SignedOrder(
            order_id="0x" + "0" * 64,
            salt=self.salt,
            maker="0x1111111111111111111111111111111111111111",
            signer="0x1111111111111111111111111111111111111111",
            token_id=order.token_id,
            maker_amount_micro=order.maker_amount_micro,
            taker_amount_micro=order.taker_amount_micro,
            side=order.side,
            signature_type=0,
            timestamp_ms=NOW_MS + self.salt,
            builder_code=order.builder_code,
            expiration_s=order.expiration_s,
            order_type=order.order_type,
            post_only=order.post_only,
            chain_id=137,
            exchange_contract=exchange_contract(137, order.neg_risk),
            signature="0x" + "11" * 65,
        )
        signed = signed.model_copy(update={"order_id": order_hash(signed)})
        return signed if self.twist is None else self.twist(signed)


class FakeKillSwitch:
    """A kill switch service; an exception in `status_now` is raised."""

    def __init__(self) -> None:
        self.status_now: KillSwitchStatus | Exception = KillSwitchStatus(active=False)

    async def status(self) -> KillSwitchStatus:
        if isinstance(self.status_now, Exception):
            raise self.status_now
        return self.status_now


class FakeOrders:
    """What the order-lifecycle manager knows."""

    def __init__(self) -> None:
        self.known: dict[str, OrderFacts] = {}
        self.partials: tuple[OrderFacts, ...] = ()

    async def get(self, order_id: str) -> OrderFacts | None:
        return self.known.get(order_id)

    async def open_partials(self) -> tuple[OrderFacts, ...]:
        return self.partials


class FakeBus:
    """Keeps what was published; `down` makes it raise."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, bytes, str]] = []
        self.down = False
        self.arrived = asyncio.Event()

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        if self.down:
            raise ConnectionError("the bus is down")
        self.published.append((topic, key, payload, message_id))
        self.arrived.set()

    def reports(self) -> list[dict[str, Any]]:
        """Return the published reports as plain JSON."""
        return [json.loads(payload) for _, _, payload, _ in self.published]

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Return the reports once there are this many."""
        async with asyncio.timeout(5):
            while len(self.published) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.reports()


@dataclass
class FakeHost:
    """Every service of the contract, and the bot that was built from them."""

    config: Mapping[str, Any]
    state_dir: Path
    clock: FakeClock = field(default_factory=FakeClock)
    hookspec_version: str = "1.0"
    event_keys: Mapping[str, bytes] = field(default_factory=lambda: {KEY_ID: KEY})
    tracer_provider: TracerProvider = field(default_factory=NoOpTracerProvider)
    metrics_registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    signer: FakeSigner = field(default_factory=FakeSigner)
    kill_switch: FakeKillSwitch = field(default_factory=FakeKillSwitch)
    orders: FakeOrders = field(default_factory=FakeOrders)
    reports: FakeBus = field(default_factory=FakeBus)
    fence: Any = None
    shared_log: Any = None

    def __post_init__(self) -> None:
        self.exchange = FakeExchange(self.clock)
        self.manager: pluggy.PluginManager = new_plugin_manager()
        self.bot: Any = None

    @property
    def clob_public(self) -> FakeExchange:
        return self.exchange

    @property
    def clob_auth(self) -> FakeExchange:
        return self.exchange

    @property
    def hooks(self) -> pluggy.HookRelay:
        return self.manager.hook

    async def start(self) -> None:
        """Build the bot from the plugin module, register it, and let it recover."""
        self.bot = plugin.register_bot(self)
        self.manager.register(self.bot, "exec.partialfillhandler")
        await self.bot.on_host_start()

    async def stop(self) -> None:
        """Stop the bot."""
        if self.bot is not None:
            await self.bot.on_host_stop()

    def sample(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """Return a metric's value by its name without prefix."""
        full = f"polytraders_exec_partialfillhandler_{name}"
        return self.metrics_registry.get_sample_value(full, dict(labels or {}))


def reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> ExchangeReply:
    """Return an exchange's answer."""
    return ExchangeReply(status=status, body=json.dumps(body).encode(), headers=dict(headers or {}))


def no_reply(detail: str = "timeout") -> ExchangeReply:
    """Return what the host carries when no answer came."""
    return ExchangeReply(status=None, detail=detail)


def levels(*pairs: tuple[str, str]) -> tuple[tuple[int, int], ...]:
    """Return book levels from texts: ("0.62", "100")."""
    return tuple((int(Decimal(p) * 1_000_000), int(Decimal(s) * 1_000_000)) for p, s in pairs)


def book(
    bids: tuple[tuple[str, str], ...] = (("0.61", "1000"),),
    asks: tuple[tuple[str, str], ...] = (("0.63", "1000"),),
    **changes: Any,
) -> BookSnapshot:
    """Return a deep, honest book around 0.62 unless told otherwise."""
    facts: dict[str, Any] = {
        "token_id": TOKEN,
        "market_id": MARKET,
        "bids": levels(*bids),
        "asks": levels(*asks),
        "timestamp_ms": NOW_MS,
        "tick_micro": 10_000,
        "min_size_micro": 5_000_000,
        "neg_risk": False,
    }
    return BookSnapshot(**(facts | changes))


def partial(
    *,
    order_id: str = ROOT,
    side: str = "BUY",
    price: str = "0.62",
    filled: str = "200",
    remaining: str = "250",
    policy: str | None = "hold",
    wide: bool = False,
    at_ms: int = NOW_MS,
    trace_id: str = TRACE,
    key: bytes = KEY,
    strategy: str = "s1",
    **changes: Any,
) -> SignedEvent:
    """Return a signed PARTIAL, by default the card's example with its gaps filled in."""
    body: dict[str, Any] = {
        "order_id": order_id,
        "status": "PARTIAL",
        "filled_usd": Decimal(filled),
        "remaining_usd": Decimal(remaining),
        "original_price": Decimal(price),
        "side": side,
        "collateral": "pUSD",
        "builder_code": BUILDER,
        "market_id": MARKET,
        "token_id": TOKEN,
        "strategy": {"id": strategy, "partial_fill_policy": policy, "allow_wide_chase": wide},
    }
    body |= changes
    body = {name: value for name, value in body.items() if value is not None}
    return sign_event(
        key_id=KEY_ID, key=key, event_ts_ms=at_ms, trace_id=trace_id, body=print_json(body).encode()
    )
