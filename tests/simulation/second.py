"""A second scheduler, from a library, on the same stage: no proof rests on one home-made loop alone.

`detangle` runs one lane (a task, or the loop's callbacks) at a time and asks a strategy which; it offers
random walks, PCT, and an exhaustive search of every order with so many deviations from asyncio's own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import detangle

from simulation.drive import Schedule
from simulation.loop import Happenings
from simulation.scenarios import Scenario, Scene
from simulation.stage import Outcome
from simulation.story import told_of

LATE_S: Final = 0.05
STEPS_LATE: Final = 3


class DetangleLoop(Happenings, detangle.SimLoop):
    """The library's loop, with what happens between two handles, and with processes that die."""

    def __init__(self, strategy: detangle.Strategy, late_s: float = 0.0) -> None:
        super().__init__(detangle.SimConfig(timer_jitter=late_s, jitter_steps=STEPS_LATE), strategy)
        self.begin_to_count()
        self.set_task_factory(self._kept)

    def _kept(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        task = self.keep_task(loop, work, **more)
        self._lane_for_task(task)
        return task

    def calm_down(self) -> None:
        """Take asyncio's own order from here on."""
        self._recording = False

    def _run_once(self) -> bool:
        if not super()._run_once():
            self.skip()
            self.tick()
        return True

    def _execute(self, lane: Any, handle: Any) -> None:
        self.tick()
        if self.runs(handle):
            super()._execute(lane, handle)
        self.look()

    def bury(self) -> None:
        """End everything, and close."""
        self.end_all()
        self.abandon()
        self.close()


def walk(seed: int) -> Outcome:
    """Run one seed's world in the order that the library takes: a random walk, or PCT of depth 1 to 3."""
    return _scheduled(seed, _strategy(seed))


def _strategy(seed: int) -> detangle.Strategy:
    if seed % 2:
        return detangle.RandomWalk(seed)
    return detangle.PCT(seed, depth=1 + seed // 2 % 3)


def _scheduled(seed: int, strategy: detangle.Strategy) -> Outcome:
    strategy.start(0)
    return Schedule(seed, loop=lambda _: DetangleLoop(strategy, LATE_S)).run()


@dataclass
class Searched:
    """What an exhaustive search came to."""

    scenario: str
    runs: int = 0
    exhausted: bool = True
    moments: int = 0
    failed: list[str] = field(default_factory=list)

    def row(self) -> str:
        """Return it as a row of a table."""
        all_of = "all" if self.exhausted else "NOT all"
        orders = f"{self.runs:6} orders, {all_of} there are, {self.moments:3} moments"
        return f"{self.scenario:35} {orders}, {len(self.failed)} broke"


def search(scenario: Scenario, deviations: int = 2, part: int = 0, parts: int = 1) -> Searched:
    """Try every order with so many deviations, at most; that the disruption comes at another tick is one.

    A deviation runs one lane before another that asyncio would have run first. Of several parts, each has
    its share of the moments at which the disruption may come.
    """
    found = Searched(scenario.name)
    moments = _moments(scenario)[part::parts]
    found.moments = len(moments)
    for at in moments:
        _try_all(scenario, at, deviations - (at != scenario.at), found)
    return found


def _moments(scenario: Scenario) -> range:
    """Return each number of ticks by which the disruption may follow its moment before all is settled."""
    scene = Scene(scenario, DetangleLoop(detangle.FIFO()))
    scene.run()
    return range(1, max(scene.settled_tick - scene.moment_tick, scenario.at) + 1)


def _try_all(scenario: Scenario, at: int, deviations: int, found: Searched) -> None:
    strategy = detangle.DFS(max_delays=deviations)
    while not strategy.exhausted:
        strategy.start(found.runs)
        loop = DetangleLoop(strategy)
        outcome = Scene(scenario, loop, at=at).run()
        strategy.finish(loop.decisions, bool(outcome.broken))
        found.runs += 1
        if outcome.broken:
            token = detangle.encode_token([decision.value for decision in loop.decisions])
            found.failed.append(_told(scenario, at, token, outcome))
            found.exhausted = False
            return


def again(scenario: Scenario, at: int, token: str) -> tuple[bool, str]:
    """Play one order once more; return whether it broke, and its story."""
    strategy = detangle.Replay(detangle.decode_token(token))
    strategy.start(0)
    outcome = Scene(scenario, DetangleLoop(strategy), at=at).run()
    if outcome.broken:
        return True, _told(scenario, at, token, outcome)
    return False, "\n".join([*outcome.lines, f"{scenario.name}: holds"])


def _told(scenario: Scenario, at: int, token: str, outcome: Outcome) -> str:
    command = f"python tests/simulation --scenario {scenario.name!r} --order {at} {token}"
    return told_of(scenario.name, outcome.broken, outcome.lines, command)
