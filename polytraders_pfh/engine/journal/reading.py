"""Read-only queries over the segments, for any thread but the loop's.

Each query opens its own connection and closes it: a reader that stays would keep SQLite from reusing its
write-ahead log. What is read is held against the hash chain; damage ends the reading with a sentence.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from polytraders_pfh.engine.journal.chain import Head, link
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.memory import seen_in
from polytraders_pfh.engine.journal.records import Kind, Record, Seen, Stored, decode
from polytraders_pfh.engine.journal.segment import Row, check_schema, head_in, quoted, schema_of

_CHUNK: Final = 500
_BUSY_S: Final = 1.0
# What a file with flipped bits raises: SQLite's own errors, values of another type, texts that are none.
DAMAGE: Final = (sqlite3.Error, TypeError, ValueError)
_COLUMNS: Final = "seq, kind, at_ms, body, payload, hash"


class Bounds(NamedTuple):
    """Where a segment begins and, once it is closed, where it ended."""

    before: Head
    undelivered_from: int
    ended: Head | None
    schema: int


def connect(path: Path) -> sqlite3.Connection:
    """Open a segment for reading only. The caller closes it.

    Raises:
        sqlite3.Error: It cannot be.
        JournalFailed: It is of a newer schema, or no journal.
    """
    beside = path.with_name(path.name + "-wal")
    try:
        return _checked(f"file:{quoted(path)}?mode=ro", path)
    except sqlite3.OperationalError:
        # A closed segment on a medium that cannot be written: no log beside it, so nothing can change.
        if beside.exists():
            raise
        return _checked(f"file:{quoted(path)}?mode=ro&immutable=1", path)


def bounds(path: Path) -> Bounds:
    """Return where a segment begins and ended. Raises as `connect` does."""
    with closing(connect(path)) as db:
        begun = db.execute("SELECT first_seq, prev_hash, undelivered_from FROM segment").fetchone()
        if begun is None:
            raise JournalFailed(f"{path} does not say where it begins; restore it from its export")
        ended = db.execute("SELECT seq, hash FROM ended").fetchone()
        return Bounds(
            Head(begun[0] - 1, begun[1]),
            begun[2],
            None if ended is None else Head(*ended),
            schema_of(db),
        )


def rows_of(path: Path, after: int = 0) -> Iterator[Row]:
    """Yield a segment's rows beyond `after` as they stand, unchecked. Raises as `connect` does."""
    while True:
        with closing(connect(path)) as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608  # our own names
                (after, _CHUNK),
            ).fetchall()
        if not found:
            return
        yield from (Row._make(row) for row in found)
        after = found[-1][0]


def chained(paths: Sequence[Path], after: int = 0) -> Iterator[Row]:
    """Yield the rows beyond `after` of consecutive segments, each held against the one before.

    Raises:
        JournalFailed: A record is altered, missing or moved, or a file is damaged.
    """
    head: Head | None = None
    for path in _reaching(paths, after):
        try:
            limits = bounds(path)
            if head is not None and limits.before != head:
                raise JournalFailed(
                    f"{path} does not follow record {head.seq}; a segment before it is missing or damaged"
                )
            head = limits.before
            for row in rows_of(path):
                head = follow(path, head, row)
                if row.seq > after:
                    yield row
            if limits.ended is not None and limits.ended != head:
                raise JournalFailed(
                    f"{path} was closed after record {limits.ended.seq} and ends at {head.seq}"
                )
        except DAMAGE as e:
            raise JournalFailed(f"{path} is damaged ({e}); restore it from its export") from e


def follow(path: Path, head: Head, row: Row) -> Head:
    """Return the head after this row.

    Raises:
        JournalFailed: The row does not follow.
    """
    if row.seq != head.seq + 1:
        raise JournalFailed(f"{path} lacks record {head.seq + 1}; restore it from its export")
    if link(head.hash, row.seq, row.body, row.payload) != row.hash:
        raise JournalFailed(f"record {row.seq} in {path} was altered; restore it from its export")
    return Head(row.seq, row.hash)


def record_in(row: Row) -> Record:
    """Return the record of a row.

    Raises:
        JournalFailed: The row holds none, or its columns say something else than its body.
    """
    try:
        record = decode(row.body, row.payload)
    except ValueError as e:
        raise JournalFailed(f"record {row.seq} cannot be read: {e}") from e
    if (record.kind, record.at_ms) != (row.kind, row.at_ms):
        raise JournalFailed(f"record {row.seq} stands under another kind or moment than its own")
    return record


def stored(paths: Sequence[Path], after: int, kinds: Collection[Kind] | None) -> Iterator[Stored]:
    """Yield the records beyond `after`, of these kinds or of all. Raises as `chained` does."""
    wanted = None if kinds is None else {kind.value for kind in kinds}
    for row in chained(paths, after):
        if wanted is None or row.kind in wanted:
            yield Stored(row.seq, record_in(row), row.hash)


def check_live(path: Path) -> Head:
    """Hold the live segment against its own structure and chain, and return its head.

    Raises:
        JournalFailed: It is damaged.
    """
    try:
        with closing(connect(path)) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise JournalFailed(f"{path} is damaged ({found}); restore it from a backup, then restart")
        head = bounds(path).before
        for row in rows_of(path):
            head = follow(path, head, row)
            record_in(row)
    except DAMAGE as e:
        raise JournalFailed(f"{path} is damaged ({e}); restore it from a backup, then restart") from e
    return head


def head_of(path: Path) -> Head:
    """Return a segment's last number and hash. Raises as `connect` does."""
    with closing(connect(path)) as db:
        return head_in(db)


def undelivered(paths: Sequence[Path], after: int, limit: int) -> list[Row]:
    """Return the first reports beyond `after` that no segment marks as delivered. Raises as `connect`."""
    if not paths:
        return []
    after = max(after, bounds(paths[-1]).undelivered_from - 1)
    found: list[Row] = []
    for i, path in enumerate(paths):
        cursor = after
        while len(found) < limit:
            part = _unmarked(path, cursor, limit)
            if not part:
                break
            cursor = part[-1].seq
            marked = _marked(paths[i + 1 :], part[0].seq, cursor)
            found += [row for row in part if row.seq not in marked]
    return found[:limit]


def count_undelivered(paths: Sequence[Path]) -> int:
    """Return how many reports no segment marks as delivered. Raises as `connect` does."""
    if not paths:
        return 0
    since = bounds(paths[-1]).undelivered_from
    total = 0
    for path in paths:
        with closing(connect(path)) as db:
            total += db.execute(
                "SELECT count(*) FROM records WHERE kind = 'reported' AND seq >= ?", (since,)
            ).fetchone()[0]
            total -= db.execute("SELECT count(*) FROM delivered WHERE seq >= ?", (since,)).fetchone()[0]
    return total


def seen_events(paths: Sequence[Path], since_ms: int) -> list[Seen]:
    """Return the events accepted since then, from the newest segments. Raises as `connect` does."""
    rows: list[Row] = []
    for path in reversed(paths):
        with closing(connect(path)) as db:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE kind IN ('event_accepted', 'reported') "  # noqa: S608
                "AND at_ms >= ? ORDER BY seq",
                (since_ms,),
            ).fetchall()
            last = db.execute("SELECT at_ms FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        rows = [Row._make(row) for row in found] + rows
        if last is not None and last[0] < since_ms:
            break
    return seen_in([record_in(row) for row in rows])


def _checked(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)
    try:
        check_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _reaching(paths: Sequence[Path], after: int) -> Sequence[Path]:
    """Leave out the segments that end before `after`, as their names tell."""
    keep = 0
    for i, path in enumerate(paths):
        if int(path.stem.removeprefix("journal-")) <= after + 1:
            keep = i
    return paths[keep:]


def _unmarked(path: Path, after: int, limit: int) -> list[Row]:
    with closing(connect(path)) as db:
        found = db.execute(
            f"SELECT {_COLUMNS} FROM records WHERE kind = 'reported' AND seq > ? "  # noqa: S608  # our own names
            "AND NOT EXISTS (SELECT 1 FROM delivered WHERE delivered.seq = records.seq) ORDER BY seq LIMIT ?",
            (after, limit),
        ).fetchall()
    return [Row._make(row) for row in found]


def _marked(paths: Sequence[Path], first: int, last: int) -> set[int]:
    marked: set[int] = set()
    for path in paths:
        with closing(connect(path)) as db:
            found = db.execute("SELECT seq FROM delivered WHERE seq BETWEEN ? AND ?", (first, last))
            marked.update(seq for (seq,) in found)
    return marked
