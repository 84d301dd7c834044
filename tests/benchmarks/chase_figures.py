"""What the sides of the chase benchmark have in common: figures, and a source of order ids."""

import statistics
from collections.abc import Callable
from typing import Final

from support.stub_exchange import API_KEY, API_SECRET, PASSPHRASE

from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.secret import Secret

Figures = dict[str, list[float]]
"""Microseconds of each chase by what was measured."""
CREDENTIALS: Final = ApiCredentials(API_KEY, Secret(API_SECRET), Secret(PASSPHRASE))


def median(figures: Figures, name: str) -> float:
    return statistics.median(figures[name])


def order_ids(space: int) -> Callable[[], str]:
    """Return a source of order ids, each another one."""
    count = iter(range(1, 2**60))
    return lambda: f"0x{space:04x}{next(count):060x}"
