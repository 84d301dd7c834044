"""What every test shares: Hypothesis without deadlines, since a shared machine stalls at random."""

from hypothesis import settings

settings.register_profile("ci", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile("ci")
