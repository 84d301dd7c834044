"""What moves the market: recorded books or a seeded synthetic flow, applied to every lane alike."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from polytraders_pfh.demo.lanes import Lane
from polytraders_pfh.paper.crowd import RecordedCrowd, exchange_market
from polytraders_pfh.paper.exchange import Exchange
from polytraders_pfh.paper.frames import Frame, RecordedMarket
from polytraders_pfh.paper.model import Market
from polytraders_pfh.paper.recordings import Recording
from polytraders_pfh.paper.steps import Step
from polytraders_pfh.paper.synthetic import NewTick, Quote, SyntheticFlow, Take, synthetic_market

SYNTHETIC_START_MS: Final = 1_767_225_600_000
"""2026-01-01: a synthetic market has no date, so it is given one."""


@dataclass(frozen=True, slots=True)
class FlowMarket:
    """A market to be played: as the exchange lists it, its name, and when its flow begins and ends."""

    market: Market
    title: str
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Move:
    """One recorded frame, or one synthetic event: what it does to each lane, and to the reference."""

    at_ms: int
    condition_id: str
    apply: Callable[[Exchange, Exchange, int], None]


class Flow(Protocol):
    """A source of moves. `credit` says whose data it is and under which licence; `total` counts `done`."""

    @property
    def name(self) -> str: ...

    @property
    def credit(self) -> str: ...

    @property
    def markets(self) -> tuple[FlowMarket, ...]: ...

    @property
    def total(self) -> int: ...

    def done(self) -> int:
        """Return how much of `total` has been read."""
        ...

    def moves(self, lanes: Sequence[Lane]) -> Iterator[Move]:
        """Return the moves in time order; to be called once."""
        ...


class RecordedFlow:
    """Some or all markets of a recording.

    Args:
        recording: Opened.
        name: What to call it.
        credit: Whose data it is.
        only: The condition ids to play; all when None.
    """

    def __init__(
        self, recording: Recording, name: str, credit: str, only: Collection[str] | None = None
    ) -> None:
        self._recording = recording
        self.name = name
        self.credit = credit
        self._played = tuple(m for m in recording.markets if only is None or m.condition_id in only)
        self._whole = len(self._played) == len(recording.markets)
        self._frames = 0
        self.markets = tuple(_flow_market(market) for market in self._played)

    @property
    def total(self) -> int:
        """Rows of the played markets."""
        return self._recording.total_rows if self._whole else sum(market.rows for market in self._played)

    def done(self) -> int:
        """Rows read of them."""
        return self._recording.log.rows_read if self._whole else self._frames

    def moves(self, lanes: Sequence[Lane]) -> Iterator[Move]:
        """Every frame of the played markets.

        Raises:
            RecordingError: A row is broken, and the recording was opened to refuse such.
        """
        crowds = tuple(self._crowd(lane) for lane in lanes)
        aside = RecordedCrowd(self._played)
        wanted = {market.condition_id for market in self._played}
        last_ms = max(market.last_ms for market in self._played)

        def move(frame: Frame) -> Move:
            def apply(exchange: Exchange, reference: Exchange, now_ms: int) -> None:
                for crowd in crowds:
                    crowd.apply(exchange, frame, now_ms)
                aside.apply(reference, frame, now_ms)

            return Move(frame.timestamp_ms, frame.condition_id, apply)

        for frame in self._recording.frames(None if self._whole else wanted):
            if frame.timestamp_ms > last_ms:
                return
            self._frames += 1
            yield move(frame)

    def _crowd(self, lane: Lane) -> RecordedCrowd:
        tokens = [token.token_id for market in self._played for token in market.tokens]
        renamed = [
            replace(
                market,
                condition_id=lane.condition_id(market.condition_id),
            )
            for market in self._played
        ]
        return RecordedCrowd(renamed, token_map={token: lane.token_id(token) for token in tokens})


class SyntheticMarkets:
    """Seeded markets that nobody ever traded.

    Args:
        seed: The same seed gives the same flow.
        count: How many markets.
        duration_ms: How long the flow lasts, in market time.
    """

    def __init__(self, seed: int, count: int, duration_ms: int) -> None:
        self._seed = seed
        self._duration_ms = duration_ms
        self._done = 0
        listed = tuple(synthetic_market(seed, number) for number in range(count))
        end_ms = SYNTHETIC_START_MS + duration_ms
        self.name = f"synthetic flow, seed {seed}"
        self.credit = "generated by this package; nobody ever traded it"
        self.markets = tuple(
            FlowMarket(market, market.question, SYNTHETIC_START_MS, end_ms) for market in listed
        )

    @property
    def total(self) -> int:
        """Milliseconds of market time."""
        return self._duration_ms

    def done(self) -> int:
        """Milliseconds played."""
        return self._done

    def moves(self, lanes: Sequence[Lane]) -> Iterator[Move]:
        """Every event of the flow."""
        listed = [market.market for market in self.markets]
        conditions = {token: market.condition_id for market in listed for token in market.token_ids}
        flow = SyntheticFlow(self._seed, listed, start_ms=SYNTHETIC_START_MS)
        for step in flow.steps(self._duration_ms):
            self._done = step.at_ms - SYNTHETIC_START_MS
            condition_id = step.condition_id if isinstance(step, NewTick) else conditions[_token(step)]
            yield Move(step.at_ms, condition_id, _synthetic_move(step, lanes))


def _synthetic_move(step: Step, lanes: Sequence[Lane]) -> Callable[[Exchange, Exchange, int], None]:
    copies = tuple(_copy(step, lane) for lane in lanes)

    def apply(exchange: Exchange, reference: Exchange, now_ms: int) -> None:
        for copy in copies:
            copy.apply(exchange, now_ms)
        step.apply(reference, now_ms)

    return apply


def _copy(step: Step, lane: Lane) -> Step:
    if isinstance(step, NewTick):
        return replace(step, condition_id=lane.condition_id(step.condition_id))
    assert isinstance(step, Quote | Take)
    return replace(step, token_id=lane.token_id(step.token_id))


def _token(step: Step) -> str:
    assert isinstance(step, Quote | Take)
    return step.token_id


def _flow_market(market: RecordedMarket) -> FlowMarket:
    return FlowMarket(exchange_market(market), market.question, market.first_ms, market.last_ms)
