"""Schedules by the thousand: no invariant breaks, everything is reached, one seed tells one story."""

import os
import re
import subprocess
import sys
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import pytest

from simulation.drive import run
from simulation.long import batch
from simulation.planted import BUGS
from simulation.run import kept_seeds, traces
from simulation.story import report
from simulation.tally import UNREACHABLE, Tally

pytestmark = pytest.mark.timeout(900)
SCHEDULES = 20_000
CHUNK = 500
RERUN = 1_000
REACHED_AT_LEAST = 20
PLANTED = "stale_remainder"


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """Run many schedules once, whoever of several test processes has time for them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(pytestconfig, "workerinput") else base
    left = [(shared / f"from-{first}", first) for first in range(0, SCHEDULES, CHUNK)]
    done = Tally()
    for wait in (False, True):
        for path, first in tuple(left):
            part = shared_out(path, range(first, first + CHUNK), wait=wait)
            if part is not None:
                done.add(part)
                left.remove((path, first))
    return done


def shared_out(path: Path, seeds: range, *, wait: bool) -> Tally | None:
    """Run these seeds, or take what another process has made of them; None while one is at it."""
    with path.open("a+") as file:
        try:
            flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return None
        file.seek(0)
        if told := file.read():
            return Tally.from_json(told)
        part = batch(seeds)
        file.write(part.to_json())
        return part


@pytest.mark.parametrize("seed", kept_seeds())
def test_seed_that_once_broke_something_holds(seed: int) -> None:
    outcome = run(seed)

    assert not outcome.broken, report(seed, outcome.broken, outcome.lines)


def test_no_schedule_breaks_an_invariant(tally: Tally) -> None:
    assert not tally.failed, next(iter(tally.failed.values()))
    assert tally.schedules == SCHEDULES


def test_every_fault_landed_or_not_every_verdict_and_every_step_is_reached_often(tally: Tally) -> None:
    assert tally.below(REACHED_AT_LEAST) == {}, tally.table()


def test_edge_that_is_named_as_unreachable_is_never_taken(tally: Tally) -> None:
    assert [step for step in UNREACHABLE if tally.steps[step]] == []


def test_same_seed_tells_the_same_story_in_two_processes_whatever_their_hash_seeds() -> None:
    command = [sys.executable, str(Path(__file__).parent), "--traces", str(RERUN)]
    running = []
    for hash_seed in ("1", "4294967295"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    one, other = (process.communicate()[0].split() for process in running)

    assert len(set(one)) == RERUN
    assert one == other
    assert one[:20] == traces(range(20))


def test_failure_tells_seed_invariant_and_history_and_its_command_tells_them_again() -> None:
    with next(bug for bug in BUGS if bug.name == PLANTED).planted():
        outcome = next(outcome for seed in range(100) if (outcome := run(seed)).broken)
    told = report(outcome.seed, outcome.broken, outcome.lines)
    (command,) = re.findall(r"\n\nTo see it again: python tests/simulation (.+)$", told)

    again = subprocess.run(
        [sys.executable, str(Path(__file__).parent), *command.split(), "--planted", PLANTED],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.startswith(f"seed {outcome.seed} broke\n  {outcome.broken[0].invariant}: ")
    assert "the host starts, life 1" in told
    assert (again.returncode, again.stdout) == (1, told + "\n")


def test_seed_that_holds_is_told_as_well() -> None:
    command = [sys.executable, str(Path(__file__).parent), "--seed", "7"]

    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert told.endswith(f"seed 7 holds; trace {run(7).digest}\n")
