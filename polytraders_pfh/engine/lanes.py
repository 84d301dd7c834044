"""One lane per trace: its reports in order, one under way at a time, resting after a failure."""

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final, NamedTuple

from polytraders_pfh.engine.journal import Record

FIRST_PAUSE_MS: Final = 50
LONGEST_PAUSE_MS: Final = 5_000
_SLACK_NS: Final = 1_000_000


class Item(NamedTuple):
    """A report in its lane; `seq` is 0 when the journal could not keep it."""

    seq: int
    record: Record


class Lane:
    """The reports of one trace, oldest first."""

    __slots__ = ("attempts", "items", "trace")

    def __init__(self, trace: str) -> None:
        self.trace = trace
        self.items: deque[Item] = deque()
        self.attempts = 0

    @property
    def first(self) -> Item:
        """The report that is due."""
        return self.items[0]


class Lanes:
    """All lanes that hold anything. Each is ready, resting, or with whoever popped it.

    Attributes:
        ready: Lanes whose first report may be published now.
        unkept: How many of the reports the journal could not keep.
    """

    def __init__(self) -> None:
        self.ready: deque[Lane] = deque()
        self.unkept = 0
        self._by_trace: dict[str, Lane] = {}
        self._resting: list[tuple[int, int, Lane]] = []
        self._count = 0
        self._rests = 0
        self._out = 0
        self._failed: set[str] = set()
        self._open_ns = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, record: Record, seq: int) -> None:
        """Put a report behind those of its trace."""
        trace = record.trace_id or record.message_id
        lane = self._by_trace.get(trace)
        if lane is None:
            lane = self._by_trace[trace] = Lane(trace)
            self.ready.append(lane)
        lane.items.append(Item(seq, record))
        self._count += 1
        self.unkept += not seq

    def firsts(self) -> Iterable[Record]:
        """Return the oldest report of each trace."""
        return [lane.first.record for lane in self._by_trace.values()]

    def pop(self, now_ns: int) -> Lane | None:
        """Return a lane whose first report is to be published now, or None."""
        while self._resting and self._resting[0][0] <= now_ns + _SLACK_NS:
            self.ready.append(heappop(self._resting)[2])
        if not self.ready or (self.down and (self._out or now_ns + _SLACK_NS < self._open_ns)):
            return None
        self._out += 1
        return self.ready.popleft()

    @property
    def down(self) -> bool:
        """Whether the bus answers nobody: several traces failed and none succeeded since."""
        return len(self._failed) > 1

    def acknowledged(self, lane: Lane) -> None:
        """The bus has the lane's first report."""
        self._out -= 1
        self._failed.clear()
        lane.attempts = 0
        item = lane.items.popleft()
        self._count -= 1
        self.unkept -= not item.seq
        if lane.items:
            self.ready.append(lane)
        else:
            del self._by_trace[lane.trace]

    def failed(self, lane: Lane, now_ns: int) -> None:
        """The bus does not have it, or did not say so: the lane rests."""
        self._out -= 1
        lane.attempts += 1
        self._failed.add(lane.trace)
        self._rests += 1
        heappush(self._resting, (now_ns + _pause_ns(lane.attempts), self._rests, lane))
        if self.down:
            self._open_ns = now_ns + _pause_ns(len(self._failed) - 1)

    def put_back(self, lane: Lane) -> None:
        """Nobody tried after all."""
        self._out -= 1
        self.ready.appendleft(lane)

    def due_ns(self) -> int | None:
        """Return when somebody should look again; None when there is nothing to wait for."""
        if self.ready and self.down:
            return None if self._out else self._open_ns
        if not self._resting:
            return None
        return max(self._resting[0][0], self._open_ns) if self.down else self._resting[0][0]


def _pause_ns(attempts: int) -> int:
    return min(FIRST_PAUSE_MS << min(attempts - 1, 10), LONGEST_PAUSE_MS) * 1_000_000
