"""A journal read from wherever it lies, and refused where it is not what was written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.journals import opened, report, step

from polytraders_pfh.engine.journal import JournalFailed, Kind, export_segment
from polytraders_pfh.ops.sources import among, journal_at, records


async def exported(tmp_path: Path) -> Path:
    """Two exports of five records each, and nothing of the journal beside them."""
    journal = await opened(tmp_path / "journal")
    for n in range(10):
        await journal.append(report(n) if n % 5 == 4 else step(n))
        if n % 5 == 4:
            closed = await journal.roll()
            assert closed is not None
            export_segment(closed, tmp_path / "exports")
    await journal.close()
    return tmp_path / "exports"


async def test_exports_are_read_as_the_journal_was(tmp_path: Path) -> None:
    exports = await exported(tmp_path)

    assert list(records(exports)) == list(records(tmp_path / "journal"))
    assert [one.record.kind for one in records(exports, {Kind.REPORTED})] == [Kind.REPORTED] * 2
    assert among(exports, {"trc_3"}) == among(tmp_path / "journal", {"trc_3"})


def altered(line: bytes) -> bytes:
    return line.replace(b'"n":7', b'"n":8')


def torn(line: bytes) -> bytes:
    return line[:40]


@pytest.mark.parametrize("change", [altered, torn])
async def test_changed_export_is_refused_by_name(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    exports = await exported(tmp_path)
    lines = sorted(exports.glob("*.jsonl"))[1]
    lines.write_bytes(b"".join(change(line) for line in lines.read_bytes().splitlines(keepends=True)))

    with pytest.raises(JournalFailed, match=r"journal-000000000006"):
        list(records(exports))
    with pytest.raises(JournalFailed, match=r"journal-000000000006.* run `verify`"):
        among(exports, {"trc_7"})


async def test_export_that_is_missing_between_two_shows(tmp_path: Path) -> None:
    exports = await exported(tmp_path)
    manifest = sorted(exports.glob("*.manifest.json"))[1]
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"prev_hash": "00" * 32}))

    with pytest.raises(JournalFailed, match=r"does not follow record 5; an export is missing"):
        list(records(exports))


async def test_segment_that_a_crash_left_empty_is_left_out(tmp_path: Path) -> None:
    await exported(tmp_path)
    (tmp_path / "journal" / "journal-000000000011.db").unlink()
    (tmp_path / "journal" / "journal-000000000011.db").write_bytes(b"")

    assert len(list(records(tmp_path / "journal"))) == 10


async def test_directory_above_the_only_journal_means_that_one(tmp_path: Path) -> None:
    await exported(tmp_path / "bots" / "one")

    assert journal_at(tmp_path / "bots" / "one" / "journal") == tmp_path / "bots" / "one" / "journal"
    with pytest.raises(JournalFailed, match="holds 2 journals; name one of them"):
        journal_at(tmp_path)
