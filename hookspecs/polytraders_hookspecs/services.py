"""What a host supplies to a bot: Protocols of at most five methods, so that any host can supply any part.

Every awaited method may fail or hang; the bot puts its own deadline around each and treats an
exception as an unknown outcome, never as a success or a failure.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pluggy
from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from polytraders_hookspecs.events import BookSnapshot
from polytraders_hookspecs.orders import ExchangeReply, OrderFacts, SignedOrder, UnsignedOrder
from polytraders_hookspecs.reports import KillSwitchStatus


class ClobPublic(Protocol):
    """The exchange's public side."""

    async def get_book(self, token_id: str) -> BookSnapshot:
        """Return a fresh book of this token from the exchange, never from a cache.

        Tick size, minimum size and neg-risk flag must be filled in. Raises any exception when the
        exchange did not answer with a book.
        """
        ...


class ClobAuth(Protocol):
    """The exchange's trading side. It carries replies; the bot judges them.

    An implementation never retries by itself, never re-signs, sends at most one request per call, and
    puts a timeout of its own on each. No answer is `ExchangeReply(status=None, ...)`.
    """

    async def cancel_orders(self, order_ids: tuple[str, ...]) -> ExchangeReply:
        """Ask for these orders to be cancelled, in one request (DELETE /orders)."""
        ...

    async def post_order(self, order: SignedOrder) -> ExchangeReply:
        """Send this signed order (POST /order). The bytes are the same for the same order, always.

        The request must be on its way before the implementation awaits anything else but the send: the
        bot's last checks stand directly before this call.
        """
        ...

    async def get_order(self, order_id: str) -> ExchangeReply:
        """Read one order's record (GET /data/order/{id}), whatever its status."""
        ...

    async def get_trades(self, market_id: str, after_ms: int) -> ExchangeReply:
        """Read this account's trades in a market since `after_ms`, all pages, as one JSON array."""
        ...


class Signer(Protocol):
    """Holds the key, in process or out of it. The bot never sees the key."""

    async def sign_order(self, order: UnsignedOrder) -> SignedOrder:
        """Return this order, signed, with its hash. The bot checks every field against what it asked."""
        ...


class KillSwitch(Protocol):
    """The host's kill switch."""

    async def status(self) -> KillSwitchStatus:
        """Return the state now. An exception means unknown, and then no order is posted."""
        ...


class OrderBookkeeper(Protocol):
    """The order-lifecycle manager, as a source of facts."""

    async def get(self, order_id: str) -> OrderFacts | None:
        """Return what is known of this order, or None."""
        ...

    async def open_partials(self) -> tuple[OrderFacts, ...]:
        """Return every order that is partly filled and may still fill: where recovery starts."""
        ...


class ReportBus(Protocol):
    """Where reports go."""

    async def publish(self, topic: str, key: str, payload: bytes, message_id: str) -> None:
        """Return when the bus has the report for good. The same message id may come again."""
        ...


class Clock(Protocol):
    """The one clock. Wall time for windows and reports, monotonic time for durations."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""
        ...


class Fence(Protocol):
    """Where several hosts share the orders: whether this one may still post (contract 1.1)."""

    def token(self, root_order_id: str) -> int:
        """Return the token under which this host may post for an intent, 0 when it may not.

        The tokens of one intent only grow; whoever has the newest alone may post.
        """
        ...

    def still_held(self, token: int) -> bool:
        """Return whether this token is the newest known and its lease has not run out.

        The bot asks directly before a send, and nothing is awaited between. It never waits, and counts by
        a clock that goes on while the process is stopped.
        """
        ...


class SharedLog(Protocol):
    """A bot's log outside its host: whoever takes the bot's orders over reads it (contract 1.1).

    One bot writes, one entry at a time. An entry is opaque to the host.
    """

    async def append(self, entry: bytes, needed_from: int) -> int:
        """Return the entry's number once the log has it for good; numbers grow.

        `needed_from` is the number of the first entry that a reader still needs, this one's at most, and 0
        for this one. The host tries again for as long as it may; an exception says that this bot may write
        no more, and that whether the entry was kept is not known.
        """
        ...

    def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the entries with their numbers, from the one that the last entry said is needed."""
        ...


@runtime_checkable
class HostServices(Protocol):
    """Everything a bot gets from its host, once, in `register_bot`.

    A host that shares its orders with others also has `fence: Fence` and `shared_log: SharedLog`, and
    builds one bot for each part of the orders that it may own; a bot looks for both with `getattr`.
    """

    @property
    def hookspec_version(self) -> str:
        """The contract the host was built for, `major.minor`."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """This bot's section of the host's config."""
        ...

    @property
    def event_keys(self) -> Mapping[str, bytes]:
        """Active event keys by id; at most two at once while one is being rotated."""
        ...

    @property
    def clob_public(self) -> ClobPublic: ...
    @property
    def clob_auth(self) -> ClobAuth: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def kill_switch(self) -> KillSwitch: ...
    @property
    def orders(self) -> OrderBookkeeper: ...
    @property
    def reports(self) -> ReportBus: ...
    @property
    def hooks(self) -> pluggy.HookRelay:
        """The relay of the host's plugin manager, through which a bot calls other bots' hooks."""
        ...

    @property
    def tracer_provider(self) -> TracerProvider: ...
    @property
    def metrics_registry(self) -> CollectorRegistry: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def state_dir(self) -> Path:
        """A directory of this bot's own that survives restarts."""
        ...
