"""What every test shares: a watch over secrets, and Hypothesis without deadlines: a shared machine stalls."""

from hypothesis import Phase, settings
from support.secret_watch import pytest_configure, pytest_runtest_makereport, pytest_runtest_teardown

__all__ = ["pytest_configure", "pytest_runtest_makereport", "pytest_runtest_teardown"]

settings.register_profile("ci", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.register_profile("mutants", deadline=None, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("ci")
