"""One entry of a shared log: a batch of records in their exact bytes, and the reports that were delivered.

    one line of JSON {"v", "first", "before", "delivered"}, then for each record
    length of body and of payload (4 bytes each, big-endian), body, payload

`first` is the first record's number, `before` the hash of the record before it, `delivered` the numbers of
reports that the bus has acknowledged since the entry before.
"""

import json
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from polytraders_pfh.engine.journal.chain import Head, link
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.records import Record, Stored, canonical, decode, encode

_SCHEMA: Final = 1
_LENGTHS: Final = struct.Struct(">II")


class Entry(NamedTuple):
    """What an entry says. `before` is the head that its first record follows."""

    before: Head
    records: tuple[Stored, ...]
    delivered: tuple[int, ...]

    @property
    def head(self) -> Head:
        """The head after it."""
        return Head(self.records[-1].seq, self.records[-1].hash) if self.records else self.before


def pack(before: Head, records: Sequence[Record], delivered: Sequence[int]) -> tuple[bytes, Entry]:
    """Return the bytes of the entry that follows `before`, and what they say."""
    fields = {
        "v": _SCHEMA,
        "first": before.seq + 1,
        "before": before.hash.hex(),
        "delivered": list(delivered),
    }
    parts, head, stored = [canonical(fields), b"\n"], before, []
    for record in records:
        body = encode(record)
        head = Head(head.seq + 1, link(head.hash, head.seq + 1, body, record.payload))
        stored.append(Stored(head.seq, record, head.hash))
        parts += [_LENGTHS.pack(len(body), len(record.payload)), body, record.payload]
    return b"".join(parts), Entry(before, tuple(stored), tuple(delivered))


def unpack(data: bytes) -> Entry:
    """Return what an entry says.

    Raises:
        JournalFailed: The bytes are no entry that this version knows.
    """
    try:
        return _unpacked(data)
    except (ValueError, KeyError, TypeError, struct.error) as e:
        raise JournalFailed(f"an entry of the shared log is no entry this version knows ({e})") from e


def _unpacked(data: bytes) -> Entry:
    at = data.index(b"\n") + 1
    fields = json.loads(data[:at])
    if fields["v"] != _SCHEMA:
        raise ValueError(f"its schema is {fields['v']}")
    head = before = Head(fields["first"] - 1, bytes.fromhex(fields["before"]))
    stored = []
    while at < len(data):
        body_length, payload_length = _LENGTHS.unpack_from(data, at)
        at += _LENGTHS.size
        body, payload = data[at : at + body_length], data[at + body_length :][:payload_length]
        at += body_length + payload_length
        head = Head(head.seq + 1, link(head.hash, head.seq + 1, body, payload))
        stored.append(Stored(head.seq, decode(body, payload), head.hash))
    if at != len(data):
        raise ValueError("it ends in the middle of a record")
    return Entry(before, tuple(stored), tuple(fields["delivered"]))
