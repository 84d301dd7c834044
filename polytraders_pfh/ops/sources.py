"""Where a journal is read from: a directory of segments or of exports, one file of either, or what holds one.

Everything is read and nothing touched, so a live journal is as good a source as a closed or an exported one.
"""

import json
import re
import sqlite3
from base64 import b64decode
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from polytraders_pfh.engine.journal import JournalFailed, Kind, Stored
from polytraders_pfh.engine.journal.chain import Head, link
from polytraders_pfh.engine.journal.export import FORMAT, VERSION
from polytraders_pfh.engine.journal.reading import DAMAGE, connect, record_in, stored
from polytraders_pfh.engine.journal.records import canonical
from polytraders_pfh.engine.journal.segment import Row, quoted

_DEPTH: Final = 4
MANIFEST: Final = ".manifest.json"
_HASH: Final = re.compile(rb'\{"seq":\d+,"hash":"([0-9a-f]{64})"')
_AMONG: Final = """
SELECT r.seq, r.kind, r.at_ms, r.body, r.payload, r.hash,
    coalesce((SELECT p.hash FROM records p WHERE p.seq = r.seq - 1), (SELECT prev_hash FROM segment))
FROM records r WHERE r.kind = 'kill_switch' OR {} ORDER BY r.seq
"""


def journal_at(path: Path) -> Path:
    """Return the journal that a path means: itself, or the only one a few levels below it.

    Raises:
        JournalFailed: There is none, or more than one.
    """
    if not path.is_dir() or parts(path):
        return path
    near = [found.parent for depth in range(1, _DEPTH + 1) for found in path.glob("*/" * depth + "journal-*")]
    below = sorted({found for found in near if parts(found)})
    if len(below) == 1:
        return below[0]
    if not below:
        raise JournalFailed(
            f"{path} holds neither segments nor exports of a journal; name the directory of one"
        )
    names = ", ".join(str(found) for found in below[:5])
    raise JournalFailed(f"{path} holds {len(below)} journals; name one of them: {names}")


def parts(path: Path) -> list[Path]:
    """Return the files of a journal in their order: its segments or, without any, its exports' manifests."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    segments = sorted(path.glob("journal-*.db"))
    if segments:
        if unbegun(segments[-1]):
            segments.pop()
        return segments
    return sorted(path.glob(f"journal-*{MANIFEST}"))


def unbegun(path: Path) -> bool:
    """Whether a crash left this file before anything was written into it."""
    if path.with_name(path.name + "-wal").exists():
        return False
    if path.stat().st_size == 0:
        return True
    try:
        with closing(sqlite3.connect(f"file:{quoted(path)}?mode=ro&immutable=1", uri=True)) as db:
            tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            return tables == 0
    except sqlite3.Error:
        return False


def records(path: Path, kinds: Collection[Kind] | None = None) -> Iterator[Stored]:
    """Yield a journal's records of these kinds, or all, in order, each held against the one before.

    Raises:
        JournalFailed: The journal is not there, altered, or cannot be read.
    """
    path = journal_at(path)
    found = parts(path)
    if found and found[0].name.endswith(MANIFEST):
        wanted = None if kinds is None else {kind.value for kind in kinds}
        for row in _exported(found):
            if wanted is None or row.kind in wanted:
                yield Stored(row.seq, record_in(row), row.hash)
    else:
        yield from stored(found, 0, kinds)


def among(path: Path, words: Collection[str]) -> list[Stored]:
    """Return the records that say one of these words somewhere, and the kill switch's, each held to its hash.

    Raises:
        JournalFailed: The journal is not there, one of these records is altered, or it cannot be read.
    """
    path, found = journal_at(path), []
    for part in parts(path):
        try:
            rows = _exported_among(part, words) if part.name.endswith(MANIFEST) else _rows_among(part, words)
            for row, before in rows:
                if link(before, row.seq, row.body, row.payload) != row.hash:
                    raise JournalFailed(
                        f"record {row.seq} in {part.name} was altered; run `verify` on {path}"
                    )
                found.append(Stored(row.seq, record_in(row), row.hash))
        except (*DAMAGE, KeyError, OSError) as e:
            raise JournalFailed(f"{part} cannot be read ({e}); run `verify` on {path}") from e
    return found


def row_in(line: bytes) -> Row:
    """Return the row of one line of an export; its body is brought to the form that was hashed."""
    fields: dict[str, Any] = json.loads(line)
    body = canonical(fields["body"])
    payload = (
        b64decode(fields["payload_base64"], validate=True)
        if "payload_base64" in fields
        else fields.get("payload", "").encode()
    )
    return Row(
        fields["seq"],
        fields["body"]["kind"],
        fields["body"]["at_ms"],
        body,
        payload,
        bytes.fromhex(fields["hash"]),
    )


def manifest_of(path: Path) -> dict[str, Any]:
    """Return an export's manifest.

    Raises:
        ValueError: It is of another format than this version reads.
    """
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
        raise ValueError(f"its format was {manifest['format']!r} {manifest['version']}, this reads {VERSION}")
    return manifest


def lines_of(manifest: dict[str, Any], path: Path) -> Iterator[bytes]:
    """Yield the lines of an export, one record each."""
    with (path.parent / Path(manifest["file"]).name).open("rb") as lines:
        yield from lines


def _exported(manifests: list[Path]) -> Iterator[Row]:
    head: Head | None = None
    for path in manifests:
        try:
            manifest = manifest_of(path)
            before = Head(manifest["first_seq"] - 1, bytes.fromhex(manifest["prev_hash"]))
            if head is not None and head != before:
                raise JournalFailed(f"{path.name} does not follow record {head.seq}; an export is missing")
            head = before
            for line in lines_of(manifest, path):
                row = row_in(line)
                if row.seq != head.seq + 1 or link(head.hash, row.seq, row.body, row.payload) != row.hash:
                    raise JournalFailed(f"record {row.seq} of {path.name} was altered, or does not follow")
                head = Head(row.seq, row.hash)
                yield row
        except (ValueError, TypeError, KeyError, OSError) as e:
            raise JournalFailed(f"{path} cannot be read ({e}); run `verify` on it") from e


def _exported_among(path: Path, words: Collection[str]) -> Iterator[tuple[Row, bytes]]:
    manifest = manifest_of(path)
    needles = [b'"kind":"kill_switch"', *map(_needle, words)]
    before = bytes.fromhex(manifest["prev_hash"])
    for line in lines_of(manifest, path):
        if any(needle in line for needle in needles):
            yield row_in(line), before
        match = _HASH.match(line)
        if match is None:
            raise ValueError("a line is no record")
        before = bytes.fromhex(match[1].decode())


def _needle(word: str) -> bytes:
    """Return a whole word as the canonical form writes it."""
    return json.dumps(word).encode()


def _rows_among(path: Path, words: Collection[str]) -> Iterator[tuple[Row, bytes]]:
    tests = " OR ".join(["instr(r.body, ?)"] * len(words))
    with closing(connect(path)) as db:
        found = db.execute(_AMONG.format(tests), [*map(_needle, words)]).fetchall()
    for row in found:
        yield Row._make(row[:6]), row[6]
