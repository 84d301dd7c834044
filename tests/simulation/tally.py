"""What many schedules came to: how often each fault struck, each verdict was given, each step was taken."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from polytraders_pfh.core.lifecycle import TRANSITIONS
from polytraders_pfh.core.reasons import Reason
from simulation.faults import CALLS, FATES, LABELS
from simulation.stage import Outcome
from simulation.story import report

UNREACHABLE: Final = frozenset({"CANCEL_UNKNOWN CANCEL_PROVEN"})
"""Edges of the table that nothing takes: after doubt the engine asks, or cancels anew."""
VERDICTS: Final = tuple(Reason)[: list(Reason).index(Reason.PARTIAL_FILL_SHED) + 1]
HAPPENS: Final = ("restart", "kill", "reset", "cancel by hand", "trader cancels")
_TABLES: Final = ("struck", "verdicts", "steps", "events")


@dataclass
class Tally:
    """What many schedules came to."""

    schedules: int = 0
    ticks: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def take(self, outcome: Outcome) -> None:
        """Add one schedule."""
        self.schedules += 1
        self.ticks += outcome.ticks
        for table in _TABLES:
            getattr(self, table).update(getattr(outcome, table))
        if outcome.broken:
            self.failed[outcome.seed] = report(outcome.seed, outcome.broken, outcome.lines)

    def add(self, other: Tally) -> None:
        """Add what others came to."""
        self.schedules += other.schedules
        self.ticks += other.ticks
        self.failed.update(other.failed)
        for table in _TABLES:
            getattr(self, table).update(getattr(other, table))

    def to_json(self, **more: object) -> str:
        """Return it for a file."""
        facts = {"schedules": self.schedules, "ticks": self.ticks, "failed": self.failed} | more
        return json.dumps(facts | {table: dict(getattr(self, table)) for table in _TABLES}, indent=1)

    @classmethod
    def from_json(cls, told: str) -> Tally:
        """Return what a file says; nothing yet when it is empty."""
        facts = json.loads(told or "{}")
        tally = cls(facts.get("schedules", 0), facts.get("ticks", 0))
        tally.failed = {int(seed): words for seed, words in facts.get("failed", {}).items()}
        for table in _TABLES:
            getattr(tally, table).update(facts.get(table, {}))
        return tally

    def counters(self) -> dict[str, int]:
        """Return everything that must be reached, and how often it was."""
        steps = [f"{state.value} {step.value}" for state, to in TRANSITIONS.items() for step in to]
        return (
            {label: self.struck[label] for label in LABELS}
            | {f"verdict {verdict.value}": self.verdicts[verdict.value] for verdict in VERDICTS}
            | {f"step {step}": self.steps[step] for step in steps if step not in UNREACHABLE}
            | {f"event {name}": self.events[name] for name in HAPPENS}
        )

    def below(self, least: int) -> dict[str, int]:
        """Return what was reached less often than that."""
        return {name: times for name, times in self.counters().items() if times < least}

    def table(self) -> str:
        """Return the counters as a table: what a request met by whether it landed, and all else."""
        rows = [f"{'fault of a request':24} {'landed':>8} {'not landed':>11}"]
        for call in CALLS:
            for name in dict.fromkeys(fate.name for fate in FATES):
                both = {fate.landed: self.struck[fate.label(call)] for fate in FATES if fate.name == name}
                rows.append(f"{call + ' ' + name:24} {both.get(True, '-'):>8} {both.get(False, '-'):>11}")
        fates = {fate.label(call) for call in CALLS for fate in FATES}
        rows += [f"{name:40} {n:>8}" for name, n in self.counters().items() if name not in fates]
        return "\n".join(rows)

    def summary(self, seconds: float) -> str:
        """Return what was covered, for a person."""
        rate = self.schedules / max(seconds, 0.001)
        lines = [
            f"{self.schedules} schedules, {self.ticks} ticks, {seconds:.0f} s, {rate:.0f} schedules/s",
            f"{len(self.failed)} broke an invariant: {sorted(self.failed)[:20]}",
            f"reached less than 20 times: {self.below(20) or 'nothing'}",
        ]
        return "\n".join([*lines, self.table()])
