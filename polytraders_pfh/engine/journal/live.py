"""Opening the live segment: find it, hold it against its own chain, or begin one where the last ended."""

import sqlite3
from contextlib import closing
from pathlib import Path

from polytraders_pfh.engine.journal import reading
from polytraders_pfh.engine.journal.chain import START, Head
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.segment import SCHEMA, Segment, quoted
from polytraders_pfh.engine.journal.shelf import Shelf


def open_live(shelf: Shelf, *, check: bool) -> Segment:
    """Return the segment to be written, with `check` after every record in it was held against the chain.

    Raises:
        JournalFailed: The last segment is damaged, newer than this version, or does not follow.
        sqlite3.Error, OSError: It could not be read or written.
    """
    paths = shelf.segments()
    unbegun = None
    if paths and not begun(paths[-1]):
        unbegun = paths.pop()
    if not paths:
        return Segment.create(unbegun or shelf.path_of(1), START, 1, None, 0)
    last = paths[-1]
    if unbegun is not None:
        _take_back(last)
    if check:
        reading.check_live(last)
        _check_joint(paths)
    limits = reading.bounds(last)
    if limits.ended is not None:
        return begin_after(shelf, last, limits.ended, 0)
    if limits.schema < SCHEMA:
        return roll(shelf, Segment.open(last), 0)
    return Segment.open(last)


def roll(shelf: Shelf, segment: Segment, now_ms: int) -> Segment:
    """End this segment and return the one that follows it. Raises as `open_live`."""
    segment.end()
    return begin_after(shelf, segment.path, segment.head, now_ms)


def begin_after(shelf: Shelf, last: Path, head: Head, now_ms: int) -> Segment:
    """Begin the segment that follows an ended one. Raises as `open_live`."""
    path = shelf.path_of(head.seq + 1)
    paths = [known for known in shelf.segments() if known != path]
    waiting = reading.undelivered(paths, 0, 1)
    undelivered_from = waiting[0].seq if waiting else head.seq + 1
    return Segment.create(path, head, undelivered_from, last, now_ms)


def begun(path: Path) -> bool:
    """Whether anything was ever written into this file; a crash may leave one that is empty.

    It is opened for writing, so that SQLite takes back what a crash left half done in it.

    Raises:
        sqlite3.Error: The file is no database.
    """
    with closing(sqlite3.connect(f"file:{quoted(path)}?mode=rw", uri=True)) as db:
        tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        return tables > 0


def _take_back(ended: Path) -> None:
    """Have SQLite take back how it was ending a segment, when the power went before the next one began.

    The file that tells it to may be there again although it was removed, and the segment read-only by then.
    """
    if ended.with_name(f"{ended.name}-journal").exists():
        ended.chmod(0o600)
        begun(ended)


def _check_joint(paths: list[Path]) -> None:
    if len(paths) < 2:
        return
    before, last = paths[-2], paths[-1]
    if reading.bounds(last).before != reading.head_of(before):
        raise JournalFailed(f"{last} does not follow {before}; restore what stood between, then restart")
