"""Parquet with books as lists of doubles, and the sample of the resolvedkit package."""

import builtins
import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.market_files import MARKET, T0, list_row, write_lists

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets import recordings
from polytraders_pfh.paper.markets.frame_parse import FrameFault
from polytraders_pfh.paper.markets.frames import BookFrame, RecordedToken, Skipped
from polytraders_pfh.paper.markets.recordings import open_recording, resolvedkit_sample
from polytraders_pfh.paper.markets.recordings_books import micro_of_double, token_id_of


def test_lists_of_doubles_become_exact_integers_with_the_best_price_last(tmp_path: Path) -> None:
    path = write_lists(tmp_path / "books.parquet", [list_row(side="DOWN")])

    assert list(open_recording(path).frames()) == [
        BookFrame(
            token_id=token_id_of(MARKET, "DOWN"),
            condition_id=MARKET,
            timestamp_ms=T0,
            bids=((440_000, 10_000_000), (450_000, 20_000_000)),
            asks=((480_000, 30_000_000), (470_000, 40_500_000)),
            tick_micro=None,
            file=str(path),
            row=1,
        )
    ]


def test_doubles_enter_through_their_shortest_text() -> None:
    exact = {
        0.1: 100_000,
        0.29: 290_000,
        1e-05: 10,
        13823.98: 13_823_980_000,
        0.000001: 1,
        250_000_000.0: 250 * 10**12,
    }

    assert {number: micro_of_double(number) for number in exact} == exact


def test_the_residue_of_arithmetic_is_dropped_and_more_than_six_decimals_are_not() -> None:
    assert micro_of_double(1.9300000000000002) == 1_930_000
    assert micro_of_double(7.6899999999999995) == 7_690_000
    with pytest.raises(FrameFault, match=r"a number was 0\.1234567, which has more than six decimals"):
        micro_of_double(0.1234567)


def test_residues_are_counted(tmp_path: Path) -> None:
    rows = [list_row(bid_sz=[1.9300000000000002, 2.0]), list_row(T0 + 1, ask_sz=[7.6899999999999995, 3.3])]

    assert open_recording(write_lists(tmp_path / "books.parquet", rows)).float_residues == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (list_row(bid_sz=[0.1234567, 1.0]), "a number was 0.1234567, which has more than six decimals"),
        (list_row(bid_sz=[float("nan"), 1.0]), "a number was nan, which is no price and no size"),
        (list_row(ask_sz=[-1.0, 1.0]), "a number was -1.0, which is no price and no size"),
        (list_row(ask_px=[1.0, 1.1]), "a price was 1.0, and prices lie between 0 and 1"),
        (list_row(ask_px=[0.5]), "ask_px and ask_sz were not two lists of one length"),
        (list_row(bid_px=None), "bid_px and bid_sz were not two lists of one length"),
        (
            list_row(side="MIDDLE"),
            f"market_id was '{MARKET}' and side was 'MIDDLE', not a market and UP or DOWN",
        ),
        (list_row(at_ms=1_776_323_705), "ts was 1776323705, which is not a time in milliseconds"),
    ],
)
def test_a_broken_row_is_refused_by_its_place_and_reason_or_skipped_with_both(
    tmp_path: Path, row: dict[str, object], reason: str
) -> None:
    path = write_lists(tmp_path / "books.parquet", [list_row(T0), row, list_row(T0 + 9)])

    with pytest.raises(RecordingError) as refused:
        list(open_recording(path).frames())
    skipping = open_recording(path, on_error="skip")
    frames = list(skipping.frames())

    assert str(refused.value) == f'{path}, row 2: {reason}; repair it, or open it with on_error="skip"'
    assert [frame.timestamp_ms for frame in frames] == [T0, T0 + 9]
    assert skipping.skipped == [Skipped(str(path), 2, reason)]


def test_the_table_of_markets_names_outcomes_and_payouts(tmp_path: Path) -> None:
    write_lists(tmp_path / "books.parquet", [list_row(T0, ask_px=[0.475, 0.48]), list_row(T0 + 7, "DOWN")])
    described = {
        "market_id": [MARKET],
        "slug": ["btc-15m"],
        "question": ["Up or down?"],
        "outcome_up": ["Up!"],
        "outcome_down": ["Down!"],
        "payout_up": [0.0],
        "payout_down": [1.0],
    }
    pq.write_table(pa.table(described), tmp_path / "markets.parquet")

    (from_folder,) = open_recording(tmp_path).markets
    (from_file,) = open_recording(tmp_path / "books.parquet").markets

    assert from_folder == from_file
    assert from_folder.tokens == (
        RecordedToken(token_id_of(MARKET, "UP"), "Up!", recorded=True),
        RecordedToken(token_id_of(MARKET, "DOWN"), "Down!", recorded=True),
    )
    assert (from_folder.question, from_folder.slug, from_folder.payout_micro) == (
        "Up or down?",
        "btc-15m",
        (0, 1_000_000),
    )
    assert (from_folder.tick_micro, from_folder.finest_tick_micro) == (10_000, 5_000)
    assert (from_folder.rows, from_folder.first_ms, from_folder.last_ms) == (2, T0, T0 + 7)


def test_the_missing_sample_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}")

    monkeypatch.setattr(recordings, "files", missing)

    with pytest.raises(RecordingError) as refused:
        resolvedkit_sample()

    assert str(refused.value) == (
        "the sample recording is missing, because the package resolvedkit was not installed; "
        "run: pip install 'polytraders-pfh[demo]'"
    )


def test_parquet_without_pyarrow_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lists(tmp_path / "books.parquet", [list_row()])
    real_import = builtins.__import__

    def without_arrow(name: str, *rest: object) -> object:
        if name == "polytraders_pfh.paper.markets.parquet_files":
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")
        return real_import(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_arrow)

    with pytest.raises(RecordingError) as refused:
        open_recording(path)

    assert str(refused.value) == (
        f"{path}: parquet needs pyarrow, which was not installed; run: pip install 'polytraders-pfh[paper]'"
    )


@pytest.mark.skipif(
    importlib.util.find_spec("resolvedkit") is None,
    reason="the sample needs resolvedkit: install the extra [demo]",
)
def test_the_sample_is_read_whole_with_its_torn_books_counted() -> None:
    recording = resolvedkit_sample()

    last_ms = books = crossed = 0
    for frame in recording.frames():
        assert isinstance(frame, BookFrame)
        assert frame.timestamp_ms >= last_ms
        last_ms = frame.timestamp_ms
        books += 1
        crossed += frame.crossed

    log = recording.log
    assert (recording.total_rows, log.rows_read, books) == (38_333, 38_333, 38_333)
    assert (crossed, log.crossed, log.duplicates, log.skipped_total) == (22, 22, 0, 0)
    assert recording.float_residues == 205
    assert len(recording.markets) == 18
    assert sum(market.rows for market in recording.markets) == 38_333
    assert {market.payout_micro for market in recording.markets} == {(0, 1_000_000), (1_000_000, 0)}


def test_markets_not_asked_for_are_counted_and_not_read(tmp_path: Path) -> None:
    other = "0x" + "cd" * 32
    broken = list_row(T0 + 1, bid_px=[2.0, 0.4], market=other)
    path = write_lists(tmp_path / "books.parquet", [list_row(), broken, list_row(T0 + 2)])
    recording = open_recording(path)

    frames = list(recording.frames(only=[MARKET]))

    assert [frame.timestamp_ms for frame in frames] == [T0, T0 + 2]
    assert recording.log.rows_read == 3
