"""One partition's shared log: written by its owner alone, read by whoever takes it over.

An entry is one message on the partition's subject. It is sent with the sequence that the subject must still
end in, so the first thing that a new owner writes, its claim, makes the bus refuse whatever an earlier owner
sends after it, however late that wakes.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError
from polytraders_hookspecs import Clock

from polytraders_pfh.host.cluster.leases import Leases
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.scan import newest_message, read_past
from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.errors import BusError, LeaseLost

_log: Final = logging.getLogger(__name__)
TOKEN: Final = "Polytraders-Token"  # noqa: S105  # the fencing token, no secret
NEEDED: Final = "Polytraders-Needed"
SEVEN_YEARS_S: Final = 2_557 * 86_400
_WRONG_LAST: Final = frozenset({10071, 10164})
_AGAIN_S: Final = 0.05


class PartitionLog:
    """The contract's `SharedLog` and `Fence` for one partition under one token.

    Args:
        link: The connection.
        stream: The cluster's log; its subjects are `<prefix>.<partition>`.
        prefix: See there.
        partition: Which.
        token: The token under which it is owned.
        leases: Whether it still is.
        clock: For pauses.

    Attributes:
        on_broken: Called when an entry was refused although the lease stands: the bots have to begin anew.
    """

    def __init__(
        self,
        link: BusLink,
        stream: str,
        prefix: str,
        partition: int,
        token: int,
        leases: Leases,
        clock: Clock,
    ) -> None:
        self._link = link
        self._stream = stream
        self._subject = f"{prefix}.{partition}"
        self._partition = partition
        self._token = token
        self._leases = leases
        self._clock = clock
        self._last = self._claim = 0
        self._entries = 0
        self.on_broken: Callable[[], None] = lambda: None

    async def claim(self) -> None:
        """Make the log this owner's: nobody before it can write any more.

        Raises:
            LeaseLost: A later owner has claimed it, or the lease ran out meanwhile.
        """
        while self.held():
            try:
                last, headers = await newest(self._link, self._stream, self._subject)
                if int(headers.get(TOKEN, 0)) > self._token:
                    raise LeaseLost(f"partition {self._partition} was claimed under a later token")
                needed = int(headers.get(NEEDED, 0)) or last
                self._last = last
                if await self._send(b"", needed, f"{self._partition}-{self._token}-{last}-claim"):
                    self._claim = self._last
                    return
            except BusError as e:
                _log.warning("partition %d is not claimed yet: %s", self._partition, e)
                await self._clock.sleep(_AGAIN_S)
        raise LeaseLost(f"partition {self._partition} was lost before it was claimed")

    async def append(self, entry: bytes, needed_from: int) -> int:
        """Return the entry's number once the bus has it.

        Raises:
            LeaseLost: Another host has written, or the lease ran out before the bus took it.
        """
        self._entries += 1
        entry_id = f"{self._partition}-{self._token}-{self._claim}-{self._entries}"
        while self.held():
            try:
                if await self._send(entry, needed_from, entry_id) or await self._is_newest(entry_id):
                    return self._last
                break
            except BusError as e:
                _log.warning("partition %d: %s; trying again", self._partition, e)
                await self._clock.sleep(_AGAIN_S)
        if self.held():
            self.on_broken()
            raise LeaseLost(f"another host has written to partition {self._partition}")
        raise LeaseLost(f"the lease of partition {self._partition} ran out")

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the entries with their numbers, from the one that the last entry said is needed.

        Raises:
            BusError: The bus did not answer.
        """
        async for seq, entry in read_entries(self._link, self._stream, self._subject):
            yield seq, entry

    def held(self) -> bool:
        """Whether this owner may still write, and post."""
        return self._leases.still_held(self._partition, self._token)

    def token(self, root_order_id: str) -> int:
        """Return the token for posts; every order of one bot is in its partition."""
        return self._token if self.held() else 0

    def still_held(self, token: int) -> bool:
        """Return whether a token is still good. Never waits."""
        return token == self._token and self.held()

    async def _is_newest(self, entry_id: str) -> bool:
        """Whether the log ends with this entry: it was kept, and a restarted bus has forgotten its id."""
        last, headers = await newest(self._link, self._stream, self._subject)
        if headers.get(Header.MSG_ID.value) != entry_id:
            return False
        self._last = last
        return True

    async def _send(self, entry: bytes, needed_from: int, entry_id: str) -> bool:
        """Return True when it is kept, False when the subject does not end where it should."""
        headers = {
            Header.MSG_ID.value: entry_id,
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(self._last),
            TOKEN: str(self._token),
            NEEDED: str(needed_from),
        }
        try:
            ack = await whole(
                self._link.jetstream.publish(self._subject, entry, stream=self._stream, headers=headers)
            )
        except APIError as e:
            if e.err_code in _WRONG_LAST:
                return False
            raise BusError(f"the bus refused an entry ({e.description})") from None
        except (TimeoutError, NatsError) as e:
            raise BusError(f"the bus did not take an entry ({e or 'no answer'})") from None
        self._last = ack.seq
        return True


async def newest(link: BusLink, stream: str, subject: str) -> tuple[int, Mapping[str, str]]:
    """Return sequence and headers of a log's newest entry, 0 without any. Raises BusError."""
    msg = await newest_message(link.jetstream, stream, subject)
    return (0, {}) if msg is None else (msg.seq or 0, msg.headers or {})


async def read_entries(link: BusLink, stream: str, subject: str) -> AsyncIterator[tuple[int, bytes]]:
    """Yield a log's entries with their numbers, from the first that is needed. Raises BusError."""
    last, headers = await newest(link, stream, subject)
    needed = int(headers.get(NEEDED, 0)) or last
    async for seq, msg in read_past(link.jetstream, stream, subject, last, after=max(needed - 1, 0)):
        if msg.data:
            yield seq, msg.data


def log_stream(stream: str, prefix: str, partitions: int, replicas: int) -> StreamConfig:
    """Return the stream that the logs of all partitions are kept in."""
    return StreamConfig(
        name=stream,
        description="What bots did and are about to do, by partition: read by whoever takes over",
        subjects=[f"{prefix}.{n}" for n in range(partitions)],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=SEVEN_YEARS_S,
        duplicate_window=120,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
    )
