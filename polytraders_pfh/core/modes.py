"""What each mode lets through (SPEC 5): shadow decides and reports, quarantine cancels, live acts."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from polytraders_pfh.core.money import MICRO
from polytraders_pfh.core.policy import Action, Decision


class Mode(StrEnum):
    """How far a decision may go, in the order in which a bot is promoted."""

    SHADOW_ONLY = "shadow_only"
    QUARANTINE = "quarantine"
    LIMITED_LIVE = "limited_live"
    GENERAL_LIVE = "general_live"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where `limited_live` acts, and up to how much per chase."""

    markets: AbstractSet[str] = frozenset()
    max_chase_usd_micro: int = 0


def reaches_further(mode: Mode, other: Mode) -> bool:
    """Return whether `mode` lets more through than `other`."""
    ladder = tuple(Mode)
    return ladder.index(mode) > ladder.index(other)


def may_post(mode: Mode, market_id: str, price_micro: int, size_micro: int, reach: Reach) -> bool:
    """Return whether an order of this price (micro-pUSD) and size (micro-shares) may be sent."""
    if mode is Mode.LIMITED_LIVE:
        return market_id in reach.markets and price_micro * size_micro <= reach.max_chase_usd_micro * MICRO
    return mode is Mode.GENERAL_LIVE


def may_act(mode: Mode, decision: Decision, market_id: str, reach: Reach) -> bool:
    """Return whether a decision is carried out, or only reported as a shadow run would.

    Holding needs nothing done, so it counts as carried out in every mode but shadow.
    """
    if mode is Mode.SHADOW_ONLY:
        return False
    if mode is Mode.QUARANTINE:
        return decision.action is not Action.CHASE
    if mode is Mode.LIMITED_LIVE:
        if market_id not in reach.markets:
            return False
        if decision.price_micro is not None and decision.size_micro is not None:
            return decision.price_micro * decision.size_micro <= reach.max_chase_usd_micro * MICRO
    return True
