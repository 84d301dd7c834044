"""Fails the first I/O call of a small run, then the second, and so on until a run meets none.

    LD_PRELOAD=failing_io.so python io_sweep.py DIRECTORY ERRNO once|forever changes|reads

Each run is a forked process with a journal of its own: it appends some records, rolls, appends more, and
an entry of the kill switch. Afterwards the journal is opened without faults and must hold what had been
acknowledged, nothing that was never appended, and a whole chain. Prints the number of calls it swept and
how many runs had the kill switch on record although the journal had failed.
"""

import asyncio
import ctypes
import os
import signal
import sys
from itertools import count
from pathlib import Path

from polytraders_pfh.engine.journal import JournalFailed, Kind, SqliteJournal
from polytraders_pfh.engine.journal.live import open_live
from polytraders_pfh.engine.journal.reading import stored
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.ops.verify import verify
from support.journal_child import numbered

SHIM = ctypes.CDLL(None)
KILL = 1_000


async def work(directory: Path, said: int) -> None:
    """Append, roll, append, and say on the descriptor what was acknowledged."""
    journal = SqliteJournal(directory)
    await journal.open()

    async def one(n: int, kind: Kind = Kind.FOUND) -> None:
        try:
            seq = await journal.append(numbered(n)._replace(kind=kind))
        except JournalFailed:
            os.write(said, b"failed %d\n" % n)
        else:
            os.write(said, b"%d %d\n" % (seq, n))

    await asyncio.gather(one(0), one(1))
    await one(2)
    await journal.roll()
    await asyncio.gather(one(3), one(4))
    await one(KILL, Kind.KILL_SWITCH)
    os.write(said, b"latched x\n" if journal.failed else b"sound x\n")
    await journal.close()


def run(directory: Path, i: int, code: int, forever: bool, reads: bool) -> list[list[str]]:
    """Return what a run with the i-th call failing said."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(30)
        os.close(reader)
        SHIM.arm(str(directory).encode(), i, code, int(forever), int(reads))
        asyncio.run(work(directory, writer))
        os.write(writer, b"fired x\n" if SHIM.fired() else b"clean x\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        lines = [line.split() for line in said.read().splitlines()]
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"call {i}: the run ended with {status}, having said {lines}"
    return lines


def check(directory: Path, lines: list[list[str]], i: int) -> None:
    """Hold what is on the disk against what was promised."""
    promised = {int(seq): int(n) for seq, n in lines if seq.isdigit()}
    segment = open_live(Shelf(directory), check=True)
    segment.close()
    found = {one.seq: int(str(one.record.facts["n"])) for one in stored(Shelf(directory).segments(), 0, None)}
    whole = verify(directory)
    assert whole.ok, f"call {i}: {whole.sentences}"
    assert promised.items() <= found.items(), f"call {i}: promised {promised}, found {found}"
    assert list(found.values()) == sorted(set(found.values()) & {0, 1, 2, 3, 4, KILL}), f"call {i}: {found}"
    failed = [int(n) for said, n in lines if said == "failed"]
    words = {line[0] for line in lines}
    assert "latched" in words or not failed, f"call {i}: {failed} failed and nothing latched"
    later = [n for n in promised.values() if failed and n > min(failed)]
    assert set(later) <= {KILL}, f"call {i}: {later} were promised after {min(failed)} had failed"


def main() -> None:
    """Sweep."""
    base, code = Path(sys.argv[1]), int(sys.argv[2])
    forever, reads = sys.argv[3] == "forever", sys.argv[4] == "reads"
    rescued = latched = 0
    for i in count(1):
        directory = base / str(i)
        directory.mkdir(parents=True)
        lines = run(directory, i, code, forever, reads)
        check(directory, lines, i)
        words = {line[0] for line in lines}
        latched += "latched" in words
        rescued += "latched" in words and [str(KILL)] in [line[1:] for line in lines if line[0].isdigit()]
        if "clean" in words:
            assert "sound" in words
            break
    print(i - 1, latched, rescued)


if __name__ == "__main__":
    main()
