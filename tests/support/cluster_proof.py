"""Hosts as processes on a real bus against the paper exchange, disturbed in rounds; the exchange judges.

    PYTHONPATH=tests python -m support.cluster_proof --rounds 200 --seed 1

Each round has one fault in the middle of partial fills: a host killed (-9), a host stopped past its lease
and continued, or the bus stopped and started. Then every fill must have been answered by exactly one final
report, and the exchange's own books must show no overfill, no two live orders of one intent, and no order
of which the shared log does not know.
"""

import argparse
import asyncio
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from nats.aio.msg import Msg

from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.journal.entry import unpack
from polytraders_pfh.host import FeedTimings, Host, HostConfig, PlaceOrder
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.scan import last_sequence, read_past
from polytraders_pfh.host.cluster.status import read_status
from polytraders_pfh.host.config_nats import ClusterSection, NatsSection
from polytraders_pfh.paper.clock import SystemClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.protocol.server import PaperServer, serve
from support.nats_server import NatsServer

_DEFAULTS = 'default_policy = "chase", cancel_on_book_thin = false, min_remainder_size = 2'
FAULTS = ("kill", "stop", "bus")
PARTITIONS = 8
FAST = FeedTimings(first_pause_s=0.05, longest_pause_s=0.2)
_PATIENCE_S = 40.0


def market(number: int) -> Market:
    tokens = Outcome(str(10_000_000_000 + 2 * number), "Yes"), Outcome(str(10_000_000_001 + 2 * number), "No")
    return Market(f"0x{number:064x}", f"Will it rain on day {number}?", tokens)


@dataclass
class Verdict:
    """What a run has shown."""

    rounds: Counter[str] = field(default_factory=Counter)
    takeovers_s: list[float] = field(default_factory=list)
    orders: int = 0
    chases: int = 0
    events: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        median = statistics.median(self.takeovers_s) if self.takeovers_s else 0.0
        worst = max(self.takeovers_s, default=0.0)
        return (
            f"{sum(self.rounds.values())} rounds {dict(self.rounds)}: {self.orders} orders, "
            f"{self.chases} chases, {self.events} events; "
            f"takeover median {median:.2f} s, worst {worst:.2f} s; {len(self.faults)} violations"
        )


class HostProcess:
    """One host of the cluster as a process of its own."""

    def __init__(self, name: str, config: Path, log: Path, how: tuple[str, ...] = ()) -> None:
        self.name = name
        self._how = how
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.cluster_child", str(self._config), *self._how],
                stdout=log,
                stderr=log,
                env={"WALLET_KEY": "21" * 32, "PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""},
            )

    def is_stopped(self) -> bool:
        """Whether the process stands still."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Proof:
    """One cluster and its rounds."""

    def __init__(
        self, root: Path, bus: NatsServer, server: PaperServer, placer: Host, rival: Host, lease_s: float
    ) -> None:
        self._root = root
        self._bus = bus
        self._server = server
        self._placer = placer
        self._rival = rival
        self._section = ClusterSection(host="reader", partitions=PARTITIONS, lease_s=lease_s)
        self._link = BusLink(NatsSection(servers=(bus.url,)), "reader")
        self._markets = 0
        self._live_at_post: list[tuple[str, frozenset[str]]] = []
        self._told: dict[str, float] = {}
        self._roots: dict[str, int] = {}
        self.hosts: dict[str, HostProcess] = {}
        self.verdict = Verdict()

    async def open(self, how: tuple[str, ...]) -> None:
        """Start the hosts, the first of them in some way of its own."""
        await self._link.open()
        self._watch_posts()
        for name in ("a", "b"):
            log = self._root / f"{name}.log"
            self.hosts[name] = HostProcess(name, self._config(name), log, how if name == "a" else ())
            self.hosts[name].start()
        await self.until_owned({"a", "b"})
        await self._link.client.subscribe("polytraders.reports.execution.*", cb=self._on_report)

    async def round(self, fault: str, victim: str) -> None:
        """Fill orders in part, disturb, fill more, and wait until all of it is answered."""
        roots = [await self._place() for _ in range(6)]
        await self._fill(roots[:3])
        began = time.monotonic()
        host = self.hosts[victim]
        if fault == "kill":
            host.kill()
        elif fault == "stop":
            host.signal(signal.SIGSTOP)
        else:
            self._bus.stop(hard=True)
        await self._fill(roots[3:])
        if fault == "bus":
            self._bus.start()
        await self._until_told(roots)
        if fault != "bus":
            self.verdict.takeovers_s.append(max(self._told[root] for root in roots[3:]) - began)
        if fault == "stop":
            host.signal(signal.SIGCONT)
        elif fault == "kill":
            host.start()
        await self.until_owned({"a", "b"})
        self.verdict.rounds[fault] += 1

    async def late_posts(self) -> int:
        """Have host `a` stop on its way to a post; return how many orders it sends once it goes on.

        By then the other host owns everything, and has asked the exchange about the order that `a` meant.
        """
        stopping = self.hosts["a"]
        while not stopping.is_stopped():
            root = await self._place()
            await self._fill([root])
            async with asyncio.timeout(_PATIENCE_S):
                while root not in self._told and not stopping.is_stopped():
                    await asyncio.sleep(0.02)
        await self.until_owned({"b"})
        await self._until_told([root])
        before = len(self._live_at_post)
        stopping.signal(signal.SIGCONT)
        await self.until_owned({"a", "b"})
        return len(self._live_at_post) - before

    async def judge(self) -> None:
        """Hold the exchange's books against the shared log and the report stream."""
        self.verdict.events = len(self._told)
        records = await self._records()
        intended = {r.order_id: r.root_order_id for r in records if r.kind is Kind.POST_RECORDED}
        orders = self._ours()
        self.verdict.orders, self.verdict.chases = len(orders), len(orders) - len(self._roots)
        filled: Counter[str] = Counter()
        for order_id, order in orders.items():
            root = order_id if order_id in self._roots else intended.get(order_id)
            if root is None:
                self._fault(f"order {order_id} was posted without a record")
            else:
                filled[root] += order.size_matched_micro
        for root, size in self._roots.items():
            if filled[root] > size:
                self._fault(f"intent {root} filled {filled[root]} of {size}")
        for order_id, living in self._live_at_post:
            root = intended.get(order_id, order_id)
            both = [other for other in living if intended.get(other, other) == root and other != order_id]
            if both:
                self._fault(f"order {order_id} was posted while {both} of its intent lived")
        await self._judge_reports(records)

    async def _judge_reports(self, records: list[Record]) -> None:
        reports = await self._reports()
        finals = Counter((r["order_id"], r["event_ts_ms"]) for r in reports if r["final"] and r["order_id"])
        for key, count in finals.items():
            if count != 1:
                self._fault(f"event {key} has {count} final reports")
        accepted = {(r.order_id, r.facts["event_ts_ms"]) for r in records if r.kind is Kind.EVENT_ACCEPTED}
        for key in accepted - set(finals):
            self._fault(f"event {key} has no final report")
        levels = Counter((r["order_id"], str(r["filled_usd"])) for r in reports if r["final"])
        for level, count in levels.items():
            if count != 1 and level[0] is not None:
                self._fault(f"level {level} was told {count} times")

    def _fault(self, sentence: str) -> None:
        self.verdict.faults.append(sentence)

    async def until_owned(self, owners: set[str]) -> None:
        """Wait until every partition has a living owner, and each of these owns one."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                with suppress(Exception):
                    status = await read_status(self._link, self._section, 0)
                    found = {p.owner for p in status.partitions if p.alive}
                    if all(p.alive for p in status.partitions) and owners <= found:
                        return
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        for host in self.hosts.values():
            host.kill()
        await self._link.close()

    async def _place(self) -> str:
        """Rest an order in a market of its own, with something to chase three ticks above it."""
        self._markets += 1
        here, clock = market(self._markets), SystemClock()
        self._server.exchange.add_market(here, clock.now_ms())
        self._server.exchange.mint(self._rival.wallet.maker.lower(), here.condition_id, 400_000_000)
        await self._put(self._rival, here, "SELL", "0.43", 200)
        order_id = await self._put(self._placer, here, "BUY", "0.40", 100)
        self._roots[order_id] = 100_000_000
        return order_id

    async def _put(self, host: Host, here: Market, side: Any, price: str, shares: int) -> str:
        wish = PlaceOrder(
            token_id=here.outcomes[0].token_id,
            market_id=here.condition_id,
            side=side,
            price=Decimal(price),
            size_shares=Decimal(shares),
            neg_risk=False,
        )
        placed = await host.place(wish)
        assert placed.outcome == "accepted", placed.text
        return placed.order_id

    async def _fill(self, roots: list[str]) -> None:
        """Have the rival take 30 shares of each."""
        for root in roots:
            record = self._server.exchange.order(root)
            assert record is not None
            number = int(record.condition_id, 16)
            await self._put(self._rival, market(number), "SELL", "0.40", 30)

    async def _until_told(self, roots: list[str]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not all(root in self._told for root in roots):
                    for report in await self._reports_or_none():
                        if report["final"] and report["order_id"] in self._roots:
                            self._told.setdefault(report["order_id"], time.monotonic())
                    await asyncio.sleep(0.02)
        except TimeoutError:
            missing = [root for root in roots if root not in self._told]
            self._fault(f"no final report for {missing}")
            for root in missing:
                self._told[root] = time.monotonic()

    async def _on_report(self, msg: Msg) -> None:
        report = json.loads(msg.data)
        if report["final"] and report.get("order_id"):
            self._told.setdefault(report["order_id"], time.monotonic())

    async def _reports_or_none(self) -> list[dict[str, Any]]:
        """What stands there, every now and then, for what the subscription missed while the bus was away."""
        if random.random() > 0.05:
            return []
        with suppress(Exception):
            return await self._reports()
        return []

    async def _reports(self) -> list[dict[str, Any]]:
        found = []
        async for data in self._messages("POLYTRADERS_REPORTS", "polytraders.reports.execution.*"):
            found.append(json.loads(data, parse_float=Decimal))
        return found

    async def _records(self) -> list[Record]:
        found = []
        async for data in self._messages("polytraders_LOG", "polytraders.log.*"):
            if data:
                found += [stored.record for stored in unpack(data).records]
        return found

    async def _messages(self, stream: str, subject: str) -> AsyncIterator[bytes]:
        js = self._link.jetstream
        upto = await last_sequence(js, stream, subject)
        async for _, msg in read_past(js, stream, subject, upto):
            yield msg.data

    def _watch_posts(self) -> None:
        """Note, at each order that the exchange takes, which of ours were live then."""
        registry = self._server.exchange._floor.registry
        add = registry.add

        def watched(order: Any) -> None:
            rival = self._rival.wallet.maker.lower()
            if order.request.maker.lower() != rival:
                living = frozenset(o.order_id for o in registry.open_of(order.request.api_key))
                self._live_at_post.append((order.order_id, living))
            add(order)

        registry.add = watched  # type: ignore[method-assign]

    def _ours(self) -> dict[str, Any]:
        rival = self._rival.wallet.maker.lower()
        orders = self._server.exchange._floor.registry._orders.values()
        return {order.order_id: order.record() for order in orders if order.request.maker.lower() != rival}

    def _config(self, name: str) -> Path:
        path = self._root / f"{name}.toml"
        path.write_text(
            f'[host]\nstate_dir = "{self._root / name}"\nhttp_port = 0\n'
            f'[exchange]\nrest_url = "{self._server.url}"\nws_url = "{self._server.ws_url}"\n'
            f'[wallet]\nkey = {{ env = "WALLET_KEY" }}\n'
            f'[reports]\nbus = "nats"\n'
            f'[nats]\nservers = ["{self._bus.url}"]\nanswer_s = 0.5\n'
            f'[cluster]\nhost = "{name}"\npartitions = {PARTITIONS}\nlease_s = {self._section.lease_s}\n'
            f'[bots."exec.partialfillhandler"]\nmode = "general_live"\n'
            f"defaults = {{ {_DEFAULTS} }}\n"
        )
        return path


@asynccontextmanager
async def proof(root: Path, *how: str, lease_s: float = 2.0) -> AsyncIterator[Proof]:
    """Run exchange, bus and two hosts; the hosts are processes."""
    async with AsyncExitStack() as stack:
        bus = NatsServer(root / "nats")
        bus.start()
        stack.callback(bus.stop)
        server = await stack.enter_async_context(
            await serve(Exchange("cluster-proof"), clock=SystemClock(), tick_ms=10)
        )
        lone = []
        for name, key in (("placer", "21"), ("rival", "22")):
            members = {
                "host": {"state_dir": str(root / name), "http_port": 0},
                "exchange": {"rest_url": server.url, "ws_url": server.ws_url},
                "wallet": {"key": {"env": "PK"}},
                "reports": {"bus": "memory"},
            }
            host = Host(HostConfig.from_members(members), environ={"PK": key * 32}, timings=FAST)
            lone.append(await stack.enter_async_context(host))
        for host in lone:
            server.open_account(host.wallet.maker)
            server.exchange.deposit(host.wallet.maker.lower(), 10**13)
        found = Proof(root, bus, server, lone[0], lone[1], lease_s)
        stack.push_async_callback(found.close)
        await found.open(how)
        yield found


async def run(root: Path, rounds: int, seed: int, lease_s: float) -> Verdict:
    """Run so many rounds, and return what they have shown."""
    chance = random.Random(seed)
    async with proof(root, lease_s=lease_s) as going:
        for number in range(rounds):
            fault = FAULTS[number % len(FAULTS)] if number < len(FAULTS) else chance.choice(FAULTS)
            await going.round(fault, chance.choice(("a", "b")))
            if rounds > 20 and not number % 10:
                print(number + 1, fault, going.verdict, flush=True)
        await going.judge()
        return going.verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lease", type=float, default=2.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        verdict = asyncio.run(run(Path(root), asked.rounds, asked.seed, asked.lease))
    print(verdict)
    for fault in verdict.faults:
        print(" ", fault)
    sys.exit(bool(verdict.faults))


if __name__ == "__main__":
    main()
