"""From which entry on whoever takes over has to read a shared log: what is older has come to its end."""

from collections import deque
from typing import Final

from polytraders_pfh.engine.journal.entry import Entry
from polytraders_pfh.engine.journal.records import Kind, Record

_LOOK_BACK_MS: Final = 24 * 3_600_000
"""Answers are recalled for so long (see `restart`)."""
_MINUTE_MS: Final = 60_000


class Needed:
    """Keeps the numbers of the entries that still matter.

    Those are the ones that opened an intent which has not ended, that hold a report which is not delivered or
    a kill switch which is on, and all of the last day.

    Attributes:
        reports: The reports that are not delivered, by number, oldest first.
    """

    def __init__(self) -> None:
        self.reports: dict[int, Record] = {}
        self._entry_of_report: dict[int, int] = {}
        self._opened: dict[str, int] = {}
        self._killed: int | None = None
        self._minutes: deque[tuple[int, int]] = deque()

    def take(self, number: int, entry: Entry) -> None:
        """Note the next entry."""
        for seq in entry.delivered:
            self.reports.pop(seq, None)
            self._entry_of_report.pop(seq, None)
        for seq, record, _ in entry.records:
            self._take(number, seq, record)

    def since(self) -> int:
        """Return the number of the first entry that is still needed, 0 when that is the next one."""
        first = [next(iter(numbers.values())) for numbers in (self._entry_of_report, self._opened) if numbers]
        if self._killed is not None:
            first.append(self._killed)
        if self._minutes:
            first.append(self._minutes[0][1])
        return min(first, default=0)

    def _take(self, number: int, seq: int, record: Record) -> None:
        if record.kind is Kind.REPORTED:
            self.reports[seq] = record
            self._entry_of_report[seq] = number
        elif record.kind is Kind.INTENT_OPENED:
            self._opened.setdefault(record.root_order_id, number)
        elif record.kind is Kind.INTENT_ENDED:
            self._opened.pop(record.root_order_id, None)
        elif record.kind is Kind.KILL_SWITCH:
            self._killed = number if record.facts.get("active") else None
        if not self._minutes or record.at_ms - self._minutes[-1][0] >= _MINUTE_MS:
            self._minutes.append((record.at_ms, number))
        while record.at_ms - self._minutes[0][0] > _LOOK_BACK_MS + _MINUTE_MS:
            self._minutes.popleft()
