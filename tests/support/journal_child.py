"""A process that writes a journal and says on its standard output what was acknowledged, until it is stopped.

    python journal_child.py DIRECTORY FIRST COUNT [SEGMENT_BYTES]

Each acknowledged record is one line `seq n`; the end of the run is `done`, or `failed` and the sentence.
Every fifth record goes without an await; the others are awaited three at a time.
"""

import asyncio
import os
import sys
from pathlib import Path

from polytraders_pfh.engine.journal import JournalFailed, Kind, Record, SqliteJournal

AT_MS = 1_746_770_100_000


def numbered(n: int) -> Record:
    """Return the record that carries this number."""
    return Record(
        Kind.FOUND, AT_MS + n, f"trc_{n % 7}", "0xroot", f"0x{n}", {"n": n, "words": "w" * (n % 900)}
    )


def say(line: str) -> None:
    """Tell the other end of the pipe at once."""
    os.write(1, line.encode() + b"\n")


async def main() -> None:
    """Write until done, or until the journal fails."""
    directory, first, count, *rest = sys.argv[1:]
    journal = SqliteJournal(Path(directory), segment_bytes=int(rest[0]) if rest else 64 * 1024 * 1024)
    await journal.open()
    if journal.failed:
        say(f"failed {journal.failed}")
        return
    say("open")

    async def one(n: int) -> None:
        commit = journal.append(numbered(n))
        if n % 5:
            say(f"{await commit} {n}")

    numbers = range(int(first), int(first) + int(count))
    try:
        for i in range(0, len(numbers), 3):
            await asyncio.gather(*[one(n) for n in numbers[i : i + 3]])
    except JournalFailed as e:
        say(f"failed {e}")
    await journal.close()
    say("done")


if __name__ == "__main__":
    asyncio.run(main())
