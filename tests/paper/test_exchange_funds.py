"""What orders hold back, what fees cost, and how a shortage is worded."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, FAK, FOK, NO, SELL, YES, World, key_of, micro

from polytraders_pfh.paper.core.model import ExchangeConfig

SHORT = "not enough balance / allowance: the balance is not enough -> "
LATE = 10**15


def test_a_buy_holds_price_times_size_and_a_cancel_frees_it() -> None:
    world = World()
    world.fund("ann", usd="10")
    order = world.rest("ann", BUY, "0.40", "20")
    assert (world.usd("ann"), world.exchange.reserved("ann")) == (micro(10), micro(8))
    world.exchange.cancel(key_of("ann"), [order], 5)
    assert world.exchange.reserved("ann") == 0


def test_a_sell_holds_its_tokens_so_that_they_cannot_be_sold_twice() -> None:
    world = World()
    world.fund("ann", pairs="10")
    world.rest("ann", SELL, "0.40", "8")
    result = world.post("ann", SELL, "0.50", "5")
    assert result.error == (
        f"{SHORT}balance: 10000000, sum of active orders: 8000000, order amount (inc. fees): 5000000"
    )


def test_the_shortage_of_an_idle_account_names_balance_and_order_alone() -> None:
    world = World()
    world.fund("ann", usd="1")
    assert world.post("ann", BUY, "0.50", "10").error == f"{SHORT}balance: 1000000, order amount: 5000000"
    assert world.post("zoe", BUY, "0.50", "10").error == f"{SHORT}balance: 0, order amount: 5000000"


def test_what_is_matched_but_not_settled_still_counts_against_the_balance() -> None:
    world = World()
    world.fund("ann", pairs="100")
    world.fund("bob", usd="10")
    world.rest("ann", SELL, "0.50", "100")
    world.post("bob", BUY, "0.50", "10")
    assert world.usd("bob") == micro(10)
    assert world.post("bob", BUY, "0.50", "12").error == (
        f"{SHORT}balance: 10000000, sum of matched orders: 5000000, order amount (inc. fees): 6000000"
    )


def test_tokens_just_bought_cannot_be_sold_before_the_trade_is_mined() -> None:
    world = World()
    world.fund("ann", pairs="100")
    world.fund("bob", usd="10")
    world.rest("ann", SELL, "0.50", "10")
    world.post("bob", BUY, "0.50", "10")
    assert (world.post("bob", SELL, "0.60", "10").error or "").startswith(f"{SHORT}balance: 0")
    world.exchange.advance(LATE)
    assert world.post("bob", SELL, "0.60", "10", at=LATE).status == "live"


def test_a_takers_fee_comes_on_top_of_a_buy_and_the_maker_pays_none() -> None:
    world = World(taker_fee_rate_micro=50_000)
    world.fund("ann", pairs="100", usd="0.000001")
    world.fund("bob", usd="100")
    world.rest("ann", SELL, "0.40", "100")
    (trade_id,) = world.post("bob", BUY, "0.40", "100").trade_ids
    fee = 100 * 50_000 * 24 // 100  # shares x rate x p (1 - p)
    assert world.trade(trade_id).fee_usd_micro == fee
    assert world.trade(trade_id).fee_rate_bps == 500
    assert world.trade(trade_id).maker_fills[0].fee_rate_bps == 0
    world.exchange.advance(LATE)
    assert world.usd("bob") == micro(60) - fee
    assert world.usd("ann") == micro(40) + 1
    assert world.exchange.audit().fees_usd_micro == fee
    assert world.balanced()


def test_a_takers_fee_comes_out_of_what_a_sell_brings() -> None:
    world = World(taker_fee_rate_micro=70_000)
    world.fund("ann", usd="100")
    world.fund("bob", usd="0.000001", pairs="100")
    world.rest("ann", BUY, "0.50", "100")
    result = world.post("bob", SELL, "0.50", "100")
    world.exchange.advance(LATE)
    assert result.taking_micro == micro(50)
    assert world.usd("bob") == micro("48.25") + 1
    assert world.balanced()


def test_a_resting_part_holds_no_fee() -> None:
    world = World(taker_fee_rate_micro=50_000)
    world.fund("ann", usd="100")
    world.rest("ann", BUY, "0.40", "100")
    assert world.exchange.reserved("ann") == micro(40)


def test_a_buy_that_takes_must_have_the_fee_too() -> None:
    world = World(taker_fee_rate_micro=50_000)
    world.fund("ann", pairs="100")
    world.fund("bob", usd="41")
    world.rest("ann", SELL, "0.40", "100")
    assert world.post("bob", BUY, "0.40", "100").error == (
        f"{SHORT}balance: 41000000, order amount (inc. fees): 41200000"
    )
    world.fund("bob", usd="0.2")
    assert world.post("bob", BUY, "0.40", "100").status == "matched"


def test_a_market_buys_fee_comes_on_top_of_its_budget() -> None:
    world = World(taker_fee_rate_micro=50_000)
    world.fund("ann", pairs="100")
    world.fund("bob", usd="40")
    world.rest("ann", SELL, "0.40", "100")
    assert "order amount (inc. fees): 41200000" in (
        world.post("bob", BUY, "0.40", "100", kind=FOK).error or ""
    )
    assert world.post("bob", BUY, "0.40", "95", kind=FOK).status == "matched"


def test_fees_are_floored_to_five_decimals_and_obey_the_exponent() -> None:
    world = World(taker_fee_rate_micro=35_000, fee_exponent=2)
    world.fund("ann", pairs="100")
    world.fund("bob", usd="100")
    world.rest("ann", SELL, "0.37", "7")
    (trade_id,) = world.post("bob", BUY, "0.37", "7").trade_ids
    assert world.trade(trade_id).fee_usd_micro == 13_310  # 7 x 0.035 x 0.2331^2 = 0.0133122...


def test_a_better_price_leaves_the_difference_to_the_buyer() -> None:
    world = World()
    world.fund("ann", pairs="100")
    world.fund("bob", usd="60")
    world.rest("ann", SELL, "0.40", "50")
    world.post("bob", BUY, "0.60", "100")
    assert world.exchange.reserved("bob") == micro(20) + micro(30)
    world.exchange.advance(LATE)
    assert (world.usd("bob"), world.exchange.reserved("bob")) == (micro(40), micro(30))


def test_odd_fills_from_the_crowd_never_cost_a_maker_more_than_its_hold() -> None:
    world = World(tick_micro=1_000)
    world.fund("ann", usd="3.33")
    order = world.rest("ann", BUY, "0.333", "10")
    for size in ("0.000001", "3.141592", "0.333333", "2.718281"):
        world.exchange.crowd_take(YES, SELL, micro(size), micro("0.001"), 5)
    world.exchange.crowd_take(NO, BUY, micro("100"), micro("0.999"), 5)
    assert (world.status(order), world.matched(order)) == ("MATCHED", micro(10))
    world.exchange.advance(LATE)
    assert (world.usd("ann"), world.shares("ann")) == (0, micro(10))
    assert world.balanced()


def test_rounding_of_odd_fills_does_not_add_up_against_the_next_taker() -> None:
    world = World()
    world.fund("ann", "bob", usd="100")
    world.rest("ann", BUY, "0.60", "50", token=NO)
    for _ in range(200):
        world.exchange.crowd_take(NO, SELL, 1, micro("0.60"), 5)
    result = world.post("bob", BUY, "0.40", "40")
    assert result.taking_micro == micro(40)
    assert abs(result.making_micro - micro(16)) <= 1
    world.exchange.advance(LATE)
    assert world.balanced()


def test_an_order_of_either_token_holds_its_own_asset() -> None:
    world = World()
    world.fund("ann", usd="10", pairs="10")
    world.rest("ann", SELL, "0.60", "6", token=NO)
    assert [world.exchange.reserved("ann", asset) for asset in (None, YES, NO)] == [0, 0, micro(6)]


def test_without_a_settlement_delay_a_trade_moves_funds_at_once() -> None:
    world = World(ExchangeConfig(mine_delay_ms=0, confirm_delay_ms=0))
    world.fund("ann", pairs="10")
    world.fund("bob", usd="10")
    world.rest("ann", SELL, "0.50", "10")
    (trade_id,) = world.post("bob", BUY, "0.50", "10", kind=FAK).trade_ids
    assert world.shares("bob") == micro(10)
    assert world.trade(trade_id).status.value == "CONFIRMED"


@pytest.mark.parametrize("amount", [0, -1])
def test_a_deposit_is_positive(amount: int) -> None:
    with pytest.raises(ValueError, match="deposit for ann was"):
        World().exchange.deposit("ann", amount)


def test_minting_needs_the_collateral() -> None:
    world = World()
    world.fund("ann", usd="5")
    world.rest("ann", BUY, "0.50", "6")
    with pytest.raises(ValueError, match="mint for ann was 3000000 with 2000000 micro-pUSD free"):
        world.exchange.mint("ann", "0xc0", micro(3))
    world.exchange.mint("ann", "0xc0", micro(2))
    assert (world.usd("ann"), world.shares("ann", YES), world.shares("ann", NO)) == (
        micro(3),
        micro(2),
        micro(2),
    )
