"""The host's own metrics, in the registry of this host and no other. Label values are closed sets."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class HostMetrics:
    """Counters and gauges of one host."""

    def __init__(self, registry: CollectorRegistry) -> None:
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
