"""The proof of the proof: every planted bug is found, and within 2,000 schedules."""

import re

import pytest

from simulation.drive import run
from simulation.planted import BUGS, Bug

pytestmark = pytest.mark.timeout(900)
WITHIN = 2_000


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_planted_bug_is_found(bug: Bug) -> None:
    with bug.planted():
        outcomes = (run(seed, bug.always) for seed in range(WITHIN))
        found = next((outcome for outcome in outcomes if outcome.broken), None)

    assert found is not None, f"not found within {WITHIN} schedules: {bug.line}"
    assert not re.search("TypeError|AttributeError", found.broken[0].words), (
        "the sabotage does not fit its line"
    )
    assert not run(found.seed, bug.always).broken


def test_there_are_at_least_twenty_and_each_names_its_line() -> None:
    assert len(BUGS) >= 20
    assert len({bug.name for bug in BUGS}) == len({bug.line for bug in BUGS}) == len(BUGS)
