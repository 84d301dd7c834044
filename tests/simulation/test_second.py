"""The second scheduler: a library's walks over the same worlds, and its exhaustive search of small ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.planted import BUGS
from simulation.scenarios import NAMED, Scenario
from simulation.second import search, walk
from simulation.story import report

pytestmark = pytest.mark.timeout(900)
WALKS = 1_000
PARTS = 4
CHUNK = 200
BY_WALK = (
    "stale_remainder",
    "lock_released_across_the_await",
    "cap_off_by_one_tick",
    "two_cancels_in_flight",
)
BY_SEARCH = {
    "a cancel races a fill": "stale_remainder",
    "a post times out but landed": "unknown_post_releases_its_budget",
    "kill between cancel and post": "kill_check_before_an_await",
    "restart with an unknown post": "log_not_folded",
    "two intents sell one token": "stale_remainder",
}


@pytest.mark.parametrize("first", range(0, WALKS, CHUNK))
def test_no_world_breaks_under_the_librarys_scheduler(first: int) -> None:
    for seed in range(first, first + CHUNK):
        outcome = walk(seed)

        assert not outcome.broken, report(seed, outcome.broken, outcome.lines)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", NAMED, ids=[scenario.name for scenario in NAMED])
def test_no_order_with_up_to_two_deviations_breaks_a_small_scenario(scenario: Scenario, part: int) -> None:
    found = search(scenario, part=part, parts=PARTS)

    assert not found.failed, found.failed[0]
    assert found.exhausted
    assert found.runs > 100


@pytest.mark.parametrize("name", BY_WALK)
def test_librarys_scheduler_finds_a_bug_that_is_planted(name: str) -> None:
    bug = next(bug for bug in BUGS if bug.name == name)
    with bug.planted():
        assert any(walk(seed).broken for seed in range(WALKS)), bug.line


@pytest.mark.parametrize("scenario", NAMED, ids=[scenario.name for scenario in NAMED])
def test_search_finds_a_bug_that_is_planted(scenario: Scenario) -> None:
    bug = next(bug for bug in BUGS if bug.name == BY_SEARCH[scenario.name])
    with bug.planted():
        found = search(scenario, deviations=1)

    assert found.failed, bug.line


def test_command_of_a_failed_order_tells_it_again() -> None:
    bug = next(bug for bug in BUGS if bug.name == "stale_remainder")
    with bug.planted():
        told = search(NAMED[0], deviations=1).failed[0]
    ((scenario, at, token),) = re.findall(r"--scenario '(.+)' --order (\d+) (\S+)$", told)

    command = [sys.executable, str(Path(__file__).parent), "--scenario", scenario, "--order", at, token]
    again = subprocess.run([*command, "--planted", bug.name], capture_output=True, text=True, check=False)

    assert (again.returncode, again.stdout) == (1, told + "\n")


def test_one_seed_walks_one_way() -> None:
    assert [walk(seed).digest for seed in range(20)] == [walk(seed).digest for seed in range(20)]
