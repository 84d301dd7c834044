"""Live books: snapshots, changes, ticks, gaps, and how fast a market fills."""

from typing import Any

from polytraders_hookspecs import LastTrade, PriceChange, StreamGap, TickSizeChange
from support.fake_host import NOW_MS, TOKEN, FakeClock, book, levels

from polytraders_pfh.core.market import BookView, Side
from polytraders_pfh.engine.books import Books


def books(clock: FakeClock | None = None, max_tokens: int = 10) -> Books:
    return Books(
        (clock or FakeClock()).now_ms,
        levels=5,
        default_min_size_micro=5_000_000,
        fill_rate_window_ms=60_000,
        max_tokens=max_tokens,
    )


def change(price: str, size: str, *, bid: bool = False, **told: int) -> PriceChange:
    ((price_micro, size_micro),) = levels((price, size))
    return PriceChange(
        token_id=TOKEN,
        bid=bid,
        price_micro=price_micro,
        size_micro=size_micro,
        timestamp_ms=NOW_MS,
        **told,
    )


def trade(side: Any, size: str) -> LastTrade:
    ((price_micro, size_micro),) = levels(("0.62", size))
    return LastTrade(
        token_id=TOKEN, side=side, price_micro=price_micro, size_micro=size_micro, timestamp_ms=NOW_MS
    )


def view(kept: Books) -> BookView:
    found = kept.view(TOKEN)
    assert found is not None
    return found


def test_book_nobody_sent_is_no_book() -> None:
    assert books().view(TOKEN) is None


def test_snapshot_is_seen_best_first_whatever_order_it_came_in() -> None:
    kept = books()
    kept.apply(book(bids=(("0.59", "1"), ("0.61", "2"), ("0.60", "3")), asks=(("0.64", "1"), ("0.63", "2"))))

    seen = view(kept)

    assert seen.bids == levels(("0.61", "2"), ("0.60", "3"), ("0.59", "1"))
    assert seen.asks == levels(("0.63", "2"), ("0.64", "1"))
    assert (seen.fault, seen.fresh, seen.as_of_ms) == (None, False, NOW_MS)


def test_only_the_best_five_levels_are_looked_at() -> None:
    kept = books()
    kept.apply(book(asks=tuple((f"0.{n}", "1") for n in range(63, 73))))

    assert len(view(kept).asks) == 5
    assert view(kept).asks[0][0] == 630_000


def test_price_change_sets_a_level_and_zero_removes_it() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(change("0.62", "7"))
    kept.apply(change("0.63", "0"))
    kept.apply(change("0.61", "9", bid=True))

    assert view(kept).asks == levels(("0.62", "7"))
    assert view(kept).bids == levels(("0.61", "9"))


def test_removing_a_level_that_is_not_there_changes_nothing() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(change("0.70", "0"))

    assert view(kept).asks == levels(("0.63", "1000"))


def test_change_before_any_snapshot_is_no_book() -> None:
    kept = books()
    kept.apply(change("0.62", "7"))

    assert kept.view(TOKEN) is None


def test_best_prices_that_differ_from_the_exchange_s_own_are_not_trusted_until_they_agree() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(change("0.64", "5", best_bid_micro=610_000, best_ask_micro=620_000))
    differs = view(kept).fault
    kept.apply(change("0.62", "5", best_bid_micro=610_000, best_ask_micro=620_000))

    assert differs == "its best prices differ from those the exchange sent with the last change"
    assert view(kept).fault is None


def test_empty_side_agrees_with_zero_and_one() -> None:
    kept = books()
    kept.apply(book(bids=(("0.61", "1"),), asks=(("0.63", "1"),)))
    kept.apply(change("0.63", "0", best_bid_micro=610_000, best_ask_micro=1_000_000))

    assert view(kept).fault is None


def test_level_off_the_grid_is_a_fault_until_it_is_gone() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(change("0.635", "5"))
    off_grid = view(kept).fault
    kept.apply(change("0.635", "0"))

    assert off_grid == "a level at 0.635 is not on the grid of 0.01"
    assert view(kept).fault is None


def test_crossed_book_is_a_fault() -> None:
    kept = books()
    kept.apply(book(bids=(("0.63", "1"),)))

    assert view(kept).fault == "the book is crossed: bid 0.63, ask 0.63"


def test_book_without_a_known_tick_is_a_fault() -> None:
    kept = books()
    kept.apply(book(tick_micro=None))

    assert view(kept).fault == "its tick size is not known"


def test_tick_and_minimum_of_an_earlier_snapshot_are_kept() -> None:
    kept = books()
    kept.apply(book(min_size_micro=15_000_000))
    kept.apply(book(tick_micro=None, min_size_micro=None, neg_risk=None))

    assert (view(kept).tick_micro, view(kept).min_size_micro) == (10_000, 15_000_000)
    assert kept.neg_risk(TOKEN) is False


def test_tick_size_change_is_a_new_epoch_that_voids_the_book() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(
        TickSizeChange(token_id=TOKEN, old_tick_micro=10_000, new_tick_micro=1_000, timestamp_ms=NOW_MS)
    )
    voided = kept.view(TOKEN)
    kept.apply(book(asks=(("0.635", "5"),), tick_micro=None))

    assert voided is None
    assert (view(kept).tick_micro, view(kept).fault) == (1_000, None)


def test_gap_of_one_token_leaves_the_others() -> None:
    kept = books()
    kept.apply(book())
    kept.apply(book(token_id="5"))
    kept.apply(StreamGap(token_ids=("5", "6"), timestamp_ms=NOW_MS))

    assert kept.view(TOKEN) is not None
    assert kept.view("5") is None


def test_oldest_token_is_forgotten_first() -> None:
    kept = books(max_tokens=2)
    for token in ("1", "2", "3"):
        kept.apply(book(token_id=token))

    assert kept.view("1") is None
    assert kept.view("3") is not None


def test_fresh_book_replaces_the_kept_one() -> None:
    kept = books()
    kept.apply(book(asks=(("0.70", "1"),)))

    fresh = kept.take_fresh(book(timestamp_ms=NOW_MS + 1))

    assert (fresh.fresh, fresh.best_ask, view(kept).best_ask) == (True, 630_000, 630_000)


def test_fresh_book_that_lags_the_stream_says_so_and_replaces_nothing() -> None:
    kept = books()
    kept.apply(book(asks=(("0.70", "1"),)))

    fresh = kept.take_fresh(book(timestamp_ms=NOW_MS - 40))

    assert fresh.fault == "the exchange answered with a book 40 ms older than its own stream"
    assert view(kept).best_ask == 700_000


def test_expected_fill_time_follows_what_takers_of_the_other_side_trade() -> None:
    clock = FakeClock()
    kept = books(clock)
    for side, size in (("SELL", "100"), ("BUY", "900"), ("SELL", "200")):
        kept.apply(trade(side, size))

    assert kept.expected_fill_ms(TOKEN, Side.BUY, 150_000_000) == 30_000
    assert kept.expected_fill_ms(TOKEN, Side.SELL, 900_000_000) == 60_000
    clock.ms += 60_001
    assert kept.expected_fill_ms(TOKEN, Side.BUY, 150_000_000) is None


def test_expected_fill_time_without_trades_is_not_known() -> None:
    kept = books()

    assert kept.expected_fill_ms(TOKEN, Side.BUY, 1) is None
    kept.apply(trade("BUY", "1"))
    assert kept.expected_fill_ms(TOKEN, Side.BUY, 1) is None
    assert kept.neg_risk("5") is None


def test_a_change_from_before_the_snapshot_is_in_it_already() -> None:
    kept = books()
    kept.apply(book())
    before = view(kept)

    kept.apply(change("0.62", "7").model_copy(update={"timestamp_ms": NOW_MS - 1}))

    assert view(kept) == before
