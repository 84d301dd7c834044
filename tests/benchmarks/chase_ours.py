"""The plugin's side of the chase benchmark, cut into stages by marks around the host's services."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter_ns
from typing import Any, Final

from chase_exchange import MARKET, Stamp
from chase_figures import Figures, order_ids
from polytraders_hookspecs import BookSnapshot, SignedOrder, UnsignedOrder, gather_hook
from support.fake_host import FakeHost, book, partial

from polytraders_pfh.engine.journal import Commit, Kind, Record
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport

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


def _live_book(now_ms: int) -> BookSnapshot:
    asks = tuple([(f"0.{63 + i}", "1000") for i in range(5)])
    bids = tuple([(f"0.{61 - i}", "1000") for i in range(5)])
    return book(asks=asks, bids=bids, timestamp_ms=now_ms, market_id=MARKET)


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
