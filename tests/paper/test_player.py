"""Playing steps at a speed: the arithmetic as literals, the waiting on a clock moved by hand."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from support.market_files import T0, book, write_lines

from polytraders_pfh.paper.clock import ManualClock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.markets.crowd import RecordedCrowd, list_markets
from polytraders_pfh.paper.markets.player import BATCH_STEPS, Player, Progress, schedule
from polytraders_pfh.paper.markets.recordings import open_recording
from polytraders_pfh.paper.markets.steps import Step
from polytraders_pfh.paper.markets.synthetic import SyntheticFlow, synthetic_market

START = 1_790_000_000_000


@dataclass(frozen=True)
class Noted:
    """A step that writes down when it was applied."""

    at_ms: int
    applied: list[tuple[int, int]]

    def apply(self, exchange: Exchange, now_ms: int) -> None:
        self.applied.append((self.at_ms, now_ms))


def _steps(*times: int) -> list[Step]:
    return [Noted(at_ms, []) for at_ms in times]


def _due(times: Iterable[int], **how: object) -> list[int]:
    return [each.due_ms - START for each in schedule(_steps(*times), START, **how)]  # type: ignore[arg-type]


def test_the_first_step_is_due_now_and_the_others_as_far_apart_as_recorded() -> None:
    assert _due([T0, T0 + 7, T0 + 7, T0 + 1_000]) == [0, 7, 7, 1_000]


def test_speed_divides_the_gaps_without_letting_the_rounding_add_up() -> None:
    assert _due(range(0, 70, 7), speed=10) == [0, 0, 1, 2, 2, 3, 4, 4, 5, 6]
    assert _due([0, 100], speed=Fraction(1, 2)) == [0, 200]
    assert _due([0, 3, 6, 9], speed=Fraction(3, 2)) == [0, 2, 4, 6]


def test_idle_gaps_are_shortened_before_the_speed_applies() -> None:
    assert _due([0, 500, 60_500, 60_600], max_gap_ms=1_000) == [0, 500, 1_500, 1_600]
    assert _due([0, 500, 60_500, 60_600], max_gap_ms=1_000, speed=10) == [0, 50, 150, 160]


def test_a_step_behind_its_predecessor_is_due_with_it() -> None:
    assert _due([100, 50, 120]) == [0, 0, 20]


def test_a_speed_of_nothing_and_a_negative_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="the speed was 0; give a factor above 0, such as 1 or 10"):
        schedule([], START, speed=0)
    with pytest.raises(ValueError, match="max_gap_ms was -1; give 0 or more, or None to keep every gap"):
        schedule([], START, max_gap_ms=-1)


async def _settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_steps_wait_for_the_clock_and_progress_comes_after_each_due_batch() -> None:
    clock, applied = ManualClock(START), list[tuple[int, int]]()
    steps = [Noted(at_ms, applied) for at_ms in (0, 0, 20, 50)]
    player = Player(Exchange(), steps, clock, speed=2, total=4)
    told: list[Progress] = []

    async def play() -> None:
        async for progress in player.play():
            told.append(progress)

    task = asyncio.create_task(play())
    await _settled(lambda: len(told) == 1)
    assert applied == [(0, START), (0, START)]
    clock.advance(9)
    await asyncio.sleep(0)
    assert len(applied) == 2
    clock.advance(1)
    await _settled(lambda: len(told) == 2)
    clock.advance(100)
    await task

    assert applied == [(0, START), (0, START), (20, START + 10), (50, START + 110)]
    assert told == [
        Progress(steps=2, done=2, total=4, recorded_ms=0, now_ms=START, behind_ms=0),
        Progress(steps=3, done=3, total=4, recorded_ms=20, now_ms=START + 10, behind_ms=0),
        Progress(steps=4, done=4, total=4, recorded_ms=50, now_ms=START + 110, behind_ms=85),
    ]


async def test_a_player_that_is_behind_still_lets_others_run_between_batches() -> None:
    applied: list[tuple[int, int]] = []
    steps = [Noted(0, applied) for _ in range(3 * BATCH_STEPS)]
    seen: list[int] = []

    async def watch() -> None:
        while len(applied) < len(steps):
            seen.append(len(applied))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    async for _ in Player(Exchange(), steps, ManualClock(START)).play():
        pass
    await watcher

    assert {BATCH_STEPS, 2 * BATCH_STEPS} <= set(seen)


async def test_a_cancelled_play_stops_where_it_was() -> None:
    clock, applied = ManualClock(START), list[tuple[int, int]]()
    player = Player(Exchange(), [Noted(0, applied), Noted(1_000, applied)], clock)
    told: list[Progress] = []

    async def play() -> None:
        async for progress in player.play():
            told.append(progress)

    task = asyncio.create_task(play())
    await _settled(lambda: bool(told))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.advance(5_000)
    await asyncio.sleep(0)

    assert applied == [(0, START)]


async def test_a_recording_plays_from_now_with_its_rows_as_progress(tmp_path: Path) -> None:
    rows = [book(T0), "PONG", book(T0 + 40, bids=[("0.46", "7")])]
    recording = open_recording(write_lines(tmp_path / "a.jsonl", rows))
    exchange, clock = Exchange(), ManualClock(START)
    list_markets(exchange, recording.markets, START)
    crowd = RecordedCrowd(recording.markets)
    player = Player(
        exchange,
        crowd.steps(recording.frames()),
        clock,
        total=recording.total_rows,
        rows_done=lambda: recording.log.rows_read,
    )
    told: list[Progress] = []

    async def play() -> None:
        async for progress in player.play():
            told.append(progress)

    task = asyncio.create_task(play())
    await _settled(lambda: len(told) == 1)
    clock.advance(40)
    await task

    (market,) = recording.markets
    view = exchange.book(market.tokens[0].token_id, START + 40)
    assert (view.bids, view.timestamp_ms) == (((460_000, 7_000_000),), START + 40)
    assert told[-1] == Progress(2, 3, 3, T0 + 40, START + 40, 0)


async def test_a_synthetic_flow_plays_the_same_way() -> None:
    exchange, clock, market = Exchange(), ManualClock(START), synthetic_market(2)
    exchange.add_market(market, START)
    steps = SyntheticFlow(2, [market]).steps(30_000)
    player = Player(exchange, steps, clock, speed=1_000_000)

    told = [progress async for progress in player.play()]

    assert told[-1].steps > 400
    assert exchange.book(market.token_ids[0], START).bids
