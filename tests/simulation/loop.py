"""A loop on which everything is decided by a seed: which handle runs next, what stalls, when time passes.

A loop that shuffles its ready queue and runs all of it finds nothing, since no task ever falls behind
another. This one runs exactly one random ready handle a tick, and may set a handle aside for many ticks
while time and everything else go on. What ran inside a process that crashed never runs again.
"""

from __future__ import annotations

import asyncio
import heapq
import warnings
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Final

NOW_MS: Final = 1_746_770_100_000
LONGEST_STALL_S: Final = 5.0
MAX_TICKS: Final = 300_000
LIFE: Final[ContextVar[int]] = ContextVar("life", default=0)
"""Which life of the host a handle belongs to; 0 is the world outside."""


class Endless(Exception):
    """A schedule that does not come to rest."""


class Halted(Exception):
    """A schedule that was stopped because an invariant broke."""


class Happenings:
    """What any loop of the simulator knows: whose life a handle is of, and what happens between two."""

    call_later: Any
    create_task: Any

    def begin_to_count(self) -> None:
        """Start at nothing."""
        self.ticks = 0
        self.halted = False
        self.after_step: Callable[[], None] | None = None
        self.ran: asyncio.Task[Any] | None = None
        self.dead: set[int] = set()
        self.lives: dict[asyncio.Task[Any], int] = {}
        self.outside: Context = copy_context()
        self._at_tick: dict[int, list[Callable[[], None]]] = {}

    def in_steps(self, steps: int, act: Callable[[], None]) -> None:
        """Call `act` between two handles, this many ticks from now, outside every process."""
        self._at_tick.setdefault(self.ticks + max(steps, 1), []).append(act)

    def later(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        """Call `act` after this many virtual seconds, outside every process."""
        self.call_later(seconds, act, *args, context=self.outside)

    def begin(self, work: Coroutine[Any, Any, Any], context: Context | None = None) -> asyncio.Task[Any]:
        """Start a task in a process, or outside all of them."""
        task: asyncio.Task[Any] = self.create_task(work, context=self.outside if context is None else context)
        return task

    def keep_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """Keep every task and the life it belongs to, in the order of creation, which the seed decides."""
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
        self.lives[task] = LIFE.get() if context is None else context.get(LIFE, 0)
        return task

    def left(self, life: int) -> list[asyncio.Task[Any]]:
        """Return the tasks of a life that have not ended."""
        return [task for task, its in self.lives.items() if its == life and not task.done()]

    def stopwatch(self) -> Callable[[], float]:
        """Return a watch that stands still: of this loop nobody knows how long its machine was busy."""
        return lambda: 0.0

    def tick(self) -> None:
        """Let happen what was meant for this moment, between two handles."""
        if self.halted:
            raise Halted
        self.ticks += 1
        for act in self._at_tick.pop(self.ticks, ()):
            act()
        if self.ticks > MAX_TICKS:
            raise Endless(f"{MAX_TICKS} ticks")

    def skip(self) -> None:
        """Go on to the next moment for which something is meant, since nothing else is left to run."""
        if not self._at_tick:
            raise Endless("nothing is left to run, and the schedule has not ended")
        self.ticks = min(self._at_tick) - 1

    def runs(self, handle: Any) -> bool:
        """Return whether a handle is of the world outside, or of a process that is alive; note its task."""
        its = getattr(handle._callback, "__self__", None)
        self.ran = its if isinstance(its, asyncio.Task) else None
        return not handle._cancelled and handle._context.get(LIFE, 0) not in self.dead

    def look(self) -> None:
        """Let the oracle see what a handle has changed."""
        if self.after_step is not None:
            self.after_step()

    def end_all(self) -> None:
        """End what never ended, so that nothing of this loop runs in somebody else's time."""
        self.after_step = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for task in self.lives:
                if not task.done():
                    _close(task)
                elif not task.cancelled():
                    task.exception()


class SeededLoop(Happenings, asyncio.SelectorEventLoop):
    """One random ready handle a tick, in virtual time."""

    def __init__(self, rng: Random, stall: float) -> None:
        self.rng = rng
        self.now_s = 0.0
        self.lost_s = 0.0
        self._stall = stall
        self._calm = False
        self._aside: list[tuple[int, Any]] = []
        self.begin_to_count()
        super().__init__()
        self.set_task_factory(self.keep_task)

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now_s

    def stopwatch(self) -> Callable[[], float]:
        """Return a watch that tells the virtual seconds since now, without those the machine was busy."""
        began = self.now_s - self.lost_s
        return lambda: self.now_s - self.lost_s - began

    def calm_down(self) -> None:
        """Stall nothing any more, and let time pass only when nothing can run."""
        self._stall = 0.0
        self._calm = True

    def _run_once(self) -> None:
        loop: Any = self
        scheduled, ready = loop._scheduled, loop._ready
        self._let_time_pass(scheduled, ready)
        while scheduled and scheduled[0]._when <= self.now_s:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        self.tick()
        handle = self._pick(ready)
        if handle is not None and self.runs(handle):
            handle._run()
        self.look()

    def _let_time_pass(self, scheduled: list[Any], ready: Any) -> None:
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        aside = self._aside
        while aside and (self._stall == 0 or aside[0][0] <= self.ticks):
            ready.append(heapq.heappop(aside)[1][1])
        if aside and not ready and (not scheduled or self.rng.random() < 0.7):
            ready.append(heapq.heappop(aside)[1][1])
        if not ready and not scheduled:
            self.skip()
        elif scheduled and (not ready or self._passes(scheduled[0]._when)):
            later = max(self.now_s, scheduled[0]._when)
            if ready or aside:
                self.lost_s += later - self.now_s
            self.now_s = later

    def _passes(self, until_s: float) -> bool:
        """Return whether time passes although something could run: a busy or stopped machine."""
        if self._calm or until_s > self.now_s + LONGEST_STALL_S:
            return False
        return self.rng.random() < 0.01

    def _pick(self, ready: Any) -> Any:
        if not ready:
            return None
        if len(ready) > 1:
            ready.rotate(-self.rng.randrange(len(ready)))
        handle = ready.popleft()
        if self._stall and self.rng.random() < self._stall:
            until = self.ticks + self.rng.choice((3, 10, 40, 150))
            heapq.heappush(self._aside, (until, (self.ticks, handle)))
            return None
        return handle

    def bury(self) -> None:
        """End everything, and close."""
        loop: Any = self
        self.end_all()
        loop._ready.clear()
        loop._scheduled.clear()
        self._aside.clear()
        self.close()


def _close(task: Any) -> None:
    """Close a task's coroutine, however often it asks for one more turn."""
    task._log_destroy_pending = False
    for _ in range(5):
        try:
            task.get_coro().close()
        except (RuntimeError, asyncio.CancelledError):
            continue
        return


Loop = Any
"""A loop with `Happenings` that asyncio accepts: `SeededLoop`, or a library's."""


class VirtualClock:
    """The loop's time, as the host's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return NOW_MS + int(self._loop.time() * 1000)

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back."""
        return int(self._loop.time() * 1e9)

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""
        await asyncio.sleep(seconds)
