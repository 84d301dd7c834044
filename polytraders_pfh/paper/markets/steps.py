"""The common shape of everything that moves the crowd: a timed step, played against the exchange."""

from __future__ import annotations

from typing import Protocol

from polytraders_pfh.paper.core.exchange import Exchange


class Step(Protocol):
    """One thing the crowd does. `at_ms` is the source's own time, and never runs backwards in one source."""

    @property
    def at_ms(self) -> int:
        """When it happened, or happens, by the source's clock."""
        ...

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        """Do it, at the exchange's time `now_ms`."""
        ...
