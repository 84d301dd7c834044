"""Members of a cluster on a real bus, in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.cluster.buckets import Bucket
from polytraders_pfh.host.cluster.leases import Leases
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.membership import Membership
from polytraders_pfh.host.config_nats import NatsSection
from support.nats_server import NatsServer


class PausedClock(SystemClock):
    """Real time, of which one member alone can be made to miss some, as a process that is stopped does."""

    def __init__(self) -> None:
        self.skipped_ns = 0
        self.going = asyncio.Event()
        self.going.set()

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.skipped_ns

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await self.going.wait()


class Member:
    """One host's leases, and what they told it."""

    def __init__(self, link: BusLink, name: str, cluster: str, partitions: int, lease_s: float) -> None:
        self.clock = PausedClock()
        self.link = link
        self.names = Bucket(link, f"{cluster}_hosts", 1, ttl_s=lease_s)
        self.keys = Bucket(link, f"{cluster}_partitions", 1)
        self.membership = Membership(self.names, name, lease_s, self.clock)
        self.leases = Leases(self.membership, self.keys, partitions, name, lease_s, self.clock)
        self.told: list[tuple[str, int]] = []
        self.leases.on_gain = lambda p, token: self.told.append(("gain", p))
        self.leases.on_loss = lambda p: self.told.append(("loss", p))
        self.leases.on_excess = self._excess
        self._releasing: set[asyncio.Task[None]] = set()
        self._run: asyncio.Task[None] | None = None

    def _excess(self, partition: int) -> None:
        task = asyncio.ensure_future(self.leases.release(partition))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def start(self) -> None:
        await self.names.open()
        await self.keys.open()
        await self.link.client.subscribe(self.names.subject("*"), cb=self._on_name)  # type: ignore[arg-type]
        await self.link.client.subscribe(self.keys.subject("*"), cb=self._on_key)  # type: ignore[arg-type]
        await self.membership.claim()
        self._run = asyncio.ensure_future(self.leases.run())

    async def kill(self) -> None:
        """Stop it where it stands."""
        if self._run is not None:
            self._run.cancel()
            with suppress(asyncio.CancelledError):
                await self._run

    async def _on_name(self, msg: object) -> None:
        self.membership.saw(*self.names.read(msg.subject, msg.data))  # type: ignore[attr-defined]

    async def _on_key(self, msg: object) -> None:
        self.leases.saw(int(self.keys.read(msg.subject, msg.data)[0]))  # type: ignore[attr-defined]


@asynccontextmanager
async def members(
    server: NatsServer, *names: str, cluster: str, partitions: int = 8, lease_s: float = 1.0
) -> AsyncIterator[list[Member]]:
    """Start these members one after the other."""
    started = []
    try:
        for name in names:
            link = BusLink(NatsSection(servers=(server.url,), answer_s=0.5), name)
            await link.open()
            member = Member(link, name, cluster, partitions, lease_s)
            started.append(member)
            await member.start()
        yield started
    finally:
        for member in started:
            await member.kill()
            await member.link.close()
