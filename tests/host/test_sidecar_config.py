"""The sidecar's rules in the config: what is refused, and what reaches the bot and its orders."""

from typing import Any

import pytest
from polytraders_hookspecs import Strategy
from polytraders_hookspecs.orders import ZERO_BYTES32
from support.orders import BUILDER, MARKET, TOKEN

from polytraders_pfh.config import load_settings
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import HostConfig
from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.sidecar.adoption import Adoption
from polytraders_pfh.host.sidecar.config import SidecarSection

BOT = "exec.partialfillhandler"


def config(sidecar: dict[str, Any], **bot: Any) -> HostConfig:
    return HostConfig.from_members(
        {
            "host": {"state_dir": "state"},
            "exchange": {"rest_url": "https://clob.example", "ws_url": "wss://ws.example"},
            "wallet": {"key": {"env": "PK"}},
            "sidecar": sidecar,
            "bots": {BOT: bot},
        }
    )


def rule(**changes: Any) -> dict[str, Any]:
    return {"name": "r1", "policy": "chase"} | changes


def adopted(**changes: Any) -> TrackedOrder:
    fields: dict[str, Any] = {
        "order_id": "0x" + "aa" * 32,
        "market_id": MARKET,
        "token_id": TOKEN,
        "trace_id": "trc_0123456789abcdef",
        "side": "BUY",
        "price_micro": 420_000,
        "size_micro": 100_000_000,
        "adopted": True,
    }
    return TrackedOrder(**(fields | changes))


@pytest.mark.parametrize(
    ("sidecar", "sentence"),
    [
        ({"rules": [rule(), rule()]}, "two rules were named 'r1'; give each a name of its own"),
        ({"rules": [rule(name="default")]}, "a rule was named 'default'; write it as [sidecar.default]"),
        ({"rules": [rule(polcy="x")]}, "sidecar.rules.0.polcy was 'x'; no such setting exists"),
        (
            {"rules": [rule(policy="flee")]},
            "sidecar.rules.0.policy was 'flee'; use 'hold', 'cancel' or 'chase'",
        ),
        ({"rules": [rule(market="0x12")]}, "sidecar.rules.0.market"),
        ({"rules": [rule(token="abc")]}, "sidecar.rules.0.token.0 was 'abc'"),
        (
            {"rules": [rule(min_price="0.7", max_price="0.6")]},
            "min_price was 0.7; it must not exceed max_price 0.6",
        ),
        ({"rules": [rule(max_price="1.5")]}, "sidecar.rules.0.max_price was '1.5'"),
        ({"rules": [rule(limits={"chase_max_ticks": 11})]}, "sidecar.rules.0.limits.chase_max_ticks was 11"),
        ({"rules": [rule(limits={"min_remainder_size": "0.5"})]}, "limits.min_remainder_size was '0.5'"),
        ({"default": {"policy": "chase", "side": "BUY"}}, "sidecar.default.side was 'BUY'; no such setting"),
    ],
)
def test_a_fault_in_a_rule_is_named_with_its_place(sidecar: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(sidecar)

    assert sentence in str(caught.value)


def test_a_strategy_that_is_named_like_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"names with 'rule\.' are its rules"):
        config({}, overrides={"rule.r1": {"chase_max_ticks": 1}})


def test_the_limits_of_each_rule_reach_the_bot_as_those_of_its_strategy() -> None:
    found = config(
        {
            "rules": [rule(limits={"chase_max_ticks": 2, "cancel_on_book_thin": False})],
            "default": {"policy": "cancel", "limits": {"min_remainder_size": "7.5"}},
        },
        overrides={"momentum": {"chase_max_ticks": 1}},
    )
    settings = load_settings(found.members_of(BOT))

    first, default = settings.limits("rule.r1"), settings.limits("rule.default")
    assert (first.default_policy, first.chase_max_ticks, first.cancel_on_book_thin) == (
        Policy.CHASE,
        2,
        False,
    )
    assert (default.default_policy, default.min_remainder_usd_micro) == (Policy.CANCEL, 7_500_000)
    assert settings.limits("momentum").chase_max_ticks == 1


def test_another_bots_section_reaches_it_as_written() -> None:
    found = config({"rules": [rule()]})
    other = found.model_copy(update={"bots": {"exec.other": found.bots[BOT]}})

    assert other.members_of("exec.other") == {"enabled": True}


def test_an_adopted_order_gets_the_strategy_of_its_rule() -> None:
    section = SidecarSection.model_validate(
        {"rules": [rule(side="SELL"), rule(name="r2", token=TOKEN, allow_wide_chase=True)]}
    )
    order = adopted()

    Adoption(section).take(order)

    assert order.strategy == Strategy(id="rule.r2", partial_fill_policy="chase", allow_wide_chase=True)
    assert (order.ruled, order.builder_code) == (True, ZERO_BYTES32)


def test_an_adopted_order_that_expires_is_held_where_it_would_be_chased() -> None:
    order = adopted(expires=True)

    Adoption(SidecarSection.model_validate({"rules": [rule()]})).take(order)

    assert order.strategy == Strategy(id="rule.r1", partial_fill_policy="hold")


@pytest.mark.parametrize(
    ("size_micro", "adopted_here", "policy"),
    [(999_999_000_000, True, "chase"), (10**12, True, "hold"), (10**12, False, "chase")],
)
def test_an_adopted_order_whose_size_may_be_in_millionths_is_never_chased(
    size_micro: int, adopted_here: bool, policy: str
) -> None:
    order = adopted(size_micro=size_micro, adopted=adopted_here)

    Adoption(SidecarSection.model_validate({"rules": [rule()]})).take(order)

    assert order.strategy is not None
    assert order.strategy.partial_fill_policy == policy


@pytest.mark.parametrize(("told", "taken_by"), [(None, "rule.default"), (BUILDER, "rule.r1")])
def test_a_rule_on_the_builder_code_takes_adopted_orders_only_where_the_config_tells_it(
    told: str | None, taken_by: str
) -> None:
    section = SidecarSection.model_validate({"rules": [rule(builder_code=BUILDER)], "builder_code": told})
    order = adopted()

    Adoption(section).take(order)

    assert order.strategy is not None
    assert (order.strategy.id, order.builder_code) == (taken_by, told or ZERO_BYTES32)


def test_an_order_that_this_host_signed_has_a_known_builder_code() -> None:
    section = SidecarSection.model_validate({"rules": [rule(builder_code=BUILDER)]})
    order = adopted(adopted=False, builder_code=BUILDER)

    Adoption(section).take(order)

    assert order.strategy is not None
    assert order.strategy.id == "rule.r1"
