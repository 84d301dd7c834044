"""What is due when: one queue of future actions, in order of time and, within a moment, of arrival."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[int], None]


class Agenda:
    """Actions with their due times. An action that has become pointless has to notice that itself."""

    def __init__(self) -> None:
        """Nothing to do yet."""
        self._heap: list[tuple[int, int, Action]] = []
        self._count = 0

    def at(self, due_ms: int, action: Action) -> None:
        """Have `action(due_ms)` called once time has come to `due_ms`."""
        self._count += 1
        heapq.heappush(self._heap, (due_ms, self._count, action))

    def next_ms(self) -> int | None:
        """When the next action is due."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ms: int) -> tuple[int, Action] | None:
        """Take the earliest action that is due, with its time."""
        if self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, action = heapq.heappop(self._heap)
            return due_ms, action
        return None
