"""Playing steps against the exchange at a chosen speed, on an injected clock.

`schedule` is the whole arithmetic and is pure: it maps the source's own times to the exchange's, beginning
now, dividing every gap by the speed and shortening the idle ones. `Player` only waits and applies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from polytraders_pfh.paper.clock import Clock
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.markets.steps import Step

# Steps applied between two looks at the rest of the program, when the player is behind.
BATCH_STEPS = 64


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A step and when it is due by the exchange's clock."""

    due_ms: int
    step: Step


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the play has come. `recorded_ms` is the source's time of the last step.

    `done` and `total` are rows of the recording where the player was told how to count them, else steps;
    `total` is None where nobody knows. `behind_ms` is how late the last step was.
    """

    steps: int
    done: int
    total: int | None
    recorded_ms: int
    now_ms: int
    behind_ms: int


def schedule(
    steps: Iterable[Step], start_ms: int, *, speed: Fraction | int = 1, max_gap_ms: int | None = None
) -> Iterator[Scheduled]:
    """The steps with their due times: the first at `start_ms`, later ones as far apart as recorded.

    Gaps of the source longer than `max_gap_ms` count as that long (None: none is shortened), and all are
    divided by `speed`. A step behind its predecessor is due with it. Raises ValueError for a speed of 0 or
    less, or a negative gap.
    """
    if speed <= 0:
        raise ValueError(f"the speed was {speed}; give a factor above 0, such as 1 or 10")
    if max_gap_ms is not None and max_gap_ms < 0:
        raise ValueError(f"max_gap_ms was {max_gap_ms}; give 0 or more, or None to keep every gap")
    return _scheduled(steps, start_ms, Fraction(speed), max_gap_ms)


def _scheduled(
    steps: Iterable[Step], start_ms: int, speed: Fraction, max_gap_ms: int | None
) -> Iterator[Scheduled]:
    played_ms = 0
    last_ms: int | None = None
    for step in steps:
        gap_ms = 0 if last_ms is None else max(0, step.at_ms - last_ms)
        played_ms += gap_ms if max_gap_ms is None else min(gap_ms, max_gap_ms)
        last_ms = step.at_ms if last_ms is None else max(last_ms, step.at_ms)
        # From the start each time, so that rounding to whole milliseconds never adds up.
        yield Scheduled(start_ms + int(played_ms / speed), step)


class Player:
    """Plays one source of steps once.

    `rows_done` and `total` serve a progress bar: for a recording `lambda: recording.log.rows_read` and
    `recording.total_rows`.
    """

    def __init__(
        self,
        exchange: Exchange,
        steps: Iterable[Step],
        clock: Clock,
        *,
        speed: Fraction | int = 1,
        max_gap_ms: int | None = None,
        total: int | None = None,
        rows_done: Callable[[], int] | None = None,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._total = total
        self._rows_done = rows_done
        self._scheduled = schedule(steps, clock.now_ms(), speed=speed, max_gap_ms=max_gap_ms)
        self._steps = 0

    async def play(self) -> AsyncIterator[Progress]:
        """Apply every step when it is due, and tell after each batch of due ones, so events can be drained.

        A step is applied at its due time by the exchange's clock, or at the clock's where the player is late.
        """
        batch = 0
        pending: Progress | None = None
        for scheduled in self._scheduled:
            wait_ms = scheduled.due_ms - self._clock.now_ms()
            if pending is not None and (wait_ms > 0 or batch == BATCH_STEPS):
                yield pending
                pending, batch = None, 0
                await _give_way()
                wait_ms = scheduled.due_ms - self._clock.now_ms()
            if wait_ms > 0:
                await self._clock.sleep_ms(wait_ms)
            pending, batch = self._apply(scheduled), batch + 1
        if pending is not None:
            yield pending

    def _apply(self, scheduled: Scheduled) -> Progress:
        now_ms = max(scheduled.due_ms, self._clock.now_ms())
        scheduled.step.apply(self._exchange, now_ms)
        self._steps += 1
        return Progress(
            steps=self._steps,
            done=self._steps if self._rows_done is None else self._rows_done(),
            total=self._total,
            recorded_ms=scheduled.step.at_ms,
            now_ms=now_ms,
            behind_ms=now_ms - scheduled.due_ms,
        )


async def _give_way() -> None:
    # One turn of the event loop: no time passes, so this is no business of the clock.
    loop = asyncio.get_running_loop()
    turn: asyncio.Future[None] = loop.create_future()
    loop.call_soon(_end, turn)
    await turn


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
