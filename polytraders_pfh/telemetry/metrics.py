"""The metrics of one bot, in the registry that the host gave. Children are made once, not per event."""

from typing import Final

from prometheus_client import CollectorRegistry

from polytraders_pfh.core.money import MICRO
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.instruments import Instruments

_USD_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_TICK_BUCKETS: Final = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 50)
_SECONDS_BUCKETS: Final = (
    0.00005,
    0.0001,
    0.0002,
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    1.0,
    5.0,
)


class Metrics:
    """What is counted. Values are for people and alerts; nothing is decided by them.

    Attributes:
        show: Makes the gauges of those whose state they show.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.show = make = Instruments(registry)
        self.decisions = make.counters(names.DECISIONS)
        self.rejected = make.counters(names.REJECTED_EVENTS)
        self.remainder_usd = make.deferred(names.REMAINDER_USD, _USD_BUCKETS)
        self.chase_ticks = make.histogram(names.CHASE_TICKS, _TICK_BUCKETS)
        self.decide_seconds = make.deferred(names.DECIDE_SECONDS, _SECONDS_BUCKETS)
        self.event_age_seconds = make.deferred(names.EVENT_AGE_SECONDS, _SECONDS_BUCKETS)
        self.shed = make.counter(names.SHED)
        self.cancels = make.counters(names.CANCELS)
        self.posts = make.counters(names.POSTS)
        self.reconciliations = make.counters(names.RECONCILIATIONS)
        self.invariant_trips = make.counter(names.INVARIANT_TRIPS)
        self.journal_commit_seconds = make.histogram(names.JOURNAL_COMMIT_SECONDS, _SECONDS_BUCKETS)
        self._steps = make.histograms(names.STEP_SECONDS, _SECONDS_BUCKETS)

    def decided(
        self,
        verdict: str,
        remaining_usd_micro: int,
        chase_ticks: float | None,
        seconds: float,
        otel_trace: str | None,
    ) -> None:
        """Count one decision. `otel_trace` (32 hex digits) is given when its span is sampled."""
        exemplar = None if otel_trace is None else {"trace_id": otel_trace}
        self.decisions[verdict].inc(1, exemplar)
        self.remainder_usd.observe(remaining_usd_micro / MICRO, exemplar)
        self.decide_seconds.observe(seconds, exemplar)
        if chase_ticks is not None:
            # OpenMetrics has no sum for a histogram that may shrink, and strict readers then refuse it all.
            self.chase_ticks.observe(max(chase_ticks, 0), exemplar)

    def waited(self, span: str, seconds: float, otel_trace: str | None) -> None:
        """Time one wait, named by its span."""
        step = names.STEPS.get(span)
        if step is not None:
            exemplar = None if otel_trace is None else {"trace_id": otel_trace}
            self._steps[step].observe(seconds, exemplar)
