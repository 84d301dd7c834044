"""A cluster's status for people and for programs."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.clock import SystemClock
from polytraders_pfh.host.cluster.status import ClusterStatus, PartitionStatus, read_status
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.report_bus import nats_link

_HEADS: Final = ("partition", "owner", "token", "lag", "backlog", "replay", "orders")


@dataclass(frozen=True, slots=True)
class Shown:
    """A status that can be printed."""

    status: ClusterStatus

    def members(self) -> Mapping[str, Any]:
        """Return it for programs; times in milliseconds."""
        return asdict(self.status)

    def text(self) -> str:
        """Return it as lines for people."""
        killed = "" if self.status.killed is None else f"; kill switch ON: {self.status.killed}"
        rows = [_HEADS, *(_row(partition) for partition in self.status.partitions)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
        lines = []
        for row in rows:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(padded).rstrip())
        hosts = ", ".join(self.status.members) or "none"
        return "\n".join([f"hosts: {hosts}{killed}", *lines])


def show_status(config: HostConfig) -> tuple[Shown, bool]:
    """Return the status of a host's cluster, and whether every partition has a living owner.

    Raises:
        ConfigError: The config has no cluster.
        BusError: There is no such cluster, or the bus does not answer.
    """
    status = asyncio.run(_read(config))
    return Shown(status), all(partition.alive for partition in status.partitions)


async def _read(config: HostConfig) -> ClusterStatus:
    if config.cluster is None:
        raise ConfigError("the config has no section [cluster]; give the file of a host that is a member")
    link = nats_link(config, os.environ)
    await link.open()
    try:
        return await read_status(link, config.cluster, SystemClock().now_ms())
    finally:
        await link.close()


def _row(partition: PartitionStatus) -> tuple[str, ...]:
    owner = partition.owner or "nobody"
    return (
        str(partition.partition),
        owner if partition.alive or not partition.owner else f"{owner} (gone)",
        str(partition.token),
        f"{partition.lag_ms / 1000:.1f} s",
        str(partition.backlog),
        str(partition.replay),
        str(partition.orders),
    )
