"""Cancels, and their answer in two lists (clob_v2 3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from polytraders_pfh.paper.core.floor import Floor
from polytraders_pfh.paper.core.model import CancelResult, OrderStatus
from polytraders_pfh.paper.core.modes import ModeSwitch
from polytraders_pfh.paper.core.orderbook import Order

GONE: Final = "order can't be found - already canceled or matched"
DELAYED: Final = "order is delayed and can't be canceled until its delay is over"


class Cancelling:
    """Only the key that posted an order can cancel it; to any other key it does not exist."""

    def __init__(self, floor: Floor, modes: ModeSwitch) -> None:
        """Works on the exchange's floor."""
        self._floor, self._modes = floor, modes

    def by_ids(self, api_key: str, order_ids: Iterable[str], now_ms: int) -> CancelResult:
        """Cancel the orders named; an id named twice is answered once."""
        named = {order_id: self._floor.registry.get(order_id) for order_id in order_ids}
        return self._cancel(
            {
                order_id: order if order is not None and order.request.api_key == api_key else None
                for order_id, order in named.items()
            },
            now_ms,
        )

    def where(
        self, api_key: str, condition_id: str | None, token_id: str | None, now_ms: int
    ) -> CancelResult:
        """Cancel the key's open orders that fit; None fits everything."""
        return self._cancel(
            {
                order.order_id: order
                for order in self._floor.registry.open_of(api_key)
                if condition_id in (None, order.condition_id) and token_id in (None, order.request.token_id)
            },
            now_ms,
        )

    def _cancel(self, orders: dict[str, Order | None], now_ms: int) -> CancelResult:
        refusal = self._modes.refuses_cancel(now_ms)
        if refusal is not None:
            return CancelResult(
                http_status=refusal.http_status, error=refusal.text, retry_after_s=refusal.retry_after_s
            )
        canceled: list[str] = []
        kept: dict[str, str] = {}
        for order_id, order in orders.items():
            if order is not None and order.status is OrderStatus.LIVE:
                self._floor.withdraw(order, OrderStatus.CANCELED, now_ms)
                canceled.append(order_id)
            else:
                is_delayed = order is not None and order.status is OrderStatus.DELAYED
                kept[order_id] = DELAYED if is_delayed else GONE
        return CancelResult(tuple(canceled), kept)
