"""A closed segment as text that outlives this program: JSON lines, and a manifest with the hashes.

    journal-000000000001.jsonl           one record a line, in order:
        {"seq": 1, "hash": "…hex…", "body": {…}, "payload": "…"}
        `body` stands in its canonical form, byte for byte what was hashed: ASCII, sorted keys, no blanks.
        `payload` is the UTF-8 text of a report, or `payload_base64` where it is no text; absent if empty.
    journal-000000000001.manifest.json   {"format": "polytraders-pfh journal", "version": 1,
        "file", "sha256" of the lines' file, "first_seq", "last_seq", "records",
        "prev_hash", "head_hash", "first_at_ms", "last_at_ms"}

A record's hash is SHA-256(hash before ‖ seq as 8 bytes ‖ length of body as 8 bytes ‖ body ‖ payload),
numbers big-endian; the first record follows `prev_hash`, which is the `head_hash` of the manifest before.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from polytraders_pfh.engine.journal import reading
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.segment import Row
from polytraders_pfh.engine.journal.shelf import sync_directory

FORMAT: Final = "polytraders-pfh journal"
VERSION: Final = 1


def export_segment(segment: Path, directory: Path) -> Path:
    """Write a closed segment's export and return the path of its manifest. Not for the loop's thread.

    The segment is held against its chain on the way; the manifest is written last, so an export that has
    one is whole.

    Raises:
        JournalFailed: The segment is not closed, or it is damaged.
        OSError: The export could not be written.
    """
    limits = reading.bounds(segment)
    if limits.ended is None:
        raise JournalFailed(f"{segment} is still written; close it with `roll` before it is exported")
    directory.mkdir(parents=True, exist_ok=True)
    lines, digest, count = directory / f"{segment.stem}.jsonl", sha256(), 0
    first = last = limits.before
    moments: list[int] = []
    with _durable(lines) as out:
        for row in reading.chained([segment]):
            reading.record_in(row)
            line = line_of(row)
            digest.update(line)
            out.write(line)
            count, moments = count + 1, [*moments[:1], row.at_ms]
            last = type(last)(row.seq, row.hash)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "file": lines.name,
        "sha256": digest.hexdigest(),
        "first_seq": first.seq + 1,
        "last_seq": last.seq,
        "records": count,
        "prev_hash": first.hash.hex(),
        "head_hash": last.hash.hex(),
        "first_at_ms": moments[0] if moments else None,
        "last_at_ms": moments[-1] if moments else None,
    }
    path = directory / f"{segment.stem}.manifest.json"
    with _durable(path) as out:
        out.write(json.dumps(manifest, indent=1).encode() + b"\n")
    return path


def line_of(row: Row) -> bytes:
    """Return a record as one line of the export."""
    parts = [b'{"seq":%d,"hash":"%s","body":' % (row.seq, row.hash.hex().encode()), bytes(row.body)]
    if row.payload:
        try:
            text = json.dumps(row.payload.decode()).encode()
            parts.append(b',"payload":' + text)
        except UnicodeDecodeError:
            parts.append(b',"payload_base64":"' + b64encode(row.payload) + b'"')
    return b"".join([*parts, b"}\n"])


@contextmanager
def _durable(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there whole or not at all."""
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    sync_directory(path.parent)
