"""Which events were answered, and with what: a duplicate gets the first report again.

A key is opened only after the event's signature has passed, so nobody can burn a key in advance. The
table is bounded; what it forgets is older than the replay window, where an event moves nothing by itself.
"""

import asyncio
from collections import OrderedDict

from polytraders_hookspecs.reports import ExecutionReport

Key = tuple[str, int]
"""(order_id, event_ts_ms): the card's idempotency key."""


class Answer:
    """One event's first report, now or soon. `carried` once a sequence of its own is under way.

    The report is kept as its JSON: thousands are kept, and one is hardly ever asked for again.
    """

    __slots__ = ("_payload", "_waiting", "carried")

    def __init__(self) -> None:
        self.carried = False
        self._payload: bytes | None = None
        self._waiting: asyncio.Future[ExecutionReport | None] | None = None

    def give(self, report: ExecutionReport, payload: bytes) -> None:
        """Settle the answer; the first one stays."""
        if self._payload is None:
            self._payload = payload
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(report)

    def recall(self, payload: bytes) -> None:
        """Settle the answer with a report of an earlier run."""
        self._payload = payload

    def withdraw(self) -> None:
        """Nothing was done and nothing will be: whoever waits may handle the event anew."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> ExecutionReport | None:
        """Return the first report, waiting for it; None when it was withdrawn."""
        if self._payload is not None:
            return ExecutionReport.from_json(self._payload)
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiting)


class SeenEvents:
    """Answers by key, oldest forgotten first."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: Key) -> Answer | None:
        """Return the answer to an event that was seen before, or None."""
        return self._answers.get(key)

    def open(self, key: Key) -> Answer:
        """Note a new event and return its answer, still to be given."""
        answer = self._answers[key] = Answer()
        if len(self._answers) > self._keep:
            self._answers.popitem(last=False)
        return answer

    def drop(self, key: Key) -> None:
        """Forget an event that was not handled."""
        answer = self._answers.pop(key, None)
        if answer is not None:
            answer.withdraw()
