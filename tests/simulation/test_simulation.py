"""Schedules by the thousand: no invariant breaks, everything is reached, one seed tells one story."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polytraders_pfh.core.reasons import Reason
from simulation.drive import run
from simulation.run import UNREACHABLE, Tally, batches, kept_seeds, traces
from simulation.story import Broken, report

SCHEDULES = 9_000
PROCESSES = 2
RERUN = 30
VERDICTS = tuple(Reason)[: list(Reason).index(Reason.PARTIAL_FILL_SHED) + 1]
TRIED_AT_LEAST = 5


@pytest.fixture(scope="module")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Run many schedules once for all tests of this module, and say how fast that went."""
    whole, began = Tally(), time.monotonic()
    for part in batches(0, SCHEDULES, PROCESSES):
        whole.add(part)
        if whole.failed:
            break
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    seconds = time.monotonic() - began
    if reporter is not None:
        rate = whole.schedules / seconds
        reporter.write_line(f"\n{whole.schedules} schedules in {seconds:.0f} s, {rate:.0f}/s")
    return whole


@pytest.mark.parametrize("seed", kept_seeds())
def test_seed_that_once_broke_something_holds(seed: int) -> None:
    outcome = run(seed)

    assert not outcome.broken, report(seed, outcome.broken, outcome.lines)


@pytest.mark.timeout(300)
def test_no_schedule_breaks_an_invariant(tally: Tally) -> None:
    assert not tally.failed, next(iter(tally.failed.values()))
    assert tally.schedules == SCHEDULES


@pytest.mark.timeout(300)
def test_every_fault_landed_or_not_and_every_step_of_the_lifecycle_is_reached(tally: Tally) -> None:
    assert tally.never() == []
    rare = {label: count for label, count in tally.struck.items() if count < TRIED_AT_LEAST}
    assert rare == {}


@pytest.mark.timeout(300)
def test_every_verdict_is_reached(tally: Tally) -> None:
    rare = {verdict.value for verdict in VERDICTS if tally.verdicts[verdict.value] < TRIED_AT_LEAST}
    assert rare == set()


@pytest.mark.timeout(300)
def test_edge_that_is_named_as_unreachable_is_never_taken(tally: Tally) -> None:
    assert [step for step in UNREACHABLE if tally.steps[step]] == []


@pytest.mark.timeout(300)
def test_hosts_die_and_come_back_and_switches_go_on_and_off(tally: Tally) -> None:
    happened = ("restart", "kill", "reset", "cancel by hand", "trader cancels")
    assert {name for name in happened if tally.events[name] < TRIED_AT_LEAST} == set()


def test_same_seed_tells_the_same_story_in_two_processes_whatever_their_hash_seeds() -> None:
    package = Path(__file__).parent
    command = [sys.executable, str(package), "--traces", str(RERUN)]
    told = []
    for hash_seed in ("1", "4294967295"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        told.append(ran.stdout.split())

    assert len(set(told[0])) == RERUN
    assert told[0] == told[1] == traces(range(RERUN))


def test_failure_names_its_seed_and_invariant_and_the_command_that_replays_it() -> None:
    outcome = run(7)
    told = report(7, [Broken("I3", "A1 is posted while A is LIVE")], outcome.lines)

    assert told.startswith("seed 7 broke\n  I3: A1 is posted while A is LIVE")
    assert told.endswith("To see it again: python tests/simulation --seed 7")
    assert "the host starts, life 1" in told
