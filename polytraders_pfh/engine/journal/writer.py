"""The one thread that writes: it takes whatever is queued, commits it together, and tells the loop once.

The first error latches. The commit it met counts as unknown: whoever waits for it is told so, the file is
opened anew and read before anything is believed about it, and a failed fsync is never tried again. After
a full disk the reserve file is given up and the kinds in `RESERVED` are still written into its room;
after any other error nothing is. SQLite's own checkpoints are off, since it keeps their errors to itself.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from polytraders_pfh.engine.journal import reading
from polytraders_pfh.engine.journal.batch import Append, Control, Item, Mark, Told, among, prepare, refused
from polytraders_pfh.engine.journal.chain import START, Head
from polytraders_pfh.engine.journal.commit import JournalFailed
from polytraders_pfh.engine.journal.live import open_live, roll
from polytraders_pfh.engine.journal.queue import Queue
from polytraders_pfh.engine.journal.records import RESERVED
from polytraders_pfh.engine.journal.segment import Segment
from polytraders_pfh.engine.journal.shelf import Shelf

_MAX_BATCH: Final = 512
_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
_COMMIT_BYTES: Final = 4 * 1024
_DAY_MS: Final = 86_400_000
_FULL: Final = 13


Timing = Callable[[], AbstractContextManager[object]]


class Writer:
    """Owns the shelf and the live segment. `queue` is how the loop speaks to it; `tell` how it answers.

    Attributes:
        failed: Why nothing more is written, or empty.
        head: The last durable record.
        pending: Undelivered reports found at the opening.
    """

    def __init__(
        self, shelf: Shelf, segment_bytes: int, tell: Callable[[list[Told]], None], timing: Timing
    ) -> None:
        self.queue = Queue()
        self.failed = ""
        self.head: Head = START
        self.pending = 0
        self._shelf = shelf
        self._segment_bytes = segment_bytes
        self._tell = tell
        self._timing = timing
        self._segment: Segment | None = None
        self._witness: sqlite3.Connection | None = None
        self._since_checkpoint = 0
        self._since_measured = 0
        self._day = -1

    def run(self, opened: Callable[[], None]) -> None:
        """Open the journal and write until told to stop. The body of the thread."""
        self._open()
        opened()
        going = True
        while going:
            going = self._take(self.queue.wait())

    def _open(self) -> None:
        try:
            self._shelf.lay_out()
            self._shelf.lock()
            self._adopt(open_live(self._shelf, check=True))
            self.pending = reading.count_undelivered(self._shelf.segments())
        except JournalFailed as e:
            self.failed = str(e)
        except Exception as e:  # whatever it is, the bot stays cancel-only and says why
            self.failed = self._sentence(e)
        else:
            self._hold_reserve()
        if self.failed and not self._crowded_only():
            self._let_go()

    def _hold_reserve(self) -> None:
        try:
            self._shelf.keep_reserve()
        except OSError as e:
            self.failed = self._sentence(e)

    def _crowded_only(self) -> bool:
        """Whether all that is wrong is a full disk, on which what is reserved may still fit."""
        return self._segment is not None and self._shelf.crowded()

    def _adopt(self, segment: Segment) -> None:
        self._segment = segment
        self.head = segment.head
        moment = segment.first_moment()
        self._day = -1 if moment is None else moment // _DAY_MS

    def _take(self, first: Item) -> bool:
        """Handle what is queued, up to a batch. False once told to stop."""
        appends: list[Append] = []
        marks: list[int] = []
        item: Item | None = first
        while item is not None:
            if isinstance(item, Append):
                appends.append(item)
            elif isinstance(item, Mark):
                marks.append(item.seq)
            else:
                self._write(appends, marks)
                return self._control(item)
            if len(appends) + len(marks) >= _MAX_BATCH:
                self.queue.ring()
                break
            item = self.queue.take()
        self._write(appends, marks)
        return True

    def _write(self, appends: Sequence[Append], marks: Sequence[int]) -> None:
        if not appends and not marks:
            return
        told: list[Told] = []
        try:
            admitted = self._refuse(appends, told)
            if self._segment is not None:
                self._commit(self._segment, admitted, () if self.failed else marks, told)
        except Exception as e:  # nobody may wait for ever, whatever went wrong
            self._broke(e, appends, told)
        self._tell(told)
        self._keep_tidy()

    def _refuse(self, appends: Sequence[Append], told: list[Told]) -> list[Append]:
        """Leave what may be written; tell the others."""
        if not self.failed:
            return list(appends)
        room = self._segment is not None
        admitted = [item for item in appends if room and item.record.kind in RESERVED]
        told += [refused(item, JournalFailed(self.failed)) for item in appends if not among(item, admitted)]
        return admitted

    def _commit(
        self, segment: Segment, appends: Sequence[Append], marks: Sequence[int], told: list[Told]
    ) -> None:
        if appends and not self.failed:
            segment = self._segment_for(segment, appends[0].record.at_ms)
        batch = prepare(segment, appends)
        told += batch.refused
        if batch.rows or marks:
            with self._timing():
                segment.write(batch.rows, batch.keys, marks)
            written = _COMMIT_BYTES + sum([len(row.body) + len(row.payload) for row in batch.rows])
            self._since_checkpoint += written
            self._since_measured += written
        self.head = segment.head
        told += batch.kept

    def _segment_for(self, segment: Segment, at_ms: int) -> Segment:
        """Return the segment a record of this moment belongs into, rolling over by day and by size."""
        day = at_ms // _DAY_MS
        if self._day < 0:
            self._day = day
        if day > self._day or self._outgrown(segment):
            segment = roll(self._shelf, segment, at_ms)
            self._adopt(segment)
            self._day = day
        return segment

    def _outgrown(self, segment: Segment) -> bool:
        if self._since_measured <= self._segment_bytes // 64:
            return False
        self._since_measured = 0
        return segment.bytes_used() >= self._segment_bytes

    def _keep_tidy(self) -> None:
        """Checkpoint when enough has been written. An error in it latches, like any other."""
        if self._since_checkpoint < _CHECKPOINT_BYTES or self._segment is None:
            return
        self._since_checkpoint = 0
        try:
            self._segment.checkpoint()
        except Exception as e:  # as in `_write`
            self._broke(e, (), [])

    def _broke(self, e: Exception, appends: Sequence[Append], told: list[Told]) -> None:
        """Latch. Tell everyone whose fate is unknown, and on a full disk write what may still be written."""
        full = getattr(e, "sqlite_errorcode", 0) & 0xFF == _FULL or self._shelf.crowded()
        self.failed = self.failed or self._sentence(e)
        known = {id(one.commit) for one in told}
        doubtful = [item for item in appends if id(item.commit) not in known]
        room = full and self._shelf.spend_reserve()
        spared = [item for item in doubtful if room and item.record.kind in RESERVED]
        told += [refused(item, JournalFailed(self.failed)) for item in doubtful if not among(item, spared)]
        self._tell([*told])
        told.clear()
        self._reopen(for_reserved=room)
        self._rescue(spared, told)

    def _rescue(self, spared: Sequence[Append], told: list[Told]) -> None:
        """Write into the reserve's room what may be written there."""
        try:
            if spared and self._segment is not None:
                self._commit(self._segment, spared, (), told)
        except Exception as again:  # as in `_write`
            self.failed = self._sentence(again)
            self._reopen(for_reserved=False)
        known = {id(one.commit) for one in told}
        told += [refused(item, JournalFailed(self.failed)) for item in spared if id(item.commit) not in known]

    def _reopen(self, *, for_reserved: bool) -> None:
        """Let go of a connection that met an error and read from the file what it really holds.

        The reader is opened first: as long as it is there, closing the writer checkpoints nothing, and so
        nothing is built on pages that a failed fsync may have left looking clean.
        """
        broken, self._segment = self._segment, None
        try:
            assert broken is not None
            if self._witness is None:
                self._witness = reading.connect(broken.path)
            broken.close()
            self.head = reading.head_of(broken.path)
            if for_reserved:
                self._adopt(open_live(self._shelf, check=False))
        except Exception as e:  # it has failed already; this only says more of it
            self.failed = f"{self.failed} (and it cannot be read either: {e})"

    def _control(self, control: Control) -> bool:
        path = None
        if control.what == "roll":
            try:
                path = self._roll()
            except Exception as e:  # as in `_write`
                self._broke(e, (), [])
            control.done(path)
            return True
        self._let_go()
        control.done(None)
        return False

    def _roll(self) -> Path | None:
        """End the live segment, unless it is empty, and begin the next; return the ended one."""
        segment = self._segment
        if segment is None or self.failed or segment.first_moment() is None:
            return None
        self._adopt(roll(self._shelf, segment, max(self._day, 0) * _DAY_MS))
        return segment.path

    def _let_go(self) -> None:
        try:
            if self._segment is not None:
                if not self.failed:
                    self._segment.checkpoint()
                self._segment.close()
            if self._witness is not None:
                self._witness.close()
        except sqlite3.Error as e:
            self.failed = self.failed or self._sentence(e)
        self._segment = self._witness = None
        self._shelf.unlock()

    def _sentence(self, e: Exception) -> str:
        what = f"{type(e).__name__}: {e}"
        return (
            f"the journal in {self._shelf.directory} met {what}; free or replace the disk, then restart; "
            "until then nothing is posted, and cancels go on"
        )


def start(writer: Writer, opened: Callable[[], None]) -> threading.Thread:
    """Start the thread. It does not keep the process alive: being killed is what it is built for."""
    thread = threading.Thread(target=writer.run, args=(opened,), name="pfh-journal", daemon=True)
    thread.start()
    return thread
