"""Every order ever accepted or killed, and which of them are open, by the key that may cancel them."""

from __future__ import annotations

from polytraders_pfh.paper.core.orderbook import Order


class Registry:
    """Orders by hash for ever (a hash is never accepted twice), open ones also by api key."""

    def __init__(self) -> None:
        """No orders yet."""
        self._orders: dict[str, Order] = {}
        self._open: dict[str, dict[str, Order]] = {}

    def __contains__(self, order_id: str) -> bool:
        """True when this hash has been registered, whatever became of it."""
        return order_id in self._orders

    def get(self, order_id: str) -> Order | None:
        """The order in whatever state."""
        return self._orders.get(order_id)

    def add(self, order: Order) -> None:
        """Register the hash and list the order as open."""
        self._orders[order.order_id] = order
        self._open.setdefault(order.request.api_key, {})[order.order_id] = order

    def close(self, order: Order) -> None:
        """The order can match no more; harmless when it is closed already."""
        self._open.get(order.request.api_key, {}).pop(order.order_id, None)

    def open_of(self, api_key: str) -> tuple[Order, ...]:
        """The key's open orders, oldest first."""
        return tuple(self._open.get(api_key, {}).values())

    def open_in(self, condition_id: str) -> tuple[Order, ...]:
        """A market's open orders, delayed ones included; reads all open orders."""
        return tuple(
            order
            for orders in self._open.values()
            for order in orders.values()
            if order.condition_id == condition_id
        )
