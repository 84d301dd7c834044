"""The plugin with a log that can die: what had not reached the disk by then is lost, as in a crash.

The bot is the real one on the real durable log. The log is only a little slow, as disks are, so that there
is something to lose; and once it is dead nothing that a dying host still wants to write is kept.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Final

from polytraders_hookspecs import HostServices, hookimpl

from polytraders_pfh import __version__
from polytraders_pfh.config import load_settings
from polytraders_pfh.engine.assembly import assemble
from polytraders_pfh.engine.journal import Commit, Head, Kind, Record, Seen, SqliteJournal, Stored
from polytraders_pfh.engine.journal.records import check_exact
from polytraders_pfh.plugin import PartialFillHandler

LAG_S: Final = 0.003
"""How long a record is on its way to the disk before its fsync begins."""


class MortalJournal:
    """A durable log, and its death."""

    def __init__(self, directory: Path) -> None:
        self._log = SqliteJournal(directory)
        self._underway: deque[tuple[Record, Commit]] = deque()
        self._dead = False
        # The log answers from a thread, which knows nothing of whose log it is.
        self._context = contextvars.copy_context()

    def die(self) -> None:
        """Lose what is under way, and keep nothing more."""
        self._dead = True
        self._underway.clear()

    async def accepted(self) -> set[tuple[str, int]]:
        """Return the events, as order id and time, that the disk says were accepted."""
        return {(seen.order_id, seen.event_ts_ms) for seen in await self._log.seen_events(0)}

    async def let_go(self) -> None:
        """Close the files, for whoever opens them next."""
        self.die()
        await self._log.close()

    # The log's own methods

    async def open(self) -> None:
        await self._log.open()

    @property
    def failed(self) -> str:
        return self._log.failed

    @property
    def pending(self) -> int:
        return self._log.pending

    @property
    def queued(self) -> int:
        return len(self._underway) + self._log.queued

    def append(self, record: Record) -> Commit:
        check_exact(record)
        commit = Commit()
        if not self._dead:
            self._underway.append((record, commit))
            asyncio.get_running_loop().call_later(LAG_S, self._write_next)
        return commit

    def mark_delivered(self, seq: int) -> None:
        if not self._dead:
            self._log.mark_delivered(seq)

    def head(self) -> Head:
        return self._log.head()

    def read(self, after: int = 0, kinds: Collection[Kind] | None = None) -> AsyncIterator[Stored]:
        return self._log.read(after, kinds)

    async def undelivered(self, after: int, limit: int) -> list[Stored]:
        return await self._log.undelivered(after, limit)

    async def seen_events(self, since_ms: int) -> list[Seen]:
        return await self._log.seen_events(since_ms)

    async def close(self) -> None:
        while self._underway:
            self._write_next()
        await self._log.close()

    def _write_next(self) -> None:
        if self._underway:
            record, commit = self._underway.popleft()
            self._log.append(record).then(lambda kept: self._context.run(self._settle, commit, kept))

    def _settle(self, commit: Commit, kept: Commit) -> None:
        if not self._dead:
            commit.settle(kept.seq, kept.error)


class MortalHandler:
    """A plugin module: the installed handler, on a log that can die.

    Attributes:
        journal: The log, once the bot is registered.
    """

    def __init__(self) -> None:
        self.journal: MortalJournal | None = None

    @hookimpl
    def register_bot(self, host: HostServices) -> PartialFillHandler:
        """Build the bot."""
        self.journal = MortalJournal(host.state_dir / "journal")
        settings = load_settings(host.config)
        return PartialFillHandler(assemble(host, settings, __version__, self.journal))
