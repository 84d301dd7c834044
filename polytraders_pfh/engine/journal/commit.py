"""The fate of one append: unknown yet, durable under a number, or failed."""

import asyncio
from collections.abc import Callable, Generator
from typing import Final

from polytraders_pfh.errors import PfhError


class JournalFailed(PfhError):
    """The record was not kept, or whether it was kept is not known. The message says what to do."""


class DuplicateRecord(JournalFailed):
    """The log holds a record with this record's key already, and kept that one."""


class LogLost(JournalFailed):
    """A shared log takes nothing more from this bot: another may own its orders, and will tell of them."""


class Commit:
    """What `append` returns. Await it for the record's number; any number of callers may, or none.

    Cancelling who waits takes nothing back: the record is on its way from the moment of `append`. A log may
    let it lie a little for others to go with; who awaits it, or calls `urge`, has it written at once.
    """

    __slots__ = ("_error", "_seq", "_then", "_urge")

    def __init__(self, urge: Callable[[], None] | None = None) -> None:
        self._urge = urge
        self._seq = 0
        self._error: JournalFailed | None = None
        self._then: list[Callable[[Commit], None]] | None = None

    @property
    def seq(self) -> int:
        """The record's number once it is durable, else 0."""
        return self._seq

    @property
    def error(self) -> JournalFailed | None:
        """Why it failed, or None."""
        return self._error

    @property
    def settled(self) -> bool:
        """Whether the fate is known."""
        return self._seq > 0 or self._error is not None

    def then(self, told: Callable[["Commit"], None]) -> None:
        """Call `told` with this commit once its fate is known: now, or later in the loop."""
        if self.settled:
            told(self)
        elif self._then is None:
            self._then = [told]
        else:
            self._then.append(told)

    def urge(self) -> None:
        """Have it written now, with all before it, though nobody waits for it yet."""
        if self._urge is not None and not self.settled:
            self._urge()

    def settle(self, seq: int, error: JournalFailed | None = None) -> None:
        """Say how it ended. Only the journal calls this, once, in the loop."""
        self._seq, self._error = seq, error
        waiting, self._then = self._then, None
        for told in waiting or ():
            told(self)

    def __await__(self) -> Generator[asyncio.Future[None], None, int]:
        if not self.settled:
            self.urge()
            settled = asyncio.get_running_loop().create_future()
            self.then(lambda _: None if settled.done() else settled.set_result(None))
            yield from settled
        if self._error is not None:
            raise type(self._error)(*self._error.args)
        return self._seq


def failed_commit(error: JournalFailed) -> Commit:
    """Return a commit that has failed before it began."""
    commit = Commit()
    commit.settle(0, error)
    return commit


CLOSED: Final = "the journal is closed; nothing can be recorded after the host has stopped"
NOT_OPEN: Final = "the journal is not open yet; await its open() before anything is recorded"
