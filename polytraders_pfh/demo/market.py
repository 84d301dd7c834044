"""Which markets are played, and in which order: chosen by the seed, played by their own clock."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.flow import Flow, FlowMarket, RecordedFlow, SyntheticMarkets
from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets.frames import RecordedMarket
from polytraders_pfh.paper.markets.recordings import Recording, open_recording, resolvedkit_sample
from polytraders_pfh.paper.markets.segments import OnError

SAMPLE_NAME: Final = "resolvedkit sample"
SAMPLE_CREDIT: Final = "Polymarket books recorded by Resolved Markets (package resolvedkit), CC BY 4.0"
SYNTHETIC_MS: Final = 300_000


def sample_flow(seed: int, count: int) -> RecordedFlow:
    """Return `count` markets of the resolvedkit sample, drawn by the seed.

    Raises:
        RecordingError: The package is missing; names the command that installs it, and the way without.
        DemoError: There are not that many markets.
    """
    try:
        recording = resolvedkit_sample()
    except RecordingError as e:
        raise RecordingError(f"{e}, or add --synthetic to play a made-up market") from e
    drawn = draw(recording.markets, seed, count)
    return RecordedFlow(recording, SAMPLE_NAME, SAMPLE_CREDIT, [market.condition_id for market in drawn])


def draw(markets: Sequence[RecordedMarket], seed: int, count: int) -> list[RecordedMarket]:
    """Return `count` of the markets; the same seed draws the same.

    Raises:
        DemoError: There are not that many.
    """
    if not 1 <= count <= len(markets):
        raise DemoError(
            f"--markets was {count}; the recording holds {len(markets)}, so give 1 to {len(markets)}"
        )
    return Random(f"{seed}/markets").sample(list(markets), count)  # noqa: S311 - chooses what to show


def synthetic_flow(seed: int, count: int) -> SyntheticMarkets:
    """Return `count` markets made up from the seed."""
    return SyntheticMarkets(seed, count, SYNTHETIC_MS)


def files_flow(paths: Sequence[Path], on_error: OnError) -> tuple[RecordedFlow, Recording]:
    """Return everything that the files hold, and the recording, which keeps what was skipped.

    Raises:
        RecordingError: A file is missing, unknown or broken; names it, and the row.
    """
    recording = open_recording(list(paths), on_error=on_error)
    if not recording.markets:
        where = ", ".join(map(str, paths))
        raise RecordingError(f"{where}: held no readable market; give a recording that has books")
    name = f"{len(recording.files)} files, {recording.format}"
    return RecordedFlow(recording, name, "as its files say"), recording


def speed_for(flow: Flow, seconds: Fraction) -> Fraction:
    """Return the speed at which the flow's markets, silences between them left out, take so many seconds."""
    return max(Fraction(covered_ms(flow.markets), 1_000) / seconds, Fraction(1, 1_000))


def covered_ms(markets: Sequence[FlowMarket]) -> int:
    """Return how much time some market runs, in milliseconds."""
    covered = until_ms = 0
    for market in sorted(markets, key=lambda each: each.first_ms):
        covered += max(0, market.last_ms - max(until_ms, market.first_ms))
        until_ms = max(until_ms, market.last_ms)
    return covered
