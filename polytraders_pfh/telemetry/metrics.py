"""The metrics of one bot, in the registry that the host gave. Children are made once, not per event."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from polytraders_pfh.core.money import MICRO
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.deferred import DeferredHistogram
from polytraders_pfh.telemetry.names import Metric

_USD_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_TICK_BUCKETS: Final = (-5, -1, 0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 50)
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
REJECTIONS: Final = ("forged", "malformed", "unknown_order")


class Metrics:
    """What is counted. Values are for people and alerts; nothing is decided by them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(metric: Metric) -> Counter:
            return Counter(metric.full_name, metric.meaning, metric.labels, registry=registry)

        def gauge(metric: Metric) -> Gauge:
            return Gauge(metric.full_name, metric.meaning, metric.labels, registry=registry)

        def histogram(metric: Metric, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(metric.full_name, metric.meaning, buckets=buckets, registry=registry)

        def deferred(metric: Metric, buckets: tuple[float, ...]) -> DeferredHistogram:
            return DeferredHistogram(metric.full_name, metric.meaning, buckets, registry)

        decisions = counter(names.DECISIONS)
        self.decisions = {reason.value: decisions.labels(reason.value) for reason in Reason}
        rejected = counter(names.REJECTED_EVENTS)
        self.rejected = {why: rejected.labels(why) for why in REJECTIONS}
        self.remainder_usd = deferred(names.REMAINDER_USD, _USD_BUCKETS)
        self.chase_ticks = histogram(names.CHASE_TICKS, _TICK_BUCKETS)
        self.decide_seconds = deferred(names.DECIDE_SECONDS, _SECONDS_BUCKETS)
        self.event_age_seconds = deferred(names.EVENT_AGE_SECONDS, _SECONDS_BUCKETS)
        self.in_flight = gauge(names.IN_FLIGHT)
        self.active_intents = gauge(names.ACTIVE_INTENTS)
        self.shed = counter(names.SHED)
        self.cancels_unconfirmed = gauge(names.CANCELS_UNCONFIRMED)
        self.posts_unknown = gauge(names.POSTS_UNKNOWN)
        self.invariant_trips = counter(names.INVARIANT_TRIPS)
        self.pending_reports = gauge(names.PENDING_REPORTS)
        self.kill_switch = gauge(names.KILL_SWITCH)

    def decided(
        self, verdict: str, remaining_usd_micro: int, chase_ticks: float | None, otel_trace: str | None
    ) -> None:
        """Count one decision. `otel_trace` (32 hex digits) is given when its span is sampled."""
        exemplar = None if otel_trace is None else {"trace_id": otel_trace}
        self.decisions[verdict].inc(1, exemplar)
        self.remainder_usd.observe(remaining_usd_micro / MICRO)
        if chase_ticks is not None:
            self.chase_ticks.observe(chase_ticks, exemplar)
