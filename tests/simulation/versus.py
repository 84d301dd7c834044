"""The same worlds for three bots: what it costs to do the job as the card says, as is common, or with care.

Counted by the exchange's truth, and never stopped at the first: schedules in which more filled than an
intent was for, in which two orders of one intent lived at once, in which more of a token was sold or on
sale than there was. Events are true and authentic for all three, and no other bot stands in line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any, Final

from simulation.drive import Schedule
from simulation.oracle import Oracle
from simulation.process import Process
from simulation.rivals import CancelThenPlace, Card, Rival, RivalProcess
from simulation.truth import Order

BOTS: Final[dict[str, type[Rival] | None]] = {
    "the card's pseudocode, literally": Card,
    "cancel, then place (common)": CancelThenPlace,
    "this plugin": None,
}
KINDS: Final = ("overfills", "duplicate live orders", "oversells")
EXCHANGES: Final = {"an honest exchange": True, "one that fails and lies": False}
_ABOUT_EVENTS: Final = {"events boast", "events are forged"}


class Ledger(Oracle):
    """Counts, and lets everything go on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: set[str] = set()

    def breaks(self, invariant: str, words: str) -> None:
        """Nothing ends here."""

    def after_step(self) -> None:
        """Note what has come about."""
        if not self._w.changed:
            return
        self._w.changed = False
        selling: defaultdict[str, int] = defaultdict(int)
        position: defaultdict[str, int] = defaultdict(int)
        for wish in self._w.wishes.values():
            if sum(order.filled for order in wish.orders) > wish.size:
                self.seen.add("overfills")
            if sum(1 for order in wish.orders if order.open) > 1:
                self.seen.add("duplicate live orders")
            if not wish.buying:
                position[wish.token] += wish.size
                selling[wish.token] += sum(order.filled + order.open for order in wish.orders)
        if any(size > position[token] for token, size in selling.items()):
            self.seen.add("oversells")

    def sends(self, order: Order) -> None:
        """Nothing is judged before it is there."""


class Trial(Schedule):
    """One seed's world for any bot."""

    def __init__(self, seed: int, kind: type[Rival] | None, *, honest: bool) -> None:
        super().__init__(seed)
        self._kind = kind
        self.oracle = self.world.watcher = Ledger(self.world)
        self.oracle.most_in_flight = 50
        self.loop.after_step = self.oracle.after_step
        self.setup = replace(self.setup, neighbour=False)
        self.faults.on -= _ABOUT_EVENTS
        if honest:
            self.faults.active = False

    def new_process(self) -> Process:
        """Return the next life of this bot's host."""
        if self._kind is None:
            return super().new_process()
        return RivalProcess(self.lives, self.setup, self._kind)

    async def judge(self, process: Process) -> None:
        """What there was to see has been seen."""


def compare(schedules: int, first: int = 0) -> dict[tuple[str, str], Counter[str]]:
    """Return in how many of these schedules each thing happened, by exchange and bot."""
    counted: dict[tuple[str, str], Counter[str]] = {}
    for exchange, honest in EXCHANGES.items():
        for bot, kind in BOTS.items():
            counter = counted[exchange, bot] = Counter()
            for seed in range(first, first + schedules):
                trial = Trial(seed, kind, honest=honest)
                trial.run()
                assert isinstance(trial.oracle, Ledger)
                counter.update(trial.oracle.seen)
    return counted


def table(counted: dict[tuple[str, str], Counter[str]], schedules: int) -> str:
    """Return it as a table, per 100,000 schedules."""
    head = f"| per 100,000 schedules, on {{}} | {' | '.join(KINDS)} |"
    lines: list[str] = []
    for exchange in EXCHANGES:
        lines += [head.format(exchange), "|---" * (len(KINDS) + 1) + "|"]
        for bot in BOTS:
            per = [f"{counted[exchange, bot][kind] * 100_000 // schedules:,}" for kind in KINDS]
            lines.append(f"| {bot} | {' | '.join(per)} |")
        lines.append("")
    return "\n".join(lines).rstrip()
