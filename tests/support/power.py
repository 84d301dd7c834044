"""What a disk may hold after the power went away: everything synced, and of the rest any part.

    LD_PRELOAD=recording_io.so python power.py DIRECTORY LOG

writes a journal in the directory and every changing call of it into the log. `calls` reads the log; `Disk`
takes the calls one by one and builds the directory as a loss of power at that moment may leave it: what was
not yet synced of a file is kept or lost by sectors of 512 bytes, its length too, and a name that was not yet
synced with its directory is there or not. A disk that lies about a sync is not modelled.
"""

import asyncio
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from polytraders_pfh.engine.journal import Kind, SqliteJournal
from support.journal_child import numbered

SECTOR = 512
RECORDS = 14


class Call(NamedTuple):
    """One call. A mark stands among them where a record was acknowledged: `offset` is its number."""

    kind: str
    offset: int
    length: int
    name: str
    content: bytes = b""


class _File:
    """What is durable of a file, and what has been done to it since, in order."""

    def __init__(self) -> None:
        self.durable = b""
        self.since: list[Call] = []

    def sync(self) -> None:
        self.durable, self.since = _applied(self.durable, self.since), []

    def after(self, draw: Random, kept: float) -> bytes:
        """Return what may be found when each sector since the last sync was kept with this probability."""
        return _applied(
            self.durable, [part for call in self.since for part in _sectors(call) if draw.random() < kept]
        )


class Disk:
    """The files of one directory, as the calls so far have left them."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}

    def take(self, call: Call, directory: str) -> None:
        """Take the next call."""
        if call.kind == "create":
            self._files[call.name] = _File()
        elif call.kind == "unlink":
            self._files.pop(call.name, None)
        elif call.kind == "sync" and call.name == directory:
            self._durable_names = dict(self._files)
        elif call.kind == "sync":
            self._files[call.name].sync()
        elif call.kind in {"write", "cut"}:
            self._files[call.name].since.append(call)

    def after_power_loss(self, into: Path, draw: Random, kept: float) -> None:
        """Write into a directory what may be found."""
        for name in sorted(self._files.keys() | self._durable_names.keys()):
            now, before = self._files.get(name), self._durable_names.get(name)
            file = now if draw.random() < kept else before
            if file is not None:
                (into / Path(name).name).write_bytes(file.after(draw, kept))


def calls(log: bytes) -> Iterator[Call]:
    """Yield the calls in a log."""
    at = 0
    while at < len(log):
        end = log.index(b"\n", at)
        kind, offset, length, name = log[at:end].decode().split(" ", 3)
        at = end + 1
        content = b""
        if kind == "write":
            content = log[at : at + int(length)]
            at += int(length)
        yield Call(kind, int(offset), int(length), name, content)


def _sectors(call: Call) -> list[Call]:
    if call.kind != "write":
        return [call]
    parts = []
    at = 0
    while at < call.length:
        size = min(SECTOR - (call.offset + at) % SECTOR, call.length - at)
        parts.append(
            call._replace(offset=call.offset + at, length=size, content=call.content[at : at + size])
        )
        at += size
    return parts


def _applied(content: bytes, since: list[Call]) -> bytes:
    made = bytearray(content)
    for call in since:
        if call.kind == "cut":
            del made[call.length :]
            made.extend(b"\0" * (call.length - len(made)))
        else:
            made.extend(b"\0" * (call.offset - len(made)))
            made[call.offset : call.offset + call.length] = call.content
    return bytes(made)


async def work(directory: Path) -> None:
    """Append, roll, append, and mark each record once it is acknowledged."""
    shim = ctypes.CDLL(None)
    journal = SqliteJournal(directory)
    await journal.open()

    async def one(n: int, kind: Kind = Kind.FOUND) -> None:
        await journal.append(numbered(n)._replace(kind=kind))
        shim.mark(n)

    for n in range(0, RECORDS, 2):
        await asyncio.gather(one(n), one(n + 1, Kind.KILL_SWITCH))
        if n == RECORDS // 2 - 1:
            await journal.roll()
    await journal.close()


def main() -> None:
    """Write the journal and the log."""
    directory, log = sys.argv[1:]
    Path(directory).mkdir()
    ctypes.CDLL(None).record(directory.encode(), log.encode())
    asyncio.run(work(Path(directory)))


if __name__ == "__main__":
    main()
