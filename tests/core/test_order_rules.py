"""Which rule takes an order: first match, conditions one by one, and what a rule hides."""

from typing import Any

import pytest

from polytraders_pfh.core.market import Side
from polytraders_pfh.core.order_rules import Choice, Rule, RuleBook, Traits
from polytraders_pfh.core.policy import Policy

DEFAULT = Rule("default", Policy.HOLD)
ORDER = Traits("0xm", "7", Side.BUY, price_micro=420_000, size_micro=100_000_000)


def rule(name: str = "r", policy: Policy = Policy.CHASE, **conditions: Any) -> Rule:
    return Rule(name, policy, **conditions)


def order(**changes: Any) -> Traits:
    fields = {name: getattr(ORDER, name) for name in Traits.__slots__}
    return Traits(**(fields | changes))


def test_the_first_rule_that_fits_takes_the_order_and_the_earlier_ones_say_why_not() -> None:
    book = RuleBook((rule("sells", side=Side.SELL), rule("all"), rule("never")), DEFAULT)

    assert book.choose(ORDER) == Choice(book.rules[1], (("sells", "it is a BUY"),))


def test_an_order_that_no_rule_takes_goes_by_the_default() -> None:
    book = RuleBook((rule("sells", side=Side.SELL),), DEFAULT)

    assert book.choose(ORDER) == Choice(DEFAULT, (("sells", "it is a BUY"),))


@pytest.mark.parametrize(
    ("conditions", "change", "reason"),
    [
        ({"market_ids": {"0xm"}}, {"market_id": "0xn"}, "its market is another"),
        ({"token_ids": {"7", "8"}}, {"token_id": "9"}, "its token is another"),
        ({"side": Side.BUY}, {"side": Side.SELL}, "it is a SELL"),
        ({"min_size_micro": 100_000_000}, {"size_micro": 99_999_999}, "its size is outside"),
        ({"max_size_micro": 100_000_000}, {"size_micro": 100_000_001}, "its size is outside"),
        ({"min_price_micro": 420_000}, {"price_micro": 419_999}, "its price is outside"),
        ({"max_price_micro": 420_000}, {"price_micro": 420_001}, "its price is outside"),
        ({"builder_codes": {"0xb"}}, {"builder_code": "0xc"}, "its builder code is another"),
        ({"builder_codes": {"0xb"}}, {"builder_code": None}, "its builder code is not known"),
    ],
)
def test_each_condition_takes_what_meets_it_and_names_what_does_not(
    conditions: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    one = rule(**conditions)

    assert one.mismatch(order(builder_code="0xb")) == ""
    assert one.mismatch(order(**({"builder_code": "0xb"} | change))) == reason


@pytest.mark.parametrize(
    ("policy", "unchaseable", "then"),
    [
        (Policy.CHASE, "it expires", Policy.HOLD),
        (Policy.CHASE, "", Policy.CHASE),
        (Policy.CANCEL, "it expires", Policy.CANCEL),
    ],
)
def test_an_order_that_no_chase_could_take_the_place_of_is_held_instead(
    policy: Policy, unchaseable: str, then: Policy
) -> None:
    assert rule(policy=policy).policy_for(order(unchaseable=unchaseable)) is then


NARROW = {
    "market_ids": frozenset({"0xm"}),
    "token_ids": frozenset({"7"}),
    "side": Side.BUY,
    "min_size_micro": 10,
    "max_size_micro": 20,
    "min_price_micro": 30,
    "max_price_micro": 40,
    "builder_codes": frozenset({"0xb"}),
}


@pytest.mark.parametrize("name", NARROW)
def test_a_rule_without_a_condition_covers_one_that_has_it_and_not_the_other_way_round(name: str) -> None:
    wide = rule("wide", **{key: value for key, value in NARROW.items() if key != name})
    narrow = rule("narrow", **NARROW)

    assert (wide.covers(narrow), narrow.covers(wide)) == (True, False)


def test_a_rule_behind_one_that_takes_all_its_orders_is_named() -> None:
    book = RuleBook((rule("buys", side=Side.BUY), rule("any"), rule("small", max_size_micro=5)), DEFAULT)

    assert book.unreachable() == (("small", "any"),)
