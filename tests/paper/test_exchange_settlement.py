"""From MATCHED to MINED and CONFIRMED, or back again."""

from __future__ import annotations

import pytest
from support.paper_core import BUY, FAK, NO, SELL, T0, YES, World, micro, told, trade_statuses

from polytraders_pfh.paper.core.model import ExchangeConfig
from polytraders_pfh.paper.core.trades import TradeStatus


@pytest.fixture
def world() -> World:
    world = World(ExchangeConfig(mine_delay_ms=2_000, confirm_delay_ms=4_000, retry_delay_ms=1_000))
    world.fund("ann", "bob", usd="1000", pairs="500")
    return world


def test_a_trade_is_mined_then_confirmed_each_at_its_time(world: World) -> None:
    world.rest("ann", SELL, "0.50", "10")
    (trade_id,) = world.post("bob", BUY, "0.50", "10").trade_ids
    world.exchange.advance(T0 + 1_999)
    assert world.trade(trade_id).status is TradeStatus.MATCHED
    assert world.trade(trade_id).transaction_hash is None
    world.exchange.advance(T0 + 2_000)
    mined = world.trade(trade_id)
    assert (mined.status, mined.last_update_ms, mined.match_ms) == (TradeStatus.MINED, T0 + 2_000, T0)
    assert mined.transaction_hash is not None
    world.exchange.advance(T0 + 6_000)
    assert world.trade(trade_id).status is TradeStatus.CONFIRMED
    assert world.trade(trade_id).transaction_hash == mined.transaction_hash
    assert trade_statuses(world.exchange.drain()) == ["MATCHED", "MINED", "CONFIRMED"]


def test_nothing_moves_before_a_trade_is_mined(world: World) -> None:
    world.rest("ann", SELL, "0.50", "10")
    world.post("bob", BUY, "0.50", "10")
    assert (world.usd("bob"), world.shares("bob")) == (micro(1000), micro(500))
    assert (world.exchange.reserved("bob"), world.exchange.reserved("ann", YES)) == (micro(5), micro(10))
    world.exchange.advance(T0 + 2_000)
    assert (world.usd("bob"), world.shares("bob")) == (micro(995), micro(510))
    assert (world.exchange.reserved("bob"), world.exchange.reserved("ann", YES)) == (0, 0)


def test_a_failed_trade_gives_both_sides_back_what_they_had(world: World) -> None:
    maker = world.rest("ann", SELL, "0.50", "10")
    result = world.post("bob", BUY, "0.50", "10")
    world.exchange.drain()
    world.exchange.fail_trade(result.trade_ids[0])
    world.exchange.advance(T0 + 10_000)
    assert (world.usd("bob"), world.shares("bob"), world.exchange.reserved("bob")) == (
        micro(1000),
        micro(500),
        0,
    )
    assert (world.usd("ann"), world.exchange.reserved("ann", YES)) == (micro(1000), 0)
    assert (world.matched(maker), world.matched(result.order_id)) == (0, 0)
    events = world.exchange.drain()
    assert trade_statuses(events) == ["FAILED"]
    assert told(events) == [("UPDATE", "MATCHED", 0), ("UPDATE", "MATCHED", 0)]
    assert world.balanced()


def test_a_failed_fill_of_a_resting_order_is_open_again_at_the_back_of_its_queue(world: World) -> None:
    first = world.rest("ann", BUY, "0.50", "10")
    second = world.rest("ann", BUY, "0.50", "10")
    (trade_id,) = world.post("bob", SELL, "0.50", "6", kind=FAK).trade_ids
    world.exchange.fail_trade(trade_id)
    world.exchange.advance(T0 + 2_000)
    assert (world.status(first), world.matched(first)) == ("LIVE", 0)
    assert world.levels()["bids"] == {micro("0.5"): micro(20)}
    assert world.exchange.crowd_queue_ahead(first) == micro(10)
    assert world.exchange.reserved("ann") == micro(10)
    world.post("bob", SELL, "0.50", "12", at=T0 + 3_000)
    assert (world.matched(second), world.matched(first)) == (micro(10), micro(2))


def test_a_failed_fill_of_a_cancelled_order_lowers_its_size_and_nothing_else(world: World) -> None:
    maker = world.rest("ann", BUY, "0.50", "10")
    (trade_id,) = world.post("bob", SELL, "0.50", "6", kind=FAK).trade_ids
    world.exchange.cancel("key-ann", [maker], T0)
    world.exchange.fail_trade(trade_id)
    world.exchange.advance(T0 + 2_000)
    assert (world.status(maker), world.matched(maker)) == ("CANCELED", 0)
    assert world.exchange.reserved("ann") == 0
    assert world.levels() == {"bids": {}, "asks": {}}


def test_a_takers_resting_remainder_grows_back_at_its_limit(world: World) -> None:
    world.rest("ann", SELL, "0.40", "10")
    result = world.post("bob", BUY, "0.50", "30")
    world.exchange.fail_trade(result.trade_ids[0])
    world.exchange.advance(T0 + 2_000)
    assert world.levels()["bids"] == {micro("0.5"): micro(30)}
    assert world.exchange.reserved("bob") == micro(15)


def test_a_takers_remainder_that_can_no_longer_be_paid_is_cancelled_by_the_venue() -> None:
    world = World()
    world.fund("ann", pairs="100")
    world.fund("bob", usd="15")
    world.rest("ann", SELL, "0.40", "10")
    result = world.post("bob", BUY, "0.50", "30")
    world.post("bob", BUY, "0.10", "10")  # spends the pUSD that the better price had saved
    world.exchange.fail_trade(result.trade_ids[0])
    world.exchange.advance(T0 + 2_000)
    assert world.status(result.order_id) == "CANCELED_NOT_ENOUGH_BALANCE"
    assert world.exchange.reserved("bob") == micro(1)
    assert world.balanced()


def test_retrying_puts_a_trade_off_once(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10", token=NO)
    (trade_id,) = world.post("bob", BUY, "0.50", "10").trade_ids
    world.exchange.retry_trade(trade_id)
    world.exchange.advance(T0 + 2_000)
    assert world.trade(trade_id).status is TradeStatus.RETRYING
    assert world.exchange.reserved("bob") == micro(5)
    world.exchange.advance(T0 + 60_000)
    assert trade_statuses(world.exchange.drain()) == ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]


def test_a_retried_trade_can_still_fail(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10")
    (trade_id,) = world.post("bob", SELL, "0.50", "10").trade_ids
    world.exchange.retry_trade(trade_id)
    world.exchange.fail_trade(trade_id)
    world.exchange.advance(T0 + 60_000)
    assert trade_statuses(world.exchange.drain()) == ["MATCHED", "RETRYING", "FAILED"]


def test_only_a_trade_before_mined_can_be_made_to_fail(world: World) -> None:
    world.rest("ann", BUY, "0.50", "10")
    (trade_id,) = world.post("bob", SELL, "0.50", "10").trade_ids
    world.exchange.advance(T0 + 2_000)
    with pytest.raises(ValueError, match="was MINED"):
        world.exchange.fail_trade(trade_id)
    with pytest.raises(KeyError):
        world.exchange.fail_trade("nobody")


def test_the_seed_chooses_which_trades_fail() -> None:
    def failures(seed: str, rate: int) -> list[bool]:
        world = World(ExchangeConfig(failure_rate_micro=rate), seed=seed)
        world.fund("ann", "bob", usd="1000", pairs="500")
        ids = []
        for _ in range(40):
            world.rest("ann", SELL, "0.50", "5")
            ids += world.post("bob", BUY, "0.50", "5").trade_ids
        world.exchange.advance(T0 + 60_000)
        assert world.balanced()
        return [world.trade(trade_id).status is TradeStatus.FAILED for trade_id in ids]

    some = failures("a", 300_000)
    assert some == failures("a", 300_000)
    assert some != failures("b", 300_000)
    assert 0 < sum(some) < 40
    assert not any(failures("a", 0))
    assert all(failures("a", 1_000_000))
