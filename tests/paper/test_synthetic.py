"""A market out of a seed."""

from collections import Counter
from itertools import islice, pairwise

import pytest

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, Market, Side
from polytraders_pfh.paper.markets.steps import Step
from polytraders_pfh.paper.markets.synthetic import (
    Character,
    NewTick,
    Quote,
    SyntheticFlow,
    Take,
    synthetic_market,
)

START = 1_790_000_000_000
LIVELY = Character(walk_weight=200, jump_weight=30)


def _played(exchange: Exchange, steps: list[Step]) -> None:
    for step in steps:
        step.apply(exchange, step.at_ms)


def test_the_same_seed_gives_the_same_steps_and_another_seed_others() -> None:
    markets = [synthetic_market(1), synthetic_market(1, 1)]
    flow = SyntheticFlow(1, markets, start_ms=START)

    steps = list(islice(flow.steps(), 5_000))

    assert list(islice(flow.steps(), 5_000)) == steps
    assert list(islice(SyntheticFlow(1, markets, start_ms=START).steps(), 5_000)) == steps
    assert list(islice(SyntheticFlow(2, markets, start_ms=START).steps(), 5_000)) != steps


def test_the_first_steps_of_a_seed_are_these() -> None:
    market = synthetic_market(7)

    assert market.condition_id == "0x82a013e1ac2cdf119c92877ae56eebea166f1186a1efb3eca38e47fa43bda1cd"
    assert list(islice(SyntheticFlow(7, [market]).steps(), 2)) == [
        Quote(0, market.token_ids[0], Side.BUY, 490_000, 100_000_000),
        Quote(0, market.token_ids[0], Side.BUY, 480_000, 50_010_000),
    ]


def test_steps_come_in_time_order_about_as_often_as_asked_and_end_with_the_duration() -> None:
    markets = [synthetic_market(3), synthetic_market(3, 1)]
    steps = list(SyntheticFlow(3, markets, start_ms=START).steps(60_000))

    assert all(one.at_ms <= other.at_ms for one, other in pairwise(steps))
    assert steps[0].at_ms == START
    assert START + 59_000 < steps[-1].at_ms < START + 60_000
    # Two markets, 20 events a second each, one to a few steps per event.
    assert 2_000 < len(steps) < 4_000


def test_it_quotes_cancels_and_takes_in_several_sizes_from_both_tokens() -> None:
    market = synthetic_market(4)
    steps = list(SyntheticFlow(4, [market]).steps(300_000))

    quotes = [step for step in steps if isinstance(step, Quote)]
    takes = [step for step in steps if isinstance(step, Take)]
    assert {quote.size_micro > 0 for quote in quotes} == {True, False}
    assert {quote.side for quote in quotes} == {take.side for take in takes} == set(Side)
    assert {take.token_id for take in takes} == set(market.token_ids)
    assert len({take.size_micro for take in takes}) > 5


@pytest.mark.parametrize("seed", range(8))
def test_every_price_is_on_the_grid_of_its_moment(seed: int) -> None:
    market = synthetic_market(seed)
    tick = market.tick_micro

    for step in islice(SyntheticFlow(seed, [market], character=LIVELY).steps(), 10_000):
        if isinstance(step, NewTick):
            assert step.tick_micro < tick
            tick = step.tick_micro
        else:
            assert isinstance(step, Quote | Take)
            assert step.price_micro % tick == 0
            assert tick <= step.price_micro <= MICRO - tick


def test_the_tick_gets_finer_near_the_ends_and_the_exchange_follows() -> None:
    market = synthetic_market(5)
    near_zero = Character(fair_price_micro=50_000)
    exchange = Exchange()
    exchange.add_market(market, START)

    steps = list(SyntheticFlow(5, [market], start_ms=START, character=near_zero).steps(120_000))
    _played(exchange, steps)

    assert Counter(type(step) for step in steps)[NewTick] == 1
    listed = exchange.market_of(market.token_ids[0])
    assert listed is not None
    assert listed.tick_micro == 1_000


@pytest.mark.parametrize("seed", range(4))
def test_played_it_keeps_an_uncrossed_two_sided_book_that_trades(seed: int) -> None:
    market = synthetic_market(seed)
    exchange = Exchange()
    exchange.add_market(market, START)
    prints = one_sided = looks = 0

    for number, step in enumerate(SyntheticFlow(seed, [market], start_ms=START).steps(120_000)):
        step.apply(exchange, step.at_ms)
        exchange.drain()
        if number < 24:
            continue
        view = exchange.book(market.token_ids[0], step.at_ms)
        looks += 1
        prints += isinstance(step, Take)
        one_sided += not (view.bids and view.asks)
        if view.bids and view.asks:
            assert view.bids[-1][0] < view.asks[-1][0]

    assert prints > 100
    assert one_sided < looks // 20


def test_what_a_taker_of_ours_ate_is_not_put_back() -> None:
    market, exchange = synthetic_market(9), Exchange()
    exchange.add_market(market, START)
    token = market.token_ids[0]
    opening = list(islice(SyntheticFlow(9, [market]).steps(), 24))
    _played(exchange, opening)
    before = exchange.crowd_level(token, Side.SELL, 510_000)

    exchange.crowd_take(token, Side.BUY, before, 510_000, START)
    Quote(1, token, Side.SELL, 510_000, 3 * MICRO).apply(exchange, START)
    Quote(2, token, Side.SELL, 510_000, -50 * MICRO).apply(exchange, START)
    Quote(3, token, Side.SELL, 510_000, 2 * MICRO).apply(exchange, START)

    assert before > 0
    assert exchange.crowd_level(token, Side.SELL, 510_000) == 2 * MICRO


def test_no_market_at_all_is_refused() -> None:
    none: list[Market] = []
    with pytest.raises(ValueError, match="the list of markets was empty; give at least one"):
        SyntheticFlow(1, none)
