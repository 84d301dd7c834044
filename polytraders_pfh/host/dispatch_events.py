"""What bots are told of an order."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Partial:
    """The order has a new filled amount, and a rest. `ts_ms` when it is told again, under its first time."""

    filled_micro: int
    ts_ms: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """The order is over."""

    status: Literal["FILLED", "CANCELLED"]
    filled_micro: int
