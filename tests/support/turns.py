"""Two threads that run in turns, and every way in which the turns may fall: no luck, no sleep.

Each thread runs alone until it reaches a line of the watched files; there a schedule may give the turn to the
other one. `schedules` yields first the one without any change of turn but those that waiting forces, then
one more change at every line, then two. A thread that waits for a bell gives its turn away until it is rung;
when both wait, it is a deadlock, and an error.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Schedule = tuple[int, ...]
"""The steps at which the turn changes hands, though nobody waits."""


class Deadlock(AssertionError):
    """Both threads wait."""


class Turns:
    """Who may run. Threads are 0 and 1; a step is one line of the watched files in either."""

    def __init__(self, schedule: Schedule, watched: frozenset[str]) -> None:
        self.steps = 0
        self._changes = set(schedule)
        self._watched = watched
        self._running = 0
        self._waiting: dict[int, Callable[[], bool]] = {}
        self._ended: set[int] = set()
        self._condition = threading.Condition()
        self._broken: Exception | None = None
        self._names: dict[int, int] = {}

    def run(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Run both to their ends.

        Raises:
            Deadlock: Neither could go on.
            Exception: What either raised.
        """
        threads = [
            threading.Thread(target=self._body, args=(me, work), daemon=True)
            for me, work in enumerate((first, second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        if self._broken is not None:
            raise self._broken
        assert not any(thread.is_alive() for thread in threads), "a thread waits outside of its turns"

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Give the turn away until `ready` holds. Called by the thread whose turn it is."""
        me = self._names[threading.get_ident()]
        with self._condition:
            while not ready():
                self._waiting[me] = ready
                self._pass(me)
                self._await_turn(me)
            self._waiting.pop(me, None)

    def _body(self, me: int, work: Callable[[], None]) -> None:
        self._names[threading.get_ident()] = me
        try:
            with self._condition:
                self._await_turn(me)
            sys.settrace(self._trace)
            work()
        except Exception as e:
            self._broken = self._broken or e
        finally:
            sys.settrace(None)
            with self._condition:
                self._ended.add(me)
                self._pass(me)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in self._watched:
            return None
        if event == "line":
            self._step()
        return self._trace

    def _step(self) -> None:
        self.steps += 1
        if self.steps in self._changes:
            me = self._names[threading.get_ident()]
            with self._condition:
                self._pass(me)
                self._await_turn(me)

    def _pass(self, me: int) -> None:
        """Give the turn to the other one, if it can use it."""
        other = 1 - me
        can = other not in self._ended and (other not in self._waiting or self._waiting[other]())
        mine_ended = me in self._ended
        mine_waits = me in self._waiting and not self._waiting[me]()
        if can:
            self._running = other
        elif other not in self._ended and (mine_ended or mine_waits):
            self._broken = self._broken or Deadlock(f"both threads wait after step {self.steps}")
        elif mine_waits:
            self._broken = self._broken or Deadlock(f"the last thread waits after step {self.steps}")
        self._condition.notify_all()

    def _await_turn(self, me: int) -> None:
        while self._running != me:
            if self._broken is not None or (1 - me) in self._ended:
                break
            self._condition.wait()
        if self._broken is not None:
            raise self._broken


class Bell:
    """Stands in for the queue that wakes a thread: a put rings it, a get waits for its turn and a ring."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._rings: deque[None] = deque()

    def put(self, _: None) -> None:
        self._rings.append(None)

    def get(self) -> None:
        self._turns.wait_until(lambda: bool(self._rings))
        self._rings.popleft()


def schedules(steps: int, bound: int, stride: int = 1) -> Iterator[Schedule]:
    """Yield every schedule with up to `bound` changes of turn among so many steps; two lie `stride` apart."""
    yield ()
    if bound >= 1:
        for first in range(1, steps + 1):
            yield (first,)
    if bound >= 2:
        for first in range(1, steps + 1):
            for second in range(first + 1, steps + 1, stride):
                yield (first, second)
