"""Orders that nobody declared a strategy for get theirs here, from the rules of the config."""

from typing import Final

from polytraders_hookspecs import Strategy
from polytraders_hookspecs.orders import ZERO_BYTES32
from polytraders_hookspecs.wire import MICRO

from polytraders_pfh.core.market import Side
from polytraders_pfh.core.order_rules import Traits
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.sidecar.config import SidecarSection, strategy_id

EXPIRES: Final = "it expires and a chase order would not"
_DOUBTFUL_MICRO: Final = 1_000_000 * MICRO
"""A million shares. The exchange's docs disagree on whether records tell sizes in shares or in millionths of
one (order record), and of an order that somebody else placed nothing else is known."""


class Adoption:
    """The rules of one host."""

    def __init__(self, section: SidecarSection) -> None:
        self._book = section.book()
        self._builder_code = section.builder_code

    def take(self, order: TrackedOrder) -> None:
        """Give an order the strategy of the first rule that takes it, and its builder code where known."""
        if order.adopted and self._builder_code is not None:
            order.builder_code = self._builder_code
        traits = self._traits(order)
        rule = self._book.choose(traits).rule
        order.ruled = True
        order.strategy = Strategy(
            id=strategy_id(rule.name),
            partial_fill_policy=rule.policy_for(traits).value,
            allow_wide_chase=rule.allow_wide_chase,
        )

    def _traits(self, order: TrackedOrder) -> Traits:
        known = not order.adopted or order.builder_code != ZERO_BYTES32
        return Traits(
            market_id=order.market_id,
            token_id=order.token_id,
            side=Side(order.side),
            price_micro=order.price_micro,
            size_micro=order.size_micro,
            builder_code=order.builder_code if known else None,
            unchaseable=_unchaseable(order),
        )


def _unchaseable(order: TrackedOrder) -> str:
    """Return why no chase order may take this one's place, or an empty text."""
    if order.expires:
        return EXPIRES
    if order.adopted and order.size_micro >= _DOUBTFUL_MICRO:
        return "its size may have been told in millionths"
    return ""
