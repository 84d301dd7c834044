"""Whether a journal is whole: every altered, missing or reordered record is named, and a cut at its end.

A live journal is read without being touched; so are closed segments and exports, one file or a whole
directory. Only the standard library is used. A cut at the end, and a journal rewritten from end to end,
show against an anchor alone: a head (`number:hash`) that was written down elsewhere while it was true.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from polytraders_pfh.engine.journal import Head, JournalFailed
from polytraders_pfh.engine.journal.chain import GENESIS, START, link
from polytraders_pfh.engine.journal.reading import bounds, connect, record_in, rows_of
from polytraders_pfh.engine.journal.records import unique_keys
from polytraders_pfh.engine.journal.segment import Row
from polytraders_pfh.ops.sources import MANIFEST, lines_of, manifest_of, parts, row_in

_MOST_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `faults` are sentences, at most 100; `notes` say what could not be excluded."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    records: int
    first_seq: int
    head: Head

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def sentences(self) -> tuple[str, ...]:
        """All there is to say, the verdict first."""
        verdict = (
            f"{self.records} records from {self.first_seq} to {self.head.seq} follow each other; "
            f"the head is {self.head}"
            if self.ok
            else f"{len(self.faults)} faults in {self.records} records from {self.first_seq} on"
        )
        return (verdict, *self.faults, *self.notes)


@dataclass
class _Walk:
    """Where the walk along the chain stands, and what it met."""

    anchor: Head | None
    head: Head | None = None
    records: int = 0
    first_seq: int = 0
    anchored: bool = False
    faults: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(sentence)

    def begin(self, name: str, before: Head) -> None:
        """Enter a segment that says it follows `before`."""
        if self.head is None:
            self.first_seq = before.seq + 1
            if before.seq == 0 and before.hash != GENESIS:
                self.fault(f"{name} begins with record 1 after another hash than the first of all")
        elif before != self.head:
            lacking = before.seq - self.head.seq
            what = f"{lacking} records are missing before it" if lacking > 0 else "it follows something else"
            self.fault(f"{name} does not follow record {self.head.seq}: {what}")
        self.head = before

    def step(self, name: str, row: Row) -> None:
        """Take one record."""
        assert self.head is not None
        self.records += 1
        if row.seq > self.head.seq + 1:
            self.fault(f"{name}: records {self.head.seq + 1} to {row.seq - 1} are missing")
        elif row.seq <= self.head.seq:
            self.fault(f"{name}: record {row.seq} stands after record {self.head.seq}")
        elif link(self.head.hash, row.seq, row.body, row.payload) != row.hash:
            self.fault(f"{name}: record {row.seq} was altered, or does not follow the one before it")
        self.head = Head(row.seq, row.hash)
        if self.anchor is not None and row.seq == self.anchor.seq:
            self.anchored = True
            if row.hash != self.anchor.hash:
                self.fault(
                    f"{name}: record {row.seq} is not the one that was anchored; what leads to it differs"
                )

    def end(self, name: str, ended: Head | None) -> None:
        """Leave a segment that says where it ended."""
        assert self.head is not None
        if ended is not None and ended != self.head:
            self.fault(f"{name} was closed after record {ended.seq} and now ends at record {self.head.seq}")


def verify(path: Path, anchor: Head | None = None) -> Verification:
    """Hold a journal against its chain: a directory of segments or of exports, or one file of either.

    An anchor is a head that was written down elsewhere; without one a cut at the end cannot be excluded.
    Nothing is raised for what is wrong with the journal: it is a fault in the result.
    """
    walk = _Walk(anchor)
    found = parts(path)
    if not found:
        walk.fault(f"{path} holds neither segments nor exports of a journal; name the directory of one")
    for part in found:
        try:
            _walk_export(walk, part) if part.name.endswith(MANIFEST) else _walk_segment(walk, part)
        except (sqlite3.Error, JournalFailed, OSError, ValueError, TypeError, KeyError) as e:
            walk.fault(f"{part.name} cannot be read on ({type(e).__name__}: {e}); {_remedy(part)}")
    return _result(walk)


def _remedy(part: Path) -> str:
    if part.with_name(part.name + "-journal").exists():
        return "a crash left it in the middle of a change, so start the host once and verify again"
    return "restore it from a copy"


def _walk_segment(walk: _Walk, path: Path) -> None:
    with closing(connect(path)) as db:
        found = [text for (text,) in db.execute("PRAGMA integrity_check(10)")]
        keys = {bytes(digest): seq for digest, seq in db.execute("SELECT digest, seq FROM keys")}
    for fault in found if found != ["ok"] else ():
        walk.fault(f"{path.name} is damaged: {fault}")
    limits = bounds(path)
    walk.begin(path.name, limits.before)
    for row in rows_of(path):
        walk.step(path.name, row)
        try:
            record = record_in(row)
        except JournalFailed as e:
            walk.fault(f"{path.name}: {e}")
            continue
        for key in unique_keys(record):
            if keys.get(key.digest) != row.seq:
                walk.fault(f"{path.name}: a key of record {row.seq} is missing or stands for another record")
    walk.end(path.name, limits.ended)


def _walk_export(walk: _Walk, path: Path) -> None:
    manifest = manifest_of(path)
    before = Head(manifest["first_seq"] - 1, bytes.fromhex(manifest["prev_hash"]))
    lines = Path(manifest["file"]).name
    walk.begin(lines, before)
    counted, digest = walk.records, sha256()
    for line in lines_of(manifest, path):
        digest.update(line)
        row = row_in(line)
        walk.step(lines, row)
        try:
            record_in(row)
        except JournalFailed as e:
            walk.fault(f"{lines}: {e}")
    if digest.hexdigest() != manifest["sha256"]:
        walk.fault(f"{lines} is not the file its manifest was written for")
    if walk.records - counted != manifest["records"]:
        walk.fault(f"{lines} holds {walk.records - counted} records, its manifest says {manifest['records']}")
    walk.end(lines, Head(manifest["last_seq"], bytes.fromhex(manifest["head_hash"])))


def _result(walk: _Walk) -> Verification:
    notes: list[str] = []
    head, anchor = walk.head or START, walk.anchor
    if walk.first_seq > 1:
        notes.append(f"what stands before record {walk.first_seq} is elsewhere; verify it there")
    if anchor is None:
        notes.append("without an anchor a cut at the end cannot be excluded")
    elif anchor.seq > head.seq:
        walk.fault(f"the journal ends at record {head.seq}; record {anchor.seq} was anchored, so it was cut")
    elif not walk.anchored and anchor.seq >= walk.first_seq:
        walk.fault(f"the anchored record {anchor.seq} is missing")
    elif not walk.anchored:
        notes.append(f"the anchor, record {anchor.seq}, stands before what is here; use a newer one")
    return Verification(tuple(walk.faults), tuple(notes), walk.records, walk.first_seq, head)
