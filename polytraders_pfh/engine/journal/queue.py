"""The way from the loop to the writer: what is laid down there wakes nobody until the bell is rung.

Every wake of the writer's thread costs the loop some of the interpreter just when it is busy, and one more
fdatasync. So records that nobody waits for lie until one comes that somebody does, or until it is time.
"""

from collections import deque
from queue import SimpleQueue

from polytraders_pfh.engine.journal.batch import Item


class Queue:
    """First in, first out. Safe between one thread that lays down and one that takes."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()

    def lay(self, item: Item) -> None:
        """Put something down, and wake nobody."""
        self._items.append(item)

    def ring(self) -> None:
        """Have everything taken that lies here."""
        self._bell.put(None)

    def put(self, item: Item) -> None:
        """Put something down and have it taken, with all before it."""
        self.lay(item)
        self.ring()

    def take(self) -> Item | None:
        """Return the first thing at once, or None when nothing lies here."""
        return self._items.popleft() if self._items else None

    def wait(self) -> Item:
        """Return the first thing once the bell has been rung for it."""
        while True:
            self._bell.get()
            if self._items:
                return self._items.popleft()
