"""A histogram whose observations are put aside at once and sorted into buckets when somebody looks.

Sorting one value into buckets costs as much as several steps of a decision, and nobody reads a bucket
between two scrapes.
"""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.registry import Collector

_MOST_ASIDE: Final = 4_096


class DeferredHistogram(Collector):
    """Like a Histogram without labels; at most a few thousand values are put aside.

    An exemplar bears the time at which it was sorted, not the one at which it was put aside. Whoever looks
    may do so in a thread of its own, as many hosts serve their metrics.
    """

    def __init__(
        self, name: str, documentation: str, buckets: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        self._histogram = Histogram(name, documentation, buckets=buckets, registry=None)
        self._aside: deque[tuple[float, dict[str, str] | None]] = deque()
        registry.register(self)

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Put one value aside."""
        self._aside.append((value, exemplar))
        if len(self._aside) >= _MOST_ASIDE:
            self._sort()

    def describe(self) -> Iterable[Metric]:
        """Return the metric's name and kind, so that a second one of that name is refused."""
        return self._histogram.describe()

    def collect(self) -> Iterable[Metric]:
        """Return the buckets with everything put aside in them."""
        self._sort()
        return self._histogram.collect()

    def _sort(self) -> None:
        with suppress(IndexError):
            while True:
                self._histogram.observe(*self._aside.popleft())
