"""Both feeds of one host, pointed at the tokens of its orders, whose markets are learnt as they come."""

import logging
import random
from contextlib import AsyncExitStack
from typing import Final

import pluggy
from polytraders_hookspecs import Clock

from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.feed_socket import FeedTimings
from polytraders_pfh.host.feeds import MarketFeed, UserFeed
from polytraders_pfh.host.lifecycle import OrderLifecycle
from polytraders_pfh.host.link import ExchangeLink
from polytraders_pfh.host.metrics import HostMetrics
from polytraders_pfh.host.reconcile import Reconciler
from polytraders_pfh.host.tasks import Tasks

_log: Final = logging.getLogger(__name__)


class MarketWatch:
    """Keeps the feeds and the market parameters of the orders there are.

    Attributes:
        market_feed: `watch(token_ids)` wants books without orders.
    """

    def __init__(
        self,
        ws_url: str,
        link: ExchangeLink,
        lifecycle: OrderLifecycle,
        reconciler: Reconciler,
        tasks: Tasks,
        hooks: pluggy.HookRelay,
        clock: Clock,
        metrics: HostMetrics,
        chance: random.Random,
        timings: FeedTimings,
    ) -> None:
        self._reconcile_s = timings.reconcile_s
        self._clob = link.clob
        self._lifecycle = lifecycle
        self._reconciler = reconciler
        self._tasks = tasks
        self._learning: set[str] = set()
        self.market_feed = MarketFeed(
            ws_url, hooks, clock, metrics, complete=link.complete, chance=chance, timings=timings
        )
        self._user_feed = UserFeed(
            ws_url,
            link.clob.credentials,
            lifecycle,
            clock,
            metrics,
            on_connected=reconciler.read_soon,
            chance=chance,
            timings=timings,
        )

    def attach(self) -> None:
        """Hear from the lifecycle which orders to look at, and which tokens matter."""
        self._lifecycle.on_look = self._reconciler.look
        self._lifecycle.on_tokens = self._tokens_changed
        self._tokens_changed(self._lifecycle.tokens())

    async def open(self, stack: AsyncExitStack) -> None:
        """Connect, and go on reading open orders in the background."""
        stack.push_async_callback(self.market_feed.close)
        stack.push_async_callback(self._user_feed.close)
        await self.market_feed.open()
        await self._user_feed.open()
        self._tasks.spawn(
            self._reconciler.run_forever(self._reconcile_s, self._user_feed.doubt), "reconciliation"
        )

    def _tokens_changed(self, tokens: frozenset[str]) -> None:
        self.market_feed.for_orders(tokens)
        for market_id in {order.market_id for order in self._lifecycle.open_orders()}:
            if market_id not in self._learning and not self._clob.knows_market(market_id):
                self._learning.add(market_id)
                self._tasks.spawn(self._learn(market_id), "market parameters")

    async def _learn(self, market_id: str) -> None:
        try:
            await self._clob.learn_market(market_id)
        except PfhError as e:
            _log.warning("market %s was not learnt: %s", market_id, e)
        finally:
            self._learning.discard(market_id)
