"""Which rule takes an order that nobody declared a strategy for: the first whose every condition holds.

A condition on what is not known of an order does not hold. The default has no condition.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from polytraders_pfh.core.market import Side
from polytraders_pfh.core.policy import Policy


@dataclass(frozen=True, slots=True)
class Traits:
    """What rules look at, in millionths. `unchaseable` says why a chase order could not take its place."""

    market_id: str
    token_id: str
    side: Side
    price_micro: int
    size_micro: int
    builder_code: str | None = None
    unchaseable: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must hold, and the policy that follows. None is no condition."""

    name: str
    policy: Policy
    allow_wide_chase: bool = False
    market_ids: AbstractSet[str] | None = None
    token_ids: AbstractSet[str] | None = None
    side: Side | None = None
    min_size_micro: int | None = None
    max_size_micro: int | None = None
    min_price_micro: int | None = None
    max_price_micro: int | None = None
    builder_codes: AbstractSet[str] | None = None

    def mismatch(self, order: Traits) -> str:
        """Return the first condition that does not hold, in words, or an empty text."""
        builder = "not known" if order.builder_code is None else "another"
        checks = (
            (_other(order.market_id, self.market_ids), "its market is another"),
            (_other(order.token_id, self.token_ids), "its token is another"),
            (self.side not in (None, order.side), f"it is a {order.side.value}"),
            (_outside(order.size_micro, self.min_size_micro, self.max_size_micro), "its size is outside"),
            (_outside(order.price_micro, self.min_price_micro, self.max_price_micro), "its price is outside"),
            (_other(order.builder_code, self.builder_codes), f"its builder code is {builder}"),
        )
        return next((words for broken, words in checks if broken), "")

    def policy_for(self, order: Traits) -> Policy:
        """Return the policy; an order that no chase order could take the place of is held instead."""
        return Policy.HOLD if order.unchaseable and self.policy is Policy.CHASE else self.policy

    def covers(self, other: "Rule") -> bool:
        """Return whether every order that meets the other's conditions meets these."""
        return (
            _within(other.market_ids, self.market_ids)
            and _within(other.token_ids, self.token_ids)
            and self.side in (None, other.side)
            and _within(other.builder_codes, self.builder_codes)
            and _at_least(other.min_size_micro, self.min_size_micro)
            and _at_least(other.min_price_micro, self.min_price_micro)
            and _at_most(other.max_size_micro, self.max_size_micro)
            and _at_most(other.max_price_micro, self.max_price_micro)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rule takes an order, and why each one before it does not: (rule's name, reason)."""

    rule: Rule
    passed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Rules in order, and the default behind them."""

    rules: tuple[Rule, ...]
    default: Rule

    def choose(self, order: Traits) -> Choice:
        """Return the first rule that takes the order."""
        passed: list[tuple[str, str]] = []
        for rule in self.rules:
            reason = rule.mismatch(order)
            if not reason:
                return Choice(rule, tuple(passed))
            passed.append((rule.name, reason))
        return Choice(self.default, tuple(passed))

    def unreachable(self) -> tuple[tuple[str, str], ...]:
        """Return the rules that can never take an order: (its name, the earlier rule that takes them all)."""
        found: list[tuple[str, str]] = []
        for number, rule in enumerate(self.rules):
            earlier = next((other for other in self.rules[:number] if other.covers(rule)), None)
            if earlier is not None:
                found.append((rule.name, earlier.name))
        return tuple(found)


def _other(value: str | None, wanted: AbstractSet[str] | None) -> bool:
    return wanted is not None and value not in wanted


def _outside(value: int, least: int | None, most: int | None) -> bool:
    return (least is not None and value < least) or (most is not None and value > most)


def _within(narrow: AbstractSet[str] | None, wide: AbstractSet[str] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _at_least(narrow: int | None, wide: int | None) -> bool:
    return wide is None or (narrow is not None and narrow >= wide)


def _at_most(narrow: int | None, wide: int | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)
