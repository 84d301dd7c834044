"""Makes metrics from their table, in the registry that the host gave; labelled children at once.

A child that is made with its metric is scraped as 0 before anything happens, so that `rate` and `increase`
see the first time; and a value that is not in the table has no child to be counted on.
"""

import math
from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from polytraders_pfh.telemetry.deferred import DeferredHistogram
from polytraders_pfh.telemetry.names import Metric

Buckets = tuple[float, ...]


class Instruments:
    """What makes the metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, metric: Metric) -> Counter:
        """Make a counter without a label."""
        return Counter(metric.full_name, metric.meaning, registry=self._registry)

    def counters(self, metric: Metric) -> dict[str, Counter]:
        """Make a labelled counter, and return its children by their value."""
        made = Counter(metric.full_name, metric.meaning, tuple(metric.labels), registry=self._registry)
        return {value: made.labels(value) for value in _values(metric)}

    def gauge(self, metric: Metric) -> Gauge:
        """Make a gauge without a label."""
        return Gauge(metric.full_name, metric.meaning, registry=self._registry)

    def gauges(self, metric: Metric) -> dict[str, Gauge]:
        """Make a labelled gauge, and return its children by their value."""
        made = Gauge(metric.full_name, metric.meaning, tuple(metric.labels), registry=self._registry)
        return {value: made.labels(value) for value in _values(metric)}

    def shown(self, metric: Metric, read: Callable[[], float]) -> None:
        """Make a gauge that is read when somebody looks, maybe from another thread.

        What cannot be read just then, since it is changing, shows as NaN: it must not cost the whole scrape.
        """
        self.gauge(metric).set_function(partial(_read, read))

    def choice(self, metric: Metric, read: Callable[[], str]) -> None:
        """Make a gauge that is 1 at the value that is read when somebody looks, and 0 at every other."""
        for value, gauge in self.gauges(metric).items():
            gauge.set_function(partial(_is, read, value))

    def histogram(self, metric: Metric, buckets: Buckets) -> Histogram:
        """Make a histogram without a label."""
        return Histogram(metric.full_name, metric.meaning, buckets=buckets, registry=self._registry)

    def histograms(self, metric: Metric, buckets: Buckets) -> dict[str, Histogram]:
        """Make a labelled histogram, and return its children by their value."""
        made = Histogram(
            metric.full_name, metric.meaning, tuple(metric.labels), buckets=buckets, registry=self._registry
        )
        return {value: made.labels(value) for value in _values(metric)}

    def deferred(self, metric: Metric, buckets: Buckets) -> DeferredHistogram:
        """Make a histogram whose buckets are filled when somebody looks."""
        return DeferredHistogram(metric.full_name, metric.meaning, buckets, self._registry)


def _read(read: Callable[[], float]) -> float:
    try:
        return float(read())
    except Exception:
        return math.nan


def _is(read: Callable[[], str], value: str) -> float:
    return float(read() == value)


def _values(metric: Metric) -> tuple[str, ...]:
    return next(iter(metric.labels.values()), ())
