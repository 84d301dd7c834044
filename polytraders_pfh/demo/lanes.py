"""One lane per policy: each policy has a copy of every market to itself, moved by the same flow.

So the same order stands at the same place of the same queue once per policy, and no policy's order waits
behind another's. The copies carry ids of their own; with a single lane the recorded ids are kept.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from polytraders_hookspecs.events import Policy

from polytraders_pfh.paper.core.model import Market, Outcome
from polytraders_pfh.paper.markets.frames import derived_token_id

POLICIES: Final[tuple[Policy, ...]] = ("hold", "cancel", "chase")


@dataclass(frozen=True, slots=True)
class Lane:
    """A policy and the names that its copies of markets and tokens have. `copies` False: their own."""

    policy: Policy
    copies: bool

    def condition_id(self, condition_id: str) -> str:
        """Return this lane's id of a market."""
        if not self.copies:
            return condition_id
        return "0x" + hashlib.sha256(f"{condition_id} {self.policy}".encode()).hexdigest()

    def token_id(self, token_id: str) -> str:
        """Return this lane's id of a token."""
        return derived_token_id(f"{token_id} {self.policy}") if self.copies else token_id

    def market(self, market: Market) -> Market:
        """Return this lane's copy of a market."""
        one, other = (Outcome(self.token_id(outcome.token_id), outcome.name) for outcome in market.outcomes)
        return replace(market, condition_id=self.condition_id(market.condition_id), outcomes=(one, other))


def lanes_for(policies: Sequence[Policy]) -> tuple[Lane, ...]:
    """Return one lane per policy, in the order given."""
    return tuple(Lane(policy, copies=len(policies) > 1) for policy in policies)
