"""Every await point of every scenario: what if the caller gave up there, the host shut down, or died?

A scenario is played once in the plain order, and every tick is noted in which a coroutine of the bot came
to stand at an await. Then it is played again for each of them, up to that tick and with one thing more.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import polytraders_pfh
from simulation.scenarios import Scenario, Scene
from simulation.stage import Outcome
from simulation.story import told_of

CODE: Final = str(Path(polytraders_pfh.__file__).parent)
MODES: Final = ("cancel", "shutdown", "crash", "crash, queue written", "crash in recovery")


class Line(NamedTuple):
    """A line of the bot's code."""

    file: str
    number: int


class Await(NamedTuple):
    """An await, from its first line to its last."""

    file: str
    first: int
    last: int

    def has(self, line: Line) -> bool:
        """Return whether a line is of this await."""
        return line.file == self.file and self.first <= line.number <= self.last


Point = tuple[Line, ...]
"""An await point: the lines at which a task of the bot's stands, one for each coroutine that waits."""


class Mark(NamedTuple):
    """A tick after which a coroutine of the bot stood at an await: which life's, and where."""

    tick: int
    life: int
    point: Point
    calls: int
    recovering: bool


class Blow(NamedTuple):
    """What befalls a scenario: how, after which tick, and at which call or second tick."""

    mode: str
    tick: int
    second: int = 0

    def command(self, scenario: Scenario) -> str:
        """Return what plays this once more."""
        blow = f"--blow {self.mode!r} {self.tick} {self.second}"
        return f"python tests/simulation --scenario {scenario.name!r} {blow}"


class Struck(NamedTuple):
    """Whether a blow met its scenario, what it broke, and the story."""

    landed: bool
    broken: bool
    words: str


@dataclass
class Swept:
    """What sweeping one scenario in one way came to."""

    scenario: str
    mode: str
    met: set[Point] = field(default_factory=set)
    struck: set[Point] = field(default_factory=set)
    runs: int = 0
    failed: list[str] = field(default_factory=list)

    def row(self) -> str:
        """Return it as a row of a table."""
        counts = f"{len(self.struck):3} of {len(self.met):3} await points, {self.runs:4} runs"
        return f"{self.scenario:50} {self.mode:22} {counts}, {len(self.failed)} broke"


def standing(task: asyncio.Task[Any]) -> Point | None:
    """Return the awaits of the bot's own code at which a task stands, from its outermost to its innermost."""
    found: list[Line] = []
    inner: Any = task.get_coro()
    while inner is not None:
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(inner, f"{kind}_frame")), None)
        if kind is None:
            break
        frame = getattr(inner, f"{kind}_frame")
        if frame is not None and frame.f_code.co_filename.startswith(CODE):
            found.append(Line(frame.f_code.co_filename[len(CODE) + 1 :], frame.f_lineno))
        by_hand = None if frame is None else frame.f_locals.get("coroutine")
        waits_for = getattr(inner, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
        inner = by_hand if kind == "gi" and by_hand is not None else waits_for
    return tuple(found) or None


def awaits(folder: str = "engine") -> list[Await]:
    """Return every await that a folder of the bot's code has."""
    found = []
    for path in sorted(Path(CODE, folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Await):
                found.append(Await(f"{folder}/{path.name}", node.lineno, node.end_lineno or node.lineno))
            elif isinstance(node, ast.AsyncWith | ast.AsyncFor):
                found.append(Await(f"{folder}/{path.name}", node.lineno, node.lineno))
    return found


def marked(scene: Scene) -> tuple[Outcome, list[Mark]]:
    """Play a scene, and note each tick after which a task that had just run stood at an await."""
    marks: list[Mark] = []
    judge = scene.loop.after_step
    assert judge is not None

    def look() -> None:
        judge()
        task = scene.loop.ran
        life = scene.loop.lives.get(task, 0) if task is not None else 0
        if life and not task.done() and (point := standing(task)) is not None:
            process = scene.process
            recovering = process is not None and process.starting is not None and not process.starting.done()
            marks.append(Mark(scene.loop.ticks, life, point, len(_waiting(scene)), recovering))

    scene.loop.after_step = look
    outcome = scene.run()
    return outcome, [mark for mark in marks if mark.tick <= scene.settled_tick]


def play(scenario: Scenario, blow: Blow) -> tuple[Scene, Outcome, list[Mark]]:
    """Play a scenario with one blow."""
    scene = Scene(scenario, written=blow.mode == "crash, queue written")
    act: Callable[[], None] = scene.crash
    if blow.mode == "none":
        return scene, *marked(scene)
    if blow.mode == "cancel":
        act = partial(_cancel, scene, blow.second)
    elif blow.mode == "shutdown":
        act = scene.shut_down
    elif blow.mode == "crash in recovery" and blow.second:
        scene.loop.in_steps(blow.second + 1, scene.crash)
    scene.loop.in_steps(blow.tick + 1, act)
    return scene, *marked(scene)


def sweep(scenario: Scenario, mode: str) -> Swept:
    """Strike a scenario in one way at every await point that it meets."""
    swept = Swept(scenario.name, mode)
    for blow, point in _blows(scenario, mode, swept.met):
        struck = strike(scenario, blow)
        swept.runs += 1
        if struck.landed:
            swept.struck.add(point)
        if struck.broken:
            swept.failed.append(struck.words)
    return swept


def strike(scenario: Scenario, blow: Blow) -> Struck:
    """Play a scenario with one blow, and put into words what came of it."""
    scene, outcome, _ = play(scenario, blow)
    landed = scene.crashed or blow.mode == "cancel"
    if not outcome.broken:
        return Struck(landed, False, "\n".join([*outcome.lines, f"{scenario.name}, {blow.mode}: holds"]))
    what = f"{scenario.name}, {blow.mode}"
    return Struck(landed, True, told_of(what, outcome.broken, outcome.lines, blow.command(scenario)))


def _blows(scenario: Scenario, mode: str, met: set[Point]) -> Iterator[tuple[Blow, Point]]:
    _, marks = marked(Scene(scenario))
    if mode == "crash in recovery":
        yield from _second_blows(scenario, marks, met)
        return
    for mark in marks:
        if mode != "cancel":
            met.add(mark.point)
            yield Blow(mode, mark.tick), mark.point
        for call in range(mark.calls if mode == "cancel" else 0):
            met.add(mark.point)
            yield Blow(mode, mark.tick, call), mark.point


def _second_blows(scenario: Scenario, marks: list[Mark], met: set[Point]) -> Iterator[tuple[Blow, Point]]:
    """Crash in every await of a recovery, from each state in which a first crash can leave the world."""
    known: set[str] = set()
    for mark in marks:
        scene, _, after = play(scenario, Blow("crash in recovery", mark.tick))
        if scene.left_by_crash in known:
            continue
        known.add(scene.left_by_crash)
        for again in after:
            if again.life > mark.life and again.recovering:
                met.add(again.point)
                yield Blow("crash in recovery", mark.tick, again.tick), again.point


def _waiting(scene: Scene) -> list[asyncio.Task[Any]]:
    """Return the calls of the host that somebody waits for now."""
    process = scene.process
    starting = None if process is None else process.starting
    calls = [task for task in [*scene.feed.calls, *scene.commands] if task is not starting]
    return [task for task in calls if not task.done() and scene.loop.lives[task] not in scene.loop.dead]


def _cancel(scene: Scene, call: int) -> None:
    task, process = _waiting(scene)[call], scene.process
    if process is not None and task.cancel():
        scene.story.tell("a caller gives up")
        scene.loop.begin(scene.feed.must_end(task, process))
