"""Books built to deceive: whatever the stream and the exchange show, a false book moves no order."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polytraders_hookspecs import BookSnapshot, BookUpdate, LastTrade, PriceChange, StreamGap, TickSizeChange
from support.fake_host import (
    NOW_MS,
    ROOT,
    TOKEN,
    FakeClock,
    FakeHost,
    Resting,
    book,
    levels,
    partial,
)

from polytraders_pfh.core.market import Side
from polytraders_pfh.engine.books import Books

MICRO = 1_000_000


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FakeHost]:
    """A live bot whose root order rests at 0.62, on either side."""
    host = FakeHost(config={"mode": "general_live", "journal": {"durable": False}}, state_dir=tmp_path)
    host.exchange.book = book()
    host.exchange.orders[ROOT] = Resting(725_806_451, 620_000, 322_580_645)
    await host.start()
    yield host
    await host.stop()


FALSE_BOOKS: dict[str, dict[str, Any]] = {
    "poisoned with a price of zero": {"bids": levels(("0.61", "1000"), ("0", "1000"))},
    "poisoned with a price of one": {"asks": levels(("0.63", "1000"), ("1", "1000"))},
    "poisoned with a negative price": {"bids": ((610_000, 10**9), (-10_000, 10**9))},
    "poisoned with a price beyond all": {"asks": ((630_000, 10**9), (10**30, 10**9))},
    "poisoned with a size of zero": {"asks": ((630_000, 0), (640_000, 10**9))},
    "poisoned with a negative size": {"asks": ((630_000, -(10**9)), (640_000, 10**12))},
    "poisoned deep below what is looked at": {
        "asks": (*levels(*((f"0.{n}", "1000") for n in range(63, 80))), (985_001, 1))
    },
    "crossed": {"bids": levels(("0.64", "1000")), "asks": levels(("0.63", "1000"))},
    "locked": {"bids": levels(("0.63", "1000")), "asks": levels(("0.63", "1000"))},
    "off its grid": {"asks": ((635_000, 10**9),)},
    "with one price twice": {"asks": levels(("0.63", "1"), ("0.63", "1000000"))},
    "without a tick": {"tick_micro": None},
    "with a tick of zero": {"tick_micro": 0},
    "with a negative tick": {"tick_micro": -10_000},
    "with a tick that does not divide one": {"tick_micro": 30_000},
    "with a tick beyond one": {"tick_micro": 10**7},
    "of another token": {"token_id": "5"},
}


@pytest.mark.parametrize("policy", ["cancel", "chase"])
@pytest.mark.parametrize("what", FALSE_BOOKS)
async def test_order_rests_on_a_book_that_is(host: FakeHost, what: str, policy: str) -> None:
    host.exchange.book = book().model_copy(update=FALSE_BOOKS[what])

    report = await host.bot.on_partial_fill(partial(policy=policy))

    assert report.verdict == "HOLD_REMAINDER"
    assert set(report.warnings or ()) & {"BOOK_UNTRUSTED", "BOOK_UNAVAILABLE"}
    assert host.exchange.cancels() == host.exchange.posted() == []


@pytest.mark.parametrize("what", FALSE_BOOKS)
async def test_nothing_is_chased_when_the_stream_is_true_and_the_answer_is(host: FakeHost, what: str) -> None:
    host.bot.on_book_update(book())
    host.exchange.book = book().model_copy(update=FALSE_BOOKS[what])

    await host.bot.on_partial_fill(partial(policy="chase"))

    assert host.exchange.cancels() == host.exchange.posted() == []


@pytest.mark.parametrize("what", FALSE_BOOKS)
async def test_chase_follows_the_true_answer_when_the_stream_is(host: FakeHost, what: str) -> None:
    host.bot.on_book_update(book().model_copy(update=FALSE_BOOKS[what]))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert report.verdict == "CHASE_ORDER_SUBMITTED"
    assert str(report.chase_price) == "0.63"


async def test_answer_older_than_the_stream_moves_nothing(host: FakeHost) -> None:
    host.bot.on_book_update(book(timestamp_ms=NOW_MS + 500))

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    assert (report.verdict, report.warnings) == ("HOLD_REMAINDER", ("BOOK_UNTRUSTED",))


async def test_thin_book_that_flickers_in_the_stream_cancels_nothing(host: FakeHost) -> None:
    """The stream alone would cancel every time; the answer to each confirmation is deep."""
    for n in range(20):
        host.bot.on_book_update(book(asks=(("0.63", "1"),)))
        report = await host.bot.on_partial_fill(partial(policy="hold", at_ms=NOW_MS + n))
        assert report.verdict == "HOLD_REMAINDER"

    assert host.exchange.cancels() == []


async def test_thin_book_that_the_answer_confirms_cancels_once(host: FakeHost) -> None:
    host.bot.on_book_update(book(asks=(("0.63", "1"),)))
    host.exchange.book = book(asks=(("0.63", "1"),))

    report = await host.bot.on_partial_fill(partial(policy="hold"))

    assert report.verdict == "PARTIAL_FILL_BOOK_THIN_CANCEL"
    assert len(host.exchange.cancels()) == 1


async def test_best_price_that_flickers_between_decision_and_post_is_chased_no_further_than_the_cap(
    host: FakeHost,
) -> None:
    """Near when it is decided, far when it is posted: it rests at the cap, three ticks from the root."""
    shown = iter([book(), *[book(asks=(("0.90", "1000"),), timestamp_ms=NOW_MS + 1)] * 5])
    host.exchange.on_book = lambda exchange: next(shown)

    report = await host.bot.on_partial_fill(partial(policy="chase"))

    prices = [
        order.maker_amount_micro * MICRO // order.taker_amount_micro for order in host.exchange.posted()
    ]
    assert all(price <= 650_000 for price in prices)
    assert report.verdict in {"CHASE_ORDER_SUBMITTED", "CANCELLED_REMAINDER"}


@pytest.mark.parametrize("side", ["BUY", "SELL"])
async def test_depth_beyond_all_measure_grows_no_order(host: FakeHost, side: str) -> None:
    contra = {"asks" if side == "BUY" else "bids": ((630_000 if side == "BUY" else 610_000, 10**40),)}
    host.exchange.book = book().model_copy(update=contra)

    await host.bot.on_partial_fill(partial(policy="chase", side=side))

    (posted,) = host.exchange.posted()
    size = posted.taker_amount_micro if side == "BUY" else posted.maker_amount_micro
    assert size <= 725_806_451 - 322_580_645


# The kept book against any stream of updates


prices = st.sampled_from([-1, 0, 1, 605_000, *range(590_000, 660_000, 10_000), 999_999, MICRO, 10**30])
sizes = st.sampled_from([-5, 0, 0, 1, 10**9, 10**40])
ticks = st.sampled_from([None, 0, -10_000, 10_000, 10_000, 1_000, 30_000, 10**7])
moments = st.integers(NOW_MS - 3, NOW_MS + 3)
updates: st.SearchStrategy[BookUpdate] = st.one_of(
    st.builds(
        BookSnapshot,
        token_id=st.just(TOKEN),
        market_id=st.just("0x" + "a1" * 32),
        bids=st.lists(st.tuples(prices, sizes), max_size=4).map(tuple),
        asks=st.lists(st.tuples(prices, sizes), max_size=4).map(tuple),
        timestamp_ms=moments,
        tick_micro=ticks,
        min_size_micro=st.sampled_from([None, -1, 0, 5_000_000]),
    ),
    st.builds(
        PriceChange,
        token_id=st.just(TOKEN),
        bid=st.booleans(),
        price_micro=prices,
        size_micro=sizes,
        timestamp_ms=moments,
        best_bid_micro=st.none() | prices,
        best_ask_micro=st.none() | prices,
    ),
    st.builds(
        TickSizeChange,
        token_id=st.just(TOKEN),
        old_tick_micro=st.just(10_000),
        new_tick_micro=ticks.map(lambda tick: tick or 0),
        timestamp_ms=moments,
    ),
    st.builds(
        LastTrade,
        token_id=st.just(TOKEN),
        side=st.sampled_from(["BUY", "SELL"]),
        price_micro=prices,
        size_micro=sizes,
        timestamp_ms=moments,
    ),
    st.just(StreamGap(timestamp_ms=NOW_MS)),
)


@settings(max_examples=200)
@given(st.lists(updates, min_size=1, max_size=12))
def test_whatever_the_stream_sends_a_kept_book_is_sound_or_says_why_it_is_not(sent: list[BookUpdate]) -> None:
    now_ms = FakeClock().now_ms
    kept = Books(now_ms, levels=5, default_min_size_micro=0, fill_rate_window_ms=60_000, max_tokens=4)
    for update in sent:
        kept.apply(update)
        kept.expected_fill_ms(TOKEN, Side.BUY, 10**9)
        seen = kept.view(TOKEN)
        if seen is None or seen.fault is not None:
            continue
        assert seen.bids == tuple(sorted(seen.bids, reverse=True))
        assert seen.asks == tuple(sorted(seen.asks))
        assert seen.tick_micro > 0
        for price, size in seen.bids + seen.asks:
            assert 0 < price < MICRO
            assert price % seen.tick_micro == 0
            assert size > 0
        assert seen.best_bid is None or seen.best_ask is None or seen.best_bid < seen.best_ask
