"""The host's own metrics, in the registry of this host and no other. Label values are closed sets."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class HostMetrics:
    """Counters and gauges of one host."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.events = Counter(
            "polytraders_host_events_total", "Events delivered to bots.", ["kind"], registry=registry
        )
        self.hook_errors = Counter(
            "polytraders_host_hook_errors_total",
            "Hook calls in which a bot raised or missed its deadline.",
            ["hook"],
            registry=registry,
        )
        self.orders = Gauge(
            "polytraders_host_orders", "Orders that the host tracks, ended ones included.", registry=registry
        )
        self.feed_up = Gauge(
            "polytraders_host_feed_connections", "Open feed connections.", ["feed"], registry=registry
        )
        self.feed_drops = Counter(
            "polytraders_host_feed_drops_total", "Feed connections lost.", ["feed"], registry=registry
        )
        self.unreadable = Counter(
            "polytraders_host_unreadable_messages_total",
            "Feed messages that could not be read.",
            ["feed"],
            registry=registry,
        )
        self.reconciliations = Counter(
            "polytraders_host_reconciliations_total",
            "Readings of all open orders from the exchange.",
            ["result"],
            registry=registry,
        )
        self.posts_held = Counter(
            "polytraders_host_posts_held_total",
            "Posts that were answered by the host, since the exchange would have refused them.",
            ["reason"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "polytraders_host_heartbeats_total",
            "Heartbeats of the exchange's dead-man switch.",
            ["result"],
            registry=registry,
        )

    def show_heartbeat(self, healthy: Callable[[], bool]) -> None:
        """Show, from now on, whether the dead-man switch stands; a host without one has no such gauge."""
        gauge = Gauge(
            "polytraders_host_heartbeat_healthy",
            "1 when a heartbeat was accepted within the last ten seconds; posts are held back at 0.",
            registry=self._registry,
        )
        gauge.set_function(lambda: float(healthy()))
