"""One file of the log: strict append-only tables, written in transactions by one thread.

    segment    one row: the first number, the hash before it, the first report that may be undelivered
    records    number, kind, moment, canonical body, payload, hash
    keys       the digests of which there may be one record only, some carried over from the file before
    delivered  the reports that the bus has acknowledged, of this file or an earlier one
    ended      one row once the file is closed: the last number and hash. The next file begins there

`PRAGMA user_version` is the schema. A file of an older schema is read and never altered: it is ended as
it is found and the next one begins in the schema of the day. A file of a newer schema is refused.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from polytraders_pfh.engine.journal.chain import Head
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.shelf import sync_directory

SCHEMA: Final = 1
APPLICATION_ID: Final = 0x50464A31
_BUSY_S: Final = 5.0
_CHUNKS: Final = (64, 8, 1)
_KEYS_AT_ONCE: Final = 500
_CARRY_MS: Final = 3_600_000
_CARRY_LASTING_MS: Final = 90 * 86_400_000

_TABLES: Final = """
CREATE TABLE segment (
    one INTEGER PRIMARY KEY CHECK (one = 1), first_seq INTEGER NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32), undelivered_from INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL,
    payload BLOB NOT NULL, hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TABLE keys (
    digest BLOB PRIMARY KEY, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, lasting INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE delivered (seq INTEGER PRIMARY KEY) STRICT;
CREATE TABLE ended (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE INDEX reports ON records (seq) WHERE kind = 'reported';
CREATE INDEX moments ON records (at_ms) WHERE kind IN ('event_accepted', 'reported');
"""
_GUARD: Final = """
CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""
# Small pages: a commit of one record writes little, so that the reserve has room for hundreds.
_PRAGMAS: Final = (
    "page_size = 1024",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",
    "trusted_schema = OFF",
)
_NAMES: Final = ("segment", "records", "keys", "delivered", "ended")


class Row(NamedTuple):
    """A record as it stands in a file."""

    seq: int
    kind: str
    at_ms: int
    body: bytes
    payload: bytes
    hash: bytes


class KeyRow(NamedTuple):
    """A key as it stands in a file."""

    digest: bytes
    seq: int
    at_ms: int
    lasting: int


class Segment:
    """The live file, open for writing. Every method may raise sqlite3.Error, after which nothing is sure."""

    def __init__(self, path: Path, connection: sqlite3.Connection, head: Head) -> None:
        self.path = path
        self.head = head
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing file.

        Raises:
            JournalFailed: It is not of this schema.
        """
        connection = _connect(path)
        try:
            check_schema(connection, path)
            return cls(path, connection, head_in(connection))
        except BaseException:
            connection.close()
            raise

    @classmethod
    def create(cls, path: Path, after: Head, undelivered_from: int, before: Path | None, now_ms: int) -> Self:
        """Begin a file, in one transaction, with the keys that are still remembered from the one before."""
        connection = _connect(path)
        try:
            if before is not None:
                connection.execute("ATTACH DATABASE ? AS earlier", (f"file:{quoted(before)}?mode=ro",))
            connection.execute("BEGIN IMMEDIATE")
            _lay_out(connection, after, undelivered_from)
            if before is not None:
                connection.execute(
                    "INSERT INTO main.keys SELECT * FROM earlier.keys "
                    "WHERE at_ms >= ? OR (lasting AND at_ms >= ?)",
                    (now_ms - _CARRY_MS, now_ms - _CARRY_LASTING_MS),
                )
            connection.execute("COMMIT")
            if before is not None:
                connection.execute("DETACH DATABASE earlier")
            sync_directory(path.parent)
            return cls(path, connection, after)
        except BaseException:
            connection.close()
            raise

    def first_moment(self) -> int | None:
        """Return the moment of the first record, or None when there is none."""
        found = self._db.execute("SELECT at_ms FROM records ORDER BY seq LIMIT 1").fetchone()
        return None if found is None else int(found[0])

    def known(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Return which of these keys are taken, and by which record."""
        taken: dict[bytes, int] = {}
        for i in range(0, len(digests), _KEYS_AT_ONCE):
            part = digests[i : i + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(part))
            found = self._db.execute(f"SELECT digest, seq FROM keys WHERE digest IN ({marks})", part)  # noqa: S608  # marks only
            taken.update(found)
        return taken

    def write(self, rows: Sequence[Row], keys: Sequence[KeyRow], delivered: Sequence[int]) -> None:
        """Make these durable, all or none. An error leaves unknown which."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        self._insert("records", rows, 6)
        self._insert("keys", keys, 4)
        self._insert("delivered", [(seq,) for seq in delivered], 1)
        db.execute("COMMIT")
        if rows:
            self.head = Head(rows[-1].seq, rows[-1].hash)

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]], columns: int) -> None:
        """Insert many rows per statement: each statement gives the interpreter's lock away once or twice."""
        i, row_marks = 0, "(" + ",".join("?" * columns) + ")"
        verb = "INSERT OR IGNORE" if table == "delivered" else "INSERT"
        for size in _CHUNKS:
            while len(rows) - i >= size:
                values = [value for row in rows[i : i + size] for value in row]
                marks = ",".join([row_marks] * size)
                self._db.execute(f"{verb} INTO {table} VALUES {marks}", values)  # our own names
                i += size

    def checkpoint(self) -> None:
        """Copy what is durable in the write-ahead log into the file itself, as far as readers allow."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def bytes_used(self) -> int:
        """Return the size of the file with everything in it."""
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        size: int = self._db.execute("PRAGMA page_size").fetchone()[0]
        return pages * size

    def end(self) -> None:
        """Close the file for good: nothing more belongs into it, and no log stands beside it."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR IGNORE INTO ended VALUES (1, ?, ?)", (self.head.seq, self.head.hash))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        db.close()
        self.path.chmod(0o400)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that this version does not know.

    Raises:
        JournalFailed: It is newer, or no journal.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    schema = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise JournalFailed(f"{path} is no journal of this bot; move it away, then restart")
    if schema > SCHEMA:
        raise JournalFailed(
            f"{path} was written by a newer version (schema {schema}, this one knows {SCHEMA}); start that "
            "version again; until then nothing is posted, and cancels go on"
        )


def schema_of(connection: sqlite3.Connection) -> int:
    """Return the schema of a file; 0 for one in which nothing was ever written."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def head_in(connection: sqlite3.Connection) -> Head:
    """Return the last record's number and hash in a file, or what it begins after."""
    last = connection.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
    if last is None:
        last = connection.execute("SELECT first_seq - 1, prev_hash FROM segment").fetchone()
    if last is None:
        raise sqlite3.DatabaseError("the table `segment` is empty")
    return Head(int(last[0]), bytes(last[1]))


def _connect(path: Path) -> sqlite3.Connection:
    # For its owner alone; what SQLite puts beside the file takes the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        f"file:{quoted(path)}?mode=rwc", uri=True, isolation_level=None, timeout=_BUSY_S, cached_statements=64
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _lay_out(connection: sqlite3.Connection, after: Head, undelivered_from: int) -> None:
    statements = [part for part in _TABLES.split(";") if part.strip()]
    statements += [
        _GUARD.format(table=table, verb=verb).strip() for table in _NAMES for verb in ("UPDATE", "DELETE")
    ]
    for statement in statements:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO segment VALUES (1, ?, ?, ?)", (after.seq + 1, after.hash, undelivered_from)
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def quoted(path: Path) -> str:
    """Return a path as it stands in a URI that SQLite opens."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
