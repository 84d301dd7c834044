"""The host's own metrics, in the registry of this host and no other. Label values are closed sets."""

from collections.abc import Callable
from typing import Final, get_args

from polytraders_hookspecs import HOOK_NAMES
from prometheus_client import CollectorRegistry

from polytraders_pfh.host.unsent import Reason
from polytraders_pfh.telemetry.instruments import Instruments
from polytraders_pfh.telemetry.names import Metric

_PREFIX: Final = "polytraders_host_"
_FEEDS: Final = {"feed": ("market", "user")}

EVENTS: Final = Metric(
    "events_total",
    "counter",
    "count",
    "Events delivered to bots.",
    {"kind": ("partial_fill", "order_closed")},
    _PREFIX,
)
HOOK_ERRORS: Final = Metric(
    "hook_errors_total",
    "counter",
    "count",
    "Hook calls in which a bot raised or missed its deadline.",
    {"hook": HOOK_NAMES},
    _PREFIX,
)
ORDERS: Final = Metric(
    "orders", "gauge", "count", "Orders that the host tracks, ended ones included.", prefix=_PREFIX
)
FEED_CONNECTIONS: Final = Metric(
    "feed_connections", "gauge", "count", "Open feed connections.", _FEEDS, _PREFIX
)
FEED_DROPS: Final = Metric("feed_drops_total", "counter", "count", "Feed connections lost.", _FEEDS, _PREFIX)
UNREADABLE: Final = Metric(
    "unreadable_messages_total",
    "counter",
    "count",
    "Feed messages that could not be read.",
    _FEEDS,
    _PREFIX,
)
RECONCILIATIONS: Final = Metric(
    "reconciliations_total",
    "counter",
    "count",
    "Readings of all open orders from the exchange.",
    {"result": ("done", "failed")},
    _PREFIX,
)
POSTS_HELD: Final = Metric(
    "posts_held_total",
    "counter",
    "count",
    "Posts that were answered by the host, since the exchange would have refused them.",
    {"reason": get_args(Reason)},
    _PREFIX,
)
HEARTBEATS: Final = Metric(
    "heartbeats_total",
    "counter",
    "count",
    "Heartbeats of the exchange's dead-man switch.",
    {"result": ("accepted", "corrected", "failed")},
    _PREFIX,
)
HEARTBEAT_HEALTHY: Final = Metric(
    "heartbeat_healthy",
    "gauge",
    "0 or 1",
    "Whether a heartbeat was accepted within the last ten seconds; posts are held back at 0. Shown by a "
    "host with the dead-man switch on.",
    prefix=_PREFIX,
)

HOST_METRICS: Final = (
    EVENTS,
    HOOK_ERRORS,
    ORDERS,
    FEED_CONNECTIONS,
    FEED_DROPS,
    UNREADABLE,
    RECONCILIATIONS,
    POSTS_HELD,
    HEARTBEATS,
    HEARTBEAT_HEALTHY,
)


class HostMetrics:
    """Counters and gauges of one host; those with a label by its value."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._make = make = Instruments(registry)
        self.events = make.counters(EVENTS)
        self.hook_errors = make.counters(HOOK_ERRORS)
        self.orders = make.gauge(ORDERS)
        self.feed_up = make.gauges(FEED_CONNECTIONS)
        self.feed_drops = make.counters(FEED_DROPS)
        self.unreadable = make.counters(UNREADABLE)
        self.reconciliations = make.counters(RECONCILIATIONS)
        self.posts_held = make.counters(POSTS_HELD)
        self.heartbeats = make.counters(HEARTBEATS)

    def show_heartbeat(self, healthy: Callable[[], bool]) -> None:
        """Show, from now on, whether the dead-man switch stands; a host without one has no such gauge."""
        self._make.shown(HEARTBEAT_HEALTHY, healthy)
