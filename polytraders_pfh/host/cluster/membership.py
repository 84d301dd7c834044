"""Being a member: a name that one host has at a time, kept alive by writing it again before it runs out.

The bucket forgets a name that was not written for `lease_s`, counted by the server from the moment at which
it took the last write. The host counts from the moment before it sent that, and takes a tenth less: so it
stops before anybody can see it gone. It counts by a clock that goes on while the process is stopped.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from polytraders_hookspecs import Clock

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host.cluster.buckets import Bucket

_log: Final = logging.getLogger(__name__)
_OWN_SHARE: Final = 0.9
_NS: Final = 1_000_000_000
_LOOK_AGAIN_S: Final = 0.05


class Membership:
    """One host's membership, and the others that it sees.

    Args:
        bucket: Where the names are; its values live for `lease_s`.
        name: This host's.
        lease_s: Seconds.
        clock: Its monotonic side counts the lease.

    Attributes:
        session: The revision under which the name was taken; 0 while it is not ours. It only grows.
    """

    def __init__(self, bucket: Bucket, name: str, lease_s: float, clock: Clock) -> None:
        self._bucket = bucket
        self._name = name
        self._lease_s = lease_s
        self._clock = clock
        self._revision = 0
        self._until_ns = 0
        self._seen: dict[str, tuple[int, int]] = {}
        self.session = 0

    @property
    def alive(self) -> bool:
        """Whether the name is surely still ours."""
        return self.session > 0 and self._clock.monotonic_ns() < self._until_ns

    @property
    def names(self) -> frozenset[str]:
        """Every member, this one included while it is alive."""
        others = {name for name, (session, _) in self._seen.items() if session and name != self._name}
        return frozenset(others | ({self._name} if self.alive else set()))

    def session_of(self, name: str) -> int:
        """Return the session under which a member is known, 0 for none."""
        return self.session if name == self._name else self._seen.get(name, (0, 0))[0]

    async def claim(self) -> None:
        """Take the name, waiting for as long as one that died may still hold it.

        Raises:
            ConfigError: Another host has it and lives.
            BusError: The bus does not answer.
        """
        until_ns = self._clock.monotonic_ns() + round((self._lease_s * 1.5 + 1) * _NS)
        while not await self.join():
            if self._clock.monotonic_ns() > until_ns:
                raise ConfigError(
                    f"cluster.host was {self._name!r}, and a host of that name is running; "
                    "give each host a name of its own"
                )
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def join(self) -> bool:
        """Take the name if it is free. Raises BusError."""
        sent_ns = self._clock.monotonic_ns()
        free = await self._bucket.free(self._name)
        session = None if free is None else await self._bucket.put(self._name, {"session": 0}, last=free)
        if session is None:
            return False
        revision = await self._bucket.put(self._name, {"session": session}, last=session)
        if revision is None:
            return False
        self._revision, self._until_ns = revision, self._end_of(sent_ns)
        self.session = session
        return True

    async def renew(self) -> bool:
        """Write the name again; False when it is not ours any more.

        Raises:
            BusError: The bus does not answer; whether it was renewed is not known.
        """
        session = self.session
        while self.alive:
            sent_ns = self._clock.monotonic_ns()
            revision = await self._bucket.put(self._name, {"session": session}, last=self._revision)
            if revision is not None and self.alive:
                self._revision, self._until_ns = revision, self._end_of(sent_ns)
                return True
            earlier = await self._of_an_earlier_try(session)
            if earlier is None:
                break
            self._revision = earlier  # when it was taken is not known, so it is written once more
        self.session = 0
        return False

    async def leave(self) -> None:
        """Give the name back. Raises BusError."""
        session, self.session = self.session, 0
        if session:
            await self._bucket.delete(self._name, last=self._revision)

    def saw(self, name: str, members: Mapping[str, Any] | None) -> None:
        """Take in a write that another member made."""
        session = 0 if members is None else int(members.get("session", 0))
        if members is None:
            self._seen.pop(name, None)
        elif session:
            self._seen[name] = (session, self._clock.monotonic_ns())

    async def look(self) -> None:
        """Read every name anew. Raises BusError."""
        found = [value async for value in self._bucket.all()]
        self._seen.clear()
        for value in found:
            self.saw(value.key, value.members)

    async def look_for_the_silent(self) -> None:
        """Ask the bus about members that should have been heard of by now. Raises BusError."""
        now_ns = self._clock.monotonic_ns()
        for name, (_, heard_ns) in list(self._seen.items()):
            if now_ns - heard_ns > self._lease_s * _NS and name != self._name:
                value = await self._bucket.get(name)
                self.saw(name, None if value is None else value.members)
                if value is None:
                    _log.warning("host %s is gone", name)

    async def is_gone(self, name: str, session: int) -> bool:
        """Return whether a session has ended for sure, by what the bus says now. Raises BusError."""
        value = await self._bucket.get(name)
        return value is None or value.members.get("session") != session

    async def _of_an_earlier_try(self, session: int) -> int | None:
        """A renewal that went unanswered may have been taken: then the newest value is our own."""
        value = await self._bucket.get(self._name)
        ours = value is not None and value.members.get("session") == session
        return value.revision if ours and value is not None else None

    def _end_of(self, sent_ns: int) -> int:
        return sent_ns + round(self._lease_s * _OWN_SHARE * _NS)
