"""The sides of the chase benchmark, each a batch of chases one after the other: floor, ours, official SDK.

They run in worker processes, one for each backend of eth-keys, which is chosen by environment variable
when the first key is made. A worker takes orders over a pipe and answers with figures in microseconds.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
from chase_exchange import CHAIN_ID, MARKET, Stamp
from polytraders_hookspecs import BookSnapshot, SignedOrder, UnsignedOrder, gather_hook
from py_clob_client_v2 import (
    ApiCreds,
    ClobClient,
    OrderArgs,
    OrderPayload,
    OrderType,
    PartialCreateOrderOptions,
    Side,
)
from support.fake_host import TOKEN, FakeHost, book, partial
from support.orders import TEST_KEY, unsigned
from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE

from polytraders_pfh.engine.journal import Commit, Kind, Record, SqliteJournal
from polytraders_pfh.host.auth import ApiCredentials, L2Auth
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.clob_bodies import compact, order_body
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.config import TimeoutsSection
from polytraders_pfh.host.secret import Secret
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet

Figures = dict[str, list[float]]
"""Microseconds of each chase by what was measured."""
NATIVE: Final = "eth_keys.backends.NativeECCBackend"
COINCURVE: Final = "eth_keys.backends.CoinCurveECCBackend"
STAGES: Final = (
    "decide",
    "confirm book",
    "to cancel",
    "cancel",
    "prove, read",
    "sign, check",
    "journal",
    "post",
    "report",
)
_WARM_UP: Final = 5
_CREDENTIALS: Final = ApiCredentials(API_KEY, Secret(API_SECRET), Secret(PASSPHRASE))


class Batch(NamedTuple):
    """An order to a worker: which side, at which exchange, how many chases, how much idling before each."""

    side: str
    url: str
    count: int
    idle_s: float


@dataclass
class Marks:
    """When things began and ended, in ns, for the chase that is under way."""

    calls: list[tuple[str, int, int]] = field(default_factory=list)

    async def around(self, name: str, call: Awaitable[Any]) -> Any:
        began = perf_counter_ns()
        answer = await call
        self.calls.append((name, began, perf_counter_ns()))
        return answer

    def take(self) -> dict[str, list[tuple[int, int]]]:
        """Return what was marked since the last time, by name, in the order of its end."""
        found: dict[str, list[tuple[int, int]]] = {}
        for name, began, ended in self.calls:
            found.setdefault(name, []).append((began, ended))
        self.calls.clear()
        return found


class MarkedClob:
    """The host's adapter, with a mark around each call."""

    def __init__(self, clob: ClobAdapter, marks: Marks) -> None:
        self._clob = clob
        self._marks = marks

    async def get_book(self, token_id: str) -> Any:
        return await self._marks.around("book", self._clob.get_book(token_id))

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> Any:
        return await self._marks.around("cancel", self._clob.cancel_orders(order_ids))

    async def post_order(self, order: SignedOrder) -> Any:
        return await self._marks.around("post", self._clob.post_order(order))

    async def get_order(self, order_id: str) -> Any:
        return await self._marks.around("order", self._clob.get_order(order_id))

    async def get_trades(self, market_id: str, after_ms: int) -> Any:
        return await self._marks.around("trades", self._clob.get_trades(market_id, after_ms))


class MarkedSigner:
    """The host's signer, with a mark around each call."""

    def __init__(self, signer: WalletSigner, marks: Marks) -> None:
        self._signer = signer
        self._marks = marks

    async def sign_order(self, order: UnsignedOrder) -> Any:
        return await self._marks.around("sign", self._signer.sign_order(order))


class Worker:
    """Runs batches. One at each exchange's URL is made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clock = SystemClock()
        self._wallet = Wallet(TEST_KEY, chain_id=CHAIN_ID)
        self._sides: dict[tuple[str, str], Any] = {}
        self._control: aiohttp.ClientSession | None = None

    async def batch(self, order: Batch) -> Figures:
        """Run one batch after a short warm-up, and return its figures."""
        key = (order.side, order.url)
        side = self._sides.get(key)
        if side is None:
            make: dict[str, Callable[[str], Awaitable[Any]]] = {
                "floor": self._floor,
                "ours": self._ours,
                "sdk": self._sdk,
            }
            side = self._sides[key] = await make[order.side](order.url)
            for _ in range(_WARM_UP):
                await side.chase()
        await self._log(order.url)
        side.begin()
        for _ in range(order.count):
            if order.idle_s:
                await asyncio.sleep(order.idle_s)
            await side.chase()
        return side.figures(await self._log(order.url))

    async def sign(self, count: int) -> Figures:
        """Time signatures alone, inline, and the empty hop to a thread that would carry one."""
        signer, found = WalletSigner(self._wallet, self._clock), Figures(sign=[], hop=[])
        for _ in range(count):
            began = perf_counter_ns()
            await signer.sign_order(unsigned())
            signed = perf_counter_ns()
            await asyncio.to_thread(int)
            found["sign"].append((signed - began) / 1e3)
            found["hop"].append((perf_counter_ns() - signed) / 1e3)
        return found

    async def close(self) -> None:
        for side in self._sides.values():
            await side.close()
        if self._control is not None:
            await self._control.close()

    async def _log(self, url: str) -> list[Stamp]:
        if self._control is None:
            self._control = aiohttp.ClientSession()
        async with self._control.get(f"{url}/log") as answer:
            return [tuple(stamp) for stamp in await answer.json()]

    def _own_directory(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._directory))

    async def _floor(self, url: str) -> "Floor":
        floor = Floor(url, self._own_directory(), L2Auth(_CREDENTIALS, self._wallet.address, self._clock))
        await floor.open(await WalletSigner(self._wallet, self._clock).sign_order(unsigned()))
        return floor

    async def _ours(self, url: str) -> "Ours":
        marks, transport = Marks(), ExchangeTransport(url)
        await transport.open()
        clob = ClobAdapter(transport, self._wallet, self._clock, TimeoutsSection(), _CREDENTIALS)
        # Deadlines above the injected round trip; the final report is waited for, never an interim one.
        host = FakeHost(
            config={"mode": "general_live", "execution": {"timeout_ms": 5_000}},
            state_dir=self._own_directory(),
            clock=self._clock,  # type: ignore[arg-type]
        )
        host.exchange = MarkedClob(clob, marks)  # type: ignore[assignment]
        host.signer = MarkedSigner(WalletSigner(self._wallet, self._clock), marks)  # type: ignore[assignment]
        await host.start()
        return Ours(host, transport, marks)

    async def _sdk(self, url: str) -> "Sdk":
        return Sdk(url)


def order_ids(space: int) -> Callable[[], str]:
    """Return a source of order ids, each another one."""
    count = iter(range(1, 2**60))
    return lambda: f"0x{space:04x}{next(count):060x}"


class Floor:
    """The same requests by the same client with the same settings, by hand, and one durable commit."""

    def __init__(self, url: str, directory: Path, auth: L2Auth) -> None:
        self._url = url
        self._auth = auth
        self._next_id = order_ids(1)
        self._fd = os.open(directory / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._journal = SqliteJournal(directory / "journal")
        self._found: list[dict[str, int]] = []

    async def open(self, signed: SignedOrder) -> None:
        self._body = order_body(signed, API_KEY)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, limit_per_host=64, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=2.0),
        )
        await self._journal.open()

    def begin(self) -> None:
        self._found.clear()

    async def chase(self) -> None:
        order_id = self._next_id()
        stamps = [perf_counter_ns()]

        def stamp() -> None:
            stamps.append(perf_counter_ns())

        await self._request("GET", f"/book?token_id={TOKEN}")
        stamp()
        await self._request("DELETE", "/order", compact({"orderID": order_id}))
        stamp()
        await asyncio.gather(
            self._request("GET", f"/data/order/{order_id}"),
            self._request("GET", f"/book?token_id={TOKEN}"),
            self._request("GET", "/data/trades", query=f"?market={MARKET}&after=1746770100&next_cursor=MA=="),
        )
        stamp()
        os.write(self._fd, b"x" * 420)
        os.fdatasync(self._fd)
        stamp()
        await self._journal.append(_intended(order_id))
        stamp()
        await self._request("POST", "/order", self._body)
        stamp()
        names = ("event", "book", "cancel", "read", "fdatasync", "sqlite", "post")
        self._found.append(dict(zip(names, stamps, strict=True)))

    def figures(self, log: list[Stamp]) -> Figures:
        """Return the figures; `bare` is the round trips alone, without either commit."""
        received = [stamp[2] for stamp in log if stamp[0] == "DELETE"]
        found = Figures()
        for one, cancel_ns in zip(self._found, received, strict=True):
            fdatasync, sqlite = one["fdatasync"] - one["read"], one["sqlite"] - one["fdatasync"]
            bare = one["post"] - one["event"] - fdatasync - sqlite
            spans = {
                "to cancel, bare": cancel_ns - one["event"],
                "to cancel, fdatasync": cancel_ns - one["event"] + fdatasync,
                "to cancel, sqlite": cancel_ns - one["event"] + sqlite,
                "whole, bare": bare,
                "whole, fdatasync": bare + fdatasync,
                "whole, sqlite": bare + sqlite,
                "confirm book": one["book"] - one["event"],
                "cancel": one["cancel"] - one["book"],
                "prove, read": one["read"] - one["cancel"],
                "fdatasync": fdatasync,
                "journal": sqlite,
                "post": one["post"] - one["sqlite"],
            }
            for name, span in spans.items():
                found.setdefault(name, []).append(span / 1e3)
        return found

    async def close(self) -> None:
        await self._session.close()
        await self._journal.close()
        os.close(self._fd)

    async def _request(self, method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
        headers = {} if path.startswith("/book") else self._auth.headers(method, path, body)
        if body:
            headers["Content-Type"] = "application/json"
        async with self._session.request(
            method, self._url + path + query, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            return await answer.read()


class Ours:
    """The plugin, its durable journal, and the host's own adapter and signer."""

    def __init__(self, host: FakeHost, transport: ExchangeTransport, marks: Marks) -> None:
        self._host = host
        self._transport = transport
        self._marks = marks
        self._next_id = order_ids(2)
        self._commits: list[tuple[int, Commit, list[int]]] = []
        self._found: list[dict[str, float]] = []
        self._journal = host.bot._engine.tools.journal
        self._append = self._journal.append
        self._journal.append = self._appended

    def begin(self) -> None:
        self._found.clear()

    async def chase(self) -> None:
        host, order_id = self._host, self._next_id()
        now_ms = host.clock.now_ms()
        host.bot.on_book_update(_live_book(now_ms))
        envelope = partial(order_id=order_id, at_ms=now_ms, trace_id=f"trc_{order_id[-16:]}", policy="chase")
        self._marks.take()
        self._commits.clear()
        began = perf_counter_ns()
        (result,) = await gather_hook(host.hooks.on_partial_fill, envelope=envelope)
        ended = perf_counter_ns()
        assert result.value is not None, result
        assert result.value.verdict == "CHASE_ORDER_SUBMITTED", result.value
        self._found.append(_stages(began, ended, self._marks.take(), self._intent_to_post()))

    def figures(self, log: list[Stamp]) -> Figures:
        received = [stamp[2] for stamp in log if stamp[0] == "DELETE"]
        found = Figures(waves=[_waves(log) / len(self._found)])
        for one, cancel_ns in zip(self._found, received, strict=True):
            spans = one | {"to cancel on the wire": cancel_ns - one["began"]}
            for name, span in spans.items():
                found.setdefault(name, []).append(span / 1e3)
        return found

    async def close(self) -> None:
        await self._host.stop()
        await self._transport.close()

    def _appended(self, record: Record) -> Commit:
        commit = self._append(record)
        if record.kind is Kind.POST_RECORDED:
            settled: list[int] = []
            commit.then(lambda _: settled.append(perf_counter_ns()))
            self._commits.append((perf_counter_ns(), commit, settled))
        return commit

    def _intent_to_post(self) -> tuple[int, int]:
        ((appended, commit, settled),) = self._commits
        assert commit.error is None
        return appended, settled[0]


class Sdk:
    """The official client as its README shows it, in a thread: cancel, then create and post."""

    def __init__(self, url: str) -> None:
        creds = ApiCreds(api_key=API_KEY, api_secret=API_SECRET, api_passphrase=PASSPHRASE)
        self._client = ClobClient(host=url, chain_id=CHAIN_ID, key=TEST_KEY.reveal(), creds=creds)
        self._next_id = order_ids(3)
        self._found: list[tuple[int, int]] = []

    def begin(self) -> None:
        self._found.clear()

    async def chase(self) -> None:
        began = perf_counter_ns()
        answer = await asyncio.to_thread(self._react, self._next_id())
        self._found.append((began, perf_counter_ns()))
        assert answer["success"], answer

    def figures(self, log: list[Stamp]) -> Figures:
        received = [stamp[2] for stamp in log if stamp[0] == "DELETE"]
        pairs = list(zip(self._found, received, strict=True))
        return {
            "to cancel on the wire": [(cancel_ns - began) / 1e3 for (began, _), cancel_ns in pairs],
            "to post acknowledged": [(ended - began) / 1e3 for began, ended in self._found],
        }

    async def close(self) -> None:
        """Nothing of its own is open."""

    def _react(self, order_id: str) -> Any:
        self._client.cancel_order(OrderPayload(orderID=order_id))
        return self._client.create_and_post_order(
            order_args=OrderArgs(token_id=TOKEN, price=0.63, side=Side.BUY, size=396.82),
            options=PartialCreateOrderOptions(tick_size="0.01"),
            order_type=OrderType.GTC,
        )


def work(orders: Connection, directory: str, cpu: int | None) -> None:
    """Take orders until told None. The body of a worker process."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    asyncio.run(_work(orders, Path(directory)))


async def _work(orders: Connection, directory: Path) -> None:
    worker = Worker(directory)
    while (order := await asyncio.to_thread(orders.recv)) is not None:
        orders.send(await (worker.sign(order) if isinstance(order, int) else worker.batch(order)))
    await worker.close()
    orders.send(None)


def _live_book(now_ms: int) -> BookSnapshot:
    asks = tuple([(f"0.{63 + i}", "1000") for i in range(5)])
    bids = tuple([(f"0.{61 - i}", "1000") for i in range(5)])
    return book(asks=asks, bids=bids, timestamp_ms=now_ms, market_id=MARKET)


def _intended(order_id: str) -> Record:
    facts: dict[str, str | int | bool | None] = {
        "price_micro": 630_000,
        "size_micro": 396_820_000,
        "replaces": order_id,
        "digest": "0" * 64,
    }
    return Record(Kind.POST_RECORDED, 1, "trc_0123456789abcdef", order_id, order_id[::-1], facts)


def _stages(
    began: int, ended: int, calls: dict[str, list[tuple[int, int]]], intended: tuple[int, int]
) -> dict[str, float]:
    """Cut one chase into stages that follow each other; `sign alone` lies inside one or two of them."""
    confirm, read_book = calls["book"]
    (cancel,), (post,) = calls["cancel"], calls["post"]
    (order,), (trades,) = calls["order"], calls["trades"]
    edges = (
        began,
        confirm[0],
        confirm[1],
        cancel[0],
        cancel[1],
        max(order[1], trades[1], read_book[1]),
        intended[0],
        post[0],
        post[1],
        ended,
    )
    spans = dict(zip(STAGES, [b - a for a, b in pairwise(edges)], strict=True))
    signing = sum(b - a for a, b in calls["sign"])
    return spans | {
        "began": began,
        "sign alone": signing,
        "commit alone": intended[1] - intended[0],
        "to post acknowledged": post[1] - began,
        "to report returned": ended - began,
    }


def _waves(log: list[Stamp]) -> int:
    """Return how many round trips followed each other: those that overlap count once."""
    count, until = 0, 0
    for _, _, received, answered in sorted(log, key=lambda stamp: stamp[2]):
        if received >= until:
            count, until = count + 1, answered
    return count


def median(figures: Figures, name: str) -> float:
    return statistics.median(figures[name])
