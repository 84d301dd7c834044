"""One kill switch for all hosts: what goes on at one is on at every one, and so is a start while it is on.

A signal takes effect in its own host before it is told to anybody; then it is written to the bus, which
passes the write on at once and keeps it. A host that was cut off meanwhile reads it when it is back, and
until then its lease runs out. The last write counts; every host keeps its own file as well.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from polytraders_hookspecs import Clock, KillSwitchSignal

from polytraders_pfh.host.cluster.buckets import Bucket
from polytraders_pfh.host.errors import BusError, KillSwitchUnknown
from polytraders_pfh.host.kill import FileKillSwitch
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)
KEY: Final = "kill"
_AGAIN_S: Final = 0.1


class ClusterKill:
    """The cluster's switch, as one host knows it.

    Args:
        bucket: Where it is.
        switch: This host's own.
        host: This host's name.
        clock: For pauses.
    """

    def __init__(self, bucket: Bucket, switch: FileKillSwitch, host: str, clock: Clock) -> None:
        self._bucket = bucket
        self._switch = switch
        self._host = host
        self._clock = clock
        self._tasks = Tasks()
        self._active = False
        self._telling: asyncio.Task[Any] | None = None

    async def read(self) -> None:
        """Take in what the bus has. Raises BusError."""
        value = await self._bucket.get(KEY)
        if value is not None and (self._telling is None or self._telling.done()):
            self.saw(value.members)

    def saw(self, members: Mapping[str, Any] | None) -> None:
        """Take in a write of another host."""
        if members is None or (members.get("host") == self._host and self._active == members.get("active")):
            return
        active = members.get("active") is True
        if active != self._active:
            self._active = active
            actor = f"{members.get('actor', '')} at host {members.get('host', '')}"
            self._tasks.spawn(self._apply(active, str(members.get("reason", "")), actor), "cluster kill")

    def told(self, signal: KillSwitchSignal) -> None:
        """This host's own switch was moved; every other host is told until the bus has it."""
        if signal.active != self._active:
            self._active = signal.active
            if self._telling is not None:
                self._telling.cancel()
            self._telling = self._tasks.spawn(self._tell(signal), "telling of the kill switch")

    async def close(self) -> None:
        """Tell nobody any more."""
        await self._tasks.close()

    async def _apply(self, active: bool, reason: str, actor: str) -> None:
        try:
            await self._switch.signal(active, reason, actor)
        except KillSwitchUnknown as e:
            _log.error("%s", e)

    async def _tell(self, signal: KillSwitchSignal) -> None:
        members = {
            "active": signal.active,
            "reason": signal.reason,
            "actor": signal.actor or "",
            "ts_ms": signal.ts_ms,
            "host": self._host,
        }
        while True:
            try:
                await self._bucket.put(KEY, members)
            except BusError as e:
                _log.error("the other hosts do not know of the kill switch yet: %s", e)
                await self._clock.sleep(_AGAIN_S)
            else:
                return
