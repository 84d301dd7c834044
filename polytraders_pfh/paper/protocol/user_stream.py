"""/ws/user: an API key's own orders and trades, as they change. Nothing is replayed after a reconnect."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, web
from polytraders_hookspecs.nesting import nests_too_deep

from polytraders_pfh.paper.clock import Clock
from polytraders_pfh.paper.core.events import Event, OrderEvent, TradeEvent
from polytraders_pfh.paper.protocol import messages
from polytraders_pfh.paper.protocol.auth import Gatekeeper
from polytraders_pfh.paper.protocol.shapes import Json
from polytraders_pfh.paper.protocol.stream_faults import StreamPlan
from polytraders_pfh.paper.protocol.streams import Channel, StreamConnection


@dataclass(eq=False, slots=True)
class _Subscription:
    connection: StreamConnection
    api_key: str = ""
    markets: frozenset[str] | None = None  # None: all of them


class UserStream:
    """Everyone listening to the user channel."""

    def __init__(self, gatekeeper: Gatekeeper, clock: Clock, queue_limit: int, faults: StreamPlan) -> None:
        self._gatekeeper, self._clock = gatekeeper, clock
        self._channel = Channel("user", queue_limit, faults)
        self._subscriptions: set[_Subscription] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        connection = self._channel.accept(request, self._clock.now_ms())
        subscription = _Subscription(connection)
        self._subscriptions.add(subscription)
        try:
            return await connection.run(lambda text: self._read(subscription, text))
        finally:
            self._subscriptions.discard(subscription)
            self._channel.forget(connection)

    def publish(self, event: Event) -> None:
        """Queue the event for the keys it belongs to."""
        match event:
            case OrderEvent(record=record):
                self._send(record.request.api_key, record.condition_id, messages.order(event))
            case TradeEvent(trade=trade):
                for api_key, message in messages.trades(event):
                    self._send(api_key, trade.condition_id, message)
            case _:
                pass

    def tick(self, now_ms: int) -> None:
        """Close connections that never subscribed."""
        self._channel.close_silent(now_ms)

    def cut(self) -> int:
        """Break every connection without a word, as a network does; return how many there were."""
        return self._channel.cut()

    async def close(self) -> None:
        """Close every connection."""
        await self._channel.close()

    def _read(self, subscription: _Subscription, text: str) -> None:
        fields = _fields(text)
        auth = fields.get("auth")
        if subscription.api_key:
            self._change_markets(subscription, fields)
            return
        key = self._gatekeeper.stream(auth) if isinstance(auth, dict) else None
        if key is None:
            subscription.connection.close(WSCloseCode.POLICY_VIOLATION, "auth was missing or wrong")
            return
        subscription.api_key = key.key
        subscription.markets = _markets(fields) or None
        self._channel.subscribed(subscription.connection)

    def _change_markets(self, subscription: _Subscription, fields: dict[str, Any]) -> None:
        if subscription.markets is None:
            return
        if fields.get("operation") == "unsubscribe":
            subscription.markets -= _markets(fields)
        else:
            subscription.markets |= _markets(fields)

    def _send(self, api_key: str, condition_id: str, message: Json) -> None:
        for subscription in tuple(self._subscriptions):
            wanted = subscription.markets is None or condition_id in subscription.markets
            if subscription.api_key == api_key and wanted:
                subscription.connection.offer_json(message)


def _fields(text: str) -> dict[str, Any]:
    if nests_too_deep(text):
        return {}
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _markets(fields: dict[str, Any]) -> frozenset[str]:
    markets = fields.get("markets")
    return frozenset(str(market) for market in markets) if isinstance(markets, list) else frozenset()
