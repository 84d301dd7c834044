"""/ws/market: public books, level changes, prints and grid changes of the tokens a client asks for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import web
from polytraders_hookspecs.nesting import nests_too_deep

from polytraders_pfh.paper.clock import Clock
from polytraders_pfh.paper.core.events import (
    BookSnapshotEvent,
    Event,
    LastTradeEvent,
    MarketResolvedEvent,
    PriceChangeEvent,
    TickSizeEvent,
)
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.protocol import messages
from polytraders_pfh.paper.protocol.shapes import Json
from polytraders_pfh.paper.protocol.stream_faults import StreamPlan
from polytraders_pfh.paper.protocol.streams import Channel, StreamConnection

BAD_MESSAGE = "INVALID OPERATION"


@dataclass(eq=False, slots=True)
class _Subscription:
    connection: StreamConnection
    tokens: set[str] = field(default_factory=set)
    custom: bool = False


class MarketStream:
    """Everyone listening to the market channel."""

    def __init__(self, exchange: Exchange, clock: Clock, queue_limit: int, faults: StreamPlan) -> None:
        self._exchange, self._clock = exchange, clock
        self._channel = Channel("market", queue_limit, faults)
        self._subscriptions: set[_Subscription] = set()
        self._best: dict[str, tuple[int | None, int | None]] = {}

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
        """Queue what the event means for every connection that asked for its tokens."""
        match event:
            case BookSnapshotEvent(view):
                self._send({view.token_id}, messages.book(view, first=False))
            case PriceChangeEvent():
                self._send({change.token_id for change in event.changes}, messages.price_change(event))
                self._send_best(event)
            case LastTradeEvent():
                self._send({event.token_id}, messages.last_trade_price(event))
            case TickSizeEvent():
                for token_id in self._tokens_of(event.condition_id):
                    self._send({token_id}, messages.tick_size_change(event, token_id))
            case MarketResolvedEvent():
                market = self._exchange.market(event.condition_id)
                if market is not None:
                    message = messages.market_resolved(event, market)
                    self._send(set(market.token_ids), message, custom_only=True)
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
        request = _request(text)
        if request is None:
            subscription.connection.offer(BAD_MESSAGE)
            return
        if request.operation == "unsubscribe":
            subscription.tokens.difference_update(request.tokens)
            return
        subscription.custom = request.custom or subscription.custom
        fresh = [token for token in request.tokens if token not in subscription.tokens]
        subscription.tokens.update(fresh)
        self._channel.subscribed(subscription.connection)
        if request.initial_dump:
            self._dump(subscription, fresh)

    def _dump(self, subscription: _Subscription, tokens: Iterable[str]) -> None:
        now_ms = self._clock.now_ms()
        known = [token for token in tokens if self._exchange.market_of(token) is not None]
        books = [messages.book(self._exchange.book(token, now_ms), first=True) for token in known]
        if books:
            subscription.connection.offer_json(books)

    def _send(self, tokens: set[str], message: Json, *, custom_only: bool = False) -> None:
        for subscription in tuple(self._subscriptions):
            if subscription.tokens & tokens and (subscription.custom or not custom_only):
                subscription.connection.offer_json(message)

    def _send_best(self, event: PriceChangeEvent) -> None:
        for change in {change.token_id: change for change in event.changes}.values():
            best = (change.best_bid_micro, change.best_ask_micro)
            if self._best.get(change.token_id) != best:
                self._best[change.token_id] = best
                self._send({change.token_id}, messages.best_bid_ask(change, event), custom_only=True)

    def _tokens_of(self, condition_id: str) -> tuple[str, ...]:
        market = self._exchange.market(condition_id)
        return () if market is None else market.token_ids


@dataclass(frozen=True, slots=True)
class _Request:
    operation: str
    tokens: tuple[str, ...]
    custom: bool
    initial_dump: bool


def _request(text: str) -> _Request | None:
    if nests_too_deep(text):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    # The first message carries "type", later ones "operation"; the plural is spelt assets_ids in both.
    operation, tokens = fields.get("operation", "subscribe"), fields.get("assets_ids")
    if operation not in ("subscribe", "unsubscribe") or not isinstance(tokens, list):
        return None
    if not all(isinstance(token, str) for token in tokens):
        return None
    return _Request(
        operation=str(operation),
        tokens=tuple(tokens),
        custom=fields.get("custom_feature_enabled") is True,
        initial_dump=fields.get("initial_dump", True) is not False,
    )
