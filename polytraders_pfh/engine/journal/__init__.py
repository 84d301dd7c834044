"""What was done, in order, before it was done: the seam behind which the durable log stands.

The sequencer records every step before it takes it; a report is recorded before it is offered to the
bus. `append` enqueues at once and in order; awaiting what it returns waits for durability. The hot path
of a hold does not await. `POST_RECORDED` is awaited and nothing is posted when it fails; what a cancel
rests on (`DECIDED`, or else `CANCEL_STARTED`) is awaited too, and cancels go on when it fails. What an
answer said is not waited for: it is durable before the next thing that is.

    records   what a record is, its one canonical form, and the keys that make it the only one of its kind
    commit    the fate of one append
    seam      the protocol `Journal`, and how a log shared by many hosts implements it
    memory    `MemoryJournal`: the order of things inside one process, and nothing after it
    log       `SqliteJournal`: durable, one file per segment, one writer thread, group commit
    queue     the way there: quiet, and with a bell
    writer    that thread          batch     one commit's worth         live     opening and rolling over
    segment   one file             shelf     the directory of segments
    reading   read-only queries    chain     the hashes        export   closed segments as JSON lines
    shared    `SharedJournal`: on the host's shared log, for hosts that take over from one another
    entry     one batch of it    needed    from where on it has to be read

Retention: records are evidence of trading and are kept 7 years. Nothing here ever deletes one; a closed
segment is exported, its head hash anchored elsewhere, and only then moved to an archive by a person.
"""

from polytraders_pfh.engine.journal.chain import Head
from polytraders_pfh.engine.journal.commit import Commit, DuplicateRecord, JournalFailed, LogLost
from polytraders_pfh.engine.journal.export import export_segment
from polytraders_pfh.engine.journal.log import SqliteJournal
from polytraders_pfh.engine.journal.memory import MemoryJournal
from polytraders_pfh.engine.journal.records import RESERVED, Kind, Record, Seen, Stored
from polytraders_pfh.engine.journal.seam import Journal
from polytraders_pfh.engine.journal.shared import SharedJournal

__all__ = [
    "RESERVED",
    "Commit",
    "DuplicateRecord",
    "Head",
    "Journal",
    "JournalFailed",
    "Kind",
    "LogLost",
    "MemoryJournal",
    "Record",
    "Seen",
    "SharedJournal",
    "SqliteJournal",
    "Stored",
    "export_segment",
]
