"""Many schedules: `python tests/simulation --seed N`, `--schedules N`, `--sweep`, `--search`, or `--long`.

A long run writes down after every piece how far it has come, in a file that the next one goes on from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from simulation import second, sweep, versus
from simulation.drive import run
from simulation.long import LongRun, batches, progress
from simulation.planted import BUGS
from simulation.scenarios import ALL, NAMED, Scenario
from simulation.story import report
from simulation.sweep import Blow
from simulation.tally import Tally

SEEDS: Final = Path(__file__).parent / "seeds.txt"


def kept_seeds() -> list[int]:
    """Return the seeds that once broke something."""
    lines = SEEDS.read_text(encoding="utf-8").splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


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


def _scenario(name: str) -> Scenario:
    return next(scenario for scenario in ALL if scenario.name == name)


def _search() -> int:
    failed = 0
    for scenario in NAMED:
        found = second.search(scenario)
        failed += len(found.failed)
        print(found.row())
        for told in found.failed[:1]:
            print(told)
    return 1 if failed else 0


def _struck(scenario: Scenario, blow: list[str] | None) -> int:
    how = Blow("none", 0) if blow is None else Blow(blow[0], int(blow[1]), int(blow[2]))
    told = sweep.strike(scenario, how)
    print(told.words)
    return 1 if told.broken else 0


def _sweep() -> int:
    failed = 0
    for scenario in ALL:
        for mode in sweep.MODES:
            swept = sweep.sweep(scenario, mode)
            failed += len(swept.failed)
            print(swept.row())
            for told in swept.failed[:1]:
                print(told)
    return 1 if failed else 0


def _many(first: int, schedules: int, processes: int) -> int:
    tally, began = Tally(), time.monotonic()
    for part in batches(first, schedules, processes):
        tally.add(part)
        for told in part.failed.values():
            print(told)
        progress(tally.schedules / schedules, f"{tally.schedules} schedules", len(tally.failed))
    print("\n" + tally.summary(time.monotonic() - began))
    return 1 if tally.failed else 0


def main() -> int:
    """Obey the command line."""
    parser = argparse.ArgumentParser(prog="python tests/simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run one schedule and print its story")
    parser.add_argument(
        "--planted", choices=sorted(bug.name for bug in BUGS), help="have this bug in the code"
    )
    parser.add_argument("--traces", type=int, help="print the hashes of the first so many traces")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many schedules to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2, help="how many processes to run them in")
    parser.add_argument("--long", action="store_true", help="go on from where the last long run ended")
    parser.add_argument("--minutes", type=float, default=40.0, help="how long a long run lasts")
    parser.add_argument(
        "--state", type=Path, default=Path("simulation.json"), help="where it is written down"
    )
    parser.add_argument("--sweep", action="store_true", help="strike every await point of every scenario")
    parser.add_argument("--scenario", choices=[scenario.name for scenario in ALL], help="run one of them")
    parser.add_argument("--order", nargs=2, metavar=("MOMENT", "TOKEN"), help="in one order of many")
    parser.add_argument("--search", action="store_true", help="try every order with up to two deviations")
    parser.add_argument("--versus", type=int, metavar="N", help="three bots in the same N worlds each")
    parser.add_argument("--blow", nargs=3, metavar=("HOW", "TICK", "SECOND"), help="with what befalls it")
    told = parser.parse_args()
    with ExitStack() as stack:
        for bug in BUGS:
            if bug.name == told.planted:
                stack.enter_context(bug.planted())
        return _obey(told)


def _obey(told: argparse.Namespace) -> int:
    if told.sweep:
        return _sweep()
    if told.search:
        return _search()
    if told.versus is not None:
        print(versus.table(versus.compare(told.versus), told.versus))
        return 0
    if told.order is not None:
        broken, words = second.again(_scenario(told.scenario), int(told.order[0]), told.order[1])
        print(words)
        return 1 if broken else 0
    if told.scenario is not None:
        return _struck(_scenario(told.scenario), told.blow)
    if told.seed is not None:
        return _one(told.seed)
    if told.traces is not None:
        print("\n".join(traces(range(told.traces))))
        return 0
    if told.long:
        return LongRun(told.state, told.minutes).go(told.processes)
    return _many(told.first, told.schedules, told.processes)
