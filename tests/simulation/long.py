"""The long run: every planted bug, every await point, every order, and then schedules until the time is up.

After every piece it writes down how far it has come, in a file that the next run goes on from.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from simulation import second, sweep
from simulation.drive import run
from simulation.planted import BUGS
from simulation.scenarios import ALL, NAMED
from simulation.tally import Tally

FIRST_SEED: Final = 1_000_000
WITHIN: Final = 2_000
WALKS: Final = 5_000
BATCH: Final = 200


def batch(seeds: range) -> Tally:
    """Run these seeds in this process."""
    tally = Tally()
    for seed in seeds:
        tally.take(run(seed))
    return tally


def batches(first: int, schedules: int | None, processes: int) -> Iterator[Tally]:
    """Run this many seeds from the first on, or for ever, in their order, a batch at a time."""
    last = None if schedules is None else first + schedules
    starts = count(first, BATCH) if last is None else iter(range(first, last, BATCH))
    ranges = (range(at, at + BATCH if last is None else min(at + BATCH, last)) for at in starts)
    if processes < 2:
        yield from map(batch, ranges)
        return
    with get_context("spawn").Pool(processes) as pool:
        while window := [seeds for _, seeds in zip(range(processes * 4), ranges, strict=False)]:
            yield from pool.imap(batch, window)


def find(name: str) -> dict[str, Any]:
    """Look for a planted bug; return the seed that finds it."""
    bug = next(bug for bug in BUGS if bug.name == name)
    with bug.planted():
        found = next((o for seed in range(WITHIN) if (o := run(seed, bug.always)).broken), None)
    what = "not found" if found is None else f"{found.broken[0].invariant}, seed {found.seed}"
    return {"row": f"{name:42} {what}", "failed": [] if found else [f"planted {name} is not found"]}


def strike(scenario: int, mode: str) -> dict[str, Any]:
    """Sweep one scenario in one way."""
    swept = sweep.sweep(ALL[scenario], mode)
    return {"row": swept.row(), "failed": swept.failed[:3]}


def search(scenario: int) -> dict[str, Any]:
    """Try every order of one scenario."""
    found = second.search(NAMED[scenario])
    return {"row": found.row(), "failed": found.failed[:3]}


def walk(first: int) -> dict[str, Any]:
    """Walk a thousand worlds in the library's order."""
    broken = [seed for seed in range(first, first + 1_000) if second.walk(seed).broken]
    row = f"{1_000} walks from seed {first}, {len(broken)} broke"
    return {"row": row, "failed": [f"walk {seed} broke" for seed in broken]}


def pieces() -> dict[str, tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]]:
    """Return everything that has an end, by name."""
    planted = {f"planted/{bug.name}": (find, (bug.name,)) for bug in BUGS}
    swept = {
        f"sweep/{scenario.name}/{mode}": (strike, (at, mode))
        for at, scenario in enumerate(ALL)
        for mode in sweep.MODES
    }
    searched = {f"search/{scenario.name}": (search, (at,)) for at, scenario in enumerate(NAMED)}
    walked = {f"walk/{first}": (walk, (first,)) for first in range(0, WALKS, 1_000)}
    return {**planted, **swept, **searched, **walked}


class LongRun:
    """How far a long run has come, in memory and in its file."""

    def __init__(self, state: Path, minutes: float) -> None:
        self._state = state
        self._minutes = minutes
        self._began = time.monotonic()
        known = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {}
        self._before_s: float = known.get("seconds", 0.0)
        self.done: dict[str, dict[str, Any]] = known.get("done", {})
        self.tally = Tally.from_json(json.dumps(known.get("tally", {})))

    @property
    def spent_s(self) -> float:
        """How long this run has been at it."""
        return time.monotonic() - self._began

    @property
    def failed(self) -> list[str]:
        """Everything that broke."""
        return [words for piece in self.done.values() for words in piece["failed"]] + [
            *self.tally.failed.values()
        ]

    def go(self, processes: int) -> int:
        """Do what is left, then run schedules until the time is up; return the exit code."""
        todo = pieces()
        for name, (work, arguments) in todo.items():
            if name not in self.done:
                self.done[name] = work(*arguments)
                self._save(f"{len(self.done)} of {len(todo)} pieces", len(self.done) / len(todo) / 2)
        for part in batches(FIRST_SEED + self.tally.schedules, None, processes):
            self.tally.add(part)
            part_of_time = self.spent_s / 60 / self._minutes
            self._save(f"{self.tally.schedules} schedules", 0.5 + part_of_time / 2)
            if self.spent_s >= self._minutes * 60:
                break
        print("\n" + self.summary())
        return 1 if self.failed else 0

    def summary(self) -> str:
        """Return what was covered, for a person."""
        groups: dict[str, list[str]] = {}
        for name, piece in self.done.items():
            groups.setdefault(name.split("/")[0], []).append(piece["row"])
        lines = [
            f"a long run of {(self._before_s + self.spent_s) / 60:.0f} minutes: {len(self.failed)} broke"
        ]
        for group, rows in groups.items():
            lines += ["", f"{group}: {len(rows)}", *rows]
        lines += ["", "schedules", self.tally.summary(self._before_s + self.spent_s), *self.failed[:3]]
        return "\n".join(lines)

    def _save(self, words: str, part: float) -> None:
        facts = {"seconds": self._before_s + self.spent_s, "done": self.done}
        facts["tally"] = json.loads(self.tally.to_json())
        written = self._state.with_suffix(".new")
        written.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        written.replace(self._state)
        progress(part, words, len(self.failed))


def progress(part: float, words: str, broken: int) -> None:
    """Draw how far it is."""
    width = 30
    bar = "#" * min(int(part * width), width)
    print(f"\r[{bar:<{width}}] {words}, {broken} broke   ", end="", file=sys.stderr, flush=True)
