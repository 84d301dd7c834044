"""What was done, in order, before it was done: the seam behind which the durable log stands.

The sequencer records every step before it takes it and awaits the record; a report is recorded before
it is offered to the bus. `MemoryJournal` keeps the promise of order inside one process and nothing
beyond it: after a crash its records are gone, and recovery starts from the exchange alone.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol


class Kind(StrEnum):
    """What a record says."""

    EVENT_ACCEPTED = "event_accepted"
    DECIDED = "decided"
    CANCEL_STARTED = "cancel_started"
    CANCEL_ANSWERED = "cancel_answered"
    SIZE_READ = "size_read"
    POST_RECORDED = "post_recorded"
    POST_STARTED = "post_started"
    POST_ANSWERED = "post_answered"
    FOUND = "found"
    HELD_BACK = "held_back"
    REPORTED = "reported"
    KILL_SWITCH = "kill_switch"
    COMMAND = "command"


class Record(NamedTuple):
    """One entry. `facts` holds texts, integers and booleans only, so that it has one exact form."""

    kind: Kind
    at_ms: int
    trace_id: str
    root_order_id: str
    order_id: str
    facts: Mapping[str, str | int | bool | None]


class Journal(Protocol):
    """An append-only log."""

    @property
    def failed(self) -> str:
        """Why nothing can be recorded any more, or empty. Then nothing is posted; cancels go on."""
        ...

    async def append(self, record: Record) -> None:
        """Return when the record is kept for good. Raises when it is not."""
        ...


class MemoryJournal:
    """A bounded log in memory, for hosts without a state directory and for tests."""

    def __init__(self, keep: int = 10_000) -> None:
        self.records: deque[Record] = deque(maxlen=keep)

    @property
    def failed(self) -> str:
        """Memory does not fail."""
        return ""

    async def append(self, record: Record) -> None:
        """Keep the record as long as there is room."""
        self.records.append(record)
