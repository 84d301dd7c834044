"""What a cluster is like now, read from the bus alone: members, owners, tokens, lag, backlog."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from polytraders_pfh.engine.journal.entry import unpack
from polytraders_pfh.engine.journal.needed import Needed
from polytraders_pfh.host.cluster.buckets import Bucket, Value
from polytraders_pfh.host.cluster.kill import KEY
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.partition_log import read_entries
from polytraders_pfh.host.config_nats import ClusterSection


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition.

    Attributes:
        owner: Who has its key, or empty.
        alive: Whether that host's membership stands.
        token: Under which it is owned, 0 without an owner.
        lag_ms: The age of the oldest report that the report stream has not got yet, 0 without any.
        backlog: How many such reports there are.
        replay: How many entries of its log a takeover has to read.
        orders: Orders that are described and not closed.
    """

    partition: int
    owner: str
    alive: bool
    token: int
    lag_ms: int
    backlog: int
    replay: int
    orders: int


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The whole cluster. `killed` is the reason of a kill switch that is on, or None."""

    members: tuple[str, ...]
    killed: str | None
    partitions: tuple[PartitionStatus, ...]


async def read_status(link: BusLink, section: ClusterSection, now_ms: int) -> ClusterStatus:
    """Return what the bus says of a cluster.

    Raises:
        BusError: There is no such cluster, or the bus does not answer.
        JournalFailed: A log is damaged.
    """
    name = section.name
    sessions = {
        value.key: value.members.get("session") async for value in Bucket(link, f"{name}_hosts", 1).all()
    }
    keys = {value.key: value async for value in Bucket(link, f"{name}_partitions", 1).all()}
    orders = await _counted(Bucket(link, f"{name}_orders", 1).all())
    switch = await Bucket(link, f"{name}_control", 1).get(KEY)
    killed = str(switch.members.get("reason", "")) if switch and switch.members.get("active") else None
    partitions = [
        await _partition(link, name, n, keys.get(str(n)), sessions, orders.get(n, 0), now_ms)
        for n in range(section.partitions)
    ]
    return ClusterStatus(tuple(sorted(sessions)), killed, tuple(partitions))


async def _counted(values: AsyncIterator[Value]) -> dict[int, int]:
    """Return how many orders each partition has."""
    counts: dict[int, int] = {}
    async for value in values:
        partition = value.key.partition(".")[0]
        if partition.isdecimal():
            counts[int(partition)] = counts.get(int(partition), 0) + 1
    return counts


async def _partition(
    link: BusLink,
    name: str,
    number: int,
    key: Value | None,
    sessions: Mapping[str, Any],
    orders: int,
    now_ms: int,
) -> PartitionStatus:
    members: Mapping[str, Any] = {} if key is None else key.members
    needed, replay = Needed(), 0
    async for seq, data in read_entries(link, f"{name}_LOG", f"{name}.log.{number}"):
        needed.take(seq, unpack(data))
        replay += 1
    owner = str(members.get("host", ""))
    oldest_ms = min((record.at_ms for record in needed.reports.values()), default=now_ms)
    return PartitionStatus(
        partition=number,
        owner=owner,
        alive=bool(owner) and sessions.get(owner) == members.get("session"),
        token=0 if key is None or not owner else key.revision,
        lag_ms=max(now_ms - oldest_ms, 0),
        backlog=len(needed.reports),
        replay=replay,
        orders=orders,
    )
