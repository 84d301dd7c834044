"""The sides of the chase benchmark, each a batch of chases one after the other: floor, ours, official SDK.

They run in worker processes, one for each backend of eth-keys, which is chosen by environment variable
when the first key is made. A worker takes orders over a pipe and answers with figures in microseconds.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
from chase_exchange import CHAIN_ID, Stamp
from chase_figures import CREDENTIALS, Figures
from chase_floor import Floor
from chase_ours import MarkedClob, MarkedSigner, Marks, Ours
from chase_sdk import Sdk
from support.fake_host import FakeHost
from support.orders import TEST_KEY, unsigned

from polytraders_pfh.host.auth import L2Auth
from polytraders_pfh.host.clob import ClobAdapter
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.config import TimeoutsSection
from polytraders_pfh.host.signer import WalletSigner
from polytraders_pfh.host.transport import ExchangeTransport
from polytraders_pfh.host.wallet import Wallet

NATIVE: Final = "eth_keys.backends.NativeECCBackend"
COINCURVE: Final = "eth_keys.backends.CoinCurveECCBackend"

_WARM_UP: Final = 5


class Batch(NamedTuple):
    """An order to a worker: which side, at which exchange, how many chases, how much idling before each."""

    side: str
    url: str
    count: int
    idle_s: float


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

    async def _floor(self, url: str) -> Floor:
        floor = Floor(url, self._own_directory(), L2Auth(CREDENTIALS, self._wallet.address, self._clock))
        await floor.open(await WalletSigner(self._wallet, self._clock).sign_order(unsigned()))
        return floor

    async def _ours(self, url: str) -> Ours:
        marks, transport = Marks(), ExchangeTransport(url)
        await transport.open()
        clob = ClobAdapter(transport, self._wallet, self._clock, TimeoutsSection(), CREDENTIALS)
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

    async def _sdk(self, url: str) -> Sdk:
        return Sdk(url)


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
