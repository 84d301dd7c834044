"""What waits for the writer, and what it makes of it: rows in the chain, keys, and who is told what."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from polytraders_pfh.engine.journal.chain import Head, link
from polytraders_pfh.engine.journal.commit import Commit, DuplicateRecord, JournalFailed
from polytraders_pfh.engine.journal.records import Key, Kind, Record, encode, unique_keys
from polytraders_pfh.engine.journal.segment import KeyRow, Row, Segment


class Append(NamedTuple):
    """A record on its way."""

    record: Record
    commit: Commit


class Mark(NamedTuple):
    """A report that the bus has."""

    seq: int


class Control(NamedTuple):
    """Something else to do at this place in the queue: end the segment, or stop."""

    what: str
    done: Callable[[Path | None], None]


class Told(NamedTuple):
    """What became of one append."""

    commit: Commit
    seq: int
    error: JournalFailed | None
    report: bool


Item = Append | Mark | Control


class Batch(NamedTuple):
    """What goes into one transaction, who is told once it is durable, and who is told no."""

    rows: list[Row]
    keys: list[KeyRow]
    kept: list[Told]
    refused: list[Told]


def prepare(segment: Segment, appends: Sequence[Append]) -> Batch:
    """Put the records in their places, leaving out what the log holds already and what has no form.

    Raises:
        sqlite3.Error: The keys of the segment could not be read.
    """
    head, batch = segment.head, Batch([], [], [], [])
    wanted = [(item, unique_keys(item.record)) for item in appends]
    taken = segment.known([key.digest for _, some in wanted for key in some])
    for item, some in wanted:
        earlier = [taken[key.digest] for key in some if key.digest in taken]
        if earlier:
            batch.refused.append(refused(item, _duplicate(item.record, earlier[0])))
            continue
        try:
            row = _row(head, item.record)
        except (TypeError, ValueError) as e:
            error = JournalFailed(f"a {item.record.kind} record has no form: {e}")
            batch.refused.append(refused(item, error))
            continue
        head = Head(row.seq, row.hash)
        batch.rows.append(row)
        batch.keys.extend(_key_rows(some, row))
        taken.update({key.digest: row.seq for key in some})
        batch.kept.append(Told(item.commit, row.seq, None, row.kind == Kind.REPORTED.value))
    return batch


def refused(item: Append, error: JournalFailed) -> Told:
    """Return the bad news for one append."""
    return Told(item.commit, 0, error, report=False)


def among(item: Append, items: Sequence[Append]) -> bool:
    """Whether this very append is one of these; two may carry equal records."""
    return any(item.commit is other.commit for other in items)


def _row(head: Head, record: Record) -> Row:
    body, seq = encode(record), head.seq + 1
    digest = link(head.hash, seq, body, record.payload)
    return Row(seq, record.kind.value, record.at_ms, body, record.payload, digest)


def _key_rows(keys: Sequence[Key], row: Row) -> list[KeyRow]:
    return [KeyRow(key.digest, row.seq, row.at_ms, int(key.lasting)) for key in keys]


def _duplicate(record: Record, earlier: int) -> DuplicateRecord:
    name = record.message_id or record.order_id
    return DuplicateRecord(f"a {record.kind} record for {name} is kept already, as record {earlier}")
