"""What each mode lets through (SPEC 5): shadow decides and reports, quarantine cancels, live acts."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from polytraders_pfh.core.money import MICRO
from polytraders_pfh.core.policy import Action, Decision


class Mode(StrEnum):
    """How far a decision may go."""

    SHADOW_ONLY = "shadow_only"
    QUARANTINE = "quarantine"
    LIMITED_LIVE = "limited_live"
    GENERAL_LIVE = "general_live"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where `limited_live` acts, and up to how much per chase."""

    markets: AbstractSet[str] = frozenset()
    max_chase_usd_micro: int = 0


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
