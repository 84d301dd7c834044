"""JSON lines of raw WebSocket frames: events, order, breakage; and telling the shapes apart."""

from pathlib import Path

import pytest
from support.market_files import (
    MARKET,
    NO,
    T0,
    YES,
    book,
    last_trade,
    list_row,
    price_change,
    tick_change,
    write_lines,
    write_lists,
    write_raw,
)

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.core.model import Side
from polytraders_pfh.paper.markets.frames import (
    BookFrame,
    LastTradeFrame,
    LevelSet,
    PriceChangeFrame,
    RecordedToken,
    Skipped,
    TickSizeFrame,
)
from polytraders_pfh.paper.markets.recordings import open_recording
from polytraders_pfh.paper.markets.recordings_jsonl import MAX_LINE_BYTES


@pytest.mark.parametrize("zipped", [False, True])
def test_the_four_events_become_four_kinds_of_frames(tmp_path: Path, zipped: bool) -> None:
    best = {"best_bid": "0.45", "best_ask": "0.47"}
    changed = price_change(T0 + 1, (YES, "BUY", "0.45", "0"), (NO, "SELL", ".55", "0"))
    changed["price_changes"][0] |= best
    rows = [
        [book(T0)],
        changed,
        [last_trade(T0 + 2, "SELL", "0.45", "20"), tick_change(T0 + 3, "0.01", "0.001")],
    ]
    path = write_lines(tmp_path / "day", rows, zipped=zipped)
    file = str(path)

    frames = list(open_recording(path).frames())

    assert isinstance(frames[0], BookFrame)
    assert frames[1:] == [
        PriceChangeFrame(
            MARKET,
            T0 + 1,
            (
                LevelSet(YES, Side.BUY, 450_000, 0, 450_000, 470_000),
                LevelSet(NO, Side.SELL, 550_000, 0, None, None),
            ),
            file,
            2,
        ),
        LastTradeFrame(YES, MARKET, T0 + 2, Side.SELL, 450_000, 20_000_000, None, file, 3),
        TickSizeFrame(YES, MARKET, T0 + 3, 10_000, 1_000, file, 3),
    ]


def test_the_older_price_change_with_its_token_at_the_top_is_read(tmp_path: Path) -> None:
    old = {
        "event_type": "price_change",
        "market": MARKET,
        "asset_id": YES,
        "timestamp": str(T0),
        "changes": [{"price": "0.4", "side": "SELL", "size": "3"}],
    }

    (frame,) = open_recording(write_lines(tmp_path / "a.jsonl", [old])).frames()

    assert isinstance(frame, PriceChangeFrame)
    assert frame.changes == (LevelSet(YES, Side.SELL, 400_000, 3_000_000, None, None),)


def test_other_events_heartbeats_and_blank_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    rows = ["PONG", "", book(T0), {"event_type": "best_bid_ask"}, {"event_type": "new_market"}, "PONG"]
    recording = open_recording(write_lines(tmp_path / "a.jsonl", rows))

    assert len(list(recording.frames())) == 1
    assert recording.log.other_events == {"PONG": 2, "blank line": 1, "best_bid_ask": 1, "new_market": 1}
    assert recording.total_rows == recording.log.rows_read == 6


def test_numbers_written_as_numbers_are_read_by_their_text(tmp_path: Path) -> None:
    row = '{"event_type":"last_trade_price","market":"m","asset_id":"1","side":"BUY","price":0.29,"size":5,'
    path = write_lines(tmp_path / "a.jsonl", [row + f'"timestamp":{T0}}}'])

    (frame,) = open_recording(path).frames()

    assert isinstance(frame, LastTradeFrame)
    assert (frame.price_micro, frame.size_micro, frame.timestamp_ms) == (290_000, 5_000_000, T0)


def test_lines_a_little_out_of_order_are_put_right_across_files(tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one.jsonl", [book(T0 + at) for at in (900, 1_500, 0, 1_100)])
    two = write_lines(tmp_path / "two.jsonl", [book(T0 + at) for at in (1_000, 5_000)])

    frames = open_recording([one, two]).frames()

    assert [frame.timestamp_ms - T0 for frame in frames] == [0, 900, 1_000, 1_100, 1_500, 5_000]


def test_a_snapshot_sent_again_long_after_is_stale_and_only_counted(tmp_path: Path) -> None:
    rows = [book(T0), book(T0 + 10_000), book(T0 + 20_000), book(T0 + 5_000, bids=[])]
    recording = open_recording(write_lines(tmp_path / "a.jsonl", rows))

    assert [frame.timestamp_ms - T0 for frame in recording.frames()] == [0, 10_000, 20_000]
    assert (recording.log.stale, recording.log.skipped_total) == (1, 0)


def test_anything_else_far_out_of_order_is_a_fault_of_its_line(tmp_path: Path) -> None:
    rows = [book(T0), book(T0 + 10_000), book(T0 + 20_000), last_trade(T0 + 1, "BUY", "0.4", "1")]
    path = write_lines(tmp_path / "a.jsonl", rows)
    reason = "its timestamp lies 9999 ms behind rows read before it"

    with pytest.raises(RecordingError) as refused:
        list(open_recording(path).frames())
    skipping = open_recording(path, on_error="skip")

    assert len(list(skipping.frames())) == 3
    assert skipping.skipped == [Skipped(str(path), 4, reason)]
    assert str(refused.value) == f'{path}, row 4: {reason}; repair it, or open it with on_error="skip"'


def test_a_file_that_ends_in_the_middle_of_a_line_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [book(T0), book(T0 + 1)])
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(RecordingError, match=r"a\.jsonl, row 2: the row was not whole JSON \("):
        open_recording(path)
    skipping = open_recording(path, on_error="skip")

    assert [frame.timestamp_ms for frame in skipping.frames()] == [T0]
    assert [(each.file, each.row) for each in skipping.skipped] == [(str(path), 2)]


def test_a_gzip_stream_cut_short_is_refused_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = [book(T0 + at, bids=[(f"0.{at + 10}", f"{at * 7919 % 1000 + 1}")]) for at in range(80)]
    path = write_lines(tmp_path / "a.gz", rows, zipped=True)
    path.write_bytes(path.read_bytes()[:-60])

    with pytest.raises(RecordingError, match=r"a\.gz, row \d+: "):
        open_recording(path)
    skipping = open_recording(path, on_error="skip")
    frames = list(skipping.frames())

    assert 0 < len(frames) < 80
    assert skipping.skipped[-1].reason == (
        "the file ends or breaks off here (Compressed file ended before the end-of-stream marker was reached)"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (price_change(T0, (YES, "HOLD", "0.4", "1")), "side was 'HOLD', not BUY or SELL"),
        (price_change(T0) | {"price_changes": [3]}, "a price change was a JSON text, not an object"),
        (price_change(T0) | {"price_changes": {}}, "price_changes was not a list"),
        (last_trade(T0, "BUY", "0.4", "0"), "the size of a trade was 0"),
        (last_trade(T0, "BUY", "0", "1"), "a price was '0', and prices lie between 0 and 1"),
        (tick_change(T0, "0.01", "0.3"), "a tick size was '0.3', which the venue does not use"),
        ("[" * 100_000, "the row was not whole JSON (it nests too deeply to be a message"),
    ],
)
def test_a_broken_message_is_told_with_its_reason(tmp_path: Path, row: object, reason: str) -> None:
    path = write_lines(tmp_path / "a.jsonl", [[book(T0)], row])
    skipping = open_recording(path, on_error="skip")

    assert len(list(skipping.frames())) == 1
    assert [(each.row, each.reason[: len(reason)]) for each in skipping.skipped] == [(2, reason)]


def test_one_broken_message_does_not_take_the_rest_of_its_array_along(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [[book(T0), {"event_type": "book"}, book(T0 + 1)]])
    skipping = open_recording(path, on_error="skip")

    assert [frame.timestamp_ms for frame in skipping.frames()] == [T0, T0 + 1]
    assert skipping.skipped == [Skipped(str(path), 1, "asset_id was missing")]


def test_a_line_without_end_is_passed_over_without_being_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, [book(T0)])
    with path.open("ab") as stream:
        stream.write(b"x" * (2 * MAX_LINE_BYTES + 5) + b"\n")
    with path.open("ab") as stream:
        stream.write(write_lines(tmp_path / "b.jsonl", [book(T0 + 1)]).read_bytes())
    skipping = open_recording(path, on_error="skip")

    assert [frame.timestamp_ms for frame in skipping.frames()] == [T0, T0 + 1]
    assert skipping.skipped == [Skipped(str(path), 2, f"the line is longer than {MAX_LINE_BYTES} bytes")]


def test_both_tokens_ticks_and_trades_of_a_market_are_known_at_the_opening(tmp_path: Path) -> None:
    rows = [
        book(T0),
        price_change(T0 + 1, (YES, "BUY", "0.45", "1"), (NO, "SELL", "0.55", "1")),
        tick_change(T0 + 2, "0.01", "0.0001"),
        price_change(T0 + 3, (YES, "BUY", "0.9999", "1")),
        last_trade(T0 + 4, "BUY", "0.47", "1"),
    ]

    (market,) = open_recording(write_lines(tmp_path / "a.jsonl", rows)).markets

    assert market.tokens == (RecordedToken(YES, "Recorded", True), RecordedToken(NO, "Complement", True))
    assert (market.tick_micro, market.finest_tick_micro, market.trades) == (10_000, 100, 1)


def test_garbage_is_refused_with_what_it_was_and_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\x00\x01garbage")

    with pytest.raises(RecordingError) as refused:
        open_recording(path)

    assert str(refused.value) == (
        f"{path}: its first bytes were b'\\x00\\x01garbage', which is neither parquet nor JSON lines; "
        "known are parquet with a column raw_data, parquet with columns bid_px, bid_sz, ask_px, ask_sz, "
        'and one raw WebSocket frame per line; repair it, or open it with on_error="skip"'
    )


def test_a_folder_of_garbage_opened_to_skip_is_an_empty_recording_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\x00")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing more")
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8b\x00")
    recording = open_recording(tmp_path, on_error="skip")

    assert list(recording.frames()) == []
    assert (recording.total_rows, recording.markets) == (0, ())
    assert [(Path(each.file).name, each.row) for each in recording.skipped] == [
        ("a.jsonl", 0),
        ("b.parquet", 0),
        ("c.gz", 0),
    ]


def test_the_shape_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines.parquet", [book()])
    raw = write_raw(tmp_path / "raw.jsonl", [book()])
    lists = write_lists(tmp_path / "lists.gz", [list_row()])

    assert [open_recording(path).format for path in (lines, raw, lists)] == [
        "raw market-channel JSON lines",
        "raw market-channel parquet",
        "book lists parquet (resolvedkit layout)",
    ]


def test_a_missing_path_an_empty_folder_and_mixed_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    lines, raw = write_lines(tmp_path / "a.jsonl", [book()]), write_raw(tmp_path / "b.parquet", [book()])

    with pytest.raises(RecordingError) as missing:
        open_recording(tmp_path / "nowhere")
    with pytest.raises(RecordingError) as empty:
        open_recording(tmp_path / "empty")
    with pytest.raises(RecordingError) as mixed:
        open_recording([lines, raw])

    assert str(missing.value) == (
        f"{tmp_path / 'nowhere'}: there was no such file or folder; give a recording that exists"
    )
    assert str(empty.value) == (
        f"{tmp_path / 'empty'}: held no file named .parquet, .jsonl, .ndjson, .json, .gz; give a recording"
    )
    assert str(mixed.value) == (
        f"the files were of different shapes: {{'jsonl': '{lines}', 'raw': '{raw}'}}; "
        "open one shape at a time"
    )


def test_markets_not_asked_for_are_left_out(tmp_path: Path) -> None:
    other = "0x" + "cd" * 32
    path = write_lines(tmp_path / "day.jsonl", [book(), book(T0 + 1, market=other, token="3333")])

    frames = list(open_recording(path).frames(only=[other]))

    assert [frame.condition_id for frame in frames] == [other]
