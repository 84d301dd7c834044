"""What can go wrong in a demonstration, besides what host and paper exchange say themselves."""

from polytraders_pfh.errors import PfhError


class DemoError(PfhError):
    """The run cannot begin or go on. The message says what was the matter and what to do next."""


class NotAtRest(DemoError):
    """Exchange and host disagree although nothing is on its way any more. The message names the orders."""


class HostDied(DemoError):
    """The host was killed before it had done what it was asked for; what became of that is not known."""
