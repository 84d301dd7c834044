"""Many schedules: `python tests/simulation --seed N`, `--schedules N`, or `--long`.

A long run writes down after every batch how far it has come, in a file that the next one goes on from.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from polytraders_pfh.core.lifecycle import TRANSITIONS
from simulation.drive import Outcome, run
from simulation.faults import LABELS
from simulation.story import report

SEEDS: Final = Path(__file__).parent / "seeds.txt"
UNREACHABLE: Final = frozenset({"CANCEL_UNKNOWN CANCEL_PROVEN"})
"""Edges of the table that nothing takes: after doubt the engine asks, or cancels anew."""
_BATCH: Final = 200
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

    def never(self) -> list[str]:
        """Return every fault and every step of the lifecycle that was not reached once."""
        steps = [f"{state.value} {step.value}" for state, to in TRANSITIONS.items() for step in to]
        missing = [label for label in LABELS if not self.struck[label]]
        return missing + [step for step in steps if not self.steps[step] and step not in UNREACHABLE]

    def summary(self, seconds: float) -> str:
        """Return what was covered, for a person."""
        rate = self.schedules / max(seconds, 0.001)
        lines = [
            f"{self.schedules} schedules, {self.ticks} ticks, {seconds:.0f} s, {rate:.0f} schedules/s",
            f"{len(self.failed)} broke an invariant: {sorted(self.failed)[:20]}",
            f"never reached: {', '.join(self.never()) or 'nothing'}",
        ]
        for table in _TABLES:
            counted = ", ".join(f"{name} {n}" for name, n in sorted(getattr(self, table).items()))
            lines.append(f"{table}: {counted}")
        return "\n".join(lines)


def kept_seeds() -> list[int]:
    """Return the seeds that once broke something."""
    lines = SEEDS.read_text(encoding="utf-8").splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def batch(seeds: Iterable[int]) -> Tally:
    """Run these seeds in this process."""
    tally = Tally()
    for seed in seeds:
        tally.take(run(seed))
    return tally


def batches(first: int, schedules: int, processes: int) -> Iterator[Tally]:
    """Run this many seeds from the first on, in processes of their own, a batch at a time."""
    last = first + schedules
    ranges = [range(at, min(at + _BATCH, last)) for at in range(first, last, _BATCH)]
    if processes < 2:
        yield from map(batch, ranges)
        return
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(batch, ranges)


def traces(seeds: Iterable[int]) -> list[str]:
    """Return the hash of each seed's trace."""
    return [run(seed).digest for seed in seeds]


def _one(seed: int) -> int:
    outcome = run(seed)
    if outcome.broken:
        print(report(seed, outcome.broken, outcome.lines))
    else:
        print("\n".join(outcome.lines))
        print(f"seed {seed} holds; trace {outcome.digest}")
    return 1 if outcome.broken else 0


def _many(first: int, schedules: int, processes: int) -> int:
    tally, began = Tally(), time.monotonic()
    for part in batches(first, schedules, processes):
        tally.add(part)
        for told in part.failed.values():
            print(told)
        _progress(tally.schedules / schedules, tally, time.monotonic() - began)
    print("\n" + tally.summary(time.monotonic() - began))
    return 1 if tally.failed else 0


def _long(minutes: float, processes: int, state: Path) -> int:
    known = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {}
    tally = Tally(known.get("schedules", 0), known.get("ticks", 0))
    tally.failed = {int(seed): told for seed, told in known.get("failed", {}).items()}
    for table in _TABLES:
        getattr(tally, table).update(known.get(table, {}))
    before_s, began = known.get("seconds", 0.0), time.monotonic()
    first = 1_000_000 + tally.schedules
    for part in batches(first, 10**9, processes):
        tally.add(part)
        spent = time.monotonic() - began
        _save(tally, before_s + spent, state)
        _progress(spent / 60 / minutes, tally, spent)
        if spent >= minutes * 60:
            break
    print("\n" + tally.summary(before_s + time.monotonic() - began))
    for told in list(tally.failed.values())[:3]:
        print(told)
    return 1 if tally.failed else 0


def _save(tally: Tally, seconds: float, state: Path) -> None:
    facts = {"schedules": tally.schedules, "ticks": tally.ticks, "seconds": seconds, "failed": tally.failed}
    facts |= {table: dict(getattr(tally, table)) for table in _TABLES}
    written = state.with_suffix(".new")
    written.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    written.replace(state)


def _progress(part: float, tally: Tally, seconds: float) -> None:
    width = 30
    bar = "#" * min(int(part * width), width)
    rate = tally.schedules / max(seconds, 0.001)
    line = f"\r[{bar:<{width}}] {tally.schedules} schedules, {rate:.0f}/s, {len(tally.failed)} broken"
    print(line, end="", file=sys.stderr, flush=True)


def main() -> int:
    """Obey the command line."""
    parser = argparse.ArgumentParser(prog="python tests/simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run one schedule and print its story")
    parser.add_argument("--traces", type=int, help="print the hashes of the first so many traces")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many schedules to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2, help="how many processes to run them in")
    parser.add_argument("--long", action="store_true", help="go on from where the last long run ended")
    parser.add_argument("--minutes", type=float, default=40.0, help="how long a long run lasts")
    parser.add_argument(
        "--state", type=Path, default=Path("simulation.json"), help="where it is written down"
    )
    told = parser.parse_args()
    if told.seed is not None:
        return _one(told.seed)
    if told.traces is not None:
        print("\n".join(traces(range(told.traces))))
        return 0
    if told.long:
        return _long(told.minutes, told.processes, told.state)
    return _many(told.first, told.schedules, told.processes)
