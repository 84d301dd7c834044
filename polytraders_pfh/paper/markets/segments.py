"""A recording as stretches of rows, merged by the messages' own time with few of them open at once.

A segment is one parquet row group or one text file: it knows its first timestamp, and opened it yields its
frames in time order. `merged` opens a segment only when the clock of the recording reaches it, so memory
holds the segments that overlap in time and no more.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets.frames import BookFrame, Frame, RecordedMarket, Skipped

OnError: TypeAlias = Literal["refuse", "skip"]

# A garbage file has as many faults as rows; beyond this many they are counted, not kept.
SKIPPED_KEPT = 10_000
WINDOW_MS = 2_000
WINDOW_FRAMES = 10_000


@dataclass(slots=True)
class ReadLog:
    """What one pass over a recording met besides frames.

    `skipped` holds the first SKIPPED_KEPT faults and `skipped_total` counts all; `duplicates` are books
    read twice; `stale` are books older than one of the same token already played; `crossed` are books whose
    best bid was not below their best ask (yielded all the same); `other_events` counts what is not kept.
    `only` are the markets asked for (None: all); a reader may pass over rows of others without reading them.
    """

    on_error: OnError = "refuse"
    only: frozenset[str] | None = None
    rows_read: int = 0
    frames: int = 0
    duplicates: int = 0
    stale: int = 0
    crossed: int = 0
    skipped_total: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    other_events: Counter[str] = field(default_factory=Counter)

    def wants(self, condition_id: str) -> bool:
        """Whether this market was asked for."""
        return self.only is None or condition_id in self.only

    def fault(self, file: str, row: int, reason: str) -> None:
        """Write the fault down, or raise RecordingError with its place and reason when told to refuse."""
        if self.on_error == "refuse":
            place = f"{file}, row {row}" if row else file
            raise RecordingError(f'{place}: {reason}; repair it, or open it with on_error="skip"')
        self.skipped_total += 1
        if len(self.skipped) < SKIPPED_KEPT:
            self.skipped.append(Skipped(file, row, reason))


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of rows: `first_ms` is no later than any of its frames; `open` yields them in time order."""

    first_ms: int
    open: Callable[[ReadLog], Iterator[Frame]]


@dataclass(frozen=True, slots=True)
class Index:
    """What one look over the files found, before any frame is played."""

    format: str
    files: tuple[str, ...]
    total_rows: int
    markets: tuple[RecordedMarket, ...]
    segments: tuple[Segment, ...]
    float_residues: int = 0


def merged(segments: Sequence[Segment], log: ReadLog) -> Iterator[Frame]:
    """Every segment's frames in one time order; ties go by the order of the segments, then of the rows."""
    waiting = sorted(enumerate(segments), key=lambda item: (item[1].first_ms, item[0]), reverse=True)
    heads: list[tuple[int, int, Frame, Iterator[Frame]]] = []
    while waiting or heads:
        while waiting and (not heads or waiting[-1][1].first_ms <= heads[0][0]):
            order, segment = waiting.pop()
            _push(heads, order, segment.open(log))
        if heads:
            _, order, frame, frames = heapq.heappop(heads)
            yield frame
            _push(heads, order, frames)


def in_time_order(frames: Iterator[Frame], log: ReadLog) -> Iterator[Frame]:
    """Put right what stands in nearly the right order, within WINDOW_MS of recorded time and WINDOW_FRAMES.

    A book that comes later than that is a snapshot sent again, as after a reconnect: where its token has a
    newer book already it is dropped and counted as stale. Anything else so late is a fault of its row.
    """
    window: list[tuple[int, int, Frame]] = []
    newest_ms = played_ms = 0
    booked: set[str] = set()
    for number, frame in enumerate(frames):
        if frame.timestamp_ms < played_ms:
            _late(frame, played_ms, booked, log)
            continue
        if isinstance(frame, BookFrame):
            booked.add(frame.token_id)
        newest_ms = max(newest_ms, frame.timestamp_ms)
        heapq.heappush(window, (frame.timestamp_ms, number, frame))
        while window[0][0] < newest_ms - WINDOW_MS or len(window) > WINDOW_FRAMES:
            played_ms, _, ready = heapq.heappop(window)
            yield ready
    while window:
        yield heapq.heappop(window)[2]


def _late(frame: Frame, played_ms: int, booked: set[str], log: ReadLog) -> None:
    if isinstance(frame, BookFrame) and frame.token_id in booked:
        log.stale += 1
        return
    behind = played_ms - frame.timestamp_ms
    log.fault(frame.file, frame.row, f"its timestamp lies {behind} ms behind rows read before it")


def without_duplicates(frames: Iterator[Frame], log: ReadLog) -> Iterator[Frame]:
    """Drop a book read twice (the same levels at the same millisecond), and count books and crossed ones."""
    at_ms, seen = 0, list[BookFrame]()
    for frame in frames:
        if frame.timestamp_ms != at_ms:
            at_ms, seen = frame.timestamp_ms, []
        if isinstance(frame, BookFrame):
            if any(_same_book(frame, earlier) for earlier in seen):
                log.duplicates += 1
                continue
            seen.append(frame)
            log.crossed += frame.crossed
        log.frames += 1
        yield frame


def _push(heads: list[tuple[int, int, Frame, Iterator[Frame]]], order: int, frames: Iterator[Frame]) -> None:
    frame = next(frames, None)
    if frame is not None:
        heapq.heappush(heads, (frame.timestamp_ms, order, frame, frames))


def _same_book(one: BookFrame, other: BookFrame) -> bool:
    return one.token_id == other.token_id and one.bids == other.bids and one.asks == other.asks
