"""The disk as a true file: what is durable is written by the log's own writer, and read back by its reader.

No thread takes part, so that a seed decides the order of everything as ever. Each life opens the file anew;
what it reads there has to be what the lives before were told was durable.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Final

from polytraders_pfh.engine.journal import Commit, Kind, reading
from polytraders_pfh.engine.journal.batch import Append, Mark, Told
from polytraders_pfh.engine.journal.records import unique_keys
from polytraders_pfh.engine.journal.shelf import Shelf
from polytraders_pfh.engine.journal.writer import Writer
from polytraders_pfh.ops.verify import verify
from simulation.disk import Disk, Item

SEGMENT_BYTES: Final = 32 * 1024
"""Small, so that lives read over the ends of segments."""


class FileDisk(Disk):
    """A log's directory. `differs` says what a life read that was not what had been told as durable."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._shelf = Shelf(directory)
        self._told: list[Told] = []
        self._writer: Writer | None = None
        self.differs = ""

    def open(self) -> None:
        """Open the file as a new process does, and know from now on what stands in it alone."""
        self._writer = Writer(self._shelf, SEGMENT_BYTES, self._told.extend, nullcontext)
        self._writer._open()
        paths = self._shelf.segments()
        records = [one.record for one in reading.stored(paths, 0, None)]
        waiting = {row.seq for row in reading.undelivered(paths, 0, len(records) + 1)}
        reports = {seq for seq, record in enumerate(records, 1) if record.kind is Kind.REPORTED}
        if self._writer.failed:
            self.differs = self._writer.failed
        elif records != self.records or reports - waiting != self.delivered:
            self.differs = f"the file holds {len(records)} records; {len(self.records)} were told as durable"
        self.records, self.delivered = records, reports - waiting
        self.keys = {key.digest for record in records for key in unique_keys(record)}

    def write(self, batch: list[Item]) -> list[tuple[Commit, int]]:
        """Write these in one transaction; return each record's number, 0 for one that is kept already."""
        assert self._writer is not None
        for item in batch:
            self._writer.queue.lay(Mark(item) if isinstance(item, int) else Append(*item))
        while (first := self._writer.queue.take()) is not None:
            self._writer._take(first)
        numbers = {id(told.commit): told.seq for told in self._told}
        self._told.clear()
        written = []
        for item in batch:
            if isinstance(item, int):
                self.delivered.add(item)
            else:
                record, commit = item
                written.append((commit, numbers[id(commit)]))
                if numbers[id(commit)]:
                    self._keep(record)
        return written

    def faults(self) -> list[str]:
        """Return what is wrong with the log: what a life did not find again, what its own check finds."""
        found = verify(self._shelf.directory)
        return [self.differs] * bool(self.differs) + [*found.sentences] * (not found.ok)

    def let_go(self) -> None:
        """The process is gone, and with it its hold on the file."""
        if self._writer is not None:
            self._writer._let_go()
            self._writer = None
