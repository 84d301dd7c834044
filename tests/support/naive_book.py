"""A book too simple to be wrong: one list of orders, searched from end to end.

It takes the exchange's fills and says whether they were the ones that price and time demand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polytraders_pfh.paper.core.model import CROWD, MICRO


@dataclass
class Entry:
    """An order in the first outcome's space; `place` orders those of one price."""

    name: str
    is_bid: bool
    price: int
    open: int
    place: int


class NaiveBook:
    """What should rest, in which order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._places = 0

    def add(self, name: str, is_bid: bool, price: int, size: int) -> None:
        self._places += 1
        if size:
            self.entries.append(Entry(name, is_bid, price, size, self._places))

    def find(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def drop(self, name: str) -> None:
        self.entries = [entry for entry in self.entries if entry.name != name]

    def put_back(self, name: str, size: int) -> None:
        """A failed fill is open again, behind everybody else at its price."""
        entry = self.find(name)
        assert entry is not None
        self._places += 1
        entry.open += size
        entry.place = self._places

    def line(self, is_bid: bool, limit: int) -> list[Entry]:
        """Entries that a taker on the other side meets up to its limit, first one first."""
        sign = -1 if is_bid else 1
        met = [e for e in self.entries if e.is_bid is is_bid and sign * e.price <= sign * limit]
        return sorted(met, key=lambda e: (sign * e.price, e.place))

    def fill(self, is_bid: bool, limit: int, fills: Iterable[tuple[str, int, int]]) -> None:
        """Check (name, price, size) fills against the line, then take them out. Crowd entries are merged
        by the exchange, so a crowd fill may cover several in a row."""
        line = self.line(is_bid, limit)
        for name, price, size in fills:
            left = size
            while left:
                assert line, f"{size} of {name} was filled although nothing stood there"
                head = line[0]
                assert (head.name, head.price) == (name, price), "a fill jumped the queue"
                took = min(left, head.open)
                head.open -= took
                left -= took
                if not head.open:
                    line.pop(0)
        self.entries = [entry for entry in self.entries if entry.open]

    def crowd_take(self, is_bid: bool, limit: int, size: int) -> tuple[int, list[tuple[str, int, int]]]:
        """What a crowd taker should get, and whom of the accounts it should meet."""
        got, met = 0, []
        for entry in self.line(is_bid, limit):
            took = min(size - got, entry.open)
            if took:
                entry.open -= took
                got += took
                if entry.name != CROWD:
                    met.append((entry.name, entry.price, took))
        self.entries = [entry for entry in self.entries if entry.open]
        return got, met

    def crowd_at(self, is_bid: bool, price: int) -> int:
        return sum(e.open for e in self._crowd(is_bid, price))

    def crowd_shrink(self, is_bid: bool, price: int, by: int) -> None:
        for entry in sorted(self._crowd(is_bid, price), key=lambda e: -e.place):
            took = min(by, entry.open)
            entry.open -= took
            by -= took
        self.entries = [entry for entry in self.entries if entry.open]

    def levels(self, token_index: int) -> dict[str, dict[int, int]]:
        """Aggregated sizes as one token's book shows them."""
        book: dict[str, dict[int, int]] = {"bids": {}, "asks": {}}
        for entry in self.entries:
            shown_as_bid = entry.is_bid is (token_index == 0)
            side = book["bids" if shown_as_bid else "asks"]
            price = MICRO - entry.price if token_index else entry.price
            side[price] = side.get(price, 0) + entry.open
        return book

    def _crowd(self, is_bid: bool, price: int) -> list[Entry]:
        return [e for e in self.entries if e.name == CROWD and e.is_bid is is_bid and e.price == price]
