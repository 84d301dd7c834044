"""A recorded book in the exchange, and the simulated fills of our orders against it."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crowd_stage import cents, recorded_market, snapshot, stage
from support.market_files import BTC5M, MARKET, NO, T0, YES

from polytraders_pfh.paper.core.events import PriceChangeEvent
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, OrderType, Side
from polytraders_pfh.paper.markets.crowd import RecordedCrowd, list_markets
from polytraders_pfh.paper.markets.frames import (
    BookFrame,
    LastTradeFrame,
    LevelSet,
    PriceChangeFrame,
    TickSizeFrame,
)
from polytraders_pfh.paper.markets.recordings import open_recording, resolvedkit_sample

Side_ = tuple[tuple[int, int], ...]
ASKS = ((55, 50), (60, 50))


@st.composite
def books(draw: st.DrawFn) -> tuple[Side_, Side_]:
    """An uncrossed book around a random middle, in cents and shares, perhaps with an empty side."""
    middle = draw(st.integers(44, 50))
    sizes = st.integers(0, 40)
    bids = tuple((middle - 1 - away, draw(sizes)) for away in range(3))
    asks = tuple((middle + away, draw(sizes)) for away in range(3))
    return tuple(level for level in bids if level[1]), tuple(level for level in asks if level[1])


@given(st.lists(books(), min_size=1, max_size=8), st.integers(0, MICRO), st.integers(0, 1))
def test_without_orders_of_ours_the_book_is_the_recorded_one_after_every_frame(
    frames: list[tuple[Side_, Side_]], share: int, trades: int
) -> None:
    scene = stage(trade_share_ppm=share, trades=trades)

    for bids, asks in frames:
        scene.play(bids, asks)
        assert scene.levels() == (cents(bids), cents(asks, descending=True))


@settings(max_examples=300)
@given(
    st.lists(books(), min_size=2, max_size=10),
    st.sampled_from([Side.BUY, Side.SELL]),
    st.integers(42, 52),
    st.integers(5, 60),
)
def test_our_order_never_fills_more_than_the_recording_shows_and_never_moves_back(
    frames: list[tuple[Side_, Side_]], side: Side, price: int, shares: int
) -> None:
    scene = stage()
    bids, asks = frames[0]
    scene.play(bids, asks)
    order_id = scene.order(side, price, shares)
    filled, ahead = scene.filled(order_id), None

    for later_bids, later_asks in frames[1:]:
        scene.play(later_bids, later_asks)
        shown = (
            _shrinkage(bids, later_bids, max, price, side) + _reaching(later_asks, price, side)
            if side is Side.BUY
            else _shrinkage(asks, later_asks, min, price, side) + _reaching(later_bids, price, side)
        )
        assert 0 <= scene.filled(order_id) - filled <= shown
        filled = scene.filled(order_id)
        for which, levels in ((Side.BUY, later_bids), (Side.SELL, later_asks)):
            assert all(scene.crowd_at(which, at) <= size * MICRO for at, size in levels)
        if scene.ours(order_id).is_open:
            assert ahead is None or scene.ahead(order_id) <= ahead
            ahead = scene.ahead(order_id)
        bids, asks = later_bids, later_asks


def _shrinkage(before: Side_, after: Side_, best: object, price: int, side: Side) -> int:
    """What the best level lost, in micro-shares, where a taker of it could meet an order at `price`."""
    if not before:
        return 0
    touch = best(at for at, _ in before)  # type: ignore[operator]
    if (price < touch) if side is Side.BUY else (price > touch):
        return 0
    return max(0, dict(before)[touch] - dict(after).get(touch, 0)) * MICRO


def _reaching(levels: Iterable[tuple[int, int]], price: int, side: Side) -> int:
    return sum(size for at, size in levels if (at <= price if side is Side.BUY else at >= price)) * MICRO


def test_a_shrinking_best_level_trades_through_the_queue_and_reaches_us_last() -> None:
    scene = stage()
    scene.play([(45, 100)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)

    scene.play([(45, 60)], ASKS)
    assert (scene.filled(ours), scene.ahead(ours)) == (0, 60 * MICRO)
    scene.play([(45, 90)], ASKS)
    assert (scene.filled(ours), scene.ahead(ours)) == (0, 60 * MICRO)
    scene.play([(45, 20)], ASKS)

    assert (scene.filled(ours), scene.ahead(ours)) == (10 * MICRO, 0)
    assert scene.levels()[0] == ((450_000, 40 * MICRO),)
    assert scene.crowd_at(Side.BUY, 45) == 20 * MICRO


def test_a_share_of_the_shrinkage_may_count_as_cancelled() -> None:
    scene = stage(trade_share_ppm=400_000)
    scene.play([(45, 50)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)

    scene.play([(45, 25)], ASKS)

    assert (scene.filled(ours), scene.ahead(ours)) == (0, 25 * MICRO)
    assert scene.crowd.counts.shrinkage_traded_micro == 10 * MICRO


def test_away_from_the_best_price_shrinkage_is_cancelled_behind_us_first() -> None:
    scene = stage()
    scene.play([(45, 10), (44, 100)], ASKS)
    ours = scene.order(Side.BUY, 44, 30)
    scene.play([(45, 10), (44, 150)], ASKS)

    scene.play([(45, 10), (44, 110)], ASKS)
    assert (scene.filled(ours), scene.ahead(ours)) == (0, 100 * MICRO)
    scene.play([(45, 10), (44, 70)], ASKS)

    assert (scene.filled(ours), scene.ahead(ours)) == (0, 70 * MICRO)


def test_an_order_inside_the_spread_is_hit_before_the_recorded_best() -> None:
    scene = stage()
    scene.play([(45, 100)], ASKS)
    ours = scene.order(Side.BUY, 46, 30)

    scene.play([(45, 80)], ASKS)

    assert scene.filled(ours) == 20 * MICRO
    assert scene.levels()[0] == ((450_000, 80 * MICRO), (460_000, 10 * MICRO))


def test_the_other_side_reaching_our_price_hits_us_for_what_it_shows_and_once() -> None:
    scene = stage()
    scene.play([(44, 10)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)

    scene.play([(44, 10)], [(45, 25), *ASKS])
    assert (scene.filled(ours), scene.crowd_at(Side.SELL, 45)) == (25 * MICRO, 0)
    scene.play([(44, 10), (43, 5)], [(45, 25), *ASKS])
    assert (scene.filled(ours), scene.crowd_at(Side.SELL, 45)) == (25 * MICRO, 0)
    scene.play([(44, 10)], [(45, 40), *ASKS])

    assert (scene.filled(ours), scene.crowd_at(Side.SELL, 45)) == (30 * MICRO, 10 * MICRO)


def test_what_our_taker_ate_stays_eaten_until_the_recording_changes_the_level() -> None:
    scene = stage()
    scene.play([(44, 10)], [(47, 40), (48, 30)])
    scene.order(Side.BUY, 48, 50)
    standing = []

    for asks in (
        [(47, 40), (48, 30)],
        [(47, 40), (48, 35)],
        [(47, 25), (48, 35)],
        [(47, 25), (48, 22)],
        [(48, 22)],
        [(47, 40), (48, 22)],
    ):
        scene.play([(43, 10)], asks)
        standing.append((scene.crowd_at(Side.SELL, 47) // MICRO, scene.crowd_at(Side.SELL, 48) // MICRO))

    assert standing == [(0, 20), (0, 25), (0, 25), (0, 22), (0, 22), (40, 22)]


def test_a_level_behind_one_eaten_whole_earlier_stays_eaten_too() -> None:
    scene = stage()
    asks = [(47, 40), (48, 30)]
    scene.play([(44, 10)], asks)
    scene.order(Side.BUY, 47, 40)
    scene.play([(43, 10)], asks)
    scene.order(Side.BUY, 48, 12)

    scene.play([(44, 10)], [*asks, (50, 1)])
    scene.play([(44, 10)], [(47, 40), (48, 35)])

    assert (scene.crowd_at(Side.SELL, 47), scene.crowd_at(Side.SELL, 48)) == (0, 23 * MICRO)


def test_shrinkage_is_first_what_we_ate_ourselves_and_only_then_a_trade() -> None:
    scene = stage()
    scene.play([(44, 10)], [(47, 40)])
    scene.order(Side.BUY, 47, 15)
    ours = scene.order(Side.SELL, 47, 30)

    scene.play([(44, 10)], [(47, 30)])
    assert (scene.filled(ours), scene.ahead(ours)) == (0, 25 * MICRO)
    scene.play([(44, 10)], [(47, 10)])

    assert (scene.filled(ours), scene.ahead(ours)) == (0, 10 * MICRO)


def test_a_taker_told_in_the_other_token_eats_the_same_level() -> None:
    scene = stage()
    scene.play([(44, 10)], [(47, 40)])
    scene.order(Side.SELL, 53, 15, OrderType.FAK, token=NO)

    scene.play([(43, 10)], [(47, 40)])

    assert scene.crowd_at(Side.SELL, 47) == 25 * MICRO


def test_the_other_tokens_book_of_the_same_moment_is_compared_and_not_added() -> None:
    scene = stage()
    crowd, exchange = scene.crowd, scene.exchange

    crowd.apply(exchange, snapshot([(45, 10)], [(47, 20)]), T0)
    crowd.apply(exchange, snapshot([(53, 20)], [(55, 10)], token=NO), T0)
    assert (crowd.counts.books, crowd.counts.mirrors, crowd.counts.mirror_mismatches) == (1, 1, 0)
    crowd.apply(exchange, snapshot([(53, 20)], [(55, 11)], token=NO), T0)

    assert (crowd.counts.books, crowd.counts.mirrors, crowd.counts.mirror_mismatches) == (1, 2, 1)
    assert scene.levels() == (cents([(45, 10)]), cents([(47, 20)]))


def test_the_other_tokens_newer_book_moves_the_shared_one() -> None:
    scene = stage()

    scene.crowd.apply(scene.exchange, snapshot([(45, 10)], [(47, 20)], T0), T0)
    scene.crowd.apply(scene.exchange, snapshot([(52, 5)], [(54, 6)], T0 + 1, token=NO), T0 + 1)

    assert scene.levels() == (cents([(46, 6)]), cents([(48, 5)]))
    assert scene.levels(NO) == (cents([(52, 5)]), cents([(54, 6)]))


def test_a_crossed_frame_is_counted_and_leaves_the_book_alone() -> None:
    scene = stage()
    scene.play([(45, 10)], [(47, 20)])

    scene.play([(47, 10)], [(47, 20)])

    assert scene.crowd.counts.crossed == 1
    assert scene.levels() == (cents([(45, 10)]), cents([(47, 20)]))


def test_a_price_finer_than_the_tick_makes_the_tick_finer_and_a_message_may_say_it_too() -> None:
    scene = stage()
    fine = BookFrame(YES, MARKET, T0, ((965_000, MICRO),), ((970_000, MICRO),), None, "literal", 1)

    scene.crowd.apply(scene.exchange, fine, T0)
    inferred = scene.exchange.markets()[0].tick_micro
    told = TickSizeFrame(NO, MARKET, T0 + 1, 5_000, 1_000, "literal", 2)
    scene.crowd.apply(scene.exchange, told, T0 + 1)

    assert (inferred, scene.exchange.markets()[0].tick_micro) == (5_000, 1_000)
    assert scene.crowd.counts.tick_changes == 2


def test_level_changes_of_both_tokens_name_one_book() -> None:
    scene = stage()
    scene.play([(45, 10)], [(47, 20)])
    changes = (
        LevelSet(YES, Side.BUY, 460_000, 7 * MICRO, None, None),
        LevelSet(NO, Side.SELL, 540_000, 7 * MICRO, None, None),
        LevelSet(NO, Side.BUY, 530_000, 0, None, None),
    )

    scene.crowd.apply(scene.exchange, PriceChangeFrame(MARKET, T0 + 2, changes, "literal", 2), T0 + 2)

    assert scene.levels() == (cents([(45, 10), (46, 7)]), ())


def test_level_changes_that_cross_for_a_moment_settle_on_what_is_recorded() -> None:
    scene = stage()
    scene.play([(45, 10)], [(47, 20), (48, 5)])
    up = PriceChangeFrame(
        MARKET, T0 + 2, (LevelSet(YES, Side.BUY, 470_000, MICRO, None, None),), "literal", 2
    )
    gone = PriceChangeFrame(MARKET, T0 + 3, (LevelSet(YES, Side.SELL, 470_000, 0, None, None),), "literal", 3)

    scene.crowd.apply(scene.exchange, up, T0 + 2)
    assert scene.levels() == (cents([(45, 10), (47, 1)]), cents([(48, 5)]))
    scene.crowd.apply(scene.exchange, gone, T0 + 3)
    scene.now_ms = T0 + 3
    scene.play([(45, 10), (46, 1)], [(47, 20), (48, 5)])

    assert scene.levels() == (cents([(45, 10), (46, 1)]), cents([(47, 20), (48, 5)], descending=True))


def _trade(at_ms: int, side: Side, price_cents: int, shares: int, token: str = YES) -> LastTradeFrame:
    return LastTradeFrame(
        token, MARKET, at_ms, side, price_cents * 10_000, shares * MICRO, None, "literal", 9
    )


@pytest.mark.parametrize("trade_first", [True, False])
def test_recorded_trades_decide_instead_of_shrinkage_whichever_is_told_first(trade_first: bool) -> None:
    scene = stage(trades=1)
    scene.play([(45, 100)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)
    scene.play([(45, 150)], ASKS)

    trade = _trade(scene.now_ms + 1, Side.SELL, 45, 110)
    if trade_first:
        scene.crowd.apply(scene.exchange, trade, scene.now_ms)
        scene.play([(45, 40)], ASKS)
    else:
        scene.play([(45, 40)], ASKS)
        assert (scene.filled(ours), scene.crowd_at(Side.BUY, 45)) == (0, 150 * MICRO)
        scene.crowd.apply(scene.exchange, trade, scene.now_ms)

    assert (scene.filled(ours), scene.crowd_at(Side.BUY, 45)) == (10 * MICRO, 40 * MICRO)


def test_a_best_level_that_waits_in_vain_for_its_trade_was_cancelled() -> None:
    scene = stage(trades=1)
    scene.play([(45, 100)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)

    scene.play([(45, 10)], ASKS)
    assert scene.ahead(ours) == 100 * MICRO
    scene.now_ms += 600
    scene.play([(45, 10)], ASKS)

    assert (scene.filled(ours), scene.ahead(ours)) == (0, 10 * MICRO)


def test_a_shrinking_book_fills_nobody_where_trades_are_recorded() -> None:
    scene = stage(trades=1)
    scene.play([(45, 100)], ASKS)
    ours = scene.order(Side.BUY, 45, 30)

    scene.play([(45, 10)], ASKS)
    scene.play([], ASKS)
    scene.now_ms += 600
    scene.play([], ASKS)

    assert (scene.filled(ours), scene.ahead(ours)) == (0, 0)


def test_one_trade_told_for_both_tokens_happens_once() -> None:
    scene = stage(trades=2)
    scene.play([(45, 10)], [(47, 40)])
    ours = scene.order(Side.SELL, 46, 50)

    scene.crowd.apply(scene.exchange, _trade(scene.now_ms, Side.BUY, 46, 20), scene.now_ms)
    scene.crowd.apply(scene.exchange, _trade(scene.now_ms, Side.BUY, 54, 20, NO), scene.now_ms)

    assert scene.filled(ours) == 20 * MICRO
    assert (scene.crowd.counts.trades, scene.crowd.counts.repeated_trades) == (1, 1)


def test_two_equal_trades_of_one_token_in_one_millisecond_are_two() -> None:
    scene = stage(trades=2)
    scene.play([(45, 10)], [(47, 40)])
    ours = scene.order(Side.SELL, 46, 50)

    for _ in range(2):
        scene.crowd.apply(scene.exchange, _trade(scene.now_ms, Side.BUY, 46, 20), scene.now_ms)

    assert scene.filled(ours) == 40 * MICRO


def test_a_level_met_by_a_trade_waits_half_a_second_for_the_recording_to_tell_it() -> None:
    scene = stage(trades=1)
    scene.play([(45, 10)], [(47, 40)])
    at_ms = scene.now_ms
    scene.crowd.apply(scene.exchange, _trade(at_ms, Side.BUY, 47, 15), at_ms)

    standing = []
    for later in (1, 500, 501):
        change = LevelSet(YES, Side.BUY, 440_000, later * MICRO, None, None)
        frame = PriceChangeFrame(MARKET, at_ms + later, (change,), "literal", later)
        scene.crowd.apply(scene.exchange, frame, at_ms + later)
        standing.append(scene.crowd_at(Side.SELL, 47) // MICRO)

    assert standing == [25, 25, 40]


def test_frames_of_unknown_tokens_are_counted_and_unlisted_markets_refused() -> None:
    crowd, exchange = RecordedCrowd([recorded_market()]), Exchange()

    crowd.apply(exchange, snapshot([(45, 10)], [], token="3333"), T0)
    assert crowd.counts.unknown_token == 1
    with pytest.raises(KeyError, match=r"the market 0xab\w+ was not listed; add it before playing"):
        crowd.apply(exchange, snapshot([(45, 10)], []), T0)


def test_a_share_of_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="trade_share_ppm was 1000001; give parts per million, 0 to 1000000"):
        RecordedCrowd([], trade_share_ppm=1_000_001)


def test_recorded_tokens_may_be_played_into_a_market_with_other_ids() -> None:
    exchange, other = Exchange(), stage().exchange
    list_markets(exchange, [recorded_market()], T0)
    mapped = RecordedCrowd([recorded_market()], token_map={"r-yes": YES, "r-no": NO})

    mapped.apply(exchange, snapshot([(45, 10)], [], token="r-yes"), T0)

    assert exchange.book(YES, T0).bids == cents([(45, 10)])
    assert other.book(YES, T0).bids == ()


@pytest.mark.skipif(
    not BTC5M.is_dir(), reason="the btc5m recording is not beside the checkout (../shared/data)"
)
def test_a_real_five_minute_market_stands_in_the_exchange_as_recorded() -> None:
    recording = open_recording(sorted(BTC5M.glob("*-1776327000_*.parquet")))
    exchange, crowd = Exchange(), RecordedCrowd(recording.markets)
    list_markets(exchange, recording.markets, 0)

    for frame in recording.frames():
        crowd.apply(exchange, frame, frame.timestamp_ms)
        exchange.drain()
        assert isinstance(frame, BookFrame)
        view = exchange.book(frame.token_id, frame.timestamp_ms)
        assert (view.bids, view.asks) == (frame.bids, frame.asks)

    assert (crowd.counts.books, crowd.counts.mirrors, crowd.counts.mirror_mismatches) == (5_513, 600, 0)


def test_the_sample_stands_in_the_exchange_as_recorded_with_its_oddities_counted() -> None:
    pytest.importorskip("resolvedkit", reason="the sample needs resolvedkit: install the extra [demo]")
    recording = resolvedkit_sample()
    exchange, crowd = Exchange(), RecordedCrowd(recording.markets)
    list_markets(exchange, recording.markets, 0)
    differing = 0

    for frame in recording.frames():
        crowd.apply(exchange, frame, frame.timestamp_ms)
        exchange.drain()
        assert isinstance(frame, BookFrame)
        if not frame.crossed:
            view = exchange.book(frame.token_id, frame.timestamp_ms)
            differing += (view.bids, view.asks) != (frame.bids, frame.asks)

    counts = crowd.counts
    assert (counts.books, counts.mirrors, counts.crossed) == (19_540, 18_771, 22)
    assert differing == counts.mirror_mismatches == 21
    assert {market.tick_micro for market in exchange.markets()} == {10_000, 1_000}


def test_a_recorded_frame_is_one_message_whatever_it_changes() -> None:
    s = stage()
    s.exchange.drain()

    s.play(bids=[(44, 10), (45, 20)], asks=[(47, 5), (48, 30)])

    (told,) = s.exchange.drain()
    assert isinstance(told, PriceChangeEvent)
    assert len(told.changes) == 2 * 4
    assert {(c.best_bid_micro, c.best_ask_micro) for c in told.changes} == {
        (450_000, 470_000),
        (530_000, 550_000),
    }


def test_what_a_frame_trades_is_told_before_the_levels_it_leaves() -> None:
    s = stage()
    s.play(bids=[(44, 10), (45, 20)], asks=[(48, 30)])
    order_id = s.order(Side.BUY, 45, 50)
    s.exchange.drain()

    s.play(bids=[(44, 40)], asks=[(45, 30)])

    kinds = [type(event).__name__ for event in s.exchange.drain()]
    assert kinds.index("OrderEvent") < kinds.index("PriceChangeEvent")
    assert kinds.count("PriceChangeEvent") == 1
    assert s.filled(order_id) > 0
