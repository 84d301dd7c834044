"""The kill switch: a file whose existence means stop, and a latch that only a hand releases.

`touch` on the file is enough in an emergency. What has been on in this process stays on when the file
vanishes; `reset` alone takes it off. A file system that cannot say is neither on nor off: unknown.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import pluggy
from polytraders_hookspecs import (
    Clock,
    ExecutionReport,
    HookResult,
    KillSwitchSignal,
    KillSwitchStatus,
    gather_hook,
)

from polytraders_pfh.host.errors import KillSwitchUnknown

_log: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 0.2
_MAX_REASON_BYTES: Final = 500
_HOOK_DEADLINE_S: Final = 30.0


class FileKillSwitch:
    """The host's kill switch (the contract's `KillSwitch`), told to every bot when it changes.

    Args:
        path: The file. Its directory must exist: without it the state is unknown.
        hooks: Through which bots hear of a change.
        clock: For the signal's time and the watch.
    """

    def __init__(self, path: Path, hooks: pluggy.HookRelay, clock: Clock) -> None:
        self._path = path
        self._hooks = hooks
        self._clock = clock
        self._latched: str | None = None
        self._told = False
        self._times_on = 0
        self._writing = asyncio.Lock()
        self._telling: set[asyncio.Task[list[HookResult]]] = set()

    @property
    def on(self) -> bool:
        """Whether it has been seen on and not been reset; reads nothing."""
        return self._latched is not None

    async def status(self) -> KillSwitchStatus:
        """Return the state now.

        Raises:
            KillSwitchUnknown: Not latched, and the file or its directory cannot be read.
        """
        if self._latched is None:
            self._latched = self._read()
        return KillSwitchStatus(active=self._latched is not None, reason=self._latched or "")

    async def signal(self, active: bool, reason: str, actor: str) -> list[HookResult]:
        """Switch on or off, tell every bot, make it durable, and return the bots' answers.

        The latch is set and every bot has been called before anything is written or awaited.

        Raises:
            KillSwitchUnknown: The file could not be written or removed; bots have been told all the same,
                and after an `off` that failed the switch is still on.
        """
        if active:
            self._latched = reason or "switched on"
            self._times_on += 1
            telling = self._tell(True, reason, actor)
            fault = await self._write(reason)
        else:
            times_on = self._times_on
            fault = await self._remove()
            if fault is None and times_on == self._times_on:
                self._latched = None
            telling = self._tell(self._latched is not None, reason, actor)
        results = await asyncio.shield(telling)
        if fault is not None:
            raise KillSwitchUnknown(
                f"kill switch file {self._path} was not {'written' if active else 'removed'} ({fault}); "
                "do it by hand, or the next start will not know"
            )
        return results

    async def watch(self) -> None:
        """Look at the file now and again, and tell the bots when a hand created it. Never returns."""
        while True:
            try:
                status = await self.status()
            except KillSwitchUnknown as e:
                _log.error("%s", e)
            else:
                if status.active and not self._told:
                    self._tell(True, status.reason, f"file {self._path.name}")
            await self._clock.sleep(_LOOK_EVERY_S)

    async def close(self) -> None:
        """Wait until every bot has answered every signal."""
        if self._telling:
            await asyncio.wait(set(self._telling))

    def _tell(self, active: bool, reason: str, actor: str) -> asyncio.Task[list[HookResult]]:
        """Start telling every bot. The task begins at the loop's next turn, before any thread answers."""
        self._told = active
        _log.warning("kill switch is %s: %s (%s)", "ON" if active else "off", reason, actor)
        signal = KillSwitchSignal(active=active, ts_ms=self._clock.now_ms(), reason=reason, actor=actor)
        task = asyncio.create_task(
            gather_hook(self._hooks.on_killswitch, deadline_s=_HOOK_DEADLINE_S, signal=signal),
            name="kill switch signal",
        )
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return task

    def _read(self) -> str | None:
        """Return the reason in the file, or None when there is no file."""
        try:
            with self._path.open("rb") as f:
                text = f.read(_MAX_REASON_BYTES).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            if self._path.parent.is_dir():
                return None
            raise KillSwitchUnknown(
                f"kill switch directory {self._path.parent} was absent; create or mount it"
            ) from None
        except OSError as e:
            raise KillSwitchUnknown(
                f"kill switch file {self._path} was unreadable ({e.strerror}); make it readable"
            ) from None
        return text or f"file {self._path.name} exists"

    async def _write(self, reason: str) -> str | None:
        async with self._writing:
            return await asyncio.to_thread(write_kill_file, self._path, reason)

    async def _remove(self) -> str | None:
        async with self._writing:
            return await asyncio.to_thread(_delete, self._path)


def reports_in(results: list[HookResult]) -> list[ExecutionReport]:
    """Return the reports that bots gave in answer to a signal."""
    return [report for result in results if isinstance(result.value, list) for report in result.value]


def write_kill_file(path: Path, reason: str) -> str | None:
    """Create the file whose existence means stop, durably; return why that failed, or None."""
    try:
        with path.open("wb") as f:
            f.write(reason.encode("utf-8", "replace")[:_MAX_REASON_BYTES] + b"\n")
            f.flush()
            os.fsync(f.fileno())
        _sync_directory(path.parent)
    except OSError as e:
        return str(e.strerror)
    return None


def _delete(path: Path) -> str | None:
    try:
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as e:
        return str(e.strerror)
    return None


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
