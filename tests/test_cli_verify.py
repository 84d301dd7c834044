"""`polytraders-pfh verify`: the verdict first, an exit code that a script can use."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from polytraders_pfh.cli import main
from polytraders_pfh.engine.journal import Kind, Record, SqliteJournal


def written(directory: Path, count: int = 3) -> str:
    async def write() -> str:
        journal = SqliteJournal(directory)
        await journal.open()
        for n in range(count):
            await journal.append(Record(Kind.FOUND, n, "trc_1", "0x1", "0x1", {"n": n}))
        head = str(journal.head())
        await journal.close()
        return head

    return asyncio.run(write())


def test_whole_journal_is_said_to_be_whole(tmp_path: Path) -> None:
    head = written(tmp_path / "journal")

    done = CliRunner().invoke(main, ["verify", str(tmp_path / "journal"), "--anchor", head])

    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"3 records from 1 to 3 follow each other; the head is {head}")


def test_altered_record_is_named_and_the_exit_code_is_one(tmp_path: Path) -> None:
    written(tmp_path / "journal")
    (segment,) = (tmp_path / "journal").glob("*.db")
    with closing(sqlite3.connect(segment)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        (body,) = db.execute("SELECT body FROM records WHERE seq = 2").fetchone()
        altered = body.replace(b'"n":1', b'"n":7')
        db.execute("UPDATE records SET body = ? WHERE seq = 2", (altered,))
        db.commit()

    done = CliRunner().invoke(main, ["verify", str(tmp_path / "journal")])

    assert done.exit_code == 1
    assert "record 2" in done.output


def test_journal_cut_at_its_end_shows_against_an_anchor(tmp_path: Path) -> None:
    later = written(tmp_path / "long", 5)
    written(tmp_path / "short", 3)

    done = CliRunner().invoke(main, ["verify", str(tmp_path / "short"), "--anchor", later])

    assert done.exit_code == 1


def test_anchor_that_is_no_head_says_how_to_write_one(tmp_path: Path) -> None:
    written(tmp_path / "journal")

    done = CliRunner().invoke(main, ["verify", str(tmp_path / "journal"), "--anchor", "soon"])

    assert done.exit_code == 2
    assert "write it as number:hash" in done.output
