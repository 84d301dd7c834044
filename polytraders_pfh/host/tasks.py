"""Background work that nobody forgets: strong references, a bound, and an end that is awaited."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

_log: Final = logging.getLogger(__name__)


class Tasks:
    """A set of running tasks. A task that fails is logged once, with its name; the others go on."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any] | None:
        """Start `work`; return its task, or None when the set is closed or full and it was not started."""
        if self._closed or len(self._running) >= self._limit:
            work.close()
            if not self._closed:
                _log.warning("%s was not started: %d tasks are running already", name, self._limit)
            return None
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self, deadline_s: float) -> bool:
        """Wait until nothing runs any more; return False when the deadline came first."""
        try:
            async with asyncio.timeout(deadline_s):
                while self._running:
                    await asyncio.wait(set(self._running))
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Cancel what still runs, wait for its end, and start nothing any more."""
        self._closed = True
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed: %s: %s", task.get_name(), type(error).__name__, error)
