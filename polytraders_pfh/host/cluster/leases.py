"""Who owns which partition: one host at a time, under a token that only grows.

A partition's key names its owner and the session under which that took it; the key's revision is the
fencing token. It does not run out by itself: it is worth as much as its owner's membership. So a host
writes one key every quarter of the lease however many partitions it owns, and a partition is taken by
writing its key over the revision that its dead owner left, which one host alone can do.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from polytraders_hookspecs import Clock

from polytraders_pfh.host.cluster.assignment import assign
from polytraders_pfh.host.cluster.buckets import Bucket
from polytraders_pfh.host.cluster.membership import Membership
from polytraders_pfh.host.errors import BusError

_log: Final = logging.getLogger(__name__)
_BEATS: Final = 4
_LOOKS: Final = 4
_RESCAN_S: Final = 5.0
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Holding:
    """A partition's key: its owner, the owner's session, the token. Nobody owns it when `host` is empty."""

    host: str
    session: int
    token: int


_NOBODY: Final = Holding("", 0, 0)


class Leases:
    """What one host owns.

    Args:
        membership: This host's, claimed before `run`.
        bucket: Where partitions' keys are.
        partitions: How many there are.
        name: This host's.
        lease_s: Seconds.
        clock: The host's.

    Attributes:
        owned: The tokens of the partitions that are this host's, as far as it knows.
        on_gain: Called with partition and token when one was taken.
        on_loss: Called with each partition when the membership ran out.
        on_excess: Called with a partition that another member is to have; whoever is called releases it.
    """

    def __init__(
        self, membership: Membership, bucket: Bucket, partitions: int, name: str, lease_s: float, clock: Clock
    ) -> None:
        self._membership = membership
        self._bucket = bucket
        self._count = partitions
        self._name = name
        self._look_s = lease_s / _BEATS / _LOOKS
        self._clock = clock
        self._view: dict[int, Holding] = {}
        self._stale = True
        self._leaving = False
        self._scanned_ns = 0
        self.owned: dict[int, int] = {}
        self.on_gain: Callable[[int, int], None] = lambda *_: None
        self.on_loss: Callable[[int], None] = lambda _: None
        self.on_excess: Callable[[int], None] = lambda _: None

    def token(self, partition: int) -> int:
        """Return the token under which this host may post in a partition, 0 when it may not."""
        return self.owned.get(partition, 0) if self._membership.alive else 0

    def still_held(self, partition: int, token: int) -> bool:
        """Return whether a token is still good. Never waits."""
        return token > 0 and self.token(partition) == token

    def holder(self, partition: int) -> Holding:
        """Return who has a partition, as far as this host has seen."""
        return self._view.get(partition, _NOBODY)

    async def run(self) -> None:
        """Renew, look, take and give back, for ever."""
        beat = 0
        while True:
            try:
                await self._turn(beat)
            except BusError as e:
                _log.warning("the cluster could not be talked to: %s", e)
            self._drop_what_is_lost()
            beat = (beat + 1) % _LOOKS
            await self._clock.sleep(self._look_s)

    def saw(self, partition: int) -> None:
        """A partition's key was written by somebody: it is read again."""
        self._view.pop(partition, None)
        self._stale = True

    def rescan(self) -> None:
        """The connection was lost and is back: what was written meanwhile was not seen."""
        self._stale, self._scanned_ns = True, 0

    async def release(self, partition: int) -> None:
        """Give a partition back; whoever is to have it may take it at once. Raises BusError."""
        token = self.owned.get(partition, 0)
        if token:
            await self._bucket.put(str(partition), {"host": "", "session": 0}, last=token)
            if self.owned.get(partition) == token:
                del self.owned[partition]
            self.saw(partition)

    def leave(self) -> None:
        """Take nothing more."""
        self._leaving = True

    async def _turn(self, beat: int) -> None:
        member = self._membership
        if not member.session:
            self._drop_what_is_lost()
            if self._leaving or not await member.join():
                return
            _log.warning("host %s has joined the cluster again", self._name)
            self.rescan()
        elif beat == 0 and not await member.renew():
            return
        await self._look()
        if not self._leaving:
            await self._balance()

    async def _look(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if not self._scanned_ns or now_ns - self._scanned_ns > _RESCAN_S * _NS:
            await self._membership.look()
            found = [value async for value in self._bucket.all()]
            self._view = {int(value.key): _holding(value.members, value.revision) for value in found}
            self._scanned_ns, self._stale = now_ns, False
        await self._membership.look_for_the_silent()
        if self._stale:
            for partition in range(self._count):
                if partition not in self._view:
                    value = await self._bucket.get(str(partition))
                    self._view[partition] = _holding(value.members, value.revision) if value else _NOBODY
            self._stale = False

    async def _balance(self) -> None:
        """Take what is to be ours and is free; give up what is to be another's."""
        wanted = assign(self._count, self._membership.names)
        for partition, name in wanted.items():
            if name != self._name:
                if partition in self.owned:
                    self.on_excess(partition)
            elif partition not in self.owned:
                holding = self.holder(partition)
                if (holding.host, holding.session) == (self._name, self._membership.session):
                    self._own(partition, holding)  # taken, though the bus's answer was lost
                elif await self._is_free(holding):
                    await self._take(partition, holding)

    async def _is_free(self, holding: Holding) -> bool:
        if not holding.host:
            return True
        if self._membership.session_of(holding.host) == holding.session:
            return False
        return await self._membership.is_gone(holding.host, holding.session)

    async def _take(self, partition: int, before: Holding) -> None:
        session = self._membership.session
        taken = {"host": self._name, "session": session}
        self.saw(partition)  # whatever comes of it, it is read again unless it is known to be ours
        token = await self._bucket.put(str(partition), taken, last=before.token)
        if token is not None and self._membership.session == session:
            self._own(partition, Holding(self._name, session, token))

    def _own(self, partition: int, holding: Holding) -> None:
        self._view[partition] = holding
        self.owned[partition] = holding.token
        self.on_gain(partition, holding.token)

    def _drop_what_is_lost(self) -> None:
        if not self._membership.alive and self.owned:
            lost, self.owned = list(self.owned), {}
            _log.error("host %s could not renew its lease; it posts nothing more", self._name)
            for partition in lost:
                self.on_loss(partition)


def _holding(members: object, revision: int) -> Holding:
    facts = members if isinstance(members, dict) else {}
    return Holding(str(facts.get("host", "")), int(facts.get("session", 0)), revision)
