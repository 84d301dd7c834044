"""The loop and the writer's thread, the turn changing hands at every line of either: nobody waits for ever.

Every line of `log`, `queue`, `writer` and `commit` is a point at which the other thread may go on. All
schedules with one such change are run, and a part of those with two; PFH_TURNS=all runs every one of those.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.journals import step
from support.turns import Bell, Turns, schedules

from polytraders_pfh.engine.journal import Commit, Kind, Record, SqliteJournal, commit, log, queue, writer
from polytraders_pfh.engine.journal.batch import Control
from polytraders_pfh.engine.journal.chain import START, Head
from polytraders_pfh.engine.journal.commit import CLOSED
from polytraders_pfh.engine.journal.segment import Row

WATCHED = frozenset({__file__} | {str(module.__file__) for module in (log, queue, writer, commit)})
STRIDE = 1 if os.environ.get("PFH_TURNS") == "all" else 37


class Disk:
    """What every segment of one scenario has written; `fail` is raised by the write of that number."""

    def __init__(self, fail_at: int = 0, error: Exception | None = None) -> None:
        self.rows: list[Row] = []
        self.segments = 1
        self._writes = 0
        self._fail_at = fail_at
        self._error = error

    def write(self, rows: Sequence[Row]) -> None:
        self._writes += 1
        if self._writes == self._fail_at and self._error is not None:
            raise self._error
        self.rows += rows

    @property
    def head(self) -> Head:
        return Head(self.rows[-1].seq, self.rows[-1].hash) if self.rows else START


class MemorySegment:
    """A segment without a file."""

    path = Path("journal-000000000001.db")

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    @property
    def head(self) -> Head:
        return self.disk.head

    def known(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        return {}

    def write(self, rows: Sequence[Row], keys: object, delivered: object) -> None:
        self.disk.write(rows)

    def first_moment(self) -> int | None:
        return self.disk.rows[0].at_ms if self.disk.rows else None

    def bytes_used(self) -> int:
        return 0

    def checkpoint(self) -> None:
        pass

    def close(self) -> None:
        pass


class Loop:
    """As much of an event loop as the journal asks for. Its timers go off when the scenario says so."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._soon: deque[tuple[Callable[[Any], None], object]] = deque()
        self._timers: list[Callable[[], None]] = []

    def call_soon_threadsafe(self, callback: Callable[[Any], None], argument: object) -> None:
        self._soon.append((callback, argument))

    def call_later(self, _: float, callback: Callable[[], None]) -> Any:
        self._timers.append(callback)
        return SimpleNamespace(cancel=lambda: callback in self._timers and self._timers.remove(callback))

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Run callbacks until `done`; time passes, so that timers go off, only when there is nothing else."""
        while not done():
            if self._soon:
                callback, argument = self._soon.popleft()
                callback(argument)
            elif self._timers:
                self._timers.pop(0)()
            else:
                self._turns.wait_until(lambda: bool(self._soon))


class Stage:
    """A journal whose two sides run in turns."""

    def __init__(self, turns: Turns, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns, self.disk, self.loop = turns, disk, Loop(turns)
        self.journal = SqliteJournal(Path("nowhere"))
        side = self.journal._writer
        shelf = SimpleNamespace(
            directory=Path("nowhere"), segments=list, crowded=lambda: False, spend_reserve=lambda: True
        )
        for name in ("lay_out", "lock", "keep_reserve", "unlock"):
            setattr(shelf, name, lambda: None)
        side._shelf = shelf  # type: ignore[assignment]
        side.queue._bell = Bell(turns)  # type: ignore[assignment]
        monkeypatch.setattr(writer, "open_live", lambda *_, **__: MemorySegment(disk))
        monkeypatch.setattr(writer, "roll", self._rolled)
        monkeypatch.setattr(
            writer,
            "reading",
            SimpleNamespace(
                connect=lambda _: SimpleNamespace(close=lambda: None),
                head_of=lambda _: disk.head,
                count_undelivered=lambda _: 0,
            ),
        )
        self.journal._loop = self.loop  # type: ignore[assignment]
        self.journal._shut = ""
        self.commits: list[Commit] = []

    def _rolled(self, *_: object) -> MemorySegment:
        self.disk.segments += 1
        return MemorySegment(self.disk)

    def append(self, record: Record) -> Commit:
        self.commits.append(self.journal.append(record))
        return self.commits[-1]

    def awaited(self, record: Record) -> None:
        """Append, and wait as who awaits the commit does."""
        made = self.append(record)
        made.urge()
        self.loop.turn_until(lambda: made.settled)

    def control(self, what: str) -> None:
        """Ask the writer for something and wait until it is done."""
        done: list[object] = []
        self.journal._writer.queue.put(
            Control(what, lambda _: self.loop.call_soon_threadsafe(done.append, 1))
        )
        self.loop.turn_until(lambda: bool(done))

    def stop(self) -> None:
        self.journal._shut = CLOSED
        self.control("stop")
        self.loop.turn_until(lambda: not self.loop._soon)


def kept_and_taken(stage: Stage) -> None:
    stage.append(step(0))
    stage.awaited(step(1))
    stage.append(step(2))
    stage.append(step(3, Kind.KILL_SWITCH))
    stage.append(step(4))
    stage.stop()


def left_lying(stage: Stage) -> None:
    """Nobody waits for anything: the timer alone takes it to the disk."""
    commits = [stage.append(step(n)) for n in range(3)]
    stage.loop.turn_until(lambda: commits[-1].settled)
    commits = [stage.append(step(3)), stage.append(step(4))]
    stage.loop.turn_until(lambda: commits[-1].settled)
    stage.stop()


def rolled_between(stage: Stage) -> None:
    stage.append(step(0))
    stage.control("roll")
    stage.append(step(1))
    stage.awaited(step(2))
    stage.control("roll")
    stage.append(step(3))
    stage.stop()


def failed_between(stage: Stage) -> None:
    stage.awaited(step(0))
    stage.append(step(1))
    stage.append(step(2, Kind.KILL_SWITCH))
    stage.append(step(3))
    stage.awaited(step(4))
    stage.append(step(5, Kind.KILL_SWITCH))
    stage.stop()


def full() -> Exception:
    e = sqlite3.OperationalError("database or disk is full")
    e.sqlite_errorcode = sqlite3.SQLITE_FULL
    return e


SCENARIOS: dict[str, tuple[Callable[[Stage], None], Callable[[], Disk]]] = {
    "kept_and_taken": (kept_and_taken, Disk),
    "left_lying": (left_lying, Disk),
    "rolled_between": (rolled_between, Disk),
    "broken_disk": (failed_between, lambda: Disk(2, sqlite3.OperationalError("disk I/O error"))),
    "full_disk": (failed_between, lambda: Disk(2, full())),
}


def played(name: str, schedule: tuple[int, ...]) -> tuple[int, Stage]:
    """Run a scenario under a schedule; return how many steps it took, and what came of it."""
    play, disk = SCENARIOS[name]
    turns = Turns(schedule, WATCHED)
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(turns, disk(), patch)
        turns.run(lambda: play(stage), lambda: stage.journal._writer.run(lambda: None))
    return turns.steps, stage


def check(stage: Stage) -> None:
    """Everybody was told; what was told as kept is there, in its place, and nothing else but doubt is."""
    assert all(commit.settled for commit in stage.commits)
    assert stage.journal.queued == 0
    found = {row.seq: row.at_ms for row in stage.disk.rows}
    promised = [commit.seq for commit in stage.commits if commit.error is None]
    assert promised == sorted(promised)
    assert set(promised) == set(found)
    assert list(found) == list(range(1, len(found) + 1))
    assert stage.journal.head() == stage.disk.head
    assert bool(stage.journal._writer.failed) == any(commit.error for commit in stage.commits)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.timeout(120 if STRIDE > 1 else 3_600)
def test_whoever_goes_on_at_any_line_nobody_waits_for_ever_and_what_was_told_is_true(name: str) -> None:
    steps, stage = played(name, ())
    check(stage)
    ran = 0
    for schedule in schedules(steps, 2, STRIDE):
        _, stage = played(name, schedule)
        try:
            check(stage)
        except AssertionError as e:
            e.add_note(f"schedule {schedule}")
            raise
        ran += 1
    assert ran > steps > 100


def _ring_first(self: queue.Queue, item: Any) -> None:
    self.ring()
    self.lay(item)


def _take_what_may_be_gone(self: queue.Queue) -> Any:
    self._bell.get()
    return self._items.popleft()


def _tell_before_it_is_kept(self: writer.Writer, *told: Any) -> None:
    batch = writer.prepare(told[0], told[1])
    self._tell(batch.kept)
    _really_commit(self, *told)


_really_commit = writer.Writer._commit


@pytest.mark.parametrize(
    ("where", "name", "sabotage"),
    [
        (queue.Queue, "put", _ring_first),
        (queue.Queue, "wait", _take_what_may_be_gone),
        (writer.Writer, "_commit", _tell_before_it_is_kept),
    ],
)
def test_a_hand_over_that_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, where: type, name: str, sabotage: Any
) -> None:
    """Each of these works as long as the turn changes hands only where somebody waits."""
    monkeypatch.setattr(where, name, sabotage)
    with pytest.raises((AssertionError, IndexError)):
        for scenario in ("kept_and_taken", "broken_disk"):
            steps, _ = played(scenario, ())
            for schedule in schedules(steps, 1):
                check(played(scenario, schedule)[1])
