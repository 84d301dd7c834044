"""`verify` against every kind of tampering, on live journals, closed segments and exports."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import everything, opened, post, report, step

from polytraders_pfh.engine.journal import Head, JournalFailed, export_segment
from polytraders_pfh.engine.journal.chain import link
from polytraders_pfh.ops.verify import verify


async def three_segments(directory: Path) -> Head:
    """Write a journal of three segments with 4, 4 and 2 records, and return its head."""
    journal = await opened(directory)
    for n in range(10):
        await journal.append([step(n), report(n), post(f"0xnew{n}", f"0xold{n}")][n % 3])
        if n in {3, 7}:
            await journal.roll()
    head = journal.head()
    await journal.close()
    return head


def tampered(path: Path, *statements: str) -> None:
    """Change a segment as somebody would who owns the file."""
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def replaced(column: str, old: str, new: str, seq: int) -> str:
    """Return the statement that replaces a text in a record."""
    return (
        f"UPDATE records SET {column} = CAST(replace({column}, '{old}', '{new}') AS BLOB) WHERE seq = {seq}"
    )


def segment(directory: Path, first: int) -> Path:
    return directory / f"journal-{first:012d}.db"


async def test_a_whole_journal_is_whole_and_its_head_is_told(tmp_path: Path) -> None:
    head = await three_segments(tmp_path)
    found = verify(tmp_path, head)
    assert found.ok
    assert found.sentences == (f"10 records from 1 to 10 follow each other; the head is {head}",)
    assert verify(tmp_path).notes == ("without an anchor a cut at the end cannot be excluded",)


async def test_a_live_journal_is_verified_without_being_touched(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for n in range(5):
        await journal.append(step(n))
    before = (tmp_path / "journal-000000000001.db-wal").read_bytes()
    assert verify(tmp_path, journal.head()).ok
    assert (tmp_path / "journal-000000000001.db-wal").read_bytes() == before
    assert await journal.append(step(5)) == 6
    await journal.close()


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ([replaced("payload", "rep_4", "rep_5", 5)], "record 5 was altered"),
        ([replaced("body", '"n":6', '"n":7', 7)], "record 7 was altered"),
        (["UPDATE records SET hash = zeroblob(32) WHERE seq = 6"], "record 6 was altered"),
        (["UPDATE records SET kind = 'found' WHERE seq = 7"], "record 7 stands under another kind"),
        (["UPDATE records SET at_ms = 5 WHERE seq = 7"], "record 7 stands under another kind or moment"),
        (["DELETE FROM records WHERE seq = 6"], "records 6 to 6 are missing"),
        (["DELETE FROM records WHERE seq = 8"], "was closed after record 8 and now ends at record 7"),
        (
            [
                "UPDATE records SET seq = 99 WHERE seq = 6",
                "UPDATE records SET seq = 6 WHERE seq = 7",
                "UPDATE records SET seq = 7 WHERE seq = 99",
            ],
            "record 6 was altered, or does not follow",
        ),
        (["DELETE FROM keys WHERE seq = 5"], "a key of record 5 is missing"),
        (["UPDATE keys SET seq = 7 WHERE seq = 6"], "a key of record 6 is missing or stands for another"),
        (["UPDATE segment SET prev_hash = zeroblob(32)"], "does not follow record 4"),
        (["DELETE FROM segment"], "does not say where it begins"),
    ],
)
async def test_whatever_is_changed_in_a_segment_is_named(
    tmp_path: Path, statements: list[str], sentence: str
) -> None:
    head = await three_segments(tmp_path)
    tampered(segment(tmp_path, 5), *statements)
    found = verify(tmp_path, head)
    assert not found.ok
    assert [fault for fault in found.faults if sentence in fault], found.faults


async def test_a_record_that_was_never_written_is_found_even_with_a_hash_of_its_own(tmp_path: Path) -> None:
    await three_segments(tmp_path)
    path = segment(tmp_path, 5)
    with closing(sqlite3.connect(path)) as db:
        before, body = db.execute(
            "SELECT (SELECT hash FROM records WHERE seq = 6), body FROM records WHERE seq = 7"
        ).fetchone()
    forged = body.replace(b'"n":6', b'"n":9')
    digest = link(before, 7, forged, b"").hex()
    tampered(path, f"UPDATE records SET body = X'{forged.hex()}', hash = X'{digest}' WHERE seq = 7")
    assert any("record 8 was altered, or does not follow" in fault for fault in verify(tmp_path).faults)


async def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    head = await three_segments(tmp_path)
    segment(tmp_path, 5).unlink()
    found = verify(tmp_path, head)
    assert "does not follow record 4: 4 records are missing before it" in found.faults[0]


async def test_a_journal_whose_beginning_was_archived_says_where_it_begins(tmp_path: Path) -> None:
    head = await three_segments(tmp_path)
    segment(tmp_path, 1).unlink()
    found = verify(tmp_path, head)
    assert found.ok
    assert found.notes == ("what stands before record 5 is elsewhere; verify it there",)
    journal = await opened(tmp_path)
    assert [one.seq for one in await everything(journal)] == [5, 6, 7, 8, 9, 10]
    await journal.close()


async def test_a_cut_at_the_end_shows_against_the_anchor_alone(tmp_path: Path) -> None:
    head = await three_segments(tmp_path)
    tampered(segment(tmp_path, 9), "DELETE FROM records WHERE seq = 10", "DELETE FROM keys WHERE seq = 10")
    assert verify(tmp_path).ok
    assert verify(tmp_path, head).faults == (
        "the journal ends at record 9; record 10 was anchored, so it was cut",
    )


async def test_a_journal_rewritten_from_end_to_end_shows_against_the_anchor(tmp_path: Path) -> None:
    head = await three_segments(tmp_path / "true")
    journal = await opened(tmp_path / "false")
    for n in range(12):
        await journal.append(step(n))
    await journal.close()
    assert verify(tmp_path / "false").ok
    assert "record 10 is not the one that was anchored" in verify(tmp_path / "false", head).faults[0]


async def test_an_export_says_the_same_as_its_segment(tmp_path: Path) -> None:
    journal = await opened(tmp_path / "journal")
    records = [step(0), report(1)._replace(payload=b"\xff no text"), report(2), step(3, words="½\n")]
    for record in records:
        await journal.append(record)
    anchor = journal.head()
    closed = await journal.roll()
    await journal.append(step(4))
    assert closed is not None
    manifest = export_segment(closed, tmp_path / "out")
    with pytest.raises(JournalFailed, match="close it with `roll`"):
        export_segment((await journal.segments())[-1], tmp_path / "out")
    await journal.close()
    found = verify(manifest, anchor)
    assert (found.faults, found.notes, found.records, found.head) == ((), (), 4, anchor)
    assert verify(closed, anchor).ok
    line = json.loads((tmp_path / "out" / f"{closed.stem}.jsonl").read_bytes().splitlines()[2])
    assert line["payload"] == report(2).payload.decode()
    assert line["body"]["message_id"] == "rep_2"


async def exported(directory: Path) -> tuple[Path, Head]:
    """Return a directory of exports of a whole journal, and its head."""
    head = await three_segments(directory / "journal")
    journal = await opened(directory / "journal")
    await journal.roll()
    paths = await journal.segments()
    await journal.close()
    for path in paths[:-1]:
        export_segment(path, directory / "out")
    return directory / "out", head


def edit(path: Path, change: "list[bytes]") -> None:
    path.write_bytes(b"".join(change))


async def test_whatever_is_changed_in_an_export_is_named(tmp_path: Path) -> None:
    out, head = await exported(tmp_path)
    assert verify(out, head).ok
    path = out / "journal-000000000005.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for change, sentence in [
        ([lines[0], lines[1], lines[2].replace(b'"n":6', b'"n":7'), lines[3]], "record 7 was altered"),
        ([lines[0].replace(b"rep_4", b"rep_9"), *lines[1:]], "record 5 was altered"),
        ([lines[0], lines[2], lines[1], lines[3]], "record 6 stands after record 7"),
        ([lines[0], *lines[2:]], "records 6 to 6 are missing"),
        (lines[:3], "holds 3 records, its manifest says 4"),
        (lines[:3], "was closed after record 8 and now ends at record 7"),
        ([*lines, lines[3]], "record 8 stands after record 8"),
        (
            [lines[0], lines[1].replace(b":", b" : ", 1), *lines[2:]],
            "is not the file its manifest was written",
        ),
        ([*lines[:3], lines[3][:40]], "cannot be read on"),
    ]:
        edit(path, change)
        faults = verify(out, head).faults
        assert [fault for fault in faults if sentence in fault], (sentence, faults)
    edit(path, lines)
    assert verify(out, head).ok
    path.with_name("journal-000000000005.manifest.json").unlink()
    assert "4 records are missing" in verify(out, head).faults[0]


async def test_a_damaged_segment_is_not_exported(tmp_path: Path) -> None:
    await three_segments(tmp_path)
    tampered(segment(tmp_path, 1), replaced("body", '"n":0', '"n":1', 1))
    with pytest.raises(JournalFailed, match="record 1"):
        export_segment(segment(tmp_path, 1), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert not list((tmp_path / "out").glob("*.json"))


def test_what_is_no_journal_is_a_fault_and_no_exception(tmp_path: Path) -> None:
    assert "holds neither segments nor exports" in verify(tmp_path).faults[0]
    assert "holds neither" in verify(tmp_path / "absent").faults[0]
    (tmp_path / "journal-000000000001.db").write_bytes(b"\xff" * 5_000)
    assert "cannot be read on" in verify(tmp_path).faults[0]


def test_an_anchor_is_text_that_reads_back() -> None:
    head = Head(12, bytes(range(32)))
    assert Head.of(f" {head}\n") == head
    for text in ("", "12", "12:00", "x:" + "0" * 64):
        with pytest.raises(ValueError, match="number:hash"):
            Head.of(text)


async def test_a_closed_segment_on_a_read_only_medium_is_read(tmp_path: Path) -> None:
    head = await three_segments(tmp_path / "journal")
    shutil.copytree(
        tmp_path / "journal", tmp_path / "archive", ignore=shutil.ignore_patterns("lock", "reserve")
    )
    (tmp_path / "archive").chmod(0o500)
    assert verify(tmp_path / "archive", head).ok
    (tmp_path / "archive").chmod(0o700)
