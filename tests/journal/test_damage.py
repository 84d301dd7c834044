"""Bits that flipped and files that were cut: a true prefix or a refusal, never a record nobody wrote."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import opened, report, step

from polytraders_pfh.engine.journal import Head, JournalFailed, Record
from polytraders_pfh.engine.journal.live import open_live
from polytraders_pfh.engine.journal.reading import stored
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.ops.verify import verify

STRIDE = int(os.environ.get("PFH_DAMAGE_STRIDE", "1"))
FRAME = 24 + 1024
NAME = "journal-000000000001.db"
WRITTEN = [step(n) if n % 2 else report(n) for n in range(10)]


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory in memory where there is one: each test here writes some thousand files."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


async def written(room: Path, *, killed: bool) -> tuple[Path, Head]:
    """Return a journal as a crash leaves it, or as `close` does, and its head."""
    journal = await opened(room / "journal")
    for record in WRITTEN:
        await journal.append(record)
    head, rest = journal.head(), shutil.ignore_patterns("*-shm", "lock", "reserve")
    if killed:
        shutil.copytree(room / "journal", room / "made", ignore=rest)
    await journal.close()
    if not killed:
        shutil.copytree(room / "journal", room / "made", ignore=rest)
    return room / "made", head


def read(directory: Path) -> list[Record] | None:
    """Return what a start finds in the journal; None when it refuses."""
    try:
        open_live(Shelf(directory), check=True).close()
        return [one.record for one in stored(Shelf(directory).segments(), 0, None)]
    except (JournalFailed, sqlite3.Error, ValueError):
        return None


def outcomes(made: Path, head: Head, damaged: str, contents: Iterator[bytes]) -> dict[str, int]:
    """Put each content in the place of a file, start, and hold what is found against what was written."""
    counts = {"whole": 0, "prefix": 0, "refused": 0}
    sound = {path.name: path.read_bytes() for path in made.iterdir()}
    trial = made.with_name("trial")
    for content in contents:
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir()
        for name, whole in (sound | {damaged: content}).items():
            (trial / name).write_bytes(whole)
        found = read(trial)
        if found is None:
            counts["refused"] += 1
            continue
        assert found == WRITTEN[: len(found)]
        counts["whole" if len(found) == len(WRITTEN) else "prefix"] += 1
        if len(found) < len(WRITTEN) and sum(counts.values()) % 16 == 0:
            assert not verify(trial, head).ok
    return counts


def flipped(content: bytes, places: range) -> Iterator[bytes]:
    for place in places:
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]


async def test_every_flipped_byte_of_the_last_frames_leaves_a_prefix(room: Path) -> None:
    made, head = await written(room, killed=True)
    content = (made / f"{NAME}-wal").read_bytes()
    places = range(len(content) - 3 * FRAME, len(content), STRIDE)
    counts = outcomes(made, head, f"{NAME}-wal", flipped(content, places))
    assert counts["whole"] == 0
    assert counts["prefix"] == len(places)


async def test_a_log_cut_at_any_byte_of_its_last_frames_leaves_a_prefix(room: Path) -> None:
    made, head = await written(room, killed=True)
    content = (made / f"{NAME}-wal").read_bytes()
    places = range(len(content) - 3 * FRAME, len(content), STRIDE)
    counts = outcomes(made, head, f"{NAME}-wal", (content[:place] for place in places))
    assert counts["whole"] == 0
    assert counts["prefix"] == len(places)


async def test_a_flipped_byte_of_the_file_itself_is_refused_or_touches_no_record(room: Path) -> None:
    made, head = await written(room, killed=False)
    content = (made / NAME).read_bytes()
    places = range(0, len(content), 5 * STRIDE)
    counts = outcomes(made, head, NAME, flipped(content, places))
    assert counts["refused"] > 500 // STRIDE
    assert counts["prefix"] == 0


async def test_a_file_cut_short_is_refused(room: Path) -> None:
    made, head = await written(room, killed=False)
    content = (made / NAME).read_bytes()
    counts = outcomes(made, head, NAME, (content[:place] for place in range(100, len(content), 509)))
    assert counts["whole"] == counts["prefix"] == 0


async def test_a_damaged_journal_is_not_continued_and_says_what_to_do(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for record in WRITTEN:
        await journal.append(record)
    await journal.close()
    content = bytearray((tmp_path / NAME).read_bytes())
    place = content.rindex(b'"report_id":"rep_4"')
    content[place + 14] ^= 1
    (tmp_path / NAME).write_bytes(content)
    again = await opened(tmp_path)
    assert "record 5" in again.failed
    assert "restore it" in again.failed
    with pytest.raises(JournalFailed, match="record 5"):
        await again.append(step(99))
    kept = []
    with pytest.raises(JournalFailed, match="record 5"):
        async for one in again.read():
            kept.append(one.record)
    await again.close()
    assert kept == WRITTEN[:4]
