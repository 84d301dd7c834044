"""How often something happened within the last minutes, for health."""

from collections import deque
from typing import Final

WINDOW_MS: Final = 5 * 60_000


class Recent:
    """Times of events within a sliding five minutes, at most `keep` of them."""

    def __init__(self, keep: int = 100_000) -> None:
        self._at_ms: deque[int] = deque(maxlen=keep)

    def note(self, now_ms: int) -> None:
        """Note one event."""
        self._at_ms.append(now_ms)

    def count(self, now_ms: int) -> int:
        """Return how many happened within the window."""
        while self._at_ms and self._at_ms[0] <= now_ms - WINDOW_MS:
            self._at_ms.popleft()
        return len(self._at_ms)
