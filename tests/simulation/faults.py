"""What may go wrong at a call, and which of it one seed switches on: a swarm, never everything at once."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final, NamedTuple


class Fate(NamedTuple):
    """What becomes of one request: whether it takes effect, and what the bot is told of that."""

    name: str
    landed: bool

    def label(self, call: str) -> str:
        """Return the name that it is counted under."""
        return f"{call} {self.name}, {'landed' if self.landed else 'not landed'}"


HONEST: Final = Fate("honest", True)
_BOTH: Final = ("lost", "5xx", "garbage", "contradiction", "raises", "hangs", "429 bare")
_NOT_LANDED: Final = ("425", "400", "429 by the venue")
FATES: Final = (
    *(Fate(name, landed) for name in _BOTH for landed in (True, False)),
    *(Fate(name, False) for name in _NOT_LANDED),
    Fate("late", True),
)
CALLS: Final = ("cancel", "post")
READS: Final = (
    "book fails",
    "book hangs",
    "book is thin",
    "book is crossed",
    "book is off its grid",
    "record is lost",
    "record 5xx",
    "record is garbage",
    "record hangs",
    "record is missing",
    "record lags",
    "records are out for a while",
    "trades fail",
    "trades are garbage",
    "kill switch fails",
    "kill switch hangs",
    "signer fails",
    "signer hangs",
    "signer changes the chain",
    "signer changes an amount",
    "facts fail",
    "facts hang",
    "bus fails",
    "bus hangs",
    "bus loses its acknowledgement",
)
MATTERS: Final = ("slow answers", "orders are delayed", "orders match at once", "fills are reversed")
HABITS: Final = ("events boast", "events are forged", "callers give up", "disk is slow", "disk fails")
LABELS: Final = (*READS, *MATTERS, *HABITS, *(fate.label(call) for call in CALLS for fate in FATES))


class Faults:
    """The faults of one seed, and how often each has struck."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        density = rng.choice((0.0, 0.05, 0.15, 0.15, 0.35, 0.6))
        self.on = {label for label in LABELS if rng.random() < density}
        if "record lags" in self.on:
            # A record and the trades may each lag behind the other, and never both (clob_v2 3.3).
            self.on -= {"trades fail", "trades are garbage"}
        self._fates = {call: tuple(fate for fate in FATES if fate.label(call) in self.on) for call in CALLS}
        self.active = True
        self.struck: Counter[str] = Counter()

    def strikes(self, label: str, chance: float = 0.2) -> bool:
        """Return whether this fault happens now, and count it."""
        if not self.active or label not in self.on or self._rng.random() >= chance:
            return False
        self.struck[label] += 1
        return True

    def fate(self, call: str) -> Fate:
        """Return what becomes of a request."""
        fates = self._fates[call]
        if not self.active or not fates or self._rng.random() < 0.5:
            return HONEST
        fate = self._rng.choice(fates)
        self.struck[fate.label(call)] += 1
        return fate

    def end(self) -> None:
        """Heal everything."""
        self.active = False
