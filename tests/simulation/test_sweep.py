"""Every await point of every scenario, struck: the caller gives up there, the host shuts down, or it dies."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.planted import BUGS
from simulation.scenarios import ALL, Scenario, Scene
from simulation.sweep import MODES, awaits, marked, sweep

pytestmark = pytest.mark.timeout(900)
FINDS = {
    "cancel": "cancellation_swallowed",
    "shutdown": "log_not_folded",
    "crash": "log_not_folded",
    "crash, queue written": "log_not_folded",
    "crash in recovery": "log_not_folded",
}
SHARE_OF_AWAITS = 0.55


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", ALL, ids=[scenario.name for scenario in ALL])
def test_every_await_point_of_a_scenario_is_struck_and_nothing_breaks(scenario: Scenario, mode: str) -> None:
    swept = sweep(scenario, mode)

    assert not swept.failed, swept.failed[0]
    assert swept.struck == swept.met
    assert swept.runs >= len(swept.met) > 3


@pytest.mark.parametrize("mode", MODES)
def test_sweep_finds_a_bug_that_is_planted(mode: str) -> None:
    bug = next(bug for bug in BUGS if bug.name == FINDS[mode])
    with bug.planted():
        found = any(sweep(scenario, mode).failed for scenario in ALL)

    assert found, f"sweeping in mode {mode!r} does not find {bug.line}"


def test_scenarios_stand_at_most_awaits_of_the_engine() -> None:
    stood = {line for scenario in ALL for mark in marked(Scene(scenario))[1] for line in mark.point}
    known = awaits()

    missed = [at for at in known if not any(at.has(line) for line in stood)]

    assert 1 - len(missed) / len(known) > SHARE_OF_AWAITS, missed


def test_command_of_a_failure_tells_it_again() -> None:
    bug = next(bug for bug in BUGS if bug.name == "log_not_folded")
    with bug.planted():
        told = next(told[0] for scenario in ALL if (told := sweep(scenario, "crash").failed))
    (scenario, blow) = re.findall(r"--scenario '(.+)' --blow '(crash)' \d+ \d+$", told)[0]
    numbers = told.split()[-2:]

    command = [sys.executable, str(Path(__file__).parent), "--scenario", scenario, "--blow", blow, *numbers]
    again = subprocess.run([*command, "--planted", bug.name], capture_output=True, text=True, check=False)

    assert (again.returncode, again.stdout) == (1, told + "\n")
