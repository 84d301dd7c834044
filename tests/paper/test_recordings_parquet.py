"""Parquet with raw messages: order, duplicates, breakage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.market_files import BTC5M, MARKET, NO, T0, YES, book, price_change, write_raw

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets.frames import BookFrame, RecordedToken, Skipped, complement_of
from polytraders_pfh.paper.markets.recordings import open_recording


def test_a_raw_book_becomes_exact_integers_with_the_best_price_last(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.parquet", [book(tick_size="0.01")])

    frames = list(open_recording(path).frames())

    assert frames == [
        BookFrame(
            token_id=YES,
            condition_id=MARKET,
            timestamp_ms=T0,
            bids=((440_000, 10_000_000), (450_000, 20_000_000)),
            asks=((480_000, 30_000_000), (470_000, 40_500_000)),
            tick_micro=10_000,
            file=str(path),
            row=1,
        )
    ]


def test_rows_come_by_the_messages_own_time_across_files_and_row_groups(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.parquet", [book(T0 + at) for at in (50, 10, 40, 20)], rows_per_group=2)
    write_raw(tmp_path / "b.parquet", [book(T0 + at) for at in (30, 0, 60)])

    frames = list(open_recording(tmp_path).frames())

    places = [(frame.timestamp_ms - T0, Path(frame.file).name, frame.row) for frame in frames]
    assert places == [
        (0, "b.parquet", 2),
        (10, "a.parquet", 2),
        (20, "a.parquet", 4),
        (30, "b.parquet", 1),
        (40, "a.parquet", 3),
        (50, "a.parquet", 1),
        (60, "b.parquet", 3),
    ]


def test_rows_of_one_millisecond_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.parquet", [book(T0 + 5)])
    write_raw(tmp_path / "b.parquet", [book(T0), book(T0 + 5, token=NO)])

    frames = list(open_recording(tmp_path).frames())

    assert [(frame.timestamp_ms - T0, Path(frame.file).name) for frame in frames] == [
        (0, "b.parquet"),
        (5, "a.parquet"),
        (5, "b.parquet"),
    ]


def test_a_book_recorded_twice_is_played_once_and_counted(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.parquet", [book(T0), book(T0 + 5)])
    write_raw(tmp_path / "b.parquet", [book(T0 + 5), book(T0 + 5, token=NO), book(T0 + 9)])

    recording = open_recording(tmp_path)

    assert [frame.timestamp_ms - T0 for frame in recording.frames()] == [0, 5, 5, 9]
    assert (recording.total_rows, recording.log.rows_read, recording.log.duplicates) == (5, 5, 1)


def test_a_market_names_its_tokens_ticks_rows_and_times(tmp_path: Path) -> None:
    rows = [
        book(T0, tick_size="0.01", token=NO),
        book(T0 + 1),
        book(T0 + 2, asks=[("0.971", "5"), ("0.97", "5")]),
        price_change(T0 + 3, (YES, "BUY", "0.9", "1")),
    ]
    path = write_raw(tmp_path / "a.parquet", rows, slug=["btc-5m"] * 4)

    (market,) = open_recording(path).markets

    assert market.tokens == (RecordedToken(YES, "Recorded", True), RecordedToken(NO, "Complement", True))
    assert (market.tick_micro, market.finest_tick_micro, market.min_size_micro) == (10_000, 1_000, 5_000_000)
    assert (market.rows, market.first_ms, market.last_ms) == (4, T0, T0 + 3)
    assert (market.slug, market.question, market.condition_id) == ("btc-5m", "btc-5m", MARKET)


def test_an_unrecorded_complement_is_the_same_stand_in_in_every_run(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.parquet", [book()])

    (market,) = open_recording(path).markets

    assert market.tokens[1] == RecordedToken(complement_of(YES), "Complement", recorded=False)
    assert complement_of("1111") == (
        "110585843706945029789184346330153969017082298078552922355536142220327432819450"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "the row was null"),
        (book(bids=[("0.1234567", "1")]), "a number was '0.1234567', which has more than six decimals"),
        (book(bids=[("1e-2", "1")]), "a number was '1e-2', which is not a plain decimal"),
        (book(bids=[("0.5", "-3")]), "a number was '-3', which is not a plain decimal"),
        (book(bids=[("1", "3")]), "a price was '1', and prices lie between 0 and 1"),
        (
            book(bids=[("0.4", "3"), ("0.40", "4")]),
            "two levels of one side stood at the price 400000 (micro)",
        ),
        (book() | {"bids": None}, "bids was not a list"),
        (book() | {"bids": [["0.4", "3"]]}, "a level of bids was not an object with price and size as text"),
        (book() | {"asset_id": None}, "asset_id was missing"),
        (book(tick_size="0.03"), "a tick size was '0.03', which the venue does not use"),
        (
            book() | {"timestamp": "1776323705"},
            "timestamp was '1776323705', which is not a time in milliseconds",
        ),
        ('"hello"', "the message was a JSON text, not an object"),
        ({"market": MARKET}, "event_type was missing"),
        (
            '{"market": "0x12", "asset',
            "the row was not whole JSON (Unterminated string starting at: line 1 column 20 (char 19))",
        ),
    ],
)
def test_a_broken_row_is_refused_by_its_place_and_reason_or_skipped_with_both(
    tmp_path: Path, row: object, reason: str
) -> None:
    path = write_raw(tmp_path / "a.parquet", [book(T0), row, book(T0 + 9)])

    with pytest.raises(RecordingError) as refused:
        list(open_recording(path).frames())
    skipping = open_recording(path, on_error="skip")
    frames = list(skipping.frames())

    assert str(refused.value) == f'{path}, row 2: {reason}; repair it, or open it with on_error="skip"'
    assert [frame.timestamp_ms for frame in frames] == [T0, T0 + 9]
    assert skipping.skipped == [Skipped(str(path), 2, reason)]


def test_a_file_cut_short_is_refused_or_skipped_whole(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.parquet", [book(T0)])
    cut = write_raw(tmp_path / "b.parquet", [book(T0 + 1)])
    cut.write_bytes(cut.read_bytes()[:-20])
    size = cut.stat().st_size
    reason = (
        f"its parquet footer is missing or broken, so the file of {size} bytes is cut or damaged; "
        "copy it again"
    )

    with pytest.raises(RecordingError) as refused:
        open_recording(tmp_path)
    skipping = open_recording(tmp_path, on_error="skip")

    assert str(refused.value) == f"{cut}: {reason}"
    assert [frame.timestamp_ms for frame in skipping.frames()] == [T0]
    assert skipping.skipped == [Skipped(str(cut), 0, reason)]


def test_a_row_group_with_flipped_bytes_is_refused_or_skipped_with_its_rows(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.parquet", [book(T0 + at) for at in range(6)], rows_per_group=2)
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(1).column(0)
        inside = column.dictionary_page_offset + 100
    data = bytearray(path.read_bytes())
    data[inside] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(RecordingError, match=r"a\.parquet, row 3: rows 3 to 4 are broken \("):
        open_recording(path)
    skipping = open_recording(path, on_error="skip")
    frames = list(skipping.frames())

    assert [frame.timestamp_ms - T0 for frame in frames] == [0, 1, 4, 5]
    assert [(each.file, each.row) for each in skipping.skipped] == [(str(path), 3)]
    assert skipping.total_rows == skipping.log.rows_read == 4


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"price": [1], "when": [2]}), path)

    with pytest.raises(RecordingError) as refused:
        open_recording(path)

    assert str(refused.value) == (
        f"{path}: its columns were price, when; known are raw_data (messages as received) "
        "and market_id, ts, side, bid_px, bid_sz, ask_px, ask_sz (books as lists)"
    )


def test_frames_may_be_read_again_from_the_start(tmp_path: Path) -> None:
    recording = open_recording(write_raw(tmp_path / "a.parquet", [book(T0), book(T0 + 1)]))

    first = list(recording.frames())

    assert list(recording.frames()) == first
    assert recording.log.rows_read == 2


@pytest.mark.skipif(
    not BTC5M.is_dir(), reason="the btc5m recording is not beside the checkout (../shared/data)"
)
def test_the_real_five_minute_markets_are_read_whole() -> None:
    recording = open_recording(BTC5M)

    last_ms = books = 0
    for frame in recording.frames():
        assert isinstance(frame, BookFrame)
        assert frame.timestamp_ms >= last_ms
        last_ms = frame.timestamp_ms
        books += 1

    log = recording.log
    assert (recording.total_rows, log.rows_read, books) == (36_039, 36_039, 36_038)
    assert (log.duplicates, log.crossed, log.stale, log.skipped_total) == (1, 0, 0, 0)
    assert [market.rows for market in recording.markets] == [4550, 4757, 5144, 6114, 3514, 3302, 4694, 3964]
    assert {market.finest_tick_micro for market in recording.markets} == {10_000}
