"""What a record is, its one exact form in bytes, and the keys that make it the only one of its kind.

The canonical form is JSON in ASCII with sorted keys and no blanks, `v` naming the schema of the record.
Optional texts are left out when empty. Texts, integers, booleans and null are the only values, so the
same record has the same bytes in every language and in every version that knows its schema.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, NamedTuple

RECORD_SCHEMA: Final = 1
_MAX_MS: Final = 2**63 - 1
_EXACT: Final = frozenset({str, int, bool, type(None)})
_OPTIONAL: Final = ("message_id", "partition_key", "traceparent")
_KEY_BYTES: Final = 16
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"))

Facts = Mapping[str, str | int | bool | None]


class Kind(StrEnum):
    """What a record says."""

    EVENT_ACCEPTED = "event_accepted"
    DECLARED = "declared"
    INTENT_OPENED = "intent_opened"
    INTENT_ENDED = "intent_ended"
    DECIDED = "decided"
    CANCEL_STARTED = "cancel_started"
    CANCEL_ANSWERED = "cancel_answered"
    SIZE_READ = "size_read"
    POST_RECORDED = "post_recorded"
    POST_STARTED = "post_started"
    POST_ANSWERED = "post_answered"
    FOUND = "found"
    HELD_BACK = "held_back"
    REPORTED = "reported"
    KILL_SWITCH = "kill_switch"
    COMMAND = "command"


RESERVED: Final = frozenset(
    {Kind.KILL_SWITCH, Kind.CANCEL_STARTED, Kind.CANCEL_ANSWERED, Kind.POST_ANSWERED, Kind.COMMAND}
)
"""What may still be written on a full disk, into the room of the reserve file: the switch and what a
person ordered, cancels, and the answer to a post that was in flight. Never the intent to post."""


class Record(NamedTuple):
    """One entry. `facts` holds texts, integers and booleans only, so that it has one exact form.

    A report carries its JSON in `payload` and the bus's `message_id` and `partition_key`; `traceparent`
    ties it to its trace. An accepted event carries the fact `event_ts_ms`; an intent to post carries the
    new order's hash as `order_id` and the order it takes the place of as the fact `replaces`: of these
    the log derives the keys by which it refuses a second one. A decision stands as the fact `decided`, with
    all that it rested on (`core.basis`), in whichever record of its event comes first.
    """

    kind: Kind
    at_ms: int
    trace_id: str
    root_order_id: str
    order_id: str
    facts: Facts
    payload: bytes = b""
    message_id: str = ""
    partition_key: str = ""
    traceparent: str = ""


class Stored(NamedTuple):
    """A record in its place."""

    seq: int
    record: Record
    hash: bytes


class Seen(NamedTuple):
    """An event that was accepted, and its latest report as JSON, or empty when none was kept."""

    order_id: str
    event_ts_ms: int
    report: bytes


class Key(NamedTuple):
    """A key of which the log takes one record. `lasting` keys are remembered for long, others for a while."""

    digest: bytes
    lasting: bool


def check_exact(record: Record) -> None:
    """Refuse what has no exact form. It would be a fault in this program, so it is found at once.

    Raises:
        TypeError: A fact is neither text, integer, boolean nor None, or a fact's name is no text.
        ValueError: `at_ms` is no moment.
    """
    for name, fact in record.facts.items():
        if type(fact) not in _EXACT or type(name) is not str:
            raise TypeError(
                f"the fact {name!r} of a {record.kind} record was a {type(fact).__name__}; "
                "write it as text, integer, boolean or None"
            )
    if not 0 <= record.at_ms <= _MAX_MS:
        raise ValueError(f"at_ms of a {record.kind} record was {record.at_ms}; give Unix milliseconds")


def encode(record: Record) -> bytes:
    """Return the canonical bytes of everything but the payload, which stands beside them as it is."""
    fields: dict[str, Any] = {
        "v": RECORD_SCHEMA,
        "kind": record.kind.value,
        "at_ms": record.at_ms,
        "trace_id": record.trace_id,
        "root_order_id": record.root_order_id,
        "order_id": record.order_id,
        "facts": dict(record.facts),
    }
    for name in _OPTIONAL:
        value = getattr(record, name)
        if value:
            fields[name] = value
    return canonical(fields)


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the one form in which these fields are hashed."""
    return _CANONICAL.encode(fields).encode("ascii")


def decode(body: bytes, payload: bytes) -> Record:
    """Return the record these bytes stand for.

    Raises:
        ValueError: They are not the canonical form of any record this version knows.
    """
    try:
        fields = json.loads(body)
        del fields["v"]  # named again by `encode`, and so compared
        record = Record(kind=Kind(fields.pop("kind")), payload=bytes(payload), **fields)
        check_exact(record)
        exact = encode(record) == body
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise ValueError(f"the bytes are no record of schema {RECORD_SCHEMA} ({e})") from e
    if not exact:
        raise ValueError("the bytes are not the canonical form of the record they stand for")
    return record


def unique_keys(record: Record) -> tuple[Key, ...]:
    """Return the keys of which there may be one record only.

    An event is accepted once. A report is kept once under its message id. An order is intended once, and
    once only for the remainder of the order it replaces: a second signature for that is refused.
    """
    if record.kind is Kind.REPORTED and record.message_id:
        return (_key("report", record.message_id),)
    if record.kind is Kind.EVENT_ACCEPTED and "event_ts_ms" in record.facts:
        return (_key("event", f"{record.order_id}:{record.facts['event_ts_ms']}"),)
    if record.kind is Kind.POST_RECORDED:
        order = _key("order", record.order_id, lasting=True)
        replaced = record.facts.get("replaces")
        if replaced is None:
            return (order,)
        return (order, _key("replaces", str(replaced), lasting=True))
    return ()


def _key(space: str, text: str, *, lasting: bool = False) -> Key:
    spelled = f"{space}:{text}".encode("utf-8", "surrogatepass")
    return Key(sha256(spelled).digest()[:_KEY_BYTES], lasting)
