"""Sizes meant to exhaust: each is refused or read at a cost in proportion, and what is kept stays bounded."""

import contextlib
import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from polytraders_hookspecs import (
    BookSnapshot,
    ExchangeReply,
    LastTrade,
    PriceChange,
    SignedEvent,
    sign_event,
)
from polytraders_hookspecs.wire import MAX_BODY_BYTES
from support.fake_host import KEY, KEY_ID, MARKET, NOW_MS, TOKEN, TRACE, FakeClock, FakeHost

from adversarial.parsers import PARSERS, Parser
from polytraders_pfh.core.market import Side
from polytraders_pfh.engine.books import Books
from polytraders_pfh.engine.replies import read_traded

SMALL, LARGE = 4_000, 32_000
SHAPES: dict[str, Callable[[int], bytes]] = {
    "arrays without end": lambda n: b"[" * n,
    "objects without end": lambda n: b'{"a":' * (n // 5),
    "arrays that close": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
    "digits": lambda n: b"1" * n,
    "digits in a field": lambda n: b'{"filled_usd":' + b"9" * n + b"}",
    "decimals": lambda n: b'{"filled_usd":0.' + b"0" * n + b"1}",
    "digits as a text": lambda n: b'{"original_size":"' + b"9" * n + b'","size":"' + b"9" * 9 + b'"}',
    "exponent": lambda n: b'{"filled_usd":1e-' + b"9" * n + b"}",
    "long numbers": lambda n: b"[" + b",".join([b"1" * 4_000] * (n // 4_000)) + b"]",
    "names": lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n // 10)) + b"}",
    "names, the last twice": lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n // 10)) + b',"k1":1}',
    "escapes": lambda n: b'"' + b"\\u0000" * (n // 6) + b'"',
    "backslashes": lambda n: b'"' + b"\\" * n,
    "quotes after brackets": lambda n: b"{}" * 33 + b'"' * n,
    "quotes that open": lambda n: b"[]" * 33 + b'"x' * (n // 2),
    "escaped quotes": lambda n: b"[]" * 33 + b'"' + b'\\"' * (n // 2),
    "blanks": lambda n: b" " * n,
    "levels": lambda n: b'{"bids":[' + b",".join([b'{"price":"0.61","size":"1"}'] * (n // 28)) + b"]}",
    "trades": lambda n: b"[" + b",".join([b'{"maker_orders":[{}],"size":"1"}'] * (n // 33)) + b"]",
    "bytes that are no text": lambda n: b"\xff" * n,
}


def cost_ns(parser: Parser, body: bytes) -> int:
    """Return the least processor time of a few readings, so that what else runs here does not count."""
    least = 10**12
    for _ in range(3):
        begun = time.thread_time_ns()
        with contextlib.suppress(parser.declared):
            parser.read(body)
        least = min(least, time.thread_time_ns() - begun)
    return least


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_bytes_cost_no_square(shape: str) -> None:
    """Eight times is proportion and sixty-four a square; between them is room for noise."""
    gc.collect()
    small, large = SHAPES[shape](SMALL), SHAPES[shape](LARGE)
    for parser in PARSERS:
        if parser.name != "depth":  # counts by hand, in this test's own code
            assert cost_ns(parser, large) <= 24 * cost_ns(parser, small) + 2_000_000, parser.name


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10 * MAX_BODY_BYTES, 100 * MAX_BODY_BYTES])
async def test_event_over_64_kib_is_refused_with_its_size(tmp_path: Path, size: int) -> None:
    host = FakeHost(config={"mode": "general_live", "journal": {"durable": False}}, state_dir=tmp_path)
    await host.start()
    envelope = SignedEvent(
        key_id=KEY_ID, event_ts_ms=NOW_MS, trace_id=TRACE, body=b"x" * size, signature="0" * 64
    )

    report = await host.bot.on_partial_fill(envelope)
    await host.stop()

    assert (report.verdict, report.detail) == (
        "EVENT_REJECTED",
        f"body was {size} bytes; send at most {MAX_BODY_BYTES}",
    )


@pytest.mark.parametrize("shape", SHAPES)
async def test_authentic_event_of_a_hostile_shape_is_refused_in_a_short_sentence(
    tmp_path: Path, shape: str
) -> None:
    host = FakeHost(config={"mode": "general_live", "journal": {"durable": False}}, state_dir=tmp_path)
    await host.start()
    envelope = sign_event(
        key_id=KEY_ID, key=KEY, event_ts_ms=NOW_MS, trace_id=TRACE, body=SHAPES[shape](LARGE)
    )

    report = await host.bot.on_partial_fill(envelope)
    await host.stop()

    assert report.verdict == "EVENT_REJECTED"
    assert len(report.detail) < 400
    assert host.exchange.calls == []


def kept_books() -> Books:
    now_ms = FakeClock().now_ms
    return Books(now_ms, levels=5, default_min_size_micro=0, fill_rate_window_ms=60_000, max_tokens=4)


def snapshot(levels: int) -> BookSnapshot:
    return BookSnapshot(
        token_id=TOKEN,
        market_id=MARKET,
        bids=tuple((price, 1) for price in range(1, levels + 1)),
        asks=(),
        timestamp_ms=NOW_MS,
        tick_micro=1,
    )


def test_book_of_more_levels_than_any_grid_has_is_no_book() -> None:
    kept = kept_books()
    kept.apply(snapshot(10_000))
    whole = kept.view(TOKEN)
    kept.apply(snapshot(10_001))

    assert whole is not None
    assert kept.view(TOKEN) is None
    assert len(kept._kept[TOKEN].bids.prices) == 0


def test_levels_that_come_one_by_one_without_end_void_the_book_and_are_not_kept() -> None:
    kept = kept_books()
    kept.apply(snapshot(1))
    most = 0
    for price in range(20_000):
        change = PriceChange(
            token_id=TOKEN, bid=False, price_micro=10**7 + price, size_micro=1, timestamp_ms=NOW_MS
        )
        kept.apply(change)
        most = max(most, len(kept._kept[TOKEN].asks.prices))

    assert most <= 10_000
    assert kept.view(TOKEN) is None


def test_flood_of_trades_is_kept_to_a_bound_and_still_tells_a_rate() -> None:
    clock = FakeClock()
    kept = Books(clock.now_ms, levels=5, default_min_size_micro=0, fill_rate_window_ms=60_000, max_tokens=4)
    for n in range(30_000):
        clock.ms += n % 2
        kept.apply(
            LastTrade(token_id=TOKEN, side="SELL", price_micro=620_000, size_micro=1_000, timestamp_ms=NOW_MS)
        )

    assert len(kept._kept[TOKEN].trades) == 10_000
    assert kept.expected_fill_ms(TOKEN, Side.BUY, 10_000_000) == pytest.approx(5_000, abs=2)


def test_trades_beyond_eight_mebibytes_are_not_read() -> None:
    body = b"[" + b" " * (8 * 1024 * 1024) + b"]"

    assert read_traded(ExchangeReply(status=200, body=body[:1_000] + b"]"), "0x") == 0
    assert read_traded(ExchangeReply(status=200, body=body), "0x") is None
