"""Lanes, flows, strategies, pace, choice of markets and the exchange's memory, piece by piece."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.crowd_stage import recorded_market
from support.demo_stage import recorded_flow

from polytraders_pfh.demo.clock import MarketClock
from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.flow import Flow, FlowMarket, SyntheticMarkets
from polytraders_pfh.demo.lanes import POLICIES, lanes_for
from polytraders_pfh.demo.market import covered_ms, draw, sample_flow, speed_for
from polytraders_pfh.demo.pace import MAX_GAP_MS, Pace
from polytraders_pfh.demo.signing import seeded_hex, seeded_wallet
from polytraders_pfh.demo.strategy import STYLES, Strategist
from polytraders_pfh.demo.truth import KillMark, WitnessedExchange
from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.core.events import OrderEvent, TradeEvent
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, OrderRequest, Side
from polytraders_pfh.paper.markets.frames import RecordedMarket
from polytraders_pfh.paper.markets.recordings import resolvedkit_sample
from polytraders_pfh.paper.markets.synthetic import synthetic_market

MARKET = synthetic_market(1)
T0 = 1_767_225_600_000


def test_one_lane_keeps_the_recorded_ids_and_three_have_ids_of_their_own() -> None:
    (alone,) = lanes_for(("hold",))
    copies = [lane.market(MARKET) for lane in lanes_for(POLICIES)]

    assert alone.market(MARKET) == MARKET
    tokens = {token for copy in copies for token in copy.token_ids}
    assert len({copy.condition_id for copy in copies}) == 3
    assert len(tokens) == 6
    assert all(token.isdigit() and len(token) <= 78 for token in tokens)
    assert all(copy.tick_micro == MARKET.tick_micro for copy in copies)


def both_worlds(flow: Flow) -> tuple[Exchange, Exchange]:
    lanes = lanes_for(POLICIES)
    exchange, reference = Exchange("lanes"), Exchange("reference")
    first_ms = flow.markets[0].first_ms
    for market in flow.markets:
        reference.add_market(market.market, first_ms)
        for lane in lanes:
            exchange.add_market(lane.market(market.market), first_ms)
    for move in flow.moves(lanes):
        move.apply(exchange, reference, move.at_ms)
    return exchange, reference


def assert_lanes_equal_the_reference(flow: Flow, exchange: Exchange, reference: Exchange) -> None:
    for market in flow.markets:
        for token_id in market.market.token_ids:
            view = reference.book(token_id, T0)
            assert view.bids or view.asks
            for lane in lanes_for(POLICIES):
                copy = exchange.book(lane.token_id(token_id), T0)
                assert (copy.bids, copy.asks, copy.tick_micro) == (view.bids, view.asks, view.tick_micro)


def test_a_recorded_flow_moves_every_lane_and_the_reference_alike(tmp_path: Path) -> None:
    flow = recorded_flow(tmp_path / "day.jsonl")

    assert_lanes_equal_the_reference(flow, *both_worlds(flow))
    assert flow.done() == flow.total == 400


def test_a_synthetic_flow_moves_every_lane_and_the_reference_alike() -> None:
    flow = SyntheticMarkets(5, 2, 10_000)

    assert_lanes_equal_the_reference(flow, *both_worlds(flow))
    assert 0 < flow.done() < flow.total == 10_000


def quoted(bid: int, ask: int, *, tick: int = 10_000) -> tuple[Exchange, list[FlowMarket]]:
    """A reference with one level on each side of the first token, prices in micro-pUSD."""
    market = synthetic_market(1, tick_micro=tick)
    reference = Exchange("reference")
    reference.add_market(market, T0)
    reference.crowd_set_level(market.token_ids[0], Side.BUY, bid, 50 * MICRO, T0)
    reference.crowd_set_level(market.token_ids[0], Side.SELL, ask, 50 * MICRO, T0)
    return reference, [FlowMarket(market, "made up", T0, T0 + 3_600_000)]


def test_ideas_rest_and_never_cross_and_every_style_comes_before_any_comes_twice() -> None:
    reference, markets = quoted(480_000, 490_000)
    strategist = Strategist(1, markets)
    seen, now_ms = [], T0
    for _ in STYLES:
        idea = strategist.next_in(MARKET.condition_id, reference, now_ms)
        assert idea is not None
        view = reference.book(idea.token_id, now_ms)
        bid, ask = view.bids[-1][0], view.asks[-1][0]
        assert (idea.price_micro < ask) if idea.side == "BUY" else (idea.price_micro > bid)
        assert idea.price_micro % idea.tick_micro == 0
        assert strategist.next_in(MARKET.condition_id, reference, now_ms) is None
        seen.append(idea.style.name)
        now_ms = idea.ends_ms
        assert strategist.over(now_ms) == [idea]

    assert sorted(seen) == sorted(style.name for style in STYLES)


def test_an_improver_stands_one_tick_inside_where_there_is_room() -> None:
    reference, markets = quoted(460_000, 500_000)
    strategist = Strategist(2, markets)
    inside = []
    now_ms = T0
    for _ in range(10):
        idea = strategist.next_in(MARKET.condition_id, reference, now_ms)
        assert idea is not None
        if idea.style.name == "improver":
            view = reference.book(idea.token_id, now_ms)
            touch = view.bids[-1][0] if idea.side == "BUY" else view.asks[-1][0]
            inside.append(abs(idea.price_micro - touch))
        now_ms = idea.ends_ms
        strategist.over(now_ms)

    assert inside == [10_000, 10_000]


@pytest.mark.parametrize(("bid", "ask"), [(950_000, 960_000), (40_000, 50_000), (480_000, 950_000)])
def test_nobody_rests_orders_in_a_market_that_is_nearly_decided(bid: int, ask: int) -> None:
    reference, markets = quoted(bid, ask)

    assert Strategist(1, markets).next_in(MARKET.condition_id, reference, T0) is None


def test_an_empty_book_and_the_last_minutes_invite_no_idea() -> None:
    reference, markets = quoted(480_000, 490_000)
    empty = Exchange("empty")
    empty.add_market(MARKET, T0)
    strategist = Strategist(1, markets)

    assert strategist.next_in(MARKET.condition_id, empty, T0) is None
    assert strategist.next_in(MARKET.condition_id, reference, markets[0].last_ms - 1_000) is None


def test_the_seed_fixes_the_ideas() -> None:
    reference, markets = quoted(460_000, 500_000)

    def first_idea(seed: int) -> object:
        return Strategist(seed, markets).next_in(MARKET.condition_id, reference, T0)

    assert first_idea(1) == first_idea(1)
    assert len({repr(first_idea(seed)) for seed in range(8)}) > 1


def test_the_seed_draws_the_markets_and_asking_for_too_many_says_how_many_there_are() -> None:
    markets = stage_markets()

    assert draw(markets, 3, 2) == draw(markets, 3, 2)
    assert len({tuple(m.slug for m in draw(markets, seed, 2)) for seed in range(20)}) > 5
    with pytest.raises(DemoError, match="--markets was 9; the recording holds 6, so give 1 to 6"):
        draw(markets, 3, 9)


def stage_markets() -> list[RecordedMarket]:
    return [replace(recorded_market(), slug=f"market {i}", condition_id=f"0x{i:064x}") for i in range(6)]


def test_speed_is_chosen_so_that_the_covered_time_takes_so_many_seconds() -> None:
    spans = [(0, 60_000), (30_000, 90_000), (1_000_000, 1_030_000)]
    markets = [FlowMarket(synthetic_market(1, i), "", *span) for i, span in enumerate(spans)]
    flow = SyntheticMarkets(1, 1, 60_000)

    assert covered_ms(markets) == 120_000
    assert speed_for(flow, Fraction(20)) == 3


def test_a_missing_sample_names_the_install_command_and_the_way_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise RecordingError("it was not installed; run: pip install 'polytraders-pfh[demo]'")

    monkeypatch.setattr("polytraders_pfh.demo.market.resolvedkit_sample", missing)

    with pytest.raises(RecordingError, match=r"pip install 'polytraders-pfh\[demo\]', or add --synthetic"):
        sample_flow(1, 2)


def test_the_sample_s_drawn_markets_are_all_that_is_played() -> None:
    pytest.importorskip("resolvedkit")
    flow = sample_flow(6, 2)
    known = {market.condition_id for market in resolvedkit_sample().markets}

    played = {move.condition_id for move in flow.moves(lanes_for(("hold",)))}

    assert played == {market.market.condition_id for market in flow.markets}
    assert played < known
    assert flow.done() <= flow.total
    assert flow.done() > flow.total * 0.97


class Stopwatch(MarketClock):
    """Real time that only its own sleeps move."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ns = 0

    def monotonic_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


async def test_pace_divides_recorded_time_by_the_speed_and_cuts_long_silences_short() -> None:
    clock = Stopwatch()
    pace = Pace(clock, Fraction(10))

    times = []
    for at_ms in (1_000, 2_000, 2_500, 2_500 + 20 * MAX_GAP_MS, 1_500):
        await pace.wait_for(at_ms)
        times.append(clock.ns // 1_000_000)

    assert times == [0, 100, 150, 150 + MAX_GAP_MS // 10, 150 + MAX_GAP_MS // 10]


async def test_pace_that_is_late_does_not_wait() -> None:
    clock = Stopwatch()
    pace = Pace(clock, Fraction(1))
    await pace.wait_for(0)
    clock.ns = 5_000_000_000

    await pace.wait_for(1_000)

    assert clock.ns == 5_000_000_000


async def test_the_market_s_date_moves_forward_only_and_only_when_told() -> None:
    clock = MarketClock(T0)
    clock.move_to(T0 + 5)
    clock.move_to(T0)
    before_ns = clock.monotonic_ns()
    await clock.sleep_ms(1)
    await clock.turn()

    assert clock.now_ms() == T0 + 5
    assert clock.monotonic_ns() > before_ns


def witnessed() -> tuple[WitnessedExchange, str]:
    """An exchange with one resting order of ours, its placement still to be told."""
    exchange = WitnessedExchange("truth")
    exchange.add_market(MARKET, T0)
    exchange.deposit("us", 100 * MICRO)
    request = OrderRequest(
        "0xours", "us", "key", "us", "us", MARKET.token_ids[0], Side.BUY, 4 * MICRO, 10 * MICRO
    )
    assert exchange.post(request, T0).accepted
    return exchange, "0xours"


def test_books_are_told_at_once_and_own_orders_when_released() -> None:
    exchange, order_id = witnessed()

    told = exchange.drain()

    assert told
    assert not any(isinstance(event, OrderEvent) for event in told)
    assert list(exchange.held_orders()) == [order_id]
    exchange.release()
    assert [type(event) for event in exchange.drain()] == [OrderEvent]
    assert exchange.held_orders() == {}


def test_a_new_trade_waits_with_its_order_and_every_fact_is_kept_in_order() -> None:
    exchange, _ = witnessed()
    exchange.drain()
    exchange.release()
    exchange.drain()
    exchange.crowd_take(MARKET.token_ids[0], Side.SELL, 3 * MICRO, 400_000, T0)

    assert not any(isinstance(event, OrderEvent | TradeEvent) for event in exchange.drain())
    exchange.release()
    assert [type(event) for event in exchange.drain()] == [TradeEvent, OrderEvent]
    assert [type(fact) for fact in exchange.facts] == [OrderEvent, TradeEvent, OrderEvent]


def test_the_kill_mark_stands_after_what_happened_before_it() -> None:
    exchange, _ = witnessed()
    exchange.mark_kill(T0 + 1)

    assert [type(fact) for fact in exchange.facts] == [OrderEvent, KillMark]
    assert exchange.drain()


def test_keys_and_ids_follow_from_the_seed() -> None:
    assert seeded_wallet(1).address == seeded_wallet(1).address != seeded_wallet(2).address
    assert seeded_hex(1, "a", "b") != seeded_hex(1, "a b")
