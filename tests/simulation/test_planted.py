"""The proof of the proof: every planted bug is found, and within 2,000 schedules."""

import pytest

from simulation.drive import run
from simulation.planted import BUGS, Bug

WITHIN = 2_000


def test_there_are_at_least_twenty_and_each_names_its_line() -> None:
    assert len(BUGS) >= 20
    assert len({bug.name for bug in BUGS}) == len({bug.line for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_planted_bug_is_found(bug: Bug) -> None:
    with bug.planted():
        found = next((outcome for seed in range(WITHIN) if (outcome := run(seed)).broken), None)

    assert found is not None, f"not found within {WITHIN} schedules: {bug.line}"
    assert not run(found.seed).broken
