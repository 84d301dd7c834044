"""Key-value buckets, made as every host of the cluster needs them, and read whole."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from nats.errors import Error as NatsError
from nats.js.api import Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.cluster.scan import last_sequence, newest_message, read_past
from polytraders_pfh.host.cluster.streams import ensure_stream
from polytraders_pfh.host.cluster.whole import whole
from polytraders_pfh.host.errors import BusError

_OPERATION = "KV-Operation"
_WRONG_LAST = frozenset({10071, 10164})


@dataclass(frozen=True, slots=True)
class Value:
    """A key's value and its revision."""

    key: str
    members: Mapping[str, Any]
    revision: int


class Bucket:
    """One bucket of JSON values, a stream as `nats kv` knows it.

    Args:
        link: The connection.
        name: The bucket.
        replicas: On how many servers it is kept.
        ttl_s: How long a value lives that is not written again; 0 for ever.
    """

    def __init__(self, link: BusLink, name: str, replicas: int, ttl_s: float = 0) -> None:
        self._link = link
        self.name = name
        self._stream = f"KV_{name}"
        self._replicas = replicas
        self._ttl_s = ttl_s

    async def open(self) -> None:
        """Make it, or hold it against what it has to be.

        Raises:
            BusError: It is another one, or the bus does not answer.
        """
        config = StreamConfig(
            name=self._stream,
            subjects=[f"$KV.{self.name}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=self._ttl_s,
            max_msgs_per_subject=1,
            duplicate_window=min(self._ttl_s, 120) or 120,
            num_replicas=self._replicas,
            allow_rollup_hdrs=True,
            deny_delete=True,
            deny_purge=False,
        )
        await ensure_stream(self._link.jetstream, config)

    def subject(self, key: str) -> str:
        """Return the subject that a key's writes go to."""
        return f"$KV.{self.name}.{key}"

    async def get(self, key: str) -> Value | None:
        """Return the newest value, or None. `*` in the key stands for any one part of it.

        Raises:
            BusError: The bus did not say.
        """
        msg = await newest_message(self._link.jetstream, self._stream, self.subject(key))
        return (
            None
            if msg is None
            else self._value(msg.subject or "", msg.data or b"", msg.headers, msg.seq or 0)
        )

    async def free(self, key: str) -> int | None:
        """Return the revision that a key's first value has to follow, or None while it has a value.

        Raises:
            BusError: The bus did not say.
        """
        msg = await newest_message(self._link.jetstream, self._stream, self.subject(key))
        if msg is None:
            return 0
        return None if self._value(key, msg.data or b"", msg.headers, 0) else msg.seq

    async def put(self, key: str, members: Mapping[str, Any], last: int | None = None) -> int | None:
        """Write a value; return its revision, or None when the newest revision was not `last`.

        Raises:
            BusError: The bus did not take it, or nobody knows.
        """
        return await self._write(key, json.dumps(members, separators=(",", ":")).encode(), {}, last)

    async def delete(self, key: str, last: int | None = None) -> int | None:
        """Delete a value; as `put`."""
        return await self._write(key, b"", {_OPERATION: "DEL"}, last)

    async def forget(self, key: str) -> None:
        """Delete a value and what reminds of it. Raises BusError."""
        try:
            await whole(self._link.jetstream.purge_stream(self._stream, subject=self.subject(key)))
        except (TimeoutError, NatsError) as e:
            raise BusError(f"{self.name} could not be written ({e or 'no answer'})") from None

    async def all(self, keys: str = ">") -> AsyncIterator[Value]:
        """Yield the newest value of every key that fits, oldest first.

        Raises:
            BusError: The bus did not say.
        """
        js, subject = self._link.jetstream, self.subject(keys)
        upto = await last_sequence(js, self._stream, subject)
        async for seq, msg in read_past(js, self._stream, subject, upto):
            value = self._value(msg.subject, msg.data, msg.headers, seq)
            if value is not None:
                yield value

    def read(self, subject: str, data: bytes) -> tuple[str, Mapping[str, Any] | None]:
        """Return key and value of a write that was seen on its way; None for a deletion."""
        value = self._value(subject, data, None, 0)
        return subject.removeprefix(self.subject("")), None if value is None else value.members

    async def _write(self, key: str, data: bytes, headers: dict[str, str], last: int | None) -> int | None:
        if last is not None:
            headers[Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = str(last)
        try:
            ack = await whole(
                self._link.jetstream.publish(
                    self.subject(key), data, stream=self._stream, headers=headers or None
                )
            )
        except APIError as e:
            if e.err_code in _WRONG_LAST:
                return None
            raise BusError(f"{self.name} could not be written ({e.description})") from None
        except (TimeoutError, NatsError) as e:
            raise BusError(f"{self.name} could not be written ({e or 'no answer'})") from None
        return ack.seq

    def _value(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None, revision: int
    ) -> Value | None:
        if not data or (headers or {}).get(_OPERATION):
            return None
        try:
            members = json.loads(data)
        except ValueError:
            return None
        key = subject.removeprefix(self.subject(""))
        return Value(key, members, revision) if isinstance(members, dict) else None
