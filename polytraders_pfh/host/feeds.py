"""The exchange's two channels: books to the bots, own orders and trades to the lifecycle.

Neither channel has sequence numbers or a replay. After every interruption books are void (`StreamGap`)
until the snapshot that comes with the new subscription, and own orders are read again by REST.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import aiohttp
import pluggy
from polytraders_hookspecs import BookSnapshot, BookUpdate, Clock, StreamGap, call_hook

from polytraders_pfh.host.auth import ApiCredentials
from polytraders_pfh.host.dispatch import show_hook_error
from polytraders_pfh.host.feed_socket import FeedSocket, FeedTimings, channel_url, feed_session
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.market_messages import book_updates
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.payloads import order_news, trade_news
from polytraders_pfh.host.tasks import Tasks

TOKENS_PER_CONNECTION: Final = 200
"""More make the channel freeze in silence (exchange docs, pitfalls)."""


class MarketFeed:
    """Keeps the books of all wanted tokens flowing to `on_book_update`.

    Args:
        ws_url: The exchange's WebSocket base.
        hooks: Where updates go.
        clock: For pauses and stamps.
        metrics: Counts.
        complete: Adds to a snapshot what only the host knows: trading mode, closing time.
        chance: Spreads reconnects.
        timings: Seconds.
    """

    def __init__(
        self,
        ws_url: str,
        hooks: pluggy.HookRelay,
        clock: Clock,
        metrics: HostMetrics,
        *,
        complete: Callable[[BookSnapshot], BookSnapshot],
        chance: random.Random,
        timings: FeedTimings,
    ) -> None:
        self._url = channel_url(ws_url, "market")
        self._hooks = hooks
        self._clock = clock
        self._metrics = metrics
        self._complete = complete
        self._chance = chance
        self._timings = timings
        self._tasks = Tasks()
        self._session: aiohttp.ClientSession | None = None
        self._shards: list[_Shard] = []
        self._for_orders: frozenset[str] = frozenset()
        self._by_hand: frozenset[str] = frozenset()

    async def open(self) -> None:
        """Begin to connect."""
        self._session = feed_session()
        self._assign()

    async def close(self) -> None:
        """Drop every connection. Nothing reaches a bot afterwards."""
        await self._tasks.close()
        self._shards.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def for_orders(self, tokens: frozenset[str]) -> None:
        """Want the books of exactly these tokens, besides those wanted by hand."""
        self._for_orders = tokens
        self._assign()

    def watch(self, tokens: Iterable[str]) -> None:
        """Want these tokens' books, whether or not there are orders."""
        self._by_hand |= frozenset(tokens)
        self._assign()

    def publish(self, update: BookUpdate) -> None:
        """Show one update to every bot."""
        for result in call_hook(self._hooks.on_book_update, update=update):
            if result.error is not None:
                show_hook_error(self._metrics, "on_book_update", result)

    def _assign(self) -> None:
        if self._session is None:
            return
        wanted = self._for_orders | self._by_hand
        for shard in self._shards:
            self._tell(shard, "unsubscribe", shard.tokens - wanted)
        waiting = sorted(wanted.difference(*(shard.tokens for shard in self._shards)))
        for shard in self._shards:
            room = TOKENS_PER_CONNECTION - len(shard.tokens)
            self._tell(shard, "subscribe", set(waiting[:room]))
            waiting = waiting[room:]
        for start in range(0, len(waiting), TOKENS_PER_CONNECTION):
            self._open_shard(set(waiting[start : start + TOKENS_PER_CONNECTION]), self._session)
        for shard in [shard for shard in self._shards if not shard.tokens]:
            self._shards.remove(shard)
            shard.stop()

    def _tell(self, shard: "_Shard", operation: str, tokens: set[str]) -> None:
        if tokens:
            shard.tokens = shard.tokens | tokens if operation == "subscribe" else shard.tokens - tokens
            message = {"operation": operation, "assets_ids": sorted(tokens)}
            self._tasks.spawn(shard.socket.send(message), f"market feed {operation}")

    def _open_shard(self, tokens: set[str], session: aiohttp.ClientSession) -> None:
        shard = _Shard(tokens)
        shard.socket = FeedSocket(
            self._url,
            "market",
            greeting=shard.greeting,
            on_message=lambda members: self._take(shard, members),
            on_open=lambda: None,
            on_gap=lambda: self._gap(shard),
            clock=self._clock,
            chance=self._chance,
            metrics=self._metrics,
            timings=self._timings,
        )
        self._shards.append(shard)
        task = self._tasks.spawn(shard.socket.run(session), "market feed")
        if task is not None:
            shard.stop = task.cancel

    def _take(self, shard: "_Shard", members: Mapping[str, Any]) -> None:
        for update in book_updates(members, shard.tokens, self._clock.now_ms()):
            self.publish(self._complete(update) if isinstance(update, BookSnapshot) else update)

    def _gap(self, shard: "_Shard") -> None:
        if shard.tokens:
            self.publish(StreamGap(token_ids=tuple(sorted(shard.tokens)), timestamp_ms=self._clock.now_ms()))


class _Shard:
    """One connection's share of the tokens."""

    socket: FeedSocket

    def __init__(self, tokens: set[str]) -> None:
        self.tokens = tokens
        self.stop: Callable[[], object] = lambda: None

    def greeting(self) -> Mapping[str, Any]:
        return {
            "assets_ids": sorted(self.tokens),
            "type": "market",
            "custom_feature_enabled": True,
            "initial_dump": True,
            "level": 2,
        }


class UserFeed:
    """Shows own orders and trades to the lifecycle; asks for a reconciliation after every connect.

    A quiet account is no silence here, and answered pings prove nothing: a reading by REST that finds what
    this channel has not told puts it in doubt, and a doubted channel that stays quiet is opened anew. All
    markets are subscribed, since filters are known to lose trade events (exchange docs, user channel).
    """

    def __init__(
        self,
        ws_url: str,
        credentials: ApiCredentials,
        lifecycle: OrderLifecycle,
        clock: Clock,
        metrics: HostMetrics,
        *,
        on_connected: Callable[[], None],
        chance: random.Random,
        timings: FeedTimings,
    ) -> None:
        self._credentials = credentials
        self._lifecycle = lifecycle
        self._clock = clock
        self._doubt_s = timings.doubt_s
        self._doubted = False
        self._tasks = Tasks()
        self._session: aiohttp.ClientSession | None = None
        self._socket = FeedSocket(
            channel_url(ws_url, "user"),
            "user",
            greeting=self._greeting,
            on_message=self._take,
            on_open=on_connected,
            on_gap=lambda: None,
            clock=clock,
            chance=chance,
            metrics=metrics,
            timings=replace(timings, silence_s=math.inf),
        )

    async def open(self) -> None:
        """Begin to connect."""
        self._session = feed_session()
        self._tasks.spawn(self._socket.run(self._session), "user feed")

    async def close(self) -> None:
        """Drop the connection."""
        await self._tasks.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def doubt(self) -> None:
        """Take in that the exchange had news which did not come through here."""
        if not self._doubted:
            self._doubted = True
            self._tasks.spawn(self._wait_for_data(), "user feed in doubt")

    async def _wait_for_data(self) -> None:
        heard = self._socket.heard
        try:
            await self._clock.sleep(self._doubt_s)
            if self._socket.heard == heard:
                await self._socket.drop("a reading found news that it had not told, and it stayed quiet")
        finally:
            self._doubted = False

    def _greeting(self) -> Mapping[str, Any]:
        return {
            "auth": {
                "apiKey": self._credentials.key,
                "secret": self._credentials.secret.reveal(),
                "passphrase": self._credentials.passphrase.reveal(),
            },
            "type": "user",
        }

    def _take(self, members: Mapping[str, Any]) -> None:
        kind = members.get("event_type")
        if kind == "order":
            self._lifecycle.saw_order(order_news(members))
        elif kind == "trade":
            self._lifecycle.saw_trade(trade_news(members, self._credentials.key))
